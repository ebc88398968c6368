//! Convolution of whole images inside plans.
use std::sync::Arc;

use super::{part, Bases, Slot};
use crate::conv::depthwise::Depthwise;
use crate::conv::direct::Direct;
use crate::conv::winograd::Winograd;

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
    Winograd(Arc<Winograd>),
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
            Means::Winograd(w) => w.scratch(),
            Means::Depthwise(_) => 0,
        }
    }

    /// # Safety
    /// As `Kernel::run`.
    pub unsafe fn run(&self, bases: Bases, from: usize, to: usize, of: usize, chunk: usize, room: *mut f32) {
        let images = part(self.n, from, of)..part(self.n, to, of);
        let at = |x: (Slot, isize)| bases.at::<f32>(x.0).wrapping_offset(x.1).cast_const();
        let (a, b, mut out) = (at(self.a), at(self.b), bases.at::<f32>(self.out));
        let kernel = self.which == Which::Kernel;
        if kernel {
            out = out.wrapping_add(chunk * self.sizes[2]);
            if images.is_empty() {
                // SAFETY: the chunk's own sum.
                unsafe { std::slice::from_raw_parts_mut(out, self.sizes[2]).fill(0.0) };
            }
        }
        // SAFETY: images lie one after the other; those of the result, or the chunk's sum, are this call's.
        unsafe {
            match &self.means {
                Means::Winograd(w) if kernel => w.kernel_grad(images, a, b, out, room),
                Means::Winograd(w) => w.run(images, a, b, out, room),
                _ => {
                    for i in images.clone() {
                        self.image(i, a, b, out, i > images.start, room);
                    }
                }
            }
        }
    }

    /// Image `i`, added to what others gave if it has company.
    unsafe fn image(&self, i: usize, a: *const f32, b: *const f32, out: *mut f32, add: bool, room: *mut f32) {
        let a = a.wrapping_add(i * self.sizes[0]);
        let (b, out) = match self.which {
            Which::Kernel => (b.wrapping_add(i * self.sizes[1]), out),
            _ => (b, out.wrapping_add(i * self.sizes[2])),
        };
        // SAFETY: the caller's.
        unsafe {
            match (&self.means, self.which) {
                (Means::Depthwise(d), which) => d.run(which, a, b, out, add && which == Which::Kernel),
                (Means::Direct(d), Which::Out) => d.forward(a, b, out, room),
                (Means::Direct(d), Which::Input) => d.input_grad(a, b, out, room),
                (Means::Direct(d), Which::Kernel) => d.kernel_grad(a, b, out, add, room),
                (Means::Winograd(_), _) => unreachable!("goes by several images"),
            }
        }
    }
}

/// The kernel as the products read it.
pub struct ConvPack {
    pub means: Means,
    pub back: bool,
    pub kernel: (Slot, isize),
    pub out: Slot,
}

impl ConvPack {
    /// Numbers of the packed kernel.
    pub fn packed(&self) -> usize {
        match &self.means {
            Means::Direct(d) if self.back => d.packed_back(),
            Means::Direct(d) => d.packed(),
            Means::Winograd(w) => w.packed(),
            Means::Depthwise(_) => 0,
        }
    }

    /// # Safety
    /// As `Kernel::run`; one unit.
    pub unsafe fn run(&self, bases: Bases) {
        let (kernel, to) = (bases.at::<f32>(self.kernel.0).wrapping_offset(self.kernel.1), bases.at(self.out));
        // SAFETY: the caller's.
        unsafe {
            match &self.means {
                Means::Direct(d) if self.back => d.pack_back(kernel, to),
                Means::Direct(d) => d.pack(kernel, to),
                Means::Winograd(w) => w.pack(kernel, to),
                Means::Depthwise(_) => (),
            }
        }
    }
}
