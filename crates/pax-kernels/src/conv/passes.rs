//! A pass over an image's window: tiles of pixels times panels of result channels.
use super::direct::{Direct, Pass, Plan};
use super::tile::{Out, Sum, ROWS};
use crate::ask;

/// Numbers of a panel that are used together: a quarter of a second cache.
const PANEL: usize = 1 << 16;
/// Numbers of an image that are used together, for all panels.
const BAND: usize = 1 << 15;
/// Tiles that are made together where all panels stay at hand.
const FEW: usize = 4;
/// Terms of a sum from which on it hides what it takes to ask for memory.
const LONG: usize = 48;

/// The parts of a sum of `runs` stretches of `len` terms, at most `most` terms each: (first run, runs, first term, terms).
pub fn parts(runs: usize, len: usize, most: usize) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    let (together, most) = (if len > most { 1 } else { (most / len).max(1) }, most.min(len));
    (0..runs).step_by(together).flat_map(move |r| (0..len).step_by(most).map(move |l| (r, together.min(runs - r), l, most.min(len - l))))
}

/// Offsets of places row by row, `count` a row, from the `i`-th on: `steps` from row to row and in a row.
pub struct Walk {
    count: usize,
    x: usize,
    at: usize,
    step: usize,
    jump: usize,
}
impl Walk {
    pub fn new(i: usize, count: usize, steps: [usize; 2]) -> Walk {
        Walk {
            count,
            x: i % count,
            at: i / count * steps[0] + i % count * steps[1],
            step: steps[1],
            jump: steps[0].wrapping_sub((count - 1) * steps[1]),
        }
    }
    #[inline(always)]
    pub fn step(&mut self) -> usize {
        let at = self.at;
        self.x += 1;
        let end = self.x == self.count;
        self.at = at.wrapping_add(if end { self.jump } else { self.step });
        if end {
            self.x = 0;
        }
        at
    }
}

impl Direct {
    /// All passes of a direction.
    pub(super) unsafe fn run(&self, plan: &Plan, image: *const f32, packed: *const f32, out: *mut f32, scratch: *mut f32) {
        // SAFETY: the caller's; passes read inside of their window, and no two write the same pixel, all together every one but for gaps.
        unsafe {
            let from = plan.window.of(image, scratch);
            if plan.gaps {
                out.write_bytes(0, plan.pixels * plan.wide);
            }
            for p in &plan.passes {
                self.pass(plan, p, from.add(p.from), packed.add(p.weights), out.add(p.to));
            }
        }
    }

    unsafe fn pass(&self, plan: &Plan, p: &Pass, from: *const f32, weights: *const f32, out: *mut f32) {
        let (runs, len, pitch, pixels) = (p.taps[0], p.taps[1] * plan.depth, plan.window.pitch(), p.count[0] * p.count[1]);
        let (tall, mut rows, mut to) = (self.tiles.rows, [0; ROWS], [0; ROWS]);
        // SAFETY: the caller's.
        unsafe {
            // Where all panels fit the second cache they are read again for every few tiles, else for a band of the image.
            let band = if plan.wide <= 2 * self.tiles.lanes {
                pixels
            } else if runs * len * plan.wide <= PANEL {
                FEW * tall
            } else {
                (BAND * p.count[1] / (p.step[0].min(p.step[1] * p.count[1]))).max(1).next_multiple_of(tall)
            };
            for begin in (0..pixels).step_by(band) {
                for (run, runs_, l, len_) in parts(runs, len, PANEL / (2 * self.tiles.lanes)) {
                    for (column, width, vectors) in self.panels(plan.wide) {
                        let all = vectors * self.tiles.lanes;
                        let sum = Sum { runs: runs_, len: len_, a: [1, pitch], b: [all, len * all] };
                        let (a, b) = (from.add(run * pitch + l), weights.add(runs * len * column + (run * len + l) * all));
                        let (mut window, mut result) = (Walk::new(begin, p.count[1], p.step), Walk::new(begin, p.count[1], p.to_step));
                        for i in (begin..pixels.min(begin + band)).step_by(tall) {
                            let n = tall.min(pixels - i);
                            for (row, to) in rows[..n].iter_mut().zip(&mut to) {
                                (*row, *to) = (window.step(), result.step());
                            }
                            // Where the next tile goes, but for ends of rows.
                            if runs_ * len_ >= LONG {
                                for &to in &to[..n] {
                                    ask::<true>(out.wrapping_add(to + tall * p.to_step[1] + column), width);
                                }
                            }
                            self.tiles.tiles[vectors - 1][n - 1](
                                &sum,
                                a,
                                &rows,
                                b,
                                Out { data: out.add(column), rows: &to, width, add: run + l > 0 },
                            );
                        }
                    }
                }
            }
        }
    }
}
