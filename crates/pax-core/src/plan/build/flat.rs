//! A program as one list of equations: calls replaced by what they call, equal equations once, what nobody needs left out.
use std::collections::HashMap;

use smallvec::SmallVec;

use crate::ops::Body;
use crate::program::Equation;
use crate::{Program, Var};

pub struct Flat { pub equations: Vec<Equation>, pub avals: Vec<crate::Aval>, pub inputs: Vec<Var>, pub outputs: Vec<Var> }

pub fn flatten(program: &Program) -> Flat {
    let mut flat = Flat { equations: vec![], avals: vec![], inputs: vec![], outputs: vec![] };
    let fresh = |flat: &mut Flat, a: &crate::Aval| { flat.avals.push(a.clone()); (flat.avals.len() - 1) as Var };
    let inputs: Vec<Var> = program.inputs.iter().map(|&v| fresh(&mut flat, program.aval(v))).collect();
    flat.inputs = inputs.clone();
    flat.outputs = inline(&mut flat, program, &inputs);
    flat
}

fn inline(flat: &mut Flat, program: &Program, inputs: &[Var]) -> Vec<Var> {
    let mut to: HashMap<Var, Var> = program.inputs.iter().copied().zip(inputs.iter().copied()).collect();
    for e in &program.equations {
        let args: SmallVec<[Var; 3]> = e.inputs.iter().map(|v| to.get(v).copied().unwrap_or_default()).collect();
        // A checkpoint stays by itself: its equations must not be found equal to those that compute it again.
        let called = (e.row.name == "call").then(|| e.params.programs().next()).flatten();
        if let Some(p) = called {
            let outs = inline(flat, p, &args);
            to.extend(e.outputs.iter().copied().zip(outs));
            continue;
        }
        let outputs: SmallVec<[Var; 1]> = e.outputs.iter().map(|&v| {
            flat.avals.push(program.aval(v).clone());
            let w = (flat.avals.len() - 1) as Var;
            to.insert(v, w);
            w
        }).collect();
        flat.equations.push(Equation { row: e.row, params: e.params.clone(), inputs: args, outputs });
    }
    program.outputs.iter().map(|v| to.get(v).copied().unwrap_or_default()).collect()
}

/// Keeps the first of equal equations, and what the outputs need.
pub fn simplify(flat: &mut Flat) {
    let mut same: Vec<Var> = (0..flat.avals.len() as Var).collect();
    let mut known: HashMap<(&'static str, SmallVec<[Var; 3]>), Vec<usize>> = HashMap::new();
    let mut kept: Vec<Equation> = Vec::with_capacity(flat.equations.len());
    for mut e in flat.equations.drain(..) {
        for v in &mut e.inputs { *v = same[*v as usize]; }
        let pure = !matches!(e.row.body, Body::Program(_));
        let places = known.entry((e.row.name, e.inputs.clone())).or_default();
        if let Some(&first) = places.iter().find(|&&i| pure && kept[i].params.same(&e.params)) {
            for (&v, &w) in e.outputs.iter().zip(&kept[first].outputs) { same[v as usize] = w; }
            continue;
        }
        places.push(kept.len());
        kept.push(e);
    }
    for v in &mut flat.outputs { *v = same[*v as usize]; }
    let mut live = vec![false; flat.avals.len()];
    for &v in &flat.outputs { live[v as usize] = true; }
    let mut keep = vec![false; kept.len()];
    for (i, e) in kept.iter().enumerate().rev() {
        keep[i] = e.outputs.iter().any(|&v| live[v as usize]);
        if keep[i] { for &v in &e.inputs { live[v as usize] = true; } }
    }
    let mut flags = keep.iter();
    kept.retain(|_| *flags.next().unwrap_or(&true));
    flat.equations = kept;
}
