//! Reading and writing slices at places that values name, and permutations that sort.
use crate::dtype::Element;
use crate::exec::{Exec, Shared};
use crate::{dispatch, Array, Error, Result};
pub use pax_kernels::chunk::index::{place, Lay};
use pax_kernels::sort::sort;

/// The place of each index.
pub fn places(indices: &Array, n: usize, clamp: bool) -> Result<Vec<usize>> {
    dispatch!(indices.dtype, T => Ok(indices.to_slice::<T>()?.iter().map(|i| place(i.to_i64(), n, clamp)).collect()))
}

/// Elements in a chunk of copies.
const CHUNK: usize = 1 << 15;

pub fn gather(exec: &Exec, x: &Array, at: &[usize], lay: Lay, shape: &[usize]) -> Array {
    let (x, out) = (exec.contiguous(x), exec.empty(x.dtype, shape));
    let Lay { outer, n, inner, places, .. } = lay;
    let row = inner * x.dtype.size();
    let (from, to) = (Shared::at(x.address()), Shared::at(out.address()));
    exec.chunks(lay.batch * outer * places, (CHUNK / inner.max(1)).max(1), &|first, end| {
        for r in first..end {
            let (bo, k) = (r / places, r % places);
            let place = at[bo / outer * places + k];
            let to = to.ptr().wrapping_add(r * row);
            // SAFETY: a place below `n` is one of x, and each row of the result belongs to one chunk.
            unsafe { if place < n { to.copy_from_nonoverlapping(from.ptr().wrapping_add((bo * n + place) * row), row) } else { to.write_bytes(0, row) } }
        }
    });
    out
}

/// Combines updates into a copy of `x` in the order of the indices. Chunks are batch items and outer slices: none shares a place.
pub fn scatter<T: Element>(exec: &Exec, x: &Array, at: &[usize], updates: &Array, lay: Lay, f: impl Fn(T, T) -> T + Sync) -> Result<Array> {
    let u = updates.to_slice::<T>()?;
    let mut out = x.to_slice::<T>()?.into_owned();
    let Lay { outer, n, inner, places, .. } = lay;
    let shared = Shared::new(&mut out);
    exec.chunks(lay.batch * outer, (CHUNK / (places * inner).max(1)).max(1), &|from, to| {
        for bo in from..to {
            for k in 0..places {
                let place = at[bo / outer * places + k];
                if place >= n { continue; }
                let start = (bo * n + place) * inner;
                // SAFETY: slice `bo` of the result belongs to one chunk.
                let row = unsafe { shared.range(start, start + inner) };
                for (o, &v) in row.iter_mut().zip(&u[(bo * places + k) * inner..]) { *o = f(*o, v); }
            }
        }
    });
    Ok(exec.array_as(x.dtype, out, &x.shape))
}

/// An order-preserving key: NaN last, -0 equal to 0.
fn key<T: Element>(v: T, float: bool) -> u64 {
    if !float { return (v.to_i64() as u64) ^ (1 << 63); }
    let f = v.to_f64();
    if f.is_nan() { return u64::MAX; }
    let bits = (f + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

/// The stable order of each lane of `n` along the last axis, by the first key, then the second, …
pub fn order(exec: &Exec, keys: &[Array], n: usize) -> Result<Vec<i32>> {
    if i32::try_from(n).is_err() { return Err(Error::value(format!("an axis of {n} elements is too long to sort"))); }
    let float: Vec<Vec<u64>> = keys.iter().map(|k| dispatch!(k.dtype, T => Ok(k.to_slice::<T>()?.iter().map(|&v| key(v, k.dtype.is_float())).collect()))).collect::<Result<_>>()?;
    let size = float.first().map_or(0, Vec::len);
    let mut out = vec![0i32; size];
    let shared = Shared::new(&mut out);
    if n > 0 {
        exec.chunks(size / n, (CHUNK / n).max(1), &|from, to| for lane in from..to {
            let base = lane * n;
            // SAFETY: each lane belongs to one chunk.
            sort(&float, base, unsafe { shared.range(base, base + n) });
        });
    }
    Ok(out)
}
