//! Results, and gradients of inputs: squares are transformed some at a time, multiplied with the kernel, and transformed back.
use std::ops::Range;

use super::super::tile::{Out, Sum, ROWS};
use super::{Squares, Winograd};
use crate::ask;

impl Winograd {
    /// Images `images` of `a`, with a kernel from `pack` → as many results.
    ///
    /// # Safety
    /// The pointers hold what they name, `scratch` `scratch()` numbers; the results and `scratch` are used by nobody else.
    pub unsafe fn run(&self, images: Range<usize>, a: *const f32, packed: *const f32, out: *mut f32, scratch: *mut f32) {
        let (block, of) = (self.block(), self.count());
        let (size, result) = (self.image[0] * self.image[1] * self.depth, self.out[0] * self.out[1] * self.wide);
        // At most as many as a word has bits.
        let together = (block / of).clamp(1, u128::BITS as usize);
        for first in images.clone().step_by(together) {
            let last = images.end.min(first + together);
            let squares = (last - first) * of;
            let each = squares.div_ceil(squares.div_ceil(block));
            // SAFETY: the caller's.
            unsafe {
                let (a, out) = (a.add(first * size), out.add(first * result));
                let mut bad = 0;
                for begin in (0..squares).step_by(each) {
                    let some = Squares { some: begin..squares.min(begin + each), images: last - first };
                    bad |= self.some(&some, a, packed.add(self.direct.packed(self.back)), out, scratch);
                }
                for i in (0..last - first).filter(|i| bad & 1 << i != 0) {
                    self.direct.image(self.back, a.add(i * size), packed, out.add(i * result), scratch);
                }
            }
        }
    }

    /// Some squares; a bit for each image that has a result that is not finite.
    unsafe fn some(&self, squares: &Squares, a: *const f32, kernel: *const f32, out: *mut f32, scratch: *mut f32) -> u128 {
        let (tiles, n, pitch, products) = (self.direct.tiles, squares.some.len(), self.whole(self.depth), self.products());
        let (from, to) = (self.apart(n, pitch), self.apart(n, self.panel()));
        let mut bad = 0;
        // SAFETY: the caller's; blocks of the scratch lie one behind the other.
        unsafe {
            let (sums, border) = (scratch.add(products * from), scratch.add(products * (from + to)));
            self.left(squares, a, 0..self.depth, scratch, (from, pitch), border);
            for (column, columns, vectors) in self.direct.panels(self.wide) {
                let all = vectors * tiles.lanes;
                for p in 0..products {
                    let (kernel, sums) = (kernel.add(self.depth * (products * column + p * all)), sums.add(p * to));
                    let sum = Sum { runs: 1, len: self.depth, a: [1, 0], b: [all, 0] };
                    let some = self.needing(p, squares);
                    sums.write_bytes(0, some.start * all);
                    sums.add(some.end * all).write_bytes(0, (n - some.end) * all);
                    let (a, to) = (scratch.add(p * from + some.start * pitch), sums.add(some.start * all));
                    self.rows(some.len(), [pitch, all], &sum, a, kernel, to, all, false);
                    // Where results go is fetched meanwhile.
                    for i in n * p / products..n * (p + 1) / products {
                        let ((image, _, at), side) = (self.square(squares.some.start + i, squares.images), self.scheme.sides[2]);
                        for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (at[0] + y, at[1] + x))) {
                            ask::<true>(out.wrapping_add(self.place(image, [y, x]) + column), columns);
                        }
                    }
                }
                for (i, square) in squares.some.clone().enumerate() {
                    let (image, _, at) = self.square(square, squares.images);
                    let out = out.add(self.place(image, at) + column);
                    let finite = self.result(sums.add(i * all), self.steps(to), at, out, columns, border);
                    bad |= u128::from(!finite) << image;
                }
            }
        }
        bad
    }

    /// Where a pixel of the result lies, or would.
    fn place(&self, image: usize, [y, x]: [usize; 2]) -> usize {
        ((image * self.out[0] + y) * self.out[1] + x) * self.wide
    }

    /// The part of a square that the result has, from its products; `out` is its first pixel at `at`.
    unsafe fn result(&self, from: *const f32, steps: [usize; 2], at: [usize; 2], out: *mut f32, n: usize, border: *mut f32) -> bool {
        let (side, out_steps) = (self.scheme.sides[2], [self.out[1] * self.wide, self.wide]);
        let has = [0, 1].map(|d| side.min(self.out[d] - at[d]));
        // SAFETY: the caller's; pixels are written that the result has.
        unsafe {
            if has == [side; 2] {
                return (self.scheme.out)(n, from, steps, out, out_steps);
            }
            let finite = (self.scheme.out)(n, from, steps, border, [side * n, n]);
            for i in 0..has[0] {
                for j in 0..has[1] {
                    std::ptr::copy_nonoverlapping(border.add((i * side + j) * n), out.add(i * out_steps[0] + j * out_steps[1]), n);
                }
            }
            finite
        }
    }

    /// The products of `n` rows with a panel, in tiles of about as many rows. Steps from row to row: of the left operand, of the result.
    #[allow(clippy::too_many_arguments)]
    pub(super) unsafe fn rows(
        &self,
        n: usize,
        steps: [usize; 2],
        sum: &Sum,
        a: *const f32,
        b: *const f32,
        data: *mut f32,
        width: usize,
        add: bool,
    ) {
        let tiles = self.direct.tiles;
        if n == 0 {
            return;
        }
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
                tiles.tiles[width / tiles.lanes - 1][few - 1](sum, a.add(i * steps[0]), &rows, b, out);
            }
        }
    }

    /// Transforms squares of the left operand, some channels of them; `steps`: from pixel to pixel of a square, and from square to square.
    pub(super) unsafe fn left(
        &self,
        squares: &Squares,
        a: *const f32,
        channels: Range<usize>,
        to: *mut f32,
        steps: (usize, usize),
        border: *mut f32,
    ) {
        let (side, step) = (self.scheme.sides[0], self.scheme.steps[0]);
        for (i, square) in squares.some.clone().enumerate() {
            let (image, at, _) = self.square(square, squares.images);
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
}

/// The square of `side` pixels from `at` on of an image `[size, depth]`, where it lies or, if a part of it is beyond, copied with zeros
/// there: its first number and its steps.
pub(super) unsafe fn pixels(
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
