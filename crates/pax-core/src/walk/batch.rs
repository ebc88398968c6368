//! The walk forward with a mapped axis: a mapped tensor carries it in front.
use smallvec::SmallVec;

use crate::bind::Tensors;
use crate::ops::{Batch, Batching};
use crate::program::Equation;
use crate::{Cx, Error, Program, Result, Tensor};

/// Runs a program over `size` examples at once. Operands with `mapped` carry the axis in front; so do mapped results.
pub fn batch(cx: &Cx, program: &Program, inputs: Vec<Tensor>, mapped: &[bool], size: usize) -> Result<Vec<(Tensor, bool)>> {
    let mut values: Vec<Option<(Tensor, bool)>> = vec![None; program.avals.len()];
    for ((&v, t), &m) in program.inputs.iter().zip(inputs).zip(mapped) { values[v as usize] = Some((t, m)); }
    let missing = || Error::internal("a program reads a value that it has not made");
    for e in &program.equations {
        let args: Result<SmallVec<[(Tensor, bool); 3]>> = e.inputs.iter().map(|&v| values[v as usize].clone().ok_or_else(missing)).collect();
        let args = args?;
        let xs: SmallVec<[Tensor; 3]> = args.iter().map(|a| a.0.clone()).collect();
        let any = args.iter().any(|a| a.1);
        let outs = if any {
            let flags: SmallVec<[bool; 3]> = args.iter().map(|a| a.1).collect();
            equation(cx, e, &xs, &flags, size).map_err(|err| err.at(e.row.name))?
        } else {
            cx.bind(e.row, e.params.clone(), &xs)?
        };
        for (&v, t) in e.outputs.iter().zip(outs) { values[v as usize] = Some((t, any)); }
    }
    program.outputs.iter().map(|&v| values[v as usize].clone().ok_or_else(missing)).collect()
}

fn equation(cx: &Cx, e: &Equation, xs: &[Tensor], mapped: &[bool], size: usize) -> Result<Tensors> {
    let b = Batching { cx, row: e.row, params: &e.params, mapped, size, xs };
    match &e.row.batch {
        Batch::Elementwise => cx.bind(e.row, e.params.clone(), &b.all_mapped()?),
        Batch::Rule(f) => f(&b),
        Batch::None(why) => Err(Error::trace(format!("{} cannot be mapped by vmap: {why}", e.row.name))),
    }
}
