//! What every step computes from the same operands is computed once, before the scan.
use std::collections::HashMap;

use super::flat::{fresh, Same};
use super::scan::{Pair, Scan};
use super::trim::over_steps;
use crate::ops::Body;
use crate::program::Equation;
use crate::{Program, Var};

/// Equations that a body may lose: they run by themselves and do not speak of a mapped axis.
pub fn movable(e: &Equation) -> bool {
    matches!(e.row.body, Body::Primitive(_)) && !e.row.collective(&e.params) && e.outputs.len() == 1
}

/// Views and constants: a plan makes them for nothing, while an operand of a step may be copied.
fn free(e: &Equation) -> bool {
    matches!(e.row.name, "full" | "broadcast" | "transpose" | "reshape" | "slice" | "stop_gradient" | "copy")
}

pub fn hoist(p: &mut Program, s: &mut Scan, around: &mut Same) {
    if s.length < 2 {
        return;
    }
    let mut outside: HashMap<Var, Var> = s.fixed.iter().map(|q| (q.inner, q.outer)).collect();
    let mut kept = Vec::with_capacity(s.body.equations.len());
    for e in std::mem::take(&mut s.body.equations) {
        let inputs = if movable(&e) { e.inputs.iter().map(|v| outside.get(v).copied()).collect() } else { None };
        let Some(inputs) = inputs else {
            kept.push(e);
            continue;
        };
        let (inner, outer) = (e.outputs[0], fresh(p, s.body.aval(e.outputs[0])));
        p.equations.push(Equation { inputs, outputs: smallvec::smallvec![outer], ..e.clone() });
        outside.insert(inner, outer);
        if free(&e) {
            kept.push(e);
        } else {
            s.fixed.push(Pair { outer, inner });
        }
    }
    s.body.equations = kept;
    for q in std::mem::take(&mut s.stacked) {
        let same = outside.get(&q.inner).and_then(|&v| over_steps(p, &s.over(q.inner).shape, v));
        match same {
            Some(v) => around.put(q.outer, v),
            None => s.stacked.push(q),
        }
    }
    s.drop_dead();
}
