//! Convolution of 3×3 taps by Winograd's method: a square of 2×2 results takes 16 products a channel instead of 36, or 25 with
//! stride 2. Squares of an image, the kernel and the result are transformed, each by additions (`transform`); in between stand as many
//! products of matrices. A result's error is relative to the largest pixel and tap that it reads, about one and a half times that of
//! the plain sum. An image whose result is not finite is made again by the direct kernels, since infinities that are added and taken
//! away are NaN.
mod kernel_grad;
mod run;
#[cfg_attr(not(any(target_arch = "x86_64", target_feature = "simd128")), allow(dead_code))] // as the tiles
pub(super) mod transform;

use std::ops::Range;

use super::direct::Direct;
use super::direction::Which;
use super::Geometry;
use kernel_grad::{CHANNELS, SQUARES};
use transform::Scheme;

/// Numbers of one transformed pixel of all squares that are used together, and of their products: all are a quarter of a second cache.
const BLOCK: usize = 1 << 12;

/// What it may cost of the direct kernels' time, from which on it is not worth its memory.
const WORTH: f64 = 0.9;

/// Some squares of the first `images` images, in the order of `Winograd::kinds`.
struct Squares {
    some: Range<usize>,
    images: usize,
}

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
    /// Squares of an image, down and across; those that the result, or the right operand, has all of; and the products of an axis, a
    /// bit each, that the last ones need.
    squares: [usize; 2],
    full: [usize; 2],
    last: [u8; 2],
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
        // What a tap reads only zeros for is zero, which sums of sums are not.
        let reads = |d: usize, tap: usize| (0..g.out[d]).any(|j| g.source(d, j, tap).is_some());
        let all = || (0..2).all(|d| (0..3).all(|tap| reads(d, tap)));
        if g.kernel != [3; 2] || (which == Which::Input && direct.spread) || (which == Which::Kernel && !all()) {
            return Err(direct);
        }
        let transforms = direct.tiles.transforms;
        let (scheme, from) = match (which, strided) {
            (Which::Out, _) => (&transforms.ahead[strided], g.low.map(|low| -low)),
            (Which::Kernel, _) => (&transforms.kernel[strided], g.low.map(|low| -low)),
            (Which::Input, 0) => (&transforms.back[0], g.low.map(|low| low - 2)),
            // Input pixel `2q - low` is read at tap 0 by result pixel `q` and at tap 2 by the one before, the next at tap 1 by `q`.
            (Which::Input, _) => match g.low.map(|low| low.rem_euclid(2)) {
                [0, 0] => (&transforms.back[1], g.low.map(|low| low / 2 - 1)),
                [1, 1] => (&transforms.back[2], g.low.map(|low| low.div_euclid(2))),
                _ => return Err(direct),
            },
        };
        let back = which == Which::Input;
        let (image, depth, out, wide) = if back { (g.out, g.o, g.input, g.c) } else { (g.input, g.c, g.out, g.o) };
        let [squares, full] = [out.map(|n| n.div_ceil(scheme.steps[1])), out.map(|n| n / scheme.steps[1])];
        let last = out.map(|n| scheme.needs[(n - 1) % scheme.steps[1]]);
        // Vector instructions of an image: products, and what transforms take, which are made again for each block of a gradient's channels.
        let (vectors, blocks) = (|n: usize| n.div_ceil(direct.tiles.lanes) as f64, |n: usize| n.div_ceil(CHANNELS) as f64);
        let (deep, whole, [left, products, others]) = (vectors(depth), vectors(wide), scheme.sides.map(|side| (side * side) as f64));
        let (sums, left) = (depth as f64 * whole, (left + 5.0 * products) * deep);
        let (transforms, once) = match which {
            Which::Kernel => (left * blocks(wide) + (others + 4.0 * products) * whole * blocks(depth), 5.0 * products * sums),
            _ => (left + (2.0 * products + 4.0 * others) * whole, (18.0 + 6.0 * products) * sums),
        };
        let made = |d: usize| (full[d] * scheme.sides[1] + (squares[d] - full[d]) * last[d].count_ones() as usize) as f64;
        let needs = made(0) * made(1) * sums + squares.map(|n| n as f64).iter().product::<f64>() * transforms + once / g.n as f64;
        let cost = needs / (g.pixels() as f64 * 9.0 * sums);
        if cost >= WORTH {
            return Err(direct);
        }
        Ok(Winograd { direct, scheme, back, image, depth, from, out, wide, squares, full, last, cost })
    }

    /// Time a product of the definition, in products of the direct kernels.
    pub fn cost(&self) -> f64 {
        self.cost
    }
    /// How many squares an image has.
    fn count(&self) -> usize {
        self.squares[0] * self.squares[1]
    }
    /// Products of a square, one a transformed pixel.
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
    /// Numbers from product to product, not a multiple of a page: they would share places in the cache.
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
        self.direct.packed(self.back) + self.products() * self.depth * self.whole(self.wide)
    }
    /// Numbers that a thread needs.
    pub fn scratch(&self) -> usize {
        let block = self.block();
        let run = self.apart(block, self.whole(self.depth)) + self.apart(block, self.panel());
        let gradient = 2 * self.apart(SQUARES, CHANNELS) + self.apart(CHANNELS, CHANNELS);
        let border = self.whole(self.depth.max(CHANNELS));
        (self.products() * (run.max(gradient) + border)).max(self.direct.scratch())
    }

    /// Panels of the kernel.
    pub fn packs(&self) -> usize {
        self.direct.packs(self.back)
    }

    /// Writes panels `some` of a kernel `[3, 3, c, o]` as `run` reads it.
    ///
    /// # Safety
    /// As `Direction::pack`.
    pub unsafe fn pack(&self, some: Range<usize>, kernel: *const f32, to: *mut f32) {
        // SAFETY: the caller's; panels lie one behind the other, nine taps each and then all products.
        unsafe {
            self.direct.pack(self.back, some.clone(), kernel, to);
            let transformed = to.add(self.direct.packed(self.back));
            for (column, _, vectors) in self.direct.some_panels(self.wide, some) {
                let all = vectors * self.direct.tiles.lanes;
                let n = self.depth * all;
                let products = transformed.add(self.products() * self.depth * column);
                let mut from = to.add(9 * self.depth * column).cast_const();
                if self.back && self.direct.stride != [1; 2] {
                    // The taps of phases, from the last, where the last products will be: these are written when all are read.
                    let last = products.add((self.products() - 9) * n);
                    for t in 0..9 {
                        let tap = to.add(self.direct.tap_back([2 - t / 3, 2 - t % 3], column, all));
                        std::ptr::copy_nonoverlapping(tap, last.add(t * n), n);
                    }
                    from = last;
                }
                (self.scheme.right)(n, from, [3 * n, n], products, self.steps(n));
            }
        }
    }

    /// Squares of an image by what the result has of them: those cut off to the right, all whole ones, those cut off below, and at both.
    /// In this order, first those of all images of a kind, squares that need a product are neighbours.
    fn kinds(&self) -> [[Range<usize>; 2]; 4] {
        let ([full, end], [wide, edge]) = ([self.full[0], self.squares[0]], [self.full[1], self.squares[1]]);
        [[0..full, wide..edge], [0..full, 0..wide], [full..end, 0..wide], [full..end, wide..edge]]
    }

    /// Those of some squares that need product `p`, counted from the first of them.
    fn needing(&self, p: usize, squares: &Squares) -> Range<usize> {
        let side = self.scheme.sides[1];
        let [down, across] = [(0, p / side), (1, p % side)].map(|(d, p)| self.last[d] >> p & 1 != 0);
        let n = self.kinds().map(|[rows, columns]| squares.images * rows.len() * columns.len());
        let (first, whole, last) = (n[0], n[1], n[2..].iter().sum::<usize>());
        let start = if across { 0 } else { first };
        let end = first
            + whole
            + if down && across {
                last
            } else if down {
                n[2]
            } else {
                0
            };
        let some = &squares.some;
        start.clamp(some.start, some.end) - some.start..end.clamp(some.start, some.end) - some.start
    }

    /// The image of the `i`-th square of `images` images, and its first pixels in the left operand and in the others.
    fn square(&self, mut i: usize, images: usize) -> (usize, [i64; 2], [usize; 2]) {
        for [rows, columns] in self.kinds() {
            let n = rows.len() * columns.len();
            if i < n * images {
                let [left, others] = self.scheme.steps;
                let at = [rows.start + i % n / columns.len(), columns.start + i % columns.len()];
                return (i / n, [0, 1].map(|d| (at[d] * left) as i64 + self.from[d]), at.map(|at| at * others));
            }
            i -= n * images;
        }
        unreachable!("a square that {images} images do not have")
    }
}
