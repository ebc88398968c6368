//! Rows that keep the value or its bits.
use crate::dtype::Element;
use crate::exec::cpu::map::map1;
use crate::exec::Exec;
use crate::ops::samples::{elementwise, Domain, Input, Sample};
use crate::ops::{same, Arrays, Avals, Batch, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{dispatch, Array, Aval, Cx, DType, Error, Params, Result, Tensor, Value};
use half::{bf16, f16};
use smallvec::smallvec;

/// An element as bits, in the low end of a u64.
trait Bits: Element {
    fn bits(self) -> u64;
    fn of(bits: u64) -> Self;
}
macro_rules! bits {
    (int $($t:ty)*) => { $(impl Bits for $t {
        #[inline(always)] fn bits(self) -> u64 { self as u64 }
        #[inline(always)] fn of(bits: u64) -> Self { bits as $t }
    })* };
    (float $($t:ty: $u:ty;)*) => { $(impl Bits for $t {
        #[inline(always)] fn bits(self) -> u64 { self.to_bits() as u64 }
        #[inline(always)] fn of(bits: u64) -> Self { <$t>::from_bits(bits as $u) }
    })* };
}
bits!(int i32 i64 u8 u32);
bits!(float f32: u32; f64: u64; f16: u16; bf16: u16;);

fn bitcast_shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let (from, to) = (xs[0].dtype, p.dtype("dtype")?);
    // A bool is a byte of 0 or 1: not every byte is one.
    if from.size() != to.size() || (from == DType::Bool) != (to == DType::Bool) {
        return Err(Error::dtype(format!("{} cannot be read as {}: their elements must have the same number of bits", from.name(), to.name())));
    }
    Ok(smallvec![Aval { shape: xs[0].shape.clone(), dtype: to, weak: false }])
}
fn bitcast(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (x, to) = (&xs[0], p.dtype("dtype")?);
    if x.dtype == to { return Ok(smallvec![x.clone()]); }
    dispatch!(x.dtype, T => dispatch!(to, U => Ok(smallvec![map1(exec, to, x, |v: T| <U as Bits>::of(v.bits()))?])))
}

pub static BITCAST: Row = Row {
    name: "bitcast",
    doc: "The same bits read as another dtype of the same size.",
    operands: &["x"], params: &[p("dtype", Kind::DType)], many: false, lift: Lift::None, shape: bitcast_shape,
    body: Body::Primitive(Primitive { eval: bitcast }),
    saves: Saves::NONE, vjp: Vjp::Zero("bits have no derivative"), jvp: Jvp::Diagonal, batch: Batch::Elementwise,
    samples: || [DType::I32, DType::U32, DType::F32].iter().flat_map(|&d| [vec![], vec![0], vec![9], vec![2, 3]]
        .map(|s: Vec<usize>| Sample::new(vec![Input::new(&s, Domain::Bits)], vec![Value::DType(d)]).rough())).collect(),
};

pub static STOP_GRADIENT: Row = Row {
    name: "stop_gradient",
    doc: "`x` itself, a constant to every derivative.",
    operands: &["x"], params: &[], many: false, lift: Lift::None, shape: same,
    body: Body::Primitive(Primitive { eval: |_, _, xs| Ok(smallvec![xs[0].clone()]) }),
    saves: Saves::NONE, vjp: Vjp::Zero("that is its purpose"), jvp: Jvp::Diagonal, batch: Batch::Elementwise,
    // Differences see the slope that it hides.
    samples: || elementwise(&[Domain::Range(-2.0, 2.0)]).into_iter().map(Sample::rough).collect(),
};

pub static COPY: Row = Row {
    name: "copy",
    doc: "The same values in a buffer of their own.",
    operands: &["x"], params: &[], many: false, lift: Lift::None, shape: same,
    body: Body::Primitive(Primitive { eval: |exec, _, xs| {
        let x = &xs[0];
        dispatch!(x.dtype, T => Ok(smallvec![exec.array_as(x.dtype, x.to_slice::<T>()?.into_owned(), &x.shape)]))
    } }),
    saves: Saves::NONE, vjp: Vjp::Rule(|p| Ok(vec![Some(p.g()?.clone())])), jvp: Jvp::Linear, batch: Batch::Elementwise,
    samples: || elementwise(&[Domain::Range(-2.0, 2.0)]),
};

impl Cx {
    pub fn bitcast(&self, x: &Tensor, dtype: DType) -> Result<Tensor> { self.one(&BITCAST, [Value::DType(dtype)], &[x]) }
    pub fn stop_gradient(&self, x: &Tensor) -> Result<Tensor> { self.one(&STOP_GRADIENT, [], &[x]) }
    pub fn copy(&self, x: &Tensor) -> Result<Tensor> { self.one(&COPY, [], &[x]) }
}
