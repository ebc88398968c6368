//! Kernels along one axis: lines are brought together in memory, each is done by one chunk.
use smallvec::SmallVec;

use crate::array::row_major;
use crate::dtype::Element;
use crate::exec::cpu::math::{cast, halves};
use crate::exec::cpu::reduce::{Accumulate, Fold};
use crate::exec::{Exec, Shared};
use crate::{dispatch_wide, Array, DType, Result};

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Extreme {
    Max,
    Min,
}

/// Elements that are one chunk's work.
const WORK: usize = 1 << 15;

/// `x` with `axis` last, contiguous.
fn lines(exec: &Exec, x: &Array, axis: usize) -> Array {
    let order: SmallVec<[usize; 6]> = (0..x.ndim()).filter(|&d| d != axis).chain([axis]).collect();
    let shape: Vec<usize> = order.iter().map(|&d| x.shape[d]).collect();
    let strides: Vec<isize> = order.iter().map(|&d| x.strides[d]).collect();
    exec.contiguous(x.view(&shape, &strides, x.offset))
}

/// The lines of `lines` as a tensor of `shape`, a view.
fn unlines(y: &Array, shape: &[usize], axis: usize) -> Array {
    let order = (0..shape.len()).filter(|&d| d != axis).chain([axis]);
    let mut strides = vec![0isize; shape.len()];
    for (d, s) in order.zip(row_major(&y.shape)) {
        strides[d] = s;
    }
    y.view(shape, &strides, y.offset)
}

/// Runs `f(line, out)` over every line of `n` elements, `m` of them written.
fn each_line<T: Element, U: Element>(exec: &Exec, xs: &[T], n: usize, out: &mut [U], m: usize, f: impl Fn(&[T], &mut [U]) + Sync) {
    if n == 0 || m == 0 {
        return;
    }
    let count = (xs.len() / n).min(out.len() / m);
    let shared = Shared::new(out);
    exec.chunks(count, WORK / n, &|from, to| {
        // SAFETY: chunks are disjoint.
        let out = unsafe { shared.range(from * m, to * m) };
        for (x, o) in xs[from * n..to * n].chunks_exact(n).zip(out.chunks_exact_mut(m)) {
            f(x, o);
        }
    });
}

/// True if `v` takes `best`'s place: it is beyond it, or the first NaN.
#[inline(always)]
fn beats<T: Element>(v: T, best: T, e: Extreme) -> bool {
    let beyond = match e {
        Extreme::Max => v > best,
        Extreme::Min => v < best,
    };
    beyond || (v.is_nan() && !best.is_nan())
}

/// `f` of `x`'s lines, halves as float32.
fn by_lines(exec: &Exec, x: &Array, axis: usize, f: &dyn Fn(&Array) -> Result<Array>) -> Result<Array> {
    let y = lines(exec, x, axis);
    halves(exec, &[&y], &|ys| f(ys[0]))
}

/// Where the extreme of each line along `axis` is; no line is empty.
pub fn positions(exec: &Exec, x: &Array, axis: usize, e: Extreme) -> Result<Array> {
    let n = x.shape[axis];
    by_lines(exec, x, axis, &|y| {
        let shape = &y.shape[..y.shape.len() - 1];
        let mut out = vec![0i32; shape.iter().product()];
        dispatch_wide!(y.dtype, T => {
            each_line(exec, &y.to_slice::<T>()?, n, &mut out, 1, |line: &[T], o| {
                let mut at = 0;
                for i in 1..line.len() { if beats(line[i], line[at], e) { at = i; } }
                o[0] = at as i32;
            });
            Ok(exec.array(out, shape))
        })
    })
}

/// Where the extreme so far along `axis` is.
pub fn running_positions(exec: &Exec, x: &Array, axis: usize, reverse: bool, e: Extreme) -> Result<Array> {
    let n = x.shape[axis];
    let out = by_lines(exec, x, axis, &|y| {
        let mut out = exec.vec::<i32>(y.size());
        dispatch_wide!(y.dtype, T => {
            each_line(exec, &y.to_slice::<T>()?, n, &mut out, n, |line: &[T], o| {
                let mut at = if reverse { n - 1 } else { 0 };
                for k in 0..n {
                    let i = if reverse { n - 1 - k } else { k };
                    if beats(line[i], line[at], e) { at = i; }
                    o[i] = at as i32;
                }
            });
            Ok(exec.array(out, &y.shape))
        })
    })?;
    Ok(unlines(&out, &x.shape, axis))
}

/// The extreme so far along `axis`.
pub fn running_extreme(exec: &Exec, x: &Array, axis: usize, reverse: bool, e: Extreme) -> Result<Array> {
    let n = x.shape[axis];
    let out = by_lines(exec, x, axis, &|y| {
        dispatch_wide!(y.dtype, T => {
            let mut out = exec.vec::<T>(y.size());
            each_line(exec, &y.to_slice::<T>()?, n, &mut out, n, |line: &[T], o| {
                let mut best = line[if reverse { n - 1 } else { 0 }];
                for k in 0..n {
                    let i = if reverse { n - 1 - k } else { k };
                    if beats(line[i], best, e) { best = line[i]; }
                    o[i] = best;
                }
            });
            Ok(exec.array_as(y.dtype, out, &y.shape))
        })
    })?;
    Ok(unlines(&out, &x.shape, axis))
}

/// `A` is what it accumulates in.
fn cumulate<T: Accumulate, A: Accumulate>(
    exec: &Exec,
    y: &Array,
    n: usize,
    reverse: bool,
    f: Fold,
    wide: impl Fn(T) -> A + Sync,
    narrow: impl Fn(A) -> T + Sync,
) -> Result<Array> {
    let mut out = exec.vec::<T>(y.size());
    each_line(exec, &y.to_slice::<T>()?, n, &mut out, n, |line: &[T], o| {
        let mut acc = A::start(f);
        for k in 0..n {
            let i = if reverse { n - 1 - k } else { k };
            acc = A::join(f, acc, wide(line[i]));
            o[i] = narrow(acc);
        }
    });
    Ok(exec.array(out, &y.shape))
}

/// Sums or products so far along `axis`, in the dtype of `DType::sum_result`.
pub fn cumulative(exec: &Exec, x: &Array, axis: usize, reverse: bool, f: Fold) -> Result<Array> {
    let n = x.shape[axis];
    let out = by_lines(exec, &cast(exec, x, x.dtype.sum_result())?, axis, &|y| match y.dtype {
        DType::F64 => cumulate(exec, y, n, reverse, f, |x: f64| x, |x| x),
        DType::I32 => cumulate(exec, y, n, reverse, f, |x: i32| x, |x| x),
        DType::I64 => cumulate(exec, y, n, reverse, f, |x: i64| x, |x| x),
        DType::U32 => cumulate(exec, y, n, reverse, f, |x: u32| x, |x| x),
        // Long sums would lose their last digits; products would not overflow where they do.
        _ if f == Fold::Sum => cumulate(exec, y, n, reverse, f, |x: f32| f64::from(x), |x| x as f32),
        _ => cumulate(exec, y, n, reverse, f, |x: f32| x, |x| x),
    })?;
    Ok(unlines(&out, &x.shape, axis))
}
