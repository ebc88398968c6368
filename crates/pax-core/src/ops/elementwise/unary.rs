//! Functions of one tensor. Float functions compute half floats in f32; the others keep integer dtypes.
use crate::dtype::Element;
use crate::exec::cpu::map::{map1, tiled};
use crate::exec::cpu::math::{halves, real1, Map1, Real};
use crate::exec::cpu::tile::{self, Function, Simd};
use crate::exec::Exec;
use crate::ops::elementwise::{float, number};
use crate::ops::samples::{elementwise, Domain};
use crate::ops::{same, Arrays, Batch, Body, Jvp, Lift, Primitive, Pull, Row, Saves, Vjp};
use crate::{dispatch_wide, Array, Cx, DType, Params, Result, Tensor};
use smallvec::smallvec;
use Domain::Range;

/// A float function: its value, what it saves (`x` or `y`), and its vjp in terms of that and the cotangent `g`.
macro_rules! float_row {
    ($NAME:ident $fn:ident, $doc:literal, $domain:expr, |$v:ident| $value:expr, $saves:expr, |$cx:ident, $g:ident, $s:ident| $vjp:expr $(, $tile:path)?) => {
        pub static $NAME: Row = Row {
            name: stringify!($fn),
            doc: $doc,
            operands: &["x"], params: &[], many: false, lift: Lift::Float, shape: float,
            body: Body::Primitive(Primitive { eval: |exec, _, xs| {
                struct F;
                impl Map1 for F {
                    #[inline(always)] fn f<R: Real>(&self, $v: R) -> R { $value }
                    $(fn tile(&self) -> Option<fn(Simd) -> Function> { Some($tile) })?
                }
                Ok(smallvec![real1(exec, &xs[0], F)?])
            } }),
            saves: $saves,
            vjp: Vjp::Rule(|p: &Pull| Ok(vec![p.want(0, || {
                let ($cx, $g) = (p.cx, p.g()?);
                let $s = if $saves.outputs { p.y(0)? } else { p.x(0)? };
                $vjp
            })?])),
            jvp: Jvp::Diagonal, batch: Batch::Elementwise,
            samples: || elementwise(&[$domain]),
        };
        impl Cx { pub fn $fn(&self, x: &Tensor) -> Result<Tensor> { self.one(&$NAME, [], &[x]) } }
    };
}

const IN: Saves = Saves::INPUTS;
const OUT: Saves = Saves::OUTPUTS;
const WIDE: Domain = Range(-2.0, 2.0);
const POSITIVE: Domain = Range(0.2, 3.0);
const UNIT: Domain = Range(-0.9, 0.9);

float_row!(EXP exp, "e to the power of `x`.", WIDE, |x| x.exp(), OUT, |cx, g, y| cx.mul(g, y), tile::exp_);
float_row!(EXPM1 expm1, "`exp(x) - 1`, precise near 0.", WIDE, |x| x.exp_m1(), OUT, |cx, g, y| cx.mul(g, &cx.shift(y, 1.0)?), tile::expm1);
float_row!(LOG log, "The natural logarithm of `x`.", POSITIVE, |x| x.ln(), IN, |cx, g, x| cx.div(g, x), tile::log_);
float_row!(LOG1P log1p, "`log(1 + x)`, precise near 0.", UNIT, |x| x.ln_1p(), IN, |cx, g, x| cx.div(g, &cx.shift(x, 1.0)?), tile::log1p);
float_row!(SQRT sqrt, "The square root of `x`; its derivative at 0 is infinite.", POSITIVE, |x| x.sqrt(), OUT, |cx, g, y| cx.div(&cx.scale(g, 0.5)?, y), tile::sqrt);
float_row!(RSQRT rsqrt, "`1 / sqrt(x)`.", POSITIVE, |x| R::c(1.0) / x.sqrt(), OUT,
    |cx, g, y| cx.mul(&cx.scale(g, -0.5)?, &cx.mul(y, &cx.mul(y, y)?)?), tile::rsqrt);
float_row!(CBRT cbrt, "The cube root of `x`, negative where `x` is.", POSITIVE, |x| x.cbrt(), OUT, |cx, g, y| cx.mul(&cx.scale(g, 1.0 / 3.0)?, &cx.pow(y, &cx.like(y, -2.0)?)?), tile::cbrt);
float_row!(RECIPROCAL reciprocal, "`1 / x`.", POSITIVE, |x| R::c(1.0) / x, OUT, |cx, g, y| cx.neg(&cx.mul(g, &cx.mul(y, y)?)?), tile::reciprocal);
float_row!(SIN sin, "The sine of `x` in radians.", WIDE, |x| x.sin(), IN, |cx, g, x| cx.mul(g, &cx.cos(x)?), tile::sin);
float_row!(COS cos, "The cosine of `x` in radians.", WIDE, |x| x.cos(), IN, |cx, g, x| cx.neg(&cx.mul(g, &cx.sin(x)?)?), tile::cos);
float_row!(TAN tan, "The tangent of `x` in radians.", Range(-1.2, 1.2), |x| x.tan(), OUT, |cx, g, y| cx.mul(g, &cx.shift(&cx.mul(y, y)?, 1.0)?), tile::tan);
float_row!(ASIN asin, "The angle in radians whose sine is `x`.", UNIT, |x| x.asin(), IN, |cx, g, x| cx.mul(g, &cx.rsqrt(&one_minus_square(cx, x)?)?), tile::asin);
float_row!(ACOS acos, "The angle in radians whose cosine is `x`.", UNIT, |x| x.acos(), IN,
    |cx, g, x| cx.neg(&cx.mul(g, &cx.rsqrt(&one_minus_square(cx, x)?)?)?), tile::acos);
float_row!(ATAN atan, "The angle in radians whose tangent is `x`.", WIDE, |x| x.atan(), IN, |cx, g, x| cx.div(g, &cx.shift(&cx.mul(x, x)?, 1.0)?), tile::atan);
float_row!(SINH sinh, "The hyperbolic sine of `x`.", WIDE, |x| x.sinh(), IN, |cx, g, x| cx.mul(g, &cx.cosh(x)?), tile::sinh);
float_row!(COSH cosh, "The hyperbolic cosine of `x`.", WIDE, |x| x.cosh(), IN, |cx, g, x| cx.mul(g, &cx.sinh(x)?), tile::cosh);
float_row!(TANH tanh, "The hyperbolic tangent of `x`.", WIDE, |x| x.tanh(), OUT, |cx, g, y| cx.mul(g, &one_minus_square(cx, y)?), tile::tanh_);
float_row!(ASINH asinh, "The inverse of `sinh`.", WIDE, |x| x.asinh(), IN, |cx, g, x| cx.mul(g, &cx.rsqrt(&cx.shift(&cx.mul(x, x)?, 1.0)?)?), tile::asinh);
float_row!(ACOSH acosh, "The inverse of `cosh`, for `x` of 1 and more.", Range(1.3, 3.0), |x| x.acosh(), IN,
    |cx, g, x| cx.mul(g, &cx.rsqrt(&cx.mul(&cx.shift(x, -1.0)?, &cx.shift(x, 1.0)?)?)?), tile::acosh);
float_row!(ATANH atanh, "The inverse of `tanh`, for `x` between -1 and 1.", UNIT, |x| x.atanh(), IN, |cx, g, x| cx.div(g, &one_minus_square(cx, x)?), tile::atanh);
float_row!(ERF erf, "The error function, `2/sqrt(pi)` times the integral of `exp(-t^2)` from 0 to `x`.", WIDE, |x| x.erf(), IN,
    |cx, g, x| cx.mul(&cx.scale(g, std::f64::consts::FRAC_2_SQRT_PI)?, &cx.exp(&cx.neg(&cx.mul(x, x)?)?)?), tile::erf);
float_row!(ERFC erfc, "`1 - erf(x)`, precise where erf is near 1.", WIDE, |x| x.erfc(), IN,
    |cx, g, x| cx.mul(&cx.scale(g, -std::f64::consts::FRAC_2_SQRT_PI)?, &cx.exp(&cx.neg(&cx.mul(x, x)?)?)?), tile::erfc);
float_row!(ERFINV erfinv, "The inverse of `erf`: infinite at -1 and 1, NaN beyond.", UNIT, |x| x.erfinv(), OUT,
    |cx, g, y| cx.mul(&cx.scale(g, 1.0 / std::f64::consts::FRAC_2_SQRT_PI)?, &cx.exp(&cx.mul(y, y)?)?), tile::erfinv);
float_row!(SIGMOID sigmoid, "The logistic function `1 / (1 + exp(-x))`, without overflow.", WIDE, |x| x.sigmoid(), OUT,
    |cx, g, y| cx.mul(g, &cx.mul(y, &cx.shift(&cx.neg(y)?, 1.0)?)?), tile::sigmoid_);
float_row!(SOFTPLUS softplus, "`log(1 + exp(x))`, without overflow; its derivative is the sigmoid.", WIDE, |x| x.softplus(), IN, |cx, g, x| cx.mul(g, &cx.sigmoid(x)?), tile::softplus);

fn one_minus_square(cx: &Cx, x: &Tensor) -> Result<Tensor> {
    cx.shift(&cx.neg(&cx.mul(x, x)?)?, 1.0)
}

/// What numbers do by themselves; integers wrap.
trait Signed: Element {
    fn neg(self) -> Self;
    fn abs(self) -> Self;
    fn sign(self) -> Self;
    fn square(self) -> Self;
    /// NaN stays NaN.
    fn relu(self) -> Self;
}
macro_rules! signed {
    (int $($t:ty)*) => { $(impl Signed for $t {
        #[inline(always)] fn neg(self) -> Self { self.wrapping_neg() }
        #[inline(always)] fn abs(self) -> Self { self.wrapping_abs() }
        #[inline(always)] fn sign(self) -> Self { self.signum() }
        #[inline(always)] fn square(self) -> Self { self.wrapping_mul(self) }
        #[inline(always)] fn relu(self) -> Self { self.max(0) }
    })* };
    (unsigned $($t:ty)*) => { $(impl Signed for $t {
        #[inline(always)] fn neg(self) -> Self { self.wrapping_neg() }
        #[inline(always)] fn abs(self) -> Self { self }
        #[inline(always)] fn sign(self) -> Self { self.min(1) }
        #[inline(always)] fn square(self) -> Self { self.wrapping_mul(self) }
        #[inline(always)] fn relu(self) -> Self { self }
    })* };
    (float $($t:ty)*) => { $(impl Signed for $t {
        #[inline(always)] fn neg(self) -> Self { -self }
        #[inline(always)] fn abs(self) -> Self { if self.is_sign_negative() { -self } else { self } }
        // Zeros and NaN are their own sign, as in JAX.
        #[inline(always)] fn sign(self) -> Self { if self > 0.0 { 1.0 } else if self < 0.0 { -1.0 } else { self } }
        #[inline(always)] fn square(self) -> Self { self * self }
        #[inline(always)] fn relu(self) -> Self { if self <= 0.0 { 0.0 } else { self } }
    })* };
}
signed!(int i32 i64);
signed!(unsigned u8 u32);
signed!(float f32 f64);

macro_rules! number {
    ($fn:ident, $exec:ident, $x:expr $(, $tile:path)?) => {
        match $x.dtype {
            $(DType::F32 => tiled($exec, $tile, [$x]),)?
            d => dispatch_wide!(d, T => map1($exec, d, $x, <T as Signed>::$fn)),
        }
    };
}
macro_rules! number_row {
    ($NAME:ident $fn:ident, $lift:ident $shape:ident, $doc:literal, $saves:expr, $vjp:expr, $jvp:expr $(, $tile:path)?) => {
        pub static $NAME: Row = Row {
            name: stringify!($fn),
            doc: $doc,
            operands: &["x"], params: &[], many: false, lift: Lift::$lift, shape: $shape,
            body: Body::Primitive(Primitive { eval: |exec, _, xs| {
                Ok(smallvec![halves(exec, &[&xs[0]], &|xs| number!($fn, exec, xs[0] $(, $tile)?))?])
            } }),
            saves: $saves, vjp: $vjp, jvp: $jvp, batch: Batch::Elementwise,
            samples: || elementwise(&[WIDE]),
        };
        impl Cx { pub fn $fn(&self, x: &Tensor) -> Result<Tensor> { self.one(&$NAME, [], &[x]) } }
    };
}

number_row!(NEG neg, None number, "`-x`; integers wrap.", Saves::NONE, Vjp::Rule(|p| Ok(vec![p.want(0, || p.cx.neg(p.g()?))?])), Jvp::Linear, tile::neg);
number_row!(ABS abs, None same, "The absolute value of `x`; its derivative at 0 is 1, as in JAX. The least integer stays.", IN, Vjp::Rule(|p| Ok(vec![p.want(0, || {
    let (g, x) = (p.g()?, p.x(0)?);
    p.cx.select(&p.cx.greater_equal(x, &p.cx.zeros_like(x)?)?, g, &p.cx.neg(g)?)
})?])), Jvp::Diagonal, tile::abs);
number_row!(SIGN sign, PromoteNumber number, "-1, 0 or 1 as `x` is negative, zero or positive; NaN stays NaN.", Saves::NONE, Vjp::Zero("it is constant between its steps"), Jvp::Diagonal, tile::sign);
number_row!(SQUARE square, PromoteNumber number, "`x * x`; integers wrap.", IN, Vjp::Rule(|p| Ok(vec![p.want(0, || p.cx.mul(&p.cx.scale(p.g()?, 2.0)?, p.x(0)?))?])), Jvp::Diagonal, tile::square);
number_row!(RELU relu, PromoteNumber number, "`x` where it is positive, else 0; its derivative at 0 is 0.", OUT, Vjp::Rule(|p| Ok(vec![p.want(0, || {
    let (g, y) = (p.g()?, p.y(0)?);
    p.cx.select(&p.cx.greater(y, &p.cx.zeros_like(y)?)?, g, &p.cx.zeros_like(g)?)
})?])), Jvp::Diagonal, tile::relu);

macro_rules! rounding_row {
    ($NAME:ident $fn:ident $method:ident $tile:path, $doc:literal) => {
        pub static $NAME: Row = Row {
            name: stringify!($fn),
            doc: $doc,
            operands: &["x"],
            params: &[],
            many: false,
            lift: Lift::None,
            shape: number,
            body: Body::Primitive(Primitive {
                eval: |exec, _, xs| {
                    struct F;
                    impl Map1 for F {
                        #[inline(always)]
                        fn f<R: Real>(&self, x: R) -> R {
                            x.$method()
                        }
                        fn tile(&self) -> Option<fn(Simd) -> Function> {
                            Some($tile)
                        }
                    }
                    Ok(smallvec![if xs[0].dtype.is_float() { real1(exec, &xs[0], F)? } else { xs[0].clone() }])
                },
            }),
            saves: Saves::NONE,
            vjp: Vjp::Zero("it is constant between its steps"),
            jvp: Jvp::Diagonal,
            batch: Batch::Elementwise,
            samples: || elementwise(&[WIDE]),
        };
        impl Cx {
            pub fn $fn(&self, x: &Tensor) -> Result<Tensor> {
                self.one(&$NAME, [], &[x])
            }
        }
    };
}
rounding_row!(FLOOR floor floor tile::floor, "The greatest whole number not above `x`; integers stay.");
rounding_row!(CEIL ceil ceil tile::ceil, "The least whole number not below `x`; integers stay.");
rounding_row!(ROUND round round_even tile::round, "The nearest whole number, halves to the even one; integers stay.");
rounding_row!(TRUNC trunc trunc tile::trunc, "`x` without its fraction; integers stay.");

fn finite(exec: &Exec, _: &Params, xs: &[Array]) -> Result<Arrays> {
    Ok(smallvec![halves(
        exec,
        &[&xs[0]],
        &|xs| dispatch_wide!(xs[0].dtype, T => map1(exec, DType::Bool, xs[0], |x: T| u8::from(x.to_f64().is_finite())))
    )?])
}
fn nan(exec: &Exec, _: &Params, xs: &[Array]) -> Result<Arrays> {
    Ok(smallvec![halves(
        exec,
        &[&xs[0]],
        &|xs| dispatch_wide!(xs[0].dtype, T => map1(exec, DType::Bool, xs[0], |x: T| u8::from(Element::is_nan(x))))
    )?])
}

pub static ISFINITE: Row = Row {
    name: "isfinite",
    doc: "True where `x` is neither infinite nor NaN; integers always are.",
    operands: &["x"],
    params: &[],
    many: false,
    lift: Lift::None,
    shape: super::compare::bools,
    body: Body::Primitive(Primitive { eval: finite }),
    saves: Saves::NONE,
    vjp: Vjp::Zero("it gives bool"),
    jvp: Jvp::Diagonal,
    batch: Batch::Elementwise,
    samples: || elementwise(&[WIDE]),
};
pub static ISNAN: Row = Row {
    name: "isnan",
    doc: "True where `x` is NaN; integers never are.",
    operands: &["x"],
    params: &[],
    many: false,
    lift: Lift::None,
    shape: super::compare::bools,
    body: Body::Primitive(Primitive { eval: nan }),
    saves: Saves::NONE,
    vjp: Vjp::Zero("it gives bool"),
    jvp: Jvp::Diagonal,
    batch: Batch::Elementwise,
    samples: || elementwise(&[WIDE]),
};

impl Cx {
    pub fn isfinite(&self, x: &Tensor) -> Result<Tensor> {
        self.one(&ISFINITE, [], &[x])
    }
    pub fn isnan(&self, x: &Tensor) -> Result<Tensor> {
        self.one(&ISNAN, [], &[x])
    }
}
