//! Convolution of each channel by itself, channels last, in f32, an image a call: for every tap of every pixel a row of channels is
//! multiplied with another and added to a third. Which is which makes the three directions.
use super::direction::Which;
use super::Geometry;
use crate::tile::Simd;

/// Where no tap reads.
const NONE: usize = usize::MAX;

/// A convolution of as many groups as it has channels and results: for each axis the input that an output reads at a tap.
pub struct Depthwise {
    simd: Simd,
    channels: usize,
    kernel: [usize; 2],
    out: [usize; 2],
    input: [usize; 2],
    sources: [Vec<usize>; 2],
}

impl Depthwise {
    /// None where a group has several channels.
    pub fn new(simd: Simd, g: &Geometry) -> Option<Depthwise> {
        if g.groups < 2 || g.groups != g.c || g.c != g.o {
            return None;
        }
        let sources =
            [0, 1].map(|d| (0..g.out[d]).flat_map(|j| (0..g.kernel[d]).map(move |t| g.source(d, j, t).unwrap_or(NONE))).collect());
        Some(Depthwise { simd, channels: g.c, kernel: g.kernel, out: g.out, input: g.input, sources })
    }

    /// The direction's operands, an image each but for the kernel, and its result, to whose elements it adds with `add`.
    /// # Safety
    /// They hold as many numbers as the sizes say, and nobody else uses the result.
    pub unsafe fn run(&self, which: Which, a: *const f32, b: *const f32, to: *mut f32, add: bool) {
        let rows = |[h, w]: [usize; 2]| h * w * self.channels;
        // SAFETY: the caller's; the machine has the level.
        unsafe {
            if !add {
                to.write_bytes(
                    0,
                    rows(match which {
                        Which::Out => self.out,
                        Which::Input => self.input,
                        Which::Kernel => self.kernel,
                    }),
                );
            }
            match self.simd {
                #[cfg(target_arch = "x86_64")]
                Simd::Avx512 => self.avx512(which, a, b, to),
                #[cfg(target_arch = "x86_64")]
                Simd::Avx2 => self.avx2(which, a, b, to),
                _ => self.directed(which, a, b, to),
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512vl,fma")]
    unsafe fn avx512(&self, which: Which, a: *const f32, b: *const f32, to: *mut f32) {
        unsafe { self.directed(which, a, b, to) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2(&self, which: Which, a: *const f32, b: *const f32, to: *mut f32) {
        unsafe { self.directed(which, a, b, to) }
    }

    #[inline(always)]
    unsafe fn directed(&self, which: Which, a: *const f32, b: *const f32, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            match which {
                Which::Out => self.sum(a, b, to, |o, i, t| (i, t, o)),
                Which::Input => self.sum(a, b, to, |o, i, t| (o, t, i)),
                Which::Kernel => self.sum(a, b, to, |o, i, t| (i, o, t)),
            }
        }
    }

    /// `pick`: from the result's pixel, the input's and the tap the rows of both operands and of what they are added to.
    #[inline(always)]
    unsafe fn sum(&self, a: *const f32, b: *const f32, to: *mut f32, pick: impl Fn(usize, usize, usize) -> (usize, usize, usize)) {
        let (n, [h, w]) = (self.channels, self.kernel);
        for y in 0..self.out[0] {
            for ty in 0..h {
                for tx in 0..w {
                    let row = self.sources[0][y * h + ty];
                    if row == NONE {
                        continue;
                    }
                    for x in 0..self.out[1] {
                        let column = self.sources[1][x * w + tx];
                        if column == NONE {
                            continue;
                        }
                        let (i, j, k) = pick(y * self.out[1] + x, row * self.input[1] + column, ty * w + tx);
                        // SAFETY: the caller's.
                        let (a, b, to) = unsafe {
                            (
                                std::slice::from_raw_parts(a.add(i * n), n),
                                std::slice::from_raw_parts(b.add(j * n), n),
                                std::slice::from_raw_parts_mut(to.add(k * n), n),
                            )
                        };
                        for ((to, &a), &b) in to.iter_mut().zip(a).zip(b) {
                            *to += a * b;
                        }
                    }
                }
            }
        }
    }
}
