//! The two halves of a program's derivative, as programs.
use std::rc::Rc;

use crate::level::Mode;
use crate::program::{Back, Source};
use crate::{Cx, Error, Program, Result, Tensor};

/// What a forward half keeps and how the backward half reads it. `Source`s name inputs and outputs of `forward`.
pub struct Halves {
    /// Gives the program's results, then what is read back and is neither an input nor a result.
    pub forward: Program,
    pub results: usize,
    pub reads: Vec<Source>,
    /// Takes what `reads` names, then the cotangents of the `live` results.
    pub back: Program,
    /// Results that depend on an active input.
    pub live: Vec<usize>,
    /// For each input, which output of `back` is its cotangent.
    pub wrt: Vec<Option<usize>>,
}

impl Halves {
    /// The forward half of a row that calls the program once.
    pub fn into_forward(self) -> Rc<Program> {
        let Halves { mut forward, reads, back, live, wrt, .. } = self;
        forward.back = Some(Back { program: Rc::new(back), reads, live, wrt, fixed: None });
        Rc::new(forward)
    }
}

/// Splits a program for these active inputs.
pub fn halves(cx: &Cx, program: &Program, active: &[bool]) -> Result<Halves> {
    let depth = cx.depth();
    make(cx, program, active).inspect_err(|_| cx.unwind(depth))
}

fn make(cx: &Cx, program: &Program, active: &[bool]) -> Result<Halves> {
    let avals: Vec<_> = program.inputs.iter().map(|&v| program.aval(v).clone()).collect();
    let mut operands = cx.begin_abstract(&avals);
    let floats: Vec<usize> = (0..operands.len()).filter(|&i| active[i] && operands[i].dtype().is_float()).collect();
    let inputs = cx.begin(Mode::Diff, &floats.iter().map(|&i| operands[i].clone()).collect::<Vec<_>>())?;
    for (&i, t) in floats.iter().zip(inputs) {
        operands[i] = t;
    }
    let outputs = super::inline(cx, program, operands)?;
    let mut tape = cx.end_diff(&outputs)?;
    let residuals: Vec<(usize, Tensor)> = tape.saved.iter().enumerate().filter_map(|(v, t)| t.clone().map(|t| (v, t))).collect();
    let all: Vec<Tensor> = outputs.iter().cloned().chain(residuals.iter().map(|r| r.1.clone())).collect();
    let mut forward = cx.end_abstract(&all)?;
    if !forward.captured.is_empty() {
        return Err(Error::internal("splitting a program captured a tensor"));
    }
    let results = outputs.len();
    let reads = sources(&mut forward, results);

    let live: Vec<usize> = (0..results).filter(|&i| tape.results[i].is_some()).collect();
    let back_avals: Vec<_> = residuals.iter().map(|r| r.1.aval().clone()).chain(live.iter().map(|&i| outputs[i].aval().clone())).collect();
    let back_inputs = cx.begin_abstract(&back_avals);
    for ((v, _), t) in residuals.iter().zip(&back_inputs) {
        tape.saved[*v] = Some(t.clone());
    }
    let mut cotangents = vec![None; results];
    for (&i, t) in live.iter().zip(&back_inputs[residuals.len()..]) {
        cotangents[i] = Some(t.clone());
    }
    let grads = super::pull(cx, &mut tape, &cotangents, true)?;
    let (mut wrt, mut given) = (vec![None; avals.len()], Vec::new());
    for (&i, g) in floats.iter().zip(grads) {
        if let Some(g) = g {
            wrt[i] = Some(given.len());
            given.push(g);
        }
    }
    let back = cx.end_abstract(&given)?;
    if !back.captured.is_empty() {
        return Err(Error::internal("the backward half of a program captured a tensor"));
    }
    Ok(Halves { forward, results, reads, back, live, wrt })
}

/// Where each output after the results comes from; only those that are neither an input nor a result stay outputs.
fn sources(forward: &mut Program, results: usize) -> Vec<Source> {
    let residuals = forward.outputs.split_off(results);
    residuals
        .into_iter()
        .map(|v| {
            if let Some(i) = forward.inputs.iter().position(|&w| w == v) {
                return Source::Operand(i);
            }
            Source::Result(forward.outputs.iter().position(|&w| w == v).unwrap_or_else(|| {
                forward.outputs.push(v);
                forward.outputs.len() - 1
            }))
        })
        .collect()
}
