//! Permutation of axes: a view.
use crate::exec::Exec;
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Array, Aval, Cx, Error, Params, Result, Tensor};
use smallvec::smallvec;

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let (x, perm) = (xs[0], p.dims("permutation")?);
    let mut seen = perm.clone();
    seen.sort_unstable();
    if !seen.iter().copied().eq(0..x.ndim()) {
        return Err(Error::shape(format!("{:?} is no permutation of the {} axes of {:?}", perm.as_slice(), x.ndim(), x.shape.as_slice())));
    }
    Ok(smallvec![Aval { shape: perm.iter().map(|&a| x.shape[a]).collect(), dtype: x.dtype, weak: x.weak }])
}

fn eval(_: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (x, perm) = (&xs[0], p.dims("permutation")?);
    let shape: Vec<usize> = perm.iter().map(|&a| x.shape[a]).collect();
    let strides: Vec<isize> = perm.iter().map(|&a| x.strides[a]).collect();
    Ok(smallvec![x.view(&shape, &strides, x.offset)])
}

fn batch(b: &Batching) -> Result<crate::bind::Tensors> {
    let mut perm: Vec<usize> = vec![0];
    perm.extend(b.shift("permutation")?);
    b.bind([perm.as_slice().into()], b.xs)
}

pub static TRANSPOSE: Row = Row {
    name: "transpose",
    doc: "Axes in another order: axis i of the result is axis `permutation[i]` of `x`.",
    operands: &["x"],
    params: &[p("permutation", Kind::Ints)],
    many: false,
    lift: Lift::None,
    shape,
    body: Body::Primitive(Primitive { eval }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(|p| {
        let perm = p.params.dims("permutation")?;
        let inverse: Vec<usize> = (0..perm.len()).map(|a| perm.iter().position(|&b| b == a).unwrap_or(a)).collect();
        Ok(vec![p.want(0, || p.cx.transpose(p.g()?, &inverse))?])
    }),
    jvp: Jvp::Linear,
    batch: Batch::Rule(batch),
    samples: || {
        let case = |x: &[usize], s: &[i64]| Sample::new(vec![Input::new(x, Domain::Range(-2.0, 2.0))], vec![s.into()]);
        let mut out = vec![
            case(&[], &[]),
            case(&[7], &[0]),
            case(&[2, 3], &[1, 0]),
            case(&[2, 3, 4], &[2, 0, 1]),
            case(&[0, 3], &[1, 0]),
            case(&[1, 8, 9], &[1, 2, 0]),
        ];
        out.push(Sample::new(vec![Input::new(&[3, 4], Domain::Range(-2.0, 2.0)).laid(Layout::Transposed)], vec![[1i64, 0].into()]));
        out
    },
};

impl Cx {
    pub fn transpose(&self, x: &Tensor, permutation: &[usize]) -> Result<Tensor> {
        if permutation.iter().copied().eq(0..x.ndim()) {
            return Ok(x.clone());
        }
        self.one(&TRANSPOSE, [permutation.into()], &[x])
    }
    /// Moves axis `from` to `to`, the others keep their order.
    pub fn move_axis(&self, x: &Tensor, from: usize, to: usize) -> Result<Tensor> {
        let mut perm: Vec<usize> = (0..x.ndim()).filter(|&a| a != from).collect();
        perm.insert(to.min(perm.len()), from);
        self.transpose(x, &perm)
    }
}
