//! The walk back: rules return cotangents, and only this walker adds them.
use smallvec::SmallVec;

use crate::level::Tape;
use crate::ops::{Pull, Vjp};
use crate::{Cx, Error, Result, Tensor, Var};

/// Cotangents of a tape's inputs from those of its results; `None` is zero. `consume` frees saved values as it goes.
pub fn pull(cx: &Cx, tape: &mut Tape, cotangents: &[Option<Tensor>], consume: bool) -> Result<Vec<Option<Tensor>>> {
    tape.check()?;
    let mut cts: Vec<Option<Tensor>> = vec![None; tape.program.avals.len()];
    for (v, ct) in tape.results.iter().zip(cotangents) {
        if let (Some(v), Some(ct)) = (v, ct) {
            accumulate(cx, &mut cts, *v, ct.clone())?;
        }
    }
    // What an input or an active result needs is decided by activity: inputs and the results of equations.
    let mut active = vec![false; tape.program.avals.len()];
    for &v in &tape.program.inputs {
        active[v as usize] = true;
    }
    for e in &tape.program.equations {
        for &v in &e.outputs {
            active[v as usize] = true;
        }
    }
    // A saved value dies with the first equation (in order) that uses it, which the walk reaches last.
    let mut first = vec![usize::MAX; if consume { tape.program.avals.len() } else { 0 }];
    if consume {
        for (i, e) in tape.program.equations.iter().enumerate().rev() {
            for &v in e.inputs.iter().chain(&e.outputs) {
                first[v as usize] = i;
            }
        }
    }
    for (i, e) in tape.program.equations.iter().enumerate().rev() {
        let g: SmallVec<[Option<Tensor>; 1]> = e.outputs.iter().map(|&v| cts[v as usize].take()).collect();
        if g.iter().any(Option::is_some) {
            let rule = match &e.row.vjp {
                Vjp::Rule(f) => f,
                Vjp::Zero(_) => continue,
                Vjp::None(why) => return Err(Error::trace(format!("{} has no reverse-mode derivative: {why}", e.row.name)).at(e.row.name)),
            };
            let needs: SmallVec<[bool; 3]> =
                e.inputs.iter().map(|&v| active[v as usize] && tape.program.aval(v).dtype.is_float()).collect();
            let args = Pull {
                cx,
                params: &e.params,
                needs: &needs,
                cotangents: &g,
                xs: e
                    .inputs
                    .iter()
                    .enumerate()
                    .map(|(k, &v)| if e.row.saves.input(k, &e.params) { tape.saved[v as usize].clone() } else { None })
                    .collect(),
                ys: e
                    .outputs
                    .iter()
                    .enumerate()
                    .map(|(k, &v)| if e.row.saves.output(k, &e.params) { tape.saved[v as usize].clone() } else { None })
                    .collect(),
                x_avals: e.inputs.iter().map(|&v| tape.program.aval(v)).collect(),
                y_avals: e.outputs.iter().map(|&v| tape.program.aval(v)).collect(),
            };
            let grads = rule(&args).map_err(|err| err.at(e.row.name))?;
            drop(args);
            drop(g);
            for ((&v, d), need) in e.inputs.iter().zip(grads).zip(needs) {
                if let (Some(d), true) = (d, need) {
                    accumulate(cx, &mut cts, v, d)?;
                }
            }
        }
        if consume {
            for &v in e.inputs.iter().chain(&e.outputs) {
                if first[v as usize] == i {
                    tape.saved[v as usize] = None;
                }
            }
        }
    }
    Ok(tape.program.inputs.iter().map(|&v| cts[v as usize].clone()).collect())
}

fn accumulate(cx: &Cx, cts: &mut [Option<Tensor>], v: Var, ct: Tensor) -> Result<()> {
    let slot = &mut cts[v as usize];
    *slot = Some(match slot.take() {
        Some(sum) => cx.add(&sum, &ct)?,
        None => ct,
    });
    Ok(())
}
