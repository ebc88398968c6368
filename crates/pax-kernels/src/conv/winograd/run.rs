//! Results, and gradients of inputs: squares are transformed some at a time, multiplied with the kernel, and transformed back.
use std::ops::Range;

use super::super::tile::{Out, Sum, ROWS};
use super::Winograd;
use crate::ask;

impl Winograd {
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
    pub(super) unsafe fn left(
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
