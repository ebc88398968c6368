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
    fn sqrt(self) -> Self;
    /// The lesser of both; NaN if `self` is.
    fn at_most(self, y: Self) -> Self;
    /// The greater of both; NaN if `self` is.
    fn at_least(self, y: Self) -> Self;

    #[inline(always)]
    fn gt(self, y: Self) -> Self::Mask {
        y.lt(self)
    }
    #[inline(always)]
    fn ge(self, y: Self) -> Self::Mask {
        y.le(self)
    }
    #[inline(always)]
    fn is_nan(self) -> Self::Mask {
        self.is_not(self)
    }
    /// 1 where it is, 0 elsewhere.
    #[inline(always)]
    fn bools(mask: Self::Mask) -> Self {
        Self::select(mask, Self::all(1.0), Self::all(0.0))
    }
}

/// Numbers of 32 bits, whose parts functions take.
pub trait Words: Lanes {
    /// Without the last `bits` bits of the mantissa, rounded to even; NaN is any number.
    fn rounded(self, bits: u32) -> Self;
    /// `2^n`, where `self` is `n + ROUND` and `n` in -126..=128 (infinity).
    fn power(self) -> Self;
    /// `self · 2^n`, where `n + ROUND` is given and `self` near 1; in two factors, so that neither leaves the range where the result does not.
    fn scaled(self, n: Self) -> Self;
    /// Exponent, and mantissa between sqrt(1/2) and sqrt(2), of a number that is normal.
    fn parts(self) -> (Self, Self);

    /// The float16 next to it, of two the even one; infinity from 65520 on.
    #[inline(always)]
    fn to_f16(self) -> Self {
        let (c, a) = (Self::all, self.abs());
        let normal = a.rounded(13);
        let normal = Self::select(normal.ge(c(65536.0)), c(f32::INFINITY), normal);
        // Below 2^-14 numbers are 2^-24 apart, as float32s between 1/2 and 1 are.
        let near = Self::select(a.lt(c(6.103_515_6e-5)), (a + c(0.5)) - c(0.5), normal);
        Self::select(self.is_nan(), c(f32::NAN), near.copysign(self))
    }
}

/// Adding it rounds to a whole number in the low bits of the mantissa; nothing is left of its own bits where those are moved to the exponent.
pub(crate) const ROUND: f32 = 12_582_912.0;
pub(crate) const EXPONENT: u32 = 23;
pub(crate) const ONE_BITS: i32 = 1f32.to_bits() as i32;
/// Of sqrt(1/2).
pub(crate) const HALF_BITS: i32 = 0x3f35_04f3;

macro_rules! scalar { ($($t:ident)*) => { $(impl Lanes for $t {
    type Mask = bool;
    #[inline(always)]
    fn all(x: f32) -> $t { x as $t }
    #[inline(always)]
    fn fma<const F: bool>(self, b: $t, c: $t) -> $t { if F { self.mul_add(b, c) } else { self * b + c } }
    #[inline(always)]
    fn abs(self) -> $t { self.abs() }
    #[inline(always)]
    fn copysign(self, sign: $t) -> $t { self.copysign(sign) }
    #[inline(always)]
    fn lt(self, y: $t) -> bool { self < y }
    #[inline(always)]
    fn le(self, y: $t) -> bool { self <= y }
    #[inline(always)]
    fn is(self, y: $t) -> bool { self == y }
    #[inline(always)]
    fn is_not(self, y: $t) -> bool { self != y }
    // A condition would let the compiler choose between addresses, element by element.
    #[inline(always)]
    fn select(mask: bool, yes: $t, no: $t) -> $t { std::hint::select_unpredictable(mask, yes, no) }
    #[inline(always)]
    fn sqrt(self) -> $t { self.sqrt() }
    #[inline(always)]
    fn at_most(self, y: $t) -> $t { $t::select(y < self, y, self) }
    #[inline(always)]
    fn at_least(self, y: $t) -> $t { $t::select(y > self, y, self) }
})* } }
scalar! { f32 f64 }

impl Words for f32 {
    #[inline(always)]
    fn rounded(self, bits: u32) -> f32 {
        let x = self.to_bits();
        f32::from_bits(x.wrapping_add((1 << (bits - 1)) - 1 + (x >> bits & 1)) & (u32::MAX << bits))
    }
    #[inline(always)]
    fn power(self) -> f32 {
        f32::from_bits((self.to_bits() << EXPONENT).wrapping_add(ONE_BITS as u32))
    }
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
fn parts_of_exp<T: Words, const F: bool>(x: T) -> (T, T) {
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
pub fn exp<T: Words, const F: bool>(x: T) -> T {
    let (n, p) = parts_of_exp::<T, F>(x.at_least(T::all(-104.0)).at_most(T::all(89.0)));
    (p + T::all(1.0)).scaled(n)
}

/// `e / (e + 2)` of `e = e^2|x| - 1`, which loses nothing near 0.
#[inline(always)]
pub fn tanh<T: Words, const F: bool>(x: T) -> T {
    let c = T::all;
    // From 9.02 on it is 1.
    let a = x.abs().at_most(c(10.0));
    let (n, p) = parts_of_exp::<T, F>(a + a);
    let power = n.power();
    let e = p.fma::<F>(power, power - c(1.0));
    (e / (e + c(2.0))).copysign(x)
}

/// The polynomial of `x` with these coefficients, the highest first.
#[inline(always)]
fn polynomial<T: Lanes, const F: bool, const N: usize>(x: T, coefficients: [f32; N]) -> T {
    let mut p = T::all(coefficients[0]);
    for &k in &coefficients[1..] {
        p = p.fma::<F>(x, T::all(k));
    }
    p
}

/// The natural logarithm (the coefficients are Cephes'); -inf at 0, NaN below.
#[inline(always)]
pub fn log<T: Words, const F: bool>(x: T) -> T {
    let c = T::all;
    let tiny = x.lt(c(f32::MIN_POSITIVE));
    let (e, m) = T::select(tiny, x * c(8_388_608.0), x).parts();
    let e = e - T::select(tiny, c(23.0), c(0.0));
    let m = m - c(1.0);
    let z = m * m;
    let s = polynomial::<T, F, 9>(
        m,
        [
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333_1e-1,
        ],
    );
    let y = e.fma::<F>(c(-2.121_944_4e-4), s * m * z);
    let y = e.fma::<F>(c(0.693_359_4), m + z.fma::<F>(c(-0.5), y));
    let y = T::select(x.is(c(0.0)), c(f32::NEG_INFINITY), T::select(x.lt(c(0.0)), c(f32::NAN), y));
    T::select(x.is(c(f32::INFINITY)) | x.is_nan(), x, y)
}

/// `e^x - 1`, which loses nothing near 0.
#[inline(always)]
pub fn expm1<T: Words, const F: bool>(x: T) -> T {
    let c = T::all;
    // Below -17.4 it is -1.
    let (n, p) = parts_of_exp::<T, F>(x.at_least(c(-20.0)).at_most(c(89.0)));
    // Half of the power, which is finite where the result is not.
    let power = (n - c(1.0)).power();
    let y = p.fma::<F>(power, power - c(0.5));
    (y + y).copysign(x)
}

/// `log(1 + x)`: the logarithm of the rounded sum, and what was rounded away over the sum.
#[inline(always)]
pub fn log1p<T: Words, const F: bool>(x: T) -> T {
    let c = T::all;
    let sum = c(1.0) + x;
    let lost = (x - (sum - c(1.0))) / sum;
    let y = log::<T, F>(sum);
    // Where the sum is 0 or infinite nothing was lost.
    let y = T::select(sum.is(c(0.0)) | sum.is(c(f32::INFINITY)), y, y + lost);
    T::select(x.is(c(0.0)), x, y)
}

/// `log(1 + e^x)` without overflow.
#[inline(always)]
pub fn softplus<T: Words, const F: bool>(x: T) -> T {
    log1p::<T, F>(exp::<T, F>(-x.abs())) + T::all(0.0).at_least(x)
}

/// The error function within 2 units in the last place: an odd polynomial up to 0.92, then `1 - e^p(x)` (N. Juffa's approximations).
#[inline(always)]
pub fn erf<T: Words, const F: bool>(x: T) -> T {
    let (c, a, s) = (T::all, x.abs(), x * x);
    let near = polynomial::<T, F, 6>(s, [-5.967_617e-4, 4.991_194_2e-3, -2.676_813_5e-2, 1.128_199_3e-1, -3.761_253_4e-1, 1.283_791_7e-1])
        .fma::<F>(x, x);
    let p = polynomial::<T, F, 7>(
        a,
        [-1.728_534_7e-5, 3.831_971_3e-4, -3.883_964_4e-3, 2.425_462_2e-2, -1.067_778_8e-1, -6.348_466_9e-1, -1.287_175_1e-1],
    );
    let far = (c(1.0) - exp::<T, F>(p.fma::<F>(a, -a))).copysign(x);
    T::select(a.gt(c(0.921_875)), far, near)
}

/// `1 - erf(x)` within 4 units in the last place, the tail included: a polynomial of `(|x| - 2) / (|x| + 2)` times `e^-x²` over `1 + 2|x|`
/// (Shepherd and Laframboise 1981, with N. Juffa's coefficients).
#[inline(always)]
pub fn erfc<T: Words, const F: bool>(x: T) -> T {
    let (c, a) = (T::all, x.abs().at_most(T::all(12.0)));
    let over = c(1.0) / (a + c(2.0));
    let q = (a - c(2.0)) * over;
    let rest = (-q).fma::<F>(a, (q + c(1.0)).fma::<F>(c(-2.0), a));
    let q = over.fma::<F>(rest, q);
    let p = polynomial::<T, F, 12>(
        q,
        [
            5.924_701_7e-5,
            1.612_245_5e-4,
            -3.464_817_7e-4,
            -1.396_812_3e-3,
            1.205_883_8e-3,
            8.690_144e-3,
            -8.013_874e-3,
            -5.421_229_5e-2,
            1.640_485_2e-1,
            -1.660_310_8e-1,
            -9.276_371_5e-2,
            2.769_784e-1,
        ],
    );
    let r = c(0.5) / (a + c(0.5));
    let q = p.fma::<F>(r, r);
    let rest = (p - q) + (q + q).fma::<F>(-a, c(1.0));
    let r = rest.fma::<F>(r, q);
    let s = a * a;
    let e = exp::<T, F>(-s);
    // What the square lost, by way of its first half, whose own square is exact.
    let high = a.rounded(12);
    let lost = (s - high * high) - (a - high) * (a + high);
    let y = r.fma::<F>(e, r * e * lost);
    T::select(x.lt(c(0.0)), c(2.0) - y, y)
}

/// -1, 0 or 1; zeros and NaN are their own.
#[inline(always)]
pub fn sign<T: Lanes>(x: T) -> T {
    let c = T::all;
    T::select(x.gt(c(0.0)), c(1.0), T::select(x.lt(c(0.0)), c(-1.0), x))
}

/// To a whole number, halves to the even one: numbers from 2^23 on are whole.
#[inline(always)]
pub fn round<T: Lanes>(x: T) -> T {
    let (a, c) = (x.abs(), T::all(8_388_608.0));
    T::select(a.lt(c), ((a + c) - c).copysign(x), x)
}

/// `1 / (1 + e^-x)`; 0 below -88.4.
#[inline(always)]
pub fn sigmoid<T: Words, const F: bool>(x: T) -> T {
    let c = T::all;
    let (n, p) = parts_of_exp::<T, F>((-x).at_least(c(-87.0)).at_most(c(89.0)));
    c(1.0) / (p + c(1.0)).fma::<F>(n.power(), c(1.0))
}

/// The bfloat16 next to it, of two the even one.
#[inline(always)]
pub fn to_bf16<T: Words>(x: T) -> T {
    T::select(x.is_nan(), T::all(f32::NAN), x.rounded(16))
}

/// `x` times the normal distribution's share below `x`.
#[inline(always)]
pub fn gelu<T: Words, const F: bool>(x: T) -> T {
    erfc::<T, F>(x * T::all(-std::f32::consts::FRAC_1_SQRT_2)) * (x * T::all(0.5))
}

/// Of gelu by tanh (Hendrycks and Gimpel 2016): `(1 + tanh(u)) / 2` is `sigmoid(2u)`, which keeps the left tail, and `2u` is
/// `x (GELU_LINEAR + GELU_CUBIC x²)`.
pub const GELU_LINEAR: f64 = 1.595_769_121_605_730_8;
pub const GELU_CUBIC: f64 = 0.044715 * GELU_LINEAR;
#[inline(always)]
pub fn gelu_tanh<T: Words, const F: bool>(x: T) -> T {
    x * sigmoid::<T, F>(x * (x * x).fma::<F>(T::all(GELU_CUBIC as f32), T::all(GELU_LINEAR as f32)))
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
        pub unsafe fn load(p: *const f32, n: usize) -> V {
            unsafe { V(if n >= V::LANES { ops::load(p) } else { ops::load_part(p, n) }) }
        }
        /// # Safety
        /// `p` has room for `n` numbers.
        #[inline(always)]
        pub unsafe fn store(self, p: *mut f32, n: usize) {
            unsafe {
                if n >= V::LANES {
                    ops::store(p, self.0)
                } else {
                    ops::store_part(p, n, self.0)
                }
            }
        }
    }

    /// As those of float32.
    impl V {
        #[inline(always)]
        pub fn floor(self) -> V {
            V(f32x4_floor(self.0))
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
        fn neg(self) -> V {
            V(f32x4_neg(self.0))
        }
    }

    impl Lanes for V {
        type Mask = V;
        #[inline(always)]
        fn all(x: f32) -> V {
            V(f32x4_splat(x))
        }
        /// Relaxed, `F` or not.
        #[inline(always)]
        fn fma<const F: bool>(self, b: V, c: V) -> V {
            V(ops::fma(self.0, b.0, c.0))
        }
        #[inline(always)]
        fn abs(self) -> V {
            V(f32x4_abs(self.0))
        }
        #[inline(always)]
        fn copysign(self, sign: V) -> V {
            V(v128_bitselect(sign.0, self.0, i32x4_splat(i32::MIN)))
        }
        #[inline(always)]
        fn lt(self, y: V) -> V {
            V(f32x4_lt(self.0, y.0))
        }
        #[inline(always)]
        fn le(self, y: V) -> V {
            V(f32x4_le(self.0, y.0))
        }
        #[inline(always)]
        fn is(self, y: V) -> V {
            V(f32x4_eq(self.0, y.0))
        }
        #[inline(always)]
        fn is_not(self, y: V) -> V {
            V(f32x4_ne(self.0, y.0))
        }
        #[inline(always)]
        fn select(mask: V, yes: V, no: V) -> V {
            V(v128_bitselect(yes.0, no.0, mask.0))
        }
        #[inline(always)]
        fn sqrt(self) -> V {
            V(f32x4_sqrt(self.0))
        }
        #[inline(always)]
        fn at_most(self, y: V) -> V {
            V(f32x4_pmin(self.0, y.0))
        }
        #[inline(always)]
        fn at_least(self, y: V) -> V {
            V(f32x4_pmax(self.0, y.0))
        }
    }

    impl Words for V {
        #[inline(always)]
        fn rounded(self, bits: u32) -> V {
            let up = i32x4_add(i32x4_splat((1 << (bits - 1)) - 1), v128_and(u32x4_shr(self.0, bits), i32x4_splat(1)));
            V(v128_and(i32x4_add(self.0, up), i32x4_splat(-1 << bits)))
        }
        #[inline(always)]
        fn power(self) -> V {
            V(i32x4_add(i32x4_shl(self.0, EXPONENT), i32x4_splat(ONE_BITS)))
        }
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
