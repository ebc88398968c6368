//! Mean, variance and normalisation over axes.
use super::{floats, narrow, of_one, wide};
use crate::exec::cpu::reduce::normalise;
use crate::exec::cpu::rows::Norm;
use crate::ops::reduce::sum::{reduce_samples, reduced};
use crate::ops::samples::Domain;
use crate::ops::{Avals, Lift, Row};
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

fn average(cx: &Cx, x: &Tensor, axes: &[usize]) -> Result<Tensor> {
    let n: usize = axes.iter().map(|&a| x.shape()[a]).product();
    let sum = cx.reduce_sum(x, axes)?;
    cx.div(&sum, &cx.like(&sum, n as f64)?)
}

/// `x` less its mean, and the mean of that squared.
fn centred(cx: &Cx, x: &Tensor, axes: &[usize]) -> Result<(Tensor, Tensor)> {
    let d = cx.sub(x, &cx.unreduce(&average(cx, x, axes)?, x.shape(), axes)?)?;
    let variance = average(cx, &cx.mul(&d, &d)?, axes)?;
    Ok((d, variance))
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

pub static VARIANCE: Row = Row {
    samples: || reduce_samples(Domain::Range(-2.0, 2.0)),
    ..of_one(
        "variance",
        "Mean over `axes` of the squared distance from the mean (biased, in two passes).",
        &[p("axes", Kind::Ints)],
        Lift::Float,
        float_reduced,
        |cx, p, xs| narrow(cx, &centred(cx, &wide(cx, &xs[0])?, &p.dims("axes")?)?.1, xs[0].dtype()),
        None,
    )
};

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
    ..of_one(
        "layer_norm",
        "`(x - mean) / sqrt(variance + eps)` over `axes` (Ba et al. 2016), without scale and offset.",
        &[p("axes", Kind::Ints), p("eps", Kind::Float)],
        Lift::Float,
        float_over,
        |cx, p, xs| {
            let (x, axes) = (wide(cx, &xs[0])?, p.dims("axes")?);
            let (d, variance) = centred(cx, &x, &axes)?;
            let scale = cx.rsqrt(&cx.shift(&variance, p.float("eps")?)?)?;
            narrow(cx, &cx.mul(&d, &cx.unreduce(&scale, x.shape(), &axes)?)?, xs[0].dtype())
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
