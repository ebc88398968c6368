//! Slices at places that integers name, inside plans: four-byte elements, int32 indices.
use super::loops::Walk;
use super::{part, Bases, Slot};

/// `[batch, outer, n, inner]` of the tensor that is indexed, and how many places each batch item names.
#[derive(Clone, Copy)]
pub struct Lay { pub batch: usize, pub outer: usize, pub n: usize, pub inner: usize, pub places: usize }

/// The place of an index: a negative one counts from the end once; what is then outside is moved to the edge or is `n`.
#[inline]
pub fn place(i: i64, n: usize, clamp: bool) -> usize {
    let i = if i < 0 { i.saturating_add(n as i64) } else { i };
    if (0..n as i64).contains(&i) { i as usize } else if clamp && n > 0 { if i < 0 { 0 } else { n - 1 } } else { n }
}

/// Operands lie in row-major order; `clamp` moves what is outside to the edge, else it reads 0 and writes nothing.
pub struct Gather { pub x: (Slot, isize), pub indices: (Slot, isize), pub out: Slot, pub lay: Lay, pub clamp: bool }

impl Gather {
    pub fn rows(&self) -> usize { self.lay.batch * self.lay.outer * self.lay.places }
    /// # Safety
    /// As `Kernel::run`.
    pub unsafe fn run(&self, bases: Bases, from: usize, to: usize) {
        let Lay { outer, n, inner, places, .. } = self.lay;
        let (x, at, out) = (bases.at::<f32>(self.x.0).wrapping_offset(self.x.1), bases.at::<i32>(self.indices.0).wrapping_offset(self.indices.1), bases.at::<f32>(self.out));
        for r in from..to {
            let (bo, k) = (r / places, r % places);
            // SAFETY: operands lie as their shapes say; the rows of the result are this call's.
            unsafe {
                let place = place(i64::from(*at.wrapping_add(bo / outer * places + k)), n, self.clamp);
                let row = std::slice::from_raw_parts_mut(out.wrapping_add(r * inner), inner);
                if place < n { row.copy_from_slice(std::slice::from_raw_parts(x.wrapping_add((bo * n + place) * inner), inner)) } else { row.fill(0.0) }
            }
        }
    }
}

/// Updates added to a copy of `x`, in the order of the indices. Units divide slices, or the columns of the only one.
pub struct Scatter { pub x: Option<(Slot, isize)>, pub fill: f32, pub indices: (Slot, isize), pub updates: (Slot, isize), pub out: Slot, pub lay: Lay, pub clamp: bool }

impl Scatter {
    /// # Safety
    /// As `Kernel::run`.
    pub unsafe fn run(&self, bases: Bases, from: usize, to: usize, of: usize) {
        let Lay { batch, outer, n, inner, places } = self.lay;
        let whole = batch * outer > 1;
        let ((first, last), (low, high)) = if whole { ((part(batch * outer, from, of), part(batch * outer, to, of)), (0, inner)) } else { ((0, batch * outer), (part(inner, from, of), part(inner, to, of))) };
        let (at, out) = (bases.at::<i32>(self.indices.0).wrapping_offset(self.indices.1), bases.at::<f32>(self.out));
        let updates = bases.at::<f32>(self.updates.0).wrapping_offset(self.updates.1);
        for bo in first..last {
            // SAFETY: operands lie as their shapes say; the columns of these slices are this call's.
            unsafe {
                for r in bo * n..(bo + 1) * n {
                    let row = std::slice::from_raw_parts_mut(out.wrapping_add(r * inner + low), high - low);
                    match self.x { Some((slot, o)) => row.copy_from_slice(std::slice::from_raw_parts(bases.at::<f32>(slot).wrapping_offset(o).wrapping_add(r * inner + low), high - low)), None => row.fill(self.fill) }
                }
                for k in 0..places {
                    let place = place(i64::from(*at.wrapping_add(bo / outer * places + k)), n, self.clamp);
                    if place >= n { continue; }
                    let row = std::slice::from_raw_parts_mut(out.wrapping_add((bo * n + place) * inner + low), high - low);
                    let u = std::slice::from_raw_parts(updates.wrapping_add((bo * places + k) * inner + low), high - low);
                    for (o, v) in row.iter_mut().zip(u) { *o += v; }
                }
            }
        }
    }
}

/// Parts behind one another in each row: four-byte elements, with how many of a row each part has.
pub struct Concat { pub parts: Vec<(Walk, usize)>, pub rows: usize, pub out: Slot }

impl Concat {
    /// # Safety
    /// As `Kernel::run`.
    pub unsafe fn run(&self, bases: Bases, from: usize, to: usize) {
        let width: usize = self.parts.iter().map(|p| p.1).sum();
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
