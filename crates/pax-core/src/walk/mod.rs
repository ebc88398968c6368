//! The walkers: each is one loop over a program's equations.
pub mod batch;
pub mod eval;
pub mod jvp;
pub mod vjp;

use std::rc::Rc;

use crate::level::Mode;
use crate::program::{Back, Split};
use crate::{Cx, Error, Program, Result, Tensor};

pub use batch::batch;
pub use jvp::push;
pub use vjp::pull;

/// Splits a program for differentiation: a forward half that also returns what the backward half reads. Cached with the program.
pub fn split(cx: &Cx, program: &Rc<Program>) -> Result<Rc<Split>> {
    if let Some(s) = &*program.split.borrow() { return Ok(s.clone()); }
    let depth = cx.depth();
    let made = make_split(cx, program);
    if made.is_err() { cx.unwind(depth); }
    let split = Rc::new(made?);
    *program.split.borrow_mut() = Some(split.clone());
    Ok(split)
}

fn make_split(cx: &Cx, program: &Program) -> Result<Split> {
    let avals: Vec<_> = program.inputs.iter().map(|&v| program.aval(v).clone()).collect();
    let inputs = cx.begin_abstract(&avals);
    let floats: Vec<usize> = (0..inputs.len()).filter(|&i| inputs[i].dtype().is_float()).collect();
    let active = cx.begin(Mode::Diff, &floats.iter().map(|&i| inputs[i].clone()).collect::<Vec<_>>())?;
    let mut operands = inputs.clone();
    for (&i, t) in floats.iter().zip(active) { operands[i] = t; }
    let outputs = eval::inline(cx, program, operands)?;
    let mut tape = cx.end_diff(&outputs)?;
    let residuals: Vec<(usize, Tensor)> = tape.saved.iter().enumerate().filter_map(|(v, t)| t.clone().map(|t| (v, t))).collect();
    let all: Vec<Tensor> = outputs.iter().cloned().chain(residuals.iter().map(|r| r.1.clone())).collect();
    let mut forward = cx.end_abstract(&all)?;
    if !forward.captured.is_empty() { return Err(Error::internal("splitting a program captured a tensor")); }

    let float_results: Vec<usize> = (0..outputs.len()).filter(|&i| outputs[i].dtype().is_float()).collect();
    let back_avals: Vec<_> = residuals.iter().map(|r| r.1.aval().clone()).chain(float_results.iter().map(|&i| outputs[i].aval().clone())).collect();
    let back_inputs = cx.begin_abstract(&back_avals);
    for ((v, _), t) in residuals.iter().zip(&back_inputs) { tape.saved[*v] = Some(t.clone()); }
    let mut cotangents = vec![None; outputs.len()];
    for (&i, t) in float_results.iter().zip(&back_inputs[residuals.len()..]) { cotangents[i] = Some(t.clone()); }
    let grads = pull(cx, &mut tape, &cotangents, true)?;
    let mut wrt = vec![None; inputs.len()];
    let mut results = Vec::new();
    for (&i, g) in floats.iter().zip(grads) {
        if let Some(g) = g {
            wrt[i] = Some(results.len());
            results.push(g);
        }
    }
    let back = cx.end_abstract(&results)?;
    forward.back = Some(Back { primal: outputs.len(), program: Rc::new(back), wrt });
    Ok(Split { forward: Rc::new(forward) })
}
