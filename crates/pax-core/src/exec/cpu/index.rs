//! Reading and writing slices at places that values name, and permutations that sort.
use crate::dtype::Element;
use crate::exec::{Exec, Shared};
use crate::{dispatch, Array, DType, Error, Result};
pub use pax_kernels::chunk::index::{place, Lay};
use pax_kernels::sort::{sort, sort_words};

/// The place of each index.
pub fn places(indices: &Array, n: usize, clamp: bool) -> Result<Vec<usize>> {
    dispatch!(indices.dtype, T => Ok(indices.to_slice::<T>()?.iter().map(|i| place(i.to_i64(), n, clamp)).collect()))
}

/// Elements in a chunk of copies.
const CHUNK: usize = 1 << 15;

pub fn gather(exec: &Exec, x: &Array, at: &[usize], lay: Lay, shape: &[usize]) -> Array {
    let (x, out) = (exec.contiguous(x.clone()), exec.empty(x.dtype, shape));
    let Lay { outer, n, inner, places, .. } = lay;
    let row = inner * x.dtype.size();
    let (from, to) = (Shared::at(x.address()), Shared::at(out.address()));
    exec.chunks(lay.batch * outer * places, (CHUNK / inner.max(1)).max(1), &|first, end| {
        for r in first..end {
            let (bo, k) = (r / places, r % places);
            let place = at[bo / outer * places + k];
            let to = to.ptr().wrapping_add(r * row);
            // SAFETY: a place below `n` is one of x, and each row of the result belongs to one chunk.
            unsafe {
                if place >= n {
                    to.write_bytes(0, row);
                    continue;
                }
                let from = from.ptr().wrapping_add((bo * n + place) * row);
                // A call would take longer than one element.
                match row {
                    4 => *to.cast::<[u8; 4]>() = *from.cast::<[u8; 4]>(),
                    8 => *to.cast::<[u8; 8]>() = *from.cast::<[u8; 8]>(),
                    _ => to.copy_from_nonoverlapping(from, row),
                }
            }
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
                if place >= n {
                    continue;
                }
                let start = (bo * n + place) * inner;
                // SAFETY: slice `bo` of the result belongs to one chunk.
                let row = unsafe { shared.range(start, start + inner) };
                for (o, &v) in row.iter_mut().zip(&u[(bo * places + k) * inner..]) {
                    *o = f(*o, v);
                }
            }
        }
    });
    Ok(exec.array_as(x.dtype, out, &x.shape))
}

/// An order-preserving key: NaN last, -0 equal to 0.
fn key<T: Element>(v: T, float: bool) -> u64 {
    if !float {
        return (v.to_i64() as u64) ^ (1 << 63);
    }
    let f = v.to_f64();
    if f.is_nan() {
        return u64::MAX;
    }
    let bits = (f + 0.0).to_bits();
    if bits >> 63 == 1 {
        !bits
    } else {
        bits | (1 << 63)
    }
}

/// The same in four bytes, of dtypes that have no more.
fn short_key<T: Element>(v: T, dtype: DType) -> u32 {
    if !dtype.is_float() {
        return (v.to_i64() - if dtype == DType::I32 { i64::from(i32::MIN) } else { 0 }) as u32;
    }
    let f = v.to_f64() as f32;
    if f.is_nan() {
        return u32::MAX;
    }
    let bits = (f + 0.0).to_bits();
    if bits >> 31 == 1 {
        !bits
    } else {
        bits | (1 << 31)
    }
}

/// The stable order of each lane of `n` along the last axis, by the first key, then the second, …
pub fn order(exec: &Exec, keys: &[Array], n: usize) -> Result<Vec<i32>> {
    if i32::try_from(n).is_err() {
        return Err(Error::value(format!("an axis of {n} elements is too long to sort")));
    }
    let size = keys.first().map_or(0, Array::size);
    let mut out = vec![0i32; size];
    let shared = Shared::new(&mut out);
    // SAFETY: each lane belongs to one chunk.
    let lanes = |sorted: &(dyn Fn(usize, &mut [i32]) + Sync)| {
        if n > 0 {
            exec.chunks(size / n, (CHUNK / n).max(1), &|from, to| {
                for lane in from..to {
                    sorted(lane * n, unsafe { shared.range(lane * n, lane * n + n) });
                }
            })
        }
    };
    match keys {
        [only] if only.dtype.size() <= 4 => {
            let mut words: Vec<u64> = dispatch!(only.dtype, T => Ok(only.to_slice::<T>()?.iter().enumerate().map(|(i, &v)| u64::from(short_key(v, only.dtype)) << 32 | u64::from(i as u32)).collect()))?;
            let words = Shared::new(&mut words);
            lanes(&|base, order| {
                // SAFETY: as above.
                let words = unsafe { words.range(base, base + n) };
                sort_words(words);
                for (o, w) in order.iter_mut().zip(words) {
                    *o = (*w as u32).wrapping_sub(base as u32) as i32;
                }
            });
        }
        _ => {
            let keys: Vec<Vec<u64>> = keys
                .iter()
                .map(|k| dispatch!(k.dtype, T => Ok(k.to_slice::<T>()?.iter().map(|&v| key(v, k.dtype.is_float())).collect())))
                .collect::<Result<_>>()?;
            lanes(&|base, order| sort(&keys, base, order));
        }
    }
    Ok(out)
}
