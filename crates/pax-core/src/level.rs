//! Levels: the strict stack of recordings. What a level wants of an operation decides where it is written.
use std::collections::HashMap;

use crate::program::{Equation, Group};
use crate::{Aval, Error, Params, Program, Result, Row, Tensor, Var};

/// What a level records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Operations with an active operand; values stay concrete if no abstract level encloses it.
    Diff,
    /// Every operation; values are abstract.
    Abstract,
}

pub struct Level {
    pub serial: u32,
    pub mode: Mode,
    pub program: Program,
    /// Variables of tensors known to this level: active ones (`Diff`) or all (`Abstract`).
    vars: HashMap<u64, Var>,
    /// For `Diff`: what the rows' `saves` name, by variable.
    pub saved: Vec<Option<Tensor>>,
}

impl Level {
    pub fn new(serial: u32, mode: Mode) -> Level {
        Level { serial, mode, program: Program::default(), vars: HashMap::new(), saved: Vec::new() }
    }
    pub fn fresh(&mut self, aval: &Aval) -> Var {
        self.program.avals.push(aval.clone());
        self.saved.push(None);
        (self.program.avals.len() - 1) as Var
    }
    pub fn name(&mut self, t: &Tensor, v: Var) {
        self.vars.insert(t.id(), v);
    }
    pub fn var(&self, t: &Tensor) -> Option<Var> {
        self.vars.get(&t.id()).copied()
    }

    pub fn input(&mut self, t: &Tensor) {
        let v = self.fresh(t.aval());
        self.program.inputs.push(v);
        self.name(t, v);
    }

    /// The variable of an operand; one that the level does not know is captured (`Abstract`) or inactive (`Diff`).
    fn operand(&mut self, t: &Tensor, save: bool) -> Var {
        let v = match self.var(t) {
            Some(v) => v,
            None => {
                let v = self.fresh(t.aval());
                if self.mode == Mode::Abstract {
                    self.program.inputs.push(v);
                    self.program.captured.push(t.clone());
                    self.name(t, v);
                }
                v
            }
        };
        if save {
            self.saved[v as usize].get_or_insert_with(|| t.clone());
        }
        v
    }

    pub fn record(&mut self, row: &'static Row, params: &Params, inputs: &[Tensor], outputs: &[Tensor]) {
        let diff = self.mode == Mode::Diff;
        let ins = inputs.iter().enumerate().map(|(i, t)| self.operand(t, diff && row.saves.input(i, params))).collect();
        let outs = outputs
            .iter()
            .enumerate()
            .map(|(i, t)| {
                let v = self.fresh(t.aval());
                if !diff || t.dtype().is_float() {
                    self.name(t, v);
                }
                if diff && row.saves.output(i, params) {
                    self.saved[v as usize] = Some(t.clone());
                }
                v
            })
            .collect();
        self.program.collective |= row.collective(params);
        for p in params.programs() {
            self.program.depth = self.program.depth.max(p.depth + 1);
        }
        self.program.equations.push(Equation { row, params: params.clone(), inputs: ins, outputs: outs });
    }

    pub fn group(&mut self, name: &'static str, start: usize) {
        let end = self.program.equations.len() as u32;
        if end > start as u32 {
            self.program.groups.push(Group { name, start: start as u32, end });
        }
    }

    /// Sets the outputs; a tensor that the level does not know becomes a captured input (`Abstract`) or `None` (`Diff`).
    pub fn outputs(&mut self, tensors: &[Tensor]) -> Vec<Option<Var>> {
        tensors
            .iter()
            .map(|t| match (self.var(t), self.mode) {
                (None, Mode::Abstract) => Some(self.operand(t, false)),
                (v, _) => v,
            })
            .collect()
    }
}

/// A differentiable recording: what a pull-back or a push-forward walks.
pub struct Tape {
    pub program: Program,
    pub saved: Vec<Option<Tensor>>,
    /// The variable of each result; `None` where it does not depend on an active input.
    pub results: Vec<Option<Var>>,
    pub result_avals: Vec<Aval>,
}

impl Tape {
    pub fn value(&self, v: Var) -> Option<&Tensor> {
        self.saved[v as usize].as_ref()
    }
    pub(crate) fn check(&self) -> Result<()> {
        if self.saved.len() != self.program.avals.len() {
            return Err(Error::internal("a tape was walked after it was consumed"));
        }
        Ok(())
    }
}
