//! The walk forward with a mapped axis: a mapped tensor carries it in front.
use std::rc::Rc;

use smallvec::SmallVec;

use crate::ops::{Axis, Batch, Batching};
use crate::program::{Equation, Mapped};
use crate::{Aval, Cx, Error, Program, Result, Tensor};

/// Runs a program over an axis at once. Operands with `mapped` carry it in front; so do mapped results.
pub fn batch<'a>(
    cx: &Cx,
    program: &Program,
    inputs: Vec<Tensor>,
    mapped: &[bool],
    axis: impl Into<Axis<'a>>,
) -> Result<Vec<(Tensor, bool)>> {
    let axis = axis.into();
    let mut values: Vec<Option<(Tensor, bool)>> = vec![None; program.avals.len()];
    for ((&v, t), &m) in program.inputs.iter().zip(inputs).zip(mapped) {
        values[v as usize] = Some((t, m));
    }
    let missing = || Error::internal("a program reads a value that it has not made");
    for e in &program.equations {
        let args: Result<SmallVec<[(Tensor, bool); 3]>> =
            e.inputs.iter().map(|&v| values[v as usize].clone().ok_or_else(missing)).collect();
        let args = args?;
        let xs: SmallVec<[Tensor; 3]> = args.iter().map(|a| a.0.clone()).collect();
        let flags: SmallVec<[bool; 3]> = args.iter().map(|a| a.1).collect();
        let outs = if flags.contains(&true) || e.row.collective(&e.params) {
            equation(cx, e, &xs, &flags, axis).map_err(|err| err.at(e.row.name))?
        } else {
            cx.bind(e.row, e.params.clone(), &xs)?.into_iter().map(|t| (t, false)).collect()
        };
        for (&v, t) in e.outputs.iter().zip(outs) {
            values[v as usize] = Some(t);
        }
    }
    program.outputs.iter().map(|&v| values[v as usize].clone().ok_or_else(missing)).collect()
}

fn equation(cx: &Cx, e: &Equation, xs: &[Tensor], mapped: &[bool], axis: Axis) -> Result<Vec<(Tensor, bool)>> {
    let b = Batching { cx, row: e.row, params: &e.params, mapped, size: axis.size, axis: axis.name, xs };
    let all = |ts: crate::bind::Tensors| ts.into_iter().map(|t| (t, true)).collect();
    match &e.row.batch {
        Batch::Elementwise => Ok(all(cx.bind(e.row, e.params.clone(), &b.all_mapped()?)?)),
        Batch::Rule(f) => f(&b).map(all),
        Batch::Flags(f) | Batch::Axis(f) => f(&b),
        Batch::None(why) => Err(Error::trace(format!("{} cannot be mapped by vmap: {why}", e.row.name))),
    }
}

/// Forms of a program that are kept.
const KEPT: usize = 8;

/// The program over an axis, as a program, and which of its results are mapped; those in `force` are repeated if they are not.
/// It is kept: programs within programs are asked for it again and again, which would double with each level.
pub fn batched(cx: &Cx, program: &Program, mapped: &[bool], axis: Axis, force: impl Fn(usize) -> bool) -> Result<(Rc<Program>, Vec<bool>)> {
    let forced: Vec<bool> = (0..program.outputs.len()).map(force).collect();
    let known = |m: &&Mapped| m.inputs == mapped && m.forced == forced && m.size == axis.size && m.axis == axis.name;
    if let Some(m) = program.mapped.borrow().iter().find(known) {
        return Ok((m.program.clone(), m.results.clone()));
    }
    let avals: Vec<Aval> = program
        .inputs
        .iter()
        .zip(mapped)
        .map(|(&v, &m)| if m { in_front(program.aval(v), axis.size) } else { program.aval(v).clone() })
        .collect();
    let (made, results) = recorded(cx, &avals, |ts| {
        let outs = batch(cx, program, ts.to_vec(), mapped, axis)?.into_iter().zip(&forced);
        outs.map(|((t, m), &force)| if !m && force { Ok((cx.repeated(&t, axis.size)?, true)) } else { Ok((t, m)) })
            .collect::<Result<Vec<_>>>()
    })?;
    let made = if program.padding.is_empty() { made } else { Rc::new(Program { padding: program.padding.clone(), ..made.again() }) };
    let mut kept = program.mapped.borrow_mut();
    if kept.len() == KEPT {
        kept.remove(0);
    }
    kept.push(Mapped {
        inputs: mapped.to_vec(),
        forced,
        size: axis.size,
        axis: axis.name.into(),
        program: made.clone(),
        results: results.clone(),
    });
    Ok((made, results))
}

/// Records `f` on inputs of these shapes; beside each result it gives something for the caller.
pub fn recorded<X>(cx: &Cx, avals: &[Aval], f: impl FnOnce(&[Tensor]) -> Result<Vec<(Tensor, X)>>) -> Result<(Rc<Program>, Vec<X>)> {
    let depth = cx.depth();
    let ts = cx.begin_abstract(avals);
    let made = f(&ts).and_then(|outs| {
        let (outs, more): (Vec<Tensor>, Vec<X>) = outs.into_iter().unzip();
        Ok((Rc::new(cx.end_abstract(&outs)?), more))
    });
    made.inspect_err(|_| cx.unwind(depth))
}

/// The shape of a mapped value.
pub fn in_front(a: &Aval, size: usize) -> Aval {
    let mut a = a.clone();
    a.shape.insert(0, size);
    a
}

impl Cx {
    /// `size` copies of `x` along a new axis in front.
    pub fn repeated(&self, x: &Tensor, size: usize) -> Result<Tensor> {
        let shape = in_front(x.aval(), size).shape;
        self.broadcast(x, &shape, &(1..shape.len()).collect::<Vec<_>>())
    }
}
