//! What a row's eval is given: the meter for allocations and the pool for chunks.
pub mod cpu;

use std::rc::Rc;

use crate::dtype::Element;
use crate::{Array, DType, Meter};
pub use pax_kernels::chunk::Pool;

/// Elements of a copy below which it stays on the caller's thread, and about so many of a chunk above.
const COPIED: usize = 1 << 15;

/// The pool of one thread: the caller.
pub struct Serial;
impl Pool for Serial {
    fn run(&self, chunks: usize, f: &(dyn Fn(usize) + Sync)) {
        (0..chunks).for_each(f)
    }
}

#[derive(Clone)]
pub struct Exec {
    pub meter: Rc<Meter>,
    pub pool: Rc<dyn Pool>,
}

impl Exec {
    /// Memory for `n` elements, whose values are of no meaning: used again where it can be.
    pub fn vec<T: Element>(&self, n: usize) -> Vec<T> {
        self.meter.take(n)
    }
    pub fn array<T: Element>(&self, data: Vec<T>, shape: &[usize]) -> Array {
        Array::new(&self.meter, T::DTYPE, data, shape)
    }
    pub fn array_as<T: Element>(&self, dtype: DType, data: Vec<T>, shape: &[usize]) -> Array {
        Array::new(&self.meter, dtype, data, shape)
    }
    /// An array whose elements are of no meaning yet.
    pub fn empty(&self, dtype: DType, shape: &[usize]) -> Array {
        Array::empty(&self.meter, dtype, shape)
    }
    /// A scalar of any dtype.
    pub fn scalar(&self, dtype: DType, value: f64) -> Array {
        crate::dispatch!(dtype, T => self.array_as(dtype, vec![<T as Element>::from_f64(value)], &[]))
    }
    pub fn bools(&self, data: Vec<u8>, shape: &[usize]) -> Array {
        Array::new(&self.meter, DType::Bool, data, shape)
    }
    /// The same values in row-major order; a copy where they do not lie so.
    pub fn contiguous(&self, x: Array) -> Array {
        if x.is_contiguous() {
            x
        } else {
            self.copied(&x)
        }
    }
    /// The same values in a buffer of their own.
    pub fn copied(&self, x: &Array) -> Array {
        self.bits_as(x, x.dtype)
    }
    /// A copy whose bits are read as another dtype of the same size.
    pub fn bits_as(&self, x: &Array, dtype: DType) -> Array {
        debug_assert_eq!(dtype.size(), x.dtype.size());
        let (out, walk, size) = (self.empty(dtype, &x.shape), x.walk(), x.dtype.size());
        let to = Shared::at(out.address());
        // SAFETY: nobody else has the new array, which has room for all elements; chunks are disjoint.
        self.chunks(x.size(), COPIED.next_multiple_of(walk.grain().min(COPIED)), &|from, end| unsafe {
            walk.copy(from, end - from, to.ptr().wrapping_add(from * size))
        });
        out
    }
    /// Runs `f(start, end)` over `0..n` in chunks of `chunk`.
    pub fn chunks(&self, n: usize, chunk: usize, f: &(dyn Fn(usize, usize) + Sync)) {
        let chunk = chunk.max(1);
        self.pool.run(n.div_ceil(chunk), &|i| f(i * chunk, ((i + 1) * chunk).min(n)));
    }
}

/// A pointer that chunks may share, because they write disjoint ranges of it.
#[derive(Clone, Copy)]
pub struct Shared<T>(*mut T);
// SAFETY: the ranges that chunks take are disjoint (`range`'s contract), and T is plain data.
unsafe impl<T: Send> Send for Shared<T> {}
unsafe impl<T: Send> Sync for Shared<T> {}
impl<T> Shared<T> {
    pub fn new(data: &mut [T]) -> Shared<T> {
        Shared(data.as_mut_ptr())
    }
    pub fn at(start: *mut T) -> Shared<T> {
        Shared(start)
    }
    /// # Safety
    /// The range lies in the slice, and no two live ranges overlap.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn range<'a>(&self, start: usize, end: usize) -> &'a mut [T] {
        std::slice::from_raw_parts_mut(self.0.add(start), end - start)
    }
    pub fn ptr(&self) -> *mut T {
        self.0
    }
}
