//! A fused element-wise loop: instructions over tiles of a few hundred elements, whose operands stay in the first cache.
//! It runs over a range of the result, or over a block of rows and columns behind a product. Places and sizes are in cells of four
//! bytes: an element takes one, or two where the loop is of float64.
use half::slice::HalfFloatSliceExt;

#[cfg(target_arch = "x86_64")]
use super::coded::Coded;
use super::walk::Walk;
use super::{part, Bases, Slot};
use crate::dtype::{bf16, f16};
use crate::fold::{Accumulate, Fold};
use crate::tile::{copy_few, Function, Simd};
use crate::{ask, DType};

/// Cells of a tile.
pub const TILE: usize = 512;
/// Floats from one tile to the next: not a part of a page, or the same elements of all tiles would want the same places in the cache.
pub const STRIDE: usize = TILE + 16;
/// Elements of a loop that is worth machine code of its own.
#[cfg(target_arch = "x86_64")]
const COMPILED: usize = 16;
/// Cells of an operand that is one number: a vector for code, a tile for functions.
const VECTOR: usize = 16;
/// Tiles that a range has room for: registers.
pub const ROOM: usize = 48;

/// A place in the pointer table: registers first, then (from `ROOM` on) operands and results that are used where they lie.
pub type Id = u8;

pub struct Instr {
    pub f: Function,
    pub dst: Id,
    pub src: [Id; 3],
}

#[derive(Clone, Debug, PartialEq)]
pub enum From {
    /// The same bits everywhere, of an element.
    Constant(u64),
    /// One element, repeated.
    Splat(Walk),
    /// One divided by it.
    Reciprocal(Walk),
    /// Elements in the loop's order; read where they lie.
    Direct(Slot, isize),
    Walk(Walk),
    /// What the product before the loop made of this block.
    Tile,
}
pub struct Load {
    pub id: Id,
    pub from: From,
}
/// How a result gets into memory.
#[derive(Clone, Copy, PartialEq)]
pub enum How {
    /// Made where it lies.
    There,
    /// Copied when the tile is done: it may lie over an operand.
    Late,
    /// Copied when the tile is done, to elements of fewer bytes, which hold its numbers as they are.
    Narrow(DType),
    /// Added to a row of sums, which each chunk has for itself.
    Sum,
}
pub struct Store {
    pub id: Id,
    pub slot: Slot,
    pub how: How,
}

/// Spare rows of each sum over so many rows.
fn levels(rows: usize) -> usize {
    rows.div_ceil(ROWS).next_power_of_two().trailing_zeros() as usize + 1
}

/// True if loops of these operands make sums of rows of so many cells while they run.
pub fn sums_rows(simd: Simd, row: usize, cells: usize, loads: &[Load], functions: impl IntoIterator<Item = Function>) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let has_code = simd >= Simd::Avx2 && functions.into_iter().all(|f| f.trace.is_some());
        has_code && row <= SUMMED && super::coded::are_rows(loads, row, cells == 1)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (simd, row, cells, loads, functions);
        false
    }
}

/// True if a product with the reciprocal of `x` is the quotient, but for its last place.
pub fn has_reciprocal(x: f64, double: bool) -> bool {
    if double {
        (1.0 / x).is_normal()
    } else {
        (1.0 / x as f32).is_normal()
    }
}

/// Most sums of a loop, and most cells of a row of them.
pub const SUMS: usize = 4;
pub const SUMMED: usize = 1024;
/// Rows that are added one after the other: sums of more are made of two, so that they stay accurate.
const ROWS: usize = 128;
/// The rows of sums of a chunk.
type Sums = [*mut f32; SUMS];

/// `size` in cells, `cells` of an element; `tiles`: with those that a block uses for what a range reads and writes where it lies; `row`: cells
/// of a row of sums, if it makes such.
pub struct Loop {
    pub size: usize,
    pub cells: usize,
    pub registers: usize,
    pub tiles: usize,
    row: Option<usize>,
    pub loads: Vec<Load>,
    pub instrs: Vec<Instr>,
    pub stores: Vec<Store>,
    #[cfg(target_arch = "x86_64")]
    code: Option<Coded>,
    /// What runs where a number that this loop takes the reciprocal of has none.
    exact: Option<Box<Loop>>,
}

/// Registers, then pointers: more than the expressions and loads of a loop can be.
pub const ENTRIES: usize = 128;
pub type Table = [*mut f32; ENTRIES];

/// A register's tile.
pub(super) fn own(room: *mut f32, id: Id) -> *mut f32 {
    room.wrapping_add(id as usize * STRIDE)
}

impl Loop {
    /// Of `size` elements of so many cells; `columns` of cells: those of the product that it comes behind; `row`: those of a row of sums.
    pub fn new(
        simd: Simd,
        (size, cells): (usize, usize),
        (columns, row): (Option<usize>, Option<usize>),
        (registers, tiles): (usize, usize),
        loads: Vec<Load>,
        instrs: Vec<Instr>,
        stores: Vec<Store>,
    ) -> Loop {
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (simd, columns);
        Loop {
            #[cfg(target_arch = "x86_64")]
            code: if simd >= Simd::Avx2 && size >= COMPILED {
                Coded::new(simd, cells == 2, columns, row, &loads, &instrs, &stores)
            } else {
                None
            },
            size: size * cells,
            cells,
            registers,
            tiles,
            row,
            loads,
            instrs,
            stores,
            exact: None,
        }
    }

    /// The same, with what runs instead where a reciprocal is none.
    pub fn or(self, exact: Loop) -> Loop {
        Loop { exact: Some(Box::new(exact)), ..self }
    }

    /// The loop that runs with these numbers.
    /// # Safety
    /// As `range`.
    unsafe fn exact(&self, bases: Bases) -> Option<&Loop> {
        let exact = self.exact.as_deref()?;
        let none = |l: &Load| {
            // SAFETY: the caller's.
            matches!(&l.from, From::Reciprocal(w) if !has_reciprocal(unsafe { self.number(bases, w) }, self.cells == 2))
        };
        self.loads.iter().any(none).then_some(exact)
    }

    /// The bits of a repeated element; those of a float32 are the lower half.
    unsafe fn bits(&self, bases: Bases, w: &Walk) -> u64 {
        let mut bits = 0u64;
        // SAFETY: the caller's.
        unsafe { w.copy(bases.at(w.slot), 0, self.cells, (&raw mut bits).cast()) };
        bits
    }
    unsafe fn number(&self, bases: Bases, w: &Walk) -> f64 {
        // SAFETY: the caller's.
        let bits = unsafe { self.bits(bases, w) };
        if self.cells == 2 {
            f64::from_bits(bits)
        } else {
            f64::from(f32::from_bits(bits as u32))
        }
    }

    /// True if it has code of its own.
    pub fn is_compiled(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.code.is_some();
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// The cell that unit `i` of `of` begins with.
    pub(super) fn part(&self, i: usize, of: usize) -> usize {
        part(self.size / self.cells, i, of) * self.cells
    }

    /// Floats that a range works in.
    pub fn room(&self) -> usize {
        self.own_tiles() * STRIDE + self.row.map_or(0, |row| row * self.sums().count() * levels(self.size / row))
    }
    /// Tiles that a range works in.
    fn own_tiles(&self) -> usize {
        self.registers.max(self.exact.as_ref().map_or(0, |e| e.registers))
    }
    fn sums(&self) -> impl Iterator<Item = &Store> {
        self.stores.iter().filter(|s| s.how == How::Sum)
    }

    /// Floats that a block works in.
    pub fn block_room(&self) -> usize {
        let most = self.exact.as_ref().map_or(0, |e| e.tiles);
        self.tiles.max(most) * STRIDE
    }

    /// Cells `from..to` of the results; sums are those of `chunk`, which has made others of them before when it comes `again`.
    /// # Safety
    /// `bases` are as the plan says, and nobody else writes these cells; `room` has the floats it asked for.
    pub unsafe fn range(&self, bases: Bases, (from, to): (usize, usize), (chunk, again): (usize, bool), room: *mut f32) {
        debug_assert!(self.row.is_none_or(|row| from % row == 0 && to % row == 0), "units are whole rows");
        let mut sums = [std::ptr::null_mut(); SUMS];
        // SAFETY: the caller's; the room has the spare rows of sums behind its tiles.
        unsafe {
            for (s, sum) in self.sums().zip(&mut sums) {
                let row = self.row.unwrap_or(0);
                *sum = bases.at::<f32>(s.slot).wrapping_add(chunk * row);
                if !again {
                    std::slice::from_raw_parts_mut(*sum, row).fill(0.0);
                }
            }
            let this = self.exact(bases).unwrap_or(self);
            this.halves(bases, (from, to), &sums, room, room.wrapping_add(self.own_tiles() * STRIDE));
        }
    }

    /// The same, with sums made in pairs, of pairs, … in `spare` rows.
    /// # Safety
    /// As `range`.
    unsafe fn halves(&self, bases: Bases, (from, to): (usize, usize), sums: &Sums, room: *mut f32, spare: *mut f32) {
        let Some(row) = self.row.filter(|row| to - from > ROWS * row) else {
            // SAFETY: the caller's.
            return unsafe { self.tiles(bases, (from, to), sums, room) };
        };
        let half = from + (to - from) / row / 2 * row;
        let count = self.sums().count();
        let mut others = [std::ptr::null_mut(); SUMS];
        for (k, other) in others.iter_mut().enumerate() {
            *other = spare.wrapping_add(k * row);
        }
        // SAFETY: the caller's; rows of sums are apart from each other.
        unsafe {
            self.halves(bases, (from, half), sums, room, spare);
            std::slice::from_raw_parts_mut(spare, count * row).fill(0.0);
            self.halves(bases, (half, to), &others, room, spare.wrapping_add(count * row));
            for (sum, other) in sums.iter().zip(others).take(count) {
                self.add(*sum, other, row);
            }
        }
    }

    /// Adds `n` cells to others.
    /// # Safety
    /// Both hold them.
    unsafe fn add(&self, sum: *mut f32, x: *const f32, n: usize) {
        // SAFETY: the caller's.
        unsafe {
            if self.cells == 2 {
                f64::columns(Fold::Sum)(x.cast(), 1, n / 2, 0, sum.cast())
            } else {
                f32::columns(Fold::Sum)(x, 1, n, 0, sum)
            }
        }
    }

    /// The same, tile by tile, or by code.
    /// # Safety
    /// As `range`.
    unsafe fn tiles(&self, bases: Bases, (from, to): (usize, usize), sums: &Sums, room: *mut f32) {
        if from >= to {
            return;
        }
        let mut at: Table = [std::ptr::null_mut(); ENTRIES];
        // Operands that every tile sees alike are read once.
        let mut repeats = [false; ROOM];
        for l in &self.loads {
            if let From::Walk(w) = &l.from {
                repeats[l.id as usize] = w.repeats(from);
            }
        }
        // SAFETY: registers are apart from each other and from every buffer; the rest is the caller's.
        unsafe {
            self.begin(bases, &mut at, room, self.registers);
            #[cfg(target_arch = "x86_64")]
            if let Some(code) = self.code.as_ref().filter(|c| c.row > 0) {
                for (s, &sum) in self.sums().zip(sums) {
                    at[s.id as usize] = sum;
                }
                return code.range(self, bases, (from, to), room, &mut at);
            }
            let mut start = from;
            while start < to {
                let n = TILE.min(to - start);
                for l in &self.loads {
                    match &l.from {
                        From::Direct(slot, offset) => at[l.id as usize] = bases.at::<f32>(*slot).wrapping_offset(*offset + start as isize),
                        From::Walk(w) if repeats[l.id as usize] && start == from => {
                            w.copy(bases.at(w.slot), start, TILE.min(self.size - start), own(room, l.id));
                            at[l.id as usize] = own(room, l.id);
                        }
                        From::Walk(w) if !repeats[l.id as usize] => {
                            at[l.id as usize] = match w.there(bases.at(w.slot), start, n) {
                                Some(p) => p,
                                None => {
                                    w.copy(bases.at(w.slot), start, n, own(room, l.id));
                                    own(room, l.id)
                                }
                            }
                        }
                        _ => {}
                    }
                }
                for s in &self.stores {
                    if self.is_there(s) {
                        at[s.id as usize] = bases.at::<f32>(s.slot).wrapping_add(start);
                    }
                }
                self.tile(&mut at, n);
                for s in self.stores.iter().filter(|s| !self.is_there(s)) {
                    match s.how {
                        How::There | How::Late => {
                            std::ptr::copy_nonoverlapping(at[s.id as usize].cast_const(), bases.at::<f32>(s.slot).wrapping_add(start), n)
                        }
                        How::Narrow(dtype) => self.narrow(dtype, at[s.id as usize], bases.at(s.slot), start, n),
                        How::Sum => {}
                    }
                }
                for (s, &sum) in self.sums().zip(sums) {
                    let (row, mut done) = (self.row.unwrap_or(n), 0);
                    while done < n {
                        let column = (start + done) % row;
                        let part = (row - column).min(n - done);
                        self.add(sum.add(column), at[s.id as usize].add(done), part);
                        done += part;
                    }
                }
                start += n;
            }
        }
    }

    /// Runs over rows `from..to` of `width` columns from `column` on, of a result with `columns` in all; `tile` holds the
    /// product's part, its rows `stride` apart.
    /// # Safety
    /// As `range`; `room` has what `block_room` says.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn block(
        &self,
        bases: Bases,
        (from, to): (usize, usize),
        (column, width): (usize, usize),
        columns: usize,
        tile: *const f32,
        stride: usize,
        room: *mut f32,
    ) {
        // SAFETY: the caller's.
        if let Some(exact) = unsafe { self.exact(bases) } {
            // SAFETY: as here.
            return unsafe { exact.block(bases, (from, to), (column, width), columns, tile, stride, room) };
        }
        let mut at: Table = [std::ptr::null_mut(); ENTRIES];
        // SAFETY: as above.
        unsafe {
            self.begin(bases, &mut at, room, self.tiles);
            #[cfg(target_arch = "x86_64")]
            if let Some(code) = &self.code {
                return code.block(self, bases, (from, to), (column, width), (tile, stride), room, &mut at);
            }
            let step = (TILE / width).max(1);
            let mut row = from;
            while row < to {
                let rows = step.min(to - row);
                let index = |i: usize| (row + i) * columns + column;
                for l in &self.loads {
                    let dst = at[l.id as usize];
                    match &l.from {
                        From::Tile if stride == width => at[l.id as usize] = tile.add((row - from) * stride).cast_mut(),
                        From::Tile => {
                            for i in 0..rows {
                                copy_few(tile.add((row - from + i) * stride), dst.add(i * width), width);
                            }
                        }
                        From::Direct(slot, offset) => {
                            let src = bases.at::<f32>(*slot).wrapping_offset(*offset).cast_const();
                            for i in 0..rows {
                                copy_few(src.add(index(i)), dst.add(i * width), width);
                            }
                        }
                        From::Walk(w) => w.pieces(bases.at(w.slot), index(0), columns, (rows, width), dst),
                        _ => {}
                    }
                }
                self.tile(&mut at, rows * width);
                for s in &self.stores {
                    let src = at[s.id as usize].cast_const();
                    for i in 0..rows {
                        if let How::Narrow(dtype) = s.how {
                            self.narrow(dtype, src.add(i * width), bases.at(s.slot), index(i), width)
                        } else {
                            copy_few(src.add(i * width), bases.at::<f32>(s.slot).wrapping_add(index(i)), width)
                        }
                    }
                }
                row += rows;
            }
        }
    }

    /// Asks for what `block` will read in its own order, so that it is on its way while the product is made.
    pub fn prefetch(&self, bases: Bases, (from, to): (usize, usize), (column, width): (usize, usize), columns: usize) {
        for l in &self.loads {
            let From::Direct(slot, offset) = &l.from else { continue };
            let first = bases.at::<f32>(*slot).wrapping_offset(*offset).wrapping_add(column);
            for row in from..to {
                let first = first.wrapping_add(row * columns);
                ask::<false>(first, width);
                // The last may begin another line.
                ask::<false>(first.wrapping_add(width - 1), 1);
            }
        }
    }

    /// Gives the table its registers and the constants their values.
    #[inline]
    unsafe fn begin(&self, bases: Bases, at: &mut Table, room: *mut f32, tiles: usize) {
        // SAFETY: the room has so many tiles.
        unsafe {
            for (r, p) in at.iter_mut().enumerate().take(tiles) {
                *p = own(room, r as Id);
            }
            for l in &self.loads {
                let double = self.cells == 2;
                let bits = match &l.from {
                    From::Constant(bits) => *bits,
                    From::Splat(w) => self.bits(bases, w),
                    From::Reciprocal(w) if double => (1.0 / self.number(bases, w)).to_bits(),
                    From::Reciprocal(w) => u64::from((1.0 / self.number(bases, w) as f32).to_bits()),
                    _ => continue,
                };
                let n = if self.is_compiled() { VECTOR } else { TILE };
                let to = at[l.id as usize];
                if double {
                    std::slice::from_raw_parts_mut(to.cast::<u64>(), n / 2).fill(bits)
                } else {
                    std::slice::from_raw_parts_mut(to, n).fill(f32::from_bits(bits as u32))
                }
            }
        }
    }

    /// Puts `n` cells of a tile at the place `at` of narrow elements.
    /// # Safety
    /// Both hold them.
    pub(super) unsafe fn narrow(&self, dtype: DType, src: *const f32, base: *mut u8, at: usize, n: usize) {
        // SAFETY: the caller's; a loop of float64 makes no narrow numbers but bools.
        unsafe {
            if self.cells == 1 {
                return narrow(dtype, src, base, at, n);
            }
            each(std::slice::from_raw_parts(src.cast::<f64>(), n / 2), base, at / 2, |x| u8::from(x != 0.0))
        }
    }

    /// True if a range makes the result where it lies: code writes it when it has read its operands.
    pub(super) fn is_there(&self, s: &Store) -> bool {
        s.how == How::There || s.how == How::Late && self.is_compiled()
    }

    #[inline]
    unsafe fn tile(&self, at: &mut Table, n: usize) {
        #[cfg(target_arch = "x86_64")]
        if let Some(code) = &self.code {
            // SAFETY: as below; one number is a vector of them.
            unsafe { code.tile(at, n) };
            return;
        }
        for i in &self.instrs {
            let [a, b, c] = i.src;
            // SAFETY: operands and result are tiles of at least `n` elements.
            unsafe { (i.f.run)(at[i.dst as usize], at[a as usize], at[b as usize], at[c as usize], n) };
        }
    }
}

/// Puts `n` elements of a tile at the place `at` of narrow ones.
/// # Safety
/// Both hold them.
unsafe fn narrow(dtype: DType, src: *const f32, base: *mut u8, at: usize, n: usize) {
    // SAFETY: the caller's.
    unsafe {
        let src = std::slice::from_raw_parts(src, n);
        match dtype {
            DType::F16 => std::slice::from_raw_parts_mut(base.cast::<f16>().wrapping_add(at), n).convert_from_f32_slice(src),
            // Its last bits are 0: they were rounded away.
            DType::BF16 => each(src, base, at, |x| bf16::from_bits((x.to_bits() >> 16) as u16)),
            _ => each(src, base, at, |x| u8::from(x != 0.0)),
        }
    }
}

/// # Safety
/// As `narrow`.
#[inline(always)]
unsafe fn each<S: Copy, T>(src: &[S], base: *mut u8, at: usize, f: impl Fn(S) -> T) {
    // SAFETY: the caller's.
    let dst = unsafe { std::slice::from_raw_parts_mut(base.cast::<T>().wrapping_add(at), src.len()) };
    for (y, &x) in dst.iter_mut().zip(src) {
        *y = f(x);
    }
}
