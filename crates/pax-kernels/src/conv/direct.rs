//! Direct convolution in f32, channels last, an image a call: no patch matrix, no threads, no allocation.
//! In an image with its border of zeros, what a kernel row reads for a pixel is one stretch of memory. So a tile of pixels times
//! a panel of result channels is a sum over a few stretches, and so are the input's gradient (one pass for each phase of
//! the stride, over the result's cotangent) and the kernel's (rows of a tile are taps, the sum runs over pixels).
use super::tile::Tiles;
use super::window::Window;
use super::Geometry;
use crate::tile::Simd;

/// One pass over a window: result pixels `count`, each a sum over `taps`. Steps along both axes, in numbers.
pub(super) struct Pass {
    pub taps: [usize; 2],
    pub count: [usize; 2],
    pub from: usize,
    pub step: [usize; 2],
    pub to: usize,
    pub to_step: [usize; 2],
    pub weights: usize,
}

/// The passes of one direction: from which channels to which, of how many pixels, and whether some of these are read by no tap.
pub(super) struct Plan {
    pub window: Window,
    pub passes: Vec<Pass>,
    pub depth: usize,
    pub wide: usize,
    pub pixels: usize,
    pub gaps: bool,
}

/// A convolution prepared for direct kernels.
pub struct Direct {
    pub(super) tiles: &'static Tiles,
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) out: [usize; 2],
    pub(super) ahead: Plan,
    pub(super) back: Plan,
    /// True if the input's gradient is spread from the result's pixels, since it has few channels.
    pub(super) spread: bool,
}

/// The tiles of an instruction set.
fn tiles_of(simd: Simd) -> Option<&'static Tiles> {
    match simd {
        #[cfg(target_arch = "x86_64")]
        Simd::Avx512 => Some(&super::tile::avx512::TILES),
        #[cfg(target_arch = "x86_64")]
        Simd::Avx2 => Some(&super::tile::avx2::TILES),
        #[cfg(target_feature = "simd128")]
        _ => Some(&super::tile::simd128::TILES),
        #[cfg(not(target_feature = "simd128"))]
        _ => None,
    }
}

impl Direct {
    /// None where the direct kernels do not apply.
    pub fn new(simd: Simd, g: &Geometry) -> Option<Direct> {
        let tiles = tiles_of(simd)?;
        if g.groups != 1 || g.dilation != [1; 2] || g.kernel_dilation != [1; 2] {
            return None;
        }
        if g.c == 0 || g.o == 0 || (0..2).any(|d| g.input[d] == 0 || g.out[d] == 0 || g.kernel[d] == 0) {
            return None;
        }
        let stride = [usize::try_from(g.stride[0]).ok()?, usize::try_from(g.stride[1]).ok()?];
        let size = |d: usize| (g.out[d] - 1).checked_mul(stride[d])?.checked_add(g.kernel[d]);
        let window = Window { origin: [-g.low[0], -g.low[1]], size: [size(0)?, size(1)?], image: g.input, channels: g.c };
        if !window.moderate() || stride.iter().any(|&s| s > 64) {
            return None;
        }
        let pitch = window.pitch();
        let pass = Pass {
            taps: g.kernel,
            count: g.out,
            from: 0,
            step: [stride[0] * pitch, stride[1] * g.c],
            to: 0,
            to_step: [g.out[1] * g.o, g.o],
            weights: 0,
        };
        let back = Direct::back(g, stride, tiles.lanes)?;
        let ahead = Plan { window, passes: vec![pass], depth: g.c, wide: g.o, pixels: g.out[0] * g.out[1], gaps: false };
        // Instructions a result pixel: products, and what it takes to add and to copy them.
        let (vectors, taps) = (|n: usize| n.div_ceil(tiles.lanes), g.taps());
        let spread =
            g.o * vectors(taps * g.c) + taps * g.c / 2 + 12 * g.kernel[0] + stride[0] * stride[1] * g.c / 4 < taps * g.o * vectors(g.c);
        Some(Direct { tiles, kernel: g.kernel, stride, out: g.out, ahead, back, spread })
    }

    /// The passes of the input's gradient. Input pixel `i = r + s q - low` of phase `r` is read by result pixel `q - m` at tap `r + s m`.
    fn back(g: &Geometry, stride: [usize; 2], lanes: usize) -> Option<Plan> {
        // Of each phase of an axis: its taps, the first `q`, their number.
        let phases = |d: usize| {
            (0..stride[d])
                .map(|r| {
                    let (s, low) = (stride[d] as i64, g.low[d]);
                    let first = (low - r as i64 + s - 1).div_euclid(s);
                    let end = (g.input[d] as i64 + low - r as i64 + s - 1).div_euclid(s);
                    ((g.kernel[d] + stride[d] - 1 - r) / stride[d], first, (end - first).max(0) as usize)
                })
                .collect::<Vec<_>>()
        };
        let phases = [phases(0), phases(1)];
        let span = |d: usize| {
            let read = || phases[d].iter().filter(|p| p.0 > 0 && p.2 > 0);
            let low = read().map(|p| p.1 - (p.0 as i64 - 1)).min().unwrap_or(0);
            (low, (read().map(|p| p.1 + p.2 as i64).max().unwrap_or(0) - low) as usize)
        };
        let spans = [span(0), span(1)];
        let window = Window { origin: [spans[0].0, spans[1].0], size: [spans[0].1, spans[1].1], image: g.out, channels: g.o };
        if !window.moderate() {
            return None;
        }
        let (pitch, mut weights, mut passes, mut gaps) = (window.pitch(), 0, Vec::new(), false);
        for (r0, p0) in phases[0].iter().enumerate() {
            for (r1, p1) in phases[1].iter().enumerate() {
                gaps |= p0.0 * p1.0 == 0;
                if p0.0 * p1.0 * p0.2 * p1.2 > 0 {
                    let at = |d: usize, p: &(usize, i64, usize)| (p.1 - (p.0 as i64 - 1) - spans[d].0).max(0) as usize;
                    let to = |d: usize, r: usize, p: &(usize, i64, usize)| (r as i64 + stride[d] as i64 * p.1 - g.low[d]) as usize;
                    passes.push(Pass {
                        taps: [p0.0, p1.0],
                        count: [p0.2, p1.2],
                        from: at(0, p0) * pitch + at(1, p1) * g.o,
                        step: [pitch, g.o],
                        to: (to(0, r0, p0) * g.input[1] + to(1, r1, p1)) * g.c,
                        to_step: [stride[0] * g.input[1] * g.c, stride[1] * g.c],
                        weights,
                    });
                }
                weights += p0.0 * p1.0 * g.o * g.c.next_multiple_of(lanes);
            }
        }
        Some(Plan { window, passes, depth: g.o, wide: g.c, pixels: g.input[0] * g.input[1], gaps })
    }

    /// `x [input, c]`, packed kernel → `y [out, o]`, one image; `back`: `dy [out, o]`, packed kernel → `dx [input, c]`.
    ///
    /// # Safety
    /// The pointers hold what they name, `scratch` `scratch()` numbers; the result and `scratch` are used by nobody else.
    pub unsafe fn image(&self, back: bool, from: *const f32, packed: *const f32, to: *mut f32, scratch: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            if back && self.spread {
                self.spread(from, packed, to, scratch)
            } else if back && !self.finite(packed) {
                self.scatter(from, packed, to)
            } else {
                self.run(if back { &self.back } else { &self.ahead }, from, packed, to, scratch)
            }
        }
    }

    /// The input's gradient, product by product, of a kernel that is not finite: it must not meet zeros around the cotangent.
    unsafe fn scatter(&self, dy: *const f32, packed: *const f32, dx: *mut f32) {
        let (window, c, o) = (&self.ahead.window, self.back.wide, self.back.depth);
        let pixel = |d: usize, j: usize, t: usize| {
            usize::try_from((j * self.stride[d] + t) as i64 + window.origin[d]).ok().filter(|&i| i < window.image[d])
        };
        // SAFETY: the caller's.
        unsafe {
            dx.write_bytes(0, self.back.pixels * c);
            for (y, x) in (0..self.out[0]).flat_map(|y| (0..self.out[1]).map(move |x| (y, x))) {
                let dy = dy.add((y * self.out[1] + x) * o);
                for (t0, t1) in (0..self.kernel[0]).flat_map(|t0| (0..self.kernel[1]).map(move |t1| (t0, t1))) {
                    let Some((i, j)) = pixel(0, y, t0).zip(pixel(1, x, t1)) else { continue };
                    for (column, width, vectors) in self.panels(c) {
                        let all = vectors * self.tiles.lanes;
                        let rows = packed.add(self.tap_back([t0, t1], column, all));
                        let to = std::slice::from_raw_parts_mut(dx.add((i * window.image[1] + j) * c + column), width);
                        for l in 0..o {
                            let row = std::slice::from_raw_parts(rows.add(l * all), width);
                            to.iter_mut().zip(row).for_each(|(to, k)| *to += *dy.add(l) * k);
                        }
                    }
                }
            }
        }
    }
}
