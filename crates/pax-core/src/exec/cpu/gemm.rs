//! Batched matrix products in fixed chunks: floats by the kernels of `panel`, integers by a plain loop.
use crate::dtype::Element;
use crate::exec::cpu::math::halves;
use crate::exec::cpu::panel::{Matrix, Micro, Piece, DEPTH, PACKED, TILED};
use crate::exec::cpu::tile::Simd;
use crate::exec::{Exec, Shared};
use crate::{Array, DType, Error, Result};

/// Multiply-adds of a chunk: large enough to pay for waking a thread, small enough to balance.
const CHUNK_WORK: usize = 1 << 20;

/// `a [batch, m, k] × b [batch, k, n] → [batch, m, n]`, operands of any strides.
pub fn matmul(exec: &Exec, a: &Array, b: &Array) -> Result<Array> {
    match a.dtype {
        DType::F32 => panels(exec, a, b, Micro::f32(Simd::detect())),
        DType::F64 => panels(exec, a, b, Micro::f64(Simd::detect())),
        // Halves accumulate in float32 and are rounded once.
        DType::F16 | DType::BF16 => halves(exec, &[a, b], &|xs| panels(exec, xs[0], xs[1], Micro::f32(Simd::detect()))),
        DType::I32 => product::<i32>(exec, a, b, |k, x, y, out, rows, cols, c| {
            plain_tile(k, x, y, out, rows, cols, c, 0, |s, p, q| s.wrapping_add(p.wrapping_mul(q)))
        }),
        DType::I64 => product::<i64>(exec, a, b, |k, x, y, out, rows, cols, c| {
            plain_tile(k, x, y, out, rows, cols, c, 0, |s, p, q| s.wrapping_add(p.wrapping_mul(q)))
        }),
        DType::U8 => product::<u8>(exec, a, b, |k, x, y, out, rows, cols, c| {
            plain_tile(k, x, y, out, rows, cols, c, 0, |s, p, q| s.wrapping_add(p.wrapping_mul(q)))
        }),
        DType::U32 => product::<u32>(exec, a, b, |k, x, y, out, rows, cols, c| {
            plain_tile(k, x, y, out, rows, cols, c, 0, |s, p, q| s.wrapping_add(p.wrapping_mul(q)))
        }),
        DType::Bool => {
            product::<u8>(exec, a, b, |k, x, y, out, rows, cols, c| plain_tile(k, x, y, out, rows, cols, c, 0, |s, p, q| s | (p & q)))
        }
    }
}

/// Multiply-adds of a chunk of panels; a chunk of less would not pay for waking a thread.
const PIECE_WORK: usize = 1 << 18;

/// The product on our own kernels, in chunks of a panel's rows.
fn panels<T: Element>(exec: &Exec, a: &Array, b: &Array, micro: Micro<T>) -> Result<Array> {
    let ([batch, m, k], n) = (
        match a.shape[..] {
            [x, y, z] => [x, y, z],
            _ => return Err(Error::internal("matmul takes rank 3")),
        },
        b.shape[2],
    );
    if k == 0 || batch * m * n == 0 {
        return Ok(exec.array(vec![T::from_i64(0); batch * m * n], &[batch, m, n]));
    }
    let mut out: Vec<T> = exec.vec(batch * m * n);
    let (ra, rb) = (a.raw::<T>()?, b.raw::<T>()?);
    let (la, lb) = (Lay::of(a), Lay::of(b));
    let (pa, pb, shared) = (SyncPtr(ra.as_ptr()), SyncPtr(rb.as_ptr()), Shared::new(&mut out));
    let width = micro.width;
    let count = n.div_ceil(width);
    // Rows of a chunk: all of a panel's, unless panels are few and long.
    let rows = if count * batch >= 16 { m } else { (PIECE_WORK / k.saturating_mul(width)).max(micro.rows).next_multiple_of(micro.rows) };
    let strips = m.div_ceil(rows);
    let per_chunk = (PIECE_WORK / (rows.min(m) * k).saturating_mul(width)).max(1);
    // Rows may be read where they lie by few rows, and by more if whole panels of them are not far apart.
    let near = lb.strides[2] == 1 && (rows.min(m) <= 4 * micro.rows || (n % width == 0 && lb.strides[1].unsigned_abs() <= 4 * width));
    // Panels that many chunks read are packed before, all others by their chunk.
    let size = micro.packed(k, n);
    let mut before: Vec<T> = exec.vec(if near || strips == 1 { 0 } else { batch * size });
    let ready = Shared::new(&mut before);
    if !before.is_empty() {
        exec.chunks(batch * count, (PIECE_WORK / 8 / k.saturating_mul(width)).max(1), &|from, to| {
            for i in from..to {
                let (g, p) = (i / count, i % count);
                // SAFETY: as below; the panels are disjoint.
                unsafe { micro.pack(lb.matrix(pb, g), k, n, p, p + 1, ready.ptr().add(g * size)) };
            }
        });
    }
    // So may be the left operand.
    let tiled = batch == 1 && micro.packs_left((la.strides[1], la.strides[2]), m, k, n);
    let mut tiles: Vec<T> = exec.vec(if tiled { micro.tiled(m, k) } else { 0 });
    let left = Shared::new(&mut tiles);
    if tiled {
        // SAFETY: as below; columns are disjoint.
        exec.chunks(k, (PIECE_WORK / 8 / m).max(1), &|from, to| unsafe { micro.pack_left(la.matrix(pa, 0), m, k, from, to, left.ptr()) });
    }
    let step = if tiled { k } else { DEPTH.min(k) };
    exec.chunks(batch * count * strips, per_chunk, &|from, to| {
        let mut packed: Vec<T> = Vec::new();
        for i in from..to {
            let (g, rest) = (i / (count * strips), i % (count * strips));
            let (column, strip) = (rest / strips * width, rest % strips);
            let whole = Piece { from: strip * rows, to: ((strip + 1) * rows).min(m), column, width: width.min(n - column), depth: k };
            // SAFETY: offsets and strides come from the arrays' own layouts; pieces of the result are disjoint.
            unsafe {
                let a = if tiled { Matrix { data: left.ptr().cast_const(), rows: TILED, cols: 0 } } else { la.matrix(pa, g) };
                let b = lb.matrix(pb, g).from(0, column);
                let out = shared.ptr().add(g * m * n);
                if near {
                    micro.run(whole, a, b.data, b.rows as usize, out, n, false);
                    continue;
                }
                if strips > 1 {
                    micro.run(whole, a, ready.ptr().add(g * size + column * k), PACKED, out, n, false);
                    continue;
                }
                packed.reserve(step * width);
                for l in (0..k).step_by(step) {
                    let depth = step.min(k - l);
                    micro.pack(b.from(l, 0), depth, whole.width, 0, 1, packed.as_mut_ptr());
                    micro.run(Piece { depth, ..whole }, if tiled { a } else { a.from(0, l) }, packed.as_ptr(), PACKED, out, n, l > 0);
                }
            }
        }
    });
    // The next product uses their memory again.
    for packed in [before, tiles] {
        let n = packed.len();
        drop(exec.array(packed, &[n]));
    }
    Ok(exec.array(out, &[batch, m, n]))
}

type Tile<T> = fn(usize, Matrix<T>, Matrix<T>, *mut T, usize, usize, usize);

fn product<T: Element>(exec: &Exec, a: &Array, b: &Array, tile: Tile<T>) -> Result<Array> {
    let ([batch, m, k], n) = (
        match a.shape[..] {
            [x, y, z] => [x, y, z],
            _ => return Err(Error::internal("matmul takes rank 3")),
        },
        b.shape[2],
    );
    let (ra, rb) = (a.raw::<T>()?, b.raw::<T>()?);
    let mut out: Vec<T> = if k == 0 { vec![T::from_i64(0); batch * m * n] } else { exec.vec(batch * m * n) };
    if k > 0 && !out.is_empty() {
        // Whole matrices a chunk when they are small, else strips of rows (or of columns, where those are more).
        let work = (m * n).saturating_mul(k);
        let per_chunk = (CHUNK_WORK / work.max(1)).max(1);
        let by_rows = m >= n;
        let parts = if work <= 2 * CHUNK_WORK {
            1
        } else {
            (work / CHUNK_WORK).min(16).min(if by_rows { m.div_ceil(16) } else { n.div_ceil(32) }).max(1)
        };
        let shared = Shared::new(&mut out);
        let (pa, pb) = (SyncPtr(ra.as_ptr()), SyncPtr(rb.as_ptr()));
        let (la, lb) = (Lay::of(a), Lay::of(b));
        let one = |g: usize, r0: usize, r1: usize, c0: usize, c1: usize| {
            // SAFETY: offsets and strides come from the arrays' own layouts; strips of the result are disjoint.
            unsafe {
                tile(
                    k,
                    la.matrix(pa, g).from(r0, 0),
                    lb.matrix(pb, g).from(0, c0),
                    shared.ptr().add(g * m * n + r0 * n + c0),
                    r1 - r0,
                    c1 - c0,
                    n,
                );
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
                if by_rows {
                    one(g, from, to, 0, n)
                } else {
                    one(g, 0, m, from, to)
                }
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
    unsafe fn at(self, i: isize) -> *const T {
        self.0.offset(i)
    }
}

/// The layout of `[batch, rows, cols]`, without the array.
#[derive(Clone, Copy)]
struct Lay {
    offset: isize,
    strides: [isize; 3],
}
impl Lay {
    fn of(x: &Array) -> Lay {
        Lay { offset: x.offset as isize, strides: [x.strides[0], x.strides[1], x.strides[2]] }
    }
    unsafe fn matrix<T: Copy>(self, data: SyncPtr<T>, batch: usize) -> Matrix<T> {
        Matrix { data: data.at(self.offset + batch as isize * self.strides[0]), rows: self.strides[1], cols: self.strides[2] }
    }
}

#[allow(clippy::too_many_arguments)]
fn plain_tile<T: Element>(
    k: usize,
    a: Matrix<T>,
    b: Matrix<T>,
    out: *mut T,
    rows: usize,
    cols: usize,
    stride: usize,
    zero: T,
    add: impl Fn(T, T, T) -> T,
) {
    for i in 0..rows {
        for j in 0..cols {
            let mut sum = zero;
            // SAFETY: the caller gives matrices that lie in their buffers; this tile is the only writer of its elements.
            unsafe {
                for l in 0..k {
                    sum = add(sum, *a.at(i, l), *b.at(l, j));
                }
                *out.add(i * stride + j) = sum;
            }
        }
    }
}
