//! Repetition along new axes: a view with strides of 0.
use crate::exec::Exec;
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Array, Aval, Cx, Error, Params, Result, Tensor};
use smallvec::smallvec;

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let (x, shape, axes) = (xs[0], p.dims("shape")?, p.dims("axes")?);
    let fits = axes.len() == x.ndim()
        && axes.windows(2).all(|w| w[0] < w[1])
        && axes.iter().zip(&x.shape).all(|(&a, &n)| shape.get(a) == Some(&n));
    if !fits {
        return Err(Error::shape(format!(
            "{:?} does not fit into {:?} at axes {:?}",
            x.shape.as_slice(),
            shape.as_slice(),
            axes.as_slice()
        )));
    }
    Ok(smallvec![Aval { shape, dtype: x.dtype, weak: x.weak }])
}

fn eval(_: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    Ok(smallvec![xs[0].broadcast(&p.dims("shape")?, &p.dims("axes")?)])
}

fn batch(b: &Batching) -> Result<crate::bind::Tensors> {
    let mut shape: Vec<usize> = vec![b.size];
    shape.extend(b.params.dims("shape")?);
    let mut axes: Vec<usize> = vec![0];
    axes.extend(b.shift("axes")?);
    b.bind([shape.as_slice().into(), axes.as_slice().into()], b.xs)
}

pub static BROADCAST: Row = Row {
    name: "broadcast",
    doc: "Repeats `x` to `shape`; axis i of `x` becomes axis `axes[i]` of the result, and has its size.",
    operands: &["x"],
    params: &[p("shape", Kind::Ints), p("axes", Kind::Ints)],
    many: false,
    lift: Lift::None,
    shape,
    body: Body::Primitive(Primitive { eval }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(|p| {
        let kept = p.params.dims("axes")?;
        let axes: Vec<usize> = (0..p.y_avals[0].ndim()).filter(|a| !kept.contains(a)).collect();
        Ok(vec![p.want(0, || p.cx.reduce_sum(p.g()?, &axes))?])
    }),
    jvp: Jvp::Linear,
    batch: Batch::Rule(batch),
    samples: || {
        let r = Domain::Range(-2.0, 2.0);
        let case = |x: &[usize], s: &[usize], a: &[usize]| Sample::new(vec![Input::new(x, r)], vec![s.into(), a.into()]);
        let mut out = vec![
            case(&[], &[2, 3], &[]),
            case(&[], &[], &[]),
            case(&[3], &[2, 3], &[1]),
            case(&[2], &[2, 3], &[0]),
            case(&[3], &[0, 3], &[1]),
            case(&[1], &[1, 7], &[0]),
            case(&[0], &[2, 0], &[1]),
            case(&[2, 8], &[2, 3, 8], &[0, 2]),
            case(&[31], &[31], &[0]),
        ];
        out.push(Sample::new(vec![Input::new(&[2, 4], r).laid(Layout::Transposed)], vec![[2i64, 3, 4].into(), [0i64, 2].into()]));
        out
    },
};

impl Cx {
    pub fn broadcast(&self, x: &Tensor, shape: &[usize], axes: &[usize]) -> Result<Tensor> {
        if x.shape() == shape {
            return Ok(x.clone());
        }
        self.one(&BROADCAST, [shape.into(), axes.into()], &[x])
    }
}
