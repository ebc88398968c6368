//! Rows that speak of a mapped axis by name. Mapping turns them into others; without a mapped axis they have no value.
use crate::exec::Exec;
use crate::ops::{no_samples, Arrays, Avals, Batch, Batching, Body, Flagged, Grads, Jvp, Lift, Primitive, Pull, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Array, Aval, Cx, DType, Error, Params, Result, Tensor, Value};
use smallvec::smallvec;

pub const ROWS: &[&Row] = &[&PSUM, &PMAX, &AXIS_INDEX];

fn unbound(_: &Exec, p: &Params, _: &[Array]) -> Result<Arrays> {
    Err(Error::trace(format!("no axis is named {:?} here: map over it with vmap or pmap and {{ axisName }}", p.str("axis")?)))
}

/// Another axis than its own: the row stays, over one axis more.
fn other(b: &Batching) -> Result<Flagged> {
    let any = b.mapped.contains(&true);
    let xs = if any { b.all_mapped()? } else { b.xs.iter().cloned().collect() };
    Ok(b.bind(b.params.values().to_vec(), &xs)?.into_iter().map(|t| (t, any)).collect())
}

fn over(b: &Batching, f: impl FnOnce(&Cx) -> Result<(Tensor, bool)>) -> Result<Flagged> {
    if b.params.str("axis")? != b.axis {
        return other(b);
    }
    Ok(vec![f(b.cx)?])
}

fn named(p: &Pull) -> Result<[Value; 1]> {
    Ok([Value::from(p.params.str("axis")?)])
}

pub static PSUM: Row = Row {
    name: "psum",
    doc: "The sum over the mapped axis of that name; every example gets it.",
    operands: &["x"],
    params: &[p("axis", Kind::Str)],
    many: false,
    lift: Lift::None,
    shape: crate::ops::same,
    body: Body::Primitive(Primitive { eval: unbound }),
    saves: Saves::NONE,
    // Every example's result depends on every example's operand.
    vjp: Vjp::Rule(|p| Ok(vec![p.want(0, || p.cx.one(&PSUM, named(p)?, &[p.g()?]))?])),
    jvp: Jvp::Linear,
    batch: Batch::Axis(|b| {
        over(b, |cx| {
            if b.mapped[0] {
                return Ok((cx.cast_weak(&cx.reduce_sum(&b.xs[0], &[0])?, b.xs[0].dtype(), b.xs[0].weak())?, false));
            }
            Ok((cx.scale(&b.xs[0], b.size as f64)?, false))
        })
    }),
    samples: no_samples,
};

fn pmax_vjp(p: &Pull) -> Result<Grads> {
    Ok(vec![p.want(0, || {
        let cx = p.cx;
        let hit = cx.cast(&cx.equal(p.x(0)?, p.y(0)?)?, p.x(0)?.dtype())?;
        let share = cx.div(&cx.one(&PSUM, named(p)?, &[p.g()?])?, &cx.one(&PSUM, named(p)?, &[&hit])?)?;
        cx.mul(&hit, &share)
    })?])
}

pub static PMAX: Row = Row {
    name: "pmax",
    doc: "The greatest over the mapped axis of that name; every example gets it. Ties share the gradient evenly.",
    operands: &["x"],
    params: &[p("axis", Kind::Str)],
    many: false,
    lift: Lift::None,
    shape: crate::ops::same,
    body: Body::Primitive(Primitive { eval: unbound }),
    saves: Saves::BOTH,
    vjp: Vjp::Rule(pmax_vjp),
    jvp: Jvp::Derived,
    batch: Batch::Axis(|b| over(b, |cx| Ok((if b.mapped[0] { cx.reduce_max(&b.xs[0], &[0])? } else { b.xs[0].clone() }, false)))),
    samples: no_samples,
};

fn index_shape(_: &[&Aval], _: &Params) -> Result<Avals> {
    Ok(smallvec![Aval::new(&[], DType::I32)])
}

pub static AXIS_INDEX: Row = Row {
    name: "axis_index",
    doc: "Each example's index along the mapped axis of that name.",
    operands: &[],
    params: &[p("axis", Kind::Str)],
    many: false,
    lift: Lift::None,
    shape: index_shape,
    body: Body::Primitive(Primitive { eval: unbound }),
    saves: Saves::NONE,
    vjp: Vjp::Zero("the result is an index"),
    jvp: Jvp::None("the result is an index"),
    batch: Batch::Axis(|b| over(b, |cx| Ok((cx.iota(&[b.size], DType::I32, 0)?, true)))),
    samples: no_samples,
};
