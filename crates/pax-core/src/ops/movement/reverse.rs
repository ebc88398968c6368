//! Axes back to front: a view with negative strides.
use crate::exec::Exec;
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Arrays, Avals, Batch, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Array, Aval, Cx, Error, Params, Result, Tensor};
use smallvec::smallvec;

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let (x, axes) = (xs[0], p.dims("axes")?);
    let fits = axes.iter().enumerate().all(|(i, a)| *a < x.ndim() && !axes[..i].contains(a));
    if !fits {
        return Err(Error::shape(format!("axes {:?} must be distinct axes of {:?}", axes.as_slice(), x.shape.as_slice())));
    }
    Ok(smallvec![x.clone()])
}

fn eval(_: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let x = &xs[0];
    if x.size() == 0 {
        return Ok(smallvec![x.clone()]);
    }
    let (mut strides, mut offset) = (x.strides.clone(), x.offset as isize);
    for a in p.dims("axes")? {
        offset += (x.shape[a] as isize - 1) * strides[a];
        strides[a] = -strides[a];
    }
    Ok(smallvec![x.view(&x.shape, &strides, offset as usize)])
}

pub static REVERSE: Row = Row {
    name: "reverse",
    doc: "`x` with `axes` back to front: a view.",
    operands: &["x"],
    params: &[p("axes", Kind::Ints)],
    many: false,
    lift: Lift::None,
    shape,
    body: Body::Primitive(Primitive { eval }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(|p| Ok(vec![p.want(0, || p.cx.reverse(p.g()?, &p.params.dims("axes")?))?])),
    jvp: Jvp::Linear,
    batch: Batch::Rule(|b| b.bind([b.shift("axes")?.as_slice().into()], b.xs)),
    samples: || {
        let r = Domain::Range(-2.0, 2.0);
        let case = |x: &[usize], a: &[i64]| Sample::new(vec![Input::new(x, r)], vec![a.into()]);
        let mut out = vec![
            case(&[], &[]),
            case(&[1], &[0]),
            case(&[7], &[0]),
            case(&[31], &[0]),
            case(&[2, 3], &[1]),
            case(&[8, 9], &[0, 1]),
            case(&[0, 3], &[0, 1]),
            case(&[2, 3], &[]),
        ];
        for l in [Layout::Transposed, Layout::Broadcast] {
            out.push(Sample::new(vec![Input::new(&[3, 4], r).laid(l)], vec![[0i64].into()]));
        }
        out
    },
};

impl Cx {
    pub fn reverse(&self, x: &Tensor, axes: &[usize]) -> Result<Tensor> {
        self.one(&REVERSE, [axes.into()], &[x])
    }
}
