//! Memory whose large blocks begin at a line of the cache: vectors that lie across two lines take twice as long.
use std::alloc::{GlobalAlloc, Layout, System};

const LINE: usize = 64;
/// Blocks of so many bytes and more are aligned; it would make small ones larger.
const FROM: usize = 1 << 10;

struct Lines;

#[global_allocator]
static MEMORY: Lines = Lines;

fn aligned(layout: Layout) -> Layout {
    if layout.size() < FROM { return layout; }
    layout.align_to(LINE).unwrap_or(layout)
}

// SAFETY: the system's allocator, which gets the same layout for a block whenever it is named.
unsafe impl GlobalAlloc for Lines {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 { unsafe { System.alloc(aligned(layout)) } }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 { unsafe { System.alloc_zeroed(aligned(layout)) } }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unsafe {
            if layout.size().max(size) < FROM { return System.realloc(p, layout, size); }
            let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return std::ptr::null_mut() };
            let new = self.alloc(wanted);
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(p, new, layout.size().min(size));
                self.dealloc(p, layout);
            }
            new
        }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) { unsafe { System.dealloc(p, aligned(layout)) } }
}
