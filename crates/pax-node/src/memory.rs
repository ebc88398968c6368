//! Memory whose large blocks begin at a line of the cache: vectors that lie across two lines take twice as long.
use std::alloc::{GlobalAlloc, Layout, System};

const LINE: usize = 64;
/// Blocks of so many bytes and more are aligned; it would make small ones larger.
const FROM: usize = 1 << 10;

struct Lines;

#[global_allocator]
static MEMORY: Lines = Lines;

/// What a large block is aligned to.
fn step(layout: Layout) -> usize {
    LINE.max(layout.align())
}

/// The system's block around a large one, if memory can have one: longer by a line, as the system's own aligned blocks leave pieces between
/// them that later ones do not fit in.
fn around(layout: Layout) -> Option<Layout> {
    Layout::from_size_align(layout.size().checked_add(step(layout))?, layout.align().max(align_of::<*mut u8>())).ok()
}

/// A block of what `alloc` gives: a large one begins at the first line in it, behind the address of the whole.
unsafe fn place(layout: Layout, alloc: impl FnOnce(Layout) -> *mut u8) -> *mut u8 {
    if layout.size() < FROM {
        return alloc(layout);
    }
    let block = around(layout).map_or(std::ptr::null_mut(), alloc);
    if block.is_null() {
        return block;
    }
    // SAFETY: blocks begin at multiples of an address, so one fits in front of the next line, which is at most a step away.
    unsafe {
        let line = block.add(step(layout) - block.addr() % step(layout));
        line.cast::<*mut u8>().sub(1).write(block);
        line
    }
}

// SAFETY: the system's allocator, which gets the same layout for a block whenever it is named.
unsafe impl GlobalAlloc for Lines {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { place(layout, |l| System.alloc(l)) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { place(layout, |l| System.alloc_zeroed(l)) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unsafe {
            if layout.size().max(size) < FROM {
                return System.realloc(p, layout, size);
            }
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
        if layout.size() < FROM {
            return unsafe { System.dealloc(p, layout) };
        }
        // SAFETY: the address of the block around it stands in front of a large one.
        if let Some(whole) = around(layout) {
            unsafe { System.dealloc(p.cast::<*mut u8>().sub(1).read(), whole) }
        }
    }
}
