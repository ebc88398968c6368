//! Convolution of 3×3 taps by Winograd's method: a square of 2×2 results takes 16 products a channel instead of 36, or 25 with
//! stride 2. Squares of an image, the kernel and the result are transformed, each by additions (`transform`); in between stand as many
//! products of matrices. Sums are of numbers up to four times as large, and rounded as such. Where a result is not finite, the direct
//! kernels make it again, since infinities that are added and taken away are NaN.
use std::ops::Range;

use super::direct::Direct;
use super::direction::Which;
use super::tile::{Out, Sum, ROWS};
use super::transform::Scheme;
use super::Geometry;
use crate::ask;

/// Numbers of one part of transformed squares and of their products that are used together: all parts are a quarter of a second cache.
const BLOCK: usize = 1 << 12;
/// Channels of a block of the kernel's gradient, of both sides: its sums are another quarter.
const SIDE: usize = 64;
/// Parts that a gradient should have.
const PARTS: usize = 8;
/// Squares that are summed before the next.
const SQUARES: usize = 48;

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
    to: [i64; 2],
    /// Squares of an image.
    squares: [usize; 2],
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
        if g.kernel != [3; 2] || (which == Which::Input && direct.spread) {
            return Err(direct);
        }
        let transforms = direct.tiles.transforms;
        let (scheme, back) = match which {
            Which::Out => (&transforms.ahead[strided], false),
            Which::Input => (&transforms.back[strided], true),
            Which::Kernel => (&transforms.kernel[strided], false),
        };
        let (image, depth, out, wide) = if back { (g.out, g.o, g.input, g.c) } else { (g.input, g.c, g.out, g.o) };
        let (from, to) = match (back, strided) {
            (false, _) => (g.low.map(|low| -low), [0; 2]),
            (true, 0) => (g.low.map(|low| low - 2), [0; 2]),
            // Input pixel `2q - low` is read at tap 0 by result pixel `q`, which is the second of its square.
            (true, _) => (g.low.map(|low| low.div_euclid(2) - 1), g.low.map(|low| -low.rem_euclid(2))),
        };
        let squares = [0, 1].map(|d| (out[d] as i64 - to[d]) as usize).map(|n| n.div_ceil(scheme.steps[1]));
        // Vector instructions of all images: products, and what transforms take, which are made again for each block of a gradient's channels.
        let (vectors, blocks) = (|n: usize| n.div_ceil(direct.tiles.lanes), |n: usize| n.div_ceil(SIDE));
        let (deep, whole) = (vectors(depth), vectors(wide));
        let (products, [left, parts, others]) = (depth * whole, scheme.sides.map(|side| side * side));
        let left = (left + 5 * parts) * deep;
        let (transforms, once) = match which {
            Which::Kernel => (left * blocks(wide) + (others + 4 * parts) * whole * blocks(depth), 5 * parts * products),
            _ => (left + (2 * parts + 4 * others) * whole, (9 + 3 * parts) * products),
        };
        let needs = g.n * squares[0] * squares[1] * (parts * products + transforms) + once;
        let cost = needs as f64 / (g.n * g.pixels() * 9 * products) as f64;
        if cost >= 0.9 {
            return Err(direct);
        }
        Ok(Winograd { direct, scheme, back, image, depth, from, out, wide, to, squares, cost })
    }

    /// Time a product of the definition, in products of the direct kernels.
    pub fn cost(&self) -> f64 {
        self.cost
    }
    /// Squares of an image.
    fn squares(&self) -> usize {
        self.squares[0] * self.squares[1]
    }
    /// Products of a square, each a part of its transformed pixels.
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
    /// Numbers from part to part, not a multiple of a page: they would share places in the cache.
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
        self.packed_direct() + self.products() * self.depth * self.whole(self.wide)
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
        let border = self.whole(self.depth.max(side));
        (self.products() * (run.max(gradient) + border)).max(self.direct.scratch())
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
        // SAFETY: the caller's; panels lie one behind the other, nine taps each and then all parts.
        unsafe {
            if self.back {
                self.direct.pack_back(some.clone(), kernel, to)
            } else {
                self.direct.pack(some.clone(), kernel, to)
            }
            let transformed = to.add(self.packed_direct());
            for (column, _, vectors) in self.direct.some_panels(self.wide, some) {
                let all = vectors * self.direct.tiles.lanes;
                let n = self.depth * all;
                let parts = transformed.add(self.products() * self.depth * column);
                let mut from = to.add(9 * self.depth * column).cast_const();
                if self.back && self.scheme.steps[1] > 2 {
                    // The taps of phases, from the last, where the last parts will be: these are written when all are read.
                    let last = parts.add((self.products() - 9) * n);
                    for t in 0..9 {
                        let tap = to.add(self.direct.tap_back([2 - t / 3, 2 - t % 3], column, all));
                        std::ptr::copy_nonoverlapping(tap, last.add(t * n), n);
                    }
                    from = last;
                }
                (self.scheme.right)(n, from, [3 * n, n], parts, self.steps(n));
            }
        }
    }

    /// The image of the `i`-th square of all, and its first pixels in the left operand and in the others.
    fn square(&self, i: usize) -> (usize, [[i64; 2]; 2]) {
        let (of, row) = (self.squares(), self.squares[1]);
        let at = [i % of / row, i % of % row];
        let pixels = |k: usize, first: [i64; 2]| [0, 1].map(|d| (at[d] * self.scheme.steps[k]) as i64 + first[d]);
        (i / of, [pixels(0, self.from), pixels(1, self.to)])
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
        let (tiles, n, pitch, parts) = (self.direct.tiles, squares.len(), self.whole(self.depth), self.products());
        let (from, to) = (self.apart(n, pitch), self.apart(n, self.panel()));
        let mut finite = true;
        // SAFETY: the caller's; blocks of the scratch lie one behind the other.
        unsafe {
            let (products, border) = (scratch.add(parts * from), scratch.add(parts * (from + to)));
            self.left(squares.clone(), a, 0..self.depth, scratch, (from, pitch), border);
            for (column, columns, vectors) in self.direct.panels(self.wide) {
                let all = vectors * tiles.lanes;
                for p in 0..parts {
                    let kernel = kernel.add(self.depth * (parts * column + p * all));
                    let sum = Sum { runs: 1, len: self.depth, a: [1, 0], b: [all, 0] };
                    self.rows(n, [pitch, all], &sum, scratch.add(p * from), kernel, products.add(p * to), all, false);
                    // Where results go is fetched meanwhile.
                    for i in n * p / parts..n * (p + 1) / parts {
                        let (image, [_, at]) = self.square(squares.start + i);
                        let side = self.scheme.sides[2] as i64;
                        for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (at[0] + y, at[1] + x))) {
                            ask::<true>(out.wrapping_offset(self.place(image, [y, x]) + column as isize), columns);
                        }
                    }
                }
                for (i, square) in squares.clone().enumerate() {
                    let (image, [_, at]) = self.square(square);
                    let from = products.add(i * all);
                    finite &= self.result(
                        from,
                        self.steps(to),
                        at,
                        out.wrapping_offset(self.place(image, at) + column as isize),
                        columns,
                        border,
                    );
                }
            }
        }
        finite
    }

    /// Where a pixel of the result lies, or would if it had one there.
    fn place(&self, image: usize, at: [i64; 2]) -> isize {
        let [height, width] = self.out.map(|n| n as isize);
        ((image as isize * height + at[0] as isize) * width + at[1] as isize) * self.wide as isize
    }

    /// The part of a square that the result has, from its products; `out` is where its first pixel at `at` would be.
    unsafe fn result(&self, from: *const f32, steps: [usize; 2], at: [i64; 2], out: *mut f32, n: usize, border: *mut f32) -> bool {
        let (side, out_steps) = (self.scheme.sides[2], [self.out[1] * self.wide, self.wide]);
        let inside = |d: usize, i: usize| (0..self.out[d] as i64).contains(&(at[d] + i as i64));
        // SAFETY: the caller's; pixels are written that the result has.
        unsafe {
            if (0..2).all(|d| inside(d, 0) && inside(d, side - 1)) {
                return (self.scheme.out)(n, from, steps, out, out_steps);
            }
            let finite = (self.scheme.out)(n, from, steps, border, [side * n, n]);
            for i in (0..side).filter(|&i| inside(0, i)) {
                for j in (0..side).filter(|&j| inside(1, j)) {
                    let to = out.wrapping_add(i * out_steps[0] + j * out_steps[1]);
                    std::ptr::copy_nonoverlapping(border.add((i * side + j) * n), to, n);
                }
            }
            finite
        }
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

    /// Transforms squares of the left operand, some channels of them; `steps`: from part to part, and from square to square.
    unsafe fn left(
        &self,
        squares: Range<usize>,
        a: *const f32,
        channels: Range<usize>,
        to: *mut f32,
        steps: (usize, usize),
        border: *mut f32,
    ) {
        let (side, step) = (self.scheme.sides[0], self.scheme.steps[0]);
        for (i, square) in squares.enumerate() {
            let (image, [at, _]) = self.square(square);
            // SAFETY: the caller's.
            unsafe {
                let a = a.add(image * self.image[0] * self.image[1] * self.depth);
                let (from, pixels) = pixels(side, a, self.image, self.depth, at, &channels, border);
                // The new pixels of the square after the next.
                for (y, x) in (side - step..side).flat_map(|y| (side + step..side + 2 * step).map(move |x| (y, x))) {
                    ask::<false>(from.wrapping_add(y * pixels[0] + x * pixels[1]), channels.len());
                }
                (self.scheme.left)(channels.len(), from, pixels, to.add(i * steps.1), self.steps(steps.0));
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
        let (lanes, parts) = (self.direct.tiles.lanes, self.products());
        let (deep, wide) = (self.whole(c.len()), self.whole(o.len()));
        let (left, right, sums) = (self.apart(SQUARES, deep), self.apart(SQUARES, wide), self.apart(c.len(), wide));
        let mut finite = true;
        // SAFETY: the caller's; blocks of the scratch lie one behind the other.
        unsafe {
            let (b, sum_of) = (scratch.add(parts * left), scratch.add(parts * (left + right)));
            let border = sum_of.add(parts * sums);
            for begin in (0..squares).step_by(SQUARES) {
                let some = begin..squares.min(begin + SQUARES);
                self.left(some.clone(), x, c.clone(), scratch, (left, deep), border);
                for (i, square) in some.clone().enumerate() {
                    let (image, [_, at]) = self.square(square);
                    let dy = dy.add(image * self.out[0] * self.out[1] * self.wide);
                    let (from, steps) = pixels(self.scheme.sides[2], dy, self.out, self.wide, at, &o, border);
                    (self.scheme.right)(o.len(), from, steps, b.add(i * wide), self.steps(right));
                }
                for p in 0..parts {
                    for (column, _, vectors) in self.direct.panels(o.len()) {
                        let sum = Sum { runs: 1, len: some.len(), a: [deep, 0], b: [wide, 0] };
                        let (a, b) = (scratch.add(p * left), b.add(p * right + column));
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

/// The square of `side` pixels from `at` on of an image `[size, depth]`, where it lies or, if a part of it is beyond, copied with zeros
/// there: its first number and its steps.
unsafe fn pixels(
    side: usize,
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
        if (0..2).all(|d| inside(d, 0) && inside(d, side - 1)) {
            return (image.add(place(0, 0)), [size[1] * depth, depth]);
        }
        for i in 0..side {
            for j in 0..side {
                let to = border.add((i * side + j) * n);
                if inside(0, i) && inside(1, j) {
                    std::ptr::copy_nonoverlapping(image.add(place(i, j)), to, n);
                } else {
                    to.write_bytes(0, n);
                }
            }
        }
    }
    (border, [side * n, n])
}
