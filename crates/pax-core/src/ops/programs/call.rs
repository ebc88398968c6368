//! A program as an operation.
use std::rc::Rc;

use crate::ops::programs::{fits, pull_call, run, with_program};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Flagged, Jvp, Lift, Owner, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::walk;
use crate::Program;
use crate::{Array, Aval, Cx, Params, Result, Tensor, Value};

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    fits(xs, p.program("program")?)
}

pub(super) fn eval(cx: &Cx, p: &Params, xs: Vec<Array>) -> Result<Arrays> {
    run(cx, p.program("program")?, xs.into_iter())
}

/// The halves are made once for each set of active inputs.
fn forward(cx: &Cx, p: &Params, active: &[bool]) -> Result<Params> {
    let program = p.program("program")?;
    if let Some(custom) = &program.custom {
        return with_program(p, custom.clone());
    }
    if let Some((_, f)) = program.forwards.borrow().iter().find(|(a, _)| a == active) {
        return with_program(p, f.clone());
    }
    let made = walk::halves(cx, program, active)?.into_forward();
    program.forwards.borrow_mut().push((active.to_vec(), made.clone()));
    with_program(p, made)
}

fn batch(b: &Batching) -> Result<Flagged> {
    let program = b.params.program("program")?;
    if program.custom.is_some() {
        return super::custom::batch(b, program);
    }
    walk::batch(b.cx, program, b.xs.to_vec(), b.mapped, b.axis())
}

pub static CALL: Row = Row {
    name: "call",
    doc: "Runs a recorded program on its inputs.",
    operands: &["...inputs"],
    params: &[p("program", Kind::Program)],
    many: true,
    lift: Lift::None,
    shape,
    body: Body::Program(Owner { eval, forward }),
    saves: Saves::BACK,
    vjp: Vjp::Rule(pull_call),
    jvp: Jvp::Derived,
    batch: Batch::Flags(batch),
    samples: super::samples,
};

impl Cx {
    /// Calls a program on its declared and captured inputs.
    pub fn call(&self, program: &Rc<Program>, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(self.bind(&CALL, Params::new(CALL.params, [Value::Program(program.clone())])?, inputs)?.into_vec())
    }
}
