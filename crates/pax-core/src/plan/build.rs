//! From a program to a plan: calls inlined, equal equations once, views resolved, element-wise equations gathered in loops.
use std::collections::HashMap;

use smallvec::SmallVec;

use super::loops::{From, Id, Instr, Load, Loop, Store, ROOM};
use super::rewrite::rewrite;
use super::{Call, Place, Plan, Slot, Step, View};
use crate::exec::cpu::tile::{self, Simd, TileFn};
use crate::program::Equation;
use crate::{DType, Dims, Program, Result, Var};

/// The function of a row that loops run on f32, if it has one.
fn tile_of(name: &str, simd: Simd) -> Option<TileFn> {
    Some(match name {
        "add" => tile::add, "sub" => tile::sub, "mul" => tile::mul, "div" => tile::div, "maximum" => tile::maximum, "minimum" => tile::minimum,
        "neg" => tile::neg, "abs" => tile::abs, "square" => tile::square, "relu" => tile::relu, "sqrt" => tile::sqrt, "rsqrt" => tile::rsqrt,
        "reciprocal" => tile::reciprocal, "exp" => tile::exp_, "log" => tile::log_, "tanh" => tile::tanh_, "sigmoid" => tile::sigmoid_, "floor" => tile::floor,
        "equal" => tile::equal, "not_equal" => tile::not_equal, "less" => tile::less, "less_equal" => tile::less_equal, "greater" => tile::greater,
        "greater_equal" => tile::greater_equal, "logical_and" => tile::logical_and, "logical_or" => tile::logical_or, "logical_not" => tile::logical_not,
        "select" => tile::select, "pow" => tile::pow, "cast" => tile::copy,
        _ => return None,
    }(simd))
}

/// A value while the plan is built.
#[derive(Clone)]
enum Value { Place(Place), Expr { group: usize, index: usize } }

enum Arg { Expr(usize), Place(Place, DType) }
struct Expr { name: &'static str, f: TileFn, args: SmallVec<[Arg; 3]>, dtype: DType, slot: Option<Slot> }
struct Group { shape: Dims, exprs: Vec<Expr>, step: usize, loads: usize }

/// Most expressions and loads of a group: they have to fit into a chunk's room and the pointer table.
const EXPRS: usize = 32;
const LOADS: usize = 14;

/// Loops that an equation may join: the last ones, so that long programs are planned in linear time.
const RECENT: usize = 256;

enum Draft { Group(usize), Row(Box<Call>) }

struct Builder {
    simd: Simd,
    avals: Vec<crate::Aval>,
    values: Vec<Option<Value>>,
    groups: Vec<Group>,
    drafts: Vec<Draft>,
    /// The step that makes each slot; `None` for inputs.
    made: Vec<Option<usize>>,
}

impl Builder {
    fn slot(&mut self, step: Option<usize>) -> Slot { self.made.push(step); self.made.len() - 1 }

    /// The value as something that lies in memory.
    fn place(&mut self, v: Var) -> Place {
        match self.values[v as usize].clone() {
            Some(Value::Place(p)) => p,
            Some(Value::Expr { group, index }) => {
                let (step, shape) = (self.groups[group].step, self.groups[group].shape.clone());
                let slot = match self.groups[group].exprs[index].slot { Some(s) => s, None => self.slot(Some(step)) };
                self.groups[group].exprs[index].slot = Some(slot);
                Place::View(View::whole(slot, &shape))
            }
            // A program that reads what it has not made is refused when it runs: its slot is empty.
            None => { let slot = self.slot(None); Place::View(View::whole(slot, &self.avals[v as usize].shape.clone())) }
        }
    }

    /// The view that a row of movement makes of its operand, if it is one.
    fn view(&mut self, e: &Equation) -> Result<Option<Place>> {
        let (p, out) = (&e.params, self.avals[e.outputs[0] as usize].clone());
        let is_view = matches!(e.row.name, "stop_gradient" | "copy" | "broadcast" | "reshape" | "transpose" | "slice") || (e.row.name == "cast" && self.avals[e.inputs[0] as usize].dtype == out.dtype);
        if e.row.name == "full" { return Ok(Some(Place::Constant { value: p.float("value")?, dtype: out.dtype, shape: out.shape })); }
        if !is_view { return Ok(None); }
        let x = match self.place(e.inputs[0]) {
            Place::Constant { value, dtype, .. } => return Ok(Some(Place::Constant { value, dtype, shape: out.shape })),
            Place::View(x) => x,
        };
        let strides: SmallVec<[isize; 6]> = match e.row.name {
            "stop_gradient" | "copy" | "cast" => return Ok(Some(Place::View(x))),
            "broadcast" => {
                let mut s = smallvec::smallvec![0; out.shape.len()];
                for (i, a) in p.dims("axes")?.into_iter().enumerate() { s[a] = x.strides[i]; }
                s
            }
            "transpose" => p.dims("permutation")?.iter().map(|&d| x.strides[d]).collect(),
            "slice" => x.strides.iter().zip(p.ints("stride")?).map(|(s, &k)| s * k as isize).collect(),
            _ if x.is_contiguous() => crate::array::row_major(&out.shape),
            _ => return Ok(None),
        };
        let offset = if e.row.name == "slice" { x.offset + p.ints("start")?.iter().zip(&x.strides).map(|(&a, s)| a as isize * s).sum::<isize>() } else { x.offset };
        Ok(Some(Place::View(View { slot: x.slot, shape: out.shape, strides, offset })))
    }

    /// The function and result dtype of an equation that loops can run.
    fn fusable(&self, e: &Equation) -> Option<(TileFn, DType)> {
        let out = &self.avals[*e.outputs.first()? as usize];
        let fits = |d: DType| matches!(d, DType::F32 | DType::Bool);
        if !fits(out.dtype) || !e.inputs.iter().all(|&v| fits(self.avals[v as usize].dtype)) { return None; }
        // Arithmetic of bools is another.
        let bools = e.inputs.iter().all(|&v| self.avals[v as usize].dtype == DType::Bool);
        let logical = matches!(e.row.name, "logical_and" | "logical_or" | "logical_not" | "cast");
        if bools && !logical || (e.row.name == "cast" && out.dtype == DType::Bool) { return None; }
        Some((tile_of(e.row.name, self.simd)?, out.dtype))
    }

    fn step_of(&self, p: &Place) -> Option<usize> { match p { Place::View(v) => self.made[v.slot], Place::Constant { .. } => None } }

    /// Adds an equation to the last loop of its shape that comes after all it reads, or to a new one.
    fn fuse(&mut self, e: &Equation, f: TileFn, dtype: DType) {
        let shape = self.avals[e.outputs[0] as usize].shape.clone();
        let candidates: SmallVec<[usize; 16]> = (0..self.groups.len()).rev().take(RECENT).filter(|&g| self.groups[g].shape == shape && self.groups[g].exprs.len() < EXPRS && self.groups[g].loads + e.inputs.len() <= LOADS).collect();
        let group = candidates.into_iter().find(|&g| e.inputs.iter().all(|&v| match &self.values[v as usize] {
            Some(Value::Expr { group, .. }) => *group == g || self.groups[*group].step < self.groups[g].step,
            Some(Value::Place(p)) => self.step_of(p).is_none_or(|s| s < self.groups[g].step),
            None => true,
        })).unwrap_or_else(|| {
            self.drafts.push(Draft::Group(self.groups.len()));
            self.groups.push(Group { shape, exprs: vec![], step: self.drafts.len() - 1, loads: 0 });
            self.groups.len() - 1
        });
        let args = e.inputs.iter().map(|&v| match self.values[v as usize] {
            Some(Value::Expr { group: g, index }) if g == group => Arg::Expr(index),
            _ => { self.groups[group].loads += 1; Arg::Place(self.place(v), self.avals[v as usize].dtype) }
        }).collect();
        self.groups[group].exprs.push(Expr { name: e.row.name, f, args, dtype, slot: None });
        let index = self.groups[group].exprs.len() - 1;
        self.values[e.outputs[0] as usize] = Some(Value::Expr { group, index });
    }

    fn equation(&mut self, e: &Equation) -> Result<()> {
        if let Some(p) = self.view(e)? {
            self.values[e.outputs[0] as usize] = Some(Value::Place(p));
            return Ok(());
        }
        if let Some((f, dtype)) = self.fusable(e) {
            self.fuse(e, f, dtype);
            return Ok(());
        }
        let inputs = e.inputs.iter().map(|&v| self.place(v)).collect();
        let step = self.drafts.len();
        let outputs: SmallVec<[Slot; 1]> = e.outputs.iter().map(|&v| {
            let slot = self.slot(Some(step));
            self.values[v as usize] = Some(Value::Place(Place::View(View::whole(slot, &self.avals[v as usize].shape.clone()))));
            slot
        }).collect();
        self.drafts.push(Draft::Row(Box::new(Call { row: e.row, params: e.params.clone(), inputs, outputs })));
        Ok(())
    }
}

/// Takes products that are only added to something, or taken from it, into that: one instruction instead of two.
fn join_products(exprs: &mut Vec<Expr>, simd: Simd) {
    let mut uses = vec![0usize; exprs.len()];
    for e in exprs.iter() { for a in &e.args { if let Arg::Expr(k) = a { uses[*k] += 1; } } }
    let mut gone = vec![false; exprs.len()];
    for i in 0..exprs.len() {
        let product = |k: usize| match exprs[i].args.get(k) { Some(Arg::Expr(p)) if exprs[*p].name == "mul" && exprs[*p].slot.is_none() && uses[*p] == 1 && !gone[*p] => Some(*p), _ => None };
        let (k, f): (usize, fn(Simd) -> TileFn) = match exprs[i].name {
            "add" if product(1).is_some() => (1, tile::add_product),
            "add" if product(0).is_some() => (0, tile::add_product),
            "sub" if product(1).is_some() => (1, tile::sub_product),
            _ => continue,
        };
        let Some(p) = product(k) else { continue };
        let mut args = std::mem::take(&mut exprs[p].args);
        args.push(exprs[i].args.remove(1 - k));
        gone[p] = true;
        (exprs[i].args, exprs[i].f, exprs[i].name) = (args, f(simd), "product");
    }
    let mut at: Vec<usize> = vec![0; exprs.len()];
    let mut next = 0;
    for (i, g) in gone.iter().enumerate() { at[i] = next; next += usize::from(!g); }
    let mut flags = gone.iter();
    exprs.retain(|_| !*flags.next().unwrap_or(&false));
    for e in exprs { for a in &mut e.args { if let Arg::Expr(k) = a { *k = at[*k]; } } }
}

/// Gives registers to a group's values, each as long as it is read.
fn finish(group: Group, simd: Simd) -> Loop {
    let Group { shape, mut exprs, .. } = group;
    join_products(&mut exprs, simd);
    let size: usize = shape.iter().product();
    let mut last = vec![0usize; exprs.len()];
    for (i, e) in exprs.iter().enumerate() { for a in &e.args { if let Arg::Expr(k) = a { last[*k] = i; } } }
    let bools_to_end = |e: &Expr| e.slot.is_some() && e.dtype == DType::Bool;
    // Loads that need a register keep it for the whole loop; the others are pointers.
    let (mut registers, mut free): (usize, Vec<Id>) = (0, Vec::new());
    let mut loads: Vec<Load> = Vec::new();
    let mut sources: Vec<(usize, usize, From)> = Vec::new(); // expression, argument
    for (i, e) in exprs.iter().enumerate() {
        for (k, a) in e.args.iter().enumerate() {
            let Arg::Place(p, dtype) = a else { continue };
            sources.push((i, k, match p {
                Place::Constant { value, .. } => From::Constant(*value as f32),
                Place::View(v) if v.strides.iter().zip(&v.shape).all(|(&s, &n)| s == 0 || n == 1) && *dtype == DType::F32 && size > 0 => From::Splat(v.clone()),
                Place::View(v) if v.is_contiguous() && *dtype == DType::F32 => From::Direct(v.clone()),
                Place::View(v) => From::Gather(v.clone(), *dtype),
            }));
        }
    }
    let same = |a: &From, b: &From| match (a, b) {
        (From::Constant(x), From::Constant(y)) => x.to_bits() == y.to_bits(),
        (From::Splat(v), From::Splat(w)) | (From::Direct(v), From::Direct(w)) => v.slot == w.slot && v.offset == w.offset,
        (From::Gather(v, d), From::Gather(w, e)) => v.slot == w.slot && v.offset == w.offset && v.strides == w.strides && d == e,
        _ => false,
    };
    // Ids of registers come first, so pointers are numbered from the end of the room.
    let mut pointers = ROOM;
    let mut source_ids: HashMap<(usize, usize), Id> = HashMap::new();
    for (i, k, from) in sources {
        let known = loads.iter().find(|l| same(&l.from, &from)).map(|l| l.id);
        let id = known.unwrap_or_else(|| {
            let id = if matches!(from, From::Direct(_)) { pointers += 1; pointers - 1 } else { registers += 1; registers - 1 } as Id;
            loads.push(Load { id, from });
            id
        });
        source_ids.insert((i, k), id);
    }
    let mut ids: Vec<Id> = vec![0; exprs.len()];
    let (mut instrs, mut stores) = (Vec::new(), Vec::new());
    for (i, e) in exprs.iter().enumerate() {
        let mut src: [Id; 3] = [0; 3];
        for (k, a) in e.args.iter().enumerate() { src[k] = match a { Arg::Expr(x) => ids[*x], Arg::Place(..) => source_ids[&(i, k)] }; }
        let float_store = e.slot.is_some() && e.dtype != DType::Bool;
        let dst = if float_store { pointers += 1; (pointers - 1) as Id } else { free.pop().unwrap_or_else(|| { registers += 1; (registers - 1) as Id }) };
        ids[i] = dst;
        instrs.push(Instr { f: e.f, dst, src });
        if let Some(slot) = e.slot { stores.push(Store { id: dst, slot, dtype: e.dtype }); }
        for (k, x) in exprs.iter().enumerate().take(i + 1) {
            // Freed after the instruction, so that no result lies over an operand.
            let dies = last[k] == i && k < i || (k == i && last[k] <= i);
            if dies && (ids[k] as usize) < ROOM && !bools_to_end(x) && !free.contains(&ids[k]) { free.push(ids[k]); }
        }
    }
    Loop { shape, registers, loads, instrs, stores }
}

pub fn build(program: &Program) -> Plan {
    let mut flat = rewrite(program);
    let mut b = Builder { simd: Simd::detect(), values: vec![None; flat.avals.len()], avals: std::mem::take(&mut flat.avals), groups: vec![], drafts: vec![], made: vec![] };
    let mut inputs = Vec::new();
    for &v in &flat.inputs {
        let slot = b.slot(None);
        b.values[v as usize] = Some(Value::Place(Place::View(View::whole(slot, &b.avals[v as usize].shape.clone()))));
        inputs.push(slot);
    }
    for e in &flat.equations {
        if b.equation(e).is_err() {
            // A row whose parameters are not as declared is left to its own evaluation, which says what is wrong.
            let places = e.inputs.iter().map(|&v| b.place(v)).collect();
            let step = b.drafts.len();
            let outputs: SmallVec<[Slot; 1]> = e.outputs.iter().map(|_| b.slot(Some(step))).collect();
            b.drafts.push(Draft::Row(Box::new(Call { row: e.row, params: e.params.clone(), inputs: places, outputs })));
        }
    }
    let outputs: Vec<Place> = flat.outputs.iter().map(|&v| b.place(v)).collect();
    let (slots, simd) = (b.made.len(), b.simd);
    let mut groups: Vec<Option<Group>> = b.groups.into_iter().map(Some).collect();
    let mut steps: Vec<Step> = Vec::with_capacity(b.drafts.len());
    for d in b.drafts {
        match d {
            Draft::Row(c) => steps.push(Step::Row(c)),
            Draft::Group(g) => if let Some(g) = groups[g].take() { steps.push(Step::Loop(finish(g, simd))) },
        }
    }
    let mut last: Vec<Option<usize>> = vec![None; slots];
    let mut read = |p: &Place, i: usize| if let Place::View(v) = p { last[v.slot] = Some(i) };
    for (i, s) in steps.iter().enumerate() {
        match s {
            Step::Row(c) => c.inputs.iter().for_each(|p| read(p, i)),
            Step::Loop(l) => for load in &l.loads {
                if let From::Splat(v) | From::Direct(v) | From::Gather(v, _) = &load.from { read(&Place::View(v.clone()), i) }
            },
        }
    }
    for p in &outputs { read(p, usize::MAX) }
    let mut drops: Vec<SmallVec<[Slot; 2]>> = vec![SmallVec::new(); steps.len()];
    for (slot, l) in last.iter().enumerate() {
        match l { Some(i) if *i < steps.len() => drops[*i].push(slot), _ => {} }
    }
    // What nobody reads dies where it is made.
    for (i, s) in steps.iter().enumerate() {
        if let Step::Row(c) = s { for &o in &c.outputs { if last[o].is_none() { drops[i].push(o); } } }
    }
    let inputs = inputs.into_iter().map(|s| last[s].map(|_| s)).collect();
    Plan { steps, drops, slots, inputs, outputs }
}
