//! Products of matrices of f32 or f64 inside plans: by rows, for chunks that go on with them, or by panels with a loop behind.
use std::ops::Range;

use smallvec::SmallVec;

use super::loops::Loop;
use super::{part, Bases, Slot};
use crate::panel::{with_micro, Ahead, Matrix, Micro, Micros, Piece, PACKED, TILED};
use crate::tile::copy_few;
use crate::Dims;

/// Rows that are finished by the loop before the next are made: they stay in the first cache.
const BLOCK: usize = 48;

/// A left operand whose rows' elements lie apart, over more floats than this, is copied together block by block: each element
/// would be in another page.
const APART: usize = 1 << 18;

/// Terms of a deep product's sums that are added up at a time, and how many its sums have at least.
const DEPTH: usize = 256;
const DEEP: usize = 1024;
/// Its columns, or its rows, at most: more would pack the other operand again too often.
const NARROW: usize = 256;
const LOW: usize = 128;
/// Rows or columns of a piece of it at most, tiles of rows at least, and pieces where these allow as many.
const SIDE: usize = 128;
const TILES: usize = 3;
const STRIPS: usize = 8;
const GROUPS: usize = 4;
/// Rows so many elements apart are read as a panel where they lie.
const NEAR: isize = 128;

/// A matrix for each index of the batch axes.
pub struct Operand {
    pub slot: Slot,
    pub offset: isize,
    pub batch: SmallVec<[isize; 4]>,
    pub row: isize,
    pub col: isize,
}

impl Operand {
    /// # Safety
    /// The slot has a base.
    unsafe fn matrix<T>(&self, bases: Bases, batch: &[usize], index: usize) -> Matrix<T> {
        let (mut rest, mut offset) = (index, self.offset);
        for (&n, &s) in batch.iter().zip(&self.batch).rev() {
            offset += (rest % n) as isize * s;
            rest /= n;
        }
        Matrix { data: bases.at::<T>(self.slot).cast_const().wrapping_offset(offset), rows: self.row, cols: self.col }
    }
}

/// Where an operand is packed; one of its own packs what it reads as it goes.
#[derive(Clone, Copy)]
pub enum Packed {
    Own,
    In(Slot),
}

/// `across`: units divide the sums, and each chunk has a result of its own.
pub struct Dot {
    pub micro: Micros,
    pub batch: Dims,
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub a: Operand,
    pub b: Operand,
    pub left: Packed,
    pub right: Packed,
    pub out: Slot,
    pub across: bool,
}

impl Dot {
    pub fn panels(&self) -> usize {
        self.n.div_ceil(self.micro.width())
    }
    /// How many pieces it is cut into.
    pub fn pieces(&self, cut: Cut) -> usize {
        self.panels().div_ceil(cut.panels) * cut.strips
    }
    /// Floats that it works in.
    pub fn room(&self) -> usize {
        (self.k * self.micro.width() + self.copied()) * self.micro.cells()
    }
    /// How a deep product is cut: one of long sums and few columns or rows, whose left operand's columns lie together, so that its rows
    /// would be lines in as many pages.
    pub fn deep(&self) -> Option<Cut> {
        let (rows, width) = (self.micro.rows(), self.micro.width());
        if self.a.row != 1 || self.a.col <= 1 || self.k < DEEP || self.m <= rows || matches!(self.right, Packed::In(_)) {
            return None;
        }
        let (strips, groups) = if self.n <= NARROW {
            (self.m.div_ceil(TILES * rows).min(STRIPS).max(self.m.div_ceil(SIDE)), 1)
        } else if self.m <= LOW {
            (1, self.n.div_ceil(SIDE).max(GROUPS.min(self.panels())))
        } else {
            return None;
        };
        Some(Cut { strips, panels: self.n.div_ceil(groups * width), deep: true })
    }
    /// True if the left operand is better packed before the product begins.
    pub fn packs_left(&self) -> bool {
        self.micro.packs_left((self.a.row, self.a.col), self.m, self.k, self.n)
    }
    /// Elements of the copy of a block of rows of the left operand.
    fn copied(&self) -> usize {
        if matches!(self.left, Packed::Own)
            && self.a.row == 1
            && self.a.col > 1
            && self.a.col.unsigned_abs() * self.k >= APART
            && self.m > 1
        {
            BLOCK * self.k
        } else {
            0
        }
    }

    /// Rows `from..to` of the left operand, where `from` begins a tile; copied together where their elements lie far apart.
    /// # Safety
    /// `room` has the elements of `copied`.
    unsafe fn block<T: Copy>(&self, bases: Bases, a: Matrix<T>, from: usize, to: usize, room: *mut T) -> Matrix<T> {
        if let Packed::In(slot) = self.left {
            return Matrix { data: bases.at::<T>(slot).cast_const().wrapping_add(from * self.k), rows: TILED, cols: 0 };
        }
        if self.copied() == 0 {
            return a.from(from, 0);
        }
        // SAFETY: the rows lie one behind the other.
        unsafe {
            for l in 0..self.k {
                copy_few(a.at(from, l).cast(), room.add(l * BLOCK).cast(), (to - from) * self.micro.cells());
            }
        }
        Matrix { data: room, rows: 1, cols: BLOCK as isize }
    }

    /// One panel of the right operand, of `depth` rows, and the distance of its rows; packs it into the room if it does not serve as it lies.
    /// # Safety
    /// As `run`.
    unsafe fn panel<T: Copy>(
        &self,
        micro: Micro<T>,
        bases: Bases,
        (b, depth): (Matrix<T>, usize),
        panel: usize,
        rows: usize,
        room: *mut T,
    ) -> (*const T, usize) {
        let width = micro.width;
        // SAFETY: the caller's.
        unsafe {
            if let Packed::In(slot) = self.right {
                return (bases.at::<T>(slot).cast_const().wrapping_add(panel * self.k * width), PACKED);
            }
            let whole = (panel + 1) * width <= self.n;
            if b.cols == 1 && whole && b.rows >= 0 && (rows <= 4 * micro.rows || b.rows <= NEAR) {
                return (b.data.wrapping_add(panel * width), b.rows as usize);
            }
            micro.pack(b.from(0, panel * width), depth, width.min(self.n - panel * width), 0, 1, room);
            (room, PACKED)
        }
    }

    /// Rows of all batch items, divided in units; with `across` the sums of `chunk`, added to what is there when it comes `again`.
    /// # Safety
    /// As `Kernel::run`.
    pub unsafe fn run(&self, bases: Bases, units: (usize, usize, usize), (chunk, again): (usize, bool), room: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            with_micro!(self.micro, m => if self.across { self.sum(m, bases, units, (chunk, again), room.cast()) } else { self.run_with(m, bases, units, room.cast()) })
        }
    }

    unsafe fn sum<T: Copy>(
        &self,
        micro: Micro<T>,
        bases: Bases,
        (from, to, of): (usize, usize, usize),
        (chunk, again): (usize, bool),
        room: *mut T,
    ) {
        let (first, last) = (part(self.k, from, of), part(self.k, to, of));
        let out = bases.at::<T>(self.out).wrapping_add(chunk * self.m * self.n);
        // SAFETY: operands lie as their strides say; the chunk's result is this call's.
        unsafe {
            let (a, b) = (self.a.matrix(bases, &[], 0).from(0, first), self.b.matrix(bases, &[], 0).from(first, 0));
            self.rows(micro, bases, a, (b, last - first), (self.m, self.m), (out, again), room);
        }
    }

    /// `rows` rows of the result, `all` of which will be made of the same right operand, of `depth` rows; added to what is there with `add`.
    /// # Safety
    /// As `run`.
    #[allow(clippy::too_many_arguments)]
    unsafe fn rows<T: Copy>(
        &self,
        micro: Micro<T>,
        bases: Bases,
        left: Matrix<T>,
        (b, depth): (Matrix<T>, usize),
        (rows, all): (usize, usize),
        (out, add): (*mut T, bool),
        room: *mut T,
    ) {
        for p in 0..self.panels() {
            let (column, width) = (p * micro.width, micro.width.min(self.n - p * micro.width));
            // SAFETY: the caller's.
            unsafe {
                let (panel, ldb) = self.panel(micro, bases, (b, depth), p, all, room);
                // The next panel is on its way meanwhile.
                let mut ahead = match self.right {
                    Packed::In(_) if p + 1 < self.panels() => {
                        Ahead::all(panel.wrapping_add(depth * micro.width), depth * micro.width, depth)
                    }
                    _ => Ahead::default(),
                };
                micro.run_ahead(Piece { from: 0, to: rows, column, width, depth }, left, panel, ldb, out, self.n, add, &mut ahead);
            }
        }
    }

    unsafe fn run_with<T: Copy>(&self, micro: Micro<T>, bases: Bases, (from, to, of): (usize, usize, usize), room: *mut T) {
        let items: usize = self.batch.iter().product();
        let (start, end) = (part(items * self.m, from, of), part(items * self.m, to, of));
        let out = bases.at::<T>(self.out);
        let mut row = start;
        while row < end {
            let (item, first) = (row / self.m, row % self.m);
            let last = self.m.min(first + end - row);
            // SAFETY: operands lie as their strides say; the rows of the result are this call's.
            unsafe {
                let (a, b) = (self.a.matrix(bases, &self.batch, item), self.b.matrix(bases, &self.batch, item));
                let out = out.wrapping_add((row - first) * self.n);
                let step = if self.copied() > 0 { BLOCK } else { last - first };
                let mut at = first;
                while at < last {
                    let end = last.min(at + step);
                    let left = self.block(bases, a, at, end, room.add(self.k * micro.width));
                    self.rows(micro, bases, left, (b, self.k), (end - at, last - first), (out.wrapping_add(at * self.n), false), room);
                    at = end;
                }
            }
            row += last - first;
        }
    }
}

/// Strips of rows, and the panels of columns of a piece. A piece of a `deep` product packs a part of its sums at a time, so that both operands
/// are read few times and wait in the second cache.
#[derive(Clone, Copy)]
pub struct Cut {
    pub strips: usize,
    pub panels: usize,
    pub deep: bool,
}

/// A product cut into pieces.
pub struct Product {
    pub dot: Dot,
    pub cut: Cut,
    pub behind: Option<Loop>,
}

impl Product {
    pub fn pieces(&self) -> usize {
        self.dot.pieces(self.cut)
    }
    /// The rows and the panels of a piece; strips begin where tiles do.
    fn piece(&self, i: usize) -> (Range<usize>, Range<usize>) {
        let (rows, Cut { strips, panels, .. }) = (self.dot.micro.rows(), self.cut);
        let edge = |i: usize| self.dot.m.min(part(self.dot.m.div_ceil(rows), i, strips) * rows);
        let (strip, first) = (i % strips, i / strips * panels);
        (edge(strip)..edge(strip + 1), first..self.dot.panels().min(first + panels))
    }
    /// Elements of a deep piece's room: a part of the left operand, of the right one, and the results.
    fn parts(&self) -> [usize; 3] {
        let (rows, wide) = (self.dot.micro.rows(), self.cut.panels * self.dot.micro.width());
        let tall = self.dot.m.div_ceil(rows).div_ceil(self.cut.strips) * rows;
        [tall * DEPTH, DEPTH * wide, tall * wide]
    }
    pub fn room(&self) -> usize {
        let (cells, block) = (self.dot.micro.cells(), self.behind.as_ref().map_or(0, Loop::block_room));
        if self.cut.deep {
            return self.parts().iter().sum::<usize>() * cells + block;
        }
        self.dot.room() + if self.behind.is_some() { BLOCK * self.dot.micro.width() * cells + block } else { 0 }
    }

    /// # Safety
    /// As `Kernel::run`.
    pub unsafe fn run(&self, bases: Bases, from: usize, to: usize, of: usize, room: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            with_micro!(self.dot.micro, m => {
                let pieces = part(self.pieces(), from, of)..part(self.pieces(), to, of);
                if self.cut.deep {
                    pieces.for_each(|piece| self.deep(m, bases, piece, room.cast()))
                } else {
                    self.run_with(m, bases, pieces, room.cast())
                }
            })
        }
    }

    /// A piece of a deep product.
    unsafe fn deep<T: Copy>(&self, micro: Micro<T>, bases: Bases, piece: usize, room: *mut T) {
        let (d, cells, width) = (&self.dot, self.dot.micro.cells(), micro.width);
        let (strip, panels) = self.piece(piece);
        let columns = panels.start * width..d.n.min(panels.end * width);
        let (rows, [left, right, results]) = (strip.len(), self.parts());
        // SAFETY: operands lie as their strides say; the piece of the result is this call's, and parts of the room lie one behind the other.
        unsafe {
            let (a, b) = (d.a.matrix::<T>(bases, &[], 0).from(strip.start, 0), d.b.matrix::<T>(bases, &[], 0).from(0, columns.start));
            let (packed, sums) = (room.add(left), room.add(left + right));
            // In the result itself if nothing follows.
            let (out, stride) = match self.behind {
                Some(_) => (sums, self.cut.panels * width),
                None => (bases.at::<T>(d.out).wrapping_add(strip.start * d.n + columns.start), d.n),
            };
            let near = b.cols == 1 && (0..=NEAR).contains(&b.rows) && columns.len().is_multiple_of(width);
            for l in (0..d.k).step_by(DEPTH) {
                let (depth, next) = (DEPTH.min(d.k - l), l + DEPTH);
                micro.pack_left(a.from(0, l), rows, depth, 0, depth, room);
                if !near {
                    micro.pack(b.from(l, 0), depth, columns.len(), 0, panels.len(), packed);
                }
                // The next parts are on their way meanwhile.
                let lines = if b.cols == 1 { columns.len() } else { 0 };
                let mut ahead = if next < d.k {
                    Ahead::rows([(a.at(0, next), rows, a.cols), (b.at(next, 0), lines, b.rows)])
                } else {
                    Ahead::default()
                };
                for column in columns.clone().step_by(width) {
                    let at = column - columns.start;
                    let (panel, ldb) = if near { (b.at(l, at), b.rows as usize) } else { (packed.add(at * depth).cast_const(), PACKED) };
                    for row in (0..rows).step_by(BLOCK) {
                        let end = rows.min(row + BLOCK);
                        let piece = Piece { from: 0, to: end - row, column: at, width: width.min(columns.end - column), depth };
                        let tiles = Matrix { data: room.add(row * depth).cast_const(), rows: TILED, cols: 0 };
                        let to = out.wrapping_add(row * stride);
                        let (block, place) = ((strip.start + row, strip.start + end), (column * cells, piece.width * cells));
                        let behind = self.behind.as_ref().filter(|_| next >= d.k);
                        if let Some(behind) = behind {
                            behind.prefetch(bases, block, place, d.n * cells);
                        }
                        micro.run_ahead(piece, tiles, panel, ldb, to, stride, l > 0, &mut ahead);
                        if let Some(behind) = behind {
                            let (tile, room) = (to.wrapping_add(at).cast_const().cast(), sums.add(results).cast());
                            behind.block(bases, block, place, d.n * cells, tile, stride * cells, room);
                        }
                    }
                }
            }
        }
    }

    unsafe fn run_with<T: Copy>(&self, micro: Micro<T>, bases: Bases, pieces: Range<usize>, room: *mut T) {
        let (d, cells) = (&self.dot, self.dot.micro.cells());
        let (width, mut packed) = (micro.width, None);
        // SAFETY: operands lie as their strides say; the pieces of the result are this call's.
        unsafe {
            let (a, b) = (d.a.matrix(bases, &[], 0), d.b.matrix(bases, &[], 0));
            let (copy, tile) = (room.add(d.k * width), room.add(d.room() / cells));
            for piece in pieces {
                let (Range { start: first, end: last }, Range { start: p, .. }) = self.piece(piece);
                let (panel, ldb) = match packed {
                    Some((q, at)) if q == p => at,
                    _ => d.panel(micro, bases, (b, d.k), p, last - first, room),
                };
                packed = Some((p, (panel, ldb)));
                let (column, columns) = (p * width, width.min(d.n - p * width));
                let mut row = first;
                while row < last {
                    let end = last.min(row + BLOCK);
                    let a = d.block(bases, a, row, end, copy);
                    let piece = |column| Piece { from: 0, to: end - row, column, width: columns, depth: d.k };
                    match &self.behind {
                        None => micro.run(piece(column), a, panel, ldb, bases.at::<T>(d.out).wrapping_add(row * d.n), d.n, false),
                        Some(behind) => {
                            let place = (column * cells, columns * cells);
                            behind.prefetch(bases, (row, end), place, d.n * cells);
                            micro.run(piece(0), a, panel, ldb, tile, width, false);
                            behind.block(bases, (row, end), place, d.n * cells, tile.cast(), width * cells, tile.add(BLOCK * width).cast());
                        }
                    }
                    row = end;
                }
            }
        }
    }
}

/// The panels of a right operand that many chunks or steps read.
pub struct Pack {
    pub micro: Micros,
    pub k: usize,
    pub n: usize,
    pub b: Operand,
    pub out: Slot,
}

impl Pack {
    pub fn panels(&self) -> usize {
        self.n.div_ceil(self.micro.width())
    }
    /// # Safety
    /// As `Kernel::run`.
    pub unsafe fn run(&self, bases: Bases, from: usize, to: usize) {
        // SAFETY: the caller's.
        unsafe { with_micro!(self.micro, x => x.pack(self.b.matrix(bases, &[], 0), self.k, self.n, from, to, bases.at(self.out))) };
    }
}

/// A left operand whose columns lie together, packed for many panels.
pub struct PackLeft {
    pub micro: Micros,
    pub m: usize,
    pub k: usize,
    pub a: Operand,
    pub out: Slot,
}

impl PackLeft {
    /// Columns `from..to`.
    /// # Safety
    /// As `Kernel::run`.
    pub unsafe fn run(&self, bases: Bases, from: usize, to: usize) {
        // SAFETY: the caller's.
        unsafe { with_micro!(self.micro, x => x.pack_left(self.a.matrix(bases, &[], 0), self.m, self.k, from, to, bases.at(self.out))) };
    }
}
