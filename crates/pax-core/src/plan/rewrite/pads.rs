//! Tensors padded with zeros to places apart and then added stand behind one another: the cotangent of what was cut in pieces.
//! A -0 among them stays, where the sum made 0 of it.
use super::flat::{emit, Index};
use crate::ops::movement::concatenate::CONCATENATE;
use crate::{Program, Var};

/// Most parts of a sum: it is looked at from each of its additions.
const PARTS: usize = 1024;

/// A part and where it begins and ends along its axis.
struct Part {
    axis: usize,
    from: usize,
    to: usize,
    v: Var,
}

pub fn concatenate(p: &mut Program) {
    if !p.equations.iter().any(|e| e.row.name == "pad") {
        return;
    }
    let index = Index::new(p, p.outputs.clone());
    let old = std::mem::take(&mut p.equations);
    let whole = Program { equations: old, avals: p.avals.clone(), ..Program::default() };
    for e in &whole.equations {
        let made = if e.row.name == "add" { parts(&whole, &index, e.outputs[0]) } else { None };
        let joined = made.and_then(|(axis, vs)| emit(p, &CONCATENATE, [axis.into()], &vs));
        match (joined, p.equations.last_mut()) {
            (Some(_), Some(last)) => last.outputs[0] = e.outputs[0],
            _ => p.equations.push(e.clone()),
        }
    }
}

/// The axis and the parts in order, if the value is a sum of such that fill it.
fn parts(p: &Program, index: &Index, sum: Var) -> Option<(usize, Vec<Var>)> {
    let mut parts = parts_of(p, index, sum)?;
    parts.sort_by_key(|q| q.from);
    let (axis, size) = (parts[0].axis, p.aval(sum).shape[parts[0].axis]);
    let fills = parts[0].from == 0 && parts.windows(2).all(|w| w[0].to == w[1].from) && parts.last()?.to == size;
    (fills && parts.iter().all(|q| q.axis == axis)).then(|| (axis, parts.iter().map(|q| q.v).collect()))
}

/// The padded terms of a sum that nobody reads in parts; `None` where one is not padded, or there are too many.
fn parts_of(p: &Program, index: &Index, sum: Var) -> Option<Vec<Part>> {
    let (mut parts, mut rest) = (Vec::new(), vec![sum]);
    while let Some(v) = rest.pop() {
        match index.made_by(p, v, "add").filter(|_| v == sum || index.reads(v) == 1) {
            Some(e) => rest.extend(&e.inputs),
            None if parts.len() == PARTS => return None,
            None => parts.push(part(p, index, v)?),
        }
    }
    Some(parts)
}

fn part(p: &Program, index: &Index, v: Var) -> Option<Part> {
    let e = index.made_by(p, v, "pad").filter(|_| index.reads(v) == 1)?;
    let (low, high) = (e.params.ints("low").ok()?, e.params.ints("high").ok()?);
    if index.constant(p, e.inputs[1])? != 0.0
        || low.iter().chain(high).any(|&n| n < 0)
        || e.params.ints("interior").ok()?.iter().any(|&n| n != 0)
    {
        return None;
    }
    let mut padded = (0..low.len()).filter(|&d| low[d] + high[d] > 0);
    let axis = padded.next().filter(|_| padded.next().is_none())?;
    let from = low[axis] as usize;
    Some(Part { axis, from, to: from + p.aval(e.inputs[0]).shape[axis], v: e.inputs[0] })
}
