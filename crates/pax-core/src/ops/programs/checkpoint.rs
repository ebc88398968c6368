//! A program whose derivative computes it again instead of keeping what lies between operands and results.
use std::rc::Rc;

use crate::ops::programs::{fits, pull_call, results, with_program};
use crate::ops::{Avals, Batch, Batching, Body, Flagged, Jvp, Lift, Owner, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::program::{Back, Source};
use crate::walk::{self, batch::recorded};
use crate::{Aval, Cx, Params, Program, Result, Value};

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    fits(xs, p.program("program")?)
}

/// The backward program takes the operands and runs the forward half first.
fn forward(cx: &Cx, p: &Params, active: &[bool]) -> Result<Params> {
    let program = p.program("program")?;
    let h = walk::halves(cx, program, active)?;
    let n = program.inputs.len();
    let outs = results(program);
    let avals: Vec<Aval> = program.inputs.iter().map(|&v| program.aval(v).clone()).chain(h.live.iter().map(|&i| outs[i].clone())).collect();
    let (back, _) = recorded(cx, &avals, |ts| {
        let again = walk::inline(cx, &h.forward, ts[..n].to_vec())?;
        let read = h.reads.iter().map(|s| match *s {
            Source::Operand(i) => ts[i].clone(),
            Source::Result(i) => again[i].clone(),
        });
        let grads = walk::inline(cx, &h.back, read.chain(ts[n..].iter().cloned()).collect())?;
        Ok(grads.into_iter().map(|g| (g, ())).collect())
    })?;
    let back = Back { program: back, reads: (0..n).map(Source::Operand).collect(), live: h.live, wrt: h.wrt, fixed: None };
    with_program(p, Rc::new(Program { back: Some(back), ..program.again() }))
}

fn batch(b: &Batching) -> Result<Flagged> {
    let (program, flags) = walk::batched(b.cx, b.params.program("program")?, b.mapped, b.axis(), |_| false)?;
    Ok(b.bind([Value::Program(program)], b.xs)?.into_iter().zip(flags).collect())
}

pub static CHECKPOINT: Row = Row {
    name: "checkpoint",
    doc: "Runs a recorded program, and again when its derivative is taken.",
    operands: &["...inputs"],
    params: &[p("program", Kind::Program)],
    many: true,
    lift: Lift::None,
    shape,
    body: Body::Program(Owner { eval: super::call::eval, forward }),
    saves: Saves::BACK,
    vjp: Vjp::Rule(pull_call),
    jvp: Jvp::Derived,
    batch: Batch::Flags(batch),
    samples: super::samples,
};
