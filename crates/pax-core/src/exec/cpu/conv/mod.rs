//! Convolution and its two gradients, channels last. Here for every dtype, dilation and number of groups: a patch matrix per image
//! and group, then a product in panels; integers by a plain loop. f32 goes by kernels that suit its sizes where there are (`eager`).
pub mod eager;

use std::sync::atomic::{AtomicBool, Ordering};

use crate::exec::cpu::panel::{self, Micro, Piece, DEPTH, PACKED};
use crate::exec::cpu::tile::Simd;
use crate::exec::{Exec, Shared};
use crate::ops::elementwise::binary::Number;
use crate::{Error, Result};
pub use pax_kernels::conv::{Direction, Geometry, Which};

/// Calls `f(start in the patch matrix, input pixel)` for every tap of every output pixel of an image.
fn patches(s: &Geometry, f: &mut dyn FnMut(usize, Option<usize>)) {
    let cg = s.cg();
    let mut at = 0;
    for y in 0..s.out[0] {
        for x in 0..s.out[1] {
            for ty in 0..s.kernel[0] {
                let row = s.source(0, y, ty);
                for tx in 0..s.kernel[1] {
                    f(at, row.and_then(|r| s.source(1, x, tx).map(|c| r * s.input[1] + c)));
                    at += cg;
                }
            }
        }
    }
}

/// The patch matrix of a group.
fn gather<T: Copy>(s: &Geometry, image: &[T], group: usize, zero: T, cols: &mut [T]) {
    let (c, cg) = (s.c, s.cg());
    patches(s, &mut |at, from| match from {
        Some(i) => cols[at..at + cg].copy_from_slice(&image[i * c + group * cg..i * c + (group + 1) * cg]),
        None => cols[at..at + cg].fill(zero),
    });
}

/// A matrix in a slice that begins at it: row and column strides.
type Matrix<'a, T> = (&'a [T], usize, usize);

/// True if every element of `out [m, n] += a [m, k] × b [k, n]` lies in its slice.
fn fits<T>([m, k, n]: [usize; 3], out: (&[T], usize), a: Matrix<T>, b: Matrix<T>) -> bool {
    let inside = |len: usize, rows: usize, row: usize, columns: usize, column: usize| {
        let last = |n: usize, by: usize| n.checked_sub(1).and_then(|n| n.checked_mul(by));
        last(rows, row).zip(last(columns, column)).and_then(|(r, c)| r.checked_add(c)).is_some_and(|at| at < len)
    };
    inside(out.0.len(), m, out.1, n, 1) && inside(a.0.len(), m, a.1, k, a.2) && inside(b.0.len(), k, b.1, n, b.2)
}

/// Elements whose products convolution can sum.
pub trait Product: Number {
    /// `out += a [m, k] × b [k, n]`, `out` with a row stride; false, and nothing done, if one of them leaves its slice.
    fn accumulate(size: [usize; 3], out: (&mut [Self], usize), a: Matrix<Self>, b: Matrix<Self>) -> bool;
}
macro_rules! floats { ($($t:ident)*) => { $(impl Product for $t {
    fn accumulate([m, k, n]: [usize; 3], out: (&mut [Self], usize), a: Matrix<Self>, b: Matrix<Self>) -> bool {
        if m == 0 || k == 0 || n == 0 { return true; }
        if !fits([m, k, n], (out.0, out.1), a, b) { return false; }
        let micro = Micro::$t(Simd::detect());
        let matrix = |(x, rows, cols): Matrix<Self>| panel::Matrix { data: x.as_ptr(), rows: rows as isize, cols: cols as isize };
        let (a, b, mut packed) = (matrix(a), matrix(b), Vec::with_capacity(micro.packed(DEPTH.min(k), micro.width)));
        for column in (0..n).step_by(micro.width) { for l in (0..k).step_by(DEPTH) {
            let (width, depth) = (micro.width.min(n - column), DEPTH.min(k - l));
            // SAFETY: the line above: every element read or written lies in its slice; the room is a panel's.
            unsafe {
                micro.pack(b.from(l, column), depth, width, 0, 1, packed.as_mut_ptr());
                micro.run(Piece { from: 0, to: m, column, width, depth }, a.from(0, l), packed.as_ptr(), PACKED, out.0.as_mut_ptr(), out.1, true);
            }
        } }
        true
    }
})* } }
macro_rules! integers { ($($t:ty)*) => { $(impl Product for $t {
    fn accumulate([m, k, n]: [usize; 3], out: (&mut [Self], usize), a: Matrix<Self>, b: Matrix<Self>) -> bool {
        if m == 0 || k == 0 || n == 0 { return true; }
        if !fits([m, k, n], (out.0, out.1), a, b) { return false; }
        for i in 0..m { for l in 0..k { for j in 0..n {
            let o = &mut out.0[i * out.1 + j];
            *o = o.wrapping_add(a.0[i * a.1 + l * a.2].wrapping_mul(b.0[l * b.1 + j * b.2]));
        } } }
        true
    }
})* } }
floats!(f32 f64);
integers!(i32 i64 u8 u32);

/// What chunks found to be wrong.
struct Faults(AtomicBool);
impl Faults {
    fn none() -> Faults {
        Faults(AtomicBool::new(false))
    }
    fn unless(&self, good: bool) {
        if !good {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    fn result<T>(self, out: T) -> Result<T> {
        if self.0.into_inner() {
            Err(Error::internal("a matrix of a convolution leaves its buffer"))
        } else {
            Ok(out)
        }
    }
}

/// `x`, `kernel` → result.
pub fn forward<T: Product>(exec: &Exec, s: &Geometry, x: &[T], kernel: &[T]) -> Result<Vec<T>> {
    let zero = T::from_i64(0);
    let (pixels, wide, image) = (s.pixels(), s.taps() * s.cg(), s.input[0] * s.input[1] * s.c);
    if s.n * pixels * s.o == 0 || wide == 0 {
        return Ok(vec![zero; s.n * pixels * s.o]);
    }
    let mut out = exec.vec(s.n * pixels * s.o);
    let (shared, faults) = (Shared::new(&mut out), Faults::none());
    exec.chunks(s.n, 1, &|n, _| {
        // SAFETY: an image's result belongs to its chunk.
        let y = unsafe { shared.range(n * pixels * s.o, (n + 1) * pixels * s.o) };
        y.fill(zero);
        let mut cols = vec![zero; pixels * wide];
        for g in 0..s.groups {
            gather(s, &x[n * image..(n + 1) * image], g, zero, &mut cols);
            faults.unless(T::accumulate(
                [pixels, wide, s.og()],
                (&mut y[g * s.og()..], s.o),
                (&cols, wide, 1),
                (&kernel[g * s.og()..], s.o, 1),
            ));
        }
    });
    faults.result(out)
}

/// Result's cotangent, `kernel` → input's cotangent.
pub fn input_grad<T: Product>(exec: &Exec, s: &Geometry, dy: &[T], kernel: &[T]) -> Result<Vec<T>> {
    let zero = T::from_i64(0);
    let (pixels, wide, image, cg) = (s.pixels(), s.taps() * s.cg(), s.input[0] * s.input[1] * s.c, s.cg());
    if s.n * image == 0 || wide == 0 || pixels * s.o == 0 {
        return Ok(vec![zero; s.n * image]);
    }
    let mut out: Vec<T> = exec.vec(s.n * image);
    let (shared, faults) = (Shared::new(&mut out), Faults::none());
    exec.chunks(s.n, 1, &|n, _| {
        // SAFETY: an image's gradient belongs to its chunk.
        let dx = unsafe { shared.range(n * image, (n + 1) * image) };
        dx.fill(zero);
        let mut cols = vec![zero; pixels * wide];
        for g in 0..s.groups {
            cols.fill(zero);
            faults.unless(T::accumulate(
                [pixels, s.og(), wide],
                (&mut cols, wide),
                (&dy[n * pixels * s.o + g * s.og()..], s.o, 1),
                (&kernel[g * s.og()..], 1, s.o),
            ));
            patches(s, &mut |at, to| {
                if let Some(i) = to {
                    let to = &mut dx[i * s.c + g * cg..i * s.c + (g + 1) * cg];
                    for (d, &v) in to.iter_mut().zip(&cols[at..at + cg]) {
                        *d = d.add(v);
                    }
                }
            });
        }
    });
    faults.result(out)
}

/// Partial sums of `size` elements, added in order.
fn total<T: Number>(parts: &mut [T], size: usize) -> Vec<T> {
    let (sum, rest) = parts.split_at_mut(size);
    for part in rest.chunks(size.max(1)) {
        for (a, &b) in sum.iter_mut().zip(part) {
            *a = a.add(b);
        }
    }
    sum.to_vec()
}

/// `x`, result's cotangent → kernel's cotangent. At most 16 partial sums, a range of images each, added in order.
pub fn kernel_grad<T: Product>(exec: &Exec, s: &Geometry, x: &[T], dy: &[T]) -> Result<Vec<T>> {
    let zero = T::from_i64(0);
    let (pixels, wide, image) = (s.pixels(), s.taps() * s.cg(), s.input[0] * s.input[1] * s.c);
    let size = wide * s.o;
    if size == 0 || s.n * pixels == 0 {
        return Ok(vec![zero; size]);
    }
    let per = s.n.div_ceil(16);
    let mut parts = vec![zero; s.n.div_ceil(per) * size];
    let (shared, faults) = (Shared::new(&mut parts), Faults::none());
    exec.chunks(s.n, per, &|from, to| {
        // SAFETY: a partial sum belongs to its chunk.
        let dk = unsafe { shared.range(from / per * size, (from / per + 1) * size) };
        let mut cols = vec![zero; pixels * wide];
        for n in from..to {
            for g in 0..s.groups {
                gather(s, &x[n * image..(n + 1) * image], g, zero, &mut cols);
                faults.unless(T::accumulate(
                    [wide, pixels, s.og()],
                    (&mut dk[g * s.og()..], s.o),
                    (&cols, 1, wide),
                    (&dy[n * pixels * s.o + g * s.og()..], s.o, 1),
                ));
            }
        }
    });
    faults.result(total(&mut parts, size))
}

#[cfg(test)]
mod tests;
