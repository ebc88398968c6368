//! A recorded function: inputs, equations in order, outputs. Flat, so that every walk is a loop.
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::{Aval, Params, Row, Tensor};

/// A variable of one program: an index into its `avals`.
pub type Var = u32;

/// Programs within programs are walked by recursion, and so may be this deep: about half of what the smallest stacks hold.
/// A level takes some 7 kB of a thread's stack; of WebAssembly's two, 2 kB of the host's, which has 500 kB in a worker of
/// Chromium and twice as much elsewhere, and 5 kB of its own (4 MB).
pub const DEPTH: u32 = 128;

#[derive(Clone)]
pub struct Equation {
    pub row: &'static Row,
    pub params: Params,
    pub inputs: SmallVec<[Var; 3]>,
    pub outputs: SmallVec<[Var; 1]>,
}

/// A composite that was expanded while recording: its name stays on the equations `start..end`.
pub struct Group {
    pub name: &'static str,
    pub start: u32,
    pub end: u32,
}

#[derive(Default)]
pub struct Program {
    /// Declared inputs, then the captured ones.
    pub inputs: Vec<Var>,
    /// Tensors of outer levels that the function used: the last inputs.
    pub captured: Vec<Tensor>,
    pub equations: Vec<Equation>,
    pub outputs: Vec<Var>,
    pub avals: Vec<Aval>,
    pub groups: Vec<Group>,
    /// It speaks of a mapped axis by name.
    pub collective: bool,
    /// How deep programs lie within it: 0 where its equations own none.
    pub depth: u32,
    /// Its differentiable forms, by active inputs; made when first differentiated.
    pub forwards: RefCell<Vec<(Vec<bool>, Rc<Program>)>>,
    /// The last of its forms over a mapped axis.
    pub mapped: RefCell<Vec<Mapped>>,
    /// A derivative that the user wrote: forward with residuals, instead of those made here.
    pub custom: Option<Rc<Program>>,
    /// The program made ready to run; made when it first runs.
    pub plan: std::cell::OnceCell<crate::plan::Plan>,
    /// Set on a forward program: how to walk back from it.
    pub back: Option<Back>,
    /// Of a branch of `cond`: results that are zeros in the place of what the other branch keeps.
    pub padding: std::ops::Range<usize>,
}

/// A program over an axis: which of its inputs have it, which results must, and which do.
pub struct Mapped {
    pub inputs: Vec<bool>,
    pub forced: Vec<bool>,
    pub size: usize,
    pub axis: String,
    pub program: Rc<Program>,
    pub results: Vec<bool>,
}

/// A value that a backward program reads: an operand or a result of the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Operand(usize),
    Result(usize),
}

/// How to walk back through a row that owns a forward program.
pub struct Back {
    /// Takes what `reads` names, then the cotangents of the `live` results.
    pub program: Rc<Program>,
    pub reads: Vec<Source>,
    /// Results whose cotangents are read.
    pub live: Vec<usize>,
    /// For each operand of the row, which result of `program` is its cotangent.
    pub wrt: Vec<Option<usize>>,
    /// For `scan`: makes what does not change from step to step out of the last `fixed` of `reads`.
    pub fixed: Option<(usize, Rc<Program>)>,
}

impl Program {
    pub fn aval(&self, v: Var) -> &Aval {
        &self.avals[v as usize]
    }
    /// The same program, without what was made of it; its inputs are all passed.
    pub fn again(&self) -> Program {
        Program {
            inputs: self.inputs.clone(),
            equations: self.equations.clone(),
            outputs: self.outputs.clone(),
            avals: self.avals.clone(),
            collective: self.collective,
            depth: self.depth,
            padding: self.padding.clone(),
            ..Program::default()
        }
    }
    /// Inputs that the caller passes.
    pub fn declared(&self) -> usize {
        self.inputs.len() - self.captured.len()
    }

    /// Keeps only what the outputs need.
    pub fn dead_code(&mut self) {
        let mut live = vec![false; self.avals.len()];
        for &o in &self.outputs {
            live[o as usize] = true;
        }
        let mut keep = vec![false; self.equations.len()];
        for (i, e) in self.equations.iter().enumerate().rev() {
            if e.outputs.iter().any(|&o| live[o as usize]) {
                keep[i] = true;
                for &v in &e.inputs {
                    live[v as usize] = true;
                }
            }
        }
        if !self.groups.is_empty() {
            let mut sums = vec![0u32];
            for k in &keep {
                sums.push(sums.last().copied().unwrap_or(0) + u32::from(*k));
            }
            let kept = |i: u32| sums[i as usize];
            let mut groups: Vec<Group> =
                self.groups.iter().map(|g| Group { name: g.name, start: kept(g.start), end: kept(g.end) }).collect();
            groups.retain(|g| g.start < g.end);
            self.groups = groups;
        }
        let mut flags = keep.iter();
        self.equations.retain(|_| *flags.next().unwrap_or(&true));
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let list = |vs: &[Var]| vs.iter().map(|&v| format!("%{v}: {}", self.aval(v))).collect::<Vec<_>>().join(", ");
        writeln!(f, "program({}) {{", list(&self.inputs))?;
        for (i, e) in self.equations.iter().enumerate() {
            for g in self.groups.iter().filter(|g| g.start == i as u32) {
                writeln!(f, "  # {} ({} equations)", g.name, g.end - g.start)?;
            }
            let args: Vec<String> = e.inputs.iter().map(|v| format!("%{v}")).collect();
            let params: Vec<String> = e
                .params
                .spec()
                .iter()
                .zip(e.params.values())
                .map(|(s, v)| match v {
                    crate::Value::Program(p) => format!("{}=<{} equations>", s.name, p.equations.len()),
                    crate::Value::Ints(x) => format!("{}={:?}", s.name, x.as_slice()),
                    crate::Value::Int(x) => format!("{}={x}", s.name),
                    crate::Value::Float(x) => format!("{}={x}", s.name),
                    crate::Value::Bool(x) => format!("{}={x}", s.name),
                    crate::Value::DType(x) => format!("{}={}", s.name, x.name()),
                    crate::Value::Str(x) => format!("{}={x:?}", s.name),
                    crate::Value::Choice(c) => match s.kind {
                        crate::params::Kind::Choice(w) => format!("{}={}", s.name, w[*c as usize]),
                        _ => String::new(),
                    },
                })
                .collect();
            let params = if params.is_empty() { String::new() } else { format!(" [{}]", params.join(", ")) };
            writeln!(f, "  {} = {}({}){params}", list(&e.outputs), e.row.name, args.join(", "))?;
        }
        write!(f, "  return {}\n}}", self.outputs.iter().map(|v| format!("%{v}")).collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
