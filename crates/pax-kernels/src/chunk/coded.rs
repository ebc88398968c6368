//! Loops with machine code of their own: it reads and writes most operands where they lie, row by row.
use super::loops::{to_bools, From, How, Instr, Load, Loop, Store, Table, ENTRIES, TILE};
use super::Bases;
use crate::code::trace::{trace, Op, Sym};
use crate::code::{Code, Output};

/// Rows of fewer elements are gathered in tiles.
const ROW: usize = 16;
const FLOAT: isize = size_of::<f32>() as isize;

/// `row`: elements of the rows that a range goes through; 0 where it goes through tiles.
pub struct Coded { code: Code, pub row: usize }

impl Coded {
    /// What the functions do one after the other, as one function. `columns`: those of the product before the loop.
    pub fn new(columns: Option<usize>, loads: &[Load], instrs: &[Instr], stores: &[Store]) -> Option<Coded> {
        debug_assert!(stores.iter().all(|s| loads.iter().all(|l| l.id != s.id)), "an entry of the table is an operand or a result");
        let row = columns.unwrap_or_else(|| row_of(loads));
        let (ops, outputs) = trace(|| {
            let mut at = [None; ENTRIES];
            for l in loads {
                at[l.id as usize] = Some(Sym::of(match &l.from {
                    From::Constant(bits) => Op::Constant(*bits),
                    From::Splat(..) | From::Reciprocal(..) => Op::Splat(l.id),
                    From::Walk(w) if w.is_of_rows(row) && w.inner().1 => Op::Repeat(l.id),
                    From::Direct(..) | From::Walk(_) | From::Tile => Op::Load(l.id),
                }));
            }
            for i in instrs {
                // Operands that a function does not have are not read.
                let args = i.src.map(|s| at[s as usize].unwrap_or(Sym(0)));
                at[i.dst as usize] = Some((i.f.trace?)(args));
            }
            stores.iter().map(|s| Some(Output { value: at[s.id as usize]?.0, id: s.id, last: s.how == How::Late })).collect::<Option<Vec<_>>>()
        })?;
        Some(Coded { code: Code::new(&ops, &outputs?)?, row })
    }

    /// # Safety
    /// As `Loop::range`, for a tile of `n` elements whose places are in the table.
    pub unsafe fn tile(&self, at: &mut Table, n: usize) {
        // SAFETY: the caller's.
        unsafe { self.code.run(at, n, 1, &[0; ENTRIES]) }
    }

    /// What `Loop::range` does, through rows.
    /// # Safety
    /// As it; the table has the registers.
    pub unsafe fn range(&self, l: &Loop, bases: Bases, (from, to): (usize, usize), at: &mut Table) {
        let own = *at;
        let mut steps = [0isize; ENTRIES];
        // Bools are made in tiles.
        let most = if l.stores.iter().all(|s| l.is_there(s)) { usize::MAX } else { TILE };
        let mut start = from;
        while start < to {
            let n = (self.row - start % self.row).min(to - start).min(most);
            let mut rows = if n == self.row { ((to - start) / n).min(most / n).max(1) } else { 1 };
            for load in &l.loads {
                let id = load.id as usize;
                let (p, step) = match &load.from {
                    From::Direct(slot, offset) => (bases.at::<f32>(*slot).wrapping_offset(*offset).wrapping_add(start), n as isize),
                    From::Walk(w) => {
                        let (p, step, same) = w.row_at(bases.at(w.slot), start, self.row);
                        rows = rows.min(same);
                        (p, step)
                    }
                    From::Constant(_) | From::Splat(..) | From::Reciprocal(..) | From::Tile => continue,
                };
                (at[id], steps[id]) = (p, step * FLOAT);
            }
            for s in &l.stores {
                let id = s.id as usize;
                (at[id], steps[id]) = (if l.is_there(s) { bases.at::<f32>(s.slot).wrapping_add(start) } else { own[id] }, n as isize * FLOAT);
            }
            // SAFETY: operands lie as their views say, and a tile has room for what is put into it.
            unsafe {
                self.code.run(at, n, rows, &steps);
                for s in l.stores.iter().filter(|s| !l.is_there(s)) { to_bools(own[s.id as usize], bases.at::<u8>(s.slot).wrapping_add(start), n * rows); }
            }
            start += n * rows;
        }
    }

    /// What `Loop::block` does.
    /// # Safety
    /// As it; the table has the registers.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn block(&self, l: &Loop, bases: Bases, (from, to): (usize, usize), (column, width): (usize, usize), columns: usize, (tile, stride): (*const f32, usize), at: &mut Table) {
        let own = *at;
        let mut steps = [0isize; ENTRIES];
        let tiles = l.loads.iter().any(|l| matches!(&l.from, From::Walk(w) if !w.is_of_rows(columns))) || l.stores.iter().any(|s| !l.is_there(s));
        let step = if tiles { (TILE / width).max(1) } else { to - from };
        // SAFETY: as `block`.
        unsafe {
            let mut row = from;
            while row < to {
                let mut rows = step.min(to - row);
                let first = row * columns + column;
                for load in &l.loads { if let From::Walk(w) = &load.from { if w.is_of_rows(columns) { rows = rows.min(w.row_at(bases.at(w.slot), first, columns).2); } } }
                for load in &l.loads {
                    let id = load.id as usize;
                    let (p, step) = match &load.from {
                        From::Tile => (tile.add((row - from) * stride).cast_mut(), stride as isize),
                        From::Direct(slot, offset) => (bases.at::<f32>(*slot).wrapping_offset(*offset).wrapping_add(first), columns as isize),
                        From::Walk(w) if w.is_of_rows(columns) => { let (p, step, _) = w.row_at(bases.at(w.slot), first, columns); (p, step) }
                        From::Walk(w) => { w.pieces(bases.at(w.slot), first, columns, (rows, width), own[id]); (own[id], width as isize) }
                        From::Constant(_) | From::Splat(..) | From::Reciprocal(..) => continue,
                    };
                    (at[id], steps[id]) = (p, step * FLOAT);
                }
                for s in &l.stores {
                    let id = s.id as usize;
                    (at[id], steps[id]) = if l.is_there(s) { (bases.at::<f32>(s.slot).wrapping_add(first), columns as isize * FLOAT) } else { (own[id], width as isize * FLOAT) };
                }
                self.code.run(at, width, rows, &steps);
                for s in l.stores.iter().filter(|s| !l.is_there(s)) {
                    for i in 0..rows { to_bools(own[s.id as usize].add(i * width), bases.at::<u8>(s.slot).wrapping_add(first + i * columns), width); }
                }
                row += rows;
            }
        }
    }
}

/// The elements of the rows in which every operand lies together, or is one; all where each lies in the loop's order.
fn row_of(loads: &[Load]) -> usize {
    let walks = || loads.iter().filter_map(|l| if let From::Walk(w) = &l.from { Some(w) } else { None });
    let row = walks().fold(0, |row, w| crate::gcd(row, w.inner().0));
    if walks().next().is_none() { return usize::MAX; }
    // What is the same in every tile is gathered once.
    let same = walks().all(|w| w.is_same() && !w.inner().1 && TILE.is_multiple_of(w.inner().0.max(1)));
    if row < ROW || same || !walks().all(|w| w.is_of_rows(row)) { 0 } else { row }
}
