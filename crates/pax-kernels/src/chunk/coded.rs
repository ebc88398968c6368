//! Loops with machine code of their own: it reads and writes most operands where they lie, row by row.
use super::loops::{own, From, How, Id, Instr, Load, Loop, Store, Table, ENTRIES, TILE};
use super::walk::is_narrow;
use super::Bases;
use crate::code::trace::{trace, Op, Sym};
use crate::code::{Code, Output, To};
use crate::tile::Simd;
use crate::DType;

/// Rows of fewer cells are gathered in tiles.
const ROW: usize = 2;
/// Rows of so many cells are read where they lie.
const LONG: usize = 16;
const FLOAT: isize = size_of::<f32>() as isize;

/// `row`: cells of the rows that a range goes through; 0 where it goes through tiles. `narrow`: it reads and writes narrow elements where
/// they lie, too.
pub struct Coded {
    code: Code,
    pub row: usize,
    narrow: bool,
}

impl Coded {
    /// What the functions do one after the other, as one function, of float64 if it is `double`. `columns` of cells: those of the product before
    /// the loop; `sums`: those that it has sums of.
    pub fn new(
        simd: Simd,
        double: bool,
        columns: Option<usize>,
        sums: Option<usize>,
        loads: &[Load],
        instrs: &[Instr],
        stores: &[Store],
    ) -> Option<Coded> {
        debug_assert!(stores.iter().all(|s| loads.iter().all(|l| l.id != s.id)), "an entry of the table is an operand or a result");
        let narrow = !double;
        if sums.is_some_and(|row| !are_rows(loads, row, narrow)) {
            return None;
        }
        let row = columns.or(sums).unwrap_or_else(|| row_of(loads, narrow));
        let narrow = narrow && row > 0;
        let (ops, outputs) = trace(simd, || {
            let mut at = [None; ENTRIES];
            for l in loads {
                at[l.id as usize] = Some(Sym::of(match &l.from {
                    From::Constant(bits) if double => Op::Wide(*bits),
                    From::Constant(bits) => Op::Constant(*bits as u32),
                    From::Splat(..) | From::Reciprocal(..) => Op::Splat(l.id),
                    From::Walk(w) if w.is_of_rows(row, narrow) && w.inner().1 => Op::Repeat(l.id),
                    From::Walk(w) if w.is_of_rows(row, narrow) && is_narrow(w.dtype) => Op::Narrow(l.id, w.dtype),
                    From::Direct(..) | From::Walk(_) | From::Tile => Op::Load(l.id),
                }));
            }
            for i in instrs {
                // Operands that a function does not have are not read.
                let args = i.src.map(|s| at[s as usize].unwrap_or(Sym(0)));
                at[i.dst as usize] = Some((i.f.trace?)(args));
            }
            stores
                .iter()
                .map(|s| {
                    let to = match s.how {
                        How::Narrow(dtype) if narrow => To::Narrow(dtype),
                        How::Sum => To::Sum,
                        _ => To::Plain,
                    };
                    // What is narrow may lie over an operand, too.
                    let last = s.how == How::Late || matches!(to, To::Narrow(_));
                    Some(Output { value: at[s.id as usize]?.0, id: s.id, last, to })
                })
                .collect::<Option<Vec<_>>>()
        });
        Some(Coded { code: Code::new(simd, double, &ops, &outputs?)?, row, narrow })
    }

    /// # Safety
    /// As `Loop::range`, for a tile of `n` elements whose places are in the table.
    pub unsafe fn tile(&self, at: &mut Table, n: usize) {
        // SAFETY: the caller's.
        unsafe { self.code.run(at, n, 1, &[0; ENTRIES]) }
    }

    /// Where the row that begins at element `first` lies in all that is read and made in place, and the bytes to the next; `line` elements
    /// lie between rows in the loop's own order, `width` in a tile. Gives the rows for which that holds.
    #[allow(clippy::too_many_arguments)]
    fn places(
        &self,
        l: &Loop,
        bases: Bases,
        (first, line, width): (usize, usize, usize),
        room: *mut f32,
        at: &mut Table,
        steps: &mut [isize; ENTRIES],
    ) -> usize {
        let mut rows = usize::MAX;
        let mut place = |id: Id, (p, step): (*mut u8, isize)| (at[id as usize], steps[id as usize]) = (p.cast(), step);
        let cells = |p: *mut f32, step: usize| (p.cast(), step as isize * FLOAT);
        for load in &l.loads {
            match &load.from {
                From::Direct(slot, offset) => {
                    place(load.id, cells(bases.at::<f32>(*slot).wrapping_offset(*offset).wrapping_add(first), line))
                }
                From::Walk(w) if w.is_of_rows(self.row, self.narrow) => {
                    let (p, step, same) = w.row_at(bases.at(w.slot), first, self.row);
                    rows = rows.min(same);
                    place(load.id, (p, step));
                }
                From::Walk(_) | From::Constant(_) | From::Splat(..) | From::Reciprocal(..) | From::Tile => {}
            }
        }
        for s in &l.stores {
            place(
                s.id,
                match s.how {
                    How::Sum => continue,
                    How::Narrow(dtype) if self.narrow => {
                        (bases.at::<u8>(s.slot).wrapping_add(first * dtype.size()), (line * dtype.size()) as isize)
                    }
                    _ if l.is_there(s) => cells(bases.at::<f32>(s.slot).wrapping_add(first), line),
                    _ => cells(own(room, s.id), width),
                },
            );
        }
        rows
    }

    /// The narrow result that a store makes in a tile, to be copied.
    fn copied(&self, s: &Store) -> Option<DType> {
        if let How::Narrow(dtype) = s.how {
            Some(dtype).filter(|_| !self.narrow)
        } else {
            None
        }
    }

    /// What `Loop::range` does, through rows.
    /// # Safety
    /// As it; the table has the registers, whose tiles are in the room.
    pub unsafe fn range(&self, l: &Loop, bases: Bases, (from, to): (usize, usize), room: *mut f32, at: &mut Table) {
        let mut steps = [0isize; ENTRIES];
        // What is narrow is made in tiles.
        let most = if l.stores.iter().all(|s| self.copied(s).is_none()) { usize::MAX } else { TILE };
        let mut start = from;
        while start < to {
            let n = (self.row - start % self.row).min(to - start).min(most);
            let same = self.places(l, bases, (start, n, n), room, at, &mut steps);
            let rows = if n == self.row { ((to - start) / n).min(most / n).max(1).min(same) } else { 1 };
            // SAFETY: operands lie as their views say, and a tile has room for what is put into it.
            unsafe {
                self.code.run(at, n, rows, &steps);
                for s in &l.stores {
                    if let Some(dtype) = self.copied(s) {
                        l.narrow(dtype, own(room, s.id), bases.at(s.slot), start, n * rows);
                    }
                }
            }
            start += n * rows;
        }
    }

    /// What `Loop::block` does; its columns are the row's.
    /// # Safety
    /// As it; the table has the registers, whose tiles are in the room.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn block(
        &self,
        l: &Loop,
        bases: Bases,
        (from, to): (usize, usize),
        (column, width): (usize, usize),
        (tile, stride): (*const f32, usize),
        room: *mut f32,
        at: &mut Table,
    ) {
        let columns = self.row;
        let mut steps = [0isize; ENTRIES];
        let gathered = || {
            l.loads.iter().filter_map(|l| match &l.from {
                From::Walk(w) if !w.is_of_rows(columns, self.narrow) => Some((l.id, w)),
                _ => None,
            })
        };
        let tiles = gathered().next().is_some() || l.stores.iter().any(|s| self.copied(s).is_some());
        let step = if tiles { (TILE / width).max(1) } else { to - from };
        // SAFETY: as `block`.
        unsafe {
            let mut row = from;
            while row < to {
                let first = row * columns + column;
                let rows = self.places(l, bases, (first, columns, width), room, at, &mut steps).min(step).min(to - row);
                for load in l.loads.iter().filter(|l| l.from == From::Tile) {
                    (at[load.id as usize], steps[load.id as usize]) = (tile.add((row - from) * stride).cast_mut(), stride as isize * FLOAT);
                }
                for (id, w) in gathered() {
                    w.pieces(bases.at(w.slot), first, columns, (rows, width), own(room, id));
                    (at[id as usize], steps[id as usize]) = (own(room, id), width as isize * FLOAT);
                }
                self.code.run(at, width, rows, &steps);
                for s in &l.stores {
                    let Some(dtype) = self.copied(s) else { continue };
                    for i in 0..rows {
                        l.narrow(dtype, own(room, s.id).add(i * width), bases.at(s.slot), first + i * columns, width);
                    }
                }
                row += rows;
            }
        }
    }
}

/// True if every operand lies together, or is one, in rows of so many cells.
pub fn are_rows(loads: &[Load], row: usize, narrow: bool) -> bool {
    row >= LONG && loads.iter().all(|l| !matches!(&l.from, From::Walk(w) if !w.is_of_rows(row, narrow)))
}

/// The elements of the rows in which every operand lies together, or is one; all where each lies in the loop's order.
fn row_of(loads: &[Load], narrow: bool) -> usize {
    let walks = || loads.iter().filter_map(|l| if let From::Walk(w) = &l.from { Some(w) } else { None });
    let row = walks().fold(0, |row, w| crate::gcd(row, w.inner().0));
    if walks().next().is_none() {
        return usize::MAX;
    }
    // What is the same in every tile is gathered once, where rows are short.
    let same = row < LONG && walks().all(|w| w.is_same() && !w.inner().1 && TILE.is_multiple_of(w.inner().0.max(1)));
    if row < ROW || same || !walks().all(|w| w.is_of_rows(row, narrow)) {
        0
    } else {
        row
    }
}
