//! A convolution, or one of its gradients, of images: by the kernels that suit its sizes.
use std::ops::Range;

use super::depthwise::Depthwise;
use super::direct::Direct;
use super::winograd::Winograd;
use super::Geometry;
use crate::tile::Simd;

/// Which of the three: the result, the cotangent of the input or of the kernel.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Which {
    Out,
    Input,
    Kernel,
}

/// Numbers of sums of some images that take longer than to read every image several times.
const LARGE: usize = 1 << 20;
/// Parts of a kernel that few threads share.
const FEW: usize = 4;

enum Means {
    Depthwise(Depthwise),
    Direct(Box<Direct>),
    Winograd(Winograd),
}

/// The operands of `Out` are the input and the kernel, of `Input` the result's cotangent and the kernel, of `Kernel` the input and
/// the result's cotangent.
pub struct Direction {
    pub which: Which,
    means: Means,
    /// Numbers of one image, or of the kernel, of both operands and of the result.
    sizes: [usize; 3],
}

impl Direction {
    /// None where the patch matrix is the better way, or the only one.
    pub fn new(simd: Simd, g: &Geometry, which: Which) -> Option<Direction> {
        // A single result channel, one element of a vector, costs more than the patch matrix.
        if g.n == 0 || (g.o == 1 && g.c > 16 && which != Which::Input) {
            return None;
        }
        let means = match Depthwise::new(simd, g) {
            Some(d) => Means::Depthwise(d),
            None => match Winograd::new(Box::new(Direct::new(simd, g)?), g, which) {
                Ok(w) => Means::Winograd(w),
                Err(d) => Means::Direct(d),
            },
        };
        let (image, result, kernel) = (g.input[0] * g.input[1] * g.c, g.pixels() * g.o, g.taps() * g.cg() * g.o);
        let sizes = match which {
            Which::Out => [image, kernel, result],
            Which::Input => [result, kernel, image],
            Which::Kernel => [image, result, kernel],
        };
        Some(Direction { which, means, sizes })
    }

    /// By which kernels: `depthwise`, `direct` or `winograd`.
    pub fn means(&self) -> &'static str {
        match self.means {
            Means::Depthwise(_) => "depthwise",
            Means::Direct(_) => "direct",
            Means::Winograd(_) => "winograd",
        }
    }
    /// Numbers of one image, or of the kernel, of both operands and of the result.
    pub fn sizes(&self) -> [usize; 3] {
        self.sizes
    }
    /// Numbers that a thread needs.
    pub fn scratch(&self) -> usize {
        match &self.means {
            Means::Depthwise(_) => 0,
            Means::Direct(d) => d.scratch(),
            Means::Winograd(w) => w.scratch(),
        }
    }
    /// Time a product of the definition, in products of the direct kernels.
    pub fn cost(&self) -> f64 {
        match &self.means {
            // Memory takes the time.
            Means::Depthwise(_) => 8.0,
            Means::Direct(_) => 1.0,
            Means::Winograd(w) => w.cost(),
        }
    }
    /// Numbers of the kernel as `run` reads it; none if that is as it lies.
    pub fn packed(&self) -> Option<usize> {
        match (&self.means, self.which) {
            (Means::Depthwise(_), _) | (_, Which::Kernel) => None,
            (Means::Direct(d), which) => Some(d.packed(which == Which::Input)),
            (Means::Winograd(w), _) => Some(w.packed()),
        }
    }

    /// Panels that the kernel is packed in.
    pub fn packs(&self) -> usize {
        match (&self.means, self.which) {
            (Means::Depthwise(_), _) | (_, Which::Kernel) => 0,
            (Means::Direct(d), which) => d.packs(which == Which::Input),
            (Means::Winograd(w), _) => w.packs(),
        }
    }

    /// Writes some panels of the kernel as `run` reads it.
    ///
    /// # Safety
    /// It holds what its shape says, and `to` has room for `packed()` numbers; the panels are of `0..packs()`, and nobody else uses them.
    pub unsafe fn pack(&self, some: Range<usize>, kernel: *const f32, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            match (&self.means, self.which) {
                (Means::Depthwise(_), _) | (_, Which::Kernel) => (),
                (Means::Direct(d), which) => d.pack(which == Which::Input, some, kernel, to),
                (Means::Winograd(w), _) => w.pack(some, kernel, to),
            }
        }
    }

    /// The results of `images`, or the sum of what they give the kernel's cotangent. Zeros around an image meet the
    /// kernel, and are NaN if that is not finite; zeros around a cotangent do not.
    ///
    /// # Safety
    /// The first image of `a`, of `b` unless it is the kernel, which is packed, and of `out` unless it is the kernel's cotangent; all
    /// hold what the sizes say, `scratch` `scratch()` numbers, and nobody else uses it or what is written.
    pub unsafe fn run(&self, images: Range<usize>, a: *const f32, b: *const f32, out: *mut f32, scratch: *mut f32) {
        let kernel = self.which == Which::Kernel;
        // SAFETY: the caller's.
        unsafe {
            if images.is_empty() {
                if kernel {
                    std::slice::from_raw_parts_mut(out, self.sizes[2]).fill(0.0);
                }
                return;
            }
            let image = |i: usize| {
                let a = a.add(i * self.sizes[0]);
                if kernel {
                    (a, b.add(i * self.sizes[1]), out, i > images.start)
                } else {
                    (a, b, out.add(i * self.sizes[2]), false)
                }
            };
            match &self.means {
                Means::Winograd(w) if kernel => w.kernel_grad(images, a, b, out, scratch),
                Means::Winograd(w) => w.run(images, a, b, out, scratch),
                Means::Direct(d) => {
                    for (a, b, out, add) in images.clone().map(image) {
                        if kernel {
                            d.kernel_grad(a, b, out, add, scratch)
                        } else {
                            d.image(self.which == Which::Input, a, b, out, scratch)
                        }
                    }
                }
                Means::Depthwise(d) => {
                    for (a, b, out, add) in images.clone().map(image) {
                        d.run(self.which, a, b, out, add)
                    }
                }
            }
        }
    }

    /// True if parts of the kernel's cotangent are better made of all images than sums of some images each, `sums` of them, which would be
    /// written and read for longer.
    pub fn in_parts(&self, sums: usize) -> bool {
        sums * self.sizes[2] >= LARGE && self.parts() >= FEW
    }

    /// The parts of the kernel's cotangent that can be made apart from each other, of all images.
    pub fn parts(&self) -> usize {
        match &self.means {
            Means::Depthwise(_) => 1,
            Means::Direct(d) => d.parts(),
            Means::Winograd(w) => w.parts(),
        }
    }

    /// Part `part` of the kernel's cotangent, of `n` images.
    ///
    /// # Safety
    /// As for `run`; nobody else uses the part.
    pub unsafe fn part(&self, part: usize, n: usize, x: *const f32, dy: *const f32, dk: *mut f32, scratch: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            match &self.means {
                Means::Depthwise(_) => self.run(0..n, x, dy, dk, scratch),
                Means::Winograd(w) => w.part(part, 0..n, x, dy, dk, scratch),
                Means::Direct(d) => {
                    for i in 0..n {
                        d.part(part, x.add(i * self.sizes[0]), dy.add(i * self.sizes[1]), dk, i > 0, scratch);
                    }
                }
            }
        }
    }
}
