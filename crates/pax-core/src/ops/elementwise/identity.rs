//! Rows that keep the value or its bits.
use crate::exec::Exec;
use crate::ops::samples::{elementwise, Domain, Input, Sample};
use crate::ops::{same, Arrays, Avals, Batch, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Array, Aval, Cx, DType, Error, Params, Result, Tensor, Value};
use smallvec::smallvec;

fn bitcast_shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let (from, to) = (xs[0].dtype, p.dtype("dtype")?);
    // A bool is a byte of 0 or 1: not every byte is one.
    if from.size() != to.size() || (from == DType::Bool) != (to == DType::Bool) {
        return Err(Error::dtype(format!(
            "{} cannot be read as {}: their elements must have the same number of bits",
            from.name(),
            to.name()
        )));
    }
    Ok(smallvec![Aval { shape: xs[0].shape.clone(), dtype: to, weak: false }])
}
fn bitcast(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (x, to) = (&xs[0], p.dtype("dtype")?);
    if x.dtype == to {
        return Ok(smallvec![x.clone()]);
    }
    Ok(smallvec![exec.bits_as(x, to)])
}

pub static BITCAST: Row = Row {
    name: "bitcast",
    doc: "The same bits read as another dtype of the same size.",
    operands: &["x"],
    params: &[p("dtype", Kind::DType)],
    many: false,
    lift: Lift::None,
    shape: bitcast_shape,
    body: Body::Primitive(Primitive { eval: bitcast }),
    saves: Saves::NONE,
    vjp: Vjp::Zero("bits have no derivative"),
    jvp: Jvp::Diagonal,
    batch: Batch::Elementwise,
    samples: || {
        [DType::I32, DType::U32, DType::F32]
            .iter()
            .flat_map(|&d| {
                [vec![], vec![0], vec![9], vec![2, 3]]
                    .map(|s: Vec<usize>| Sample::new(vec![Input::new(&s, Domain::Bits)], vec![Value::DType(d)]).rough())
            })
            .collect()
    },
};

pub static STOP_GRADIENT: Row = Row {
    name: "stop_gradient",
    doc: "`x` itself, a constant to every derivative.",
    operands: &["x"],
    params: &[],
    many: false,
    lift: Lift::None,
    shape: same,
    body: Body::Primitive(Primitive { eval: |_, _, xs| Ok(smallvec![xs[0].clone()]) }),
    saves: Saves::NONE,
    vjp: Vjp::Zero("that is its purpose"),
    jvp: Jvp::Diagonal,
    batch: Batch::Elementwise,
    // Differences see the slope that it hides.
    samples: || elementwise(&[Domain::Range(-2.0, 2.0)]).into_iter().map(Sample::rough).collect(),
};

pub static COPY: Row = Row {
    name: "copy",
    doc: "The same values in a buffer of their own.",
    operands: &["x"],
    params: &[],
    many: false,
    lift: Lift::None,
    shape: same,
    body: Body::Primitive(Primitive { eval: |exec, _, xs| Ok(smallvec![exec.copied(&xs[0])]) }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(|p| Ok(vec![Some(p.g()?.clone())])),
    jvp: Jvp::Linear,
    batch: Batch::Elementwise,
    samples: || elementwise(&[Domain::Range(-2.0, 2.0)]),
};

impl Cx {
    pub fn bitcast(&self, x: &Tensor, dtype: DType) -> Result<Tensor> {
        self.one(&BITCAST, [Value::DType(dtype)], &[x])
    }
    pub fn stop_gradient(&self, x: &Tensor) -> Result<Tensor> {
        self.one(&STOP_GRADIENT, [], &[x])
    }
    pub fn copy(&self, x: &Tensor) -> Result<Tensor> {
        self.one(&COPY, [], &[x])
    }
}
