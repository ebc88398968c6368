//! Products with what every step sees, of which a scan only stacks the results, are made after it, for all steps at once.
use super::flat::{inline, Index};
use super::invariant::movable;
use super::scan::Scan;
use crate::ops::{Axis, Batch};
use crate::{walk, Cx, Program, Var};

/// Writes what makes the stacked results at the end of the program.
pub fn products(p: &mut Program, s: &mut Scan) {
    if s.length < 2 {
        return;
    }
    let (mut at, start) = (0, p.equations.len());
    while at < s.stacked.len() {
        let from = p.equations.len();
        at = if result(p, s, at).is_some() { 0 } else { at + 1 };
        // What was stacked for one result may be a product itself, which then has to come before.
        p.equations[start..].rotate_left(from - start);
    }
}

/// What a result of the steps is made of: equations that nobody else reads, down to products and what these take.
#[derive(Default)]
struct Tree {
    equations: Vec<usize>,
    leaves: Vec<Var>,
    products: usize,
}

impl Tree {
    fn of(s: &Scan, index: &Index, top: Var) -> Tree {
        let (mut tree, mut rest) = (Tree::default(), vec![top]);
        let fixed = |v: Var| s.fixed.iter().any(|q| q.inner == v);
        let through = |name: &str| matches!(name, "broadcast" | "reshape" | "transpose" | "slice" | "full");
        while let Some(v) = rest.pop() {
            let known = fixed(v) || (v != top && s.all(v).is_some());
            let e = index.maker(&s.body, v).filter(|e| !known && movable(e) && (index.reads(v) == 1 || e.inputs.is_empty()));
            let product = e.is_some_and(|e| e.row.name == "dot" && (fixed(e.inputs[0]) || fixed(e.inputs[1])));
            match (e, index.at(v)) {
                (Some(e), Some(at)) if product || matches!(e.row.batch, Batch::Elementwise) || through(e.row.name) => {
                    tree.equations.push(at);
                    tree.products += usize::from(product);
                    if product {
                        for &w in &e.inputs {
                            tree.leaf(w);
                        }
                    } else {
                        rest.extend(e.inputs.iter().rev());
                    }
                }
                _ => tree.leaf(v),
            }
        }
        tree
    }

    fn leaf(&mut self, v: Var) {
        if !self.leaves.contains(&v) {
            self.leaves.push(v);
        }
    }
}

fn result(p: &mut Program, s: &mut Scan, at: usize) -> Option<()> {
    let (index, q) = (s.index(), s.stacked[at]);
    let mut tree = Tree::of(s, &index, q.inner);
    if tree.products == 0 {
        return None;
    }
    tree.equations.sort_unstable();
    let (fixed, slices): (Vec<Var>, Vec<Var>) = tree.leaves.iter().partition(|&&v| s.fixed.iter().any(|q| q.inner == v));
    let new = slices.iter().copied().filter(|&v| s.all(v).is_none());
    if !s.may_stack(new, 4 * s.body.aval(q.inner).size()) {
        return None;
    }
    let equations = tree.equations.iter().map(|&i| s.body.equations[i].clone()).collect();
    let all = Program {
        inputs: slices.iter().chain(&fixed).copied().collect(),
        equations,
        outputs: vec![q.inner],
        avals: s.body.avals.clone(),
        ..Program::default()
    };
    let mapped: Vec<bool> = (0..all.inputs.len()).map(|i| i < slices.len()).collect();
    let (program, _) = walk::batched(&Cx::default(), &all, &mapped, Axis::from(s.length), |_| true).ok()?;
    let mut outer: Vec<Var> = slices.iter().map(|&v| s.stack(p, v)).collect();
    outer.extend(fixed.iter().filter_map(|&v| s.fixed.iter().find(|q| q.inner == v)).map(|q| q.outer));
    let from = p.equations.len();
    let v = *inline(p, &program, &outer).first()?;
    for e in &mut p.equations[from..] {
        for w in e.inputs.iter_mut().chain(&mut e.outputs) {
            if *w == v {
                *w = q.outer;
            }
        }
    }
    s.stacked.remove(at);
    s.drop_dead();
    Some(())
}
