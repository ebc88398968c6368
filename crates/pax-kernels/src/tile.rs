//! Element-wise functions over tiles of f32, or of f64: what fused loops run, compiled for each level of vector instructions.
//! Bools are 0 and 1 in a tile, half floats the float32s that they are. A tile has cells of four bytes: an f64 takes two.
use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use super::code::trace::Sym;
use super::lanes::{self, Lanes, Words};
pub use super::lanes::{GELU_CUBIC, GELU_LINEAR};
pub use super::tile_wide::{
    acos, acosh, asin, asinh, atan, atan2, atanh, cbrt, cos, cosh, erfinv, floor_divide, pow, quotient_of, remainder, remainder_of, sin,
    sinh, tan, Number,
};

/// `dst[i] = f(a[i], b[i], c[i])` for `n` cells; operands that a function does not have are not read.
///
/// # Safety
/// The operands that it has hold `n` cells of its elements, at their alignment, and `dst` overlaps none of them.
pub type TileFn = unsafe fn(dst: *mut f32, a: *const f32, b: *const f32, c: *const f32, n: usize);

/// A function for tiles, and what it does with symbols, if there is code for that. `cells`: of an element.
#[derive(Clone, Copy)]
pub struct Function {
    pub run: TileFn,
    pub cells: usize,
    double: Option<TileFn>,
    #[cfg(target_arch = "x86_64")]
    pub trace: Option<fn([Sym; 3]) -> Sym>,
}

impl Function {
    /// One that runs over tiles only.
    pub const fn plain(run: TileFn) -> Function {
        Function {
            run,
            cells: 1,
            double: None,
            #[cfg(target_arch = "x86_64")]
            trace: None,
        }
    }
    /// The same of f64.
    pub const fn double_of(run: TileFn) -> Function {
        Function { cells: 2, ..Function::plain(run) }
    }
    /// What it is of f64, if that is exact.
    pub fn double(self) -> Option<Function> {
        Some(Function { run: self.double?, cells: 2, double: None, ..self })
    }
    /// The same for elements of so many cells.
    pub fn of(self, cells: usize) -> Option<Function> {
        if cells == self.cells {
            Some(self)
        } else {
            self.double()
        }
    }
}

/// Copies a few floats: a row of a block.
///
/// # Safety
/// Both hold `n` of them, and they do not overlap.
#[inline(always)]
pub unsafe fn copy_few(src: *const f32, dst: *mut f32, n: usize) {
    // SAFETY: the caller's.
    unsafe {
        // Most have the width of a panel.
        if n == 32 && !cfg!(target_feature = "simd128") {
            *dst.cast::<[f32; 32]>() = *src.cast::<[f32; 32]>();
            return;
        }
        if n == 16 && !cfg!(target_feature = "simd128") {
            *dst.cast::<[f32; 16]>() = *src.cast::<[f32; 16]>();
            return;
        }
        // Engines of WebAssembly take as long to begin a copy as for a hundred floats; the last eight may be copied twice.
        if (8..=128).contains(&n) && cfg!(target_feature = "simd128") {
            for i in (0..n - 7).step_by(8) {
                *dst.add(i).cast::<[f32; 8]>() = *src.add(i).cast::<[f32; 8]>();
            }
            *dst.add(n - 8).cast::<[f32; 8]>() = *src.add(n - 8).cast::<[f32; 8]>();
            return;
        }
        std::ptr::copy_nonoverlapping(src, dst, n);
    }
}

/// What the machine's vectors can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Simd {
    Base,
    Avx2,
    Avx512,
}

impl Simd {
    /// The best of this machine, or a lower level that the environment variable PAX_SIMD names (`avx2` or `base`).
    pub fn detect() -> Simd {
        static LEVEL: OnceLock<Simd> = OnceLock::new();
        #[allow(clippy::disallowed_methods)] // no setting: tests of the lower levels
        let wanted = || match std::env::var("PAX_SIMD").as_deref() {
            Ok("base") => Simd::Base,
            Ok("avx2") => Simd::Avx2,
            _ => Simd::Avx512,
        };
        *LEVEL.get_or_init(|| Simd::machine().min(wanted()))
    }

    pub(crate) fn machine() -> Simd {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512vl") {
                return Simd::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
                return Simd::Avx2;
            }
        }
        Simd::Base
    }

    /// All levels that run here, from the lowest.
    pub fn levels() -> Vec<Simd> {
        [Simd::Base, Simd::Avx2, Simd::Avx512].into_iter().filter(|s| *s <= Simd::machine()).collect()
    }
}

/// `body`, a function of tiles, in the compilation of a level; its constant says whether multiply-adds are fused.
macro_rules! compilation {
    ($simd:expr, $body:ident) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,fma")]
        unsafe fn avx512(dst: *mut f32, a: *const f32, b: *const f32, c: *const f32, n: usize) {
            unsafe { $body::<true>(dst, a, b, c, n) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2(dst: *mut f32, a: *const f32, b: *const f32, c: *const f32, n: usize) {
            unsafe { $body::<true>(dst, a, b, c, n) }
        }
        unsafe fn base(dst: *mut f32, a: *const f32, b: *const f32, c: *const f32, n: usize) {
            unsafe { $body::<false>(dst, a, b, c, n) }
        }
        let run: $crate::tile::TileFn = match $simd {
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512 => avx512,
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2 => avx2,
            _ => base,
        };
        run
    }};
}
pub(crate) use compilation;

/// A function of f64 in three compilations, where the one of f32 says all about it.
macro_rules! doubles {
    (exact, $simd:expr, ($a:ident $(, $b:ident $(, $c:ident)?)?) = $e:expr) => {{
        #[inline(always)]
        #[allow(unused_variables, dead_code)]
        unsafe fn double<const F: bool>(dst: *mut f32, a: *const f32, b: *const f32, c: *const f32, n: usize) {
            type T = f64;
            // SAFETY: the caller's; slices tell the compiler that nothing overlaps.
            unsafe {
                let n = n / 2;
                let dst = std::slice::from_raw_parts_mut(dst.cast::<f64>(), n);
                let $a = std::slice::from_raw_parts(a.cast::<f64>(), n);
                $(let $b = std::slice::from_raw_parts(b.cast::<f64>(), n); $(let $c = std::slice::from_raw_parts(c.cast::<f64>(), n);)?)?
                for i in 0..n {
                    let $a = $a[i];
                    $(let $b = $b[i]; $(let $c = $c[i];)?)?
                    dst[i] = $e;
                }
            }
        }
        Some(compilation!($simd, double))
    }};
    (none, $($rest:tt)*) => { None };
}

/// Each function in three compilations. In WebAssembly it is of vectors, `unrolled` of them a turn; what is left of a tile at its end is a
/// vector, too, so that an element has the same bits wherever it lies. Not inlined: the loops are this crate's.
macro_rules! tiles {
    ($unrolled:literal, $double:tt: $($name:ident($a:ident $(, $b:ident $(, $c:ident)?)?) = $e:expr;)*) => { $(
        #[inline(never)]
        pub fn $name(simd: Simd) -> Function {
            #[inline(always)]
            #[allow(unused_variables, dead_code)]
            #[cfg(not(target_feature = "simd128"))]
            unsafe fn body<const F: bool>(dst: *mut f32, a: *const f32, b: *const f32, c: *const f32, n: usize) {
                type T = f32;
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
            #[inline(always)]
            #[allow(unused_variables)]
            #[cfg(target_feature = "simd128")]
            unsafe fn body<const F: bool>(dst: *mut f32, a: *const f32, b: *const f32, c: *const f32, n: usize) {
                type T = lanes::V;
                // SAFETY: the caller's.
                unsafe {
                    let some = |i: usize, n: usize| {
                        let $a = T::load(a.add(i), n);
                        $(let $b = T::load(b.add(i), n); $(let $c = T::load(c.add(i), n);)?)?
                        $e.store(dst.add(i), n);
                    };
                    let mut i = 0;
                    while $unrolled == 4 && i + 4 * T::LANES <= n {
                        for k in 0..4 { some(i + k * T::LANES, T::LANES); }
                        i += 4 * T::LANES;
                    }
                    while i + T::LANES <= n {
                        some(i, T::LANES);
                        i += T::LANES;
                    }
                    if i < n { some(i, n - i); }
                }
            }
            #[cfg(target_arch = "x86_64")]
            fn trace([$a, b, c]: [Sym; 3]) -> Sym {
                #[allow(dead_code)]
                type T = Sym;
                #[allow(dead_code)]
                const F: bool = true;
                let _ = (b, c);
                $(let $b = b; $(let $c = c;)?)?
                $e
            }
            let run = compilation!(simd, body);
            let double = doubles!($double, simd, ($a $(, $b $(, $c)?)?) = $e);
            Function { run, cells: 1, double, #[cfg(target_arch = "x86_64")] trace: Some(trace) }
        }
    )* };
}

tiles! { 4, exact:
    copy(x) = x;
    add(x, y) = x + y;
    sub(x, y) = x - y;
    mul(x, y) = x * y;
    div(x, y) = x / y;
    // NaN wins, as in the rows.
    maximum(x, y) = T::select(x.gt(y) | x.is_nan(), x, y);
    minimum(x, y) = T::select(x.lt(y) | x.is_nan(), x, y);
    neg(x) = -x;
    abs(x) = x.abs();
    square(x) = x * x;
    relu(x) = T::select(x.le(T::all(0.0)), T::all(0.0), x);
    sqrt(x) = x.sqrt();
    rsqrt(x) = T::all(1.0) / x.sqrt();
    reciprocal(x) = T::all(1.0) / x;
    floor(x) = x.floor();
    ceil(x) = -(-x).floor();
    trunc(x) = x.abs().floor().copysign(x);
    sign(x) = lanes::sign(x);
    is_finite(x) = T::bools(x.abs().lt(T::all(f32::INFINITY)));
    is_nan(x) = T::bools(x.is_nan());
    equal(x, y) = T::bools(x.is(y));
    not_equal(x, y) = T::bools(x.is_not(y));
    less(x, y) = T::bools(x.lt(y));
    less_equal(x, y) = T::bools(x.le(y));
    greater(x, y) = T::bools(x.gt(y));
    greater_equal(x, y) = T::bools(x.ge(y));
    logical_and(x, y) = x * y;
    logical_or(x, y) = T::select(x.is_not(T::all(0.0)), T::all(1.0), y);
    logical_not(x) = T::all(1.0) - x;
    select(p, x, y) = T::select(p.is_not(T::all(0.0)), x, y);
    // A product added to, or taken from, the third: rounded once where the instruction set can.
    add_product(x, y, z) = x.fma::<F>(y, z);
    sub_product(x, y, z) = (-x).fma::<F>(y, z);
}
tiles! { 4, none:
    round(x) = lanes::round(x);
    to_bf16(x) = lanes::to_bf16(x);
    // The same of what was computed with bfloat16: all bits below of a NaN are 0, so that none become infinity.
    round_bf16(x) = x.rounded(16);
    to_f16(x) = x.to_f16();
}
tiles! { 1, none:
    exp_(x) = lanes::exp::<T, F>(x);
    log_(x) = lanes::log::<T, F>(x);
    tanh_(x) = lanes::tanh::<T, F>(x);
    sigmoid_(x) = lanes::sigmoid::<T, F>(x);
    expm1(x) = lanes::expm1::<T, F>(x);
    log1p(x) = lanes::log1p::<T, F>(x);
    softplus(x) = lanes::softplus::<T, F>(x);
    erf(x) = lanes::erf::<T, F>(x);
    erfc(x) = lanes::erfc::<T, F>(x);
    silu(x) = x * lanes::sigmoid::<T, F>(x);
    gelu_erf(x) = lanes::gelu::<T, F>(x);
    gelu_tanh(x) = lanes::gelu_tanh::<T, F>(x);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(f: fn(Simd) -> Function, simd: Simd, x: &[f32]) -> Vec<f32> {
        let mut out = vec![7.0; x.len()];
        // SAFETY: the lengths agree.
        unsafe { (f(simd).run)(out.as_mut_ptr(), x.as_ptr(), x.as_ptr(), x.as_ptr(), x.len()) };
        out
    }
    /// The distance in units of the last place of the right result.
    fn ulps(got: f32, want: f64) -> f64 {
        let w = want as f32;
        if got == w || (got.is_nan() && w.is_nan()) {
            return 0.0;
        }
        let unit = (f32::from_bits(w.abs().to_bits() + 1) - w.abs()) as f64;
        (got as f64 - want).abs() / unit.max(f32::from_bits(1) as f64)
    }

    fn points(lo: f64, hi: f64) -> Vec<f32> {
        (0..200_000).map(|i| (lo + (hi - lo) * i as f64 / 200_000.0) as f32).collect()
    }

    #[test]
    fn functions_are_within_their_errors() {
        for simd in Simd::levels() {
            for (f, exact, lo, hi, most) in [
                (exp_ as fn(Simd) -> Function, f64::exp as fn(f64) -> f64, -105.0, 90.0, 1.5),
                (tanh_, f64::tanh, -12.0, 12.0, 2.5),
                (log_, f64::ln, 1e-40, 10.0, 2.0),
                (sigmoid_, |x| 1.0 / (1.0 + (-x).exp()), -80.0, 80.0, 3.0),
                (expm1, f64::exp_m1, -30.0, 89.0, 2.5),
                (log1p, f64::ln_1p, -0.9999, 10.0, 2.5),
                (softplus, |x| x.exp().ln_1p(), -40.0, 40.0, 3.0),
                (erf, libm::erf, -5.0, 5.0, 2.0),
                (erfc, libm::erfc, -5.0, 9.0, 4.0),
                (sin, f64::sin, -100.0, 100.0, 1.0),
                (cos, f64::cos, -100.0, 100.0, 1.0),
                (tan, f64::tan, -100.0, 100.0, 1.0),
                (asin, f64::asin, -1.0, 1.0, 1.0),
                (acos, f64::acos, -1.0, 1.0, 1.0),
                (atan, f64::atan, -20.0, 20.0, 1.0),
                (sinh, f64::sinh, -89.5, 89.5, 1.0),
                (cosh, f64::cosh, -89.5, 89.5, 1.0),
                (asinh, libm::asinh, -30.0, 30.0, 1.0),
                (acosh, libm::acosh, 1.0, 30.0, 1.0),
                (atanh, libm::atanh, -0.9999, 0.9999, 1.0),
                (cbrt, f64::cbrt, -1e3, 1e3, 1.0),
                (sin, f64::sin, -3e8, 3e8, 1.0),
                (cos, f64::cos, -3e8, 3e8, 1.0),
            ] {
                let mut x = points(lo, hi);
                if lo < 0.0 {
                    x.extend(points(-1.0, 1.0).into_iter().map(|x| x * x * x * 0.01));
                }
                for (x, y) in x.iter().zip(run(f, simd, &x)) {
                    let want = exact(*x as f64);
                    assert!(ulps(y, want) <= most, "{simd:?}: f({x}) is {y}, not {want}: {} ulp", ulps(y, want));
                }
            }
        }
    }

    #[test]
    fn half_floats_are_rounded_as_they_are_stored() {
        use crate::dtype::{bf16, f16};
        let edges = [
            0.0,
            -0.0,
            f32::NAN,
            f32::INFINITY,
            f32::MAX,
            65504.0,
            65519.99,
            65520.0,
            65536.0,
            6.1e-5,
            6.103_515_6e-5,
            5.96e-8,
            2.98e-8,
            2.99e-8,
            1e-9,
            1e-42,
        ];
        let steps = (0..200_000u32).map(|i| f32::from_bits(i.wrapping_mul(2_654_435_761)));
        // Halves between two neighbours.
        let ties = (0..60_000u32).flat_map(|i| [f32::from_bits((i << 16) + 0x8000), f32::from_bits((i << 13) + 0x3800_1000)]);
        let x: Vec<f32> = edges.into_iter().flat_map(|v| [v, -v]).chain(steps).chain(ties).collect();
        for simd in Simd::levels() {
            for (f, exact) in [
                (to_bf16 as fn(Simd) -> Function, (|x| bf16::from_f32(x).to_f32()) as fn(f32) -> f32),
                (to_f16, |x| f16::from_f32(x).to_f32()),
            ] {
                for (&x, y) in x.iter().zip(run(f, simd, &x)) {
                    let want = exact(x);
                    assert!(y.to_bits() == want.to_bits() || (y.is_nan() && want.is_nan()), "{simd:?}: {x:e} is {y:e}, not {want:e}");
                }
            }
        }
    }

    #[test]
    fn extremes() {
        let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e-42, -1.0, 200.0, -200.0];
        for simd in Simd::levels() {
            let bits = |v: Vec<f32>| v.into_iter().map(|v| if v.is_nan() { u32::MAX } else { v.to_bits() }).collect::<Vec<_>>();
            for (f, exact) in [
                (exp_ as fn(Simd) -> Function, f32::exp as fn(f32) -> f32),
                (tanh_, f32::tanh),
                (relu, |x: f32| if x <= 0.0 { 0.0 } else { x }),
                (sqrt, f32::sqrt),
            ] {
                let (got, want) = (run(f, simd, &x), x.map(exact).to_vec());
                for (g, w) in got.iter().zip(&want) {
                    assert!(g == w || (g.is_nan() && w.is_nan()) || (g - w).abs() <= 1e-6 * w.abs(), "{simd:?} {got:?} {want:?}");
                }
            }
            for (f, exact) in [
                (expm1 as fn(Simd) -> Function, f32::exp_m1 as fn(f32) -> f32),
                (log1p, f32::ln_1p),
                (softplus, |x| if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }),
                (erf, libm::erff),
                (erfc, libm::erfcf),
                (sin, f32::sin),
                (cos, f32::cos),
                (tan, f32::tan),
                (asin, f32::asin),
                (acos, f32::acos),
                (atan, f32::atan),
                (sinh, f32::sinh),
                (cosh, f32::cosh),
                (asinh, libm::asinhf),
                (acosh, libm::acoshf),
                (atanh, libm::atanhf),
                (cbrt, f32::cbrt),
            ] {
                for (g, w) in run(f, simd, &x).iter().zip(&x.map(exact)) {
                    assert!(
                        g.to_bits() == w.to_bits() || (g.is_nan() && w.is_nan()) || (g - w).abs() <= 1e-6 * w.abs(),
                        "{simd:?} {g} {w}"
                    );
                }
            }
            for (x, y) in points(-1.0, 1.0).iter().zip(run(erfinv, simd, &points(-1.0, 1.0))) {
                // The inverse of the inverse, by a step of Newton's in float64.
                let (x, y) = (*x as f64, y as f64);
                let step = (libm::erf(y) - x) / (std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp());
                assert!(x == -1.0 || step.abs() <= 5e-7 * y.abs().max(1e-30), "{simd:?}: erfinv({x}) is {y}, off by {step}");
            }
            let at = run(erfinv, simd, &[1.0, -1.0, 1.5, f32::NAN, 0.0, -0.0]);
            assert!(
                at[0] == f32::INFINITY
                    && at[1] == f32::NEG_INFINITY
                    && at[2].is_nan()
                    && at[3].is_nan()
                    && at[4].to_bits() == 0
                    && at[5].to_bits() == 1 << 31,
                "{simd:?} {at:?}"
            );
            let wholes = [-2.5, -1.5, -0.7, -0.5, -0.0, 0.0, 0.5, 1.5, 2.5, 8_388_607.5, 1e30, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
            for (f, exact) in [
                (floor as fn(Simd) -> Function, f32::floor as fn(f32) -> f32),
                (ceil, f32::ceil),
                (trunc, f32::trunc),
                (round, f32::round_ties_even),
                (sign, |x| if x == 0.0 || x.is_nan() { x } else { x.signum() }),
                (is_finite, |x| if x.is_finite() { 1.0 } else { 0.0 }),
                (is_nan, |x| if x.is_nan() { 1.0 } else { 0.0 }),
            ] {
                assert_eq!(bits(run(f, simd, &wholes)), bits(wholes.map(exact).to_vec()), "{simd:?}");
            }
            let logs = run(log_, simd, &x);
            assert!(
                logs[0].is_nan()
                    && logs[1] == f32::INFINITY
                    && logs[2].is_nan()
                    && logs[3] == f32::NEG_INFINITY
                    && logs[4] == f32::NEG_INFINITY
                    && logs[6].is_nan(),
                "{logs:?}"
            );
            // The same element gives the same bits wherever it lies in a tile.
            let many: Vec<f32> = (0..67).map(|i| (i % 9) as f32 - 4.3).collect();
            for f in [exp_ as fn(Simd) -> Function, tanh_, sigmoid_, log_, expm1, log1p, softplus, erf, erfc, sin, cos] {
                let all = bits(run(f, simd, &many));
                for i in 9..67 {
                    assert_eq!(all[i], all[i % 9]);
                }
            }
        }
    }
}
