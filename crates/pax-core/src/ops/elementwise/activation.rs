//! Element-wise composites: `clamp` and the activations of `jax.nn`.
use std::f64::consts::FRAC_1_SQRT_2;

use crate::exec::cpu::math::{real1, Map1, Real};
use crate::exec::cpu::tile::{self, Function, Simd, GELU_CUBIC, GELU_LINEAR};
use crate::ops::elementwise::float;
use crate::ops::samples::{elementwise, Domain, Sample};
use crate::ops::{same, Batch, Body, Composite, Eval, Jvp, Lift, Row, Saves, Vjp, EXPANDED};
use crate::params::{p, Kind, Param};
use crate::{Cx, Params, Result, Tensor, Value};
use smallvec::smallvec;

const WIDE: Domain = Domain::Range(-3.0, 3.0);

type Expand = fn(&Cx, &Params, &[Tensor]) -> Result<crate::bind::Tensors>;

/// A composite of one float tensor.
const fn unary(
    name: &'static str,
    doc: &'static str,
    params: &'static [Param],
    expand: Expand,
    fused: Option<Eval>,
    samples: fn() -> Vec<Sample>,
) -> Row {
    Row {
        name,
        doc,
        operands: &["x"],
        params,
        many: false,
        lift: Lift::Float,
        shape: float,
        body: Body::Composite(Composite { expand, fused }),
        saves: Saves::NONE,
        vjp: Vjp::None(EXPANDED),
        jvp: Jvp::None(EXPANDED),
        batch: Batch::None(EXPANDED),
        samples,
    }
}

fn samples(settings: &[Vec<Value>]) -> Vec<Sample> {
    settings.iter().flat_map(|s| elementwise(&[WIDE]).into_iter().map(move |x| Sample { params: s.clone(), ..x })).collect()
}

pub static CLAMP: Row = Row {
    name: "clamp",
    doc: "`minimum(maximum(x, low), high)`; its derivative at a bound is half, as `jnp.clip`'s.",
    operands: &["x", "low", "high"],
    params: &[],
    many: false,
    lift: Lift::Promote,
    shape: same,
    body: Body::Composite(Composite { expand: |cx, _, xs| Ok(smallvec![cx.minimum(&cx.maximum(&xs[0], &xs[1])?, &xs[2])?]), fused: None }),
    saves: Saves::NONE,
    vjp: Vjp::None(EXPANDED),
    jvp: Jvp::None(EXPANDED),
    batch: Batch::None(EXPANDED),
    samples: || elementwise(&[WIDE, Domain::Range(-1.5, -0.6), Domain::Range(0.6, 1.5)]),
};

struct GeluTanh;
impl Map1 for GeluTanh {
    #[inline(always)]
    fn f<R: Real>(&self, x: R) -> R {
        x * (x * (x * x * R::c(GELU_CUBIC) + R::c(GELU_LINEAR))).sigmoid()
    }
    fn tile(&self) -> Option<fn(Simd) -> Function> {
        Some(tile::gelu_tanh)
    }
}
struct GeluErf;
impl Map1 for GeluErf {
    #[inline(always)]
    fn f<R: Real>(&self, x: R) -> R {
        (x * R::c(-FRAC_1_SQRT_2)).erfc() * (x * R::c(0.5))
    }
    fn tile(&self) -> Option<fn(Simd) -> Function> {
        Some(tile::gelu_erf)
    }
}

pub static GELU: Row = unary(
    "gelu",
    "`x` times the normal distribution's share below `x`; `approximate` takes tanh's formula (Hendrycks and Gimpel 2016).",
    &[p("approximate", Kind::Bool)],
    |cx, p, xs| {
        let x = &xs[0];
        // erfc keeps the left tail that 1 + erf would round away.
        if !p.bool("approximate")? {
            return Ok(smallvec![cx.mul(&cx.erfc(&cx.scale(x, -FRAC_1_SQRT_2)?)?, &cx.scale(x, 0.5)?)?]);
        }
        let slope = cx.shift(&cx.scale(&cx.mul(x, x)?, GELU_CUBIC)?, GELU_LINEAR)?;
        Ok(smallvec![cx.mul(x, &cx.sigmoid(&cx.mul(x, &slope)?)?)?])
    },
    Some(|exec, p, xs| Ok(smallvec![if p.bool("approximate")? { real1(exec, &xs[0], GeluTanh)? } else { real1(exec, &xs[0], GeluErf)? }])),
    || samples(&[vec![Value::Bool(true)], vec![Value::Bool(false)]]),
);

struct Silu;
impl Map1 for Silu {
    #[inline(always)]
    fn f<R: Real>(&self, x: R) -> R {
        x * x.sigmoid()
    }
    fn tile(&self) -> Option<fn(Simd) -> Function> {
        Some(tile::silu)
    }
}
pub static SILU: Row = unary(
    "silu",
    "`x * sigmoid(x)`.",
    &[],
    |cx, _, xs| Ok(smallvec![cx.mul(&xs[0], &cx.sigmoid(&xs[0])?)?]),
    Some(|exec, _, xs| Ok(smallvec![real1(exec, &xs[0], Silu)?])),
    || samples(&[vec![]]),
);

pub static LOG_SIGMOID: Row = unary(
    "log_sigmoid",
    "`log(sigmoid(x))`, without overflow.",
    &[],
    |cx, _, xs| Ok(smallvec![cx.neg(&cx.softplus(&cx.neg(&xs[0])?)?)?]),
    None,
    || samples(&[vec![]]),
);

pub static RELU6: Row = unary(
    "relu6",
    "`x` between 0 and 6, else the nearer of them; its derivative is 0 at both.",
    &[],
    |cx, _, xs| {
        let six = cx.like(&xs[0], 6.0)?;
        Ok(smallvec![cx.select(&cx.greater_equal(&xs[0], &six)?, &six, &cx.relu(&xs[0])?)?])
    },
    None,
    || samples(&[vec![]]),
);

pub static HARD_TANH: Row = unary(
    "hard_tanh",
    "`x` between -1 and 1, else the nearer of them; its derivative is 1 at both.",
    &[],
    |cx, _, xs| {
        let (x, low, high) = (&xs[0], cx.like(&xs[0], -1.0)?, cx.like(&xs[0], 1.0)?);
        Ok(smallvec![cx.select(&cx.greater(x, &high)?, &high, &cx.select(&cx.less(x, &low)?, &low, x)?)?])
    },
    None,
    || samples(&[vec![]]),
);

impl Cx {
    pub fn clamp(&self, x: &Tensor, low: &Tensor, high: &Tensor) -> Result<Tensor> {
        self.one(&CLAMP, [], &[x, low, high])
    }
    pub fn gelu(&self, x: &Tensor, approximate: bool) -> Result<Tensor> {
        self.one(&GELU, [Value::Bool(approximate)], &[x])
    }
    pub fn silu(&self, x: &Tensor) -> Result<Tensor> {
        self.one(&SILU, [], &[x])
    }
    pub fn log_sigmoid(&self, x: &Tensor) -> Result<Tensor> {
        self.one(&LOG_SIGMOID, [], &[x])
    }
    pub fn relu6(&self, x: &Tensor) -> Result<Tensor> {
        self.one(&RELU6, [], &[x])
    }
    pub fn hard_tanh(&self, x: &Tensor) -> Result<Tensor> {
        self.one(&HARD_TANH, [], &[x])
    }
}
