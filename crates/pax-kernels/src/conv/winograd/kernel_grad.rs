//! The kernel's gradient: products of transformed squares of both operands are summed over squares.
use std::ops::Range;

use super::super::tile::Sum;
use super::run::pixels;
use super::{Squares, Winograd};

/// Channels of a block of the gradient, of both sides: its sums are a quarter of a second cache.
pub(super) const CHANNELS: usize = 64;
/// Squares that are summed before the next.
pub(super) const SQUARES: usize = 48;

impl Winograd {
    /// `x`, result's cotangent → `dk [3, 3, c, o]`, the sum of `images`.
    ///
    /// # Safety
    /// As for `run`; nobody else uses `dk`.
    pub unsafe fn kernel_grad(&self, images: Range<usize>, x: *const f32, dy: *const f32, dk: *mut f32, scratch: *mut f32) {
        for i in 0..self.parts() {
            // SAFETY: the caller's.
            unsafe { self.part(i, images.clone(), x, dy, dk, scratch) }
        }
    }

    /// Parts of the kernel's gradient that are made apart from each other: blocks of channels of both sides.
    pub fn parts(&self) -> usize {
        self.depth.div_ceil(CHANNELS) * self.wide.div_ceil(CHANNELS)
    }

    /// A part of the kernel's gradient.
    ///
    /// # Safety
    /// As for `kernel_grad`.
    pub unsafe fn part(&self, part: usize, images: Range<usize>, x: *const f32, dy: *const f32, dk: *mut f32, scratch: *mut f32) {
        let (size, result) = (self.image[0] * self.image[1] * self.depth, self.out[0] * self.out[1] * self.wide);
        let (first, across) = (images.start, self.wide.div_ceil(CHANNELS));
        let block = |i: usize, n: usize| i * CHANNELS..n.min((i + 1) * CHANNELS);
        let (c, o) = (block(part / across, self.depth), block(part % across, self.wide));
        // SAFETY: the caller's.
        unsafe {
            let (from, cotangent) = (x.add(first * size), dy.add(first * result));
            if self.block_grad(images.len(), from, cotangent, c.clone(), o.clone(), dk, scratch) {
                return;
            }
            for i in images {
                for tap in 0..9 {
                    let rows = tap * self.depth + c.start..tap * self.depth + c.end;
                    self.direct.kernel_block(rows, o.clone(), x.add(i * size), dy.add(i * result), dk, i > first, scratch);
                }
            }
        }
    }

    /// The kernel's gradient for some channels of both sides; false if a number of it is not finite.
    #[allow(clippy::too_many_arguments)]
    unsafe fn block_grad(
        &self,
        images: usize,
        x: *const f32,
        dy: *const f32,
        c: Range<usize>,
        o: Range<usize>,
        dk: *mut f32,
        scratch: *mut f32,
    ) -> bool {
        let (lanes, products) = (self.direct.tiles.lanes, self.products());
        let (deep, wide) = (self.whole(c.len()), self.whole(o.len()));
        let (left, right, sums) = (self.apart(SQUARES, deep), self.apart(SQUARES, wide), self.apart(c.len(), wide));
        let (mut finite, squares) = (true, images * self.count());
        // SAFETY: the caller's; blocks of the scratch lie one behind the other.
        unsafe {
            let (b, sum_of) = (scratch.add(products * left), scratch.add(products * (left + right)));
            let border = sum_of.add(products * sums);
            for begin in (0..squares).step_by(SQUARES) {
                let block = Squares { some: begin..squares.min(begin + SQUARES), images };
                self.left(&block, x, c.clone(), scratch, (left, deep), border);
                for (i, square) in block.some.clone().enumerate() {
                    let (image, _, at) = self.square(square, images);
                    let dy = dy.add(image * self.out[0] * self.out[1] * self.wide);
                    let (from, steps) = pixels(self.scheme.sides[2], dy, self.out, self.wide, at.map(|at| at as i64), &o, border);
                    (self.scheme.right)(o.len(), from, steps, b.add(i * wide), self.steps(right));
                }
                for p in 0..products {
                    let needing = self.needing(p, &block);
                    for (column, _, vectors) in self.direct.panels(o.len()) {
                        let sum = Sum { runs: 1, len: needing.len(), a: [deep, 0], b: [wide, 0] };
                        let (a, b) = (scratch.add(p * left + needing.start * deep), b.add(p * right + needing.start * wide + column));
                        self.rows(c.len(), [1, wide], &sum, a, b, sum_of.add(p * sums + column), vectors * lanes, begin > 0);
                    }
                }
            }
            let tap = self.depth * self.wide;
            for i in 0..c.len() {
                let to = dk.add((c.start + i) * self.wide + o.start);
                finite &= (self.scheme.out)(o.len(), sum_of.add(i * wide), self.steps(sums), to, [3 * tap, tap]);
            }
        }
        finite
    }
}
