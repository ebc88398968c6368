//! Convolution of 3×3 taps by Winograd's method: a square of 2×2 results takes 16 products a channel instead of 36, or 25 with
//! stride 2. Squares of an image, the kernel and the result are transformed, each by additions (`transform`); in between stand as many
//! products of matrices. Sums are of numbers up to four times as large, and rounded as such. Where a result is not finite, the direct
//! kernels make it again, since infinities that are added and taken away are NaN.
mod kernel_grad;
mod run;
#[cfg_attr(not(any(target_arch = "x86_64", target_feature = "simd128")), allow(dead_code))] // as the tiles
pub(super) mod transform;

use std::ops::Range;

use super::direct::Direct;
use super::direction::Which;
use super::Geometry;
use kernel_grad::{SIDE, SQUARES};
use transform::Scheme;

/// Numbers of one part of transformed squares and of their products that are used together: all parts are a quarter of a second cache.
const BLOCK: usize = 1 << 12;

/// One direction of a convolution.
pub struct Winograd {
    direct: Box<Direct>,
    scheme: &'static Scheme,
    back: bool,
    /// The left operand's sizes, and where its first square begins.
    image: [usize; 2],
    depth: usize,
    from: [i64; 2],
    /// Those of the result, or of the right operand that is not the kernel.
    out: [usize; 2],
    wide: usize,
    to: [i64; 2],
    /// Squares of an image.
    squares: [usize; 2],
    cost: f64,
}

impl Winograd {
    /// The direct kernels where they need less.
    pub fn new(direct: Box<Direct>, g: &Geometry, which: Which) -> Result<Winograd, Box<Direct>> {
        let strided = match g.stride {
            [1, 1] => 0,
            [2, 2] => 1,
            _ => return Err(direct),
        };
        if g.kernel != [3; 2] || (which == Which::Input && direct.spread) {
            return Err(direct);
        }
        let transforms = direct.tiles.transforms;
        let (scheme, back) = match which {
            Which::Out => (&transforms.ahead[strided], false),
            Which::Input => (&transforms.back[strided], true),
            Which::Kernel => (&transforms.kernel[strided], false),
        };
        let (image, depth, out, wide) = if back { (g.out, g.o, g.input, g.c) } else { (g.input, g.c, g.out, g.o) };
        let (from, to) = match (back, strided) {
            (false, _) => (g.low.map(|low| -low), [0; 2]),
            (true, 0) => (g.low.map(|low| low - 2), [0; 2]),
            // Input pixel `2q - low` is read at tap 0 by result pixel `q`, which is the second of its square.
            (true, _) => (g.low.map(|low| low.div_euclid(2) - 1), g.low.map(|low| -low.rem_euclid(2))),
        };
        let squares = [0, 1].map(|d| (out[d] as i64 - to[d]) as usize).map(|n| n.div_ceil(scheme.steps[1]));
        // Vector instructions of all images: products, and what transforms take, which are made again for each block of a gradient's channels.
        let (vectors, blocks) = (|n: usize| n.div_ceil(direct.tiles.lanes), |n: usize| n.div_ceil(SIDE));
        let (deep, whole) = (vectors(depth), vectors(wide));
        let (products, [left, parts, others]) = (depth * whole, scheme.sides.map(|side| side * side));
        let left = (left + 5 * parts) * deep;
        let (transforms, once) = match which {
            Which::Kernel => (left * blocks(wide) + (others + 4 * parts) * whole * blocks(depth), 5 * parts * products),
            _ => (left + (2 * parts + 4 * others) * whole, (9 + 3 * parts) * products),
        };
        let needs = g.n * squares[0] * squares[1] * (parts * products + transforms) + once;
        let cost = needs as f64 / (g.n * g.pixels() * 9 * products) as f64;
        if cost >= 0.9 {
            return Err(direct);
        }
        Ok(Winograd { direct, scheme, back, image, depth, from, out, wide, to, squares, cost })
    }

    /// Time a product of the definition, in products of the direct kernels.
    pub fn cost(&self) -> f64 {
        self.cost
    }
    /// Squares of an image.
    fn squares(&self) -> usize {
        self.squares[0] * self.squares[1]
    }
    /// Products of a square, each a part of its transformed pixels.
    fn products(&self) -> usize {
        self.scheme.sides[1] * self.scheme.sides[1]
    }
    /// Columns of a panel of the most vectors.
    fn panel(&self) -> usize {
        2 * self.direct.tiles.lanes
    }
    fn whole(&self, n: usize) -> usize {
        n.next_multiple_of(self.direct.tiles.lanes)
    }
    /// Numbers from part to part, not a multiple of a page: they would share places in the cache.
    fn apart(&self, squares: usize, channels: usize) -> usize {
        squares * channels + self.direct.tiles.lanes
    }
    /// Steps of a square's transformed pixels.
    fn steps(&self, apart: usize) -> [usize; 2] {
        [self.scheme.sides[1] * apart, apart]
    }
    /// Squares that are transformed together, whole tiles of rows.
    fn block(&self) -> usize {
        let rows = self.direct.tiles.rows;
        (BLOCK / (self.whole(self.depth) + self.panel()) / rows).clamp(1, 8) * rows
    }
    /// Numbers of the kernel: for the direct kernels, and behind it transformed.
    pub fn packed(&self) -> usize {
        self.packed_direct() + self.products() * self.depth * self.whole(self.wide)
    }
    fn packed_direct(&self) -> usize {
        if self.back {
            self.direct.packed_back()
        } else {
            self.direct.packed()
        }
    }
    /// Numbers that a thread needs.
    pub fn scratch(&self) -> usize {
        let (side, block) = (self.whole(SIDE), self.block());
        let run = self.apart(block, self.whole(self.depth)) + self.apart(block, self.panel());
        let gradient = 2 * self.apart(SQUARES, side) + self.apart(SIDE, side);
        let border = self.whole(self.depth.max(side));
        (self.products() * (run.max(gradient) + border)).max(self.direct.scratch())
    }

    /// Panels of the kernel.
    pub fn packs(&self) -> usize {
        self.direct.panels(self.wide).count()
    }

    /// Writes panels `some` of a kernel `[3, 3, c, o]` as `run` reads it.
    ///
    /// # Safety
    /// `to` holds `packed()` numbers.
    pub unsafe fn pack(&self, some: Range<usize>, kernel: *const f32, to: *mut f32) {
        // SAFETY: the caller's; panels lie one behind the other, nine taps each and then all parts.
        unsafe {
            if self.back {
                self.direct.pack_back(some.clone(), kernel, to)
            } else {
                self.direct.pack(some.clone(), kernel, to)
            }
            let transformed = to.add(self.packed_direct());
            for (column, _, vectors) in self.direct.some_panels(self.wide, some) {
                let all = vectors * self.direct.tiles.lanes;
                let n = self.depth * all;
                let parts = transformed.add(self.products() * self.depth * column);
                let mut from = to.add(9 * self.depth * column).cast_const();
                if self.back && self.scheme.steps[1] > 2 {
                    // The taps of phases, from the last, where the last parts will be: these are written when all are read.
                    let last = parts.add((self.products() - 9) * n);
                    for t in 0..9 {
                        let tap = to.add(self.direct.tap_back([2 - t / 3, 2 - t % 3], column, all));
                        std::ptr::copy_nonoverlapping(tap, last.add(t * n), n);
                    }
                    from = last;
                }
                (self.scheme.right)(n, from, [3 * n, n], parts, self.steps(n));
            }
        }
    }

    /// The image of the `i`-th square of all, and its first pixels in the left operand and in the others.
    fn square(&self, i: usize) -> (usize, [[i64; 2]; 2]) {
        let (of, row) = (self.squares(), self.squares[1]);
        let at = [i % of / row, i % of % row];
        let pixels = |k: usize, first: [i64; 2]| [0, 1].map(|d| (at[d] * self.scheme.steps[k]) as i64 + first[d]);
        (i / of, [pixels(0, self.from), pixels(1, self.to)])
    }
}
