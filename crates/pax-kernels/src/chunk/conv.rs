//! Convolution of whole images inside plans.
use std::sync::Arc;

use super::{part, Bases, Slot};
use crate::conv::depthwise::Depthwise;
use crate::conv::direct::Direct;

/// Which of the three.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Which {
    Out,
    Input,
    Kernel,
}

/// What computes an image.
#[derive(Clone)]
pub enum Means {
    Direct(Arc<Direct>),
    Depthwise(Arc<Depthwise>),
}

/// `a` and `b` are the row's operands, `sizes` the elements of one image (or of the kernel) of `a`, `b` and the result.
/// The kernel, where it is an operand, lies packed for direct kernels. For the kernel's gradient every chunk sums its own images.
pub struct Conv {
    pub which: Which,
    pub means: Means,
    pub n: usize,
    pub a: (Slot, isize),
    pub b: (Slot, isize),
    pub sizes: [usize; 3],
    pub out: Slot,
}

impl Conv {
    pub fn room(&self) -> usize {
        match &self.means {
            Means::Direct(d) => d.scratch(),
            Means::Depthwise(_) => 0,
        }
    }

    /// # Safety
    /// As `Kernel::run`.
    pub unsafe fn run(&self, bases: Bases, from: usize, to: usize, of: usize, chunk: usize, room: *mut f32) {
        let [a, b, out] = self.sizes;
        let (first, last) = (part(self.n, from, of), part(self.n, to, of));
        for i in first..last {
            let at =
                |x: (Slot, isize), i: usize, size: usize| bases.at::<f32>(x.0).wrapping_offset(x.1).wrapping_add(i * size).cast_const();
            let kernel = self.which == Which::Kernel;
            let (a, b, out) = (
                at(self.a, i, a),
                at(self.b, if kernel { i } else { 0 }, b),
                bases.at::<f32>(self.out).wrapping_add(if kernel { chunk } else { i } * out),
            );
            // SAFETY: images lie one after the other; those of the result are this call's.
            unsafe {
                match (&self.means, self.which) {
                    (Means::Depthwise(d), which) => d.run(which, a, b, out, kernel && i > first),
                    (Means::Direct(d), Which::Out) => d.forward(a, b, out, room),
                    (Means::Direct(d), Which::Input) => d.input_grad(a, b, out, room),
                    (Means::Direct(d), Which::Kernel) => d.kernel_grad(a, b, out, i > first, room),
                }
            }
        }
        if self.which == Which::Kernel && first >= last {
            // SAFETY: the chunk's own sum.
            unsafe { std::slice::from_raw_parts_mut(bases.at::<f32>(self.out).wrapping_add(chunk * out), out).fill(0.0) };
        }
    }
}

/// The kernel as the products read it.
pub struct ConvPack {
    pub direct: Arc<Direct>,
    pub back: bool,
    pub kernel: (Slot, isize),
    pub out: Slot,
}

impl ConvPack {
    /// # Safety
    /// As `Kernel::run`; one unit.
    pub unsafe fn run(&self, bases: Bases) {
        let (kernel, to) = (bases.at::<f32>(self.kernel.0).wrapping_offset(self.kernel.1), bases.at(self.out));
        // SAFETY: the caller's.
        unsafe {
            if self.back {
                self.direct.pack_back(kernel, to)
            } else {
                self.direct.pack(kernel, to)
            }
        }
    }
}
