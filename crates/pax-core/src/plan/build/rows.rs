//! Kernels of rows that are not element-wise: products, reductions, slices at places that integers name.
use std::sync::Arc;

use smallvec::SmallVec;

use super::fuse::Group;
use super::tiles::cells;
use super::{Body, Builder, Kind, Side, Value, INTEGERS, PACKS};
use crate::array::merge;
use crate::exec::cpu::conv::{Direction, Which};
use crate::exec::cpu::panel::{Micro, Micros};
use crate::exec::cpu::reduce::Fold;
use crate::ops::index::gather::{lay, Place as At, CLAMP};
use crate::plan::kernels::conv::{Conv, ConvPack};
use crate::plan::kernels::dot::{Cut, Dot, Operand, Pack, PackLeft, Packed};
use crate::plan::kernels::index::{Concat, Gather, Lay, Scatter, Update};
use crate::plan::kernels::random::Bits;
use crate::plan::kernels::reduce::Reduce;
use crate::plan::kernels::walk::{Axis, Walk};
use crate::plan::kernels::Kernel;
use crate::plan::view::{Place, Slot, View};
use crate::program::Equation;
use crate::{Aval, DType, Dims, Result, Var};

/// A product that a loop may follow.
pub(super) struct DotDraft {
    pub dot: Dot,
    pub cut: Cut,
}

/// Nanoseconds of a multiply-add, about.
const MULTIPLY_ADD: f64 = 0.019;
/// Of an element that lies across memory.
const TURN: f64 = 0.4;
/// Of 32 random bits.
const RANDOM_WORD: f64 = 1.5;
/// A product with as many rows goes by rows, in chunks that go on with them; another by panels of columns.
const ROWS: usize = 256;
/// A product with as long a sum runs by itself, which packs it in parts: here a thread would need room for a panel of all of it.
const LONG: usize = 1 << 20;
/// A product of at most so many results, each a sum of at least so many, is divided by its sums.
const RESULTS: usize = 1 << 12;
const SUM: usize = 512;
/// Pieces of a product take about so many nanoseconds, and are about so many where panels alone are fewer.
const PIECE: f64 = 4000.0;
const PIECES: usize = 12;
/// Columns of a unit of a scatter.
const COLUMNS: usize = 256;
/// Columns that are folded whole, a chunk its own rows of them.
const COLUMNS_FOLDED: usize = 4096;
/// About how many sums of images chunks would make of a kernel's gradient.
const SUMS: usize = 16;
/// Units of phases whose kernels divide them as they like.
pub(super) const MANY: usize = 64;

/// Rows whose kernels take half floats as float32, and whose results are rounded once.
const WIDENED: [&str; 8] = ["dot", "reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "conv", "conv_input_grad", "conv_kernel_grad"];

impl Builder<'_> {
    /// Gives a row of half floats the kernel of float32; false where it has none.
    pub(super) fn kernel_of_halves(&mut self, e: &Equation) -> Result<bool> {
        let dtype = self.aval(e.outputs[0]).dtype;
        if !WIDENED.contains(&e.row.name) || !dtype.is_half() || !e.inputs.iter().all(|&v| self.aval(v).dtype.is_half()) {
            return Ok(false);
        }
        let inputs = e.inputs.iter().map(|&v| self.twin(v)).collect();
        let out = self.float(e.outputs[0]);
        if !self.kernel(&Equation { row: e.row, params: e.params.clone(), inputs, outputs: smallvec::smallvec![out] })? {
            return Ok(false);
        }
        let (wide, shape) = (self.operand(out), self.aval(out).shape.clone());
        self.values[e.outputs[0] as usize] = self.rounded(wide, dtype, true, &shape);
        Ok(true)
    }

    /// A new variable of a value's shape: float32.
    fn float(&mut self, v: Var) -> Var {
        self.avals.push(Aval::new(&self.avals[v as usize].shape.clone(), DType::F32));
        self.values.push(None);
        (self.avals.len() - 1) as Var
    }

    /// The float32s of a half float.
    fn twin(&mut self, v: Var) -> Var {
        if let Some(&w) = self.twins.get(&v) {
            return w;
        }
        let (w, value) = (self.float(v), self.widened(v));
        self.values[w as usize] = Some(value);
        self.twins.insert(v, w);
        w
    }

    /// Gives a row that has a kernel its place; false where it has none for these operands.
    pub(super) fn kernel(&mut self, e: &Equation) -> Result<bool> {
        if e.inputs.iter().chain(&e.outputs).any(|&v| self.aval(v).size() == 0) {
            return Ok(false);
        }
        let float = |b: &Self, v: u32| b.aval(v).dtype == DType::F32;
        let wide = |b: &Self, v: u32| matches!(b.aval(v).dtype, DType::F32 | DType::F64);
        match e.row.name {
            "dot" if wide(self, e.inputs[0]) => self.dot(e),
            "reduce_sum" if wide(self, e.inputs[0]) => self.reduce(e, Fold::Sum),
            "reduce_prod" if wide(self, e.inputs[0]) => self.reduce(e, Fold::Prod),
            "reduce_max" if wide(self, e.inputs[0]) => self.reduce(e, Fold::Max),
            "reduce_min" if wide(self, e.inputs[0]) => self.reduce(e, Fold::Min),
            "conv" if float(self, e.inputs[0]) => self.conv(e, Which::Out),
            "conv_input_grad" if float(self, e.inputs[0]) => self.conv(e, Which::Input),
            "conv_kernel_grad" if float(self, e.inputs[0]) => self.conv(e, Which::Kernel),
            "gather" => self.gather(e),
            "random_bits" if self.aval(e.inputs[0]).ndim() == 1 && e.params.choice("width")? == "32" => self.random_bits(e),
            "concatenate" if matches!(self.aval(e.outputs[0]).dtype, DType::F32 | DType::I32 | DType::F64) => self.concatenate(e),
            "scatter" if matches!(self.aval(e.inputs[0]).dtype, DType::F32 | DType::F64 | DType::I32) => match e.params.choice("mode")? {
                "set" => self.scatter(e, Update::Set),
                "add" => self.scatter(e, Update::Add),
                _ => Ok(false),
            },
            _ => Ok(false),
        }
    }

    fn units_of(&self, v: &View, fixed: usize) -> (Slot, usize) {
        (v.slot, v.units(self.sizes[v.slot].0, fixed))
    }

    /// Adds a kernel and gives its result's slot to the equation.
    fn add(&mut self, e: &Equation, phase: usize, reads: &[(Slot, usize)], kernel: impl FnOnce(Slot) -> Body) {
        let (shape, dtype) = (self.aval(e.outputs[0]).shape.clone(), self.aval(e.outputs[0]).dtype);
        let slots = self.draft(phase, |s| kernel(s[0]), reads.iter().map(|r| r.0), &[(shape.iter().product(), dtype)]);
        self.values[e.outputs[0] as usize] = Some(Value::Place(Place::View(View::whole(slots[0], &shape))));
    }

    fn dot(&mut self, e: &Equation) -> Result<bool> {
        let (mut a, mut b) = (self.view_of(e.inputs[0])?, self.view_of(e.inputs[1])?);
        let dtype = self.aval(e.inputs[0]).dtype;
        let micro = if dtype == DType::F64 { Micros::Double(Micro::f64(self.simd)) } else { Micros::Single(Micro::f32(self.simd)) };
        let axes = |name: &str| e.params.dims(name);
        let rest = |v: &View, x: &[usize], y: &[usize]| (0..v.shape.len()).filter(|d| !x.contains(d) && !y.contains(d)).collect::<Dims>();
        let (a_batch, b_batch, a_sum, b_sum) = (axes("a_batch")?, axes("b_batch")?, axes("a_contract")?, axes("b_contract")?);
        let (a_free, b_free) = (rest(&a, &a_batch, &a_sum), rest(&b, &b_batch, &b_sum));
        // In the order batch, free, summed for the left operand, and batch, summed, free for the right one.
        let order = |parts: [&[usize]; 3]| parts.concat();
        let plain = |n: [usize; 3]| -> [Dims; 3] {
            let mut at = 0;
            n.map(|n| {
                at += n;
                (at - n..at).collect()
            })
        };
        let mut sort = |x: &mut View, groups: [Dims; 3]| -> Option<[Dims; 3]> {
            if x.merged(&groups[1]).is_some() && x.merged(&groups[2]).is_some() {
                return Some(groups);
            }
            *x = self.copied(&x.permuted(&order([&groups[0], &groups[1], &groups[2]])), dtype)?;
            Some(plain([groups[0].len(), groups[1].len(), groups[2].len()]))
        };
        let (Some([a_batch, a_free, a_sum]), Some([b_batch, b_sum, b_free])) =
            (sort(&mut a, [a_batch, a_free, a_sum]), sort(&mut b, [b_batch, b_sum, b_free]))
        else {
            return Ok(false);
        };
        let size = |v: &View, axes: &[usize]| axes.iter().map(|&d| v.shape[d]).product::<usize>();
        let batch: Dims = a_batch.iter().map(|&d| a.shape[d]).collect();
        let (items, m, k, n) = (size(&a, &a_batch), size(&a, &a_free), size(&a, &a_sum), size(&b, &b_free));
        if k >= LONG {
            return Ok(false);
        }
        let operand = |x: &View, batch: &[usize], row: &[usize], col: &[usize]| Operand {
            slot: x.slot,
            offset: x.offset,
            batch: batch.iter().map(|&d| x.strides[d]).collect(),
            row: x.merged(row).unwrap_or(0),
            col: x.merged(col).unwrap_or(0),
        };
        let work = (items * m) as f64 * (k as f64) * (n as f64) * MULTIPLY_ADD * micro.cells() as f64;
        let left = self.units_of(&a.permuted(&order([&a_batch, &a_free, &a_sum])), a_sum.len());
        let right = if batch.is_empty() {
            (b.slot, 1)
        } else {
            self.units_of(&b.permuted(&order([&b_batch, &b_sum, &b_free])), b_sum.len() + b_free.len())
        };
        let reads = [left, right];
        let mut dot = Dot {
            micro,
            batch,
            m,
            k,
            n,
            a: operand(&a, &a_batch, &a_free, &a_sum),
            b: operand(&b, &b_batch, &b_sum, &b_free),
            left: Packed::Own,
            right: Packed::Own,
            out: 0,
            across: false,
        };
        let rowwise = !dot.batch.is_empty()
            || work < super::TINY / 2.0
            || (m >= ROWS
                && (m >= 2 * k || self.last_phase(&reads).is_some_and(|p| p > INTEGERS && self.fits(p, &reads, m, work).is_some())));
        if rowwise {
            // What many chunks read is packed once.
            if dot.batch.is_empty() && self.packable(b.slot, m >= ROWS) {
                dot.right = Packed::In(self.packed(&dot, PACKS));
            }
            // So is what comes out of the last phase that this product waits for anyway.
            else if dot.batch.is_empty()
                && m >= ROWS
                && work > super::TINY
                && self.phase_of(b.slot).is_some()
                && self.phase_of(b.slot) == self.last_phase(&reads)
            {
                let phase = self.phase(Kind::Alone, dot.panels(), 0.0);
                dot.right = Packed::In(self.packed(&dot, phase));
            }
            let panels = if let Packed::In(slot) = dot.right { Some((slot, 1)) } else { None };
            let reads: SmallVec<[(Slot, usize); 3]> = reads.into_iter().chain(panels).collect();
            let phase = self.choose(&reads, items * m, work);
            self.add(e, phase, &reads, |out| Body::kernel(Kernel::Dot(Dot { out, ..dot })));
            return Ok(true);
        }
        // Few results of long sums over a weight: chunks divide the sums, and each reads rows of the weight, as its update does, and columns of
        // the left operand: what lies in a core's cache stays there.
        if self.fixed.is_none() && self.early(b.slot) && m * n <= RESULTS && k >= SUM && work >= super::TINY {
            let phase = self.phase(Kind::Chunks, k, work);
            self.across(e, phase, Fold::Sum, [a.slot, b.slot], |out| Kernel::Dot(Dot { across: true, out, ..dot }));
            return Ok(true);
        }
        if self.packable(b.slot, false) {
            dot.right = Packed::In(self.packed(&dot, PACKS));
        }
        let pieces = ((work / PIECE) as usize).clamp(1, PIECES);
        let deep = dot.deep();
        if deep.is_none() && dot.packs_left() {
            dot.left = Packed::In(self.packed_left(&dot));
        }
        let strips = pieces.div_ceil(dot.panels()).min(m.div_ceil(4 * micro.rows()));
        let cut = deep.unwrap_or(Cut { strips, panels: 1, deep: false });
        let phase = self.phase(Kind::Alone, dot.pieces(cut), work);
        let shape = self.aval(e.outputs[0]).shape.clone();
        let group = Group::behind(&shape, self.simd, dtype);
        let packed = [dot.left, dot.right].into_iter().filter_map(|p| if let Packed::In(slot) = p { Some(slot) } else { None });
        self.draft(
            phase,
            |_| Body::Product(Box::new(DotDraft { dot, cut }), group),
            reads.iter().map(|r| r.0).chain(packed.collect::<SmallVec<[Slot; 2]>>()),
            &[],
        );
        self.values[e.outputs[0] as usize] = Some(Value::Expr { draft: self.drafts.len() - 1, index: 0 });
        Ok(true)
    }

    /// The right operand in panels, packed in this phase if it is not yet.
    fn packed(&mut self, dot: &Dot, phase: usize) -> Slot {
        let key = (Side::Right, dot.b.slot, dot.b.offset, [dot.b.row, dot.b.col], [dot.k, dot.n]);
        if let Some((_, slot)) = self.packs.iter().find(|p| p.0 == key) {
            return *slot;
        }
        self.phases[phase].work += (dot.k * dot.n) as f64 * 0.2;
        let source = Operand { slot: dot.b.slot, offset: dot.b.offset, batch: SmallVec::new(), row: dot.b.row, col: dot.b.col };
        let (micro, k, n) = (dot.micro, dot.k, dot.n);
        let slot = self.draft(
            phase,
            |s| Body::kernel(Kernel::Pack(Pack { micro, k, n, b: source, out: s[0] })),
            [dot.b.slot],
            &[(micro.packed(k, n), self.sizes[dot.b.slot].1)],
        )[0];
        self.packs.push((key, slot));
        slot
    }

    /// The left operand in tiles.
    fn packed_left(&mut self, dot: &Dot) -> Slot {
        let (micro, m, k, slot, offset, row, col) = (dot.micro, dot.m, dot.k, dot.a.slot, dot.a.offset, dot.a.row, dot.a.col);
        let key = (Side::Left, slot, offset, [row, col], [m, k]);
        if let Some((_, slot)) = self.packs.iter().find(|p| p.0 == key) {
            return *slot;
        }
        let work = (m * k) as f64 * 0.2;
        let phase = if self.packable(slot, true) { PACKS } else { self.phase(Kind::Alone, MANY, 0.0) };
        self.phases[phase].work += work;
        let a = Operand { slot, offset, batch: SmallVec::new(), row, col };
        let out = self.draft(
            phase,
            |s| Body::kernel(Kernel::PackLeft(PackLeft { micro, m, k, a, out: s[0] })),
            [slot],
            &[(micro.tiled(m, k), self.sizes[slot].1)],
        )[0];
        self.packs.push((key, out));
        out
    }

    fn reduce(&mut self, e: &Equation, fold: Fold) -> Result<bool> {
        let x = self.view_of(e.inputs[0])?;
        let over = e.params.dims("axes")?;
        let kept: Dims = (0..x.shape.len()).filter(|d| !over.contains(d)).collect();
        let walk = |axes: &[usize]| {
            let v = x.permuted(axes);
            merge(&v.shape, [&v.strides]).into_iter().map(|(n, [s])| (n, s)).collect::<SmallVec<[(usize, isize); 4]>>()
        };
        let reduce = Reduce {
            fold,
            slot: x.slot,
            offset: x.offset,
            kept: walk(&kept),
            over: walk(&over),
            out: 0,
            across: false,
            double: self.aval(e.inputs[0]).dtype == DType::F64,
        };
        let (total, work) = (self.aval(e.outputs[0]).size(), x.size() as f64 * 0.08);
        let reads = [self.units_of(&x.permuted(&[&kept[..], &over[..]].concat()), over.len())];
        // A sum over the units of the phase that makes the operand: of each chunk there, then of the chunks.
        if let Some(p) = self.phase_of(x.slot).filter(|&p| self.fits(p, &reads, total, work).is_none() && total <= 1 << 16) {
            let across = [self.units_of(&x.permuted(&[&over[..], &kept[..]].concat()), kept.len())];
            let count: usize = reduce.over.iter().map(|d| d.0).product();
            if let Some(units) = self.fits(p, &across, count, work).filter(|&u| u >= super::UNITS) {
                self.phases[p].units = units;
                self.phases[p].work += work;
                self.across(e, p, fold, [x.slot], |out| Kernel::Reduce(Reduce { across: true, out, ..reduce }));
                return Ok(true);
            }
        }
        // In the order in which they lie, whatever the order of the axes.
        let mut lying = over.clone();
        lying.sort_by_key(|&d| {
            std::cmp::Reverse(match x.strides[d].unsigned_abs() {
                0 => usize::MAX,
                s => s,
            })
        });
        let reduce = Reduce { over: walk(&lying), ..reduce };
        // Few results of much that lies in memory from the start: chunks divide what is folded, for parts of rows would be short.
        let (count, columns) = (x.size() / total.max(1), matches!(reduce.kept.last(), Some((n, 1)) if *n > 1));
        if self.fixed.is_none()
            && self.early(x.slot)
            && total <= if columns { COLUMNS_FOLDED } else { MANY }
            && count >= MANY
            && work >= super::TINY
        {
            let phase = self.phase(Kind::Chunks, count, work);
            self.across(e, phase, fold, [x.slot], |out| Kernel::Reduce(Reduce { across: true, out, ..reduce }));
            return Ok(true);
        }
        let phase = self.choose(&reads, total, work);
        self.add(e, phase, &reads, |out| Body::kernel(Kernel::Reduce(Reduce { out, ..reduce })));
        Ok(true)
    }

    /// A kernel that gives one result a chunk of its phase, and the fold of these. How many there are is known when the plan is finished.
    fn across(
        &mut self,
        e: &Equation,
        phase: usize,
        fold: Fold,
        reads: impl IntoIterator<Item = Slot>,
        kernel: impl FnOnce(Slot) -> Kernel,
    ) {
        let (total, dtype) = (self.aval(e.outputs[0]).size(), self.aval(e.outputs[0]).dtype);
        let partial = self.draft(phase, |s| Body::kernel(kernel(s[0])), reads, &[(total, dtype)])[0];
        self.partials.push((partial, total, phase));
        let sums = Reduce {
            fold,
            slot: partial,
            offset: 0,
            kept: SmallVec::from_slice(&[(total, 1)]),
            over: SmallVec::from_slice(&[(1, total as isize)]),
            out: 0,
            across: false,
            double: dtype == DType::F64,
        };
        // Not where the chunks are: they all come first.
        let then = self.choose(&[(partial, 1)], total, (1.3 * total as f64).max(super::TINY));
        self.add(e, then, &[(partial, 1)], |out| Body::Across { partial: Reduce { out, ..sums }, phase });
    }

    /// Convolution and its gradients, an image or a part of the kernel's gradient a unit, where kernels apply.
    fn conv(&mut self, e: &Equation, which: Which) -> Result<bool> {
        let (left, right) = (&self.aval(e.inputs[0]).shape, &self.aval(e.inputs[1]).shape);
        let (geometry, _) = crate::ops::conv::plan(which, left, right, &e.params)?;
        let Some(direction) = Direction::new(self.simd, &geometry, which).map(Arc::new) else { return Ok(false) };
        let (Some(a), Some(b)) = (self.flat(e.inputs[0])?, self.flat(e.inputs[1])?) else { return Ok(false) };
        let n = geometry.n;
        let work = [n, geometry.pixels(), geometry.o, geometry.taps(), geometry.cg()].iter().map(|&n| n as f64).product::<f64>()
            * MULTIPLY_ADD
            * direction.cost();
        let images = |b: &Self, v: &View| b.units_of(v, v.shape.len() - 1);
        let conv = Conv { direction: direction.clone(), n, parts: false, a: (a.slot, a.offset), b: (b.slot, b.offset), out: 0 };
        if which == Which::Kernel {
            let reads = [images(self, &a), images(self, &b)];
            if direction.in_parts(SUMS) {
                let phase = self.phase(Kind::Alone, direction.parts(), work);
                self.add(e, phase, &reads, |out| Body::kernel(Kernel::Conv(Conv { parts: true, out, ..conv })));
                return Ok(true);
            }
            let phase = self.choose(&reads, n, work);
            self.across(e, phase, Fold::Sum, [a.slot, b.slot], |out| Kernel::Conv(Conv { out, ..conv }));
            return Ok(true);
        }
        let kernel = match direction.packed() {
            None => conv.b,
            Some(packed) => {
                let pack = ConvPack { direction, kernel: conv.b, out: 0 };
                let work = packed as f64 * 0.3;
                let phase = if self.early(b.slot) {
                    self.phases[PACKS].work += work;
                    PACKS
                } else {
                    self.choose(&[(b.slot, 1)], pack.direction.packs(), work)
                };
                (
                    self.draft(
                        phase,
                        |s| Body::kernel(Kernel::ConvPack(ConvPack { out: s[0], ..pack })),
                        [b.slot],
                        &[(packed, DType::F32)],
                    )[0],
                    0,
                )
            }
        };
        let reads = [images(self, &a), (kernel.0, 1)];
        let phase = self.choose(&reads, n, work);
        self.add(e, phase, &reads, |out| Body::kernel(Kernel::Conv(Conv { b: kernel, out, ..conv })));
        Ok(true)
    }

    /// The operand in row-major order, as slot and offset.
    fn flat(&mut self, v: u32) -> Result<Option<View>> {
        let (x, dtype) = (self.view_of(v)?, self.aval(v).dtype);
        Ok(if x.is_contiguous() { Some(x) } else { self.copied(&x, dtype) })
    }

    fn gather(&mut self, e: &Equation) -> Result<bool> {
        let at = At::of(&e.params)?;
        let (dtype, shape, indices) = (self.aval(e.inputs[0]).dtype, self.aval(e.inputs[0]).shape.clone(), self.aval(e.inputs[1]).clone());
        if !matches!(dtype, DType::F32 | DType::I32 | DType::F64) || indices.dtype != DType::I32 {
            return Ok(false);
        }
        let (Some(x), Some(i)) = (self.flat(e.inputs[0])?, self.flat(e.inputs[1])?) else { return Ok(false) };
        let lay = lay(&shape, &indices.shape, at);
        let cells = cells(dtype);
        let reads = if at.batch > 0 {
            [self.units_of(&x, shape.len() - at.batch), self.units_of(&i, indices.shape.len() - at.batch)]
        } else {
            [(x.slot, 1), (i.slot, if lay.outer == 1 { self.units_of(&i, 0).1 } else { 1 })]
        };
        let rows = lay.batch * lay.outer * lay.places;
        let limit = if at.batch > 0 { lay.batch } else { rows };
        let work = (rows * (4 + lay.inner)) as f64 * 0.3;
        let phase = if dtype == DType::I32 && work > super::TINY / 8.0 && self.early(x.slot) && self.early(i.slot) {
            INTEGERS
        } else {
            self.choose(&reads, limit, work)
        };
        self.add(e, phase, &reads, |out| {
            Body::kernel(Kernel::Gather(Gather {
                x: (x.slot, x.offset * cells as isize),
                indices: (i.slot, i.offset),
                out,
                lay: Lay { inner: lay.inner * cells, ..lay },
                clamp: at.outside == CLAMP,
            }))
        });
        Ok(true)
    }

    fn random_bits(&mut self, e: &Equation) -> Result<bool> {
        let Some(key) = self.flat(e.inputs[0])? else { return Ok(false) };
        let n = self.aval(e.outputs[0]).size();
        let reads = [(key.slot, 1)];
        let phase = self.choose(&reads, n, n as f64 * RANDOM_WORD);
        self.add(e, phase, &reads, |out| Body::kernel(Kernel::Bits(Bits { key: (key.slot, key.offset), n, out })));
        Ok(true)
    }

    /// A copy in row-major order of what lies across memory, made once.
    pub(super) fn turned(&mut self, v: &View, dtype: DType) -> View {
        if let Some((_, slot)) = self.turned.iter().find(|t| t.0 == *v) {
            return View::whole(*slot, &v.shape);
        }
        let cells = cells(dtype);
        let (n, size) = (v.shape.last().copied().unwrap_or(1), v.size());
        let walk = Walk::new(v.slot, v.offset, v.shape.iter().zip(&v.strides).map(|(&n, &s)| Axis::whole(n, s)), dtype, 0, cells);
        let phase = self.choose(&[self.units_of(v, 1)], size / n, size as f64 * TURN);
        let slot = self.draft(
            phase,
            |s| Body::kernel(Kernel::Concat(Concat { parts: vec![(walk, n * cells)], rows: size / n, out: s[0] })),
            [v.slot],
            &[(size, dtype)],
        )[0];
        self.turned.push((v.clone(), slot));
        View::whole(slot, &v.shape)
    }

    fn concatenate(&mut self, e: &Equation) -> Result<bool> {
        let axis = usize::try_from(e.params.int("axis")?).unwrap_or(0);
        let parts: Vec<View> = e.inputs.iter().map(|&v| self.view_of(v)).collect::<Result<_>>()?;
        let reads: SmallVec<[(Slot, usize); 4]> = parts.iter().map(|v| self.units_of(v, v.shape.len() - axis)).collect();
        let shape = &self.aval(e.outputs[0]).shape;
        let (rows, size) = (shape[..axis].iter().product::<usize>(), shape.iter().product::<usize>());
        // Bits are only moved.
        let (dtype, cells) = if self.aval(e.outputs[0]).dtype == DType::F64 { (DType::F64, 2) } else { (DType::F32, 1) };
        let walks = parts
            .iter()
            .map(|v| {
                (
                    Walk::new(v.slot, v.offset, v.shape.iter().zip(&v.strides).map(|(&n, &s)| Axis::whole(n, s)), dtype, 0, cells),
                    v.shape[axis..].iter().product::<usize>() * cells,
                )
            })
            .collect();
        let phase = self.choose(&reads, rows, size as f64 * 0.1);
        self.add(e, phase, &reads, |out| Body::kernel(Kernel::Concat(Concat { parts: walks, rows, out })));
        Ok(true)
    }

    fn scatter(&mut self, e: &Equation, update: Update) -> Result<bool> {
        let at = At::of(&e.params)?;
        let (shape, indices) = (self.aval(e.inputs[0]).shape.clone(), self.aval(e.inputs[1]).clone());
        if indices.dtype != DType::I32 {
            return Ok(false);
        }
        let dtype = self.aval(e.inputs[0]).dtype;
        let (x, fill) = match self.place(e.inputs[0]) {
            Place::Constant { value, .. } => (None, value),
            Place::View(_) => {
                let Some(x) = self.flat(e.inputs[0])? else { return Ok(false) };
                (Some(x), 0.0)
            }
        };
        let (Some(i), Some(u)) = (self.flat(e.inputs[1])?, self.flat(e.inputs[2])?) else { return Ok(false) };
        let lay = lay(&shape, &indices.shape, at);
        let slices = lay.batch * lay.outer;
        let work = (shape.iter().product::<usize>() + u.size()) as f64 * 0.3;
        let fixed = |v: &View| v.shape.len() - at.batch;
        let mut reads: SmallVec<[(Slot, usize); 3]> = SmallVec::new();
        for v in x.iter().chain([&i, &u]) {
            reads.push(if at.batch > 0 { self.units_of(v, fixed(v)) } else { (v.slot, 1) });
        }
        // With one slice, units divide its columns, which are long pieces of rows: short ones are a page apart, each in few lines of the
        // cache. Nothing may go on with a part of it.
        let phase = if slices > 1 {
            self.choose(&reads, if at.batch > 0 { lay.batch } else { slices }, work)
        } else {
            self.phase(Kind::Alone, (lay.inner / COLUMNS).max(2), work)
        };
        self.add(e, phase, &reads, |out| {
            Body::kernel(Kernel::Scatter(Scatter {
                dtype,
                update,
                x: x.map(|x| (x.slot, x.offset)),
                fill,
                indices: (i.slot, i.offset),
                updates: (u.slot, u.offset),
                out,
                lay,
                clamp: at.outside == CLAMP,
            }))
        });
        Ok(true)
    }
}
