//! Running extremes and products.
use super::{narrow, of_one, wide};
use crate::exec::cpu::along::{cumulative, running_extreme, Extreme};
use crate::exec::cpu::reduce::Fold;
use crate::ops::reduce::along::{axis_of, axis_samples, running_shape, RUNNING};
use crate::ops::samples::{Domain, Sample};
use crate::ops::{Avals, Lift, Row};
use crate::{Aval, Cx, Params, Result, Tensor, Value};
use smallvec::smallvec;

fn kept(xs: &[&Aval], p: &Params) -> Result<Avals> {
    axis_of(xs[0], p)?;
    Ok(smallvec![xs[0].clone()])
}

fn samples() -> Vec<Sample> {
    [false, true].iter().flat_map(|&r| axis_samples(Domain::Range(-2.0, 2.0), &[Value::Bool(r)])).collect()
}

macro_rules! extreme_row {
    ($NAME:ident $name:literal, $which:literal, $place:ident, $extreme:expr) => {
        pub static $NAME: Row = Row {
            samples,
            ..of_one(
                $name,
                concat!(
                    $which,
                    " element so far along `axis`, from the end if `reverse`; NaN wins, the first met of ties has the gradient."
                ),
                RUNNING,
                Lift::None,
                kept,
                |cx, p, xs| {
                    let axis = axis_of(xs[0].aval(), p)?;
                    if xs[0].shape().contains(&0) {
                        return Ok(smallvec![xs[0].clone()]);
                    }
                    Ok(smallvec![cx.take_along_axis(&xs[0], &cx.$place(&xs[0], axis, p.bool("reverse")?)?, axis)?])
                },
                Some(|exec, p, xs| Ok(smallvec![running_extreme(exec, &xs[0], p.int("axis")? as usize, p.bool("reverse")?, $extreme)?])),
            )
        };
    };
}
extreme_row!(CUMMAX "cummax", "Greatest", cumargmax, Extreme::Max);
extreme_row!(CUMMIN "cummin", "Least", cumargmin, Extreme::Min);

/// Each element times the one `step` before it (behind it if `reverse`), or times 1.
fn step(cx: &Cx, x: &Tensor, axis: usize, step: usize, reverse: bool) -> Result<Tensor> {
    let n = x.shape()[axis];
    let (mut low, mut high) = (vec![0i64; x.ndim()], vec![0i64; x.ndim()]);
    let neighbours = if reverse {
        high[axis] = step as i64;
        cx.part(x, axis, step, n)?
    } else {
        low[axis] = step as i64;
        cx.part(x, axis, 0, n - step)?
    };
    cx.mul(x, &cx.pad(&neighbours, &cx.full(&[], x.dtype(), 1.0)?, &low, &high, &vec![0; x.ndim()])?)
}

pub static CUMPROD: Row = Row {
    samples,
    ..of_one(
        "cumprod",
        "Product so far along `axis`, from the end if `reverse`. bool gives int32, uint8 gives uint32; half floats accumulate in float32.",
        RUNNING,
        Lift::None,
        running_shape,
        |cx, p, xs| {
            // Hillis and Steele's scan: multiplications only, so derivatives are right where elements are 0.
            let (axis, reverse, dtype) = (axis_of(xs[0].aval(), p)?, p.bool("reverse")?, xs[0].dtype().sum_result());
            let mut x = wide(cx, &if xs[0].dtype() == dtype { xs[0].clone() } else { cx.cast(&xs[0], dtype)? })?;
            let mut distance = 1;
            while distance < x.shape()[axis] {
                x = step(cx, &x, axis, distance, reverse)?;
                distance *= 2;
            }
            narrow(cx, &x, dtype)
        },
        Some(|exec, p, xs| Ok(smallvec![cumulative(exec, &xs[0], p.int("axis")? as usize, p.bool("reverse")?, Fold::Prod)?])),
    )
};

impl Cx {
    pub fn cummax(&self, x: &Tensor, axis: usize, reverse: bool) -> Result<Tensor> {
        self.one(&CUMMAX, [axis.into(), reverse.into()], &[x])
    }
    pub fn cummin(&self, x: &Tensor, axis: usize, reverse: bool) -> Result<Tensor> {
        self.one(&CUMMIN, [axis.into(), reverse.into()], &[x])
    }
    pub fn cumprod(&self, x: &Tensor, axis: usize, reverse: bool) -> Result<Tensor> {
        self.one(&CUMPROD, [axis.into(), reverse.into()], &[x])
    }
}
