//! The walk forward that binds each equation where we stand.
use smallvec::SmallVec;

use crate::{Cx, Error, Program, Result, Tensor};

/// Binds a program's equations on the level where we stand: the inputs are its declared and captured ones.
pub fn inline(cx: &Cx, program: &Program, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let mut values: Vec<Option<Tensor>> = vec![None; program.avals.len()];
    for (&v, t) in program.inputs.iter().zip(inputs) {
        values[v as usize] = Some(t);
    }
    let missing = || Error::internal("a program reads a value that it has not made");
    for e in &program.equations {
        let args: Result<SmallVec<[Tensor; 3]>> = e.inputs.iter().map(|&v| values[v as usize].clone().ok_or_else(missing)).collect();
        let outs = cx.bind(e.row, e.params.clone(), &args?)?;
        for (&v, t) in e.outputs.iter().zip(outs) {
            values[v as usize] = Some(t);
        }
    }
    program.outputs.iter().map(|&v| values[v as usize].clone().ok_or_else(missing)).collect()
}
