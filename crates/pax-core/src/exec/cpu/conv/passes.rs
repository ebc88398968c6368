//! A pass over an image's window: tiles of pixels times panels of result channels.
use super::direct::{Direct, Pass, Plan};
use super::tile::{ask, Out, Sum, ROWS};

/// Numbers of a panel that are used together: a quarter of a second cache.
const PANEL: usize = 1 << 16;
/// Numbers of an image that are used together, for all panels.
const BAND: usize = 1 << 15;

/// The parts of a sum of `runs` stretches of `len` terms, at most `most` terms each: (first run, runs, first term, terms).
pub fn parts(runs: usize, len: usize, most: usize) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    let (together, most) = (if len > most { 1 } else { (most / len).max(1) }, most.min(len));
    (0..runs).step_by(together).flat_map(move |r| (0..len).step_by(most).map(move |l| (r, together.min(runs - r), l, most.min(len - l))))
}

impl Direct {
    /// All passes of a direction.
    pub(super) unsafe fn run(&self, plan: &Plan, image: *const f32, packed: *const f32, out: *mut f32, scratch: *mut f32) {
        // SAFETY: the caller's; passes read inside of their window, and no two write the same pixel, all together every one but for gaps.
        unsafe {
            let from = plan.window.of(image, scratch);
            if plan.gaps { out.write_bytes(0, plan.pixels * plan.wide); }
            for p in &plan.passes { self.pass(plan, p, from.add(p.from), packed.add(p.weights), out.add(p.to)); }
        }
    }

    unsafe fn pass(&self, plan: &Plan, p: &Pass, from: *const f32, weights: *const f32, out: *mut f32) {
        let (runs, len, pitch, pixels) = (p.taps[0], p.taps[1] * plan.depth, plan.window.pitch(), p.count[0] * p.count[1]);
        let tall = self.tiles.rows;
        // How many pixels a tile from the `i`-th on has, and their places in the window and in the result.
        let tile = |i: usize| {
            let (mut rows, mut to, n) = ([0; ROWS], [0; ROWS], tall.min(pixels.saturating_sub(i)));
            let (mut y, mut x) = (i / p.count[1], i % p.count[1]);
            for (row, to) in rows.iter_mut().zip(&mut to).take(n) {
                (*row, *to) = (y * p.step[0] + x * p.step[1], y * p.to_step[0] + x * p.to_step[1]);
                x += 1;
                if x == p.count[1] { (y, x) = (y + 1, 0); }
            }
            (n, rows, to)
        };
        // SAFETY: the caller's.
        unsafe {
            // Where all panels fit the second cache they are read again for every few tiles, else for a band of the image.
            let few = runs * len * plan.wide <= PANEL;
            let band = if few { 2 * tall } else { (BAND * p.count[1] / (p.step[0].min(p.step[1] * p.count[1]).max(1))).next_multiple_of(tall) };
            for begin in (0..pixels).step_by(band) {
                for (run, runs_, l, len_) in parts(runs, len, PANEL / (2 * self.tiles.lanes)) {
                    for (column, width, vectors) in self.panels(plan.wide) {
                        let all = vectors * self.tiles.lanes;
                        let sum = Sum { runs: runs_, len: len_, a: [1, pitch], b: [all, len * all] };
                        let (a, b) = (from.add(run * pitch + l), weights.add(runs * len * column + (run * len + l) * all));
                        let mut now = tile(begin);
                        for i in (begin..pixels.min(begin + band)).step_by(tall) {
                            let next = tile(i + tall);
                            for &to in &next.2[..next.0] { ask::<true>(out.wrapping_add(to + column), width); }
                            self.tiles.tiles[vectors - 1][now.0 - 1](&sum, a, &now.1, b, Out { data: out.add(column), rows: &now.2, width, add: run + l > 0 });
                            now = next;
                        }
                    }
                }
            }
        }
    }
}
