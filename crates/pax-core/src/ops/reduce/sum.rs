//! Sums over axes.
use crate::exec::cpu::reduce::{fold, Fold};
use crate::exec::Exec;
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Array, Aval, Cx, Error, Params, Result, Tensor, Value};
use smallvec::smallvec;

/// The shape without `axes`; they are normalised, sorted and distinct.
pub(crate) fn reduced(x: &Aval, p: &Params) -> Result<crate::Dims> {
    let axes = p.dims("axes")?;
    if !axes.windows(2).all(|w| w[0] < w[1]) || axes.last().is_some_and(|&a| a >= x.ndim()) {
        return Err(Error::shape(format!("axes {:?} of a tensor of shape {:?}", axes.as_slice(), x.shape.as_slice())));
    }
    Ok(x.shape.iter().enumerate().filter(|(d, _)| !axes.contains(d)).map(|(_, &n)| n).collect())
}

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    Ok(smallvec![Aval { shape: reduced(xs[0], p)?, dtype: xs[0].dtype.sum_result(), weak: xs[0].weak }])
}

fn eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    Ok(smallvec![fold(exec, &xs[0], &p.dims("axes")?, Fold::Sum)?])
}

pub(crate) fn batch_axes(b: &Batching) -> Result<crate::bind::Tensors> {
    b.bind([b.shift("axes")?.as_slice().into()], b.xs)
}

/// Samples over axes, shapes and layouts that reductions share.
pub(crate) fn reduce_samples(domain: Domain) -> Vec<Sample> {
    let case = |x: &[usize], a: &[i64]| Sample::new(vec![Input::new(x, domain)], vec![a.into()]);
    let mut out = vec![
        case(&[], &[]),
        case(&[1], &[0]),
        case(&[7], &[0]),
        case(&[8], &[0]),
        case(&[9], &[0]),
        case(&[31], &[0]),
        case(&[2, 3], &[0]),
        case(&[2, 3], &[1]),
        case(&[2, 3], &[0, 1]),
        case(&[3, 2, 4], &[1]),
        case(&[3, 2, 4], &[0, 2]),
        case(&[2, 3], &[]),
        case(&[0, 3], &[1]),
    ];
    for l in [Layout::Transposed, Layout::Broadcast] {
        out.push(Sample::new(vec![Input::new(&[3, 4], domain).laid(l)], vec![[1i64].into()]));
    }
    out
}

pub static REDUCE_SUM: Row = Row {
    name: "reduce_sum",
    doc: "Sum over `axes`. bool gives int32, uint8 gives uint32; half floats accumulate in float32.",
    operands: &["x"],
    params: &[p("axes", Kind::Ints)],
    many: false,
    lift: Lift::None,
    shape,
    body: Body::Primitive(Primitive { eval }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(|p| Ok(vec![p.want(0, || p.cx.unreduce(p.g()?, &p.x_avals[0].shape, &p.params.dims("axes")?))?])),
    jvp: Jvp::Linear,
    batch: Batch::Rule(batch_axes),
    samples: || {
        let mut out = reduce_samples(Domain::Range(-2.0, 2.0));
        out.push(Sample::new(vec![Input::new(&[0, 3], Domain::Range(-2.0, 2.0))], vec![[0i64].into()]));
        out
    },
};

impl Cx {
    pub fn reduce_sum(&self, x: &Tensor, axes: &[usize]) -> Result<Tensor> {
        if axes.is_empty() {
            return Ok(x.clone());
        }
        self.one(&REDUCE_SUM, [Value::from(axes)], &[x])
    }
    /// The reverse of a reduction's shape: `y` repeated along `axes` of `shape`.
    pub fn unreduce(&self, y: &Tensor, shape: &[usize], axes: &[usize]) -> Result<Tensor> {
        let kept: Vec<usize> = (0..shape.len()).filter(|d| !axes.contains(d)).collect();
        self.broadcast(y, shape, &kept)
    }
}
