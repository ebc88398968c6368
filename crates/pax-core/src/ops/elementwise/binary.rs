//! Binary arithmetic. Operands have one shape and dtype; integers wrap.
use crate::dtype::Element;
use crate::exec::cpu::map::{map2, tiled};
use crate::exec::cpu::math::halves;
use crate::exec::cpu::tile;
use crate::exec::Exec;
use crate::ops::samples::{elementwise, Domain};
use crate::ops::{same, Arrays, Batch, Body, Jvp, Lift, Primitive, Pull, Row, Saves, Vjp};
use crate::{dispatch_wide, Array, Cx, DType, Params, Result, Tensor};
use half::{bf16, f16};
use smallvec::smallvec;

/// Arithmetic that wraps for integers and rounds once for half floats.
pub trait Number: Element {
    fn add(self, o: Self) -> Self;
    fn sub(self, o: Self) -> Self;
    fn mul(self, o: Self) -> Self;
}
macro_rules! number {
    (int $($t:ty)*) => { $(impl Number for $t {
        #[inline(always)] fn add(self, o: Self) -> Self { self.wrapping_add(o) }
        #[inline(always)] fn sub(self, o: Self) -> Self { self.wrapping_sub(o) }
        #[inline(always)] fn mul(self, o: Self) -> Self { self.wrapping_mul(o) }
    })* };
    (float $($t:ty)*) => { $(impl Number for $t {
        #[inline(always)] fn add(self, o: Self) -> Self { self + o }
        #[inline(always)] fn sub(self, o: Self) -> Self { self - o }
        #[inline(always)] fn mul(self, o: Self) -> Self { self * o }
    })* };
}
number!(int i32 i64 u8 u32);
number!(float f32 f64 f16 bf16);

macro_rules! arithmetic {
    ($op:ident, $bool:expr) => {
        fn $op(exec: &Exec, _: &Params, xs: &[Array]) -> Result<Arrays> {
            Ok(smallvec![halves(exec, &[&xs[0], &xs[1]], &|xs| match xs[0].dtype {
                DType::F32 => tiled(exec, tile::$op, [xs[0], xs[1]]),
                DType::Bool => map2(exec, DType::Bool, xs[0], xs[1], $bool),
                d => dispatch_wide!(d, T => map2(exec, d, xs[0], xs[1], <T as Number>::$op)),
            })?])
        }
    };
}
arithmetic!(add, |x: u8, y: u8| x | y);
arithmetic!(sub, |x: u8, y: u8| x ^ y);
arithmetic!(mul, |x: u8, y: u8| x & y);

const RANGE: Domain = Domain::Range(-2.0, 2.0);

pub static ADD: Row = Row {
    name: "add",
    doc: "`a + b`, element by element; bool is or.",
    operands: &["a", "b"],
    params: &[],
    many: false,
    lift: Lift::Promote,
    shape: same,
    body: Body::Primitive(Primitive { eval: add }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(|p| Ok(vec![Some(p.g()?.clone()), Some(p.g()?.clone())])),
    jvp: Jvp::Linear,
    batch: Batch::Elementwise,
    samples: || elementwise(&[RANGE, RANGE]),
};

pub static SUB: Row = Row {
    name: "sub",
    doc: "`a - b`, element by element; bool is exclusive or.",
    operands: &["a", "b"],
    params: &[],
    many: false,
    lift: Lift::Promote,
    shape: same,
    body: Body::Primitive(Primitive { eval: sub }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(|p| Ok(vec![Some(p.g()?.clone()), p.want(1, || p.cx.neg(p.g()?))?])),
    jvp: Jvp::Linear,
    batch: Batch::Elementwise,
    samples: || elementwise(&[RANGE, RANGE]),
};

pub static MUL: Row = Row {
    name: "mul",
    doc: "`a * b`, element by element; bool is and.",
    operands: &["a", "b"],
    params: &[],
    many: false,
    lift: Lift::Promote,
    shape: same,
    body: Body::Primitive(Primitive { eval: mul }),
    saves: Saves::INPUTS,
    vjp: Vjp::Rule(|p: &Pull| Ok(vec![p.want(0, || p.cx.mul(p.g()?, p.x(1)?))?, p.want(1, || p.cx.mul(p.g()?, p.x(0)?))?])),
    jvp: Jvp::Diagonal,
    batch: Batch::Elementwise,
    samples: || elementwise(&[RANGE, RANGE]),
};

impl Cx {
    pub fn add(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.one(&ADD, [], &[a, b])
    }
    pub fn sub(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.one(&SUB, [], &[a, b])
    }
    pub fn mul(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.one(&MUL, [], &[a, b])
    }
}
