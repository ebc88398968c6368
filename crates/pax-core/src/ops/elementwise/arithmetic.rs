//! Binary arithmetic beyond add, sub and mul. Operands have one shape and dtype.
use crate::dtype::Element;
use crate::exec::cpu::map::{map2, tiled};
use crate::exec::cpu::math::{halves, real2, Map2, Real};
use crate::exec::cpu::tile::{self, Function, Simd};
use crate::exec::Exec;
use crate::ops::elementwise::unary::SQUARE;
use crate::ops::elementwise::{float, number};
use crate::ops::samples::{elementwise, Domain};
use crate::ops::{same, Arrays, Batch, Body, Jvp, Lift, Primitive, Pull, Row, Saves, Vjp, Which};
use crate::{dispatch_wide, Array, Cx, DType, Error, Params, Result, Tensor};
use smallvec::smallvec;

const WIDE: Domain = Domain::Range(-2.0, 2.0);
const POSITIVE: Domain = Domain::Range(0.6, 2.4);

macro_rules! real2_struct {
    ($F:ident, |$x:ident, $y:ident| $value:expr $(, $tile:path)?) => {
        struct $F;
        impl Map2 for $F {
            #[inline(always)] fn f<R: Real>(&self, $x: R, $y: R) -> R { $value }
            $(fn tile(&self) -> Option<fn(Simd) -> Function> { Some($tile) })?
        }
    };
}
real2_struct!(Div, |x, y| x / y, tile::div);
real2_struct!(Atan2, |y, x| y.atan2(x), tile::atan2);
real2_struct!(Pow, |x, y| x.powf(y), tile::pow);
real2_struct!(Remainder, |x, y| tile::remainder_of(x, y), tile::remainder);
real2_struct!(FloorDivide, |x, y| tile::quotient_of(x, y).round_even(), tile::floor_divide);

/// Integer arithmetic that wraps and is total.
trait Whole: Element {
    fn power(self, n: Self) -> Self;
    fn floor_divide(self, d: Self) -> Self;
    fn remainder(self, d: Self) -> Self;
}
fn wrap_pow<T: Copy>(mut base: T, mut n: u64, one: T, mul: impl Fn(T, T) -> T) -> T {
    let mut out = one;
    while n > 0 {
        if n & 1 == 1 {
            out = mul(out, base);
        }
        base = mul(base, base);
        n >>= 1;
    }
    out
}
macro_rules! whole {
    (signed $($t:ty)*) => { $(impl Whole for $t {
        fn power(self, n: Self) -> Self {
            // A negative power of all but 1 and -1 is a fraction: cut to 0.
            if n < 0 { return match self { 1 => 1, -1 => if n & 1 == 0 { 1 } else { -1 }, _ => 0 }; }
            wrap_pow(self, n as u64, 1, <$t>::wrapping_mul)
        }
        fn floor_divide(self, d: Self) -> Self {
            if d == 0 { return -1; }
            let (q, r) = (self.wrapping_div(d), self.wrapping_rem(d));
            if r != 0 && (r < 0) != (d < 0) { q - 1 } else { q }
        }
        fn remainder(self, d: Self) -> Self {
            if d == 0 { return self; }
            let r = self.wrapping_rem(d);
            if r != 0 && (r < 0) != (d < 0) { r + d } else { r }
        }
    })* };
    (unsigned $($t:ty)*) => { $(impl Whole for $t {
        fn power(self, n: Self) -> Self { wrap_pow(self, n as u64, 1, <$t>::wrapping_mul) }
        // Minus one, wrapped.
        fn floor_divide(self, d: Self) -> Self { self.checked_div(d).unwrap_or(<$t>::MAX) }
        fn remainder(self, d: Self) -> Self { self.checked_rem(d).unwrap_or(self) }
    })* };
}
whole!(signed i32 i64);
whole!(unsigned u8 u32);

fn whole<F: Map2>(
    exec: &Exec,
    xs: &[Array],
    real: F,
    i: fn(i32, i32) -> i32,
    l: fn(i64, i64) -> i64,
    b: fn(u8, u8) -> u8,
    u: fn(u32, u32) -> u32,
) -> Result<Arrays> {
    let (x, y, d) = (&xs[0], &xs[1], xs[0].dtype);
    Ok(smallvec![match d {
        DType::I32 => map2(exec, d, x, y, i)?,
        DType::I64 => map2(exec, d, x, y, l)?,
        DType::U8 => map2(exec, d, x, y, b)?,
        DType::U32 => map2(exec, d, x, y, u)?,
        DType::Bool => return Err(Error::dtype("it takes numbers, not bool: cast first")),
        _ => real2(exec, x, y, real)?,
    }])
}
macro_rules! whole_eval {
    ($F:ident, $op:ident) => {
        |exec: &Exec, _: &Params, xs: &[Array]| {
            whole(exec, xs, $F, <i32 as Whole>::$op, <i64 as Whole>::$op, <u8 as Whole>::$op, <u32 as Whole>::$op)
        }
    };
}

pub static DIV: Row = Row {
    name: "div",
    doc: "`a / b`; integers give float32.",
    operands: &["a", "b"],
    params: &[],
    many: false,
    lift: Lift::PromoteFloat,
    shape: float,
    body: Body::Primitive(Primitive { eval: |exec, _, xs| Ok(smallvec![real2(exec, &xs[0], &xs[1], Div)?]) }),
    saves: Saves { inputs: Which::Some(&[1]), outputs: true },
    vjp: Vjp::Rule(|p: &Pull| {
        let a = p.cx.div(p.g()?, p.x(1)?)?;
        let b = p.want(1, || p.cx.neg(&p.cx.mul(&a, p.y(0)?)?))?;
        Ok(vec![Some(a), b])
    }),
    jvp: Jvp::Diagonal,
    batch: Batch::Elementwise,
    samples: || elementwise(&[WIDE, POSITIVE]),
};

/// The number that all elements are, where it lies in memory once.
fn repeated(x: &Array) -> Option<f64> {
    if x.size() == 0 || x.strides.iter().any(|&s| s != 0) {
        return None;
    }
    x.view(&[], &[], x.offset).to_f64().ok()?.first().copied()
}
/// A second power is a square, here and in plans (`rewrite/algebra.rs`): it is rounded once, and takes a tenth of the time.
fn power(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    match &SQUARE.body {
        Body::Primitive(square) if xs[0].dtype.is_float() && repeated(&xs[1]) == Some(2.0) => (square.eval)(exec, p, &xs[..1]),
        _ => (whole_eval!(Pow, power))(exec, p, xs),
    }
}

pub static POW: Row = Row {
    name: "pow",
    doc: "`a` to the power of `b`. Integers wrap, and negative powers of them are cut to whole numbers. The derivative by \
        `b` is 0 where `a` is 0.",
    operands: &["a", "b"],
    params: &[],
    many: false,
    lift: Lift::PromoteNumber,
    shape: number,
    body: Body::Primitive(Primitive { eval: power }),
    saves: Saves::BOTH,
    vjp: Vjp::Rule(|p: &Pull| {
        let (cx, g, a, b) = (p.cx, p.g()?, p.x(0)?, p.x(1)?);
        // 1 where it would be 0: no infinity is made that a zero would have to hide (JAX's _replace_zero).
        let zero = |x: &Tensor| cx.equal(x, &cx.zeros_like(x)?);
        let nonzero = |x: &Tensor| cx.select(&zero(x)?, &cx.ones_like(x)?, x);
        Ok(vec![
            p.want(0, || {
                // Where the exponent is 0, b a^(b - 1) is 0 over a: it has its derivative by b, and no infinity.
                let over = cx.select(&cx.isfinite(&cx.reciprocal(a)?)?, a, &cx.ones_like(a)?)?;
                cx.mul(g, &cx.mul(b, &cx.pow(&cx.select(&zero(b)?, &over, a)?, &cx.shift(b, -1.0)?)?)?)
            })?,
            p.want(1, || cx.mul(g, &cx.mul(&cx.log(&nonzero(a)?)?, p.y(0)?)?))?,
        ])
    }),
    jvp: Jvp::Diagonal,
    batch: Batch::Elementwise,
    samples: || elementwise(&[POSITIVE, WIDE]),
};

pub static ATAN2: Row = Row {
    name: "atan2",
    doc: "The angle in radians of the point with ordinate `y` and abscissa `x`.",
    operands: &["y", "x"],
    params: &[],
    many: false,
    lift: Lift::PromoteFloat,
    shape: float,
    body: Body::Primitive(Primitive { eval: |exec, _, xs| Ok(smallvec![real2(exec, &xs[0], &xs[1], Atan2)?]) }),
    saves: Saves::INPUTS,
    vjp: Vjp::Rule(|p: &Pull| {
        let (cx, y, x) = (p.cx, p.x(0)?, p.x(1)?);
        let g = cx.div(p.g()?, &cx.add(&cx.mul(x, x)?, &cx.mul(y, y)?)?)?;
        Ok(vec![p.want(0, || cx.mul(&g, x))?, p.want(1, || cx.neg(&cx.mul(&g, y)?))?])
    }),
    jvp: Jvp::Diagonal,
    batch: Batch::Elementwise,
    samples: || elementwise(&[WIDE, POSITIVE]),
};

macro_rules! extremum {
    ($op:ident, $better:tt) => {
        fn $op(exec: &Exec, _: &Params, xs: &[Array]) -> Result<Arrays> {
            // `x != x` is NaN, which wins from either side.
            #[allow(clippy::eq_op)]
            Ok(smallvec![halves(exec, &[&xs[0], &xs[1]], &|xs| match xs[0].dtype {
                DType::F32 => tiled(exec, tile::$op, [xs[0], xs[1]]),
                d => dispatch_wide!(d, T => map2(exec, d, xs[0], xs[1], |x: T, y: T| if x $better y || x != x { x } else { y })),
            })?])
        }
    };
}
extremum!(maximum, >);
extremum!(minimum, <);

/// The better operand takes the cotangent; equal ones take half each.
fn split(p: &Pull, better: fn(&Cx, &Tensor, &Tensor) -> Result<Tensor>) -> Result<crate::ops::Grads> {
    let (cx, g, a, b) = (p.cx, p.g()?, p.x(0)?, p.x(1)?);
    let tie = cx.select(&cx.equal(a, b)?, &cx.scale(g, 0.5)?, &cx.zeros_like(g)?)?;
    Ok(vec![p.want(0, || cx.select(&better(cx, a, b)?, g, &tie))?, p.want(1, || cx.select(&better(cx, b, a)?, g, &tie))?])
}

pub static MAXIMUM: Row = Row {
    name: "maximum",
    doc: "The greater of `a` and `b`; NaN wins. The derivative of a tie is half each.",
    operands: &["a", "b"],
    params: &[],
    many: false,
    lift: Lift::Promote,
    shape: same,
    body: Body::Primitive(Primitive { eval: maximum }),
    saves: Saves::INPUTS,
    vjp: Vjp::Rule(|p| split(p, Cx::greater)),
    jvp: Jvp::Diagonal,
    batch: Batch::Elementwise,
    samples: || elementwise(&[WIDE, WIDE]),
};
pub static MINIMUM: Row = Row {
    name: "minimum",
    doc: "The lesser of `a` and `b`; NaN wins. The derivative of a tie is half each.",
    operands: &["a", "b"],
    params: &[],
    many: false,
    lift: Lift::Promote,
    shape: same,
    body: Body::Primitive(Primitive { eval: minimum }),
    saves: Saves::INPUTS,
    vjp: Vjp::Rule(|p| split(p, Cx::less)),
    jvp: Jvp::Diagonal,
    batch: Batch::Elementwise,
    samples: || elementwise(&[WIDE, WIDE]),
};

pub static FLOOR_DIVIDE: Row = Row {
    name: "floor_divide",
    doc: "The greatest whole number not above `a / b`. Integer division by zero gives -1.",
    operands: &["a", "b"],
    params: &[],
    many: false,
    lift: Lift::PromoteNumber,
    shape: number,
    body: Body::Primitive(Primitive { eval: whole_eval!(FloorDivide, floor_divide) }),
    saves: Saves::NONE,
    vjp: Vjp::Zero("it is constant between its steps"),
    jvp: Jvp::Diagonal,
    batch: Batch::Elementwise,
    samples: || elementwise(&[WIDE, POSITIVE]),
};
pub static REMAINDER: Row = Row {
    name: "remainder",
    doc: "`a - b * floor_divide(a, b)`, of the divisor's sign. An integer's remainder by zero is the dividend.",
    operands: &["a", "b"],
    params: &[],
    many: false,
    lift: Lift::PromoteNumber,
    shape: number,
    body: Body::Primitive(Primitive { eval: whole_eval!(Remainder, remainder) }),
    saves: Saves::INPUTS,
    vjp: Vjp::Rule(|p: &Pull| {
        Ok(vec![p.want(0, || Ok(p.g()?.clone()))?, p.want(1, || p.cx.neg(&p.cx.mul(p.g()?, &p.cx.floor_divide(p.x(0)?, p.x(1)?)?)?))?])
    }),
    jvp: Jvp::Diagonal,
    batch: Batch::Elementwise,
    samples: || elementwise(&[WIDE, POSITIVE]),
};

impl Cx {
    pub fn div(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.one(&DIV, [], &[a, b])
    }
    pub fn pow(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.one(&POW, [], &[a, b])
    }
    pub fn atan2(&self, y: &Tensor, x: &Tensor) -> Result<Tensor> {
        self.one(&ATAN2, [], &[y, x])
    }
    pub fn maximum(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.one(&MAXIMUM, [], &[a, b])
    }
    pub fn minimum(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.one(&MINIMUM, [], &[a, b])
    }
    pub fn floor_divide(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.one(&FLOOR_DIVIDE, [], &[a, b])
    }
    pub fn remainder(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.one(&REMAINDER, [], &[a, b])
    }
}
