//! What is alive in an engine, and the memory of what is not, kept for what comes next.
use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::dtype::Element;
use crate::storage::Storage;
use crate::{Code, Error, Result};

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

/// Bytes of an element, and how many elements.
pub(crate) type Key = (usize, usize);

/// Storage of dead buffers: a step makes the same shapes again, and fresh memory costs page faults.
#[derive(Default, Debug)]
struct Spare {
    shelves: HashMap<Key, Shelf>,
    bytes: usize,
    steady: bool,
    clock: u64,
}
/// Storage of one key; `used`: when it last came or went.
#[derive(Default, Debug)]
struct Shelf {
    storage: Vec<Storage>,
    used: u64,
}

impl Spare {
    fn take(&mut self, key: Key) -> Option<Storage> {
        self.clock += 1;
        let shelf = self.shelves.get_mut(&key)?;
        shelf.used = self.clock;
        let found = shelf.storage.pop()?;
        if shelf.storage.is_empty() {
            self.shelves.remove(&key);
        }
        self.bytes -= key.0 * key.1;
        Some(found)
    }

    /// Keeps it, if what is kept stays below `most` bytes; what was used the longest time ago makes room, if that is `idle` uses of others,
    /// so that shapes that are made no more do not stay for good.
    fn keep(&mut self, storage: Storage, key: Key, most: usize, idle: u64) {
        let bytes = key.0 * key.1;
        self.clock += 1;
        let now = self.clock;
        while self.bytes + bytes > most {
            let Some((&other, shelf)) =
                self.shelves.iter_mut().filter(|(k, s)| **k != key && now - s.used >= idle).min_by_key(|(_, s)| s.used)
            else {
                return;
            };
            shelf.storage.pop();
            if shelf.storage.is_empty() {
                self.shelves.remove(&other);
            }
            self.bytes -= other.0 * other.1;
        }
        self.bytes += bytes;
        let shelf = self.shelves.entry(key).or_default();
        shelf.used = self.clock;
        shelf.storage.push(storage);
    }
}

/// Buffers from this size on are kept, up to so many bytes in all: many of those that a compiled step frees, which come in
/// the same order each time, fewer of those that the collector frees in bursts.
const KEEP_FROM: usize = 1 << 12;
const KEEP_STEADY: usize = 64 << 20;
const KEEP_BURST: usize = 24 << 20;
/// Of large ones more are kept: their pages cost more than what is computed in them.
const LARGE: usize = 1 << 21;
const KEEP_LARGE: usize = 56 << 20;
/// A step takes and gives back fewer buffers: what is not used for as long is of another program.
const IDLE: u64 = 1 << 13;
/// Floats of a plan that are tried before they are taken.
const TRIED: usize = 1 << 24;

impl Meter {
    /// Memory for `n` elements, whose values are of no meaning.
    pub fn take<T: Element>(&self, n: usize) -> Vec<T> {
        self.storage(size_of::<T>(), n).into_vec(n)
    }

    pub(crate) fn storage(&self, size: usize, n: usize) -> Storage {
        let out = self.spare(size, n);
        // A kernel that does not write all of its result shows in the tests: these are NaN, and -1.
        // SAFETY: the storage has so many bytes.
        if cfg!(debug_assertions) {
            unsafe { out.start().write_bytes(0xff, size * n) }
        }
        out
    }

    fn spare(&self, size: usize, n: usize) -> Storage {
        // An element is aligned to its size. Shapes and plans are checked where they are made; less memory would be written past its end.
        let Some(layout) = size.checked_mul(n).and_then(|bytes| Layout::from_size_align(bytes, size).ok()) else {
            panic!("{n} elements of {size} bytes are more than can be addressed")
        };
        let bytes = layout.size();
        if bytes >= KEEP_FROM {
            let found = self.spare.borrow_mut().take((size, n));
            if let Some(s) = found {
                return s;
            }
        }
        // Only small ones are cleared: the others would take as long as kernels do.
        let out = Storage::new(layout, bytes >= KEEP_FROM);
        if bytes >= LARGE {
            in_large_pages(out.start() as usize, bytes);
        }
        out
    }

    /// An error where there is no room for so many floats: what fails to allocate ends the process. Little is always there.
    pub fn room(&self, floats: usize) -> Result<()> {
        if floats < TRIED || Vec::<f32>::new().try_reserve_exact(floats).is_ok() {
            return Ok(());
        }
        Err(Error::new(Code::Memory, format!("no memory to run a compiled function: it works in {} MB", floats >> 18)))
    }

    /// Runs `f` with so many floats, which every plan uses in turn; a plan within a plan has others. Values are of no meaning.
    pub fn with_arena<R>(&self, floats: usize, f: impl FnOnce(&mut [f32]) -> R) -> Result<R> {
        if floats == 0 {
            return Ok(f(&mut []));
        }
        let mut arena = self.arenas.borrow_mut().pop().unwrap_or_default();
        if arena.len() < floats {
            drop(arena);
            self.room(floats)?;
            arena = vec![0.0; floats];
            if 4 * floats >= LARGE {
                in_large_pages(arena.as_ptr() as usize, 4 * floats);
            }
        }
        if cfg!(debug_assertions) {
            arena.fill(f32::NAN);
        }
        self.bytes.set(self.bytes.get() + 4 * floats);
        self.peak.set(self.peak.get().max(self.bytes.get()));
        let out = f(&mut arena[..floats]);
        self.bytes.set(self.bytes.get() - 4 * floats);
        self.arenas.borrow_mut().push(arena);
        Ok(out)
    }

    /// Runs what frees buffers that the next step makes again.
    pub fn steadily<R>(&self, f: impl FnOnce() -> R) -> R {
        let before = std::mem::replace(&mut self.spare.borrow_mut().steady, true);
        let out = f();
        self.spare.borrow_mut().steady = before;
        out
    }

    pub(crate) fn keep(&self, storage: Storage, key: Key) {
        let bytes = key.0 * key.1;
        if bytes < KEEP_FROM {
            return;
        }
        let mut spare = self.spare.borrow_mut();
        let (most, idle) = if spare.steady { (KEEP_STEADY, 0) } else { (if bytes >= LARGE { KEEP_LARGE } else { KEEP_BURST }, IDLE) };
        spare.keep(storage, key, most, idle);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_are_made_no_more_make_room() {
        let meter = Meter::default();
        let (old, new) = (KEEP_BURST / KEEP_FROM, 8);
        let kept = |n: usize| meter.spare.borrow().shelves.get(&(1, n)).map_or(0, |s| s.storage.len());
        for _ in 0..old {
            meter.keep(Storage::new(Layout::from_size_align(KEEP_FROM, 1).unwrap(), true), (1, KEEP_FROM));
        }
        assert_eq!(kept(KEEP_FROM), old);
        // Those in use stay; it takes many uses of others until they do not count as such.
        for i in 0..IDLE {
            let size = new * KEEP_FROM;
            let s = meter.spare(1, size);
            meter.keep(s, (1, size));
            if i == 0 {
                assert_eq!((kept(KEEP_FROM), kept(size)), (old, 0));
            }
        }
        assert_eq!((kept(KEEP_FROM), kept(new * KEEP_FROM)), (old - new, 1));
        // A compiled step's own come at once.
        meter.steadily(|| {
            for _ in 0..2 {
                meter.keep(Storage::new(Layout::from_size_align(KEEP_STEADY - KEEP_FROM, 1).unwrap(), true), (1, KEEP_STEADY - KEEP_FROM));
            }
        });
        assert_eq!(kept(KEEP_STEADY - KEEP_FROM), 1);
        assert!(meter.spare.borrow().bytes <= KEEP_STEADY);
    }
}
