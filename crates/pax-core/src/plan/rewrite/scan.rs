//! A scan taken apart: what its body and the program around it call the same thing stands together.
use std::rc::Rc;

use smallvec::SmallVec;

use super::flat::{flatten, fresh, Index, Same};
use crate::program::Equation;
use crate::{walk, Aval, Params, Program, Result, Row, Value, Var};

/// Carried from step to step: the value before the first and after the last one outside, before and after each one inside.
pub struct Carry {
    pub init: Var,
    pub input: Var,
    pub next: Var,
    pub result: Var,
}

/// A value that has a name outside and one inside.
#[derive(Clone, Copy)]
pub struct Pair {
    pub outer: Var,
    pub inner: Var,
}

pub struct Scan {
    pub length: usize,
    reverse: bool,
    pub carries: Vec<Carry>,
    /// Operands of which each step sees a slice.
    pub scanned: Vec<Pair>,
    /// Operands that every step sees.
    pub fixed: Vec<Pair>,
    /// Results of the steps, stacked.
    pub stacked: Vec<Pair>,
    /// Its inputs and outputs are those named above.
    pub body: Program,
    row: &'static Row,
}

impl Scan {
    /// The equation as a scan, if it is one.
    pub fn open(e: &Equation, prepare: impl Fn(&Program) -> Program) -> Option<Scan> {
        if e.row.name != "scan" {
            return None;
        }
        let count = |name: &str| usize::try_from(e.params.int(name).ok()?).ok();
        let (carry, scanned) = (count("carry")?, count("scanned")?);
        let mut body = prepare(e.params.program("program").ok()?);
        let (ins, outs) = (std::mem::take(&mut body.inputs), std::mem::take(&mut body.outputs));
        if e.inputs.len() != ins.len() || e.outputs.len() != outs.len() || carry > outs.len() || carry + scanned > ins.len() {
            return None;
        }
        let pair = |(&outer, &inner): (&Var, &Var)| Pair { outer, inner };
        let inputs: Vec<Pair> = e.inputs.iter().zip(&ins).map(pair).collect();
        let outputs: Vec<Pair> = e.outputs.iter().zip(&outs).map(pair).collect();
        Some(Scan {
            length: count("length")?,
            reverse: e.params.bool("reverse").ok()?,
            carries: (0..carry)
                .map(|i| Carry { init: inputs[i].outer, input: inputs[i].inner, next: outputs[i].inner, result: outputs[i].outer })
                .collect(),
            scanned: inputs[carry..carry + scanned].to_vec(),
            fixed: inputs[carry + scanned..].to_vec(),
            stacked: outputs[carry..].to_vec(),
            body,
            row: e.row,
        })
    }

    pub fn close(mut self) -> Result<Equation> {
        let (carries, pairs) = (&self.carries, self.scanned.iter().chain(&self.fixed));
        let inputs: SmallVec<[Var; 3]> = carries.iter().map(|c| c.init).chain(pairs.clone().map(|p| p.outer)).collect();
        let outputs: SmallVec<[Var; 1]> = carries.iter().map(|c| c.result).chain(self.stacked.iter().map(|p| p.outer)).collect();
        self.body.inputs = carries.iter().map(|c| c.input).chain(pairs.map(|p| p.inner)).collect();
        self.body.outputs = self.roots().collect();
        let body = Value::Program(Rc::new(flatten(&self.body)));
        let params = Params::new(
            self.row.params,
            [body, self.carries.len().into(), self.scanned.len().into(), self.length.into(), self.reverse.into()],
        )?;
        Ok(Equation { row: self.row, params, inputs, outputs })
    }

    /// What the body gives.
    pub fn roots(&self) -> impl Iterator<Item = Var> + '_ {
        self.carries.iter().map(|c| c.next).chain(self.stacked.iter().map(|p| p.inner))
    }
    pub fn index(&self) -> Index {
        Index::new(&self.body, self.roots())
    }
    /// A slice's shape, over all steps.
    pub fn over(&self, inner: Var) -> Aval {
        walk::batch::in_front(self.body.aval(inner), self.length)
    }
    /// Where all steps of a value of the body stand together outside, if they do.
    pub fn all(&self, inner: Var) -> Option<Var> {
        self.scanned.iter().chain(&self.stacked).find(|p| p.inner == inner).map(|p| p.outer)
    }
    /// True if these may be stacked: they have no more than `most` elements a step, and little beside what the scan holds.
    pub fn may_stack(&self, vs: impl Iterator<Item = Var> + Clone, most: usize) -> bool {
        total(vs.clone().map(|v| self.body.aval(v).size())) <= most && affordable(total(vs.map(|v| bytes(&self.over(v)))), self.bytes())
    }
    /// A value of all steps, stacked if it is not there.
    pub fn stack(&mut self, p: &mut Program, inner: Var) -> Var {
        self.all(inner).unwrap_or_else(|| {
            let outer = fresh(p, &self.over(inner));
            self.stacked.push(Pair { outer, inner });
            outer
        })
    }
    /// What the scan holds over all its steps, in bytes.
    pub fn bytes(&self) -> usize {
        let steps = self.scanned.iter().chain(&self.stacked).map(|p| bytes(self.body.aval(p.inner)).saturating_mul(self.length));
        let ones = self.fixed.iter().map(|p| p.inner).chain(self.carries.iter().map(|c| c.input)).map(|v| bytes(self.body.aval(v)));
        total(steps.chain(ones))
    }

    /// Renames values in the body, and drops the equations that are then not read.
    pub fn rename_inner(&mut self, same: &Same) {
        same.rename(self.body.equations.iter_mut().flat_map(|e| e.inputs.iter_mut()));
        same.rename(self.carries.iter_mut().map(|c| &mut c.next));
        same.rename(self.stacked.iter_mut().map(|p| &mut p.inner));
        self.drop_dead();
    }
    /// Rewrites the body, which keeps what it takes and gives.
    pub fn within(&mut self, f: impl FnOnce(&mut Program)) {
        self.body.outputs = self.roots().collect();
        f(&mut self.body);
        let mut outputs = std::mem::take(&mut self.body.outputs).into_iter();
        let places = self.carries.iter_mut().map(|c| &mut c.next).chain(self.stacked.iter_mut().map(|p| &mut p.inner));
        for (place, v) in places.zip(outputs.by_ref()) {
            *place = v;
        }
        self.drop_dead();
    }
    /// Drops what the body makes or takes and does not read.
    pub fn drop_dead(&mut self) {
        self.body.outputs = self.roots().collect();
        self.body.dead_code();
        let index = self.index();
        self.scanned.retain(|p| index.reads(p.inner) > 0);
        self.fixed.retain(|p| index.reads(p.inner) > 0);
    }
}

/// Bytes of a value that may be none yet, and so larger than memory.
pub fn bytes(a: &Aval) -> usize {
    a.shape.iter().fold(a.dtype.size(), |n, &d| n.saturating_mul(d))
}
/// Their sum, which may be larger than what can be counted.
pub fn total(bytes: impl Iterator<Item = usize>) -> usize {
    bytes.fold(0, usize::saturating_add)
}

/// Bytes that a rewrite may always take.
const ALWAYS: usize = 16 << 20;

/// True if a scan that holds `held` bytes may take `more`: twice what it holds is within reason, and so is little.
pub fn affordable(more: usize, held: usize) -> bool {
    more <= held.max(ALWAYS)
}
