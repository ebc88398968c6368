//! Sorting: ascending and stable, NaN last, -0 equal to 0 (`jax.lax.sort`).
use crate::exec::cpu::index;
use crate::exec::Exec;
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{same_shapes, Arrays, Batch, Body, Composite, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Array, Aval, Cx, DType, Dims, Error, Params, Result, Tensor};
use smallvec::smallvec;

fn axis(xs: &[&Aval], p: &Params) -> Result<usize> {
    let Some(x) = xs.first() else { return Err(Error::value("sorting needs an operand")) };
    same_shapes(xs)?;
    let a = p.int("axis")?;
    usize::try_from(a)
        .ok()
        .filter(|&a| a < x.ndim())
        .ok_or_else(|| Error::shape(format!("axis {a} of a tensor of shape {:?}", x.shape.as_slice())))
}

fn eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let axis = p.int("axis")? as usize;
    let mut order: Vec<usize> = (0..xs[0].ndim()).filter(|&d| d != axis).collect();
    order.push(axis);
    let shape: Dims = order.iter().map(|&d| xs[0].shape[d]).collect();
    let keys: Vec<Array> = xs.iter().map(|x| x.view(&shape, &order.iter().map(|&d| x.strides[d]).collect::<Vec<_>>(), x.offset)).collect();
    let y = exec.array(index::order(exec, &keys, xs[0].shape[axis])?, &shape);
    let mut strides = vec![0isize; shape.len()];
    for (&d, &s) in order.iter().zip(&y.strides) {
        strides[d] = s;
    }
    Ok(smallvec![y.view(&xs[0].shape, &strides, 0)])
}

pub static ARGSORT: Row = Row {
    name: "argsort",
    doc: "The int32 order that sorts along `axis` by the first operand, ties by the next; ascending, stable, NaN last.",
    operands: &["...keys"],
    params: &[p("axis", Kind::Int)],
    many: false,
    lift: Lift::None,
    shape: |xs, p| {
        axis(xs, p)?;
        Ok(smallvec![Aval::new(&xs[0].shape, DType::I32)])
    },
    body: Body::Primitive(Primitive { eval }),
    saves: Saves::NONE,
    vjp: Vjp::Zero("the order is constant where it is defined"),
    jvp: Jvp::None("the order is constant where it is defined"),
    batch: Batch::Rule(|b| b.bind([(b.params.int("axis")? + 1).into()], &b.all_mapped()?)),
    samples: || samples(|_| vec![]),
};

fn samples(more: fn(usize) -> Vec<crate::Value>) -> Vec<Sample> {
    let r = Domain::Range(-2.0, 2.0);
    let mut out = Vec::new();
    for (x, a, n) in [
        (&[0usize][..], 0i64, 1usize),
        (&[1], 0, 1),
        (&[7], 0, 1),
        (&[8], 0, 2),
        (&[31], 0, 1),
        (&[3, 9], 0, 1),
        (&[2, 3, 4], 1, 2),
        (&[3, 0], 0, 1),
    ] {
        out.push(Sample::new(vec![Input::new(x, r); n], std::iter::once(a.into()).chain(more(n)).collect()));
    }
    out.push(Sample::new(vec![Input::new(&[3, 4], r).laid(Layout::Transposed)], std::iter::once(0i64.into()).chain(more(1)).collect()));
    out
}

fn keys(p: &Params, operands: usize) -> Result<usize> {
    let n = p.int("num_keys")?;
    usize::try_from(n)
        .ok()
        .filter(|n| (1..=operands).contains(n))
        .ok_or_else(|| Error::value(format!("num_keys is {n}, with {operands} operands")))
}

pub static SORT: Row = Row {
    name: "sort",
    doc: "The operands sorted together along `axis` by the first `num_keys` of them; ascending, stable, NaN last.",
    operands: &["...operands"],
    params: &[p("axis", Kind::Int), p("num_keys", Kind::Int)],
    many: true,
    lift: Lift::None,
    shape: |xs, p| {
        axis(xs, p)?;
        keys(p, xs.len())?;
        Ok(xs.iter().map(|&x| x.clone()).collect())
    },
    body: Body::Composite(Composite {
        expand: |cx, p, xs| {
            let avals: Vec<&Aval> = xs.iter().map(|x| x.aval()).collect();
            let (axis, keys) = (axis(&avals, p)?, keys(p, xs.len())?);
            let order = cx.argsort(&xs[..keys], axis)?;
            xs.iter().map(|x| cx.take_along_axis(x, &order, axis)).collect()
        },
        fused: None,
    }),
    saves: Saves::NONE,
    vjp: Vjp::None("its expansion has one"),
    jvp: Jvp::None("its expansion has one"),
    batch: Batch::None("its expansion has one"),
    samples: || samples(|n| vec![n.into()]),
};

impl Cx {
    pub fn argsort(&self, keys: &[Tensor], axis: usize) -> Result<Tensor> {
        self.one(&ARGSORT, [axis.into()], &keys.iter().collect::<Vec<_>>())
    }
}
