//! Memory of elements, without their type: what handles it is compiled once.
use std::alloc::{alloc, alloc_zeroed, dealloc, handle_alloc_error, Layout};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use crate::dtype::Element;

/// Memory that is freed when it is dropped.
#[derive(Debug)]
pub struct Storage {
    start: NonNull<u8>,
    layout: Layout,
}

impl Storage {
    /// Zeros, or, of `fresh` memory, whatever lies there.
    pub fn new(layout: Layout, fresh: bool) -> Storage {
        if layout.size() == 0 {
            return Storage::none(layout.align());
        }
        // SAFETY: the layout has a size.
        let start = unsafe {
            if fresh {
                alloc(layout)
            } else {
                alloc_zeroed(layout)
            }
        };
        Storage { start: NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout)), layout }
    }

    /// No memory, at an address that is aligned.
    fn none(align: usize) -> Storage {
        let layout = Layout::from_size_align(0, align).unwrap_or(Layout::new::<()>());
        Storage { start: NonNull::new(std::ptr::without_provenance_mut(layout.align())).unwrap_or(NonNull::dangling()), layout }
    }

    pub fn of<T: Element>(v: Vec<T>) -> Storage {
        if v.capacity() == 0 {
            return Storage::none(align_of::<T>());
        }
        let mut v = ManuallyDrop::new(v);
        // SAFETY: a vector's memory has the layout of an array of its capacity, at an address that is not null.
        unsafe {
            Storage { start: NonNull::new_unchecked(v.as_mut_ptr().cast()), layout: Layout::array::<T>(v.capacity()).unwrap_unchecked() }
        }
    }

    /// The first `n` elements as a vector. The storage was made for elements of this size, and has as many.
    pub fn into_vec<T: Element>(self, n: usize) -> Vec<T> {
        // It has: the storage for a vector is asked for by its element and length.
        assert!(
            self.layout.align() == align_of::<T>()
                && self.layout.size().is_multiple_of(size_of::<T>())
                && n * size_of::<T>() <= self.layout.size()
        );
        if self.layout.size() == 0 {
            return Vec::new();
        }
        let s = ManuallyDrop::new(self);
        // SAFETY: the layout is that of an array of so many elements; any bits are a number.
        unsafe { Vec::from_raw_parts(s.start.as_ptr().cast(), n, s.layout.size() / size_of::<T>()) }
    }

    pub fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Default for Storage {
    fn default() -> Storage {
        Storage::none(1)
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // SAFETY: the memory came from the allocator with this layout.
        if self.layout.size() > 0 {
            unsafe { dealloc(self.start.as_ptr(), self.layout) }
        }
    }
}
