//! What element-wise functions are written in: a float32, whose loops the compiler makes vectors of, or a vector of WebAssembly.
#![allow(clippy::excessive_precision)] // coefficients as they were published
use std::ops::{Add, BitOr, Div, Mul, Neg, Sub};

pub trait Lanes: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self> {
    /// What comparisons give.
    type Mask: Copy + BitOr<Output = Self::Mask>;
    fn all(x: f32) -> Self;
    /// `self · b + c`, fused with `F` where the instruction set has it.
    fn fma<const F: bool>(self, b: Self, c: Self) -> Self;
    fn abs(self) -> Self;
    fn copysign(self, sign: Self) -> Self;
    fn lt(self, y: Self) -> Self::Mask;
    fn le(self, y: Self) -> Self::Mask;
    fn is(self, y: Self) -> Self::Mask;
    fn is_not(self, y: Self) -> Self::Mask;
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// The lesser of both; NaN if `self` is.
    fn at_most(self, y: Self) -> Self;
    /// The greater of both; NaN if `self` is.
    fn at_least(self, y: Self) -> Self;
    /// Without the last `bits` bits of the mantissa, rounded to even; NaN is any number.
    fn rounded(self, bits: u32) -> Self;
    /// `2^n`, where `self` is `n + ROUND` and `n` in -126..=128 (infinity).
    fn power(self) -> Self;
    /// `self · 2^n`, where `n + ROUND` is given and `self` near 1; in two factors, so that neither leaves the range where the result does not.
    fn scaled(self, n: Self) -> Self;
    /// Exponent, and mantissa between sqrt(1/2) and sqrt(2), of a number that is normal.
    fn parts(self) -> (Self, Self);

    #[inline(always)]
    fn gt(self, y: Self) -> Self::Mask { y.lt(self) }
    #[inline(always)]
    fn ge(self, y: Self) -> Self::Mask { y.le(self) }
    #[inline(always)]
    fn is_nan(self) -> Self::Mask { self.is_not(self) }
    /// 1 where it is, 0 elsewhere.
    #[inline(always)]
    fn bools(mask: Self::Mask) -> Self { Self::select(mask, Self::all(1.0), Self::all(0.0)) }
}

/// Adding it rounds to a whole number in the low bits of the mantissa; nothing is left of its own bits where those are moved to the exponent.
const ROUND: f32 = 12_582_912.0;
pub(crate) const EXPONENT: u32 = 23;
pub(crate) const ONE_BITS: i32 = 1f32.to_bits() as i32;
/// Of sqrt(1/2).
pub(crate) const HALF_BITS: i32 = 0x3f35_04f3;

impl Lanes for f32 {
    type Mask = bool;
    #[inline(always)]
    fn all(x: f32) -> f32 { x }
    #[inline(always)]
    fn fma<const F: bool>(self, b: f32, c: f32) -> f32 { if F { self.mul_add(b, c) } else { self * b + c } }
    #[inline(always)]
    fn abs(self) -> f32 { self.abs() }
    #[inline(always)]
    fn copysign(self, sign: f32) -> f32 { self.copysign(sign) }
    #[inline(always)]
    fn lt(self, y: f32) -> bool { self < y }
    #[inline(always)]
    fn le(self, y: f32) -> bool { self <= y }
    #[inline(always)]
    fn is(self, y: f32) -> bool { self == y }
    #[inline(always)]
    fn is_not(self, y: f32) -> bool { self != y }
    // A condition would let the compiler choose between addresses, element by element.
    #[inline(always)]
    fn select(mask: bool, yes: f32, no: f32) -> f32 { std::hint::select_unpredictable(mask, yes, no) }
    #[inline(always)]
    fn at_most(self, y: f32) -> f32 { f32::select(y < self, y, self) }
    #[inline(always)]
    fn at_least(self, y: f32) -> f32 { f32::select(y > self, y, self) }
    #[inline(always)]
    fn rounded(self, bits: u32) -> f32 {
        let x = self.to_bits();
        f32::from_bits(x.wrapping_add((1 << (bits - 1)) - 1 + (x >> bits & 1)) & (u32::MAX << bits))
    }
    #[inline(always)]
    fn power(self) -> f32 { f32::from_bits((self.to_bits() << EXPONENT).wrapping_add(ONE_BITS as u32)) }
    #[inline(always)]
    fn scaled(self, n: f32) -> f32 {
        let n = n.to_bits();
        let half = (n >> 1) << EXPONENT;
        f32::from_bits(self.to_bits().wrapping_add(half)) * f32::from_bits((n << EXPONENT).wrapping_sub(half).wrapping_add(ONE_BITS as u32))
    }
    #[inline(always)]
    fn parts(self) -> (f32, f32) {
        let shifted = (self.to_bits() as i32).wrapping_sub(HALF_BITS);
        ((shifted >> 23) as f32, f32::from_bits(((shifted & 0x007f_ffff) + HALF_BITS) as u32))
    }
}

/// `n + ROUND` and `e^r - 1` of `x = n ln 2 + r`, where `n` is whole and `r` within ln 2 / 2 (the coefficients are Cephes').
#[inline(always)]
fn parts_of_exp<T: Lanes, const F: bool>(x: T) -> (T, T) {
    let c = T::all;
    let t = x.fma::<F>(c(std::f32::consts::LOG2_E), c(ROUND));
    let whole = t - c(ROUND);
    let r = whole.fma::<F>(c(-1.428_606_8e-6), whole.fma::<F>(c(-0.693_145_75), x));
    // In pairs: what waits for what is half as long.
    let s = r * r;
    let p = r.fma::<F>(c(1.987_569_1e-4), c(1.398_199_9e-3));
    let p = p.fma::<F>(s, r.fma::<F>(c(8.333_452e-3), c(4.166_579_6e-2))).fma::<F>(s, r.fma::<F>(c(1.666_666_5e-1), c(0.5)));
    (t, p.fma::<F>(s, r))
}

/// e^x within 1.3 units in the last place, denormals included; NaN stays NaN.
#[inline(always)]
pub fn exp<T: Lanes, const F: bool>(x: T) -> T {
    let (n, p) = parts_of_exp::<T, F>(x.at_least(T::all(-104.0)).at_most(T::all(89.0)));
    (p + T::all(1.0)).scaled(n)
}

/// `e / (e + 2)` of `e = e^2|x| - 1`, which loses nothing near 0.
#[inline(always)]
pub fn tanh<T: Lanes, const F: bool>(x: T) -> T {
    let c = T::all;
    // From 9.02 on it is 1.
    let a = x.abs().at_most(c(10.0));
    let (n, p) = parts_of_exp::<T, F>(a + a);
    let power = n.power();
    let e = p.fma::<F>(power, power - c(1.0));
    (e / (e + c(2.0))).copysign(x)
}

/// The natural logarithm (the coefficients are Cephes'); -inf at 0, NaN below.
#[inline(always)]
pub fn log<T: Lanes, const F: bool>(x: T) -> T {
    let c = T::all;
    let tiny = x.lt(c(f32::MIN_POSITIVE));
    let (e, m) = T::select(tiny, x * c(8_388_608.0), x).parts();
    let e = e - T::select(tiny, c(23.0), c(0.0));
    let m = m - c(1.0);
    let z = m * m;
    let p = [7.037_683_6e-2, -1.151_461e-1, 1.167_699_9e-1, -1.242_014_1e-1, 1.424_932_3e-1, -1.666_805_8e-1, 2.000_071_5e-1, -2.499_999_4e-1, 3.333_333_1e-1];
    let mut s = c(p[0]);
    for k in &p[1..] { s = s.fma::<F>(m, c(*k)); }
    let y = e.fma::<F>(c(-2.121_944_4e-4), s * m * z);
    let y = e.fma::<F>(c(0.693_359_4), m + z.fma::<F>(c(-0.5), y));
    let y = T::select(x.is(c(0.0)), c(f32::NEG_INFINITY), T::select(x.lt(c(0.0)), c(f32::NAN), y));
    T::select(x.is(c(f32::INFINITY)) | x.is_nan(), x, y)
}

/// `1 / (1 + e^-x)`; 0 below -88.4.
#[inline(always)]
pub fn sigmoid<T: Lanes, const F: bool>(x: T) -> T {
    let c = T::all;
    let (n, p) = parts_of_exp::<T, F>((-x).at_least(c(-87.0)).at_most(c(89.0)));
    c(1.0) / (p + c(1.0)).fma::<F>(n.power(), c(1.0))
}

/// The bfloat16 next to it, of two the even one.
#[inline(always)]
pub fn to_bf16<T: Lanes>(x: T) -> T { T::select(x.is_nan(), T::all(f32::NAN), x.rounded(16)) }

/// The float16 next to it, of two the even one; infinity from 65520 on.
#[inline(always)]
pub fn to_f16<T: Lanes>(x: T) -> T {
    let (c, a) = (T::all, x.abs());
    let normal = a.rounded(13);
    let normal = T::select(normal.ge(c(65536.0)), c(f32::INFINITY), normal);
    // Below 2^-14 numbers are 2^-24 apart, as float32s between 1/2 and 1 are.
    let near = T::select(a.lt(c(6.103_515_6e-5)), (a + c(0.5)) - c(0.5), normal);
    T::select(x.is_nan(), c(f32::NAN), near.copysign(x))
}

#[cfg(target_feature = "simd128")]
pub use vector::V;

#[cfg(target_feature = "simd128")]
mod vector {
    use super::*;
    use crate::panel::simd128::single as ops;
    use std::arch::wasm32::*;

    /// Four numbers, or four answers.
    #[derive(Clone, Copy)]
    pub struct V(v128);

    impl V {
        pub const LANES: usize = ops::LANES;
        /// # Safety
        /// `p` holds `n` numbers; the others are 0.
        #[inline(always)]
        pub unsafe fn load(p: *const f32, n: usize) -> V { unsafe { V(if n >= V::LANES { ops::load(p) } else { ops::load_part(p, n) }) } }
        /// # Safety
        /// `p` has room for `n` numbers.
        #[inline(always)]
        pub unsafe fn store(self, p: *mut f32, n: usize) { unsafe { if n >= V::LANES { ops::store(p, self.0) } else { ops::store_part(p, n, self.0) } } }
    }

    /// As those of float32.
    impl V {
        #[inline(always)]
        pub fn sqrt(self) -> V { V(f32x4_sqrt(self.0)) }
        #[inline(always)]
        pub fn floor(self) -> V { V(f32x4_floor(self.0)) }
        #[inline(always)]
        pub fn powf(self, y: V) -> V {
            macro_rules! lane { ($l:literal) => { f32x4_extract_lane::<$l>(self.0).powf(f32x4_extract_lane::<$l>(y.0)) } }
            V(f32x4(lane!(0), lane!(1), lane!(2), lane!(3)))
        }
    }

    macro_rules! operators { ($($name:ident $f:ident $op:ident;)*) => { $(impl $name for V {
        type Output = V;
        #[inline(always)]
        fn $f(self, y: V) -> V { V($op(self.0, y.0)) }
    })* } }
    operators! { Add add f32x4_add; Sub sub f32x4_sub; Mul mul f32x4_mul; Div div f32x4_div; BitOr bitor v128_or; }
    impl Neg for V {
        type Output = V;
        #[inline(always)]
        fn neg(self) -> V { V(f32x4_neg(self.0)) }
    }

    impl Lanes for V {
        type Mask = V;
        #[inline(always)]
        fn all(x: f32) -> V { V(f32x4_splat(x)) }
        /// Relaxed, `F` or not.
        #[inline(always)]
        fn fma<const F: bool>(self, b: V, c: V) -> V { V(ops::fma(self.0, b.0, c.0)) }
        #[inline(always)]
        fn abs(self) -> V { V(f32x4_abs(self.0)) }
        #[inline(always)]
        fn copysign(self, sign: V) -> V { V(v128_bitselect(sign.0, self.0, i32x4_splat(i32::MIN))) }
        #[inline(always)]
        fn lt(self, y: V) -> V { V(f32x4_lt(self.0, y.0)) }
        #[inline(always)]
        fn le(self, y: V) -> V { V(f32x4_le(self.0, y.0)) }
        #[inline(always)]
        fn is(self, y: V) -> V { V(f32x4_eq(self.0, y.0)) }
        #[inline(always)]
        fn is_not(self, y: V) -> V { V(f32x4_ne(self.0, y.0)) }
        #[inline(always)]
        fn select(mask: V, yes: V, no: V) -> V { V(v128_bitselect(yes.0, no.0, mask.0)) }
        #[inline(always)]
        fn at_most(self, y: V) -> V { V(f32x4_pmin(self.0, y.0)) }
        #[inline(always)]
        fn at_least(self, y: V) -> V { V(f32x4_pmax(self.0, y.0)) }
        #[inline(always)]
        fn rounded(self, bits: u32) -> V {
            let up = i32x4_add(i32x4_splat((1 << (bits - 1)) - 1), v128_and(u32x4_shr(self.0, bits), i32x4_splat(1)));
            V(v128_and(i32x4_add(self.0, up), i32x4_splat(-1 << bits)))
        }
        #[inline(always)]
        fn power(self) -> V { V(i32x4_add(i32x4_shl(self.0, EXPONENT), i32x4_splat(ONE_BITS))) }
        #[inline(always)]
        fn scaled(self, n: V) -> V {
            let half = i32x4_shl(u32x4_shr(n.0, 1), EXPONENT);
            let other = i32x4_add(i32x4_sub(i32x4_shl(n.0, EXPONENT), half), i32x4_splat(ONE_BITS));
            V(i32x4_add(self.0, half)) * V(other)
        }
        #[inline(always)]
        fn parts(self) -> (V, V) {
            let shifted = i32x4_sub(self.0, i32x4_splat(HALF_BITS));
            let mantissa = i32x4_add(v128_and(shifted, i32x4_splat(0x007f_ffff)), i32x4_splat(HALF_BITS));
            (V(f32x4_convert_i32x4(i32x4_shr(shifted, 23))), V(mantissa))
        }
    }
}
