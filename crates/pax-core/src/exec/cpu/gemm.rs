//! Batched matrix products in fixed chunks: floats by the `gemm` crate on one thread a chunk, integers by a plain loop.
use half::{bf16, f16};

use crate::dtype::Element;
#[cfg(target_arch = "x86_64")]
use crate::exec::cpu::tile::Simd;
use crate::exec::{Exec, Shared};
use crate::{Array, DType, Error, Result};

/// Where a matrix lies: element offset, row and column stride.
#[derive(Clone, Copy)]
struct Matrix { offset: isize, row: isize, col: isize }

/// Multiply-adds of a chunk: large enough to pay for waking a thread, small enough to balance.
const CHUNK_WORK: usize = 1 << 20;

/// `a [batch, m, k] × b [batch, k, n] → [batch, m, n]`, operands of any strides.
pub fn matmul(exec: &Exec, a: &Array, b: &Array) -> Result<Array> {
    match a.dtype {
        #[cfg(target_arch = "x86_64")]
        DType::F32 if Simd::detect() == Simd::Avx512 => panels(exec, a, b),
        DType::F32 => product::<f32>(exec, a, b, gemm_tile::<f32>),
        DType::F64 => product::<f64>(exec, a, b, gemm_tile::<f64>),
        DType::F16 => product::<f16>(exec, a, b, gemm_tile::<f16>),
        // The crate has no bfloat16: accumulate in float32, round once.
        DType::BF16 => product::<bf16>(exec, a, b, |k, x, y, out, rows, cols, c| plain_tile(k, x, y, out, rows, cols, c, 0f32, |s, p: bf16, q: bf16| s + p.to_f32() * q.to_f32(), bf16::from_f32)),
        DType::I32 => product::<i32>(exec, a, b, |k, x, y, out, rows, cols, c| plain_tile(k, x, y, out, rows, cols, c, 0i32, |s, p: i32, q: i32| s.wrapping_add(p.wrapping_mul(q)), |s| s)),
        DType::I64 => product::<i64>(exec, a, b, |k, x, y, out, rows, cols, c| plain_tile(k, x, y, out, rows, cols, c, 0i64, |s, p: i64, q: i64| s.wrapping_add(p.wrapping_mul(q)), |s| s)),
        DType::U8 => product::<u8>(exec, a, b, |k, x, y, out, rows, cols, c| plain_tile(k, x, y, out, rows, cols, c, 0u8, |s, p: u8, q: u8| s.wrapping_add(p.wrapping_mul(q)), |s| s)),
        DType::U32 => product::<u32>(exec, a, b, |k, x, y, out, rows, cols, c| plain_tile(k, x, y, out, rows, cols, c, 0u32, |s, p: u32, q: u32| s.wrapping_add(p.wrapping_mul(q)), |s| s)),
        DType::Bool => product::<u8>(exec, a, b, |k, x, y, out, rows, cols, c| plain_tile(k, x, y, out, rows, cols, c, 0u8, |s, p: u8, q: u8| s | (p & q), |s| s)),
    }
}

/// Multiply-adds of a chunk of panels; a chunk of less would not pay for waking a thread.
#[cfg(target_arch = "x86_64")]
const PIECE_WORK: usize = 1 << 18;

/// The product on our own kernel, in chunks of a panel's rows.
#[cfg(target_arch = "x86_64")]
fn panels(exec: &Exec, a: &Array, b: &Array) -> Result<Array> {
    use super::panel::{piece, Matrix as At, Piece, WIDTH};
    let ([batch, m, k], n) = (match a.shape[..] { [x, y, z] => [x, y, z], _ => return Err(Error::internal("matmul takes rank 3")) }, b.shape[2]);
    if k == 0 || batch * m * n == 0 { return Ok(exec.array(vec![0f32; batch * m * n], &[batch, m, n])); }
    let mut out: Vec<f32> = exec.vec(batch * m * n);
    let (ra, rb) = (a.raw::<f32>()?, b.raw::<f32>()?);
    let (la, lb) = (Lay::of(a), Lay::of(b));
    let (pa, pb, shared) = (SyncPtr(ra.as_ptr()), SyncPtr(rb.as_ptr()), Shared::new(&mut out));
    let count = n.div_ceil(WIDTH);
    // Rows of a chunk: all of a panel's, unless panels are few and long.
    let rows = if count * batch >= 16 { m } else { (PIECE_WORK / (k * WIDTH)).max(12).div_ceil(12) * 12 };
    let strips = m.div_ceil(rows);
    let per_chunk = (PIECE_WORK / (rows.min(m) * k * WIDTH)).max(1);
    exec.chunks(batch * count * strips, per_chunk, &|from, to| for i in from..to {
        let (g, rest) = (i / (count * strips), i % (count * strips));
        let (column, strip) = (rest / strips * WIDTH, rest % strips);
        let (ma, mb) = (la.matrix(g), lb.matrix(g));
        let p = Piece { from: strip * rows, to: ((strip + 1) * rows).min(m), column, width: WIDTH.min(n - column), depth: k };
        // SAFETY: offsets and strides come from the arrays' own layouts; pieces of the result are disjoint.
        unsafe {
            let a = At { data: pa.at(ma.offset), rows: ma.row, cols: ma.col };
            let b = At { data: pb.at(mb.offset), rows: mb.row, cols: mb.col };
            piece(p, a, b, shared.ptr().add(g * m * n), n);
        }
    });
    Ok(exec.array(out, &[batch, m, n]))
}

type Tile<T> = fn(usize, (*const T, isize, isize), (*const T, isize, isize), *mut T, usize, usize, usize);

fn product<T: Element>(exec: &Exec, a: &Array, b: &Array, tile: Tile<T>) -> Result<Array> {
    let ([batch, m, k], n) = (match a.shape[..] { [x, y, z] => [x, y, z], _ => return Err(Error::internal("matmul takes rank 3")) }, b.shape[2]);
    let (ra, rb) = (a.raw::<T>()?, b.raw::<T>()?);
    let mut out: Vec<T> = if k == 0 { vec![T::from_i64(0); batch * m * n] } else { exec.vec(batch * m * n) };
    if k > 0 && !out.is_empty() {
        // Whole matrices a chunk when they are small, else strips of rows (or of columns, where those are more).
        let work = m * n * k;
        let per_chunk = (CHUNK_WORK / work.max(1)).max(1);
        let by_rows = m >= n;
        let parts = if work <= 2 * CHUNK_WORK { 1 } else { (work / CHUNK_WORK).min(16).min(if by_rows { m.div_ceil(16) } else { n.div_ceil(32) }).max(1) };
        let shared = Shared::new(&mut out);
        let (pa, pb) = (SyncPtr(ra.as_ptr()), SyncPtr(rb.as_ptr()));
        let (la, lb) = (Lay::of(a), Lay::of(b));
        let one = |g: usize, r0: usize, r1: usize, c0: usize, c1: usize| {
            let (ma, mb) = (la.matrix(g), lb.matrix(g));
            // SAFETY: offsets and strides come from the arrays' own layouts; strips of the result are disjoint.
            unsafe {
                let x = pa.at(ma.offset + r0 as isize * ma.row);
                let y = pb.at(mb.offset + c0 as isize * mb.col);
                tile(k, (x, ma.row, ma.col), (y, mb.row, mb.col), shared.ptr().add(g * m * n + r0 * n + c0), r1 - r0, c1 - c0, n);
            }
        };
        if parts == 1 {
            exec.chunks(batch, per_chunk, &|from, to| (from..to).for_each(|g| one(g, 0, m, 0, n)));
        } else {
            let (len, unit) = if by_rows { (m, 16) } else { (n, 32) };
            let strip = len.div_ceil(parts).div_ceil(unit) * unit;
            let strips = len.div_ceil(strip);
            exec.pool.run(batch * strips, &|i| {
                let (g, s) = (i / strips, i % strips);
                let (from, to) = (s * strip, ((s + 1) * strip).min(len));
                if by_rows { one(g, from, to, 0, n) } else { one(g, 0, m, from, to) }
            });
        }
    }
    Ok(exec.array_as(a.dtype, out, &[batch, m, n]))
}

#[derive(Clone, Copy)]
struct SyncPtr<T>(*const T);
// SAFETY: read-only while the chunks run.
unsafe impl<T> Send for SyncPtr<T> {}
unsafe impl<T> Sync for SyncPtr<T> {}
impl<T> SyncPtr<T> {
    unsafe fn at(self, i: isize) -> *const T { self.0.offset(i) }
}

/// The layout of `[batch, rows, cols]`, without the array.
#[derive(Clone, Copy)]
struct Lay { offset: isize, strides: [isize; 3] }
impl Lay {
    fn of(x: &Array) -> Lay { Lay { offset: x.offset as isize, strides: [x.strides[0], x.strides[1], x.strides[2]] } }
    fn matrix(self, batch: usize) -> Matrix {
        Matrix { offset: self.offset + batch as isize * self.strides[0], row: self.strides[1], col: self.strides[2] }
    }
}

fn gemm_tile<T: Element>(k: usize, a: (*const T, isize, isize), b: (*const T, isize, isize), out: *mut T, rows: usize, cols: usize, stride: usize) {
    // SAFETY: the caller gives matrices that lie in their buffers; the destination is written, not read.
    unsafe {
        gemm::gemm(rows, cols, k, out, 1, stride as isize, false, a.0, a.2, a.1, b.0, b.2, b.1,
            T::from_i64(0), T::from_i64(1), false, false, false, gemm::Parallelism::None);
    }
}

#[allow(clippy::too_many_arguments)]
fn plain_tile<T: Element, S: Copy>(k: usize, a: (*const T, isize, isize), b: (*const T, isize, isize), out: *mut T, rows: usize, cols: usize, stride: usize,
    zero: S, add: impl Fn(S, T, T) -> S, done: impl Fn(S) -> T) {
    for i in 0..rows as isize {
        for j in 0..cols as isize {
            let mut sum = zero;
            for l in 0..k as isize {
                // SAFETY: as for `gemm_tile`.
                unsafe { sum = add(sum, *a.0.offset(i * a.1 + l * a.2), *b.0.offset(l * b.1 + j * b.2)) };
            }
            // SAFETY: as above; this tile is the only writer of its elements.
            unsafe { *out.offset(i * stride as isize + j) = done(sum) };
        }
    }
}
