//! Mean, variance and normalisation over axes.
use super::{floats, narrow, of_one, wide};
use crate::exec::cpu::reduce::{normalise, variance};
use crate::exec::cpu::rows::Norm;
use crate::ops::reduce::sum::{batch_axes, reduce_samples, reduced};
use crate::ops::samples::Domain;
use crate::ops::{Avals, Batch, Jvp, Lift, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Aval, Cx, Params, Result, Tensor, Value};
use smallvec::smallvec;

pub(super) fn float_reduced(xs: &[&Aval], p: &Params) -> Result<Avals> {
    floats(xs[0])?;
    Ok(smallvec![Aval { shape: reduced(xs[0], p)?, dtype: xs[0].dtype, weak: xs[0].weak }])
}

fn float_over(xs: &[&Aval], p: &Params) -> Result<Avals> {
    floats(xs[0])?;
    reduced(xs[0], p)?;
    Ok(smallvec![xs[0].clone()])
}

fn count(x: &Tensor, axes: &[usize]) -> f64 {
    axes.iter().map(|&a| x.shape()[a]).product::<usize>() as f64
}

fn average(cx: &Cx, x: &Tensor, axes: &[usize]) -> Result<Tensor> {
    let sum = cx.reduce_sum(x, axes)?;
    cx.div(&sum, &cx.like(&sum, count(x, axes))?)
}

/// `x` less its mean.
fn centred(cx: &Cx, x: &Tensor, axes: &[usize]) -> Result<Tensor> {
    cx.sub(x, &cx.unreduce(&average(cx, x, axes)?, x.shape(), axes)?)
}

/// The variance of what was centred.
fn spread(cx: &Cx, d: &Tensor, axes: &[usize]) -> Result<Tensor> {
    average(cx, &cx.mul(d, d)?, axes)
}

/// One over its root, repeated.
fn scale(cx: &Cx, d: &Tensor, axes: &[usize], eps: f64) -> Result<Tensor> {
    cx.unreduce(&cx.rsqrt(&cx.shift(&spread(cx, d, axes)?, eps)?)?, d.shape(), axes)
}

pub static MEAN: Row = Row {
    samples: || reduce_samples(Domain::Range(-2.0, 2.0)),
    ..of_one(
        "mean",
        "Sum over `axes` divided by the number of elements there; integers give float32.",
        &[p("axes", Kind::Ints)],
        Lift::Float,
        float_reduced,
        |cx, p, xs| narrow(cx, &average(cx, &wide(cx, &xs[0])?, &p.dims("axes")?)?, xs[0].dtype()),
        None,
    )
};

/// Differentiated as a whole: its dependence on `x` by way of the mean cancels, but for rounding, and would be a sum over all of it.
pub static VARIANCE: Row = Row {
    samples: || reduce_samples(Domain::Range(-2.0, 2.0)),
    saves: Saves::INPUTS,
    vjp: Vjp::Rule(|p| {
        let (g, x, axes) = (wide(p.cx, p.g()?)?, wide(p.cx, p.x(0)?)?, p.params.dims("axes")?);
        let share = p.cx.scale(&g, 2.0 / count(&x, &axes))?;
        let dx = p.cx.mul(&p.cx.unreduce(&share, x.shape(), &axes)?, &centred(p.cx, &x, &axes)?)?;
        Ok(narrow(p.cx, &dx, p.x_avals[0].dtype)?.into_iter().map(Some).collect())
    }),
    jvp: Jvp::Derived,
    batch: Batch::Rule(batch_axes),
    ..of_one(
        "variance",
        "Mean over `axes` of the squared distance from the mean (biased, in two passes).",
        &[p("axes", Kind::Ints)],
        Lift::Float,
        float_reduced,
        |cx, p, xs| {
            let axes = p.dims("axes")?;
            let d = centred(cx, &wide(cx, &xs[0])?, &axes)?;
            narrow(cx, &spread(cx, &d, &axes)?, xs[0].dtype())
        },
        Some(|exec, p, xs| Ok(smallvec![variance(exec, &xs[0], &p.dims("axes")?)?])),
    )
};

/// Differentiated as a whole, like `variance`.
pub static LAYER_NORM: Row = Row {
    samples: || {
        reduce_samples(Domain::Range(-2.0, 2.0))
            .into_iter()
            .flat_map(|s| {
                [1e-5, 0.5].map(|eps| {
                    let mut s = s.clone();
                    s.params.push(Value::Float(eps));
                    // With a small eps it bends faster between near elements than finite differences follow.
                    if eps < 0.1 {
                        s.rough()
                    } else {
                        s
                    }
                })
            })
            .collect()
    },
    saves: Saves::BOTH,
    vjp: Vjp::Rule(|p| {
        let (g, x, y) = (wide(p.cx, p.g()?)?, wide(p.cx, p.x(0)?)?, wide(p.cx, p.y(0)?)?);
        let axes = p.params.dims("axes")?;
        let mean = |t: &Tensor| p.cx.unreduce(&average(p.cx, t, &axes)?, x.shape(), &axes);
        let along = p.cx.mul(&y, &mean(&p.cx.mul(&g, &y)?)?)?;
        let scale = scale(p.cx, &centred(p.cx, &x, &axes)?, &axes, p.params.float("eps")?)?;
        let dx = p.cx.mul(&scale, &p.cx.sub(&p.cx.sub(&g, &mean(&g)?)?, &along)?)?;
        Ok(narrow(p.cx, &dx, p.x_avals[0].dtype)?.into_iter().map(Some).collect())
    }),
    jvp: Jvp::Derived,
    batch: Batch::Rule(|b| b.bind([b.shift("axes")?.as_slice().into(), b.params.float("eps")?.into()], b.xs)),
    ..of_one(
        "layer_norm",
        "`(x - mean) / sqrt(variance + eps)` over `axes` (Ba et al. 2016), without scale and offset.",
        &[p("axes", Kind::Ints), p("eps", Kind::Float)],
        Lift::Float,
        float_over,
        |cx, p, xs| {
            let (x, axes) = (wide(cx, &xs[0])?, p.dims("axes")?);
            let d = centred(cx, &x, &axes)?;
            narrow(cx, &cx.mul(&d, &scale(cx, &d, &axes, p.float("eps")?)?)?, xs[0].dtype())
        },
        Some(|exec, p, xs| Ok(smallvec![normalise(exec, &xs[0], &p.dims("axes")?, Norm::LayerNorm { eps: p.float("eps")? })?])),
    )
};

impl Cx {
    pub fn mean(&self, x: &Tensor, axes: &[usize]) -> Result<Tensor> {
        self.one(&MEAN, [axes.into()], &[x])
    }
    pub fn variance(&self, x: &Tensor, axes: &[usize]) -> Result<Tensor> {
        self.one(&VARIANCE, [axes.into()], &[x])
    }
    pub fn layer_norm(&self, x: &Tensor, axes: &[usize], eps: f64) -> Result<Tensor> {
        self.one(&LAYER_NORM, [axes.into(), eps.into()], &[x])
    }
}
