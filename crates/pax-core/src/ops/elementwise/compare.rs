//! Comparisons, logic, bits and choice.
#![allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)] // shifts: one rule for every width
use crate::exec::cpu::map::{self, map1, map2};
use crate::exec::cpu::math::halves;
use crate::exec::Exec;
use crate::ops::samples::{elementwise, Domain, Input, Sample};
use crate::ops::{same, same_shapes, Arrays, Avals, Batch, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::{dispatch_wide, Array, Aval, Cx, DType, Error, Params, Result, Tensor};
use smallvec::smallvec;

/// Operands of one shape and dtype give bool.
pub(crate) fn bools(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let mut out = same(xs, p)?;
    for a in &mut out {
        (a.dtype, a.weak) = (DType::Bool, false);
    }
    Ok(out)
}

/// As `bools`, of bool operands only.
fn logic(xs: &[&Aval], p: &Params) -> Result<Avals> {
    match xs.iter().find(|x| x.dtype != DType::Bool) {
        Some(x) => Err(Error::dtype(format!("it takes bool, not {}: cast first", x.dtype.name()))),
        None => bools(xs, p),
    }
}

/// Integers or bool of one shape and dtype.
fn bits(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let out = same(xs, p)?;
    match xs.iter().find(|x| x.dtype.is_float()) {
        Some(x) => Err(Error::dtype(format!("it takes integers or bool, not {}: cast first", x.dtype.name()))),
        None => Ok(out),
    }
}

/// Integers of one shape and dtype.
fn integers(xs: &[&Aval], p: &Params) -> Result<Avals> {
    match xs.iter().find(|x| !x.dtype.is_int()) {
        Some(x) => Err(Error::dtype(format!("it takes integers, not {}: cast first", x.dtype.name()))),
        None => same(xs, p),
    }
}

macro_rules! zero_row {
    ($NAME:ident $fn:ident, $doc:literal, [$($x:ident),*], $lift:ident, $shape:expr, $domain:expr, $eval:expr) => {
        pub static $NAME: Row = Row {
            name: stringify!($fn),
            doc: $doc,
            operands: &[$(stringify!($x)),*], params: &[], many: false, lift: Lift::$lift, shape: $shape,
            body: Body::Primitive(Primitive { eval: $eval }),
            saves: Saves::NONE, vjp: Vjp::Zero("it gives bool or integers"), jvp: Jvp::Diagonal, batch: Batch::Elementwise,
            samples: || elementwise(&[$({ let _ = stringify!($x); $domain }),*]),
        };
        impl Cx { pub fn $fn(&self, $($x: &Tensor),*) -> Result<Tensor> { self.one(&$NAME, [], &[$($x),*]) } }
    };
}
macro_rules! compare_row {
    ($NAME:ident $fn:ident $op:tt, $doc:literal) => {
        zero_row!($NAME $fn, $doc, [a, b], Promote, bools, Domain::Range(-2.0, 2.0), |exec, _, xs| {
            Ok(smallvec![halves(exec, &[&xs[0], &xs[1]], &|xs| dispatch_wide!(xs[0].dtype, T => map2(exec, DType::Bool, xs[0], xs[1], |a: T, b: T| u8::from(a $op b))))?])
        });
    };
}
compare_row!(EQUAL equal ==, "True where `a` and `b` are equal; NaN equals nothing.");
compare_row!(NOT_EQUAL not_equal !=, "True where `a` and `b` differ; NaN differs from everything.");
compare_row!(LESS less <, "True where `a` is less than `b`; false for NaN.");
compare_row!(LESS_EQUAL less_equal <=, "True where `a` is at most `b`; false for NaN.");
compare_row!(GREATER greater >, "True where `a` is greater than `b`; false for NaN.");
compare_row!(GREATER_EQUAL greater_equal >=, "True where `a` is at least `b`; false for NaN.");

zero_row!(LOGICAL_AND logical_and, "True where both are; numbers are true where they are not 0.", [a, b], Bool, logic, Domain::Bool,
    |exec, _, xs| Ok(smallvec![map2(exec, DType::Bool, &xs[0], &xs[1], |a: u8, b: u8| a & b)?]));
zero_row!(LOGICAL_OR logical_or, "True where either is; numbers are true where they are not 0.", [a, b], Bool, logic, Domain::Bool,
    |exec, _, xs| Ok(smallvec![map2(exec, DType::Bool, &xs[0], &xs[1], |a: u8, b: u8| a | b)?]));
zero_row!(LOGICAL_NOT logical_not, "True where `x` is not; numbers are true where they are not 0.", [x], Bool, logic, Domain::Bool,
    |exec, _, xs| Ok(smallvec![map1(exec, DType::Bool, &xs[0], |x: u8| x ^ 1)?]));

/// Runs `$body` with `$t` bound to the element type of an integer or bool dtype.
macro_rules! dispatch_bits {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            DType::I32 => {
                type $t = i32;
                $body
            }
            DType::I64 => {
                type $t = i64;
                $body
            }
            DType::U8 | DType::Bool => {
                type $t = u8;
                $body
            }
            DType::U32 => {
                type $t = u32;
                $body
            }
            d => Err(Error::dtype(format!("it takes integers or bool, not {}", d.name()))),
        }
    };
}
macro_rules! bits_row {
    ($NAME:ident $fn:ident $op:tt, $doc:literal) => {
        zero_row!($NAME $fn, $doc, [a, b], Promote, bits, Domain::Integer(0, 100), |exec, _, xs| {
            dispatch_bits!(xs[0].dtype, T => Ok(smallvec![map2(exec, xs[0].dtype, &xs[0], &xs[1], |a: T, b: T| a $op b)?]))
        });
    };
}
bits_row!(BIT_AND bit_and &, "The bits that both integers have; bool is and.");
bits_row!(BIT_OR bit_or |, "The bits that either integer has; bool is or.");
bits_row!(BIT_XOR bit_xor ^, "The bits that one of the integers has; bool is exclusive or.");

fn bit_not(exec: &Exec, _: &Params, xs: &[Array]) -> Result<Arrays> {
    if xs[0].dtype == DType::Bool {
        return Ok(smallvec![map1(exec, DType::Bool, &xs[0], |x: u8| x ^ 1)?]);
    }
    dispatch_bits!(xs[0].dtype, T => Ok(smallvec![map1(exec, xs[0].dtype, &xs[0], |x: T| !x)?]))
}
zero_row!(BIT_NOT bit_not, "Every bit of an integer turned over; bool is not.", [x], Promote, bits, Domain::Integer(0, 100), bit_not);

zero_row!(SHIFT_LEFT shift_left, "`a` with its bits `b` places up; 0 where `b` is negative or at least the width.", [a, b], PromoteNumber, integers, Domain::Integer(0, 8),
    |exec, _, xs| dispatch_bits!(xs[0].dtype, T => Ok(smallvec![map2(exec, xs[0].dtype, &xs[0], &xs[1],
        |a: T, b: T| u32::try_from(b).ok().and_then(|n| a.checked_shl(n)).unwrap_or(0))?])));
zero_row!(SHIFT_RIGHT shift_right, "`a` with its bits `b` places down, its sign kept; all sign where `b` is negative or at least the width.", [a, b], PromoteNumber, integers, Domain::Integer(0, 8),
    // The second shift by 1 turns the highest place into all sign, for signed types, and 0 for the others.
    |exec, _, xs| dispatch_bits!(xs[0].dtype, T => Ok(smallvec![map2(exec, xs[0].dtype, &xs[0], &xs[1],
        |a: T, b: T| u32::try_from(b).ok().and_then(|n| a.checked_shr(n)).unwrap_or((a >> (T::BITS - 1)) >> 1))?])));

fn select_shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    if xs[0].dtype != DType::Bool {
        return Err(Error::dtype(format!("the condition is {}, not bool: cast or compare first", xs[0].dtype.name())));
    }
    same_shapes(xs)?;
    same(&xs[1..], p)
}
pub static SELECT: Row = Row {
    name: "select",
    doc: "`a` where `condition` is true, else `b`. NaN in what is not chosen does not matter, nor does it to the derivative.",
    operands: &["condition", "a", "b"],
    params: &[],
    many: false,
    lift: Lift::Select,
    shape: select_shape,
    body: Body::Primitive(Primitive { eval: |exec, _, xs| Ok(smallvec![map::select(exec, &xs[0], &xs[1], &xs[2])]) }),
    saves: Saves::input_at(&[0]),
    vjp: Vjp::Rule(|p| {
        let (c, g) = (p.x(0)?, p.g()?);
        let zero = p.cx.zeros_like(g)?;
        Ok(vec![None, p.want(1, || p.cx.select(c, g, &zero))?, p.want(2, || p.cx.select(c, &zero, g))?])
    }),
    jvp: Jvp::Diagonal,
    batch: Batch::Elementwise,
    samples: || {
        let r = Domain::Range(-2.0, 2.0);
        let mut out = elementwise(&[Domain::Bool, r, r]);
        out.push(Sample::new(vec![Input::new(&[5], Domain::Bool), Input::new(&[5], Domain::Bool), Input::new(&[5], Domain::Bool)], vec![]));
        out
    },
};

impl Cx {
    pub fn select(&self, condition: &Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.one(&SELECT, [], &[condition, a, b])
    }
}
