//! Element-wise rows: one element of the result depends on one element of each operand.
pub mod activation;
pub mod arithmetic;
pub mod binary;
pub mod cast;
pub mod compare;
pub mod identity;
pub mod pairs;
#[cfg(test)]
mod tests;
pub mod unary;

use crate::ops::{same, Avals};
use crate::{Aval, DType, Error, Params, Result, Row};

/// Floats of one shape and dtype.
pub(crate) fn float(xs: &[&Aval], p: &Params) -> Result<Avals> {
    match xs.iter().find(|x| !x.dtype.is_float()) {
        Some(x) => Err(Error::dtype(format!("it takes floats, not {}: cast first", x.dtype.name()))),
        None => same(xs, p),
    }
}

/// Numbers of one shape and dtype: all but bool.
pub(crate) fn number(xs: &[&Aval], p: &Params) -> Result<Avals> {
    match xs.iter().find(|x| x.dtype == DType::Bool) {
        Some(_) => Err(Error::dtype("it takes numbers, not bool: cast first")),
        None => same(xs, p),
    }
}

pub const ROWS: &[&Row] = &[
    &binary::ADD,
    &binary::SUB,
    &binary::MUL,
    &cast::CAST,
    &unary::NEG,
    &unary::ABS,
    &unary::SIGN,
    &unary::SQUARE,
    &unary::RELU,
    &unary::FLOOR,
    &unary::CEIL,
    &unary::ROUND,
    &unary::TRUNC,
    &unary::EXP,
    &unary::EXPM1,
    &unary::LOG,
    &unary::LOG1P,
    &unary::SQRT,
    &unary::RSQRT,
    &unary::RECIPROCAL,
    &unary::SIN,
    &unary::COS,
    &unary::TAN,
    &unary::ASIN,
    &unary::ACOS,
    &unary::ATAN,
    &unary::SINH,
    &unary::COSH,
    &unary::TANH,
    &unary::ASINH,
    &unary::ACOSH,
    &unary::ATANH,
    &unary::CBRT,
    &unary::ERF,
    &unary::ERFC,
    &unary::ERFINV,
    &unary::SIGMOID,
    &unary::SOFTPLUS,
    &unary::ISFINITE,
    &unary::ISNAN,
    &arithmetic::DIV,
    &arithmetic::POW,
    &arithmetic::ATAN2,
    &arithmetic::MAXIMUM,
    &arithmetic::MINIMUM,
    &arithmetic::FLOOR_DIVIDE,
    &arithmetic::REMAINDER,
    &compare::EQUAL,
    &compare::NOT_EQUAL,
    &compare::LESS,
    &compare::LESS_EQUAL,
    &compare::GREATER,
    &compare::GREATER_EQUAL,
    &compare::LOGICAL_AND,
    &compare::LOGICAL_OR,
    &compare::LOGICAL_NOT,
    &compare::BIT_AND,
    &compare::BIT_OR,
    &compare::BIT_XOR,
    &compare::BIT_NOT,
    &compare::SHIFT_LEFT,
    &compare::SHIFT_RIGHT,
    &compare::SELECT,
    &identity::BITCAST,
    &identity::STOP_GRADIENT,
    &identity::COPY,
    &activation::CLAMP,
    &activation::GELU,
    &activation::SILU,
    &activation::LOG_SIGMOID,
    &activation::RELU6,
    &activation::HARD_TANH,
    &pairs::ELU,
    &pairs::LEAKY_RELU,
    &pairs::LOGADDEXP,
    &pairs::HYPOT,
];
