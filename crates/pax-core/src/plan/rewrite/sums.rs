//! What a scan only adds up is added up after it: `carry + a·b` in each step is one product over all steps, of which time
//! is one more summed axis.
use super::after;
use super::flat::{emit, fresh, Index, Same};
use super::scan::Scan;
use crate::ops::contract::dot::DOT;
use crate::ops::elementwise::binary::ADD;
use crate::ops::movement::create::FULL;
use crate::ops::reduce::sum::REDUCE_SUM;
use crate::program::Equation;
use crate::{Dims, Program, Value, Var};

/// Writes what comes after the scan at the end of the program.
pub fn sums(p: &mut Program, around: &Index, s: &mut Scan, outside: &mut Same) {
    let (mut at, start) = (0, p.equations.len());
    while at < s.carries.len() {
        if carry(p, around, s, outside, at).is_none() {
            at += 1;
        }
        s.drop_dead();
    }
    // They stand right after the scan, since totals read them.
    let totals = p.equations.split_off(start);
    after::products(p, s);
    p.equations.extend(totals);
}

/// Takes the terms of a carry that can be summed later out of the body. `None` if it stays a carry.
fn carry(p: &mut Program, around: &Index, s: &mut Scan, outside: &mut Same, at: usize) -> Option<()> {
    let index = s.index();
    let (init, input, next, result) = {
        let c = &s.carries[at];
        (c.init, c.input, c.next, c.result)
    };
    let mut terms = spread(&s.body, &index, next);
    if index.reads(input) != 1 || index.reads(next) != 1 || !terms.contains(&input) {
        return None;
    }
    terms.retain(|&v| v != input);
    // A half float may overflow in one term where the sum of all does not.
    let half = p.aval(init).dtype.is_half();
    if half && terms.len() > 1 {
        return None;
    }
    let (mut sum, mut rest) = (None, vec![input]);
    for v in terms {
        let t = Totals { p: &mut *p, s: &mut *s, index: &index, half, depth: 0 }.total(v);
        match (t, sum) {
            (None, _) => rest.push(v),
            (Some(t), None) => sum = Some(t),
            (Some(t), Some(u)) => sum = Some(emit(p, &ADD, [], &[u, t])?),
        }
    }
    let sum = sum?;
    if rest.len() == 1 {
        s.carries.remove(at);
        let zero = around.constant(p, init) == Some(0.0);
        outside.put(result, if zero { sum } else { emit(p, &ADD, [], &[init, sum])? });
        return Some(());
    }
    let mut sofar = input;
    for &v in &rest[1..] {
        sofar = emit(&mut s.body, &ADD, [], &[sofar, v])?;
    }
    let aval = p.aval(result).clone();
    (s.carries[at].next, s.carries[at].result) = (sofar, fresh(p, &aval));
    outside.put(result, emit(p, &ADD, [], &[s.carries[at].result, sum])?);
    None
}

/// The terms of a sum that nobody reads in parts, in order.
fn spread(body: &Program, index: &Index, sum: Var) -> Vec<Var> {
    let (mut terms, mut rest) = (Vec::new(), vec![sum]);
    while let Some(v) = rest.pop() {
        match index.made_by(body, v, "add").filter(|_| index.reads(v) == 1) {
            Some(e) => rest.extend(e.inputs.iter().rev()),
            None => terms.push(v),
        }
    }
    terms
}

/// Most equations of a chain whose total is taken: it is walked by recursion.
const CHAIN: usize = 64;

struct Totals<'a> {
    p: &'a mut Program,
    s: &'a mut Scan,
    index: &'a Index,
    half: bool,
    depth: usize,
}

impl Totals<'_> {
    /// A value of the body summed over all steps, where that is less work than to add it up step by step.
    fn total(&mut self, v: Var) -> Option<Var> {
        if self.depth == CHAIN {
            return None;
        }
        self.depth += 1;
        let sum = self.made(v);
        self.depth -= 1;
        sum
    }

    fn made(&mut self, v: Var) -> Option<Var> {
        let dtype = self.s.body.aval(v).dtype;
        if dtype.sum_result() != dtype {
            return None;
        }
        if let Some(all) = self.s.all(v) {
            return emit(self.p, &REDUCE_SUM, [[0i64].into()], &[all]);
        }
        let e = self.index.maker(&self.s.body, v).filter(|_| self.index.reads(v) == 1)?.clone();
        let values = || e.params.values().iter().cloned();
        match e.row.name {
            "dot" => self.dot(&e, self.s.body.aval(v).size()),
            "scatter" => self.scatter(&e),
            "reduce_sum" => {
                let Some(all) = self.s.all(e.inputs[0]) else { return self.through(&e) };
                let axes: Dims = std::iter::once(0).chain(e.params.dims("axes").ok()?.iter().map(|a| a + 1)).collect();
                emit(self.p, &REDUCE_SUM, [axes.as_slice().into()], &[all])
            }
            "transpose" | "reshape" | "broadcast" | "neg" => self.through(&e),
            "add" | "sub" if !self.half => {
                let (a, b) = (self.total(e.inputs[0])?, self.total(e.inputs[1])?);
                emit(self.p, e.row, values(), &[a, b])
            }
            "mul" if !self.half => match self.outer(e.inputs[1]) {
                Some(k) => {
                    let a = self.total(e.inputs[0])?;
                    emit(self.p, e.row, values(), &[a, k])
                }
                None => {
                    let k = self.outer(e.inputs[0])?;
                    let b = self.total(e.inputs[1])?;
                    emit(self.p, e.row, values(), &[k, b])
                }
            },
            _ => None,
        }
    }

    /// The total of a linear row's result: the row of the total.
    fn through(&mut self, e: &Equation) -> Option<Var> {
        let x = self.total(e.inputs[0])?;
        emit(self.p, e.row, e.params.values().iter().cloned(), &[x])
    }

    /// What every step sees, under its name outside.
    fn outer(&mut self, v: Var) -> Option<Var> {
        if let Some(q) = self.s.fixed.iter().find(|q| q.inner == v) {
            return Some(q.outer);
        }
        let e = self.index.made_by(&self.s.body, v, "full")?;
        emit(self.p, &FULL, e.params.values().iter().cloned(), &[])
    }

    fn dot(&mut self, e: &Equation, size: usize) -> Option<Var> {
        let (a, b) = (e.inputs[0], e.inputs[1]);
        for (k, l) in [(0, 1), (1, 0)] {
            let Some(fixed) = self.outer(e.inputs[k]) else { continue };
            if self.half {
                return None;
            }
            let mut inputs = [fixed; 2];
            inputs[l] = self.total(e.inputs[l])?;
            return emit(self.p, &DOT, e.params.values().iter().cloned(), &inputs);
        }
        let all = self.stacks([a, b], size)?;
        let time = |name: &str, summed: bool| -> Option<Value> {
            let axes = e.params.dims(name).ok()?;
            let axes: Dims = summed.then_some(0).into_iter().chain(axes.iter().map(|a| a + 1)).collect();
            Some(axes.as_slice().into())
        };
        let params = [time("a_batch", false)?, time("b_batch", false)?, time("a_contract", true)?, time("b_contract", true)?];
        emit(self.p, &DOT, params, &all)
    }

    /// Slices added to zeros, along the first axis: the slices of all steps.
    fn scatter(&mut self, e: &Equation) -> Option<Var> {
        let plain = e.params.int("axis").ok()? == 0 && e.params.int("batch").ok()? == 0 && e.params.choice("mode").ok()? == "add";
        if !plain || self.index.constant(&self.s.body, e.inputs[0]) != Some(0.0) {
            return None;
        }
        let zeros = self.outer(e.inputs[0])?;
        let [ids, updates] = match self.outer(e.inputs[1]) {
            Some(ids) => [ids, self.total(e.inputs[2])?],
            None => self.stacks([e.inputs[1], e.inputs[2]], self.s.body.aval(e.inputs[0]).size())?,
        };
        emit(self.p, e.row, e.params.values().iter().cloned(), &[zeros, ids, updates])
    }

    /// Two values of all steps; those that are not there are stacked. That has to be less than to write a sum of `size`
    /// elements in each step, and little beside what the scan holds.
    fn stacks(&mut self, vs: [Var; 2], size: usize) -> Option<[Var; 2]> {
        let new = vs.iter().filter(|&&v| self.s.all(v).is_none());
        if !self.s.may_stack(new.copied(), 4 * size) {
            return None;
        }
        Some(vs.map(|v| self.s.stack(self.p, v)))
    }
}
