//! Direct convolution in f32, channels last, an image a call: no patch matrix, no threads, no allocation.
//! In an image with its border of zeros, what a kernel row reads for a pixel is one stretch of memory. So a tile of pixels times
//! a panel of result channels is a sum over a few stretches, and so are the input's gradient (one pass for each phase of
//! the stride, over the result's cotangent) and the kernel's (rows of a tile are taps, the sum runs over pixels).
use super::tile::{Out, Sum, Tiles, ROWS};
use super::window::Window;
use super::Geometry;
use crate::exec::cpu::tile::Simd;

/// Numbers of a panel that are used together: a quarter of a second cache.
const PANEL: usize = 1 << 16;
/// Numbers of an image that are used together, for all panels.
const BAND: usize = 1 << 15;
/// Pixels that a kernel's gradient sums before the next taps: their cotangents stay in the first cache.
const BLOCK: usize = 128;

/// One pass over a window: result pixels `count`, each a sum over `taps`. Steps along both axes, in numbers.
struct Pass { taps: [usize; 2], count: [usize; 2], from: usize, step: [usize; 2], to: usize, to_step: [usize; 2], weights: usize }

/// The passes of one direction: from which channels to which.
struct Plan { window: Window, passes: Vec<Pass>, depth: usize, wide: usize }

/// A convolution prepared for direct kernels.
pub struct Direct { tiles: &'static Tiles, kernel: [usize; 2], stride: [usize; 2], out: [usize; 2], ahead: Plan, back: Plan }

/// The tiles of an instruction set.
fn tiles_of(simd: Simd) -> Option<&'static Tiles> {
    match simd {
        #[cfg(target_arch = "x86_64")]
        Simd::Avx512 => Some(&super::tile::avx512::TILES),
        #[cfg(target_arch = "x86_64")]
        Simd::Avx2 => Some(&super::tile::avx2::TILES),
        _ => None,
    }
}

/// The parts of a sum of `runs` stretches of `len` terms, at most `most` terms each: (first run, runs, first term, terms).
fn parts(runs: usize, len: usize, most: usize) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    let (together, most) = (if len > most { 1 } else { (most / len).max(1) }, most.min(len));
    (0..runs).step_by(together).flat_map(move |r| (0..len).step_by(most).map(move |l| (r, together.min(runs - r), l, most.min(len - l))))
}

impl Direct {
    /// None where the direct kernels do not apply.
    pub fn new(simd: Simd, g: &Geometry) -> Option<Direct> {
        let tiles = tiles_of(simd)?;
        if g.groups != 1 || g.dilation != [1; 2] || g.kernel_dilation != [1; 2] { return None; }
        if g.c == 0 || g.o == 0 || (0..2).any(|d| g.input[d] == 0 || g.out[d] == 0 || g.kernel[d] == 0) { return None; }
        let stride = [usize::try_from(g.stride[0]).ok()?, usize::try_from(g.stride[1]).ok()?];
        let size = |d: usize| (g.out[d] - 1).checked_mul(stride[d])?.checked_add(g.kernel[d]);
        let window = Window { origin: [-g.low[0], -g.low[1]], size: [size(0)?, size(1)?], image: g.input, channels: g.c };
        if !window.moderate() || stride.iter().any(|&s| s > 64) { return None; }
        let pitch = window.pitch();
        let pass = Pass { taps: g.kernel, count: g.out, from: 0, step: [stride[0] * pitch, stride[1] * g.c], to: 0, to_step: [g.out[1] * g.o, g.o], weights: 0 };
        let back = Direct::back(g, stride, tiles.lanes)?;
        Some(Direct { tiles, kernel: g.kernel, stride, out: g.out, ahead: Plan { window, passes: vec![pass], depth: g.c, wide: g.o }, back })
    }

    /// The passes of the input's gradient. Input pixel `i = r + s q - low` of phase `r` is read by result pixel `q - m` at tap `r + s m`.
    fn back(g: &Geometry, stride: [usize; 2], lanes: usize) -> Option<Plan> {
        // Of each phase of an axis: its taps, the first `q`, their number.
        let phases = |d: usize| (0..stride[d]).map(|r| {
            let (s, low) = (stride[d] as i64, g.low[d]);
            let first = (low - r as i64 + s - 1).div_euclid(s);
            let end = (g.input[d] as i64 + low - r as i64 + s - 1).div_euclid(s);
            ((g.kernel[d] + stride[d] - 1 - r) / stride[d], first, (end - first).max(0) as usize)
        }).collect::<Vec<_>>();
        let phases = [phases(0), phases(1)];
        let span = |d: usize| {
            let read = || phases[d].iter().filter(|p| p.0 > 0 && p.2 > 0);
            let low = read().map(|p| p.1 - (p.0 as i64 - 1)).min().unwrap_or(0);
            (low, (read().map(|p| p.1 + p.2 as i64).max().unwrap_or(0) - low) as usize)
        };
        let spans = [span(0), span(1)];
        let window = Window { origin: [spans[0].0, spans[1].0], size: [spans[0].1, spans[1].1], image: g.out, channels: g.o };
        if !window.moderate() { return None; }
        let (pitch, mut weights, mut passes) = (window.pitch(), 0, Vec::new());
        for (r0, p0) in phases[0].iter().enumerate() { for (r1, p1) in phases[1].iter().enumerate() {
            if p0.2 * p1.2 > 0 {
                let at = |d: usize, p: &(usize, i64, usize)| (p.1 - (p.0 as i64 - 1) - spans[d].0).max(0) as usize;
                let to = |d: usize, r: usize, p: &(usize, i64, usize)| (r as i64 + stride[d] as i64 * p.1 - g.low[d]) as usize;
                passes.push(Pass { taps: [p0.0, p1.0], count: [p0.2, p1.2], from: at(0, p0) * pitch + at(1, p1) * g.o, step: [pitch, g.o],
                    to: (to(0, r0, p0) * g.input[1] + to(1, r1, p1)) * g.c, to_step: [stride[0] * g.input[1] * g.c, stride[1] * g.c], weights });
            }
            weights += p0.0 * p1.0 * g.o * g.c.next_multiple_of(lanes);
        } }
        Some(Plan { window, passes, depth: g.o, wide: g.c })
    }

    fn taps(&self) -> usize { self.kernel[0] * self.kernel[1] }
    /// Numbers of the kernel in the panels of `forward`.
    pub fn packed(&self) -> usize { self.taps() * self.ahead.depth * self.ahead.wide.next_multiple_of(self.tiles.lanes) }
    /// Numbers of the kernel in the panels of `input_grad`.
    pub fn packed_back(&self) -> usize { self.taps() * self.back.depth * self.back.wide.next_multiple_of(self.tiles.lanes) }
    /// Numbers that a thread needs for any of the three.
    pub fn scratch(&self) -> usize { self.ahead.window.copied().max(self.back.window.copied()) + BLOCK * 2 * self.tiles.lanes }

    /// The panels of `wide` columns: first column, columns, vectors.
    fn panels(&self, wide: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let lanes = self.tiles.lanes;
        (0..wide).step_by(2 * lanes).map(move |j| { let n = (wide - j).min(2 * lanes); (j, n, n.div_ceil(lanes)) })
    }

    /// Writes a kernel `[kernel, c, o]` in the panels of `forward`.
    ///
    /// # Safety
    /// `to` holds `packed()` numbers.
    pub unsafe fn pack(&self, kernel: *const f32, to: *mut f32) {
        let (depth, o) = (self.taps() * self.ahead.depth, self.ahead.wide);
        for (column, width, vectors) in self.panels(o) {
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

    /// Writes a kernel `[kernel, c, o]` in the panels of `input_grad`: by phase, its taps from the last, results' channels in rows.
    ///
    /// # Safety
    /// `to` holds `packed_back()` numbers.
    pub unsafe fn pack_back(&self, kernel: *const f32, to: *mut f32) {
        let (o, c) = (self.back.depth, self.back.wide);
        let phases = |d: usize| (0..self.stride[d]).map(move |r| (r, (self.kernel[d] + self.stride[d] - 1 - r) / self.stride[d]));
        let mut to = to;
        for (r0, m0) in phases(0) { for (r1, m1) in phases(1) { for (column, width, vectors) in self.panels(c) {
            let all = vectors * self.tiles.lanes;
            for tap in 0..m0 * m1 {
                let (t0, t1) = (r0 + self.stride[0] * (m0 - 1 - tap / m1), r1 + self.stride[1] * (m1 - 1 - tap % m1));
                // SAFETY: every panel of every phase has its place, one behind the other.
                unsafe {
                    let from = kernel.add(((t0 * self.kernel[1] + t1) * c + column) * o);
                    for i in 0..all { for j in 0..o { *to.add(j * all + i) = if i < width { *from.add(i * o + j) } else { 0.0 }; } }
                    to = to.add(o * all);
                }
            }
        } } }
    }

    /// `x [input, c]`, packed kernel → `y [out, o]`, one image.
    ///
    /// # Safety
    /// The pointers hold what they name, `scratch` `scratch()` numbers; `y` and `scratch` are used by nobody else.
    pub unsafe fn forward(&self, x: *const f32, packed: *const f32, y: *mut f32, scratch: *mut f32) {
        // SAFETY: the caller's.
        unsafe { self.run(&self.ahead, x, packed, y, scratch) }
    }

    /// `dy [out, o]`, kernel packed by `pack_back` → `dx [input, c]`, one image. Zeros beyond the image meet the kernel, so
    /// one that is not finite makes NaN of pixels at the border.
    ///
    /// # Safety
    /// As for `forward`.
    pub unsafe fn input_grad(&self, dy: *const f32, packed: *const f32, dx: *mut f32, scratch: *mut f32) {
        // SAFETY: the caller's.
        unsafe { self.run(&self.back, dy, packed, dx, scratch) }
    }

    /// All passes of a direction.
    unsafe fn run(&self, plan: &Plan, image: *const f32, packed: *const f32, out: *mut f32, scratch: *mut f32) {
        // SAFETY: the caller's; passes read inside of their window, and no two write the same pixel.
        unsafe {
            let from = plan.window.of(image, scratch);
            for p in &plan.passes { self.pass(plan, p, from.add(p.from), packed.add(p.weights), out.add(p.to)); }
        }
    }

    unsafe fn pass(&self, plan: &Plan, p: &Pass, from: *const f32, weights: *const f32, out: *mut f32) {
        let (runs, len, pitch, pixels) = (p.taps[0], p.taps[1] * plan.depth, plan.window.pitch(), p.count[0] * p.count[1]);
        let (mut rows, mut to) = ([0; ROWS], [0; ROWS]);
        // The places of pixels from the `i`-th on, in the window and in the result.
        let places = |i: usize, n: usize, rows: &mut [usize; ROWS], to: &mut [usize; ROWS]| {
            let (mut y, mut x) = (i / p.count[1], i % p.count[1]);
            for (row, to) in rows.iter_mut().zip(to).take(n) {
                (*row, *to) = (y * p.step[0] + x * p.step[1], y * p.to_step[0] + x * p.to_step[1]);
                x += 1;
                if x == p.count[1] { (y, x) = (y + 1, 0); }
            }
        };
        // SAFETY: the caller's.
        unsafe {
            if runs * len == 0 {
                for i in 0..pixels { places(i, 1, &mut rows, &mut to); out.add(to[0]).write_bytes(0, plan.wide); }
                return;
            }
            let tall = self.tiles.rows;
            let band = (BAND * p.count[1] / (p.step[0].min(p.step[1] * p.count[1]).max(1))).next_multiple_of(tall);
            for begin in (0..pixels).step_by(band) {
                for (run, runs_, l, len_) in parts(runs, len, PANEL / (2 * self.tiles.lanes)) {
                    for (column, width, vectors) in self.panels(plan.wide) {
                        let all = vectors * self.tiles.lanes;
                        let sum = Sum { runs: runs_, len: len_, a: [1, pitch], b: [all, len * all] };
                        let (a, b) = (from.add(run * pitch + l), weights.add(runs * len * column + (run * len + l) * all));
                        for i in (begin..pixels.min(begin + band)).step_by(tall) {
                            let n = tall.min(pixels - i);
                            places(i, n, &mut rows, &mut to);
                            self.tiles.tiles[vectors - 1][n - 1](&sum, a, &rows, b, Out { data: out.add(column), rows: &to, width, add: run + l > 0 });
                        }
                    }
                }
            }
        }
    }

    /// `x [input, c]`, `dy [out, o]` → `dk [kernel, c, o]`, one image, added to what `dk` holds if `add`.
    ///
    /// # Safety
    /// As for `forward`; nobody else uses `dk`.
    pub unsafe fn kernel_grad(&self, x: *const f32, dy: *const f32, dk: *mut f32, add: bool, scratch: *mut f32) {
        let (c, o, out, pitch) = (self.ahead.depth, self.ahead.wide, self.out, self.ahead.window.pitch());
        let (depth, stretch) = (self.taps() * c, self.kernel[1] * c);
        let (lanes, tall) = (self.tiles.lanes, self.tiles.rows);
        let step = self.ahead.passes[0].step;
        let (mut rows, mut to) = ([0; ROWS], [0; ROWS]);
        // SAFETY: the caller's; the packed block lies behind the window's copy.
        unsafe {
            let from = self.ahead.window.of(x, scratch);
            let block = scratch.add(self.ahead.window.copied());
            for (run, runs, l, len) in parts(out[0], out[1], BLOCK) {
                for (column, width, vectors) in self.panels(o) {
                    let all = vectors * lanes;
                    let mut b = dy.add((run * out[1] + l) * o + column);
                    let mut sum = Sum { runs, len, a: [step[1], step[0]], b: [o, out[1] * o] };
                    // Whole vectors are read where they lie, unless they are far apart and read often.
                    if width < all || (o > 128 && depth > 4 * tall) {
                        for r in 0..runs { for i in 0..len {
                            let row = block.add((r * len + i) * all);
                            std::ptr::copy_nonoverlapping(b.add((r * out[1] + i) * o), row, width);
                            row.add(width).write_bytes(0, all - width);
                        } }
                        (b, sum.b) = (block, [all, len * all]);
                    }
                    for i in (0..depth).step_by(tall) {
                        let n = tall.min(depth - i);
                        for r in 0..n { (rows[r], to[r]) = ((i + r) / stretch * pitch + (i + r) % stretch, (i + r) * o); }
                        let out = Out { data: dk.add(column), rows: &to, width, add: add || run + l > 0 };
                        self.tiles.tiles[vectors - 1][n - 1](&sum, from.add(run * step[0] + l * step[1]), &rows, b, out);
                    }
                }
            }
        }
    }
}
