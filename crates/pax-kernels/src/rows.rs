//! Rows of numbers: folds, softmax and normalisation of each, compiled for each level of vector instructions. They make no memory
//! and wake no thread, and what a row gives depends on nothing but the row.
use std::mem::MaybeUninit;
use std::ops::{Add, Div, Mul, Sub};

use crate::fold::{Accumulate, Fold, Pairwise};
use crate::lanes;
use crate::tile::Simd;
use crate::DType;

/// A body that is generic over the element type, a number `K` and whether multiply-adds are fused, in three compilations.
macro_rules! levels {
    ($(#[$doc:meta])* $name:ident<$bound:ident>($($a:ident: $t:ty),*) = $body:ident) => {
        $(#[$doc])*
        pub(crate) fn $name<T: $bound, const K: u8>(simd: Simd) -> unsafe fn($($t),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512vl,fma")]
            unsafe fn avx512<T: $bound, const K: u8>($($a: $t),*) { unsafe { $body::<T, K, true>($($a),*) } }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2<T: $bound, const K: u8>($($a: $t),*) { unsafe { $body::<T, K, true>($($a),*) } }
            unsafe fn base<T: $bound, const K: u8>($($a: $t),*) { unsafe { $body::<T, K, false>($($a),*) } }
            // The others are not worth the code.
            if const { !matches!(T::DTYPE, DType::F32 | DType::F64) } { return base::<T, K>; }
            match simd {
                #[cfg(target_arch = "x86_64")]
                Simd::Avx512 => avx512::<T, K>,
                #[cfg(target_arch = "x86_64")]
                Simd::Avx2 => avx2::<T, K>,
                _ => base::<T, K>,
            }
        }
    };
}

/// Elements that are folded at once; longer rows are split here, so that sums stay accurate.
pub const BLOCK: usize = 4096;

const SUM: u8 = Fold::Sum as u8;
const MAX: u8 = Fold::Max as u8;

/// True if the order of a fold says how much is rounded away.
#[inline(always)]
fn rounds<T: Accumulate>(fold: Fold) -> bool {
    T::DTYPE.is_float() && matches!(fold, Fold::Sum | Fold::Prod)
}

const fn named(k: u8) -> Fold {
    [Fold::Sum, Fold::Prod, Fold::Max, Fold::Min][k as usize]
}

/// In `L` partial folds: enough for vectors, and a fixed order.
#[inline(always)]
fn fold_lanes<T: Accumulate, const K: u8, const L: usize>(xs: &[T]) -> T {
    let f = named(K);
    let mut acc = [T::start(f); L];
    let chunks = xs.chunks_exact(L);
    let rest = chunks.remainder();
    for c in chunks {
        for l in 0..L {
            acc[l] = T::join(f, acc[l], c[l]);
        }
    }
    for (a, &v) in acc.iter_mut().zip(rest) {
        *a = T::join(f, *a, v);
    }
    let mut width = L;
    while width > 1 {
        width /= 2;
        for l in 0..width {
            acc[l] = T::join(f, acc[l], acc[l + width]);
        }
    }
    acc[0]
}

/// The extreme of lanes, as `fold_lanes`: NaN, which loses each comparison, is looked for beside.
#[inline(always)]
fn extreme_lanes<T: Accumulate, const K: u8>(xs: &[T]) -> T {
    const L: usize = 64;
    let (mut acc, mut top) = ([T::start(named(K)); L], [T::Magnitude::default(); L]);
    let wins = |v: T, a: T| if K == MAX { v > a } else { v < a };
    let chunks = xs.chunks_exact(L);
    let rest = chunks.remainder();
    for c in chunks {
        for l in 0..L {
            acc[l] = if wins(c[l], acc[l]) { c[l] } else { acc[l] };
            top[l] = top[l].max(c[l].magnitude());
        }
    }
    if rest.iter().fold(top.into_iter().fold(T::Magnitude::default(), Ord::max), |t, v| t.max(v.magnitude())) > T::INFINITE {
        return T::from_f64(f64::NAN);
    }
    rest.iter().fold(fold_lanes::<T, K, 16>(&acc), |a, &v| T::join(named(K), a, v))
}

/// Few lanes for few elements; many hide how long an operation takes. Integers have no order, and the compiler makes vectors itself.
#[inline(always)]
fn fold_block<T: Accumulate, const K: u8>(xs: &[T]) -> T {
    if !T::DTYPE.is_float() || xs.len() < SHORT {
        fold_lanes::<T, K, 1>(xs)
    } else if xs.len() < 256 {
        fold_lanes::<T, K, 16>(xs)
    } else if !rounds::<T>(named(K)) {
        extreme_lanes::<T, K>(xs)
    } else {
        fold_lanes::<T, K, 64>(xs)
    }
}

#[inline(always)]
fn fold_row<T: Accumulate, const K: u8>(xs: &[T]) -> T {
    if xs.len() <= BLOCK || !rounds::<T>(named(K)) {
        return fold_block::<T, K>(xs);
    }
    let mut blocks = Pairwise::new(named(K));
    for block in xs.chunks(BLOCK) {
        blocks.push(fold_block::<T, K>(block));
    }
    blocks.behind(T::start(named(K)))
}

/// Rows of fewer elements are folded one element after the other, so many rows at once.
const SHORT: usize = 16;

#[inline(always)]
unsafe fn fold_rows<T: Accumulate, const K: u8, const M: bool>(x: *const T, rows: usize, len: usize, stride: isize, out: *mut T) {
    let f = named(K);
    let mut whole = 0;
    if T::DTYPE.is_float() && len < SHORT {
        whole = rows / SHORT * SHORT;
        for from in (0..whole).step_by(SHORT) {
            let mut acc = [T::start(f); SHORT];
            for i in 0..len {
                for (r, a) in acc.iter_mut().enumerate() {
                    // SAFETY: the caller's.
                    *a = T::join(f, *a, unsafe { *x.offset((from + r) as isize * stride + i as isize) });
                }
            }
            // SAFETY: the caller's.
            unsafe { std::slice::from_raw_parts_mut(out.add(from), SHORT) }.copy_from_slice(&acc);
        }
    }
    for r in whole..rows {
        // SAFETY: the caller's.
        unsafe { *out.add(r) = fold_row::<T, K>(std::slice::from_raw_parts(x.offset(r as isize * stride), len)) };
    }
}

/// Four rows in pairs, so that one addition waits for those before. Arguments tell the compiler that nothing overlaps.
#[inline(always)]
fn fold_four<T: Accumulate, const K: u8>(out: &mut [T], [a, b, c, d]: [&[T]; 4]) {
    let f = named(K);
    for ((((o, &a), &b), &c), &d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *o = T::join(f, *o, T::join(f, T::join(f, a, b), T::join(f, c, d)));
    }
}

#[inline(always)]
fn fold_one<T: Accumulate, const K: u8>(out: &mut [T], a: &[T]) {
    for (o, &a) in out.iter_mut().zip(a) {
        *o = T::join(named(K), *o, a);
    }
}

/// Rows that are added one after the other, and columns that go together where there are more.
const TALL: usize = 512;
const STRIP: usize = 512;

/// Adds rows `from..to` of so many columns from a first one on to accumulators.
pub type AddRows<'a, T> = &'a dyn Fn((usize, usize), (usize, usize), *mut T);

/// `add` of the rows and of `columns`: sums of many rows are made of pairs of sums, of pairs, …, so that they stay accurate.
///
/// # Safety
/// `out` holds an accumulator for each column, and nobody else uses it.
pub unsafe fn fold_in_pairs<T: Accumulate>(fold: Fold, rows: (usize, usize), columns: usize, out: *mut T, add: AddRows<T>) {
    if rows.1 - rows.0 <= TALL || !rounds::<T>(fold) {
        return add(rows, (0, columns), out);
    }
    // SAFETY: the caller's.
    unsafe {
        for at in (0..columns).step_by(STRIP) {
            halves(fold, rows, (at, STRIP.min(columns - at)), out.add(at), add);
        }
    }
}

unsafe fn halves<T: Accumulate>(fold: Fold, (from, to): (usize, usize), strip: (usize, usize), out: *mut T, add: AddRows<T>) {
    if to - from <= TALL {
        return add((from, to), strip, out);
    }
    let middle = from + (to - from) / 2;
    let mut room = [const { MaybeUninit::<T>::uninit() }; STRIP];
    for x in &mut room[..strip.1] {
        x.write(T::start(fold));
    }
    let part = room.as_mut_ptr().cast::<T>();
    // SAFETY: the caller's; a strip has so many columns at most, and its accumulators were written.
    unsafe {
        halves(fold, (from, middle), strip, out, add);
        halves(fold, (middle, to), strip, part, add);
        T::columns(fold)(part, 1, strip.1, 0, out);
    }
}

#[inline(always)]
unsafe fn fold_columns<T: Accumulate, const K: u8, const M: bool>(x: *const T, rows: usize, len: usize, stride: isize, out: *mut T) {
    // SAFETY: the caller's.
    unsafe {
        let row = |r: usize| std::slice::from_raw_parts(x.offset(r as isize * stride), len);
        let out = std::slice::from_raw_parts_mut(out, len);
        let whole = rows / 4 * 4;
        for r in (0..whole).step_by(4) {
            fold_four::<T, K>(out, [row(r), row(r + 1), row(r + 2), row(r + 3)]);
        }
        for r in whole..rows {
            fold_one::<T, K>(out, row(r));
        }
    }
}

levels!(
    /// Each of `rows` rows of `len` elements, `stride` apart, to one accumulator.
    rows_of<Accumulate>(x: *const T, rows: usize, len: usize, stride: isize, out: *mut T) = fold_rows);
levels!(
    /// Joins each of `rows` rows of `len` elements, `stride` apart, to a row of accumulators, in order.
    columns_of<Accumulate>(x: *const T, rows: usize, len: usize, stride: isize, out: *mut T) = fold_columns);

/// A float that rows are normalised in.
pub trait Float: Accumulate + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> {
    fn exp_in_row<const M: bool>(self) -> Self;
    fn log(self) -> Self;
    fn root(self) -> Self;
    /// Each of `rows` rows of `len` numbers, which lie together, normalised.
    ///
    /// # Safety
    /// `x` and `out` hold `rows * len` numbers and do not overlap.
    unsafe fn norm_rows(norm: Norm, x: *const Self, out: *mut Self, rows: usize, len: usize);
}
macro_rules! float {
    ($t:ident, $exp:expr) => {
        impl Float for $t {
            #[inline(always)]
            fn exp_in_row<const M: bool>(self) -> $t {
                $exp(self)
            }
            #[inline(always)]
            fn log(self) -> $t {
                self.ln()
            }
            #[inline(always)]
            fn root(self) -> $t {
                self.sqrt()
            }
            unsafe fn norm_rows(norm: Norm, x: *const $t, out: *mut $t, rows: usize, len: usize) {
                // SAFETY: the caller's.
                unsafe { norm_rows(norm, x, out, rows, len) }
            }
        }
    };
}
float!(f32, lanes::exp::<f32, M>);
float!(f64, f64::exp);

/// `out[i] = f(x[i])`; arguments tell the compiler that nothing overlaps.
#[inline(always)]
fn each<T: Copy>(out: &mut [T], x: &[T], f: impl Fn(T) -> T) {
    for (o, &v) in out.iter_mut().zip(x) {
        *o = f(v);
    }
}

/// `Σ f(x[i])`, by way of a few numbers in the first cache.
#[inline(always)]
fn sum_of<T: Float>(x: &[T], f: impl Fn(T) -> T) -> T {
    let (mut sum, mut part) = (T::from_f64(0.0), [T::from_f64(0.0); 256]);
    for block in x.chunks(256) {
        let part = &mut part[..block.len()];
        each(part, block, &f);
        sum = sum + fold_row::<T, SUM>(part);
    }
    sum
}

const SOFTMAX: u8 = 0;
const LOG_SOFTMAX: u8 = 1;
const LAYER_NORM: u8 = 2;

#[inline(always)]
unsafe fn normalise<T: Float, const K: u8, const M: bool>(x: *const T, out: *mut T, rows: usize, len: usize, eps: T) {
    for r in 0..rows {
        // SAFETY: the caller's.
        let (x, out) = unsafe { (std::slice::from_raw_parts(x.add(r * len), len), std::slice::from_raw_parts_mut(out.add(r * len), len)) };
        if K == LAYER_NORM {
            let n = T::from_f64(len as f64);
            let mean = fold_row::<T, SUM>(x) / n;
            let variance = sum_of(x, |v| (v - mean) * (v - mean)) / n;
            let scale = T::from_f64(1.0) / (variance + eps).root();
            each(out, x, |v| (v - mean) * scale);
            continue;
        }
        let top = fold_row::<T, MAX>(x);
        if K == SOFTMAX {
            each(out, x, |v| (v - top).exp_in_row::<M>());
            let scale = T::from_f64(1.0) / fold_row::<T, SUM>(out);
            for o in out {
                *o = *o * scale;
            }
        } else {
            let log = sum_of(x, |v| (v - top).exp_in_row::<M>()).log();
            each(out, x, |v| v - top - log);
        }
    }
}

levels!(normalise_of<Float>(x: *const T, out: *mut T, rows: usize, len: usize, eps: T) = normalise);

/// What rows are normalised to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Norm {
    Softmax,
    LogSoftmax,
    LayerNorm { eps: f64 },
}

unsafe fn norm_rows<T: Float>(norm: Norm, x: *const T, out: *mut T, rows: usize, len: usize) {
    let (f, eps) = match norm {
        Norm::Softmax => (normalise_of::<T, SOFTMAX>(Simd::detect()), 0.0),
        Norm::LogSoftmax => (normalise_of::<T, LOG_SOFTMAX>(Simd::detect()), 0.0),
        Norm::LayerNorm { eps } => (normalise_of::<T, LAYER_NORM>(Simd::detect()), eps),
    };
    // SAFETY: the caller's; `detect` names a level of this machine.
    unsafe { f(x, out, rows, len, T::from_f64(eps)) }
}
#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + 13) % 1009) as f32 / 300.0 - 1.7).collect()
    }
    fn exact(fold: Fold, xs: &[f32]) -> f64 {
        let xs = xs.iter().map(|&x| x as f64);
        match fold {
            Fold::Sum => xs.sum(),
            Fold::Prod => xs.product(),
            Fold::Max => xs.fold(f64::NEG_INFINITY, f64::max),
            Fold::Min => xs.fold(f64::INFINITY, f64::min),
        }
    }
    const FOLDS: [Fold; 4] = [Fold::Sum, Fold::Prod, Fold::Max, Fold::Min];
    type Loop = unsafe fn(*const f32, usize, usize, isize, *mut f32);
    fn loops(simd: Simd, fold: Fold) -> [Loop; 2] {
        match fold {
            Fold::Sum => [rows_of::<f32, 0>(simd), columns_of::<f32, 0>(simd)],
            Fold::Prod => [rows_of::<f32, 1>(simd), columns_of::<f32, 1>(simd)],
            Fold::Max => [rows_of::<f32, 2>(simd), columns_of::<f32, 2>(simd)],
            Fold::Min => [rows_of::<f32, 3>(simd), columns_of::<f32, 3>(simd)],
        }
    }

    #[test]
    fn folds_of_every_size() {
        for simd in Simd::levels() {
            for fold in FOLDS {
                for len in (0..70).chain([255, 256, 1000, 4095, 4096, 9000]) {
                    let (n, stride) = (if len > 300 { 2 } else { 7 }, len + 3);
                    let x = numbers(n * stride);
                    let size =
                        |xs: &[f32]| if fold == Fold::Prod { exact(fold, xs).abs() } else { xs.iter().map(|v| v.abs() as f64).sum() };
                    let check = |got: f32, xs: &[f32]| {
                        assert!(
                            got as f64 == exact(fold, xs) || (got as f64 - exact(fold, xs)).abs() <= 1e-6 * size(xs).min(1e40),
                            "{simd:?} {fold:?} {len}: {got} is not {}",
                            exact(fold, xs)
                        )
                    };
                    let (mut across, mut down) = (vec![f32::NAN; n], vec![f32::start(fold); len]);
                    let [rows, columns] = loops(simd, fold);
                    // SAFETY: the vectors are as large as the rows say.
                    unsafe {
                        rows(x.as_ptr(), n, len, stride as isize, across.as_mut_ptr());
                        columns(x.as_ptr(), n, len, stride as isize, down.as_mut_ptr());
                    }
                    for (r, &got) in across.iter().enumerate() {
                        let row = &x[r * stride..r * stride + len];
                        if fold != Fold::Prod || len < 60 {
                            check(got, row);
                        }
                    }
                    for (j, &got) in down.iter().enumerate() {
                        check(got, &(0..n).map(|r| x[r * stride + j]).collect::<Vec<_>>());
                    }
                }
            }
        }
    }

    #[test]
    fn nan_wins_wherever_it_is() {
        for simd in Simd::levels() {
            for fold in FOLDS {
                for (len, at) in [(5, 0), (5, 4), (40, 17), (300, 0), (300, 299), (5000, 4500)] {
                    let mut x = numbers(len);
                    x[at] = f32::NAN;
                    let (mut across, mut down) = ([0.0], [f32::start(fold)]);
                    let [rows, columns] = loops(simd, fold);
                    // SAFETY: a row, and a column of the same numbers.
                    unsafe {
                        rows(x.as_ptr(), 1, len, 0, across.as_mut_ptr());
                        columns(x.as_ptr(), len, 1, 1, down.as_mut_ptr());
                    }
                    assert!(across[0].is_nan() && down[0].is_nan(), "{simd:?} {fold:?} {len} {at}");
                }
            }
        }
    }

    #[test]
    fn rows_are_normalised() {
        for simd in Simd::levels() {
            for len in (1..70).chain([257, 1000, 5000]) {
                let x = numbers(3 * len);
                let run = |f: unsafe fn(*const f32, *mut f32, usize, usize, f32), x: &[f32]| {
                    let mut out = vec![f32::NAN; x.len()];
                    // SAFETY: both hold the rows.
                    unsafe { f(x.as_ptr(), out.as_mut_ptr(), x.len() / len, len, 0.5) };
                    out
                };
                let [soft, log, layer] =
                    [normalise_of::<f32, SOFTMAX>(simd), normalise_of::<f32, LOG_SOFTMAX>(simd), normalise_of::<f32, LAYER_NORM>(simd)];
                let (s, l, n) = (run(soft, &x), run(log, &x), run(layer, &x));
                for r in 0..3 {
                    let row: Vec<f64> = x[r * len..(r + 1) * len].iter().map(|&v| v as f64).collect();
                    let sum: f64 = row.iter().map(|v| v.exp()).sum();
                    let mean = row.iter().sum::<f64>() / len as f64;
                    let scale = 1.0 / (row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / len as f64 + 0.5).sqrt();
                    for (j, v) in row.iter().enumerate() {
                        let at = r * len + j;
                        assert!((s[at] as f64 - v.exp() / sum).abs() <= 1e-6 * v.exp() / sum, "{simd:?} softmax {len}");
                        assert!(
                            (l[at] as f64 - (v - sum.ln())).abs() <= 2e-6 * (v - sum.ln()).abs().max(1.0),
                            "{simd:?} log_softmax {len}"
                        );
                        assert!((n[at] as f64 - (v - mean) * scale).abs() <= 3e-6, "{simd:?} layer_norm {len}");
                    }
                    // A row by itself has the same bits.
                    assert_eq!(run(soft, &x[r * len..(r + 1) * len]), &s[r * len..(r + 1) * len]);
                }
                for bad in [f32::NAN, f32::INFINITY] {
                    let mut x = x.clone();
                    x[len - 1] = bad;
                    for f in [soft, log, layer] {
                        let out = run(f, &x);
                        assert!(out[len - 1].is_nan() && out[len..].iter().all(|v| v.is_finite()), "{simd:?} {bad} in a row of {len}");
                    }
                }
                let mut x = x.clone();
                x[0] = f32::NEG_INFINITY;
                if len > 1 {
                    assert!(
                        run(soft, &x)[0] == 0.0 && run(log, &x)[0] == f32::NEG_INFINITY && run(soft, &x)[1..].iter().all(|v| v.is_finite())
                    );
                }
            }
        }
    }
}
