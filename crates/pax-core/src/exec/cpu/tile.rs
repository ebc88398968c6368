//! Element-wise functions over tiles of f32: what fused loops run, compiled for each level of vector instructions.
//! Bools are 0 and 1 in a tile.
#![allow(clippy::excessive_precision)] // coefficients as they were published

use std::sync::OnceLock;

/// `dst[i] = f(a[i], b[i], c[i])` for `n` elements; operands that a function does not have are not read.
///
/// # Safety
/// The operands that it has hold `n` elements, and `dst` overlaps none of them.
pub type TileFn = unsafe fn(dst: *mut f32, a: *const f32, b: *const f32, c: *const f32, n: usize);

/// What the machine's vectors can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Simd { Base, Avx2, Avx512 }

impl Simd {
    /// The best of this machine, or a lower level that the environment variable PAX_SIMD names (`avx2` or `base`).
    pub fn detect() -> Simd {
        static LEVEL: OnceLock<Simd> = OnceLock::new();
        #[allow(clippy::disallowed_methods)] // no setting: tests of the lower levels
        let wanted = || match std::env::var("PAX_SIMD").as_deref() { Ok("base") => Simd::Base, Ok("avx2") => Simd::Avx2, _ => Simd::Avx512 };
        *LEVEL.get_or_init(|| Simd::machine().min(wanted()))
    }

    fn machine() -> Simd {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512vl") { return Simd::Avx512; }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") { return Simd::Avx2; }
        }
        Simd::Base
    }

    /// All levels that run here, from the lowest.
    pub fn levels() -> Vec<Simd> { [Simd::Base, Simd::Avx2, Simd::Avx512].into_iter().filter(|s| *s <= Simd::machine()).collect() }
}

/// A multiply-add, fused where the instruction set has it.
#[inline(always)]
fn fma<const F: bool>(a: f32, b: f32, c: f32) -> f32 { if F { a.mul_add(b, c) } else { a * b + c } }

/// Adding it rounds to a whole number in the low bits of the mantissa.
const ROUND: f32 = 12_582_912.0;

/// e^x within 1.3 units in the last place, denormals included; NaN stays NaN.
#[inline(always)]
pub(super) fn exp<const F: bool>(x: f32) -> f32 {
    let x = x.clamp(-104.0, 89.0);
    let t = fma::<F>(x, std::f32::consts::LOG2_E, ROUND);
    let (n, whole) = ((t.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32), t - ROUND);
    let r = fma::<F>(whole, -1.428_606_8e-6, fma::<F>(whole, -0.693_145_75, x));
    let p = fma::<F>(r, 1.987_569_1e-4, 1.398_199_9e-3);
    let p = fma::<F>(fma::<F>(fma::<F>(fma::<F>(p, r, 8.333_452e-3), r, 4.166_579_6e-2), r, 1.666_666_5e-1), r, 0.5);
    let y = fma::<F>(p, r * r, r) + 1.0;
    // In two factors, so that neither leaves the range where the result does not.
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) << 23) as u32);
    y * power(half) * power(n.wrapping_sub(half))
}

/// By its series near 0, else from e^2x (the coefficients are Cephes').
#[inline(always)]
fn tanh<const F: bool>(x: f32) -> f32 {
    let s = x * x;
    let p = fma::<F>(fma::<F>(fma::<F>(fma::<F>(s, -5.704_988_7e-3, 2.063_908_9e-2), s, -5.373_971_6e-2), s, 1.333_144_2e-1), s, -3.333_328_2e-1);
    let near = fma::<F>(x * s, p, x);
    let e = exp::<F>(2.0 * x.abs());
    let far = (1.0 - 2.0 / (e + 1.0)).copysign(x);
    if x.abs() < 0.625 { near } else { far }
}

/// The natural logarithm (the coefficients are Cephes'); -inf at 0, NaN below.
#[inline(always)]
fn log<const F: bool>(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x };
    let bits = scaled.to_bits() as i32;
    let shifted = bits.wrapping_sub(0x3f35_04f3); // of sqrt(1/2)
    let e = (shifted >> 23) as f32 - if tiny { 23.0 } else { 0.0 };
    let m = f32::from_bits(((shifted & 0x007f_ffff) + 0x3f35_04f3) as u32) - 1.0;
    let z = m * m;
    let p = [7.037_683_6e-2, -1.151_461e-1, 1.167_699_9e-1, -1.242_014_1e-1, 1.424_932_3e-1, -1.666_805_8e-1, 2.000_071_5e-1, -2.499_999_4e-1, 3.333_333_1e-1];
    let mut s = p[0];
    for c in &p[1..] { s = fma::<F>(s, m, *c); }
    let y = fma::<F>(e, -2.121_944_4e-4, s * m * z);
    let y = fma::<F>(e, 0.693_359_4, m + fma::<F>(z, -0.5, y));
    let y = if x == 0.0 { f32::NEG_INFINITY } else if x < 0.0 { f32::NAN } else { y };
    if x == f32::INFINITY || x.is_nan() { x } else { y }
}

#[inline(always)]
fn sigmoid<const F: bool>(x: f32) -> f32 { 1.0 / (1.0 + exp::<F>(-x)) }
#[inline(always)]
fn bool_of(x: bool) -> f32 { if x { 1.0 } else { 0.0 } }

/// One function in three compilations.
macro_rules! tiles {
    ($($name:ident($a:ident $(, $b:ident $(, $c:ident)?)?) = $e:expr;)*) => { $(
        pub fn $name(simd: Simd) -> TileFn {
            #[inline(always)]
            #[allow(unused_variables, non_snake_case)]
            unsafe fn body<const F: bool>(dst: *mut f32, a: *const f32, b: *const f32, c: *const f32, n: usize) {
                // SAFETY: the caller's; slices tell the compiler that nothing overlaps.
                unsafe {
                    let dst = std::slice::from_raw_parts_mut(dst, n);
                    let $a = std::slice::from_raw_parts(a, n);
                    $(let $b = std::slice::from_raw_parts(b, n); $(let $c = std::slice::from_raw_parts(c, n);)?)?
                    for i in 0..n {
                        let $a = $a[i];
                        $(let $b = $b[i]; $(let $c = $c[i];)?)?
                        dst[i] = $e;
                    }
                }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512vl,fma")]
            unsafe fn avx512(dst: *mut f32, a: *const f32, b: *const f32, c: *const f32, n: usize) { unsafe { body::<true>(dst, a, b, c, n) } }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2(dst: *mut f32, a: *const f32, b: *const f32, c: *const f32, n: usize) { unsafe { body::<true>(dst, a, b, c, n) } }
            unsafe fn base(dst: *mut f32, a: *const f32, b: *const f32, c: *const f32, n: usize) { unsafe { body::<false>(dst, a, b, c, n) } }
            match simd {
                #[cfg(target_arch = "x86_64")]
                Simd::Avx512 => avx512,
                #[cfg(target_arch = "x86_64")]
                Simd::Avx2 => avx2,
                _ => base,
            }
        }
    )* };
}

tiles! {
    copy(x) = x;
    add(x, y) = x + y;
    sub(x, y) = x - y;
    mul(x, y) = x * y;
    div(x, y) = x / y;
    // NaN wins, as in the rows.
    maximum(x, y) = if x > y || x.is_nan() { x } else { y };
    minimum(x, y) = if x < y || x.is_nan() { x } else { y };
    neg(x) = -x;
    abs(x) = x.abs();
    square(x) = x * x;
    relu(x) = if x <= 0.0 { 0.0 } else { x };
    sqrt(x) = x.sqrt();
    rsqrt(x) = 1.0 / x.sqrt();
    reciprocal(x) = 1.0 / x;
    exp_(x) = exp::<F>(x);
    log_(x) = log::<F>(x);
    tanh_(x) = tanh::<F>(x);
    sigmoid_(x) = sigmoid::<F>(x);
    floor(x) = x.floor();
    equal(x, y) = bool_of(x == y);
    not_equal(x, y) = bool_of(x != y);
    less(x, y) = bool_of(x < y);
    less_equal(x, y) = bool_of(x <= y);
    greater(x, y) = bool_of(x > y);
    greater_equal(x, y) = bool_of(x >= y);
    logical_and(x, y) = x * y;
    logical_or(x, y) = if x != 0.0 { 1.0 } else { y };
    logical_not(x) = 1.0 - x;
    select(p, x, y) = if p != 0.0 { x } else { y };
    pow(x, y) = x.powf(y);
    // A product added to, or taken from, the third: rounded once where the instruction set can.
    add_product(x, y, z) = fma::<F>(x, y, z);
    sub_product(x, y, z) = fma::<F>(-x, y, z);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(f: fn(Simd) -> TileFn, simd: Simd, x: &[f32]) -> Vec<f32> {
        let mut out = vec![7.0; x.len()];
        // SAFETY: the lengths agree.
        unsafe { f(simd)(out.as_mut_ptr(), x.as_ptr(), x.as_ptr(), x.as_ptr(), x.len()) };
        out
    }
    /// The distance in units of the last place of the right result.
    fn ulps(got: f32, want: f64) -> f64 {
        let w = want as f32;
        if got == w || (got.is_nan() && w.is_nan()) { return 0.0; }
        let unit = (f32::from_bits(w.abs().to_bits() + 1) - w.abs()) as f64;
        (got as f64 - want).abs() / unit.max(f32::from_bits(1) as f64)
    }

    #[test]
    fn functions_are_within_their_errors() {
        let points = |lo: f64, hi: f64| (0..200_000).map(|i| (lo + (hi - lo) * i as f64 / 200_000.0) as f32).collect::<Vec<f32>>();
        for simd in Simd::levels() {
            for (f, exact, lo, hi, most) in [
                (exp_ as fn(Simd) -> TileFn, f64::exp as fn(f64) -> f64, -105.0, 90.0, 1.5),
                (tanh_, f64::tanh, -12.0, 12.0, 2.5),
                (log_, f64::ln, 1e-40, 10.0, 2.0),
                (sigmoid_, |x| 1.0 / (1.0 + (-x).exp()), -80.0, 80.0, 3.0),
            ] {
                let x = points(lo, hi);
                for (x, y) in x.iter().zip(run(f, simd, &x)) {
                    let want = exact(*x as f64);
                    assert!(ulps(y, want) <= most, "{simd:?}: f({x}) is {y}, not {want}: {} ulp", ulps(y, want));
                }
            }
        }
    }

    #[test]
    fn extremes() {
        let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e-42, -1.0, 200.0, -200.0];
        for simd in Simd::levels() {
            let bits = |v: Vec<f32>| v.into_iter().map(|v| if v.is_nan() { u32::MAX } else { v.to_bits() }).collect::<Vec<_>>();
            for (f, exact) in [(exp_ as fn(Simd) -> TileFn, f32::exp as fn(f32) -> f32), (tanh_, f32::tanh), (relu, |x: f32| if x <= 0.0 { 0.0 } else { x }), (sqrt, f32::sqrt)] {
                let (got, want) = (run(f, simd, &x), x.map(exact).to_vec());
                for (g, w) in got.iter().zip(&want) { assert!(g == w || (g.is_nan() && w.is_nan()) || (g - w).abs() <= 1e-6 * w.abs(), "{simd:?} {got:?} {want:?}"); }
            }
            let logs = run(log_, simd, &x);
            assert!(logs[0].is_nan() && logs[1] == f32::INFINITY && logs[2].is_nan() && logs[3] == f32::NEG_INFINITY && logs[4] == f32::NEG_INFINITY && logs[6].is_nan(), "{logs:?}");
            // The same element gives the same bits wherever it lies in a tile.
            let many: Vec<f32> = (0..67).map(|i| (i % 9) as f32 - 4.3).collect();
            for f in [exp_ as fn(Simd) -> TileFn, tanh_, sigmoid_, log_] {
                let all = bits(run(f, simd, &many));
                for i in 9..67 { assert_eq!(all[i], all[i % 9]); }
            }
        }
    }
}
