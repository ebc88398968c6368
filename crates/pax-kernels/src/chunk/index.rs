//! Slices at places that integers name, inside plans: elements of one cell of four bytes or of two, int32 indices.
use super::walk::Walk;
use super::{part, Bases, Slot};
use crate::fold::{Accumulate, Fold};
use crate::DType;

/// `[batch, outer, n, inner]` of the tensor that is indexed, and how many places each batch item names.
#[derive(Clone, Copy)]
pub struct Lay {
    pub batch: usize,
    pub outer: usize,
    pub n: usize,
    pub inner: usize,
    pub places: usize,
}

/// The place of an index: a negative one counts from the end once; what is then outside is moved to the edge or is `n`.
#[inline]
pub fn place(i: i64, n: usize, clamp: bool) -> usize {
    let i = if i < 0 { i.saturating_add(n as i64) } else { i };
    if (0..n as i64).contains(&i) {
        i as usize
    } else if clamp && n > 0 {
        if i < 0 {
            0
        } else {
            n - 1
        }
    } else {
        n
    }
}

/// Operands lie in row-major order, offsets and `inner` are in cells; `clamp` moves what is outside to the edge, else it reads 0.
pub struct Gather {
    pub x: (Slot, isize),
    pub indices: (Slot, isize),
    pub out: Slot,
    pub lay: Lay,
    pub clamp: bool,
}

impl Gather {
    pub fn rows(&self) -> usize {
        self.lay.batch * self.lay.outer * self.lay.places
    }
    /// # Safety
    /// As `Kernel::run`.
    pub unsafe fn run(&self, bases: Bases, from: usize, to: usize) {
        let Lay { outer, n, inner, places, .. } = self.lay;
        let (x, at, out) = (
            bases.at::<f32>(self.x.0).wrapping_offset(self.x.1),
            bases.at::<i32>(self.indices.0).wrapping_offset(self.indices.1),
            bases.at::<f32>(self.out),
        );
        for r in from..to {
            let (bo, k) = (r / places, r % places);
            // SAFETY: operands lie as their shapes say; the rows of the result are this call's.
            unsafe {
                let place = place(i64::from(*at.wrapping_add(bo / outer * places + k)), n, self.clamp);
                let row = std::slice::from_raw_parts_mut(out.wrapping_add(r * inner), inner);
                if place < n {
                    row.copy_from_slice(std::slice::from_raw_parts(x.wrapping_add((bo * n + place) * inner), inner))
                } else {
                    row.fill(0.0)
                }
            }
        }
    }
}

/// What an update does to the element that it meets.
#[derive(Clone, Copy)]
pub enum Update {
    Set,
    Add,
}

/// Updates in the order of the indices, in a copy of `x`, or in `x` itself where the result lies over it; `clamp` as above, else nothing is
/// written outside. Units divide slices, or the columns of the only one. Elements are float32, float64 or int32.
pub struct Scatter {
    pub dtype: DType,
    pub update: Update,
    pub x: Option<(Slot, isize)>,
    pub fill: f64,
    pub indices: (Slot, isize),
    pub updates: (Slot, isize),
    pub out: Slot,
    pub lay: Lay,
    pub clamp: bool,
}

impl Scatter {
    /// The slot that the result may lie over: nothing of it is read where another place was written.
    pub fn over(&self) -> Option<Slot> {
        self.x.filter(|&(slot, offset)| offset == 0 && slot != self.updates.0 && slot != self.indices.0).map(|x| x.0)
    }

    /// # Safety
    /// As `Kernel::run`.
    pub unsafe fn run(&self, bases: Bases, from: usize, to: usize, of: usize) {
        // SAFETY: the caller's.
        unsafe {
            match self.dtype {
                DType::F64 => self.run_of::<f64>(bases, from, to, of),
                DType::I32 => self.run_of::<i32>(bases, from, to, of),
                _ => self.run_of::<f32>(bases, from, to, of),
            }
        }
    }

    unsafe fn run_of<T: Accumulate>(&self, bases: Bases, from: usize, to: usize, of: usize) {
        let Lay { batch, outer, n, inner, places } = self.lay;
        let whole = batch * outer > 1;
        let ((first, last), (low, high)) = if whole {
            ((part(batch * outer, from, of), part(batch * outer, to, of)), (0, inner))
        } else {
            ((0, batch * outer), (part(inner, from, of), part(inner, to, of)))
        };
        if low == high {
            return;
        }
        let (at, out) = (bases.at::<i32>(self.indices.0).wrapping_offset(self.indices.1), bases.at::<T>(self.out));
        let updates = bases.at::<T>(self.updates.0).wrapping_offset(self.updates.1);
        let x = self.x.map(|(slot, o)| bases.at::<T>(slot).wrapping_offset(o));
        // Slices that lie together are copied as one row; where the result lies over them, nothing is.
        let (rows, row) = if high - low == inner { (1, (last - first) * n * inner) } else { ((last - first) * n, high - low) };
        let rows = if x == Some(out) { 0 } else { rows };
        for r in 0..rows {
            let begin = (first * n + r) * inner + low;
            // SAFETY: operands lie as their shapes say; the columns of these slices are this call's.
            unsafe {
                let row = std::slice::from_raw_parts_mut(out.wrapping_add(begin), row);
                match x {
                    Some(x) => row.copy_from_slice(std::slice::from_raw_parts(x.wrapping_add(begin), row.len())),
                    None => row.fill(T::from_f64(self.fill)),
                }
            }
        }
        for bo in first..last {
            // SAFETY: as above.
            unsafe {
                for k in 0..places {
                    let place = place(i64::from(*at.wrapping_add(bo / outer * places + k)), n, self.clamp);
                    if place >= n {
                        continue;
                    }
                    let row = std::slice::from_raw_parts_mut(out.wrapping_add((bo * n + place) * inner + low), high - low);
                    let u = std::slice::from_raw_parts(updates.wrapping_add((bo * places + k) * inner + low), high - low);
                    match self.update {
                        Update::Set => row.copy_from_slice(u),
                        Update::Add => row.iter_mut().zip(u).for_each(|(o, &v)| *o = T::join(Fold::Sum, *o, v)),
                    }
                }
            }
        }
    }
}

/// Parts behind one another in each row, with how many cells of a row each part has; one alone is copied to where its rows lie together.
pub struct Concat {
    pub parts: Vec<(Walk, usize)>,
    pub rows: usize,
    pub out: Slot,
}

impl Concat {
    /// # Safety
    /// As `Kernel::run`.
    pub unsafe fn run(&self, bases: Bases, from: usize, to: usize) {
        let width: usize = self.parts.iter().map(|p| p.1).sum();
        if let [(walk, n)] = &self.parts[..] {
            // SAFETY: as below; many rows at once, which may lie across memory.
            return unsafe {
                walk.copy(bases.at(walk.slot), from * n, (to - from) * n, bases.at::<f32>(self.out).wrapping_add(from * width))
            };
        }
        for row in from..to {
            let mut at = bases.at::<f32>(self.out).wrapping_add(row * width);
            for (walk, n) in &self.parts {
                // SAFETY: parts lie as their strides say; the rows of the result are this call's.
                unsafe { walk.copy(bases.at(walk.slot), row * n, *n, at) };
                at = at.wrapping_add(*n);
            }
        }
    }
}
