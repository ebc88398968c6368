//! What a loop looks like when nothing joins it any more: its products joined, its loads, and a register for each value.
use std::collections::HashMap;
use std::rc::Rc;

use super::fuse::{Arg, Expr, Group, Source};
use crate::dtype::{bf16, f16};
use crate::exec::cpu::tile::{self, Function, Simd};
use crate::plan::kernels::loops::{has_reciprocal, From, How, Id, Instr, Load, Loop, Store, ROOM};
use crate::plan::kernels::walk::{is_narrow, Axis, Walk};
use crate::plan::view::{Place, Slot, View};
use crate::DType;

/// The bits of a number in a tile.
pub(super) fn bits(value: f64, dtype: DType) -> u64 {
    u64::from(match dtype {
        DType::F64 => return value.to_bits(),
        DType::I32 => value as i32 as u32,
        DType::U32 => value as u32,
        DType::F16 => f16::from_f64(value).to_f32().to_bits(),
        DType::BF16 => bf16::from_f64(value).to_f32().to_bits(),
        _ => (value as f32).to_bits(),
    })
}

/// What a loop reads whose elements have so many cells.
fn load(s: &Source, cells: usize) -> From {
    let one = |v: &View, dtype: DType| Walk::new(v.slot, v.offset, std::iter::empty(), dtype, 0, cells);
    match s {
        Source::Reciprocal(Place::Constant { value, .. }) => {
            From::Constant(if cells == 2 { bits(1.0 / value, DType::F64) } else { u64::from((1.0 / *value as f32).to_bits()) })
        }
        Source::Reciprocal(Place::View(v)) => From::Reciprocal(one(v, if cells == 2 { DType::F64 } else { DType::F32 })),
        Source::Place(Place::Constant { value, dtype, .. }, _) => {
            From::Constant(bits(*value, if cells == 2 { DType::F64 } else { *dtype }))
        }
        Source::Place(Place::View(v), dtype) => {
            let whole = !is_narrow(*dtype) && super::tiles::cells(*dtype) == cells;
            if v.is_splat() && v.size() > 0 {
                return From::Splat(one(v, *dtype));
            }
            if whole && v.is_contiguous() {
                return From::Direct(v.slot, v.offset * cells as isize);
            }
            From::Walk(Walk::new(
                v.slot,
                v.offset,
                v.shape.iter().zip(&v.strides).map(|(&n, &stride)| Axis { n, stride, low: 0, size: n }),
                *dtype,
                0,
                cells,
            ))
        }
        Source::Padded { view: v, shape, low, dtype, fill } => {
            let axes = (0..shape.len()).map(|d| Axis { n: shape[d], stride: v.strides[d], low: low[d], size: v.shape[d] });
            From::Walk(Walk::new(v.slot, v.offset, axes, *dtype, *fill, cells))
        }
    }
}

impl Group {
    /// All that it reads.
    pub fn operands(&self) -> Vec<Load> {
        let sources = self.exprs.iter().flat_map(|e| &e.args).filter_map(|a| if let Arg::Source(s) = a { Some(s) } else { None });
        sources.map(|s| Load { id: 0, from: load(s, self.cells) }).collect()
    }
}

/// Loops of fewer elements divide.
const DIVIDED: usize = 4096;

/// Divisions by one number become products with its reciprocal, which is rounded once more: a division takes ten times as long.
/// True if a reciprocal is that of a number which is not known yet.
fn multiply(exprs: &mut [Expr], simd: Simd) -> bool {
    let mut open = false;
    for e in exprs.iter_mut().filter(|e| e.name == "div" && matches!(e.dtype, DType::F32 | DType::F64)) {
        let (Some(Arg::Source(s)), Some(mul)) = (e.args.get(1), tile::mul(simd).of(e.f.cells)) else { continue };
        let Source::Place(p, DType::F32 | DType::F64) = &**s else { continue };
        match p {
            Place::Constant { value, .. } if has_reciprocal(*value, e.dtype == DType::F64) => {}
            Place::View(v) if v.is_splat() => open = true,
            _ => continue,
        }
        e.args[1] = Arg::Source(Rc::new(Source::Reciprocal(p.clone())));
        (e.name, e.f) = ("mul", mul);
    }
    open
}

/// Takes products that are only added to something, or taken from it, into that: one instruction instead of two.
fn join_products(exprs: &mut Vec<Expr>, simd: Simd) {
    let mut uses = vec![0usize; exprs.len()];
    for e in exprs.iter() {
        for a in &e.args {
            if let Arg::Expr(k) = a {
                uses[*k] += 1;
            }
        }
    }
    let mut gone = vec![false; exprs.len()];
    for i in 0..exprs.len() {
        let product = |k: usize| match exprs[i].args.get(k) {
            Some(Arg::Expr(p))
                if exprs[*p].name == "mul"
                    && matches!(exprs[*p].dtype, DType::F32 | DType::F64)
                    && exprs[*p].slot.is_none()
                    && uses[*p] == 1
                    && !gone[*p] =>
            {
                Some(*p)
            }
            _ => None,
        };
        let (k, f): (usize, fn(Simd) -> Function) = match exprs[i].name {
            "add" if product(1).is_some() => (1, tile::add_product),
            "add" if product(0).is_some() => (0, tile::add_product),
            "sub" if product(1).is_some() => (1, tile::sub_product),
            _ => continue,
        };
        let (Some(p), Some(f)) = (product(k), f(simd).of(exprs[i].f.cells)) else { continue };
        let mut args = std::mem::take(&mut exprs[p].args);
        args.push(exprs[i].args.remove(1 - k));
        gone[p] = true;
        (exprs[i].args, exprs[i].f, exprs[i].name) = (args, f, "product");
    }
    let mut at: Vec<usize> = vec![0; exprs.len()];
    let mut next = 0;
    for (i, g) in gone.iter().enumerate() {
        at[i] = next;
        next += usize::from(!g);
    }
    let mut flags = gone.iter();
    exprs.retain(|_| !*flags.next().unwrap_or(&false));
    for e in exprs {
        for a in &mut e.args {
            if let Arg::Expr(k) = a {
                *k = at[*k];
            }
        }
    }
}

/// Gives registers to a group's values, each as long as it is read.
/// `over`: results that may lie over an operand; `columns`: those of the product before it.
pub(super) fn finish(group: Group, simd: Simd, over: &[Slot], columns: Option<usize>) -> Loop {
    let Group { shape, cells, row, exprs, tile, .. } = group;
    let size = shape.iter().product::<usize>();
    let laid_out = |exprs| with_registers((size, cells), exprs, tile, simd, over, (columns, row));
    if size < DIVIDED {
        return laid_out(exprs);
    }
    let mut fast = exprs.clone();
    if multiply(&mut fast, simd) {
        laid_out(fast).or(laid_out(exprs))
    } else {
        laid_out(fast)
    }
}

fn with_registers(
    (size, cells): (usize, usize),
    mut exprs: Vec<Expr>,
    tile: bool,
    simd: Simd,
    over: &[Slot],
    (columns, row): (Option<usize>, Option<usize>),
) -> Loop {
    join_products(&mut exprs, simd);
    let mut last = vec![0usize; exprs.len()];
    for (i, e) in exprs.iter().enumerate() {
        for a in &e.args {
            if let Arg::Expr(k) = a {
                last[*k] = i;
            }
        }
    }
    // Loads that need a register keep it for the whole loop; the others are pointers, numbered from the end of the room.
    let (mut registers, mut free, mut pointers): (usize, Vec<Id>, usize) = (0, Vec::new(), ROOM);
    let mut loads: Vec<Load> = Vec::new();
    let mut source_ids: HashMap<(usize, usize), Id> = HashMap::new();
    for (i, e) in exprs.iter().enumerate() {
        for (k, a) in e.args.iter().enumerate() {
            let Arg::Source(s) = a else { continue };
            let from = load(s, cells);
            let known = loads.iter().find(|l| l.from == from).map(|l| l.id);
            source_ids.insert(
                (i, k),
                known.unwrap_or_else(|| {
                    let id = if matches!(from, From::Direct(..)) {
                        pointers += 1;
                        pointers - 1
                    } else {
                        registers += 1;
                        registers - 1
                    } as Id;
                    loads.push(Load { id, from });
                    id
                }),
            );
        }
    }
    let mut ids: Vec<Id> = vec![0; exprs.len()];
    let (mut instrs, mut stores) = (Vec::new(), Vec::new());
    for (i, e) in exprs.iter().enumerate() {
        let mut src: [Id; 3] = [0; 3];
        if tile && i == 0 {
            pointers += 1;
            src[0] = (pointers - 1) as Id;
            loads.push(Load { id: src[0], from: From::Tile });
        }
        for (k, a) in e.args.iter().enumerate() {
            src[k] = match a {
                Arg::Expr(x) => ids[*x],
                Arg::Source(_) => source_ids[&(i, k)],
            };
        }
        if tile && i == 0 && e.slot.is_none() {
            ids[0] = src[0];
        } else {
            let stored = e.slot.is_some_and(|s| !over.contains(&s)) && !is_narrow(e.dtype) && !e.sum;
            ids[i] = if stored {
                pointers += 1;
                (pointers - 1) as Id
            } else {
                free.pop().unwrap_or_else(|| {
                    registers += 1;
                    (registers - 1) as Id
                })
            };
            instrs.push(Instr { f: e.f, dst: ids[i], src });
        }
        if let Some(slot) = e.slot {
            stores.push(Store {
                id: ids[i],
                slot,
                how: if e.sum {
                    How::Sum
                } else if is_narrow(e.dtype) {
                    How::Narrow(e.dtype)
                } else if over.contains(&slot) {
                    How::Late
                } else {
                    How::There
                },
            });
        }
        for (k, x) in exprs.iter().enumerate().take(i + 1) {
            // Freed after the instruction, so that no result lies over an operand. What is narrow stays until the tile is done.
            let dies = last[k] == i && k < i || (k == i && last[k] <= i);
            if dies && (ids[k] as usize) < ROOM && x.slot.is_none() && !free.contains(&ids[k]) {
                free.push(ids[k]);
            }
        }
    }
    Loop::new(simd, (size, cells), (columns.map(|n| n * cells), row.map(|n| n * cells)), (registers, pointers), loads, instrs, stores)
}
