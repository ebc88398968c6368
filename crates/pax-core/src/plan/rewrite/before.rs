//! Products of what is scanned with what every step sees are made before the scan, for all steps at once.
use super::flat::inline;
use super::invariant::movable;
use super::scan::{affordable, bytes, total, Pair, Scan};
use crate::ops::Axis;
use crate::{walk, Cx, Program, Var};

/// What a value of the body depends on.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Fixed,
    Slices,
    Carry,
}

pub fn products(p: &mut Program, s: &mut Scan) -> Option<()> {
    if s.length < 2 {
        return None;
    }
    let mut of = vec![Of::Carry; s.body.avals.len()];
    for q in &s.scanned {
        of[q.inner as usize] = Of::Slices;
    }
    for q in &s.fixed {
        of[q.inner as usize] = Of::Fixed;
    }
    let mut all = Program { avals: s.body.avals.clone(), ..Program::default() };
    for e in &s.body.equations {
        let from: Vec<Of> = e.inputs.iter().map(|&v| of[v as usize]).collect();
        if !movable(e) || from.contains(&Of::Carry) {
            continue;
        }
        of[e.outputs[0] as usize] = if from.contains(&Of::Slices) { Of::Slices } else { Of::Fixed };
        if e.row.name == "dot" && from[0] != from[1] {
            all.outputs.push(e.outputs[0]);
        }
        all.equations.push(e.clone());
    }
    if all.outputs.is_empty() {
        return None;
    }
    all.dead_code();
    let made = all.equations.iter().flat_map(|e| &e.outputs).filter(|&&v| of[v as usize] == Of::Slices);
    if !affordable(total(made.map(|&v| bytes(s.body.aval(v)).saturating_mul(s.length))), s.bytes()) {
        return None;
    }
    let (inner, outer): (Vec<Var>, Vec<Var>) = s.scanned.iter().chain(&s.fixed).map(|q| (q.inner, q.outer)).unzip();
    all.inputs = inner;
    let mapped: Vec<bool> = (0..outer.len()).map(|i| i < s.scanned.len()).collect();
    let (program, _) = walk::batched(&Cx::default(), &all, &mapped, Axis::from(s.length), |_| true).ok()?;
    let products = inline(p, &program, &outer);
    s.body.equations.retain(|e| !e.outputs.iter().any(|v| all.outputs.contains(v)));
    s.scanned.extend(all.outputs.iter().zip(products).map(|(&inner, outer)| Pair { outer, inner }));
    s.drop_dead();
    Some(())
}
