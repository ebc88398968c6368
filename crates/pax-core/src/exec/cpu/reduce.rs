//! Reductions over axes, in an order fixed by the shape.
use half::{bf16, f16};

use crate::array::runs;
use crate::dtype::Element;
use crate::exec::{Exec, Shared};
use crate::{Array, DType, Result};

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fold { Sum, Prod, Max, Min }

/// How elements of `T` are folded: accumulator and the four operations. Max and min keep NaN.
pub(super) trait Accumulate: Element {
    type Acc: Copy + Send + Sync;
    type Out: Element;
    const OUT: DType;
    fn start(f: Fold) -> Self::Acc;
    fn lift(self) -> Self::Acc;
    fn join(f: Fold, a: Self::Acc, b: Self::Acc) -> Self::Acc;
    fn done(a: Self::Acc) -> Self::Out;
}

macro_rules! accumulate {
    ($t:ty, $acc:ty, $out:ty, $dtype:ident, $add:expr, $mul:expr, $low:expr, $high:expr, $lift:expr, $done:expr) => {
        impl Accumulate for $t {
            type Acc = $acc;
            type Out = $out;
            const OUT: DType = DType::$dtype;
            #[inline(always)] fn start(f: Fold) -> $acc { match f { Fold::Sum => 0 as $acc, Fold::Prod => 1 as $acc, Fold::Max => $low, Fold::Min => $high } }
            #[inline(always)] fn lift(self) -> $acc { $lift(self) }
            #[allow(clippy::eq_op)] // x != x is NaN's test, and false for integers
            #[inline(always)] fn join(f: Fold, a: $acc, b: $acc) -> $acc {
                match f {
                    Fold::Sum => $add(a, b),
                    Fold::Prod => $mul(a, b),
                    Fold::Max => if a > b || a != a { a } else { b },
                    Fold::Min => if a < b || a != a { a } else { b },
                }
            }
            #[inline(always)] fn done(a: $acc) -> $out { $done(a) }
        }
    };
}
accumulate!(f32, f32, f32, F32, |a, b| a + b, |a, b| a * b, f32::NEG_INFINITY, f32::INFINITY, |x| x, |a| a);
accumulate!(f64, f64, f64, F64, |a, b| a + b, |a, b| a * b, f64::NEG_INFINITY, f64::INFINITY, |x| x, |a| a);
accumulate!(f16, f32, f16, F16, |a, b| a + b, |a, b| a * b, f32::NEG_INFINITY, f32::INFINITY, f16::to_f32, f16::from_f32);
accumulate!(bf16, f32, bf16, BF16, |a, b| a + b, |a, b| a * b, f32::NEG_INFINITY, f32::INFINITY, bf16::to_f32, bf16::from_f32);
accumulate!(i32, i32, i32, I32, i32::wrapping_add, i32::wrapping_mul, i32::MIN, i32::MAX, |x| x, |a| a);
accumulate!(i64, i64, i64, I64, i64::wrapping_add, i64::wrapping_mul, i64::MIN, i64::MAX, |x| x, |a| a);
accumulate!(u32, u32, u32, U32, u32::wrapping_add, u32::wrapping_mul, u32::MIN, u32::MAX, |x| x, |a| a);
accumulate!(u8, u32, u32, U32, u32::wrapping_add, u32::wrapping_mul, u8::MIN as u32, u8::MAX as u32, |x| x as u32, |a| a);

/// Folds `x` over `axes` (sorted). Sums and products have the dtype of `DType::sum_result`, the others `x`'s.
pub fn fold(exec: &Exec, x: &Array, axes: &[usize], f: Fold) -> Result<Array> {
    match x.dtype {
        DType::F32 => reduce::<f32>(exec, x, axes, f),
        DType::F64 => reduce::<f64>(exec, x, axes, f),
        DType::F16 => reduce::<f16>(exec, x, axes, f),
        DType::BF16 => reduce::<bf16>(exec, x, axes, f),
        DType::I32 => reduce::<i32>(exec, x, axes, f),
        DType::I64 => reduce::<i64>(exec, x, axes, f),
        DType::U32 => reduce::<u32>(exec, x, axes, f),
        DType::U8 | DType::Bool => {
            let wide = reduce::<u8>(exec, x, axes, f)?;
            let raw = wide.to_slice::<u32>()?;
            Ok(match (x.dtype, f) {
                (d, Fold::Max | Fold::Min) => exec.array_as(d, raw.iter().map(|&v| v as u8).collect::<Vec<u8>>(), &wide.shape),
                (DType::Bool, _) => exec.array(raw.iter().map(|&v| v as i32).collect::<Vec<i32>>(), &wide.shape),
                _ => wide.clone(),
            })
        }
    }
}

/// Partial sums of a contiguous run: enough for SIMD, and a fixed order.
const LANES: usize = 16;

#[inline(always)]
fn fold_run<T: Accumulate>(f: Fold, xs: &[T]) -> T::Acc {
    let mut acc = [T::start(f); LANES];
    let chunks = xs.chunks_exact(LANES);
    let rest = chunks.remainder();
    for c in chunks { for l in 0..LANES { acc[l] = T::join(f, acc[l], c[l].lift()); } }
    for (l, &v) in rest.iter().enumerate() { acc[l] = T::join(f, acc[l], v.lift()); }
    join_lanes::<T>(f, acc)
}

#[inline(always)]
fn join_lanes<T: Accumulate>(f: Fold, mut acc: [T::Acc; LANES]) -> T::Acc {
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for l in 0..width { acc[l] = T::join(f, acc[l], acc[l + width]); }
    }
    acc[0]
}

/// Elements of a run that are folded at once; longer runs are split here, so that sums stay accurate.
const BLOCK: usize = 4096;

#[inline(always)]
fn fold_long<T: Accumulate>(f: Fold, xs: &[T]) -> T::Acc {
    let mut acc = T::start(f);
    for block in xs.chunks(BLOCK) { acc = T::join(f, acc, fold_run(f, block)); }
    acc
}

fn reduce<T: Accumulate>(exec: &Exec, x: &Array, axes: &[usize], f: Fold) -> Result<Array> {
    // Monomorphic in `f`, so that the inner loops are.
    match f {
        Fold::Sum => reduce_with::<T, 0>(exec, x, axes),
        Fold::Prod => reduce_with::<T, 1>(exec, x, axes),
        Fold::Max => reduce_with::<T, 2>(exec, x, axes),
        Fold::Min => reduce_with::<T, 3>(exec, x, axes),
    }
}

fn reduce_with<T: Accumulate, const F: u8>(exec: &Exec, x: &Array, axes: &[usize]) -> Result<Array> {
    let f = [Fold::Sum, Fold::Prod, Fold::Max, Fold::Min][F as usize];
    let kept: Vec<usize> = (0..x.ndim()).filter(|d| !axes.contains(d)).collect();
    let out_shape: Vec<usize> = kept.iter().map(|&d| x.shape[d]).collect();
    let n: usize = out_shape.iter().product();
    let raw = x.raw::<T>()?;
    let inner_shape: Vec<usize> = axes.iter().map(|&d| x.shape[d]).collect();
    let inner_strides: smallvec::SmallVec<[isize; 6]> = axes.iter().map(|&d| x.strides[d]).collect();
    let outer_strides: smallvec::SmallVec<[isize; 6]> = kept.iter().map(|&d| x.strides[d]).collect();
    let mut acc = vec![T::start(f); n];
    let base = x.offset as isize;
    if x.size() > 0 {
        let rowwise = kept.last().is_some_and(|&d| x.strides[d] == 1 && x.shape[d] >= 8) && axes.last().is_none_or(|&d| x.strides[d] != 1);
        if rowwise {
            // The kept axis lies together: add whole rows to the row of results.
            let row = out_shape.last().copied().unwrap_or(1);
            let rows: Vec<isize> = runs(&out_shape[..out_shape.len() - 1], &[&outer_strides[..outer_strides.len() - 1].into()])
                .flat_map(|r| (0..r.len as isize).map(move |i| r.offsets[0] + i * r.strides[0])).collect();
            let shared = Shared::new(&mut acc);
            // Strips of columns, so that one row of results is shared by no two chunks.
            let strip = row.div_ceil((x.size() / (1 << 17)).clamp(1, 16)).next_multiple_of(16);
            let strips = row.div_ceil(strip);
            exec.pool.run(rows.len() * strips, &|c| {
                let (r, s) = (c / strips, c % strips);
                let (from, to) = (s * strip, ((s + 1) * strip).min(row));
                // SAFETY: a chunk is a strip of one row of results.
                let out = unsafe { shared.range(r * row + from, r * row + to) };
                for run in runs(&inner_shape, &[&inner_strides]) {
                    for i in 0..run.len as isize {
                        let at = (base + rows[r] + run.offsets[0] + i * run.strides[0]) as usize + from;
                        for (o, v) in out.iter_mut().zip(&raw[at..at + to - from]) { *o = T::join(f, *o, v.lift()); }
                    }
                }
            });
        } else {
            let starts: Vec<isize> = runs(&out_shape, &[&outer_strides]).flat_map(|r| (0..r.len as isize).map(move |i| r.offsets[0] + i * r.strides[0])).collect();
            let shared = Shared::new(&mut acc);
            let per = x.size() / n.max(1);
            exec.chunks(n, ((1 << 16) / per.max(1)).max(1), &|from, to| {
                // SAFETY: chunks are disjoint.
                let out = unsafe { shared.range(from, to) };
                for (o, start) in out.iter_mut().zip(&starts[from..to]) {
                    let (mut lanes, mut k) = ([T::start(f); LANES], 0);
                    for run in runs(&inner_shape, &[&inner_strides]) {
                        let at = (base + start + run.offsets[0]) as usize;
                        if run.strides[0] == 1 {
                            *o = T::join(f, *o, fold_long::<T>(f, &raw[at..at + run.len]));
                            continue;
                        }
                        // The order of `fold_long`, so that it is the same for every layout of one run.
                        for i in 0..run.len as isize {
                            lanes[k % LANES] = T::join(f, lanes[k % LANES], raw[(at as isize + i * run.strides[0]) as usize].lift());
                            k += 1;
                            if k == BLOCK {
                                *o = T::join(f, *o, join_lanes::<T>(f, lanes));
                                (lanes, k) = ([T::start(f); LANES], 0);
                            }
                        }
                    }
                    if k > 0 { *o = T::join(f, *o, join_lanes::<T>(f, lanes)); }
                }
            });
        }
    }
    Ok(exec.array_as(T::OUT, acc.into_iter().map(T::done).collect(), &out_shape))
}
