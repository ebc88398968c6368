//! The walk forward with tangents.
use smallvec::SmallVec;

use crate::bind::Tensors;
use crate::level::{Mode, Tape};
use crate::ops::{Jvp, Pull, Vjp};
use crate::program::Equation;
use crate::{Cx, Error, Result, Tensor};

/// Tangents of a tape's results from those of its inputs; `None` is zero.
pub fn push(cx: &Cx, tape: &Tape, tangents: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
    tape.check()?;
    let mut ts: Vec<Option<Tensor>> = vec![None; tape.program.avals.len()];
    for (&v, t) in tape.program.inputs.iter().zip(tangents) {
        ts[v as usize] = t.clone();
    }
    for e in &tape.program.equations {
        let dx: SmallVec<[Option<Tensor>; 3]> = e.inputs.iter().map(|&v| ts[v as usize].clone()).collect();
        if dx.iter().all(Option::is_none) {
            continue;
        }
        let dy = equation(cx, tape, e, &dx).map_err(|err| err.at(e.row.name))?;
        for (&v, d) in e.outputs.iter().zip(dy) {
            ts[v as usize] = d;
        }
    }
    Ok(tape.results.iter().map(|v| v.and_then(|v| ts[v as usize].clone())).collect())
}

fn equation(cx: &Cx, tape: &Tape, e: &Equation, dx: &[Option<Tensor>]) -> Result<SmallVec<[Option<Tensor>; 1]>> {
    let zeros = |i: usize| {
        let a = tape.program.aval(e.inputs[i]);
        cx.zeros(&a.shape, a.dtype)
    };
    let saved =
        |i: usize| tape.value(e.inputs[i]).cloned().ok_or_else(|| Error::internal(format!("{} did not save operand {i}", e.row.name)));
    match &e.row.jvp {
        Jvp::Linear => {
            let args: Result<Tensors> = dx
                .iter()
                .enumerate()
                .map(|(i, d)| match d {
                    Some(d) => Ok(d.clone()),
                    None if tape.program.aval(e.inputs[i]).dtype.is_float() => zeros(i),
                    None => saved(i),
                })
                .collect();
            Ok(cx.bind(e.row, e.params.clone(), &args?)?.into_iter().map(Some).collect())
        }
        Jvp::Multilinear => {
            let mut sum: Option<Tensor> = None;
            for (i, d) in dx.iter().enumerate() {
                let Some(d) = d else { continue };
                let args: Result<Tensors> = (0..dx.len()).map(|k| if k == i { Ok(d.clone()) } else { saved(k) }).collect();
                let term = cx.bind(e.row, e.params.clone(), &args?)?.remove(0);
                sum = Some(match sum {
                    Some(s) => cx.add(&s, &term)?,
                    None => term,
                });
            }
            Ok(smallvec::smallvec![sum])
        }
        Jvp::Diagonal => {
            let mut sum: Option<Tensor> = None;
            for (i, d) in dx.iter().enumerate() {
                let Some(d) = d else { continue };
                let needs: SmallVec<[bool; 3]> = (0..dx.len()).map(|k| k == i).collect();
                if let Some(term) = pull_one(cx, tape, e, &needs, &[Some(d.clone())])?.swap_remove(i) {
                    sum = Some(match sum {
                        Some(s) => cx.add(&s, &term)?,
                        None => term,
                    });
                }
            }
            Ok(smallvec::smallvec![sum])
        }
        Jvp::Derived => derived(cx, tape, e, dx),
        Jvp::None(why) => Err(Error::trace(format!("{} has no forward-mode derivative: {why}", e.row.name))),
    }
}

fn pull_one(cx: &Cx, tape: &Tape, e: &Equation, needs: &[bool], cts: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
    let Vjp::Rule(rule) = &e.row.vjp else { return Ok(vec![None; e.inputs.len()]) };
    rule(&Pull {
        cx,
        params: &e.params,
        needs,
        cotangents: cts,
        xs: e.inputs.iter().map(|&v| tape.value(v).cloned()).collect(),
        ys: e.outputs.iter().map(|&v| tape.value(v).cloned()).collect(),
        x_avals: e.inputs.iter().map(|&v| tape.program.aval(v)).collect(),
        y_avals: e.outputs.iter().map(|&v| tape.program.aval(v)).collect(),
    })
}

/// The vjp is linear in its cotangent; the vjp of that, in the cotangent, is the jvp.
/// The cotangent's own value does not matter: what depends on it alone is never computed.
fn derived(cx: &Cx, tape: &Tape, e: &Equation, dx: &[Option<Tensor>]) -> Result<SmallVec<[Option<Tensor>; 1]>> {
    let depth = cx.depth();
    let floats: Vec<bool> = e.outputs.iter().map(|&v| tape.program.aval(v).dtype.is_float()).collect();
    let cts: Result<Vec<Tensor>> = e
        .outputs
        .iter()
        .filter(|&&v| tape.program.aval(v).dtype.is_float())
        .map(|&v| {
            let a = tape.program.aval(v);
            cx.zeros(&a.shape, a.dtype)
        })
        .collect();
    let inner = (|| {
        let mut cts = cx.begin(Mode::Diff, &cts?)?.into_iter();
        let cts: Vec<Option<Tensor>> = floats.iter().map(|f| if *f { cts.next() } else { None }).collect();
        let needs: SmallVec<[bool; 3]> = dx.iter().map(Option::is_some).collect();
        let grads = pull_one(cx, tape, e, &needs, &cts)?;
        let (outs, seeds): (Vec<Tensor>, Vec<Option<Tensor>>) =
            grads.into_iter().zip(dx).filter_map(|(g, d)| Some((g?, Some(d.clone()?)))).unzip();
        Ok((cx.end_diff(&outs)?, seeds))
    })();
    let (mut linear, seeds) = inner.inspect_err(|_| cx.unwind(depth))?;
    let mut out = super::pull(cx, &mut linear, &seeds, true)?.into_iter();
    Ok(floats.iter().map(|f| if *f { out.next().flatten() } else { None }).collect())
}
