//! Products over axes, as a tree of multiplications: its derivatives of every order are right where elements are 0,
//! which dividing the product by the element is not.
use super::of_one;
use crate::exec::cpu::reduce::{fold, Fold};
use crate::ops::reduce::sum::{reduce_samples, reduced};
use crate::ops::samples::Domain;
use crate::ops::{Lift, Row};
use crate::params::{p, Kind};
use crate::{Aval, Cx, Result, Tensor};
use smallvec::smallvec;

/// The product along `axis`, which keeps size 1.
fn tree(cx: &Cx, x: &Tensor, axis: usize) -> Result<Tensor> {
    let mut x = x.clone();
    let mut left: Option<Tensor> = None;
    while x.shape()[axis] > 1 {
        let (n, half) = (x.shape()[axis], x.shape()[axis] / 2);
        if n % 2 == 1 {
            let last = cx.part(&x, axis, n - 1, n)?;
            left = Some(match left {
                Some(l) => cx.mul(&l, &last)?,
                None => last,
            });
        }
        x = cx.mul(&cx.part(&x, axis, 0, half)?, &cx.part(&x, axis, half, 2 * half)?)?;
    }
    match left {
        Some(l) => cx.mul(&x, &l),
        None => Ok(x),
    }
}

pub static REDUCE_PROD: Row = Row {
    samples: || reduce_samples(Domain::Range(-2.0, 2.0)),
    ..of_one(
        "reduce_prod",
        "Product over `axes`. bool gives int32, uint8 gives uint32; half floats accumulate in float32.",
        &[p("axes", Kind::Ints)],
        Lift::None,
        |xs, p| Ok(smallvec![Aval { shape: reduced(xs[0], p)?, dtype: xs[0].dtype.sum_result(), weak: xs[0].weak }]),
        |cx, p, xs| {
            let (axes, dtype) = (p.dims("axes")?, xs[0].dtype().sum_result());
            let shape: Vec<usize> = (0..xs[0].ndim()).filter(|d| !axes.contains(d)).map(|d| xs[0].shape()[d]).collect();
            if xs[0].shape().contains(&0) {
                return Ok(smallvec![cx.full(&shape, dtype, 1.0)?]);
            }
            let mut x = super::wide(cx, &if xs[0].dtype() == dtype { xs[0].clone() } else { cx.cast(&xs[0], dtype)? })?;
            for &a in &axes {
                x = tree(cx, &x, a)?;
            }
            super::narrow(cx, &cx.reshape(&x, &shape)?, dtype)
        },
        Some(|exec, p, xs| Ok(smallvec![fold(exec, &xs[0], &p.dims("axes")?, Fold::Prod)?])),
    )
};

impl Cx {
    pub fn reduce_prod(&self, x: &Tensor, axes: &[usize]) -> Result<Tensor> {
        self.one(&REDUCE_PROD, [axes.into()], &[x])
    }
}
