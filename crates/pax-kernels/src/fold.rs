//! How numbers are folded, and the loops that do it.
use std::mem::MaybeUninit;

use crate::dtype::Element;
use crate::rows::{columns_of, rows_of};
use crate::tile::Simd;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fold {
    Sum = 0,
    Prod = 1,
    Max = 2,
    Min = 3,
}

/// A loop over rows of elements: the first one, how many rows, how long and how far apart, and results.
pub type Rows<T> = unsafe fn(*const T, usize, usize, isize, *mut T);

/// How elements are folded. Max and min keep NaN, integers wrap.
pub trait Accumulate: Element {
    /// Of NaN alone it is above `INFINITE`.
    type Magnitude: Copy + Default + Ord;
    const INFINITE: Self::Magnitude;
    fn magnitude(self) -> Self::Magnitude;
    fn start(f: Fold) -> Self;
    fn join(f: Fold, a: Self, b: Self) -> Self;
    /// Each of some rows to one number.
    fn rows(f: Fold) -> Rows<Self>;
    /// Joins rows to a row of numbers, in order.
    fn columns(f: Fold) -> Rows<Self>;
}

/// The loop of a fold.
macro_rules! by_fold {
    ($fold:expr, $f:ident, $t:ty) => {
        match $fold {
            Fold::Sum => $f::<$t, 0>(Simd::detect()),
            Fold::Prod => $f::<$t, 1>(Simd::detect()),
            Fold::Max => $f::<$t, 2>(Simd::detect()),
            Fold::Min => $f::<$t, 3>(Simd::detect()),
        }
    };
}

macro_rules! accumulate {
    ($t:ty, $add:expr, $mul:expr, $low:expr, $high:expr, $magnitude:ty, $infinite:expr, $of:expr) => {
        impl Accumulate for $t {
            type Magnitude = $magnitude;
            const INFINITE: $magnitude = $infinite;
            #[inline(always)]
            fn magnitude(self) -> $magnitude {
                $of(self)
            }
            #[inline(always)]
            fn start(f: Fold) -> $t {
                match f {
                    Fold::Sum => 0 as $t,
                    Fold::Prod => 1 as $t,
                    Fold::Max => $low,
                    Fold::Min => $high,
                }
            }
            #[allow(clippy::eq_op)] // x != x is NaN's test, and false for integers
            #[inline(always)]
            fn join(f: Fold, a: $t, b: $t) -> $t {
                match f {
                    Fold::Sum => $add(a, b),
                    Fold::Prod => $mul(a, b),
                    Fold::Max => {
                        if a > b || a != a {
                            a
                        } else {
                            b
                        }
                    }
                    Fold::Min => {
                        if a < b || a != a {
                            a
                        } else {
                            b
                        }
                    }
                }
            }
            #[inline(never)]
            fn rows(f: Fold) -> Rows<$t> {
                by_fold!(f, rows_of, $t)
            }
            #[inline(never)]
            fn columns(f: Fold) -> Rows<$t> {
                by_fold!(f, columns_of, $t)
            }
        }
    };
}
macro_rules! floats {
    ($($t:ident $bits:ident;)*) => { $(accumulate!(
        $t, |a, b| a + b, |a, b| a * b, $t::NEG_INFINITY, $t::INFINITY, $bits, $t::INFINITY.to_bits(), |x: $t| x.abs().to_bits()
    );)* };
}
macro_rules! integers {
    ($($t:ident)*) => { $(accumulate!($t, $t::wrapping_add, $t::wrapping_mul, $t::MIN, $t::MAX, (), (), |_| ());)* };
}
floats! { f32 u32; f64 u64; }
integers! { i32 i64 u32 }

/// Folds numbers in pairs, of pairs, …: the error of a sum grows with the logarithm of their number.
pub struct Pairwise<T> {
    fold: Fold,
    count: u64,
    parts: [MaybeUninit<T>; 64],
}

impl<T: Accumulate> Pairwise<T> {
    pub fn new(fold: Fold) -> Pairwise<T> {
        Pairwise { fold, count: 0, parts: [const { MaybeUninit::uninit() }; 64] }
    }

    #[inline(always)]
    pub fn push(&mut self, mut x: T) {
        // The ones at the count's end are pairs that are full now.
        let full = self.count.trailing_ones() as usize;
        for i in 0..full {
            x = T::join(self.fold, self.part(i), x);
        }
        self.parts[full].write(x);
        self.count += 1;
    }

    /// All of them, behind `first`.
    #[inline(always)]
    pub fn behind(&self, first: T) -> T {
        if self.count == 0 {
            return first;
        }
        let mut rest = self.count;
        let mut x = self.part(rest.trailing_zeros() as usize);
        loop {
            rest &= rest - 1;
            if rest == 0 {
                return T::join(self.fold, first, x);
            }
            x = T::join(self.fold, self.part(rest.trailing_zeros() as usize), x);
        }
    }

    // SAFETY: what has a bit in the count has been written.
    #[inline(always)]
    fn part(&self, i: usize) -> T {
        unsafe { self.parts[i].assume_init() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_in_pairs_are_exact_for_long_rows_and_columns() {
        const N: usize = 3_000_000;
        let mut parts = Pairwise::new(Fold::Sum);
        for _ in 0..N {
            parts.push(0.1f32);
        }
        let near = |got: f32| assert!((got as f64 / (N as f64 * 0.1f32 as f64) - 1.0).abs() < 3e-6, "{got}");
        near(parts.behind(0.0));
        let (x, mut out) = (vec![0.1f32; N * 3], [0f32; 3]);
        // SAFETY: there are so many rows.
        unsafe {
            crate::rows::fold_in_pairs(Fold::Sum, (0, N), 3, out.as_mut_ptr(), &|(from, to), (column, n), out| {
                f32::columns(Fold::Sum)(x.as_ptr().add(from * 3 + column), to - from, n, 3, out)
            });
            out.iter().for_each(|&y| near(y));
            f32::rows(Fold::Sum)(x.as_ptr(), 1, N, 0, out.as_mut_ptr());
        }
        near(out[0]);
        assert_eq!(Pairwise::<i32>::new(Fold::Prod).behind(7), 7);
    }
}
