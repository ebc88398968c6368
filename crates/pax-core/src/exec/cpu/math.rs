//! Scalar functions of f32 and f64 under one trait, and loops that run them on any float dtype (half through f32).
use std::ops::{Mul, Neg};

use half::{bf16, f16};

use crate::dtype::Element;
use crate::exec::cpu::map::{map1, map2, tiled};
use crate::exec::cpu::tile::{Function, Number, Simd};
use crate::exec::Exec;
use crate::{dispatch_wide, Array, DType, Error, Result};

/// f32 or f64 with the functions that element-wise rows need.
pub trait Real: Number + Send + Sync + Mul<Output = Self> + Neg<Output = Self> {
    /// A constant.
    fn c(x: f64) -> Self;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn exp_m1(self) -> Self;
    fn ln_1p(self) -> Self;
    fn sqrt(self) -> Self;
    fn cbrt(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tan(self) -> Self;
    fn asin(self) -> Self;
    fn acos(self) -> Self;
    fn atan(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn tanh(self) -> Self;
    fn asinh(self) -> Self;
    fn acosh(self) -> Self;
    fn atanh(self) -> Self;
    fn erf(self) -> Self;
    fn erfc(self) -> Self;
    fn erfinv(self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    fn trunc(self) -> Self;
    /// To the nearest, halves to the even neighbour.
    fn round_even(self) -> Self;
    fn abs(self) -> Self;
    fn powf(self, y: Self) -> Self;
    fn atan2(self, x: Self) -> Self;

    /// `1 / (1 + exp(-x))` without overflow.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let e = (-self.abs()).exp();
        if self >= Self::c(0.0) {
            Self::c(1.0) / (Self::c(1.0) + e)
        } else {
            e / (Self::c(1.0) + e)
        }
    }
    /// `log(1 + exp(x))` without overflow.
    #[inline(always)]
    fn softplus(self) -> Self {
        let tail = (-self.abs()).exp().ln_1p();
        if self > Self::c(0.0) {
            self + tail
        } else {
            tail
        }
    }
}

macro_rules! real {
    ($t:ident, $asinh:path, $acosh:path, $atanh:path, $erf:path, $erfc:path, $($f:ident)*) => {
        impl Real for $t {
            $(#[inline(always)] fn $f(self) -> Self { $t::$f(self) })*
            #[inline(always)] fn c(x: f64) -> Self { x as $t }
            // libm's inverse hyperbolic functions keep their precision near 0 and 1; std's do not.
            fn asinh(self) -> Self { $asinh(self) }
            fn acosh(self) -> Self { if self < 1.0 { $t::NAN } else { $acosh(self) } }
            fn atanh(self) -> Self { $atanh(self) }
            fn erf(self) -> Self { $erf(self) }
            fn erfc(self) -> Self { $erfc(self) }
            fn erfinv(self) -> Self { erfinv(self as f64) as $t }
            #[inline(always)] fn round_even(self) -> Self { self.round_ties_even() }
            #[inline(always)] fn powf(self, y: Self) -> Self { $t::powf(self, y) }
            #[inline(always)] fn atan2(self, x: Self) -> Self { $t::atan2(self, x) }
        }
    };
}
real!(f32, libm::asinhf, libm::acoshf, libm::atanhf, libm::erff, libm::erfcf, exp ln exp_m1 ln_1p sqrt cbrt sin cos tan asin acos atan sinh cosh tanh floor ceil trunc abs);
real!(f64, libm::asinh, libm::acosh, libm::atanh, libm::erf, libm::erfc, exp ln exp_m1 ln_1p sqrt cbrt sin cos tan asin acos atan sinh cosh tanh floor ceil trunc abs);

fn ratio(r: f64, num: &[f64; 8], den: &[f64; 8]) -> f64 {
    let horner = |c: &[f64; 8]| c.iter().rev().fold(0.0, |s, &c| s * r + c);
    horner(num) / horner(den)
}

/// The inverse of erf by the normal quantile AS 241 (Wichura 1988), whose relative error is about 1e-16.
#[allow(clippy::excessive_precision)] // as the paper prints them
fn erfinv(x: f64) -> f64 {
    const A: [f64; 8] = [
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ];
    const B: [f64; 8] = [
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ];
    const C: [f64; 8] = [
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ];
    const D: [f64; 8] = [
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ];
    const E: [f64; 8] = [
        6.65790464350110377720e0,
        5.46378491116411436990e0,
        1.78482653991729133580e0,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ];
    const F: [f64; 8] = [
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ];
    if x.is_nan() || x.abs() > 1.0 {
        return f64::NAN;
    }
    if x.abs() == 1.0 {
        return f64::INFINITY.copysign(x);
    }
    // AS 241 takes the probability p = (x + 1) / 2; x / 2 is p - 1/2 and (1 - |x|) / 2 is the smaller tail, both without rounding.
    let q = x / 2.0;
    let z = if q.abs() <= 0.425 {
        q * ratio(0.180625 - q * q, &A, &B)
    } else {
        let r = (-((1.0 - x.abs()) / 2.0).ln()).sqrt();
        let z = if r <= 5.0 { ratio(r - 1.6, &C, &D) } else { ratio(r - 5.0, &E, &F) };
        z.copysign(x)
    };
    z * std::f64::consts::FRAC_1_SQRT_2
}

/// A function of one number, for every float dtype.
pub trait Map1: Sync {
    fn f<R: Real>(&self, x: R) -> R;
    /// How it is computed for f32 where fused loops compute it, too: both give the same bits.
    fn tile(&self) -> Option<fn(Simd) -> Function> {
        None
    }
}
/// A function of two numbers, for every float dtype.
pub trait Map2: Sync {
    fn f<R: Real>(&self, x: R, y: R) -> R;
    fn tile(&self) -> Option<fn(Simd) -> Function> {
        None
    }
}

fn not_float<T>(dtype: DType) -> Result<T> {
    Err(Error::dtype(format!("it takes floats, not {}: cast first", dtype.name())))
}

/// `op` of each element of a float array.
pub fn real1(exec: &Exec, x: &Array, op: impl Map1) -> Result<Array> {
    halves(exec, &[x], &|xs| match (xs[0].dtype, op.tile()) {
        (DType::F32, Some(t)) => tiled(exec, t, [xs[0]]),
        (DType::F32, None) => map1(exec, DType::F32, xs[0], |v: f32| op.f(v)),
        (DType::F64, _) => map1(exec, DType::F64, xs[0], |v: f64| op.f(v)),
        (d, _) => not_float(d),
    })
}

/// `op` of each pair of elements of float arrays.
pub fn real2(exec: &Exec, a: &Array, b: &Array, op: impl Map2) -> Result<Array> {
    halves(exec, &[a, b], &|xs| match (xs[0].dtype, op.tile()) {
        (DType::F32, Some(t)) => tiled(exec, t, [xs[0], xs[1]]),
        (DType::F32, None) => map2(exec, DType::F32, xs[0], xs[1], |x: f32, y: f32| op.f(x, y)),
        (DType::F64, _) => map2(exec, DType::F64, xs[0], xs[1], |x: f64, y: f64| op.f(x, y)),
        (d, _) => not_float(d),
    })
}

/// `f`, of float32 copies of half floats; the float32 that it gives for them is rounded once.
pub fn halves(exec: &Exec, xs: &[&Array], f: &dyn Fn(&[&Array]) -> Result<Array>) -> Result<Array> {
    let dtype = xs[0].dtype;
    if !dtype.is_half() {
        return f(xs);
    }
    let wide = xs.iter().map(|x| cast(exec, x, DType::F32)).collect::<Result<Vec<_>>>()?;
    let y = f(&wide.iter().collect::<Vec<_>>())?;
    if y.dtype == DType::F32 {
        cast(exec, &y, dtype)
    } else {
        Ok(y)
    }
}

/// Float to integer truncates and saturates, NaN gives 0; integer to integer wraps; to bool is `!= 0`.
pub fn cast(exec: &Exec, x: &Array, to: DType) -> Result<Array> {
    use DType::{Bool, BF16, F16, F32, F64, I32};
    match (x.dtype, to) {
        (from, to) if from == to => Ok(x.clone()),
        (F16, F32) => map1(exec, to, x, f16::to_f32),
        (BF16, F32) => map1(exec, to, x, bf16::to_f32),
        (F32, F16) => map1(exec, to, x, f16::from_f32),
        (F32, BF16) => map1(exec, to, x, bf16::from_f32),
        (F64, F16) => map1(exec, to, x, f16::from_f64),
        (F64, BF16) => map1(exec, to, x, bf16::from_f64),
        (F32, I32) => map1(exec, to, x, to_i32),
        // float32 holds every half.
        (F16 | BF16, _) | (_, F16 | BF16) => cast(exec, &cast(exec, x, F32)?, to),
        (from, Bool) => dispatch_wide!(from, T => map1(exec, to, x, |v: T| u8::from(v != T::from_i64(0)))),
        // Floats go through f64, which holds them all; integers above 2^53 keep their value on the way to int64.
        (from, _) if from.is_float() => {
            dispatch_wide!(from, T => dispatch_wide!(to, U => map1(exec, to, x, |v: T| U::from_f64(v.to_f64()))))
        }
        (from, _) => dispatch_wide!(from, T => dispatch_wide!(to, U => map1(exec, to, x, |v: T| U::from_i64(v.to_i64())))),
    }
}

/// `x as i32`, which is not made of vector instructions by itself.
#[inline(always)]
fn to_i32(x: f32) -> i32 {
    const END: f32 = 2147483648.0;
    let inside = if (-END..END).contains(&x) { x } else { 0.0 };
    // SAFETY: it is in the range of int32.
    let whole: i32 = unsafe { inside.to_int_unchecked() };
    if x >= END {
        i32::MAX
    } else if x < -END {
        i32::MIN
    } else {
        whole
    }
}

/// As `dispatch`, of dtypes that are computed in as they are: half floats come as float32 (`halves`).
#[macro_export]
macro_rules! dispatch_wide {
    ($dtype:expr, $t:ident => $body:expr) => {
        pax_kernels::dispatch_among!($dtype, $t => $body, {
            F32 = f32,
            F64 = f64,
            I32 = i32,
            I64 = i64,
            U8 | Bool = u8,
            U32 = u32,
        }, d => Err($crate::Error::internal(format!("{} was not made float32", d.name()))))
    };
}
