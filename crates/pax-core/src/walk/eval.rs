//! Forward walks: with arrays (`Runner`) and by binding each equation where we stand (`inline`).
use smallvec::SmallVec;

use crate::{Array, Cx, Error, Program, Result, Tensor};

/// A program prepared for computing it op by op, a value dropped after its last use.
pub struct Runner<'a> { program: &'a Program, last: Vec<usize> }

impl<'a> Runner<'a> {
    pub fn new(program: &'a Program) -> Runner<'a> {
        let mut last = vec![usize::MAX; program.avals.len()];
        for (i, e) in program.equations.iter().enumerate() {
            for &v in &e.inputs { last[v as usize] = i; }
            for &v in &e.outputs { if last[v as usize] == usize::MAX { last[v as usize] = i; } }
        }
        for &v in &program.outputs { last[v as usize] = usize::MAX; }
        Runner { program, last }
    }

    pub fn run(&self, cx: &Cx, inputs: impl ExactSizeIterator<Item = Array>) -> Result<SmallVec<[Array; 1]>> {
        let (program, last) = (self.program, &self.last);
        let mut values: Vec<Option<Array>> = vec![None; program.avals.len()];
        if inputs.len() != program.inputs.len() { return Err(Error::internal("a program was run with another number of inputs")); }
        for (&v, a) in program.inputs.iter().zip(inputs) { values[v as usize] = Some(a); }
        let missing = || Error::internal("a program reads a value that it has not made");
        for (i, e) in program.equations.iter().enumerate() {
            let mut args: SmallVec<[Array; 3]> = SmallVec::new();
            for &v in &e.inputs { args.push(values[v as usize].clone().ok_or_else(missing)?); }
            for &v in &e.inputs { if last[v as usize] == i { values[v as usize] = None; } }
            for (&v, a) in e.outputs.iter().zip(cx.eval(e.row, &e.params, args)?) {
                if last[v as usize] != i { values[v as usize] = Some(a); }
            }
        }
        program.outputs.iter().map(|&v| values[v as usize].clone().ok_or_else(missing)).collect()
    }
}

/// Binds a program's equations on the level where we stand: the inputs are its declared and captured ones.
pub fn inline(cx: &Cx, program: &Program, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let mut values: Vec<Option<Tensor>> = vec![None; program.avals.len()];
    for (&v, t) in program.inputs.iter().zip(inputs) { values[v as usize] = Some(t); }
    let missing = || Error::internal("a program reads a value that it has not made");
    for e in &program.equations {
        let args: Result<SmallVec<[Tensor; 3]>> = e.inputs.iter().map(|&v| values[v as usize].clone().ok_or_else(missing)).collect();
        let outs = cx.bind(e.row, e.params.clone(), &args?)?;
        for (&v, t) in e.outputs.iter().zip(outs) { values[v as usize] = Some(t); }
    }
    program.outputs.iter().map(|&v| values[v as usize].clone().ok_or_else(missing)).collect()
}
