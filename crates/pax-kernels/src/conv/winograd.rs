//! Convolution of 3×3 taps without stride by Winograd's method (Lavin and Gray 2015, arXiv:1509.09308, F(2×2, 3×3)): a square of 2×2
//! results takes 16 products a channel instead of 36. An image's squares of 4×4 pixels, the kernel and the result are transformed,
//! each by additions; in between stand 16 products of matrices. Sums are of numbers up to four times as large, and rounded as such.
//! Where a result is not finite, the direct kernels make it again, since infinities that are added and taken away are NaN.
use std::ops::Range;

use super::direct::Direct;
use super::direction::Which;
use super::tile::{Out, Sum, ROWS};
use super::Geometry;
use crate::ask;

/// Numbers of transformed squares and their products that are used together: a quarter of a second cache.
const BLOCK: usize = 1 << 16;
/// Channels of a block of the kernel's gradient, of both sides: its sums are another quarter.
const SIDE: usize = 64;
/// Parts that a gradient should have.
const PARTS: usize = 8;
/// Squares that are summed before the next.
const SQUARES: usize = 48;
/// Products of a square: of 4×4 pixels.
const PRODUCTS: usize = 16;

/// One direction of a convolution.
pub struct Winograd {
    direct: Box<Direct>,
    /// Where squares of 4×4 are read, and of how many channels.
    image: [usize; 2],
    depth: usize,
    /// Where squares of 2×2 lie, whose taps begin `low` pixels before theirs.
    out: [usize; 2],
    wide: usize,
    low: [i64; 2],
    back: bool,
    cost: f64,
}

/// A square of an image, and its first pixel among those of `out`.
struct Square {
    image: usize,
    at: [usize; 2],
}

impl Winograd {
    /// The direct kernels where they need less.
    pub fn new(direct: Box<Direct>, g: &Geometry, which: Which) -> Result<Winograd, Box<Direct>> {
        if g.kernel != [3; 2] || g.stride != [1; 2] || (which == Which::Input && direct.spread) {
            return Err(direct);
        }
        let mut w = Winograd { direct, image: g.input, depth: g.c, out: g.out, wide: g.o, low: g.low, back: false, cost: 0.0 };
        if which == Which::Input {
            (w.image, w.out, w.depth, w.wide) = (w.out, w.image, w.wide, w.depth);
            (w.low, w.back) = (w.low.map(|low| 2 - low), true);
        }
        // Vector instructions of all images: products, and what transforms take, which are made again for each block of a gradient's channels.
        let (vectors, blocks) = (|n: usize| n.div_ceil(w.direct.tiles.lanes), |n: usize| n.div_ceil(SIDE));
        let (deep, wide) = (vectors(w.depth), vectors(w.wide));
        let products = w.depth * wide;
        let (transforms, once) = match which {
            Which::Kernel => (80 * deep * blocks(w.wide) + 60 * wide * blocks(w.depth), 80 * products),
            _ => (100 * deep + 60 * wide, 50 * products),
        };
        let needs = g.n * w.squares() * (PRODUCTS * products + transforms) + once;
        w.cost = needs as f64 / (g.n * w.out[0] * w.out[1] * 9 * products) as f64;
        if w.cost < 0.9 {
            Ok(w)
        } else {
            Err(w.direct)
        }
    }

    /// Time a product of the definition, in products of the direct kernels.
    pub fn cost(&self) -> f64 {
        self.cost
    }
    /// Squares of an image.
    fn squares(&self) -> usize {
        self.out[0].div_ceil(2) * self.out[1].div_ceil(2)
    }
    /// Columns of a panel of the most vectors.
    fn panel(&self) -> usize {
        2 * self.direct.tiles.lanes
    }
    fn whole(&self, n: usize) -> usize {
        n.next_multiple_of(self.direct.tiles.lanes)
    }
    /// Numbers from one of the 16 parts of a transformed square to the next; not a multiple of a page, where they would share places in the cache.
    fn apart(&self, squares: usize, channels: usize) -> usize {
        squares * channels + self.direct.tiles.lanes
    }
    /// Squares that are transformed together, whole tiles of rows.
    fn block(&self) -> usize {
        let rows = self.direct.tiles.rows;
        (BLOCK / (PRODUCTS * (self.whole(self.depth) + self.panel())) / rows).clamp(1, 8) * rows
    }
    /// Numbers of the kernel: for the direct kernels, and behind it transformed.
    pub fn packed(&self) -> usize {
        self.packed_direct() + PRODUCTS * self.depth * self.whole(self.wide)
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
        let border = PRODUCTS * self.whole(self.depth.max(side));
        (PRODUCTS * run.max(gradient) + border).max(self.direct.scratch())
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
        // SAFETY: the caller's; panels lie one behind the other, nine taps each and then sixteen parts.
        unsafe {
            if self.back {
                self.direct.pack_back(some.clone(), kernel, to)
            } else {
                self.direct.pack(some.clone(), kernel, to)
            }
            let transformed = to.add(self.packed_direct());
            for (column, _, vectors) in self.direct.some_panels(self.wide, some) {
                let n = self.depth * vectors * self.direct.tiles.lanes;
                let (from, to) = (to.add(9 * self.depth * column), transformed.add(PRODUCTS * self.depth * column));
                (self.direct.tiles.transforms.kernel)(n, from, [3 * n, n], to, [4 * n, n]);
            }
        }
    }

    /// The `i`-th square of images.
    fn square(&self, i: usize) -> Square {
        let (of, row) = (self.squares(), self.out[1].div_ceil(2));
        Square { image: i / of, at: [i % of / row * 2, i % of % row * 2] }
    }

    /// Images `images` of `a`, with a kernel from `pack` → as many results.
    ///
    /// # Safety
    /// The pointers hold what they name, `scratch` `scratch()` numbers; the results and `scratch` are used by nobody else.
    pub unsafe fn run(&self, images: Range<usize>, a: *const f32, packed: *const f32, out: *mut f32, scratch: *mut f32) {
        let (block, of) = (self.block(), self.squares());
        let (size, result) = (self.image[0] * self.image[1] * self.depth, self.out[0] * self.out[1] * self.wide);
        let together = (block / of).max(1);
        for first in images.clone().step_by(together) {
            let last = images.end.min(first + together);
            let squares = (last - first) * of;
            let each = squares.div_ceil(squares.div_ceil(block));
            // SAFETY: the caller's.
            unsafe {
                let (a, out) = (a.add(first * size), out.add(first * result));
                let mut finite = true;
                for begin in (0..squares).step_by(each) {
                    finite &= self.some(begin..squares.min(begin + each), a, packed.add(self.packed_direct()), out, scratch);
                }
                for i in 0..if finite { 0 } else { last - first } {
                    let (a, out) = (a.add(i * size), out.add(i * result));
                    if self.back {
                        self.direct.input_grad(a, packed, out, scratch)
                    } else {
                        self.direct.forward(a, packed, out, scratch)
                    }
                }
            }
        }
    }

    /// Some squares of images; false if a result is not finite.
    unsafe fn some(&self, squares: Range<usize>, a: *const f32, kernel: *const f32, out: *mut f32, scratch: *mut f32) -> bool {
        let (tiles, n, pitch) = (self.direct.tiles, squares.len(), self.whole(self.depth));
        let (from, to) = (self.apart(n, pitch), self.apart(n, self.panel()));
        let [height, width] = self.out;
        let mut finite = true;
        // SAFETY: the caller's; blocks of the scratch lie one behind the other.
        unsafe {
            let (products, border) = (scratch.add(PRODUCTS * from), scratch.add(PRODUCTS * (from + to)));
            self.images(squares.clone(), a, 0..self.depth, scratch, (from, pitch), border);
            for (column, columns, vectors) in self.direct.panels(self.wide) {
                let all = vectors * tiles.lanes;
                for p in 0..PRODUCTS {
                    let kernel = kernel.add(self.depth * (PRODUCTS * column + p * all));
                    let sum = Sum { runs: 1, len: self.depth, a: [1, 0], b: [all, 0] };
                    self.rows(n, [pitch, all], &sum, scratch.add(p * from), kernel, products.add(p * to), all, false);
                    // Where results go is fetched meanwhile.
                    for i in n * p / PRODUCTS..n * (p + 1) / PRODUCTS {
                        let Square { image, at: [y, x] } = self.square(squares.start + i);
                        for [y, x] in [[y, x], [y, x + 1], [y + 1, x], [y + 1, x + 1]] {
                            ask::<true>(out.wrapping_add(((image * height + y) * width + x) * self.wide + column), columns);
                        }
                    }
                }
                for (i, square) in squares.clone().enumerate() {
                    let Square { image, at: [y, x] } = self.square(square);
                    let (from, steps) = (products.add(i * all), [4 * to, to]);
                    let out = out.add(((image * height + y) * width + x) * self.wide + column);
                    let out_steps = [width * self.wide, self.wide];
                    if y + 2 <= height && x + 2 <= width {
                        finite &= (tiles.transforms.result)(columns, from, steps, out, out_steps);
                        continue;
                    }
                    finite &= (tiles.transforms.result)(columns, from, steps, border, [2 * all, all]);
                    for i in 0..2.min(height - y) {
                        for j in 0..2.min(width - x) {
                            let to = out.add(i * out_steps[0] + j * out_steps[1]);
                            std::ptr::copy_nonoverlapping(border.add((2 * i + j) * all), to, columns);
                        }
                    }
                }
            }
        }
        finite
    }

    /// The products of `n` rows with a panel, in tiles of about as many rows. Steps from row to row: of the left operand, of the result.
    #[allow(clippy::too_many_arguments)]
    unsafe fn rows(&self, n: usize, steps: [usize; 2], sum: &Sum, a: *const f32, b: *const f32, data: *mut f32, width: usize, add: bool) {
        let tiles = self.direct.tiles;
        let tall = n.div_ceil(n.div_ceil(tiles.rows));
        let (mut rows, mut to) = ([0; ROWS], [0; ROWS]);
        for (r, (row, to)) in rows[..tall].iter_mut().zip(&mut to).enumerate() {
            (*row, *to) = (r * steps[0], r * steps[1]);
        }
        for i in (0..n).step_by(tall) {
            let few = tall.min(n - i);
            // SAFETY: the caller's.
            unsafe {
                let out = Out { data: data.add(i * steps[1]), rows: &to, width, add };
                tiles.tiles[width.div_ceil(tiles.lanes) - 1][few - 1](sum, a.add(i * steps[0]), &rows, b, out);
            }
        }
    }

    /// Transforms squares of 4×4 pixels of images, some channels of them; `steps`: from part to part, and from square to square.
    unsafe fn images(
        &self,
        squares: Range<usize>,
        a: *const f32,
        channels: Range<usize>,
        to: *mut f32,
        steps: (usize, usize),
        border: *mut f32,
    ) {
        let transform = self.direct.tiles.transforms.image;
        for (i, square) in squares.enumerate() {
            let Square { image, at } = self.square(square);
            let at = [0, 1].map(|d| at[d] as i64 - self.low[d]);
            // SAFETY: the caller's.
            unsafe {
                let a = a.add(image * self.image[0] * self.image[1] * self.depth);
                let (from, pixels) = pixels::<4>(a, self.image, self.depth, at, &channels, border);
                // The new pixels of the square after the next.
                for [y, x] in [[2, 6], [2, 7], [3, 6], [3, 7]] {
                    ask::<false>(from.wrapping_add(y * pixels[0] + x * pixels[1]), channels.len());
                }
                transform(channels.len(), from, pixels, to.add(i * steps.1), [4 * steps.0, steps.0]);
            }
        }
    }

    /// `x`, result's cotangent → `dk [3, 3, c, o]`, the sum of `images`.
    ///
    /// # Safety
    /// As for `run`; nobody else uses `dk`.
    pub unsafe fn kernel_grad(&self, images: Range<usize>, x: *const f32, dy: *const f32, dk: *mut f32, scratch: *mut f32) {
        for c in (0..self.depth).step_by(SIDE) {
            // SAFETY: the caller's.
            unsafe { self.channels(c..self.depth.min(c + SIDE), images.clone(), x, dy, dk, scratch) }
        }
    }

    /// Input's channels of a part of the kernel's gradient.
    fn part_channels(&self) -> usize {
        if self.depth >= PARTS * SIDE {
            SIDE
        } else {
            SIDE / 2
        }
    }
    /// Parts of the kernel's gradient that are made apart from each other.
    pub fn parts(&self) -> usize {
        self.depth.div_ceil(self.part_channels())
    }

    /// A part of the kernel's gradient, of `n` images.
    ///
    /// # Safety
    /// As for `kernel_grad`.
    pub unsafe fn part(&self, part: usize, n: usize, x: *const f32, dy: *const f32, dk: *mut f32, scratch: *mut f32) {
        let each = self.part_channels();
        // SAFETY: the caller's.
        unsafe { self.channels(part * each..self.depth.min((part + 1) * each), 0..n, x, dy, dk, scratch) }
    }

    /// The kernel's gradient for some of the input's channels.
    unsafe fn channels(&self, c: Range<usize>, images: Range<usize>, x: *const f32, dy: *const f32, dk: *mut f32, scratch: *mut f32) {
        let (size, result) = (self.image[0] * self.image[1] * self.depth, self.out[0] * self.out[1] * self.wide);
        let (first, squares) = (images.start, images.len() * self.squares());
        let mut finite = true;
        // SAFETY: the caller's.
        unsafe {
            for o in (0..self.wide).step_by(SIDE) {
                let o = o..self.wide.min(o + SIDE);
                finite &= self.side(squares, x.add(first * size), dy.add(first * result), c.clone(), o, dk, scratch);
            }
            for i in if finite { 0..0 } else { images } {
                for tap in 0..9 {
                    let (begin, end) = (tap * self.depth + c.start, tap * self.depth + c.end);
                    self.direct.kernel_rows(begin, end, x.add(i * size), dy.add(i * result), dk, i > first, scratch);
                }
            }
        }
    }

    /// The kernel's gradient for some channels of both sides; false if a number of it is not finite.
    #[allow(clippy::too_many_arguments)]
    unsafe fn side(
        &self,
        squares: usize,
        x: *const f32,
        dy: *const f32,
        c: Range<usize>,
        o: Range<usize>,
        dk: *mut f32,
        scratch: *mut f32,
    ) -> bool {
        let (transforms, lanes) = (self.direct.tiles.transforms, self.direct.tiles.lanes);
        let (deep, wide) = (self.whole(c.len()), self.whole(o.len()));
        let (left, right, sums) = (self.apart(SQUARES, deep), self.apart(SQUARES, wide), self.apart(c.len(), wide));
        let mut finite = true;
        // SAFETY: the caller's; blocks of the scratch lie one behind the other.
        unsafe {
            let (b, sum_of, border) =
                (scratch.add(PRODUCTS * left), scratch.add(PRODUCTS * (left + right)), scratch.add(PRODUCTS * (left + right + sums)));
            for begin in (0..squares).step_by(SQUARES) {
                let some = begin..squares.min(begin + SQUARES);
                self.images(some.clone(), x, c.clone(), scratch, (left, deep), border);
                for (i, square) in some.clone().enumerate() {
                    let Square { image, at } = self.square(square);
                    let dy = dy.add(image * self.out[0] * self.out[1] * self.wide);
                    let (from, steps) = pixels::<2>(dy, self.out, self.wide, at.map(|at| at as i64), &o, border);
                    (transforms.cotangent)(o.len(), from, steps, b.add(i * wide), [4 * right, right]);
                }
                for p in 0..PRODUCTS {
                    for (column, _, vectors) in self.direct.panels(o.len()) {
                        let sum = Sum { runs: 1, len: some.len(), a: [deep, 0], b: [wide, 0] };
                        let (a, b) = (scratch.add(p * left), b.add(p * right + column));
                        self.rows(c.len(), [1, wide], &sum, a, b, sum_of.add(p * sums + column), vectors * lanes, begin > 0);
                    }
                }
            }
            for i in 0..c.len() {
                let to = dk.add((c.start + i) * self.wide + o.start);
                let tap = self.depth * self.wide;
                finite &= (transforms.taps)(o.len(), sum_of.add(i * wide), [4 * sums, sums], to, [3 * tap, tap]);
            }
        }
        finite
    }
}

/// The square of `S`×`S` pixels from `at` on of an image `[size, depth]`, where it lies or, if a part of it is beyond, copied with zeros
/// there: its first number and its steps.
unsafe fn pixels<const S: usize>(
    image: *const f32,
    size: [usize; 2],
    depth: usize,
    at: [i64; 2],
    channels: &Range<usize>,
    border: *mut f32,
) -> (*const f32, [usize; 2]) {
    let inside = |d: usize, i: usize| (0..size[d] as i64).contains(&(at[d] + i as i64));
    let place = |i: usize, j: usize| ((at[0] + i as i64) as usize * size[1] + (at[1] + j as i64) as usize) * depth + channels.start;
    let n = channels.len();
    // SAFETY: the caller's; pixels are read that the image has.
    unsafe {
        if (0..2).all(|d| inside(d, 0) && inside(d, S - 1)) {
            return (image.add(place(0, 0)), [size[1] * depth, depth]);
        }
        for i in 0..S {
            for j in 0..S {
                let to = border.add((i * S + j) * n);
                if inside(0, i) && inside(1, j) {
                    std::ptr::copy_nonoverlapping(image.add(place(i, j)), to, n);
                } else {
                    to.write_bytes(0, n);
                }
            }
        }
    }
    (border, [S * n, n])
}
