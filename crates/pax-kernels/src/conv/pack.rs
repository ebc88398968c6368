//! Kernels in panels: 2 vectors of columns each, the last perhaps 1, rows of a panel one behind the other.
use std::ops::Range;

use super::direct::Direct;
use super::kernel_grad::BLOCK;
use super::tile::ROWS;

impl Direct {
    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }
    /// Numbers of the kernel in panels, for results or (`back`) for the input's gradient.
    pub fn packed(&self, back: bool) -> usize {
        if back && self.spread {
            self.back.depth * self.spread_width()
        } else if back {
            self.flags() + self.packs(true).next_multiple_of(self.tiles.lanes)
        } else {
            self.taps() * self.ahead.depth * self.ahead.wide.next_multiple_of(self.tiles.lanes)
        }
    }
    /// Where, behind the panels for the input's gradient unless that is spread, each has a number: 0 if it is finite.
    fn flags(&self) -> usize {
        self.taps() * self.back.depth * self.back.wide.next_multiple_of(self.tiles.lanes)
    }
    /// True if a kernel, packed for the input's gradient, is finite.
    ///
    /// # Safety
    /// As for `image`.
    pub(super) unsafe fn finite(&self, packed: *const f32) -> bool {
        // SAFETY: the caller's.
        (0..self.packs(true)).all(|i| unsafe { *packed.add(self.flags() + i) == 0.0 })
    }
    /// All taps and channels of a kernel, in whole vectors.
    pub(super) fn spread_width(&self) -> usize {
        (self.taps() * self.back.wide).next_multiple_of(self.tiles.lanes)
    }
    /// Numbers that a thread needs for any of the three.
    pub fn scratch(&self) -> usize {
        let (window, lanes) = (&self.ahead.window, self.tiles.lanes);
        let back = if self.spread { window.floats() + ROWS * self.spread_width() } else { self.back.window.copied() };
        back.max(window.copied() + BLOCK * 2 * lanes)
    }

    /// The panels of `wide` columns: first column, columns, vectors.
    pub(super) fn panels(&self, wide: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let lanes = self.tiles.lanes;
        (0..wide).step_by(2 * lanes).map(move |j| {
            let n = (wide - j).min(2 * lanes);
            (j, n, n.div_ceil(lanes))
        })
    }

    /// How many these panels are.
    pub fn packs(&self, back: bool) -> usize {
        let columns = if back { self.back.wide * if self.spread { self.taps() } else { 1 } } else { self.ahead.wide };
        self.panels(columns).count()
    }

    /// Panels `some` of `wide` columns.
    pub(super) fn some_panels(&self, wide: usize, some: Range<usize>) -> impl Iterator<Item = (usize, usize, usize)> {
        self.panels(wide).skip(some.start).take(some.len())
    }

    /// Writes panels `some` of a kernel `[kernel, c, o]`.
    ///
    /// # Safety
    /// The kernel holds what its shape says, `to` `packed(back)` numbers; the panels are of those that there are, and nobody else uses them.
    pub unsafe fn pack(&self, back: bool, some: Range<usize>, kernel: *const f32, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            if back {
                self.pack_back(some, kernel, to)
            } else {
                self.pack_ahead(some, kernel, to)
            }
        }
    }

    unsafe fn pack_ahead(&self, some: Range<usize>, kernel: *const f32, to: *mut f32) {
        let (depth, o) = (self.taps() * self.ahead.depth, self.ahead.wide);
        for (column, width, vectors) in self.some_panels(o, some) {
            let all = vectors * self.tiles.lanes;
            for l in 0..depth {
                // SAFETY: panels lie one behind the other and have whole vectors.
                unsafe {
                    let row = to.add(column * depth + l * all);
                    std::ptr::copy_nonoverlapping(kernel.add(l * o + column), row, width);
                    row.add(width).write_bytes(0, all - width);
                }
            }
        }
    }

    /// Where the rows of a tap begin in the panel of `all` columns from `column` on for the input's gradient, unless that is spread.
    pub(super) fn tap_back(&self, tap: [usize; 2], column: usize, all: usize) -> usize {
        let (o, wide, [down, across]) = (self.back.depth, self.back.wide.next_multiple_of(self.tiles.lanes), self.stride);
        let taps = |phase: [usize; 2]| [0, 1].map(|d| (self.kernel[d] + self.stride[d] - 1 - phase[d]) / self.stride[d]);
        let phase = [tap[0] % down, tap[1] % across];
        let phases = (0..phase[0] * across + phase[1]).map(|p| taps([p / across, p % across]));
        let (before, [m0, m1]) = (phases.map(|[m0, m1]| m0 * m1).sum::<usize>() * wide, taps(phase));
        o * (before + m0 * m1 * column + ((m0 - 1 - tap[0] / down) * m1 + m1 - 1 - tap[1] / across) * all)
    }

    /// Results' channels in rows: by phase, its taps from the last; taps in columns too where the gradient is spread.
    unsafe fn pack_back(&self, some: Range<usize>, kernel: *const f32, to: *mut f32) {
        let (o, c) = (self.back.depth, self.back.wide);
        // `width` rows of `o` numbers as columns, some at a time so that these stay in the first cache.
        let turn = |from: *const f32, width: usize, all: usize, to: *mut f32| {
            for some in (0..o).step_by(64) {
                for i in 0..all {
                    for j in some..o.min(some + 64) {
                        // SAFETY: those that call give rows of the kernel and room for whole vectors.
                        unsafe {
                            *to.add(j * all + i) = if i < width { *from.add(i * o + j) } else { 0.0 };
                        }
                    }
                }
            }
        };
        // SAFETY: every panel has its place, one behind the other.
        unsafe {
            if self.spread {
                for (column, width, vectors) in self.some_panels(self.taps() * c, some) {
                    turn(kernel.add(column * o), width, vectors * self.tiles.lanes, to.add(column * o));
                }
                return;
            }
            for (i, (column, width, vectors)) in some.clone().zip(self.some_panels(c, some)) {
                let (all, mut most) = (vectors * self.tiles.lanes, 0);
                for t in 0..self.taps() {
                    let tap = to.add(self.tap_back([t / self.kernel[1], t % self.kernel[1]], column, all));
                    turn(kernel.add((t * c + column) * o), width, all, tap);
                    let bits = std::slice::from_raw_parts(tap.cast::<u32>(), o * all).iter().map(|v| v & !(1 << 31));
                    most = bits.fold(most, u32::max);
                }
                // The last panel's number is repeated to the end of its vector.
                let end = if i + 1 == self.packs(true) { self.packed(true) } else { self.flags() + i + 1 };
                for flag in self.flags() + i..end {
                    *to.add(flag) = f32::from(most >= f32::INFINITY.to_bits());
                }
            }
        }
    }
}
