//! Concrete values: storage under a strided layout, counted by a meter.
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::dtype::{Element, Storage};
use crate::{dispatch, DType, Dims, Error, Result};

/// Counts what is alive in one engine (one JavaScript thread).
#[derive(Default, Debug)]
pub struct Meter {
    pub bytes: Cell<usize>,
    pub peak: Cell<usize>,
    pub tensors: Cell<usize>,
    spare: RefCell<Spare>,
    /// Memory of plans that do not run now: one for each depth that plans were nested to.
    arenas: RefCell<Vec<Vec<f32>>>,
}

/// Storage of dead buffers, by dtype and length: a step makes the same shapes again, and fresh memory costs page faults.
#[derive(Default, Debug)]
struct Spare { storage: HashMap<(DType, usize), Vec<Storage>>, bytes: usize, steady: bool }

/// Buffers from this size on are kept, up to so many bytes in all: many of those that a compiled step frees, which come in
/// the same order each time, few of those that the collector frees in bursts.
const KEEP_FROM: usize = 1 << 12;
const KEEP_STEADY: usize = 64 << 20;
const KEEP_BURST: usize = 1 << 20;
/// Of large ones more are kept: their pages cost more than what is computed in them.
const LARGE: usize = 1 << 21;
const KEEP_LARGE: usize = 48 << 20;

impl Meter {
    /// Memory for `n` elements, whose values are of no meaning.
    pub fn take<T: Element>(&self, n: usize) -> Vec<T> {
        let mut out = self.spare::<T>(n);
        // A kernel that does not write all of its result shows in the tests.
        if cfg!(debug_assertions) { out.fill(T::from_f64(f64::NAN)); }
        out
    }

    fn spare<T: Element>(&self, n: usize) -> Vec<T> {
        let bytes = n * std::mem::size_of::<T>();
        if bytes >= KEEP_FROM {
            let mut spare = self.spare.borrow_mut();
            let found = spare.storage.get_mut(&(T::DTYPE, n)).and_then(Vec::pop);
            if let Some(mut s) = found {
                spare.bytes -= bytes;
                if let Some(v) = T::slice_mut(&mut s) { return std::mem::take(v); }
            }
        }
        if bytes < LARGE { return vec![T::from_i64(0); n]; }
        // Not cleared: that takes as long as many kernels.
        let mut out: Vec<T> = Vec::with_capacity(n);
        in_large_pages(out.as_ptr() as usize, bytes);
        // SAFETY: elements are plain numbers, of which any bits are some; the caller writes them all.
        #[allow(clippy::uninit_vec)]
        unsafe { out.set_len(n) };
        out
    }

    /// Runs `f` with so many floats, which every plan uses in turn; a plan within a plan has others. Values are of no meaning.
    pub fn with_arena<R>(&self, floats: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
        if floats == 0 { return f(&mut []); }
        let mut arena = self.arenas.borrow_mut().pop().unwrap_or_default();
        if arena.len() < floats {
            arena = vec![0.0; floats];
            if 4 * floats >= LARGE { in_large_pages(arena.as_ptr() as usize, 4 * floats); }
        }
        if cfg!(debug_assertions) { arena.fill(f32::NAN); }
        self.bytes.set(self.bytes.get() + 4 * floats);
        self.peak.set(self.peak.get().max(self.bytes.get()));
        let out = f(&mut arena[..floats]);
        self.bytes.set(self.bytes.get() - 4 * floats);
        self.arenas.borrow_mut().push(arena);
        out
    }

    /// Runs what frees buffers that the next step makes again.
    pub fn steadily<R>(&self, f: impl FnOnce() -> R) -> R {
        let before = std::mem::replace(&mut self.spare.borrow_mut().steady, true);
        let out = f();
        self.spare.borrow_mut().steady = before;
        out
    }

    fn keep(&self, storage: Storage, key: (DType, usize)) {
        let bytes = key.0.size() * key.1;
        if bytes < KEEP_FROM { return; }
        let mut spare = self.spare.borrow_mut();
        let burst = if bytes >= LARGE { KEEP_LARGE } else { KEEP_BURST };
        if !spare.steady && spare.bytes + bytes > burst { return; }
        // Others make room, so that shapes that are made no more do not stay for good.
        while spare.bytes + bytes > KEEP_STEADY {
            let Some(&other) = spare.storage.iter().find(|(k, v)| **k != key && !v.is_empty()).map(|(k, _)| k) else { return };
            let gone = spare.storage.remove(&other).unwrap_or_default();
            spare.bytes -= gone.len() * other.0.size() * other.1;
        }
        spare.bytes += bytes;
        spare.storage.entry(key).or_default().push(storage);
    }
}

/// Asks for large pages where the system has them on demand: memory of many megabytes is then there in a few faults.
fn in_large_pages(start: usize, bytes: usize) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let from = start.next_multiple_of(PAGE);
        // SAFETY: advice for pages that lie in this allocation; their content stays.
        unsafe { libc::madvise(from as *mut libc::c_void, (start + bytes - from) / PAGE * PAGE, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, bytes);
}

/// Storage that its views share.
pub struct Buffer {
    storage: Storage,
    /// The element type in memory and the number of elements.
    key: (DType, usize),
    bytes: usize,
    meter: Rc<Meter>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.meter.bytes.set(self.meter.bytes.get() - self.bytes);
        self.meter.keep(std::mem::replace(&mut self.storage, Storage::U8(Vec::new())), self.key);
    }
}

/// A strided view of a buffer. Strides are in elements and may be 0 (broadcast) or negative (reverse).
#[derive(Clone)]
pub struct Array {
    pub dtype: DType,
    pub shape: Dims,
    pub strides: smallvec::SmallVec<[isize; 6]>,
    pub offset: usize,
    buffer: Rc<Buffer>,
}

/// Row-major strides of a shape.
pub fn row_major(shape: &[usize]) -> smallvec::SmallVec<[isize; 6]> {
    let mut strides = smallvec::smallvec![1isize; shape.len()];
    for d in (0..shape.len().saturating_sub(1)).rev() {
        strides[d] = strides[d + 1] * shape[d + 1].max(1) as isize;
    }
    strides
}

impl Array {
    /// A contiguous array from its elements; `dtype` differs from `T`'s only for bool.
    pub fn new<T: Element>(meter: &Rc<Meter>, dtype: DType, data: Vec<T>, shape: &[usize]) -> Array {
        debug_assert_eq!(data.len(), shape.iter().product::<usize>());
        let bytes = data.len() * std::mem::size_of::<T>();
        meter.bytes.set(meter.bytes.get() + bytes);
        meter.peak.set(meter.peak.get().max(meter.bytes.get()));
        let buffer = Rc::new(Buffer { key: (T::DTYPE, data.len()), storage: T::storage(data), bytes, meter: meter.clone() });
        Array { dtype, shape: shape.into(), strides: row_major(shape), offset: 0, buffer }
    }

    pub fn size(&self) -> usize { self.shape.iter().product() }
    pub fn ndim(&self) -> usize { self.shape.len() }
    /// Bytes of the buffer behind this view.
    pub fn buffer_bytes(&self) -> usize { self.buffer.bytes }
    /// Bytes of one of `n` slices along the first axis of a contiguous array.
    pub fn buffer_step(&self, n: usize) -> usize { self.size().checked_div(n).unwrap_or(0) * self.dtype.size() }
    /// True if no other view holds the buffer.
    pub fn is_unique(&self) -> bool { Rc::strong_count(&self.buffer) == 1 }
    /// True if both views have the same buffer.
    pub fn shares(&self, other: &Array) -> bool { Rc::ptr_eq(&self.buffer, &other.buffer) }

    /// The same buffer under another layout.
    pub fn view(&self, shape: &[usize], strides: &[isize], offset: usize) -> Array {
        Array { dtype: self.dtype, shape: shape.into(), strides: strides.into(), offset, buffer: self.buffer.clone() }
    }

    /// The whole buffer's elements, from index 0; index it by `offset` and `strides`.
    pub fn raw<T: Element>(&self) -> Result<&[T]> {
        T::slice(&self.buffer.storage).ok_or_else(|| Error::internal(format!("a {} array read as {}", self.dtype.name(), T::DTYPE.name())))
    }

    /// Where its first element lies; not written through, unless the buffer is known to be nobody else's.
    pub fn address(&self) -> Result<*mut u8> {
        dispatch!(self.dtype, T => { let raw = self.raw::<T>()?; Ok(raw[self.offset.min(raw.len())..].as_ptr().cast_mut().cast()) })
    }

    /// The elements in order if they lie so in memory.
    pub fn contiguous<T: Element>(&self) -> Result<Option<&[T]>> {
        let raw = self.raw::<T>()?;
        if self.size() == 0 { return Ok(Some(&[])); }
        Ok(self.is_contiguous().then(|| &raw[self.offset..self.offset + self.size()]))
    }

    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1isize;
        for (&n, &s) in self.shape.iter().zip(&self.strides).rev() {
            if n != 1 && s != expected { return self.size() == 0; }
            expected *= n as isize;
        }
        true
    }

    /// The elements in row-major order, borrowed where they lie so.
    pub fn to_slice<T: Element>(&self) -> Result<std::borrow::Cow<'_, [T]>> {
        if let Some(s) = self.contiguous::<T>()? { return Ok(std::borrow::Cow::Borrowed(s)); }
        let raw = self.raw::<T>()?;
        let mut out = Vec::with_capacity(self.size());
        for run in runs(&self.shape, &[&self.strides]) {
            let (start, stride) = (self.offset as isize + run.offsets[0], run.strides[0]);
            out.extend((0..run.len as isize).map(|i| raw[(start + i * stride) as usize]));
        }
        Ok(std::borrow::Cow::Owned(out))
    }

    /// The same values in a contiguous buffer.
    pub fn to_contiguous(&self, meter: &Rc<Meter>) -> Result<Array> {
        if self.is_contiguous() { return Ok(self.clone()); }
        dispatch!(self.dtype, T => {
            let raw = self.raw::<T>()?;
            let mut out: Vec<T> = meter.take(self.size());
            let mut rest = &mut out[..];
            for run in runs(&self.shape, &[&self.strides]) {
                let (start, stride) = (self.offset as isize + run.offsets[0], run.strides[0]);
                let (row, next) = rest.split_at_mut(run.len);
                if stride == 1 { row.copy_from_slice(&raw[start as usize..start as usize + run.len]); }
                else { for (i, o) in row.iter_mut().enumerate() { *o = raw[(start + i as isize * stride) as usize]; } }
                rest = next;
            }
            Ok(Array::new(meter, self.dtype, out, &self.shape))
        })
    }

    /// The contiguous elements for writing, if this view is the only one.
    pub fn unique_mut<T: Element>(&mut self) -> Option<&mut [T]> {
        if !self.is_contiguous() { return None; }
        let (offset, size) = (self.offset, self.size());
        let buffer = Rc::get_mut(&mut self.buffer)?;
        T::slice_mut(&mut buffer.storage).map(|v| &mut v[offset..offset + size])
    }

    /// The values as f64, in row-major order (tests, printing).
    pub fn to_f64(&self) -> Result<Vec<f64>> {
        dispatch!(self.dtype, T => Ok(self.to_slice::<T>()?.iter().map(|x| x.to_f64()).collect()))
    }
}

/// An inner run of a strided walk over one or more operands: `len` elements from `offsets[k]`, `strides[k]` apart.
pub struct Run<const K: usize> { pub len: usize, pub offsets: [isize; K], pub strides: [isize; K] }

/// Dimensions of operands of one shape, merged where they lie together: sizes and strides.
pub fn merge<const K: usize>(shape: &[usize], strides: [&[isize]; K]) -> smallvec::SmallVec<[(usize, [isize; K]); 6]> {
    let mut dims: smallvec::SmallVec<[(usize, [isize; K]); 6]> = smallvec::SmallVec::new();
    for (d, &n) in shape.iter().enumerate() {
        if n == 1 { continue; }
        let s: [isize; K] = std::array::from_fn(|k| strides[k][d]);
        match dims.last_mut() {
            Some((m, t)) if (0..K).all(|k| t[k] == s[k] * n as isize) => { *m *= n; *t = s; }
            _ => dims.push((n, s)),
        }
    }
    dims
}

/// Walks operands of one shape in row-major order, dimensions that lie together merged.
pub fn runs<const K: usize>(shape: &[usize], strides: &[&smallvec::SmallVec<[isize; 6]>; K]) -> Runs<K> {
    let mut dims = merge(shape, strides.map(|s| &s[..]));
    let empty = shape.contains(&0);
    let (len, inner) = dims.pop().unwrap_or((1, [0; K]));
    Runs { index: smallvec::smallvec![0; dims.len()], dims, len, inner, offsets: [0; K], done: empty }
}

pub struct Runs<const K: usize> {
    dims: smallvec::SmallVec<[(usize, [isize; K]); 6]>,
    index: smallvec::SmallVec<[usize; 6]>,
    len: usize,
    inner: [isize; K],
    offsets: [isize; K],
    done: bool,
}

impl<const K: usize> Iterator for Runs<K> {
    type Item = Run<K>;
    fn next(&mut self) -> Option<Run<K>> {
        if self.done { return None; }
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
