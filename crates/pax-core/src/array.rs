//! Concrete values: storage under a strided layout, counted by a meter.
use std::borrow::Cow;
use std::rc::Rc;

use pax_kernels::turn::Turned;
use smallvec::SmallVec;

use crate::dtype::Element;
use crate::meter::Meter;
use crate::storage::Storage;
use crate::{dispatch, dispatch_size, DType, Dims, Error, Result};

/// Storage that its views share.
pub struct Buffer {
    storage: Storage,
    /// The dtype of the elements in memory, and their number.
    dtype: DType,
    count: usize,
    meter: Rc<Meter>,
}

impl Buffer {
    fn bytes(&self) -> usize {
        self.dtype.size() * self.count
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.meter.bytes.set(self.meter.bytes.get() - self.bytes());
        self.meter.keep(std::mem::take(&mut self.storage), (self.dtype.size(), self.count));
    }
}

/// A strided view of a buffer. Strides are in elements and may be 0 (broadcast) or negative (reverse).
pub struct Array {
    pub dtype: DType,
    pub shape: Dims,
    pub strides: SmallVec<[isize; 6]>,
    pub offset: usize,
    buffer: Rc<Buffer>,
}

impl Clone for Array {
    /// By slices: `SmallVec::clone` goes element by element.
    fn clone(&self) -> Array {
        let (shape, strides) = (Dims::from_slice(&self.shape), SmallVec::from_slice(&self.strides));
        Array { shape, strides, buffer: self.buffer.clone(), ..*self }
    }
}

/// Row-major strides of a shape.
pub fn row_major(shape: &[usize]) -> SmallVec<[isize; 6]> {
    let mut strides = smallvec::smallvec![1isize; shape.len()];
    for d in (0..shape.len().saturating_sub(1)).rev() {
        strides[d] = strides[d + 1] * shape[d + 1].max(1) as isize;
    }
    strides
}

impl Array {
    /// A contiguous array from its elements; `dtype` differs from `T`'s only for bool.
    pub fn new<T: Element>(meter: &Rc<Meter>, dtype: DType, data: Vec<T>, shape: &[usize]) -> Array {
        debug_assert!(T::DTYPE == dtype.stored() && data.len() == shape.iter().product::<usize>());
        Array::from_storage(meter, dtype, Storage::of(data), shape)
    }

    /// A contiguous array whose elements are of no meaning yet.
    pub fn empty(meter: &Rc<Meter>, dtype: DType, shape: &[usize]) -> Array {
        Array::from_storage(meter, dtype, meter.storage(dtype.size(), shape.iter().product()), shape)
    }

    fn from_storage(meter: &Rc<Meter>, dtype: DType, storage: Storage, shape: &[usize]) -> Array {
        let buffer = Buffer { storage, dtype: dtype.stored(), count: shape.iter().product(), meter: meter.clone() };
        meter.bytes.set(meter.bytes.get() + buffer.bytes());
        meter.peak.set(meter.peak.get().max(meter.bytes.get()));
        Array { dtype, shape: shape.into(), strides: row_major(shape), offset: 0, buffer: Rc::new(buffer) }
    }

    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }
    pub fn ndim(&self) -> usize {
        self.shape.len()
    }
    /// Bytes of the buffer behind this view.
    pub fn buffer_bytes(&self) -> usize {
        self.buffer.bytes()
    }
    /// Bytes of one of `n` slices along the first axis of a contiguous array.
    pub fn buffer_step(&self, n: usize) -> usize {
        self.size().checked_div(n).unwrap_or(0) * self.dtype.size()
    }
    /// True if no other view holds the buffer.
    pub fn is_unique(&self) -> bool {
        Rc::strong_count(&self.buffer) == 1
    }
    /// True if both views have the same buffer.
    pub fn shares(&self, other: &Array) -> bool {
        Rc::ptr_eq(&self.buffer, &other.buffer)
    }

    /// Repeated to `shape`: its axis `i` becomes axis `axes[i]`, of the same size.
    pub fn broadcast(&self, shape: &[usize], axes: &[usize]) -> Array {
        let mut strides = vec![0isize; shape.len()];
        for (&a, &s) in axes.iter().zip(&self.strides) {
            strides[a] = s;
        }
        self.view(shape, &strides, self.offset)
    }

    /// The same buffer under another layout.
    pub fn view(&self, shape: &[usize], strides: &[isize], offset: usize) -> Array {
        Array { dtype: self.dtype, shape: shape.into(), strides: strides.into(), offset, buffer: self.buffer.clone() }
    }

    /// The whole buffer's elements, from index 0; index it by `offset` and `strides`.
    pub fn raw<T: Element>(&self) -> Result<&[T]> {
        self.check_stored(T::DTYPE)?;
        // SAFETY: the buffer holds so many elements of this type.
        Ok(unsafe { std::slice::from_raw_parts(self.buffer.storage.start().cast(), self.buffer.count) })
    }

    /// An error unless elements have this dtype in memory.
    pub fn check_stored(&self, stored: DType) -> Result<()> {
        if self.buffer.dtype == stored {
            return Ok(());
        }
        Err(Error::internal(format!("a {} array read as {}", self.dtype.name(), stored.name())))
    }

    /// Where its first element lies; not written through, unless the buffer is known to be nobody else's.
    pub fn address(&self) -> *mut u8 {
        self.buffer.storage.start().wrapping_add(self.offset.min(self.buffer.count) * self.dtype.size())
    }

    /// The elements in order if they lie so in memory.
    pub fn contiguous<T: Element>(&self) -> Result<Option<&[T]>> {
        let raw = self.raw::<T>()?;
        if self.size() == 0 {
            return Ok(Some(&[]));
        }
        Ok(self.is_contiguous().then(|| &raw[self.offset..self.offset + self.size()]))
    }

    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1isize;
        for (&n, &s) in self.shape.iter().zip(&self.strides).rev() {
            if n != 1 && s != expected {
                return self.size() == 0;
            }
            expected *= n as isize;
        }
        true
    }

    /// The elements in row-major order, borrowed where they lie so.
    pub fn to_slice<T: Element>(&self) -> Result<Cow<'_, [T]>> {
        if let Some(s) = self.contiguous::<T>()? {
            return Ok(Cow::Borrowed(s));
        }
        let mut out: Vec<T> = Vec::with_capacity(self.size());
        // SAFETY: the vector has room for all elements, and is as long when they are there.
        unsafe {
            self.walk().copy(0, self.size(), out.as_mut_ptr().cast());
            out.set_len(self.size());
        }
        Ok(Cow::Owned(out))
    }

    /// How its elements are reached in row-major order.
    pub fn walk(&self) -> Walk {
        Walk::new(self.address(), self.dtype.size(), &self.shape, &self.strides)
    }

    /// The values as f64, in row-major order (tests, printing).
    pub fn to_f64(&self) -> Result<Vec<f64>> {
        dispatch!(self.dtype, T => Ok(self.to_slice::<T>()?.iter().map(|x| x.to_f64()).collect()))
    }
}

/// A strided view's elements in row-major order, dimensions that lie together merged.
pub struct Walk {
    start: *const u8,
    size: usize,
    dims: SmallVec<[(usize, [isize; 1]); 6]>,
}
// SAFETY: it is only read through.
unsafe impl Sync for Walk {}

impl Walk {
    /// Elements of `size` bytes, the first one at `start`; strides are in elements.
    pub fn new(start: *const u8, size: usize, shape: &[usize], strides: &[isize]) -> Walk {
        Walk { start, size, dims: merge(shape, [strides]) }
    }

    /// Where element `i` lies, if all lie together.
    pub fn together(&self, i: usize) -> Option<*const u8> {
        matches!(self.dims[..], [] | [(_, [1])]).then(|| self.start.wrapping_add(i * self.size))
    }

    /// True if all are one element.
    pub fn repeats(&self) -> bool {
        matches!(self.dims[..], [(_, [0])])
    }

    /// Copies `n` elements from the `from`th on.
    /// # Safety
    /// The view has them, and `to` has room for them.
    pub unsafe fn copy(&self, from: usize, n: usize, to: *mut u8) {
        // SAFETY: the caller's; buffers are aligned to their elements.
        unsafe {
            if let Some(turned) = Turned::of(&axes(&self.dims)) {
                return turned.copy(self.size, self.start, from, n, to);
            }
            dispatch_size!(self.size, B => self.copy_as::<B>(from, n, to.cast()))
        }
    }

    /// True if its rows lie across memory, as a transposed matrix's.
    pub fn is_turned(&self) -> bool {
        Turned::of(&axes(&self.dims)).is_some()
    }
    /// Elements that are best copied together.
    pub fn grain(&self) -> usize {
        Turned::of(&axes(&self.dims)).map_or(1, Turned::grain)
    }

    unsafe fn copy_as<B: Copy>(&self, from: usize, n: usize, to: *mut B) {
        if n == 0 {
            return;
        }
        let start = self.start.cast::<B>();
        // SAFETY: the caller's.
        unsafe {
            let Some((&(len, [step]), outer)) = self.dims.split_last() else { return *to = *start };
            let (mut rest, mut at, mut done) = (from / len, from % len, 0);
            let mut index: SmallVec<[usize; 6]> = smallvec::smallvec![0; outer.len()];
            let mut offset = 0;
            for (i, &(m, [s])) in index.iter_mut().zip(outer).rev() {
                *i = rest % m;
                offset += *i as isize * s;
                rest /= m;
            }
            loop {
                let m = (len - at).min(n - done);
                let (src, dst) = (start.offset(offset + at as isize * step), to.add(done));
                match step {
                    1 if m > 8 => std::ptr::copy_nonoverlapping(src, dst, m),
                    0 => std::slice::from_raw_parts_mut(dst, m).fill(*src),
                    _ => {
                        for k in 0..m {
                            *dst.add(k) = *src.offset(k as isize * step);
                        }
                    }
                }
                done += m;
                if done == n {
                    return;
                }
                at = 0;
                for (i, &(m, [s])) in index.iter_mut().zip(outer).rev() {
                    *i += 1;
                    offset += s;
                    if *i < m {
                        break;
                    }
                    offset -= s * m as isize;
                    *i = 0;
                }
            }
        }
    }
}

/// Copies elements of `size` bytes, of one shape, from one layout to another: starts, and strides in elements.
/// # Safety
/// All elements of the source can be read and those of the target written, and none is both.
pub unsafe fn copy_strided(
    size: usize,
    shape: &[usize],
    (from, from_strides): (*const u8, &[isize]),
    (to, to_strides): (*mut u8, &[isize]),
) {
    unsafe fn run<B: Copy>(n: usize, (from, s): (*const u8, isize), (to, t): (*mut u8, isize)) {
        let (from, to) = (from.cast::<B>(), to.cast::<B>());
        // SAFETY: the caller's.
        for i in 0..n as isize {
            unsafe {
                *to.offset(i * t) = *from.offset(i * s);
            }
        }
    }
    for r in runs(shape, [from_strides, to_strides]) {
        let [a, b] = r.offsets.map(|o| o * size as isize);
        // SAFETY: the caller's.
        unsafe { dispatch_size!(size, B => run::<B>(r.len, (from.offset(a), r.strides[0]), (to.offset(b), r.strides[1]))) };
    }
}

/// An inner run of a strided walk over one or more operands: `len` elements from `offsets[k]`, `strides[k]` apart.
pub struct Run<const K: usize> {
    pub len: usize,
    pub offsets: [isize; K],
    pub strides: [isize; K],
}

/// Dimensions of operands of one shape, merged where they lie together: sizes and strides.
pub fn merge<const K: usize>(shape: &[usize], strides: [&[isize]; K]) -> SmallVec<[(usize, [isize; K]); 6]> {
    let mut dims: SmallVec<[(usize, [isize; K]); 6]> = SmallVec::new();
    for (d, &n) in shape.iter().enumerate() {
        if n == 1 {
            continue;
        }
        let s: [isize; K] = std::array::from_fn(|k| strides[k][d]);
        match dims.last_mut() {
            Some((m, t)) if (0..K).all(|k| t[k] == s[k] * n as isize) => {
                *m *= n;
                *t = s;
            }
            _ => dims.push((n, s)),
        }
    }
    dims
}

/// The merged dimensions of one operand, as sizes and strides.
pub fn axes(dims: &[(usize, [isize; 1])]) -> SmallVec<[(usize, isize); 6]> {
    dims.iter().map(|&(n, [s])| (n, s)).collect()
}

/// Walks operands of one shape in row-major order, dimensions that lie together merged.
pub fn runs<const K: usize>(shape: &[usize], strides: [&[isize]; K]) -> Runs<K> {
    let mut dims = merge(shape, strides);
    let empty = shape.contains(&0);
    let (len, inner) = dims.pop().unwrap_or((1, [0; K]));
    Runs { index: smallvec::smallvec![0; dims.len()], dims, len, inner, offsets: [0; K], done: empty }
}

pub struct Runs<const K: usize> {
    dims: SmallVec<[(usize, [isize; K]); 6]>,
    index: SmallVec<[usize; 6]>,
    len: usize,
    inner: [isize; K],
    offsets: [isize; K],
    done: bool,
}

impl<const K: usize> Iterator for Runs<K> {
    type Item = Run<K>;
    fn next(&mut self) -> Option<Run<K>> {
        if self.done {
            return None;
        }
        let run = Run { len: self.len, offsets: self.offsets, strides: self.inner };
        self.done = true;
        for d in (0..self.dims.len()).rev() {
            let (n, s) = self.dims[d];
            self.index[d] += 1;
            if self.index[d] < n {
                self.offsets.iter_mut().zip(s).for_each(|(o, s)| *o += s);
                self.done = false;
                break;
            }
            self.index[d] = 0;
            self.offsets.iter_mut().zip(s).for_each(|(o, s)| *o -= s * (n as isize - 1));
        }
        Some(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_of_every_layout_copy_any_part() {
        let data: Vec<u32> = (0..5000).collect();
        let layouts: [(&[usize], &[isize]); 7] = [
            (&[40, 33], &[1, 40]),
            (&[17, 16], &[1, 60]),
            (&[3, 20, 35], &[700, 1, 20]),
            (&[2, 18, 3, 20], &[2160, 1, 36, 108]),
            (&[40, 33], &[1, 41]),
            (&[5, 6, 7], &[100, 7, 2]),
            (&[3, 4], &[0, 1]),
        ];
        for (shape, strides) in layouts {
            let walk = Walk::new(data.as_ptr().cast(), 4, shape, strides);
            let size: usize = shape.iter().product();
            let want: Vec<u32> = (0..size)
                .map(|i| {
                    let mut rest = i;
                    shape
                        .iter()
                        .zip(strides)
                        .rev()
                        .map(|(&n, &s)| {
                            let k = rest % n;
                            rest /= n;
                            k as u32 * s as u32
                        })
                        .sum()
                })
                .collect();
            for (from, n) in [(0, size), (1, size - 1), (size / 3, size / 2), (7, 3), (size - 1, 1), (5, 0)] {
                let mut out = vec![u32::MAX; n];
                // SAFETY: the view lies in the data, and the part in the view.
                unsafe { walk.copy(from, n, out.as_mut_ptr().cast()) };
                assert_eq!(out, want[from..from + n], "{shape:?} {strides:?} from {from}");
            }
        }
    }
}
