//! Composites: rows that expand into others while recording, and may have a fused eval.
pub mod loss;
pub mod moments;
pub mod product;
pub mod running;
pub mod softmax;

use crate::ops::lift::Lift;
use crate::ops::{Avals, Batch, Body, Composite, Eval, Jvp, Saves, Vjp, EXPANDED};
use crate::params::Param;
use crate::{Aval, Cx, DType, Error, Params, Result, Row, Tensor};

pub const ROWS: &[&Row] = &[
    &moments::MEAN,
    &moments::VARIANCE,
    &moments::LAYER_NORM,
    &softmax::LOGSUMEXP,
    &softmax::SOFTMAX,
    &softmax::LOG_SOFTMAX,
    &loss::CROSS_ENTROPY,
    &product::REDUCE_PROD,
    &running::CUMMAX,
    &running::CUMMIN,
    &running::CUMPROD,
];

type Expand = fn(&Cx, &Params, &[Tensor]) -> Result<crate::bind::Tensors>;
type Shape = fn(&[&Aval], &Params) -> Result<Avals>;

/// A composite of one tensor, without samples.
const fn of_one(
    name: &'static str,
    doc: &'static str,
    params: &'static [Param],
    lift: Lift,
    shape: Shape,
    expand: Expand,
    fused: Option<Eval>,
) -> Row {
    Row {
        name,
        doc,
        operands: &["x"],
        params,
        many: false,
        lift,
        shape,
        body: Body::Composite(Composite { expand, fused }),
        saves: Saves::NONE,
        vjp: Vjp::None(EXPANDED),
        jvp: Jvp::None(EXPANDED),
        batch: Batch::None(EXPANDED),
        samples: crate::ops::no_samples,
    }
}

/// Half floats as float32: what is summed and subtracted in between would overflow or round away.
fn wide(cx: &Cx, x: &Tensor) -> Result<Tensor> {
    if x.dtype().is_half() {
        cx.cast(x, DType::F32)
    } else {
        Ok(x.clone())
    }
}

/// Back from `wide`.
fn narrow(cx: &Cx, y: &Tensor, dtype: DType) -> Result<crate::bind::Tensors> {
    Ok(smallvec::smallvec![if y.dtype() == dtype { y.clone() } else { cx.cast(y, dtype)? }])
}

fn floats(x: &Aval) -> Result<()> {
    if x.dtype.is_float() {
        Ok(())
    } else {
        Err(Error::dtype(format!("it takes floats, not {}: cast first", x.dtype.name())))
    }
}
