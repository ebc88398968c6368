//! Reductions over axes, in an order fixed by the shape.
use std::ops::{Div, Mul, Sub};

use crate::array::{runs, Run, Runs};
use crate::dtype::Element;
use crate::exec::cpu::map::{map1, map2};
use crate::exec::cpu::math::{cast, halves};
use crate::exec::cpu::rows::{fold_in_pairs, Float, Norm, BLOCK};
use crate::exec::{Exec, Shared};
use crate::{Array, DType, Result};
pub use pax_kernels::fold::{Accumulate, Fold, Pairwise};

/// Folds `x` over `axes` (sorted). Sums and products have the dtype of `DType::sum_result`, the others `x`'s.
pub fn fold(exec: &Exec, x: &Array, axes: &[usize], f: Fold) -> Result<Array> {
    match x.dtype {
        DType::F32 => reduce::<f32>(exec, x, axes, f),
        DType::F64 => reduce::<f64>(exec, x, axes, f),
        // Halves accumulate in float32 and are rounded once.
        d @ (DType::F16 | DType::BF16) => cast(exec, &reduce::<f32>(exec, &cast(exec, x, DType::F32)?, axes, f)?, d),
        DType::I32 => reduce::<i32>(exec, x, axes, f),
        DType::I64 => reduce::<i64>(exec, x, axes, f),
        DType::U32 => reduce::<u32>(exec, x, axes, f),
        d @ (DType::U8 | DType::Bool) => {
            let wide = reduce::<u32>(exec, &cast(exec, x, DType::U32)?, axes, f)?;
            // The greatest uint32 of an empty fold is the greatest uint8, too; bool's is true.
            cast(exec, &wide, if matches!(f, Fold::Max | Fold::Min) { d } else { d.sum_result() })
        }
    }
}

/// Elements of a chunk: enough to pay for waking a thread.
const CHUNK: usize = 1 << 18;

fn reduce<T: Accumulate>(exec: &Exec, x: &Array, axes: &[usize], f: Fold) -> Result<Array> {
    let kept: Vec<usize> = (0..x.ndim()).filter(|d| !axes.contains(d)).collect();
    let out_shape: Vec<usize> = kept.iter().map(|&d| x.shape[d]).collect();
    let n: usize = out_shape.iter().product();
    let inner = Axes::of(x, axes);
    let mut acc = vec![T::start(f); n];
    if x.size() > 0 {
        let rowwise = kept.last().is_some_and(|&d| x.strides[d] == 1 && x.shape[d] >= 8) && axes.last().is_none_or(|&d| x.strides[d] != 1);
        if rowwise {
            let row = out_shape.last().copied().unwrap_or(1);
            add_rows::<T>(exec, x, f, &mut acc, row, &Axes::of(x, &kept[..kept.len() - 1]).starts(x), &inner)?;
        } else {
            fold_each::<T>(exec, x, f, &mut acc, &Axes::of(x, &kept).starts(x), &inner)?;
        }
    }
    Ok(exec.array(acc, &out_shape))
}

/// Some of an array's axes.
struct Axes {
    shape: Vec<usize>,
    strides: smallvec::SmallVec<[isize; 6]>,
}
impl Axes {
    fn of(x: &Array, axes: &[usize]) -> Axes {
        Axes { shape: axes.iter().map(|&d| x.shape[d]).collect(), strides: axes.iter().map(|&d| x.strides[d]).collect() }
    }
    fn runs(&self) -> Runs<1> {
        runs(&self.shape, [&self.strides])
    }
    /// Where each of their elements lies, the other axes at 0.
    fn starts(&self, x: &Array) -> Vec<isize> {
        self.runs().flat_map(|r| (0..r.len as isize).map(move |i| x.offset as isize + r.offsets[0] + i * r.strides[0])).collect()
    }
}

/// The kept axis lies together: whole rows are added to rows of results, of `row` elements, one for each of `starts`.
fn add_rows<T: Accumulate>(exec: &Exec, x: &Array, f: Fold, acc: &mut [T], row: usize, starts: &[isize], inner: &Axes) -> Result<()> {
    let raw = x.raw::<T>()?;
    // Rows are counted through all runs, which have one length, and cut in blocks, whose results are joined in order.
    let runs: Vec<Run<1>> = inner.runs().collect();
    let len = runs.first().map_or(0, |r| r.len);
    let rows = runs.len() * len;
    let block = (CHUNK / row).max(1).max(rows.div_ceil(64));
    let blocks = rows.div_ceil(block).max(1);
    let mut parts = vec![T::start(f); if blocks > 1 { starts.len() * blocks * row } else { 0 }];
    let shared = Shared::new(if blocks > 1 { &mut parts } else { &mut *acc });
    exec.chunks(starts.len() * blocks, (CHUNK / (x.size() / (starts.len() * blocks)).max(1)).max(1), &|from, to| {
        for c in from..to {
            let (start, first) = (starts[c / blocks], c % blocks * block);
            // SAFETY: the rows lie in the array, and a chunk has rows of results of its own.
            unsafe {
                fold_in_pairs(
                    f,
                    (first, (first + block).min(rows)),
                    row,
                    shared.ptr().add(c * row),
                    &|(mut at, last), (column, n), out| {
                        while at < last {
                            let (run, count) = (&runs[at / len], (len - at % len).min(last - at));
                            T::columns(f)(
                                raw.as_ptr().offset(start + run.offsets[0] + (at % len) as isize * run.strides[0] + column as isize),
                                count,
                                n,
                                run.strides[0],
                                out,
                            );
                            at += count;
                        }
                    },
                );
            }
        }
    });
    if blocks > 1 {
        for (out, parts) in acc.chunks_mut(row).zip(parts.chunks(blocks * row)) {
            for part in parts.chunks(row) {
                for (o, p) in out.iter_mut().zip(part) {
                    *o = T::join(f, *o, *p);
                }
            }
        }
    }
    Ok(())
}

/// Each result by itself.
fn fold_each<T: Accumulate>(exec: &Exec, x: &Array, f: Fold, acc: &mut [T], starts: &[isize], inner: &Axes) -> Result<()> {
    let raw = x.raw::<T>()?;
    let fold = T::rows(f);
    let per = x.size() / acc.len();
    let shared = Shared::new(acc);
    exec.chunks(starts.len(), (CHUNK / per).max(1), &|from, to| {
        // SAFETY: chunks are disjoint.
        let out = unsafe { shared.range(from, to) };
        let mut block: Vec<T> = Vec::new();
        for (o, start) in out.iter_mut().zip(&starts[from..to]) {
            let mut parts = Pairwise::new(f);
            let mut join = |xs: &[T]| {
                let mut part = T::start(f);
                // SAFETY: a row that is a slice.
                unsafe { fold(xs.as_ptr(), 1, xs.len(), 0, &mut part) };
                parts.push(part);
            };
            for run in inner.runs() {
                let at = start + run.offsets[0];
                if run.strides[0] == 1 {
                    join(&raw[at as usize..at as usize + run.len]);
                    continue;
                }
                // Gathered in the blocks of a row, so that the order is the same for every layout of one run.
                for i in 0..run.len as isize {
                    block.push(raw[(at + i * run.strides[0]) as usize]);
                    if block.len() == BLOCK {
                        join(&block);
                        block.clear();
                    }
                }
            }
            if !block.is_empty() {
                join(&block);
            }
            block.clear();
            *o = parts.behind(*o);
        }
    });
    Ok(())
}

/// The mean over some axes of the squared distance from the mean: floats of any layout, halves through float32.
pub fn variance(exec: &Exec, x: &Array, axes: &[usize]) -> Result<Array> {
    match x.dtype {
        DType::F64 => spread::<f64>(exec, x, axes),
        _ => halves(exec, &[x], &|xs| spread::<f32>(exec, xs[0], axes)),
    }
}

fn spread<T: Element + Sub<Output = T> + Mul<Output = T> + Div<Output = T>>(exec: &Exec, x: &Array, axes: &[usize]) -> Result<Array> {
    let n = T::from_f64(axes.iter().map(|&d| x.shape[d]).product::<usize>() as f64);
    let average = |x: &Array| map1(exec, x.dtype, &fold(exec, x, axes, Fold::Sum)?, |s: T| s / n);
    let kept: Vec<usize> = (0..x.ndim()).filter(|d| !axes.contains(d)).collect();
    let squares = map2(exec, x.dtype, x, &average(x)?.broadcast(&x.shape, &kept), |x: T, mean: T| {
        let d = x - mean;
        d * d
    })?;
    average(&squares)
}

/// Normalised over some axes: floats of any layout, halves through float32.
pub fn normalise(exec: &Exec, x: &Array, axes: &[usize], norm: Norm) -> Result<Array> {
    // Those axes go last, and back in a view of the result.
    let order: Vec<usize> = (0..x.ndim()).filter(|d| !axes.contains(d)).chain(axes.iter().copied()).collect();
    let len: usize = axes.iter().map(|&d| x.shape[d]).product();
    let rows = ordered(x, &order);
    let out = match x.dtype {
        DType::F64 => norm_last::<f64>(exec, &rows, len, norm),
        _ => halves(exec, &[&rows], &|xs| norm_last::<f32>(exec, xs[0], len, norm)),
    }?;
    let back: Vec<usize> = (0..x.ndim()).filter_map(|d| order.iter().position(|&o| o == d)).collect();
    Ok(ordered(&out, &back))
}

fn ordered(x: &Array, order: &[usize]) -> Array {
    x.view(&order.iter().map(|&d| x.shape[d]).collect::<Vec<_>>(), &order.iter().map(|&d| x.strides[d]).collect::<Vec<_>>(), x.offset)
}

/// The last axes, of `len` elements in all, normalised.
fn norm_last<T: Float>(exec: &Exec, x: &Array, len: usize, norm: Norm) -> Result<Array> {
    let x = exec.contiguous(x.clone());
    let s = x.to_slice::<T>()?;
    let mut out: Vec<T> = exec.vec(s.len());
    if !s.is_empty() {
        let shared = Shared::new(&mut out);
        exec.chunks(s.len() / len, (CHUNK / 4 / len).max(1), &|from, to| {
            let (a, b) = (from * len, to * len);
            // SAFETY: chunks are disjoint rows of both.
            unsafe { T::norm_rows(norm, s[a..b].as_ptr(), shared.range(a, b).as_mut_ptr(), to - from, len) }
        });
    }
    Ok(exec.array(out, &x.shape))
}
