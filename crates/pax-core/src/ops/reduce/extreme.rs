//! Maximum and minimum over axes. Ties share the gradient evenly, as in JAX.
use crate::exec::cpu::reduce::{fold, Fold};
use crate::exec::Exec;
use crate::ops::reduce::sum::{batch_axes, reduce_samples, reduced};
use crate::ops::samples::Domain;
use crate::ops::{Arrays, Avals, Batch, Body, Grads, Jvp, Lift, Primitive, Pull, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Array, Aval, Cx, Error, Params, Result, Tensor};
use smallvec::smallvec;

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let (x, axes) = (xs[0], p.dims("axes")?);
    let shape = reduced(x, p)?;
    if axes.iter().any(|&a| x.shape[a] == 0) {
        return Err(Error::value(format!(
            "no greatest or least element along axes {:?} of shape {:?}: it is empty there",
            axes.as_slice(),
            x.shape.as_slice()
        )));
    }
    Ok(smallvec![Aval { shape, dtype: x.dtype, weak: x.weak }])
}

fn vjp(p: &Pull) -> Result<Grads> {
    let (cx, axes) = (p.cx, p.params.dims("axes")?);
    Ok(vec![p.want(0, || {
        let (x, shape) = (p.x(0)?, &p.x_avals[0].shape);
        let hit = cx.cast(&cx.equal(x, &cx.unreduce(p.y(0)?, shape, &axes)?)?, x.dtype())?;
        let share = cx.div(p.g()?, &cx.reduce_sum(&hit, &axes)?)?;
        cx.mul(&cx.unreduce(&share, shape, &axes)?, &hit)
    })?])
}

macro_rules! extreme {
    ($ROW:ident, $fn:ident, $name:literal, $doc:literal, $fold:ident) => {
        fn $fn(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
            Ok(smallvec![fold(exec, &xs[0], &p.dims("axes")?, Fold::$fold)?])
        }
        pub static $ROW: Row = Row {
            name: $name,
            doc: $doc,
            operands: &["x"],
            params: &[p("axes", Kind::Ints)],
            many: false,
            lift: Lift::None,
            shape,
            body: Body::Primitive(Primitive { eval: $fn }),
            saves: Saves::BOTH,
            vjp: Vjp::Rule(vjp),
            jvp: Jvp::Derived,
            batch: Batch::Rule(batch_axes),
            samples: || {
                reduce_samples(Domain::Range(-2.0, 2.0))
                    .into_iter()
                    .map(|s| if s.inputs[0].layout == crate::ops::samples::Layout::Broadcast { s.rough() } else { s })
                    .collect()
            },
        };
        impl Cx {
            pub fn $fn(&self, x: &Tensor, axes: &[usize]) -> Result<Tensor> {
                if axes.is_empty() {
                    return Ok(x.clone());
                }
                self.one(&$ROW, [axes.into()], &[x])
            }
        }
    };
}
extreme!(REDUCE_MAX, reduce_max, "reduce_max", "Greatest element over `axes`; NaN wins, ties share the gradient.", Max);
extreme!(REDUCE_MIN, reduce_min, "reduce_min", "Least element over `axes`; NaN wins, ties share the gradient.", Min);
