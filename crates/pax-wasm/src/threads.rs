//! Threads: workers of the host, each with an instance of its own over the same memory. Without atomics there are none.
use std::sync::Mutex;

/// What the first panic said; another thread may ask.
static SAID: Mutex<String> = Mutex::new(String::new());

pub fn say(sentence: String) {
    if let Ok(mut said) = SAID.try_lock() {
        if said.is_empty() {
            *said = sentence;
        }
    }
}

/// Where the first panic's sentence lies, and then how long it is; 0 if nothing panicked.
#[export_name = "panicText"]
extern "C" fn panic_text() -> *const u8 {
    SAID.try_lock().map_or(std::ptr::null(), |s| s.as_ptr())
}
#[export_name = "panicLength"]
extern "C" fn panic_length() -> usize {
    SAID.try_lock().map_or(0, |s| s.len())
}

#[cfg(not(target_feature = "atomics"))]
pub fn pool(_: usize) -> std::rc::Rc<dyn pax_core::exec::Pool> {
    std::rc::Rc::new(pax_core::exec::Serial)
}

#[cfg(target_feature = "atomics")]
pub use shared::pool;

#[cfg(target_feature = "atomics")]
mod shared {
    use std::rc::Rc;
    use std::sync::atomic::{AtomicBool, AtomicU32};
    use std::sync::{Arc, OnceLock};

    use pax_abi::pool::{Park, Workers};
    use pax_core::exec::{Pool, Serial};

    struct Parked;
    impl Park for Parked {
        /// A pause is no instruction here.
        const SPINS: u32 = 400_000;
        fn park(&self, epoch: &AtomicU32, seen: u32) {
            // SAFETY: an aligned word that lives as long as the pool.
            unsafe { std::arch::wasm32::memory_atomic_wait32(epoch.as_ptr().cast(), seen as i32, -1) };
        }
        fn wake(&self, epoch: &AtomicU32) {
            // SAFETY: as above.
            unsafe { std::arch::wasm32::memory_atomic_notify(epoch.as_ptr().cast(), u32::MAX) };
        }
    }

    static WORKERS: OnceLock<Arc<Workers<Parked>>> = OnceLock::new();

    /// The pool of all threads that the host gave, or of none for a count of 1.
    pub fn pool(threads: usize) -> Rc<dyn Pool> {
        WORKERS.get().filter(|_| threads != 1).map_or_else(|| Rc::new(Serial) as Rc<dyn Pool>, Workers::pool)
    }

    /// Makes the pool, once, for so many participants: the session's thread is one. Answers where a host thread that ends marks it.
    #[export_name = "startThreads"]
    extern "C" fn start_threads(count: usize) -> *const AtomicBool {
        WORKERS.get_or_init(|| Workers::new(count.clamp(2, 64), Parked)).lost()
    }

    /// A worker's life.
    #[export_name = "live"]
    extern "C" fn live(me: usize) {
        if let Some(w) = WORKERS.get() {
            w.live(me)
        }
    }

    /// Memory for a worker's stack or its thread-local values, which stays for good; null if there is none.
    #[export_name = "reserve"]
    extern "C" fn reserve(bytes: usize) -> *mut u8 {
        match std::alloc::Layout::from_size_align(bytes.max(1), 64) {
            // SAFETY: the size is not 0.
            Ok(layout) => unsafe { std::alloc::alloc_zeroed(layout) },
            Err(_) => std::ptr::null_mut(),
        }
    }
}
