//! The kernel's gradient: rows of a tile are taps, the sum runs over pixels.
use std::ops::Range;

use super::direct::Direct;
use super::passes::{parts, Walk};
use super::tile::{Out, Sum, ROWS};
use crate::ask;

/// Pixels that are summed before the next taps: their cotangents stay in the first cache.
pub const BLOCK: usize = 128;
/// Most parts that a gradient is divided into: each reads all images.
const PARTS: usize = 8;

impl Direct {
    /// `x [input, c]`, `dy [out, o]` → `dk [kernel, c, o]`, one image, added to what `dk` holds if `add`.
    ///
    /// # Safety
    /// As for `image`; nobody else uses `dk`.
    pub unsafe fn kernel_grad(&self, x: *const f32, dy: *const f32, dk: *mut f32, add: bool, scratch: *mut f32) {
        // SAFETY: the caller's.
        unsafe { self.kernel_block(0..self.taps() * self.ahead.depth, 0..self.ahead.wide, x, dy, dk, add, scratch) }
    }

    /// Parts of a kernel's gradient that are made apart from each other: ranges of its rows.
    pub fn parts(&self) -> usize {
        PARTS.min(self.taps() * self.ahead.depth)
    }

    /// A part of the kernel's gradient.
    ///
    /// # Safety
    /// As for `kernel_grad`.
    pub unsafe fn part(&self, part: usize, x: *const f32, dy: *const f32, dk: *mut f32, add: bool, scratch: *mut f32) {
        let (rows, parts) = (self.taps() * self.ahead.depth, self.parts());
        // SAFETY: the caller's.
        unsafe { self.kernel_block(part * rows / parts..(part + 1) * rows / parts, 0..self.ahead.wide, x, dy, dk, add, scratch) }
    }

    /// Some rows of `dk [kernel c, o]`, and of these the panels that begin in some columns.
    ///
    /// # Safety
    /// As for `kernel_grad`.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn kernel_block(
        &self,
        Range { start: begin, end }: Range<usize>,
        columns: Range<usize>,
        x: *const f32,
        dy: *const f32,
        dk: *mut f32,
        add: bool,
        scratch: *mut f32,
    ) {
        let (c, o, out, pitch) = (self.ahead.depth, self.ahead.wide, self.out, self.ahead.window.pitch());
        let (depth, stretch) = (end - begin, self.kernel[1] * c);
        let (lanes, tall) = (self.tiles.lanes, self.tiles.rows);
        let step = self.ahead.passes[0].step;
        let (mut rows, mut to) = ([0; ROWS], [0; ROWS]);
        // SAFETY: the caller's; the packed block lies behind the window's copy.
        unsafe {
            let x = self.ahead.window.of(x, scratch);
            let block = scratch.add(self.ahead.window.copied());
            for (run, runs, l, len) in parts(out[0], out[1], BLOCK) {
                for (column, width, vectors) in self.panels(o).filter(|p| columns.contains(&p.0)) {
                    let all = vectors * lanes;
                    let mut b = dy.add((run * out[1] + l) * o + column);
                    let mut sum = Sum { runs, len, a: [step[1], step[0]], b: [o, out[1] * o] };
                    // Whole vectors are read where they lie, unless they are far apart and read often.
                    if width < all || (o > 128 && depth > 4 * tall) {
                        for r in 0..runs {
                            for i in 0..len {
                                let row = block.add((r * len + i) * all);
                                let from = b.add((r * out[1] + i) * o);
                                // The usual width is known to the compiler.
                                if width == 32 {
                                    std::ptr::copy_nonoverlapping(from, row, 32);
                                    continue;
                                }
                                std::ptr::copy_nonoverlapping(from, row, width);
                                row.add(width).write_bytes(0, all - width);
                            }
                        }
                        (b, sum.b) = (block, [all, len * all]);
                    }
                    // The next panel's cotangents are fetched little by little.
                    let (after, each) = (column + 2 * lanes, len.div_ceil(depth.div_ceil(tall)));
                    let mut taps = Walk::new(begin, stretch, [pitch, 1]);
                    for i in (begin..end).step_by(tall) {
                        if after < o {
                            let t = (i - begin) / tall * each;
                            for r in 0..runs {
                                for t in t..len.min(t + each) {
                                    ask::<false>(dy.wrapping_add(((run + r) * out[1] + l + t) * o + after), 2 * lanes);
                                }
                            }
                        }
                        let n = tall.min(end - i);
                        for (r, (row, to)) in rows[..n].iter_mut().zip(&mut to).enumerate() {
                            (*row, *to) = (taps.step(), (i + r) * o);
                        }
                        let out = Out { data: dk.add(column), rows: &to, width, add: add || run + l > 0 };
                        self.tiles.tiles[vectors - 1][n - 1](&sum, x.add(run * step[0] + l * step[1]), &rows, b, out);
                    }
                }
            }
        }
    }
}
