//! Tensors from nothing.
use crate::dtype::Element;
use crate::exec::Exec;
use crate::ops::samples::Sample;
use crate::ops::{Arrays, Avals, Batch, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{dispatch, Array, Aval, Cx, DType, Error, Params, Result, Tensor, Value};
use smallvec::smallvec;

fn full_shape(_: &[&Aval], p: &Params) -> Result<Avals> {
    Ok(smallvec![Aval { shape: p.dims("shape")?, dtype: p.dtype("dtype")?, weak: false }])
}

/// One element, repeated by a stride of 0.
fn full(exec: &Exec, p: &Params, _: &[Array]) -> Result<Arrays> {
    let (dtype, value, shape) = (p.dtype("dtype")?, p.float("value")?, p.dims("shape")?);
    let one = dispatch!(dtype, T => exec.array_as(dtype, vec![if dtype == DType::Bool { <T as Element>::from_i64((value != 0.0) as i64) } else { <T as Element>::from_f64(value) }], &[]));
    Ok(smallvec![one.view(&shape, &vec![0; shape.len()], 0)])
}

pub static FULL: Row = Row {
    name: "full",
    doc: "A tensor of `shape` and `dtype` whose elements are all `value`.",
    operands: &[],
    params: &[p("shape", Kind::Ints), p("dtype", Kind::DType), p("value", Kind::Float)],
    many: false,
    lift: Lift::None,
    shape: full_shape,
    body: Body::Primitive(Primitive { eval: full }),
    saves: Saves::NONE,
    vjp: Vjp::Zero("it has no operands"),
    jvp: Jvp::None("it has no operands"),
    batch: Batch::None("it has no operands, so nothing of it is mapped"),
    samples: || {
        DType::ALL
            .iter()
            .flat_map(|&d| {
                [vec![], vec![0], vec![2, 3]]
                    .map(|s: Vec<usize>| Sample::new(vec![], vec![s.as_slice().into(), Value::DType(d), Value::Float(1.0)]))
            })
            .collect()
    },
};

impl Cx {
    pub fn full(&self, shape: &[usize], dtype: DType, value: f64) -> Result<Tensor> {
        self.one(&FULL, [shape.into(), Value::DType(dtype), Value::Float(value)], &[])
    }
}

fn iota_shape(_: &[&Aval], p: &Params) -> Result<Avals> {
    let (shape, dtype, axis) = (p.dims("shape")?, p.dtype("dtype")?, p.int("axis")?);
    if dtype == DType::Bool {
        return Err(Error::dtype("iota counts, which bool cannot: take int32 and cast"));
    }
    if usize::try_from(axis).map_or(true, |a| a >= shape.len()) {
        return Err(Error::shape(format!("axis {axis} is none of the axes of {:?}", shape.as_slice())));
    }
    Ok(smallvec![Aval { shape, dtype, weak: false }])
}

/// The counts once, repeated along the other axes by strides of 0.
fn iota(exec: &Exec, p: &Params, _: &[Array]) -> Result<Arrays> {
    let (shape, dtype, axis) = (p.dims("shape")?, p.dtype("dtype")?, p.int("axis")? as usize);
    let n = shape[axis];
    let line = dispatch!(dtype, T => exec.array_as(dtype, (0..n as i64).map(<T as Element>::from_i64).collect::<Vec<T>>(), &[n]));
    let mut strides = vec![0; shape.len()];
    strides[axis] = 1;
    Ok(smallvec![line.view(&shape, &strides, 0)])
}

pub static IOTA: Row = Row {
    name: "iota",
    doc: "A tensor of `shape` and `dtype` whose elements are their index along `axis`.",
    operands: &[],
    params: &[p("shape", Kind::Ints), p("dtype", Kind::DType), p("axis", Kind::Int)],
    many: false,
    lift: Lift::None,
    shape: iota_shape,
    body: Body::Primitive(Primitive { eval: iota }),
    saves: Saves::NONE,
    vjp: Vjp::Zero("it has no operands"),
    jvp: Jvp::None("it has no operands"),
    batch: Batch::None("it has no operands, so nothing of it is mapped"),
    samples: || {
        DType::ALL
            .iter()
            .filter(|&&d| d != DType::Bool)
            .flat_map(|&d| {
                [(vec![0], 0), (vec![1], 0), (vec![31], 0), (vec![2, 3], 0), (vec![7, 8], 1)]
                    .map(|(s, a): (Vec<usize>, i64)| Sample::new(vec![], vec![s.as_slice().into(), Value::DType(d), a.into()]))
            })
            .collect()
    },
};

impl Cx {
    pub fn iota(&self, shape: &[usize], dtype: DType, axis: usize) -> Result<Tensor> {
        self.one(&IOTA, [shape.into(), Value::DType(dtype), axis.into()], &[])
    }
}
