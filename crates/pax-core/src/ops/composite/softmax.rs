//! Softmax and its logarithm. The greatest element is subtracted first, so that nothing overflows.
use super::moments::float_reduced;
use super::{floats, narrow, of_one, wide};
use crate::bind::Tensors;
use crate::exec::cpu::reduce::normalise;
use crate::exec::cpu::rows::Norm;
use crate::ops::reduce::along::{axis_of, axis_samples};
use crate::ops::reduce::sum::reduce_samples;
use crate::ops::samples::Domain;
use crate::ops::{Avals, Batch, Batching, Jvp, Lift, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Aval, Cx, Params, Result, Tensor};
use smallvec::smallvec;

fn along(xs: &[&Aval], p: &Params) -> Result<Avals> {
    floats(xs[0])?;
    axis_of(xs[0], p)?;
    Ok(smallvec![xs[0].clone()])
}

/// `x` less its greatest element along the axis. The derivative does not go through that element: it cancels.
fn shifted(cx: &Cx, x: &Tensor, axis: usize) -> Result<Tensor> {
    cx.sub(x, &cx.unreduce(&cx.stop_gradient(&cx.reduce_max(x, &[axis])?)?, x.shape(), &[axis])?)
}

pub static LOGSUMEXP: Row = Row {
    samples: || reduce_samples(Domain::Range(-2.0, 2.0)),
    ..of_one(
        "logsumexp",
        "`log(sum(exp(x)))` over `axes`, without overflow.",
        &[p("axes", Kind::Ints)],
        Lift::Float,
        float_reduced,
        |cx, p, xs| {
            let (x, axes) = (wide(cx, &xs[0])?, p.dims("axes")?);
            // The logarithm of a sum of nothing.
            if axes.iter().any(|&a| x.shape()[a] == 0) {
                return narrow(cx, &cx.log(&cx.reduce_sum(&x, &axes)?)?, xs[0].dtype());
            }
            let top = cx.stop_gradient(&cx.reduce_max(&x, &axes)?)?;
            // An infinite greatest element would make inf - inf.
            let top = cx.select(&cx.isfinite(&top)?, &top, &cx.zeros_like(&top)?)?;
            let sum = cx.reduce_sum(&cx.exp(&cx.sub(&x, &cx.unreduce(&top, x.shape(), &axes)?)?)?, &axes)?;
            narrow(cx, &cx.add(&cx.log(&sum)?, &top)?, xs[0].dtype())
        },
        None,
    )
};

/// The sum along the axis, repeated.
fn summed(cx: &Cx, x: &Tensor, axis: usize) -> Result<Tensor> {
    cx.unreduce(&cx.reduce_sum(x, &[axis])?, x.shape(), &[axis])
}

/// The axis is one further back in a batch.
fn batch(b: &Batching) -> Result<Tensors> {
    b.bind([(b.params.int("axis")? + 1).into()], b.xs)
}

/// Differentiated as a whole, from its result: what it is made of would be kept, too.
pub static SOFTMAX: Row = Row {
    samples: || axis_samples(Domain::Range(-2.0, 2.0), &[]),
    saves: Saves::OUTPUTS,
    vjp: Vjp::Rule(|p| {
        let (g, y, axis) = (wide(p.cx, p.g()?)?, wide(p.cx, p.y(0)?)?, axis_of(p.y_avals[0], p.params)?);
        let dx = p.cx.mul(&p.cx.sub(&g, &summed(p.cx, &p.cx.mul(&g, &y)?, axis)?)?, &y)?;
        Ok(narrow(p.cx, &dx, p.x_avals[0].dtype)?.into_iter().map(Some).collect())
    }),
    // Its matrix of derivatives is symmetric.
    jvp: Jvp::Diagonal,
    batch: Batch::Rule(batch),
    ..of_one(
        "softmax",
        "`exp(x)` divided by its sum along `axis`.",
        &[p("axis", Kind::Int)],
        Lift::Float,
        along,
        |cx, p, xs| {
            if xs[0].shape().contains(&0) {
                return Ok(smallvec![xs[0].clone()]);
            }
            let (x, axis) = (wide(cx, &xs[0])?, axis_of(xs[0].aval(), p)?);
            let e = cx.exp(&shifted(cx, &x, axis)?)?;
            let sum = cx.reduce_sum(&e, &[axis])?;
            // One division a row; the sum is 1 at least.
            let scale = cx.unreduce(&cx.div(&cx.like(&sum, 1.0)?, &sum)?, x.shape(), &[axis])?;
            narrow(cx, &cx.mul(&e, &scale)?, xs[0].dtype())
        },
        Some(|exec, p, xs| Ok(smallvec![normalise(exec, &xs[0], &[p.int("axis")? as usize], Norm::Softmax)?])),
    )
};

/// Differentiated as a whole, like `softmax`.
pub static LOG_SOFTMAX: Row = Row {
    samples: || axis_samples(Domain::Range(-2.0, 2.0), &[]),
    saves: Saves::OUTPUTS,
    vjp: Vjp::Rule(|p| {
        let (g, y, axis) = (wide(p.cx, p.g()?)?, wide(p.cx, p.y(0)?)?, axis_of(p.y_avals[0], p.params)?);
        let dx = p.cx.sub(&g, &p.cx.mul(&p.cx.exp(&y)?, &summed(p.cx, &g, axis)?)?)?;
        Ok(narrow(p.cx, &dx, p.x_avals[0].dtype)?.into_iter().map(Some).collect())
    }),
    jvp: Jvp::Derived,
    batch: Batch::Rule(batch),
    ..of_one(
        "log_softmax",
        "The logarithm of `softmax` along `axis`, without its rounding.",
        &[p("axis", Kind::Int)],
        Lift::Float,
        along,
        |cx, p, xs| {
            if xs[0].shape().contains(&0) {
                return Ok(smallvec![xs[0].clone()]);
            }
            let (x, axis) = (wide(cx, &xs[0])?, axis_of(xs[0].aval(), p)?);
            let s = shifted(cx, &x, axis)?;
            let log = cx.log(&cx.reduce_sum(&cx.exp(&s)?, &[axis])?)?;
            narrow(cx, &cx.sub(&s, &cx.unreduce(&log, x.shape(), &[axis])?)?, xs[0].dtype())
        },
        Some(|exec, p, xs| Ok(smallvec![normalise(exec, &xs[0], &[p.int("axis")? as usize], Norm::LogSoftmax)?])),
    )
};

impl Cx {
    pub fn logsumexp(&self, x: &Tensor, axes: &[usize]) -> Result<Tensor> {
        self.one(&LOGSUMEXP, [axes.into()], &[x])
    }
    pub fn softmax(&self, x: &Tensor, axis: usize) -> Result<Tensor> {
        self.one(&SOFTMAX, [axis.into()], &[x])
    }
    pub fn log_softmax(&self, x: &Tensor, axis: usize) -> Result<Tensor> {
        self.one(&LOG_SOFTMAX, [axis.into()], &[x])
    }
}
