//! From a program to a plan. Equations become kernels; kernels that a chunk can run one after the other, each on its own
//! part of the data, share a phase; chains of element-wise equations share a loop, behind a product where one makes their
//! operand.
mod again;
mod finish;
mod fuse;
mod layout;
mod rows;
mod tiles;

use std::collections::HashMap;

use smallvec::SmallVec;

use super::kernels::Kernel;
use super::view::{gcd, Place, Slot, Strides, View};
use super::{Call, Plan};
use crate::exec::cpu::tile::Simd;
use crate::program::Equation;
use crate::{Array, Aval, Cx, DType, Program, Result, Var};
use fuse::{Float, Group};
use rows::DotDraft;

/// A value while the plan is built.
#[derive(Clone)]
enum Value {
    Place(Place),
    /// Made by an expression of a loop.
    Expr {
        draft: usize,
        index: usize,
    },
    /// An expression of what is there from the start, or stays in memory: made again wherever it is read.
    Floating(usize),
}

enum Body {
    Loop(Group),
    Product(Box<DotDraft>, Group),
    Kernel(Box<Kernel>),
    /// A reduction over the units of a phase, a result a chunk; then over these.
    Across {
        partial: super::kernels::reduce::Reduce,
        phase: usize,
    },
    Row(Box<Call>),
}

impl Body {
    fn kernel(k: Kernel) -> Body {
        Body::Kernel(Box::new(k))
    }

    /// True if its kernel may run a few units at a time.
    fn divides(&self) -> bool {
        match self {
            Body::Loop(_) | Body::Across { .. } => true,
            Body::Kernel(k) => k.divides(),
            Body::Product(..) | Body::Row(_) => false,
        }
    }

    /// What it does, for people.
    fn label(&self) -> String {
        match self {
            Body::Loop(g) => format!("{:?} {}", g.shape.as_slice(), g.names()),
            Body::Product(d, g) => format!("{} {}", super::show::product(&d.dot, d.cut), g.names()),
            Body::Kernel(k) => super::show::label(k),
            Body::Across { .. } => "sum of chunks".into(),
            Body::Row(c) => c.row.name.into(),
        }
    }
}

struct Draft {
    phase: usize,
    body: Body,
    reads: SmallVec<[Slot; 4]>,
    writes: SmallVec<[Slot; 1]>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    /// Kernels that each chunk runs one after the other on its own units.
    Chunks,
    /// One kernel, whose units are its own.
    Alone,
    Row,
}

struct Phase {
    kind: Kind,
    units: usize,
    work: f64,
}

/// Nanoseconds: below, a phase runs on the caller's thread, and units do not matter.
const TINY: f64 = 5000.0;
/// A phase with more work is divided into at least so many units.
const UNITS: usize = 8;
/// Phases that a kernel may join though its operands come from before: the last ones.
const NOW: usize = 4;
/// Most bytes of a result that is computed while the plan is built.
const CONSTANT: usize = 1 << 18;
/// Rows that views make, where their operand lies so.
const VIEWS: [&str; 6] = ["stop_gradient", "copy", "broadcast", "reshape", "transpose", "slice"];
/// The phase that packs.
const PACKS: usize = 1;
/// The phase of integers that are taken from inputs.
const INTEGERS: usize = 2;

/// Which operand of a product.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Left,
    Right,
}

/// Slot, offset, strides and sizes of what is packed.
type PackKey = (Side, Slot, isize, [isize; 2], [usize; 2]);

struct Builder<'a> {
    cx: &'a Cx,
    simd: Simd,
    avals: Vec<Aval>,
    values: Vec<Option<Value>>,
    floats: Vec<Float>,
    /// Values that are made again wherever they are read.
    again: Vec<bool>,
    drafts: Vec<Draft>,
    phases: Vec<Phase>,
    /// For each slot: the draft that makes it (`None`: there from the start), elements, dtype, a constant's value.
    made: Vec<Option<usize>>,
    sizes: Vec<(usize, DType)>,
    constants: HashMap<Slot, Array>,
    /// Operands of products that are packed.
    packs: Vec<(PackKey, Slot)>,
    /// Copies of what lies across memory.
    turned: Vec<(View, Slot)>,
    /// Half floats that kernels read as float32.
    twins: HashMap<Var, Var>,
    /// Results of chunks: slot, elements of one, phase.
    partials: Vec<(Slot, usize, usize)>,
    /// In the body of a scan: the inputs that are the same in every step.
    fixed: Option<Vec<Slot>>,
}

impl Builder<'_> {
    fn slot(&mut self, made: Option<usize>, size: usize, dtype: DType) -> Slot {
        self.made.push(made);
        self.sizes.push((size, dtype));
        self.made.len() - 1
    }
    fn aval(&self, v: Var) -> &Aval {
        &self.avals[v as usize]
    }
    fn phase_of(&self, slot: Slot) -> Option<usize> {
        self.made[slot].map(|d| self.drafts[d].phase)
    }
    /// There before everything else: an input, a constant, or made in the first phase.
    fn early(&self, slot: Slot) -> bool {
        self.phase_of(slot).is_none_or(|p| p == 0)
    }

    /// Worth packing: read by many chunks or, in a scan, in every step.
    fn packable(&self, slot: Slot, chunked: bool) -> bool {
        match &self.fixed {
            None => chunked && self.early(slot),
            Some(f) => f.contains(&slot) || self.constants.contains_key(&slot),
        }
    }

    fn phase(&mut self, kind: Kind, units: usize, work: f64) -> usize {
        self.phases.push(Phase { kind, units: units.max(1), work });
        self.phases.len() - 1
    }

    /// Adds a draft; `sizes` of what it makes give its slots.
    fn draft(
        &mut self,
        phase: usize,
        body: impl FnOnce(&[Slot]) -> Body,
        reads: impl IntoIterator<Item = Slot>,
        makes: &[(usize, DType)],
    ) -> SmallVec<[Slot; 1]> {
        let writes: SmallVec<[Slot; 1]> = makes.iter().map(|&(n, d)| self.slot(Some(self.drafts.len()), n, d)).collect();
        self.drafts.push(Draft { phase, body: body(&writes), reads: reads.into_iter().collect(), writes: writes.clone() });
        writes
    }

    /// The units that a phase would have with a kernel that reads `(slot, units of its view)` and has at most `limit` units.
    fn fits(&self, phase: usize, reads: &[(Slot, usize)], limit: usize, work: f64) -> Option<usize> {
        let p = &self.phases[phase];
        if p.kind != Kind::Chunks {
            return None;
        }
        let units = reads.iter().filter(|r| self.phase_of(r.0) == Some(phase)).fold(gcd(p.units, limit.max(1)), |u, r| gcd(u, r.1));
        (units >= UNITS || p.work + work < TINY || (units == p.units && work < TINY / 8.0)).then_some(units)
    }

    /// The last phase that makes one of these.
    fn last_phase(&self, reads: &[(Slot, usize)]) -> Option<usize> {
        reads.iter().filter_map(|r| self.phase_of(r.0)).max()
    }

    /// The phase of a kernel: that of its operands where its units fit, a small one behind it, or a new one.
    fn choose(&mut self, reads: &[(Slot, usize)], limit: usize, work: f64) -> usize {
        let last = self.last_phase(reads);
        let small = if work < TINY / 8.0 { last.map_or(0, |p| p + 1)..self.phases.len() } else { 0..0 };
        let place = last
            .into_iter()
            .chain(small.filter(|&p| self.phases[p].work < TINY))
            .find_map(|p| self.fits(p, reads, limit, work).map(|u| (p, u)));
        // Else with what the program does now, if that comes after its operands: who reads it may be there.
        let behind = last.unwrap_or(0).max(INTEGERS) + 1..self.phases.len();
        let now = if work >= TINY / 8.0 {
            behind.rev().take(NOW).find_map(|p| self.fits(p, reads, limit, work).filter(|&u| u >= 2 * UNITS).map(|u| (p, u)))
        } else {
            None
        };
        match place.or(now) {
            Some((p, units)) => {
                self.phases[p].units = units;
                self.phases[p].work += work;
                p
            }
            None => self.phase(Kind::Chunks, limit, work),
        }
    }

    /// A slot that holds a constant.
    fn constant(&mut self, a: Array) -> View {
        let slot = self.slot(None, a.size(), a.dtype);
        let view = View::whole(slot, &a.shape);
        self.constants.insert(slot, a);
        view
    }

    /// The value as something that lies in memory.
    fn place(&mut self, v: Var) -> Place {
        match self.values[v as usize].clone() {
            Some(Value::Place(p)) => p,
            Some(Value::Expr { draft, index }) => Place::View(self.stored(draft, index)),
            Some(Value::Floating(i)) => Place::View(self.settle(i)),
            // A program that reads what it has not made is refused when it runs: its slot is empty.
            None => {
                let (shape, dtype) = (self.aval(v).shape.clone(), self.aval(v).dtype);
                let slot = self.slot(None, shape.iter().product(), dtype);
                Place::View(View::whole(slot, &shape))
            }
        }
    }

    /// The value as a view; a constant becomes one element, repeated.
    fn view_of(&mut self, v: Var) -> Result<View> {
        Ok(match self.place(v) {
            Place::View(x) => x,
            Place::Constant { value, dtype, shape } => {
                let x = self.constant(self.cx.exec().scalar(dtype, value));
                View { strides: smallvec::smallvec![0; shape.len()], shape, ..x }
            }
        })
    }

    /// The view that a row of movement makes of its operand, if it is one.
    fn view(&mut self, e: &Equation) -> Result<Option<Place>> {
        let (p, out) = (&e.params, self.aval(e.outputs[0]).clone());
        let name = e.row.name;
        if name == "full" {
            return Ok(Some(Place::Constant { value: p.float("value")?, dtype: out.dtype, shape: out.shape }));
        }
        let same = name == "cast" && self.aval(e.inputs[0]).dtype == out.dtype;
        if !same && !VIEWS.contains(&name) {
            return Ok(None);
        }
        let x = match self.place(e.inputs[0]) {
            Place::Constant { value, dtype, .. } => return Ok(Some(Place::Constant { value, dtype, shape: out.shape })),
            Place::View(x) => x,
        };
        let strides: Strides = match name {
            "stop_gradient" | "copy" | "cast" => return Ok(Some(Place::View(x))),
            "broadcast" => {
                let mut s = smallvec::smallvec![0; out.shape.len()];
                for (i, a) in p.dims("axes")?.into_iter().enumerate() {
                    s[a] = x.strides[i];
                }
                s
            }
            "transpose" => p.dims("permutation")?.iter().map(|&d| x.strides[d]).collect(),
            "slice" => x.strides.iter().zip(p.ints("stride")?).map(|(s, &k)| s.wrapping_mul(k as isize)).collect(),
            _ => match reshaped(&x, &out.shape) {
                Some(s) => s,
                None => {
                    let Some(x) = self.copied(&x, out.dtype) else { return Ok(None) };
                    return Ok(Some(Place::View(View { strides: crate::array::row_major(&out.shape), shape: out.shape, ..x })));
                }
            },
        };
        let offset = if name == "slice" {
            x.offset + p.ints("start")?.iter().zip(&x.strides).map(|(&a, s)| a as isize * s).sum::<isize>()
        } else {
            x.offset
        };
        Ok(Some(Place::View(View { slot: x.slot, shape: out.shape, strides, offset })))
    }

    /// Computes an equation of constants now.
    fn folded(&mut self, e: &Equation) -> Result<Option<()>> {
        if !matches!(e.row.body, crate::ops::Body::Primitive(_)) || e.outputs.len() != 1 || e.row.name == "full" {
            return Ok(None);
        }
        let out = self.aval(e.outputs[0]);
        if out.size() * out.dtype.size() > CONSTANT {
            return Ok(None);
        }
        let constant = |v: Var| match &self.values[v as usize] {
            Some(Value::Place(Place::View(x))) => {
                self.constants.get(&x.slot).map(|a| a.view(&x.shape, &x.strides, (a.offset as isize + x.offset) as usize))
            }
            Some(Value::Place(Place::Constant { value, dtype, shape })) => {
                Some(self.cx.exec().scalar(*dtype, *value).view(shape, &vec![0; shape.len()], 0))
            }
            _ => None,
        };
        let Some(args) = e.inputs.iter().map(|&v| constant(v)).collect::<Option<SmallVec<_>>>() else { return Ok(None) };
        let y = self.cx.eval(e.row, &e.params, args)?;
        let Some(y) = y.into_iter().next() else { return Ok(None) };
        let x = self.constant(self.cx.exec().contiguous(y));
        self.values[e.outputs[0] as usize] = Some(Value::Place(Place::View(x)));
        Ok(Some(()))
    }

    /// A row that runs by itself, in a phase of its own.
    fn row(&mut self, e: &Equation) {
        let inputs: SmallVec<[Place; 3]> = e.inputs.iter().map(|&v| self.place(v)).collect();
        let phase = self.phase(Kind::Row, 1, 0.0);
        let makes: SmallVec<[(usize, DType); 1]> = e.outputs.iter().map(|&v| (self.aval(v).size(), self.aval(v).dtype)).collect();
        let reads: SmallVec<[Slot; 4]> = inputs.iter().filter_map(|p| if let Place::View(v) = p { Some(v.slot) } else { None }).collect();
        let (row, params) = (e.row, e.params.clone());
        let outputs = self.draft(phase, |slots| Body::Row(Box::new(Call { row, params, inputs, outputs: slots.into() })), reads, &makes);
        for (&v, &slot) in e.outputs.iter().zip(&outputs) {
            self.values[v as usize] = Some(Value::Place(Place::View(View::whole(slot, &self.aval(v).shape.clone()))));
        }
    }

    fn equation(&mut self, e: &Equation) -> Result<()> {
        if e.outputs.len() == 1 {
            if self.folded(e)?.is_some() {
                return Ok(());
            }
            if let Some(p) = self.view(e)? {
                self.values[e.outputs[0] as usize] = Some(Value::Place(p));
                return Ok(());
            }
            if self.element_wise(e)? || self.kernel(e)? || self.kernel_of_halves(e)? {
                return Ok(());
            }
        }
        self.row(e);
        Ok(())
    }
}

/// The strides of a view under another shape, if its elements lie so: axes may be split and merged where they lie together.
fn reshaped(x: &View, shape: &[usize]) -> Option<Strides> {
    if x.is_contiguous() {
        return Some(crate::array::row_major(shape));
    }
    let mut strides: Strides = smallvec::smallvec![0; shape.len()];
    let dims = crate::array::merge(&x.shape, [&x.strides]);
    let mut at = shape.len();
    for &(n, [s]) in dims.iter().rev() {
        let (mut rest, mut stride) = (n, s);
        while rest > 1 {
            at = at.checked_sub(1)?;
            if shape[at] == 1 {
                continue;
            }
            if rest % shape[at] != 0 {
                return None;
            }
            strides[at] = stride;
            stride *= shape[at] as isize;
            rest /= shape[at];
        }
    }
    shape[..at].iter().all(|&n| n == 1).then_some(strides)
}

pub fn build(cx: &Cx, program: &Program, fixed: Option<usize>) -> Plan {
    let mut flat = super::rewrite(program);
    let simd = Simd::detect();
    let mut b = Builder {
        cx,
        simd,
        again: again::again(&flat, simd),
        values: vec![None; flat.avals.len()],
        avals: std::mem::take(&mut flat.avals),
        floats: vec![],
        drafts: vec![],
        phases: vec![],
        made: vec![],
        sizes: vec![],
        constants: HashMap::new(),
        packs: vec![],
        turned: vec![],
        twins: HashMap::new(),
        partials: vec![],
        fixed: None,
    };
    // The first phase is for what needs nothing but inputs and is small: counters, schedules. The second packs
    // right operands, the third takes integers from inputs: neither is in the way of a phase that needs them.
    b.phase(Kind::Chunks, 1, 0.0);
    b.phase(Kind::Alone, rows::MANY, 0.0);
    b.phase(Kind::Alone, rows::MANY, 0.0);
    let mut inputs = Vec::new();
    for &v in &flat.inputs {
        let (shape, dtype) = (b.aval(v).shape.clone(), b.aval(v).dtype);
        let slot = b.slot(None, shape.iter().product(), dtype);
        b.values[v as usize] = Some(Value::Place(Place::View(View::whole(slot, &shape))));
        inputs.push(slot);
    }
    b.fixed = fixed.map(|n| inputs[n.min(inputs.len())..].to_vec());
    for e in &flat.equations {
        // A row whose parameters are not as declared is left to its own evaluation, which says what is wrong.
        if b.equation(e).is_err() {
            b.row(e);
        }
    }
    let outputs: Vec<Place> = flat.outputs.iter().map(|&v| b.place(v)).collect();
    layout::finish(b, inputs, outputs)
}
