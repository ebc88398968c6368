//! Convolution of whole images inside plans.
use std::sync::Arc;

use super::{part, Bases, Slot};
use crate::conv::{Direction, Which};

/// `n` images of a direction's operands, the kernel as it reads it. For the kernel's gradient every chunk sums its own images, unless the units
/// are `parts` of it.
pub struct Conv {
    pub direction: Arc<Direction>,
    pub n: usize,
    pub parts: bool,
    pub a: (Slot, isize),
    pub b: (Slot, isize),
    pub out: Slot,
}

impl Conv {
    pub fn room(&self) -> usize {
        self.direction.scratch()
    }

    /// # Safety
    /// As `Kernel::run`.
    pub unsafe fn run(&self, bases: Bases, from: usize, to: usize, of: usize, chunk: usize, room: *mut f32) {
        let at = |x: (Slot, isize)| bases.at::<f32>(x.0).wrapping_offset(x.1).cast_const();
        let (a, b, out) = (at(self.a), at(self.b), bases.at::<f32>(self.out));
        // SAFETY: images lie one after the other; those of the result, the chunk's sum, or the parts are this call's.
        unsafe {
            if self.parts {
                let parts = self.direction.parts();
                for i in part(parts, from, of)..part(parts, to, of) {
                    self.direction.part(i, self.n, a, b, out, room);
                }
                return;
            }
            let sum = if self.direction.which == Which::Kernel { chunk * self.direction.sizes()[2] } else { 0 };
            self.direction.run(part(self.n, from, of)..part(self.n, to, of), a, b, out.wrapping_add(sum), room);
        }
    }
}

/// The kernel as the products read it.
pub struct ConvPack {
    pub direction: Arc<Direction>,
    pub kernel: (Slot, isize),
    pub out: Slot,
}

impl ConvPack {
    /// # Safety
    /// As `Kernel::run`; panels `from..to`.
    pub unsafe fn run(&self, bases: Bases, from: usize, to: usize) {
        let kernel = bases.at::<f32>(self.kernel.0).wrapping_offset(self.kernel.1);
        // SAFETY: the caller's.
        unsafe { self.direction.pack(from..to, kernel, bases.at(self.out)) }
    }
}
