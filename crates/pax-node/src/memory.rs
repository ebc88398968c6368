//! Memory whose large blocks begin at a line of the cache: vectors that lie across two lines take twice as long.
use std::alloc::{GlobalAlloc, Layout, System};

const LINE: usize = 64;
/// Blocks of so many bytes and more are aligned; it would make small ones larger.
const FROM: usize = 1 << 10;

struct Lines;

#[global_allocator]
static MEMORY: Lines = Lines;

/// The system's block that holds a large one: a line longer, as the system's own aligned blocks leave pieces between
/// them that later ones do not fit in, and the heap grows.
fn around(layout: Layout) -> Layout {
    let align = layout.align().max(align_of::<*mut u8>());
    Layout::from_size_align(layout.size() + LINE.max(layout.align()), align).unwrap_or(layout)
}

/// The first line in a block, whose address is kept in front of it.
unsafe fn within(block: *mut u8, layout: Layout) -> *mut u8 {
    if block.is_null() { return block; }
    let step = LINE.max(layout.align());
    unsafe {
        // The system's blocks are at multiples of two addresses, so one fits in front of the next line.
        let line = block.add(step - block.addr() % step);
        line.cast::<*mut u8>().sub(1).write(block);
        line
    }
}

// SAFETY: the system's allocator, which gets the same layout for a block whenever it is named.
unsafe impl GlobalAlloc for Lines {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { if layout.size() < FROM { System.alloc(layout) } else { within(System.alloc(around(layout)), layout) } }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { if layout.size() < FROM { System.alloc_zeroed(layout) } else { within(System.alloc_zeroed(around(layout)), layout) } }
    }
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
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        unsafe { if layout.size() < FROM { System.dealloc(p, layout) } else { System.dealloc(p.cast::<*mut u8>().sub(1).read(), around(layout)) } }
    }
}
