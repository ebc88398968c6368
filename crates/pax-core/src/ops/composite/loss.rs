//! Losses.
use super::{floats, EXPANDED};
use crate::ops::samples::{Domain, Input, Sample};
use crate::ops::{Avals, Batch, Body, Composite, Jvp, Lift, Row, Saves, Vjp};
use crate::{Aval, Cx, Error, Params, Result, Tensor};
use smallvec::smallvec;

fn shape(xs: &[&Aval], _: &Params) -> Result<Avals> {
    let (logits, labels) = (xs[0], xs[1]);
    floats(logits)?;
    if !labels.dtype.is_int() {
        return Err(Error::dtype(format!("labels are {}, not integers: each is a class's number", labels.dtype.name())));
    }
    match logits.shape.split_last() {
        Some((&classes, rest)) if rest == labels.shape.as_slice() && classes > 0 => {
            Ok(smallvec![Aval { shape: labels.shape.clone(), dtype: logits.dtype, weak: logits.weak }])
        }
        _ => Err(Error::shape(format!(
            "logits of shape {:?} and labels of shape {:?}: logits need the labels' axes and one more, of the classes",
            logits.shape.as_slice(),
            labels.shape.as_slice()
        ))),
    }
}

pub static CROSS_ENTROPY: Row = Row {
    name: "cross_entropy",
    doc: "`-log_softmax(logits)` at each integer label; the classes are the last axis of `logits`.",
    operands: &["logits", "labels"],
    params: &[],
    many: false,
    lift: Lift::None,
    shape,
    body: Body::Composite(Composite {
        expand: |cx, _, xs| {
            let (logits, labels) = (&xs[0], &xs[1]);
            let axis = labels.ndim();
            let mut column: Vec<usize> = labels.shape().to_vec();
            column.push(1);
            let picked = cx.take_along_axis(&cx.log_softmax(logits, axis)?, &cx.reshape(labels, &column)?, axis)?;
            Ok(smallvec![cx.neg(&cx.reshape(&picked, labels.shape())?)?])
        },
        fused: None,
    }),
    saves: Saves::NONE,
    vjp: Vjp::None(EXPANDED),
    jvp: Jvp::None(EXPANDED),
    batch: Batch::None(EXPANDED),
    samples: || {
        [&[][..], &[0], &[1], &[7], &[8], &[2, 3]]
            .iter()
            .map(|labels: &&[usize]| {
                let mut logits = labels.to_vec();
                logits.push(5);
                Sample::new(vec![Input::new(&logits, Domain::Range(-2.0, 2.0)), Input::new(labels, Domain::Index(0, 5))], vec![])
            })
            .collect()
    },
};

impl Cx {
    pub fn cross_entropy(&self, logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
        self.one(&CROSS_ENTROPY, [], &[logits, labels])
    }
}
