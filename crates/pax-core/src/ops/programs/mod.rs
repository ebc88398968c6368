//! Rows that own programs: one equation whose programs were recorded when it was made. What they captured follows the
//! operands, and their derivatives are programs too.
pub mod call;
pub mod checkpoint;
pub mod cond;
pub mod custom;
pub mod scan;
pub mod while_loop;

use std::rc::Rc;

use crate::ops::samples::{program, Domain, Input, Sample};
use crate::ops::{Arrays, Avals, Grads, Pull, Row};
use crate::plan::Plan;
use crate::program::{Back, Source};
use crate::{Array, Aval, Cx, Error, Params, Program, Result, Tensor};

pub const ROWS: &[&Row] = &[&call::CALL, &scan::SCAN, &cond::COND, &while_loop::WHILE_LOOP, &checkpoint::CHECKPOINT];

/// The operands that a program takes, checked against its inputs; gives its results.
fn fits(xs: &[&Aval], program: &Program) -> Result<Avals> {
    let same = |x: &Aval, v: u32| x.shape == program.aval(v).shape && x.dtype == program.aval(v).dtype;
    if xs.len() != program.inputs.len() || !xs.iter().zip(&program.inputs).all(|(x, &v)| same(x, v)) {
        return Err(Error::internal("a program was called with other shapes than it was recorded with"));
    }
    Ok(results(program))
}

/// Runs a program by its plan, which is made when it first runs.
fn run(cx: &Cx, program: &Program, inputs: impl ExactSizeIterator<Item = Array>) -> Result<Arrays> {
    program.plan.get_or_init(|| Plan::new(cx, program, None)).run(cx, inputs)
}

fn results(program: &Program) -> Avals {
    program.outputs.iter().map(|&v| program.aval(v).clone()).collect()
}

fn back(program: &Program) -> Result<&Back> {
    program.back.as_ref().ok_or_else(|| Error::internal("a row was recorded without its backward half"))
}

/// What a backward program reads, in its order: saved operands and results, then the cotangents of live results.
fn read(p: &Pull, back: &Back) -> Result<Vec<Tensor>> {
    let saved = back.reads.iter().map(|s| match *s {
        Source::Operand(i) => p.x(i).cloned(),
        Source::Result(i) => p.y(i).cloned(),
    });
    saved.chain(back.live.iter().map(|&i| p.g_or_zeros(i))).collect()
}

/// The wanted cotangents of the operands among what a backward program gave.
fn wanted(p: &Pull, back: &Back, grads: &[Tensor]) -> Grads {
    back.wrt.iter().zip(p.needs).map(|(w, need)| w.filter(|_| *need).map(|w| grads[w].clone())).collect()
}

/// Walks back by calling the backward program once.
fn pull_call(p: &Pull) -> Result<Grads> {
    let back = back(p.params.program("program")?)?;
    let grads = p.cx.call(&back.program, &read(p, back)?)?;
    Ok(wanted(p, back, &grads))
}

/// Two programs share their first operands; each takes what it captured from the rest. Gives how many are shared.
fn shared(operands: usize, a: &Program, b: &Program) -> Result<usize> {
    (a.inputs.len() + b.inputs.len())
        .checked_sub(operands)
        .filter(|&n| n <= a.inputs.len().min(b.inputs.len()))
        .ok_or_else(|| Error::internal("two programs do not fit their operands"))
}

/// The operands of the first or second program of such a pair.
fn part<T: Clone>(xs: &[T], shared: usize, program: &Program, second: bool) -> Vec<T> {
    let own = program.inputs.len() - shared;
    let from = if second { xs.len() - own } else { shared };
    xs[..shared].iter().chain(&xs[from..from + own]).cloned().collect()
}

/// Parameters with another program.
fn with_program(params: &Params, program: Rc<Program>) -> Result<Params> {
    let values: Vec<_> =
        params.values().iter().map(|v| if let crate::Value::Program(_) = v { program.clone().into() } else { v.clone() }).collect();
    Params::new(params.spec(), values)
}

/// A program of two operands and two results, for rows that run one as it is.
fn samples() -> Vec<Sample> {
    let x = || Input::new(&[3], Domain::Range(-2.0, 2.0));
    let p = program(&[&[3], &[3]], |cx, t| {
        let y = cx.mul(&t[0], &t[1])?;
        Ok(vec![cx.mul(&y, &t[0])?, cx.sin(&y)?])
    });
    vec![Sample::new(vec![x(), x()], vec![p])]
}
