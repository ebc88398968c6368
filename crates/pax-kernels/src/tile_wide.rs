//! Functions over tiles of float32 that are computed in float64: their errors stay below half a unit in the last place, or little more.
//! Nothing is fused, so the bits are the same on every machine. Elements whose case is rare are computed one by one.
use std::ops::{Add, Div, Rem, Sub};

use super::tile::{compilation, Function, Simd};

/// Each function in three compilations: what an element is, and which elements are rare and what they are.
macro_rules! wide {
    ($($name:ident($a:ident $(, $b:ident)?) = $e:expr, $rare:expr => $exact:expr;)*) => { $(
        #[inline(never)]
        pub fn $name(simd: Simd) -> Function {
            #[inline(always)]
            #[allow(unused_variables)]
            unsafe fn body<const F: bool>(dst: *mut f32, a: *const f32, b: *const f32, _: *const f32, n: usize) {
                // SAFETY: the caller's; slices tell the compiler that nothing overlaps.
                unsafe {
                    let dst = std::slice::from_raw_parts_mut(dst, n);
                    let $a = std::slice::from_raw_parts(a, n);
                    $(let $b = std::slice::from_raw_parts(b, n);)?
                    let mut any = false;
                    for i in 0..n {
                        let $a = $a[i];
                        $(let $b = $b[i];)?
                        dst[i] = $e;
                        any |= $rare;
                    }
                    if !any { return; }
                    for i in 0..n {
                        let $a = $a[i];
                        $(let $b = $b[i];)?
                        if $rare { dst[i] = $exact; }
                    }
                }
            }
            Function::plain(compilation!(simd, body))
        }
    )* };
}

/// Adding it rounds to a whole number in the low bits of the mantissa.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// Of sqrt(1/2).
const HALF_BITS: i64 = 0x3fe6_a09e_667f_3bcd;
/// From here on float64 has even numbers only.
const EVEN: f64 = 9_007_199_254_740_992.0;
/// Beyond, the number of quarter turns has more bits than the reduction.
const FAR: f32 = 1e8;

/// The polynomial of `x` with these coefficients, the highest first.
#[inline(always)]
fn polynomial<const N: usize>(x: f64, coefficients: [f64; N]) -> f64 {
    coefficients[1..].iter().fold(coefficients[0], |p, c| p * x + c)
}

/// The quarter turns next to `x` radians, in the low bits, and the sine and cosine of what is left (musl's reduction and polynomials).
#[inline(always)]
fn quarters(x: f32) -> (i64, f64, f64) {
    let t = x as f64 * std::f64::consts::FRAC_2_PI + ROUND;
    let n = t - ROUND;
    let r = (x as f64 - n * 1.570_796_310_901_641_8) - n * 1.589_325_477_352_819_7e-8;
    let z = r * r;
    let sine = r * polynomial(
        z,
        [2.718_311_493_989_822e-6, -0.000_198_393_348_360_966_32, 0.008_333_329_385_889_463, -0.166_666_666_416_265_24, 1.0],
    );
    let cosine =
        polynomial(z, [2.439_044_879_627_741e-5, -0.001_388_676_377_460_993, 0.041_666_623_323_739_06, -0.499_999_997_251_031, 1.0]);
    (t.to_bits() as i64, sine, cosine)
}

/// The sine of `x` radians and so many quarter turns.
#[inline(always)]
fn turned(x: f32, more: i64) -> f32 {
    let (q, sine, cosine) = quarters(x);
    let q = q.wrapping_add(more);
    let y = if q & 1 == 0 { sine } else { cosine };
    f64::from_bits(y.to_bits() ^ (q as u64 & 2) << 62) as f32
}

#[inline(always)]
fn tangent(x: f32) -> f32 {
    let (q, sine, cosine) = quarters(x);
    (if q & 1 == 0 { sine / cosine } else { -(cosine / sine) }) as f32
}

/// The angle of a point whose abscissa `x` and ordinate `y` are not negative: a polynomial of the lesser over the greater (a Chebyshev
/// interpolation within 8e-11).
#[inline(always)]
fn angle(y: f64, x: f64) -> f64 {
    let (low, high) = if y < x { (y, x) } else { (x, y) };
    let t = low / high;
    let a = t * polynomial(
        t * t,
        [
            -0.000_663_395_241_376,
            0.004_732_482_998_79,
            -0.015_828_319_890_3,
            0.033_826_215_081,
            -0.053_956_677_306_6,
            0.072_282_781_676_4,
            -0.089_741_718_956_3,
            0.110_919_229_496,
            -0.142_838_132_538,
            0.199_999_011_02,
            -0.333_333_312_909,
            0.999_999_999_929,
        ],
    );
    if y < x {
        a
    } else {
        std::f64::consts::FRAC_PI_2 - a
    }
}

/// The other side of a right triangle whose longest is 1; NaN where `a` is longer.
#[inline(always)]
fn side(a: f64) -> f64 {
    (1.0 - a * a).sqrt()
}

/// The angle of a point `y` above the abscissa `x`.
#[inline(always)]
fn turn(y: f64, x: f64) -> f32 {
    let a = angle(y, x.abs());
    (if x < 0.0 { std::f64::consts::PI - a } else { a }) as f32
}

/// `2^p`.
#[inline(always)]
fn exp2(p: f64) -> f64 {
    let t = p + ROUND;
    let f = (p - (t - ROUND)) * std::f64::consts::LN_2;
    let g = polynomial(f, [1.0 / 362_880.0, 1.0 / 40_320.0, 1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0]);
    g * f64::from_bits(t.to_bits().wrapping_shl(52).wrapping_add(1f64.to_bits()))
}

/// `e^|x|`; beyond 100 as there, where float32 has infinity for half of it.
#[inline(always)]
fn grown(x: f32) -> f64 {
    let a = x.abs() as f64;
    exp2((if a > 100.0 { 100.0 } else { a }) * std::f64::consts::LOG2_E)
}

#[inline(always)]
fn hyperbolic_sine(x: f32) -> f32 {
    let (a, e) = (x.abs() as f64, grown(x));
    let z = a * a;
    let near = a * polynomial(z, [1.0 / 5040.0, 1.0 / 120.0, 1.0 / 6.0, 1.0]);
    ((if a < 0.25 { near } else { (e - 1.0 / e) * 0.5 }) as f32).copysign(x)
}

#[inline(always)]
fn hyperbolic_cosine(x: f32) -> f32 {
    let e = grown(x);
    ((e + 1.0 / e) * 0.5) as f32
}

/// `y` of the absolute value `a` of `x`, with the sign of `x`; below 1e-4 `a` itself, which the inverses of `sinh` and `tanh` equal there.
#[inline(always)]
fn odd(x: f32, y: f64) -> f32 {
    (if x.abs() < 1e-4 { x.abs() } else { y as f32 }).copysign(x)
}

/// The natural logarithm of a normal number above 0.
#[inline(always)]
fn ln(a: f64) -> f64 {
    log2(a) * std::f64::consts::LN_2
}

#[inline(always)]
fn inverse_of_sinh(x: f32) -> f32 {
    let a = x.abs() as f64;
    odd(x, ln(a + (a * a + 1.0).sqrt()))
}

#[inline(always)]
fn inverse_of_cosh(x: f32) -> f32 {
    let a = x as f64;
    (if a < 1.0 { f64::NAN } else { ln(a + (a * a - 1.0).sqrt()) }) as f32
}

#[inline(always)]
fn inverse_of_tanh(x: f32) -> f32 {
    let a = x.abs() as f64;
    odd(x, ln((1.0 + a) / (1.0 - a)) * 0.5)
}

/// The greatest whole number not above `x / y`; it is exact while it has up to 27 bits.
#[inline(always)]
fn floor_of(x: f64, y: f64) -> f64 {
    let q = x / y;
    let n = (q + ROUND) - ROUND;
    if n > q {
        n - 1.0
    } else {
        n
    }
}

/// A zero has the dividend's sign.
#[inline(always)]
fn rest(x: f32, y: f32) -> f32 {
    let r = x as f64 - floor_of(x as f64, y as f64) * y as f64;
    if r == 0.0 {
        0f32.copysign(x)
    } else {
        r as f32
    }
}

/// A zero has the divisor's sign, as what the rest leaves has over it.
#[inline(always)]
fn quotient(x: f32, y: f32) -> f32 {
    let n = floor_of(x as f64, y as f64) as f32;
    if n == 0.0 {
        0f32.copysign(y)
    } else {
        n
    }
}

/// What has the operators of numbers.
pub trait Number: Copy + PartialOrd + From<u8> + Add<Output = Self> + Sub<Output = Self> + Div<Output = Self> + Rem<Output = Self> {}
impl<T: Copy + PartialOrd + From<u8> + Add<Output = T> + Sub<Output = T> + Div<Output = T> + Rem<Output = T>> Number for T {}

/// The remainder with the dividend's sign (C's `fmod`), and whether the divisor has another.
#[inline(always)]
fn remains<T: Number>(x: T, y: T) -> (T, bool) {
    let (r, zero) = (x % y, T::from(0));
    (r, r != zero && (r < zero) != (y < zero))
}
/// The remainder with the divisor's sign, of whatever numbers.
#[inline(always)]
pub fn remainder_of<T: Number>(x: T, y: T) -> T {
    let (r, apart) = remains(x, y);
    if apart {
        r + y
    } else {
        r
    }
}
/// As JAX: the quotient of what the remainder leaves, and infinite over 0; it is still to be rounded.
#[inline(always)]
pub fn quotient_of<T: Number>(x: T, y: T) -> T {
    if y == T::from(0) {
        return x / y;
    }
    let (r, apart) = remains(x, y);
    let q = (x - r) / y;
    if apart {
        q - T::from(1)
    } else {
        q
    }
}

/// True where the quotient has more than so many bits, or an operand is infinite or NaN.
#[inline(always)]
fn beyond(x: f32, y: f32, bits: i32) -> bool {
    !((x as f64 / y as f64).abs() < (1i64 << bits) as f64 && y.is_finite())
}

/// The logarithm to the base of 2 of a normal number above 0, by the series of `atanh((m - 1) / (m + 1))`.
#[inline(always)]
fn log2(a: f64) -> f64 {
    // Mantissa between sqrt(1/2) and sqrt(2).
    let shifted = (a.to_bits() as i64).wrapping_sub(HALF_BITS);
    let m = f64::from_bits(((shifted & 0x000f_ffff_ffff_ffff) + HALF_BITS) as u64);
    // The exponent as a float, by way of the low bits of a large one.
    let e = f64::from_bits(((shifted >> 52) + ROUND.to_bits() as i64) as u64) - ROUND;
    let s = (m - 1.0) / (m + 1.0);
    let series = polynomial(s * s, [2.0 / 15.0, 2.0 / 13.0, 2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0]);
    e + s * series * std::f64::consts::LOG2_E
}

/// The inverse of `erf` within 4e-7 of it (Giles 2012; XLA has it, too); infinite at -1 and 1, NaN beyond.
#[inline(always)]
fn inverse_of_erf(x: f32) -> f32 {
    let a = x.abs() as f64;
    let w = -log2((1.0 - a) * (1.0 + a)) * std::f64::consts::LN_2;
    let near = polynomial(
        w - 2.5,
        [
            2.81022636e-08,
            3.43273939e-07,
            -3.5233877e-06,
            -4.39150654e-06,
            0.00021858087,
            -0.00125372503,
            -0.00417768164,
            0.246640727,
            1.50140941,
        ],
    );
    let far = polynomial(
        w.sqrt() - 3.0,
        [
            -0.000200214257,
            0.000100950558,
            0.00134934322,
            -0.00367342844,
            0.00573950773,
            -0.0076224613,
            0.00943887047,
            1.00167406,
            2.83297682,
        ],
    );
    let y = ((if w < 5.0 { near } else { far }) * x as f64) as f32;
    let y = if a == 1.0 { x * f32::INFINITY } else { y };
    if a > 1.0 {
        f32::NAN
    } else {
        y
    }
}

/// `x^y` of finite numbers: `2^(y log2 |x|)`, with the sign of an odd power.
#[inline(always)]
fn power(x: f32, y: f32) -> f32 {
    let (a, y) = (x.abs() as f64, y as f64);
    let p = y * log2(a);
    // Beyond, float32 has infinity and 0.
    let p = if p > 200.0 { 200.0 } else { p };
    let p = if p < -200.0 { -200.0 } else { p };
    let r = exp2(p) as f32;
    let r = if a == 0.0 {
        if y > 0.0 {
            0.0
        } else {
            f32::INFINITY
        }
    } else {
        r
    };
    let r = if y == 0.0 { 1.0 } else { r };
    let whole = y.abs() >= EVEN || (y + ROUND) - ROUND == y;
    let half = y * 0.5;
    let odd = whole && y.abs() < EVEN && (half + ROUND) - ROUND != half;
    let r = if x < 0.0 && !whole { f32::NAN } else { r };
    if x.is_sign_negative() && odd {
        -r
    } else {
        r
    }
}

wide! {
    sin(x) = turned(x, 0), x.abs() > FAR => x.sin();
    cos(x) = turned(x, 1), x.abs() > FAR => x.cos();
    tan(x) = tangent(x), x.abs() > FAR => x.tan();
    asin(x) = (angle(x.abs() as f64, side(x as f64)) as f32).copysign(x), false => x;
    acos(x) = turn(side(x as f64), x as f64), false => x;
    atan(x) = (angle(x.abs() as f64, 1.0) as f32).copysign(x), false => x;
    atan2(y, x) = turn(y.abs() as f64, x as f64).copysign(y), !(x.is_finite() & y.is_finite()) | (x == 0.0) & (y == 0.0) => y.atan2(x);
    sinh(x) = hyperbolic_sine(x), false => x;
    cosh(x) = hyperbolic_cosine(x), false => x;
    asinh(x) = inverse_of_sinh(x), !x.is_finite() => x;
    acosh(x) = inverse_of_cosh(x), !x.is_finite() => x.acosh();
    atanh(x) = inverse_of_tanh(x), (x.abs() >= 1.0) | x.is_nan() => x.atanh();
    remainder(x, y) = rest(x, y), beyond(x, y, 27) => remainder_of(x, y);
    floor_divide(x, y) = quotient(x, y), beyond(x, y, 22) => quotient_of(x, y).round_ties_even();
    cbrt(x) = (exp2(log2(x.abs() as f64) / 3.0) as f32).copysign(x), !x.is_finite() | (x == 0.0) => x.cbrt();
    erfinv(x) = inverse_of_erf(x), false => x;
    pow(x, y) = power(x, y), !x.is_finite() | !y.is_finite() => x.powf(y);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results of a function of all pairs of numbers that lie well or badly, with those that are wanted.
    fn all_pairs(f: fn(Simd) -> Function, exact: fn(f32, f32) -> f32, agree: fn(f32, f32) -> bool) {
        let numbers: Vec<f32> = (0..300)
            .map(|i| (i as f32 - 150.0) / 16.0)
            .chain([
                -0.0,
                1e-42,
                -1e-42,
                1e-30,
                3e38,
                -3e38,
                1e10,
                1.1e7,
                16_777_216.0,
                16_777_217.0,
                0.1,
                -0.3,
                0.999_999_9,
                1.000_000_1,
                f32::NAN,
                f32::INFINITY,
                f32::NEG_INFINITY,
            ])
            .collect();
        let (x, y): (Vec<f32>, Vec<f32>) = numbers.iter().flat_map(|&x| numbers.iter().map(move |&y| (x, y))).unzip();
        for simd in Simd::levels() {
            let mut out = vec![0.0; x.len()];
            // SAFETY: the lengths agree.
            unsafe { (f(simd).run)(out.as_mut_ptr(), x.as_ptr(), y.as_ptr(), x.as_ptr(), x.len()) };
            for ((&x, &y), &got) in x.iter().zip(&y).zip(&out) {
                let want = exact(x, y);
                assert!(agree(got, want) || (got.is_nan() && want.is_nan()), "{simd:?}: of {x:e} and {y:e} it is {got:e}, not {want:e}");
            }
        }
    }

    #[test]
    fn functions_of_two_numbers_are_within_a_unit_in_the_last_place() {
        let near = |got: f32, want: f32| got.to_bits().abs_diff(want.to_bits()) <= 1;
        all_pairs(pow, |x, y| (x as f64).powf(y as f64) as f32, near);
        all_pairs(atan2, |y, x| (y as f64).atan2(x as f64) as f32, near);
    }

    #[test]
    fn remainders_have_the_bits_of_fmod() {
        let same = |got: f32, want: f32| got.to_bits() == want.to_bits();
        all_pairs(remainder, remainder_of, same);
        all_pairs(floor_divide, |x, y| quotient_of(x, y).round_ties_even(), same);
    }
}
