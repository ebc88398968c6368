//! Chains of element-wise equations: which loop an equation joins.
use std::collections::HashMap;
use std::rc::Rc;

use smallvec::SmallVec;

use super::finish::bits;
use super::tiles::{cells, cost, fits, is_exact, rounding, tile_of};
use super::{gcd, Body, Builder, Kind, Value, UNITS};
use crate::exec::cpu::tile::{self, Function, Simd};
use crate::plan::kernels::loops::{sums_rows, SUMS};
use crate::plan::view::{Place, Slot, View};
use crate::program::Equation;
use crate::{DType, Dims, Result, Var};

/// An operand outside of the loop, with zeros (or `fill`) around it where it is padded. `Reciprocal`: of one float, repeated.
#[derive(Clone)]
pub(super) enum Source {
    Reciprocal(Place),
    Place(Place, DType),
    Padded { view: View, shape: Dims, low: Dims, dtype: DType, fill: u32 },
}

impl Source {
    fn slot(&self) -> Option<Slot> {
        match self {
            Source::Place(Place::View(v), _) | Source::Padded { view: v, .. } | Source::Reciprocal(Place::View(v)) => Some(v.slot),
            Source::Place(..) | Source::Reciprocal(_) => None,
        }
    }
    /// In the order of the loop, from the slot's beginning.
    fn is_direct(&self) -> bool {
        matches!(self, Source::Place(Place::View(v), _) if v.is_contiguous() && v.offset == 0)
    }
}

#[derive(Clone)]
pub(super) enum Arg {
    Expr(usize),
    Source(Rc<Source>),
}
#[derive(Clone)]
pub(super) struct Expr {
    pub name: &'static str,
    pub f: Function,
    pub args: SmallVec<[Arg; 3]>,
    pub dtype: DType,
    pub slot: Option<Slot>,
    pub sum: bool,
}

/// A loop while it grows. `cells`: of its elements; `tile`: the first expression is what the product before it made; `row`: elements of a row
/// of its sums.
pub(super) struct Group {
    pub shape: Dims,
    pub cells: usize,
    pub row: Option<usize>,
    pub exprs: Vec<Expr>,
    pub tile: bool,
    loads: usize,
    floats: HashMap<usize, usize>,
}

impl Group {
    pub fn new(shape: &[usize], cells: usize) -> Group {
        Group { shape: shape.into(), cells, row: None, exprs: vec![], tile: false, loads: 0, floats: HashMap::new() }
    }
    pub fn behind(shape: &[usize], simd: Simd, dtype: DType) -> Group {
        Group {
            exprs: vec![Expr { name: "tile", f: copy(simd, dtype), args: SmallVec::new(), dtype, slot: None, sum: false }],
            tile: true,
            ..Group::new(shape, cells(dtype))
        }
    }
    /// The rows that it runs.
    pub fn names(&self) -> String {
        self.exprs.iter().skip(usize::from(self.tile)).map(|e| e.name).collect::<Vec<_>>().join(" ")
    }
    /// The slot of the product itself, if nothing comes behind it.
    pub fn only_tile(&self) -> Option<Slot> {
        if self.tile && self.exprs.len() == 1 {
            self.exprs[0].slot
        } else {
            None
        }
    }
    /// True if a result only holds what lies elsewhere: it is copied, and may not lie over what others read; nor may sums.
    pub fn moves(&self, slot: Slot) -> bool {
        self.exprs.iter().any(|e| {
            let copies = e.args.iter().all(|a| matches!(a, Arg::Source(_))) && matches!(e.name, "copy" | "cast" | "pad" | "tile");
            e.slot == Some(slot) && (e.sum || copies)
        })
    }
    /// Slots that it reads in its own order only, from their beginning: a result may lie over them.
    pub fn direct(&self) -> SmallVec<[Slot; 4]> {
        let sources = || {
            self.exprs.iter().flat_map(|e| &e.args).filter_map(|a| {
                if let Arg::Source(s) = a {
                    s.slot().map(|slot| (slot, s.is_direct()))
                } else {
                    None
                }
            })
        };
        sources().filter(|s| s.1 && sources().all(|o| o.0 != s.0 || o.1)).map(|s| s.0).collect()
    }
    /// The expression of what it stores in a slot, if it can sum that over rows of so many elements while it makes it.
    pub fn sums(&self, slot: Slot, row: usize, simd: Simd) -> Option<usize> {
        let index = self.exprs.iter().position(|e| e.slot == Some(slot) && matches!(e.dtype, DType::F32 | DType::F64))?;
        let fits = self.row.is_none_or(|r| r == row)
            && self.exprs.len() < EXPRS
            && self.exprs.iter().filter(|e| e.sum).count() < SUMS
            && sums_rows(simd, row * self.cells, self.cells, &self.operands(), self.exprs.iter().map(|e| e.f));
        fits.then_some(index)
    }
    /// Sums an expression over rows, a result a chunk.
    pub fn sum(&mut self, index: usize, row: usize, to: Slot, simd: Simd) {
        let dtype = self.exprs[index].dtype;
        self.row = Some(row);
        self.exprs.push(Expr {
            name: "sum",
            f: copy(simd, dtype),
            args: smallvec::smallvec![Arg::Expr(index)],
            dtype,
            slot: Some(to),
            sum: true,
        });
    }
    /// Stores only what is read: an expression stored for a loop that was to come may have met its reader here.
    pub fn forget(&mut self, is_read: impl Fn(Slot) -> bool) {
        for e in &mut self.exprs {
            e.slot = e.slot.filter(|&s| is_read(s));
        }
    }
    pub fn reads(&self) -> impl Iterator<Item = Slot> + '_ {
        self.exprs.iter().flat_map(|e| &e.args).filter_map(|a| if let Arg::Source(s) = a { s.slot() } else { None })
    }
}

/// An operand of an equation that is being placed.
#[derive(Clone)]
pub(super) enum Operand {
    Expr { draft: usize, index: usize },
    Floating(usize),
    Source(Rc<Source>),
}

/// An expression that is made wherever it is read; `early`: of what is there from the start; `settled` once it had to lie in memory.
pub(super) struct Float {
    name: &'static str,
    f: Function,
    args: SmallVec<[Operand; 3]>,
    dtype: DType,
    shape: Dims,
    early: bool,
    count: usize,
    cost: f64,
    settled: Option<(usize, usize)>,
}

/// What copies elements of a dtype.
fn copy(simd: Simd, dtype: DType) -> Function {
    let one = tile::copy(simd);
    one.of(cells(dtype)).unwrap_or(one)
}

/// Most expressions and loads of a group: they have to fit into the room and the pointer table.
const EXPRS: usize = 32;
const LOADS: usize = 14;
/// Most expressions that are made again wherever they are read.
const FLOATING: usize = 8;
/// Elements of a value from which on it is copied where it lies across memory.
const TURNED: usize = 1 << 14;
/// Loops of a phase that an equation may join: the last ones, so that long programs are planned in linear time.
const RECENT: usize = 24;

impl Builder<'_> {
    /// Gives an element-wise equation its place in a loop, if it is one that loops can run.
    pub(super) fn element_wise(&mut self, e: &Equation) -> Result<bool> {
        let (out, shape) = (e.outputs[0], self.aval(e.outputs[0]).shape.clone());
        let dtype = self.aval(out).dtype;
        if e.row.name == "pad" {
            let Some(source) = self.padded(e)? else { return Ok(false) };
            self.values[out as usize] = Some(self.express(
                "pad",
                copy(self.simd, dtype),
                smallvec::smallvec![Operand::Source(Rc::new(source))],
                dtype,
                &shape,
                false,
            ));
            return Ok(true);
        }
        let Some(f) = tile_of(e, &self.avals, self.simd) else { return Ok(false) };
        let args = e.inputs.iter().map(|&v| self.operand_for(v, f.cells)).collect();
        self.values[out as usize] = if dtype.is_half() && !is_exact(e, &self.avals) {
            let wide = self.express(e.row.name, f, args, DType::F32, &shape, false);
            let wide = self.operand_of(wide, DType::F32);
            let computed = e.inputs.iter().all(|&v| self.aval(v).dtype != DType::F32);
            self.rounded(wide, dtype, computed, &shape)
        } else {
            Some(self.express(e.row.name, f, args, dtype, &shape, self.again[out as usize]))
        };
        Ok(true)
    }

    /// A value as an operand of a loop.
    pub(super) fn operand(&mut self, v: Var) -> Operand {
        self.operand_for(v, cells(self.aval(v).dtype))
    }
    /// A value as an operand of a loop whose elements have so many cells.
    fn operand_for(&mut self, v: Var, cells: usize) -> Operand {
        let dtype = self.aval(v).dtype;
        let value = match self.values[v as usize].clone() {
            Some(value) => value,
            None => Value::Place(self.place(v)),
        };
        let value = if let Value::Place(place) = value { Value::Place(self.straight(place, dtype)) } else { value };
        match value {
            // Bools of a loop of the other kind are made there.
            Value::Floating(i) if self.floats[i].f.cells != cells => {
                let view = self.settle(i);
                Operand::Source(Rc::new(Source::Place(Place::View(view), dtype)))
            }
            Value::Place(place) if cells == 2 => Operand::Source(Rc::new(Source::Place(place, dtype))),
            value => self.operand_of(value, dtype),
        }
    }
    fn operand_of(&mut self, value: Value, dtype: DType) -> Operand {
        match value {
            Value::Expr { draft, index } => Operand::Expr { draft, index },
            Value::Floating(i) => Operand::Floating(i),
            Value::Place(place) => Operand::Source(Rc::new(self.as_floats(place, dtype))),
        }
    }

    /// A large value whose rows lie across memory as a copy that lies along it: a loop would read each line again for each of its elements.
    fn straight(&mut self, place: Place, dtype: DType) -> Place {
        match place {
            Place::View(v) if v.size() >= TURNED && v.is_turned() && matches!(dtype, DType::F32 | DType::I32 | DType::F64) => {
                Place::View(self.turned(&v, dtype))
            }
            place => place,
        }
    }

    /// A half float as the float32 that it is.
    pub(super) fn widened(&mut self, v: Var) -> Value {
        let (x, shape) = (self.operand(v), self.aval(v).shape.clone());
        self.express("cast", tile::copy(self.simd), smallvec::smallvec![x], DType::F32, &shape, false)
    }
    /// A float32 as a half float of this dtype; `computed`: from such half floats.
    pub(super) fn rounded(&mut self, x: Operand, dtype: DType, computed: bool, shape: &[usize]) -> Option<Value> {
        let round = rounding(dtype, computed, self.simd)?;
        Some(self.express("round", round, smallvec::smallvec![x], dtype, shape, false))
    }

    /// Constant bools as the floats that tiles have for them.
    fn as_floats(&mut self, place: Place, dtype: DType) -> Source {
        if let (Place::View(v), DType::Bool) = (&place, dtype) {
            if let Some(Ok(bits)) =
                self.constants.get(&v.slot).map(|a| a.to_slice::<u8>().map(|b| b.iter().map(|&b| f32::from(b)).collect::<Vec<f32>>()))
            {
                let (exec, n) = (self.cx.exec(), bits.len());
                let twin = self.constant(exec.array(bits, &[n]));
                return Source::Place(Place::View(View { slot: twin.slot, ..v.clone() }), DType::F32);
            }
        }
        Source::Place(place, dtype)
    }

    /// Padding on the outside only, of elements that fit into tiles.
    fn padded(&mut self, e: &Equation) -> Result<Option<Source>> {
        let (low, high, interior) = (e.params.ints("low")?, e.params.ints("high")?, e.params.ints("interior")?);
        let dtype = self.aval(e.inputs[0]).dtype;
        let Place::Constant { value, .. } = self.place(e.inputs[1]) else { return Ok(None) };
        // Cells around float64 are 0.
        if !fits(dtype)
            || (dtype == DType::F64 && value.to_bits() != 0)
            || low.iter().chain(high).any(|&v| v < 0)
            || interior.iter().any(|&v| v != 0)
        {
            return Ok(None);
        }
        let (low, shape) = (e.params.dims("low")?, self.aval(e.outputs[0]).shape.clone());
        Ok(Some(Source::Padded { view: self.view_of(e.inputs[0])?, shape, low, dtype, fill: bits(value, dtype) as u32 }))
    }

    /// A copy in row-major order, of elements that fit into tiles.
    pub(super) fn copied(&mut self, x: &View, dtype: DType) -> Option<View> {
        if !fits(dtype) {
            return None;
        }
        if let Place::View(y) = self.straight(Place::View(x.clone()), dtype) {
            if y.is_contiguous() {
                return Some(y);
            }
        }
        let source = Operand::Source(Rc::new(Source::Place(Place::View(x.clone()), dtype)));
        let v = self.join("copy", copy(self.simd, dtype), smallvec::smallvec![source], dtype, &x.shape);
        Some(self.stored(v.0, v.1))
    }

    /// Nanoseconds that an element takes, with the floating operands that are made for it.
    fn cost(&self, name: &str, args: &[Operand]) -> f64 {
        cost(name) + args.iter().map(|a| if let Operand::Floating(i) = a { self.floats[*i].cost } else { 0.0 }).sum::<f64>()
    }

    /// `again`: it is made again wherever it is read, as is what needs nothing but what is there from the start.
    fn express(
        &mut self,
        name: &'static str,
        f: Function,
        args: SmallVec<[Operand; 3]>,
        dtype: DType,
        shape: &[usize],
        again: bool,
    ) -> Value {
        let early = |a: &Operand| match a {
            Operand::Floating(i) => self.floats[*i].early && self.floats[*i].shape[..] == *shape,
            Operand::Source(s) => match &**s {
                Source::Place(Place::View(v), _) => self.early(v.slot),
                Source::Place(..) => true,
                Source::Padded { .. } | Source::Reciprocal(_) => false,
            },
            Operand::Expr { .. } => false,
        };
        let early = args.iter().all(early);
        let count = 1 + args.iter().map(|a| if let Operand::Floating(i) = a { self.floats[*i].count } else { 0 }).sum::<usize>();
        if count <= FLOATING && (again || early) {
            let cost = self.cost(name, &args);
            self.floats.push(Float { name, f, args, dtype, shape: shape.into(), early, count, cost, settled: None });
            return Value::Floating(self.floats.len() - 1);
        }
        let (draft, index) = self.join(name, f, args, dtype, shape);
        Value::Expr { draft, index }
    }

    /// A floating value in memory.
    pub(super) fn settle(&mut self, i: usize) -> View {
        let (draft, index) = match self.floats[i].settled {
            Some(at) => at,
            None => {
                let x = &self.floats[i];
                let (name, f, args, dtype, shape) = (x.name, x.f, x.args.clone(), x.dtype, x.shape.clone());
                let at = self.join(name, f, args, dtype, &shape);
                self.floats[i].settled = Some(at);
                at
            }
        };
        self.stored(draft, index)
    }

    fn group(&self, draft: usize) -> Option<&Group> {
        match &self.drafts[draft].body {
            Body::Loop(g) | Body::Product(_, g) => Some(g),
            _ => None,
        }
    }
    fn group_mut(&mut self, draft: usize) -> &mut Group {
        match &mut self.drafts[draft].body {
            Body::Loop(g) | Body::Product(_, g) => g,
            _ => unreachable!("only groups have expressions"),
        }
    }

    /// An expression's value in memory.
    pub(super) fn stored(&mut self, draft: usize, index: usize) -> View {
        let (shape, e) = (self.group_mut(draft).shape.clone(), &self.group_mut(draft).exprs[index]);
        let (slot, dtype) = (e.slot, e.dtype);
        let slot = slot.unwrap_or_else(|| {
            let slot = self.slot(Some(draft), shape.iter().product(), dtype);
            self.group_mut(draft).exprs[index].slot = Some(slot);
            self.drafts[draft].writes.push(slot);
            slot
        });
        View::whole(slot, &shape)
    }

    /// The units of a source's view.
    fn source_units(&self, s: &Source) -> Option<(Slot, usize)> {
        match s {
            Source::Place(Place::View(v), _) => Some((v.slot, v.units(self.sizes[v.slot].0, 0))),
            Source::Place(..) | Source::Reciprocal(_) => None,
            Source::Padded { view: v, shape, .. } => {
                let fixed = v.shape.iter().zip(shape).position(|(a, b)| a != b).map_or(0, |i| shape.len() - i);
                Some((v.slot, v.units(self.sizes[v.slot].0, fixed)))
            }
        }
    }

    /// How many expressions and loads an operand adds to a group.
    fn added(&self, draft: usize, a: &Operand) -> (usize, usize) {
        match a {
            Operand::Expr { draft: d, .. } if *d == draft => (0, 0),
            Operand::Floating(i) if self.group(draft).is_some_and(|g| g.floats.contains_key(i)) => (0, 0),
            Operand::Floating(i) => self.floats[*i].args.iter().fold((1, 0), |(e, l), a| {
                let (x, y) = self.added(draft, a);
                (e + x, l + y)
            }),
            _ => (0, 1),
        }
    }

    /// The units of the phase after an expression with these operands joins the group, if it can: everything that it reads
    /// is made before the group runs.
    fn joins(&self, draft: usize, cells: usize, args: &[Operand], shape: &[usize]) -> Option<usize> {
        let g = self.group(draft)?;
        if g.shape[..] != *shape || g.cells != cells {
            return None;
        }
        let (exprs, loads) = args.iter().fold((1, 0), |(e, l), a| {
            let (x, y) = self.added(draft, a);
            (e + x, l + y)
        });
        if g.exprs.len() + exprs > EXPRS || g.loads + loads > LOADS {
            return None;
        }
        let phase = self.drafts[draft].phase;
        let mut units = self.phases[phase].units;
        self.readable(draft, args, &mut units).then_some(())?;
        (units >= UNITS || self.phases[phase].kind == Kind::Alone || self.phases[phase].work < super::TINY).then_some(units)
    }

    fn readable(&self, draft: usize, args: &[Operand], units: &mut usize) -> bool {
        let phase = self.drafts[draft].phase;
        args.iter().all(|a| match a {
            Operand::Expr { draft: d, .. } => *d == draft || (self.drafts[*d].phase, *d) < (phase, draft),
            Operand::Floating(i) => self.readable(draft, &self.floats[*i].args, units),
            Operand::Source(s) => self.source_units(s).is_none_or(|(slot, u)| match self.made[slot] {
                None => true,
                Some(d) if self.drafts[d].phase == phase => {
                    *units = gcd(*units, u);
                    d < draft && self.phases[phase].kind == Kind::Chunks
                }
                Some(d) => self.drafts[d].phase < phase,
            }),
        })
    }

    /// Adds an expression to the loop that makes one of its operands, to another of its phase, or to a new one.
    fn join(&mut self, name: &'static str, f: Function, args: SmallVec<[Operand; 3]>, dtype: DType, shape: &[usize]) -> (usize, usize) {
        let work = (shape.iter().product::<usize>() * f.cells) as f64 * self.cost(name, &args);
        let last = args
            .iter()
            .filter_map(|a| if let Operand::Expr { draft, .. } = a { Some((self.drafts[*draft].phase, *draft)) } else { None })
            .max();
        let found = last.and_then(|(_, d)| self.joins(d, f.cells, &args, shape).map(|u| (d, u)));
        if let Some((d, _)) = found {
            let phase = self.drafts[d].phase;
            self.phases[phase].work += work;
        }
        let (draft, units) = found.unwrap_or_else(|| {
            let mut reads: SmallVec<[(Slot, usize); 4]> = SmallVec::new();
            self.all_reads(&args, &mut reads);
            let limit = shape.iter().product();
            let phase = self.choose(&reads, limit, work);
            let known = (0..self.drafts.len())
                .rev()
                .take(4 * RECENT)
                .filter(|&d| self.drafts[d].phase == phase)
                .take(RECENT)
                .find_map(|d| self.joins(d, f.cells, &args, shape).map(|u| (d, u)));
            known.unwrap_or_else(|| {
                let shape = Dims::from(shape);
                self.draft(phase, |_| Body::Loop(Group::new(&shape, f.cells)), [], &[]);
                (self.drafts.len() - 1, self.phases[phase].units)
            })
        });
        let phase = self.drafts[draft].phase;
        self.phases[phase].units = units;
        (draft, self.push(draft, name, f, &args, dtype))
    }

    /// What operands outside of any one loop read; expressions are stored.
    fn all_reads(&mut self, args: &[Operand], reads: &mut SmallVec<[(Slot, usize); 4]>) {
        for a in args {
            match a {
                Operand::Expr { draft, index } => {
                    let v = self.stored(*draft, *index);
                    reads.push((v.slot, self.sizes[v.slot].0));
                }
                Operand::Floating(i) => {
                    let args = self.floats[*i].args.clone();
                    self.all_reads(&args, reads);
                }
                Operand::Source(s) => reads.extend(self.source_units(s)),
            }
        }
    }

    fn push(&mut self, draft: usize, name: &'static str, f: Function, args: &[Operand], dtype: DType) -> usize {
        let args = args
            .iter()
            .map(|a| match a {
                Operand::Expr { draft: d, index } if *d == draft => Arg::Expr(*index),
                Operand::Expr { draft: d, index } => {
                    let (view, dtype) = (self.stored(*d, *index), self.group_mut(*d).exprs[*index].dtype);
                    self.group_mut(draft).loads += 1;
                    Arg::Source(Rc::new(Source::Place(Place::View(view), dtype)))
                }
                Operand::Floating(i) => {
                    let known = self.group_mut(draft).floats.get(i).copied();
                    Arg::Expr(known.unwrap_or_else(|| {
                        let x = &self.floats[*i];
                        let (name, f, args, dtype) = (x.name, x.f, x.args.clone(), x.dtype);
                        let index = self.push(draft, name, f, &args, dtype);
                        self.group_mut(draft).floats.insert(*i, index);
                        index
                    }))
                }
                Operand::Source(s) => {
                    self.group_mut(draft).loads += 1;
                    Arg::Source(s.clone())
                }
            })
            .collect();
        let g = self.group_mut(draft);
        g.exprs.push(Expr { name, f, args, dtype, slot: None, sum: false });
        g.exprs.len() - 1
    }
}
