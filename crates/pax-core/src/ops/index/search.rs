//! Where numbers would go into a sorted row of them.
use crate::ops::index::gather::{Place, CLAMP};
use crate::ops::samples::{Domain, Input, Sample};
use crate::ops::{Avals, Batch, Body, Composite, Jvp, Lift, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Aval, Cx, DType, Error, Params, Result, Tensor};
use smallvec::smallvec;

fn shape(xs: &[&Aval], _: &Params) -> Result<Avals> {
    if xs[0].ndim() != 1 {
        return Err(Error::shape(format!("it searches in one axis, not in shape {:?}", xs[0].shape.as_slice())));
    }
    Ok(smallvec![Aval::new(&xs[1].shape, DType::I32)])
}

/// `a < b` in the order of sorting, where NaN is above all.
fn before(cx: &Cx, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    cx.logical_or(&cx.less(a, b)?, &cx.logical_and(&cx.isnan(b)?, &cx.logical_not(&cx.isnan(a)?)?)?)
}

/// Halves the places that are left, all values at once.
fn search(cx: &Cx, sorted: &Tensor, values: &Tensor, right: bool) -> Result<Tensor> {
    let n = sorted.size();
    let int = |x: usize| cx.full(values.shape(), DType::I32, x as f64);
    let (mut low, mut high) = (int(0)?, int(n)?);
    for _ in 0..usize::BITS - n.leading_zeros() {
        let middle = cx.shift_right(&cx.add(&low, &high)?, &int(1)?)?;
        let element = cx.gather(sorted, &middle, Place { axis: 0, batch: 0, outside: CLAMP })?;
        let open = cx.less(&low, &high)?;
        let behind = if right { cx.logical_not(&before(cx, values, &element)?)? } else { before(cx, &element, values)? };
        low = cx.select(&cx.logical_and(&open, &behind)?, &cx.shift(&middle, 1.0)?, &low)?;
        high = cx.select(&cx.logical_or(&behind, &cx.logical_not(&open)?)?, &high, &middle)?;
    }
    Ok(low)
}

pub static SEARCHSORTED: Row = Row {
    name: "searchsorted",
    doc: "Where `values` would go into the ascending one-axis `sorted`, as int32: in front of equal elements, or behind them if `right`.",
    operands: &["sorted", "values"],
    params: &[p("right", Kind::Bool)],
    many: false,
    lift: Lift::Dtypes,
    shape,
    body: Body::Composite(Composite {
        expand: |cx, p, xs| {
            shape(&[xs[0].aval(), xs[1].aval()], p)?;
            Ok(smallvec![search(cx, &xs[0], &xs[1], p.bool("right")?)?])
        },
        fused: None,
    }),
    saves: Saves::NONE,
    vjp: Vjp::None("its expansion has one"),
    jvp: Jvp::None("its expansion has one"),
    batch: Batch::None("its expansion has one"),
    samples: || {
        [(&[4usize][..], &[2usize, 3][..], false), (&[7], &[5], true), (&[1], &[], false)]
            .map(|(s, v, right)| {
                Sample::new(vec![Input::new(s, Domain::Range(-2.0, 2.0)), Input::new(v, Domain::Range(-2.0, 2.0))], vec![right.into()])
            })
            .into()
    },
};
