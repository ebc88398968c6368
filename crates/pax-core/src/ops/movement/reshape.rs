//! The same elements under another shape.
use crate::array::row_major;
use crate::exec::Exec;
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Array, Aval, Cx, Error, Params, Result, Tensor};
use smallvec::smallvec;

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let (x, shape) = (xs[0], p.dims("shape")?);
    if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) != Some(x.size()) {
        return Err(Error::shape(format!("{:?} has {} elements and cannot become {:?}", x.shape.as_slice(), x.size(), shape.as_slice())));
    }
    Ok(smallvec![Aval { shape, dtype: x.dtype, weak: x.weak }])
}

fn eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let shape = p.dims("shape")?;
    // A tensor of one repeated element stays a view.
    if xs[0].strides.iter().all(|&s| s == 0) {
        return Ok(smallvec![xs[0].view(&shape, &vec![0; shape.len()], xs[0].offset)]);
    }
    let x = exec.contiguous(xs[0].clone());
    Ok(smallvec![x.view(&shape, &row_major(&shape), x.offset)])
}

fn batch(b: &Batching) -> Result<crate::bind::Tensors> {
    let mut shape: Vec<usize> = vec![b.size];
    shape.extend(b.params.dims("shape")?);
    b.bind([shape.as_slice().into()], b.xs)
}

pub static RESHAPE: Row = Row {
    name: "reshape",
    doc: "The same elements in row-major order under another shape.",
    operands: &["x"],
    params: &[p("shape", Kind::Ints)],
    many: false,
    lift: Lift::None,
    shape,
    body: Body::Primitive(Primitive { eval }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(|p| Ok(vec![p.want(0, || p.cx.reshape(p.g()?, &p.x_avals[0].shape))?])),
    jvp: Jvp::Linear,
    batch: Batch::Rule(batch),
    samples: || {
        let r = Domain::Range(-2.0, 2.0);
        let case = |x: &[usize], s: &[i64]| Sample::new(vec![Input::new(x, r)], vec![s.into()]);
        let mut out = vec![
            case(&[2, 3], &[6]),
            case(&[6], &[3, 2]),
            case(&[], &[1, 1]),
            case(&[1], &[]),
            case(&[0, 3], &[2, 0]),
            case(&[31], &[31, 1]),
        ];
        for l in [Layout::Transposed, Layout::Broadcast] {
            out.push(Sample::new(vec![Input::new(&[3, 4], r).laid(l)], vec![[2i64, 6].into()]));
        }
        out
    },
};

impl Cx {
    pub fn reshape(&self, x: &Tensor, shape: &[usize]) -> Result<Tensor> {
        if x.shape() == shape {
            return Ok(x.clone());
        }
        self.one(&RESHAPE, [shape.into()], &[x])
    }
}
