//! Programs without calls: what is called stands in their place, equal equations stand once, and nothing that is not read.
use std::collections::HashMap;

use smallvec::SmallVec;

use crate::ops::Body;
use crate::program::Equation;
use crate::{Aval, Cx, Program, Row, Value, Var};

/// The program with its calls replaced by what they call; variables are numbered anew.
pub fn flatten(program: &Program) -> Program {
    let mut flat = Program::default();
    let inputs: Vec<Var> = program.inputs.iter().map(|&v| fresh(&mut flat, program.aval(v))).collect();
    flat.inputs = inputs.clone();
    flat.outputs = inline(&mut flat, program, &inputs);
    flat
}

/// A new variable.
pub fn fresh(p: &mut Program, aval: &Aval) -> Var {
    p.avals.push(aval.clone());
    (p.avals.len() - 1) as Var
}

/// Writes a program's equations at the end of another, and gives its results.
pub fn inline(flat: &mut Program, program: &Program, inputs: &[Var]) -> Vec<Var> {
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
        if let Some(p) = expanded(e, program) {
            let outs = inline(flat, &p, &args);
            to.extend(e.outputs.iter().copied().zip(outs));
            continue;
        }
        let outputs: SmallVec<[Var; 1]> = e
            .outputs
            .iter()
            .map(|&v| {
                let w = fresh(flat, program.aval(v));
                to.insert(v, w);
                w
            })
            .collect();
        flat.equations.push(Equation { row: e.row, params: e.params.clone(), inputs: args, outputs });
    }
    program.outputs.iter().map(|v| to.get(v).copied().unwrap_or_default()).collect()
}

/// What a composite that was recorded as a whole is made of.
fn expanded(e: &Equation, program: &Program) -> Option<Program> {
    let Body::Composite(c) = &e.row.body else { return None };
    let cx = Cx::default();
    let xs = cx.begin_abstract(&e.inputs.iter().map(|&v| program.aval(v).clone()).collect::<Vec<_>>());
    let ys = (c.expand)(&cx, &e.params, &xs).ok()?;
    cx.end_abstract(&ys).ok()
}

/// Writes an equation of one result at the end; `None` if the row refuses its operands.
pub fn emit(p: &mut Program, row: &'static Row, params: impl IntoIterator<Item = Value>, inputs: &[Var]) -> Option<Var> {
    let params = crate::Params::new(row.params, params).ok()?;
    let aval = row.results(&inputs.iter().map(|&v| p.aval(v)).collect::<SmallVec<[&Aval; 3]>>(), &params).ok()?.into_iter().next()?;
    let v = fresh(p, &aval);
    p.equations.push(Equation { row, params, inputs: inputs.into(), outputs: smallvec::smallvec![v] });
    Some(v)
}

/// Variables that stand for others from here on.
pub struct Same(Vec<Var>);

impl Same {
    pub fn new(p: &Program) -> Same {
        Same((0..p.avals.len() as Var).collect())
    }
    pub fn of(&self, v: Var) -> Var {
        let mut v = v;
        while let Some(&w) = self.0.get(v as usize) {
            if w == v {
                break;
            }
            v = w;
        }
        v
    }
    pub fn put(&mut self, v: Var, by: Var) {
        if v as usize >= self.0.len() {
            self.0.extend(self.0.len() as Var..=v);
        }
        self.0[v as usize] = by;
    }
    pub fn rename<'a>(&self, vs: impl IntoIterator<Item = &'a mut Var>) {
        for v in vs {
            *v = self.of(*v);
        }
    }
}

/// Keeps the first of equal equations, and what the outputs need.
pub fn simplify(flat: &mut Program) {
    let mut same = Same::new(flat);
    let mut known: HashMap<(&'static str, SmallVec<[Var; 3]>), Vec<usize>> = HashMap::new();
    let mut kept: Vec<Equation> = Vec::with_capacity(flat.equations.len());
    for mut e in flat.equations.drain(..) {
        same.rename(&mut e.inputs);
        let pure = !matches!(e.row.body, Body::Program(_));
        let places = known.entry((e.row.name, e.inputs.clone())).or_default();
        if let Some(&first) = places.iter().find(|&&i| pure && kept[i].params.same(&e.params)) {
            for (&v, &w) in e.outputs.iter().zip(&kept[first].outputs) {
                same.put(v, w);
            }
            continue;
        }
        places.push(kept.len());
        kept.push(e);
    }
    flat.equations = kept;
    same.rename(&mut flat.outputs);
    flat.dead_code();
}

/// Where each value is made, and how often it is read.
pub struct Index {
    made: Vec<Option<usize>>,
    reads: Vec<u32>,
}

impl Index {
    /// Of a program's equations; `outputs` are read, too.
    pub fn new(p: &Program, outputs: impl IntoIterator<Item = Var>) -> Index {
        let mut index = Index { made: vec![None; p.avals.len()], reads: vec![0; p.avals.len()] };
        for (i, e) in p.equations.iter().enumerate() {
            for &v in &e.outputs {
                index.made[v as usize] = Some(i);
            }
            for &v in &e.inputs {
                index.reads[v as usize] += 1;
            }
        }
        for v in outputs {
            index.reads[v as usize] += 1;
        }
        index
    }
    /// Takes in the equations that were written since there were `from`.
    pub fn follow(&mut self, p: &Program, from: usize) {
        self.made.resize(p.avals.len(), None);
        for (i, e) in p.equations.iter().enumerate().skip(from) {
            for &v in &e.outputs {
                self.made[v as usize] = Some(i);
            }
        }
    }
    /// How many equations and outputs read it.
    pub fn reads(&self, v: Var) -> u32 {
        self.reads.get(v as usize).copied().unwrap_or(0)
    }
    /// The place of the equation that makes it.
    pub fn at(&self, v: Var) -> Option<usize> {
        self.made.get(v as usize).copied().flatten()
    }
    pub fn maker<'a>(&self, p: &'a Program, v: Var) -> Option<&'a Equation> {
        self.at(v).map(|i| &p.equations[i])
    }
    /// The equation of this row that makes it.
    pub fn made_by<'a>(&self, p: &'a Program, v: Var, row: &str) -> Option<&'a Equation> {
        self.maker(p, v).filter(|e| e.row.name == row)
    }
    /// The number that all its elements are, if that is known.
    pub fn constant(&self, p: &Program, v: Var) -> Option<f64> {
        self.made_by(p, v, "full")?.params.float("value").ok()
    }
}
