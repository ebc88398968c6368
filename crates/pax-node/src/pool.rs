//! The process's threads.
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use pax_abi::pool::{Park, Workers};
use pax_core::exec::{Pool, Serial};

#[derive(Default)]
struct Parked {
    lock: Mutex<()>,
    wake: Condvar,
}

impl Park for Parked {
    const SPINS: u32 = 10_000;
    fn park(&self, epoch: &AtomicU32, seen: u32) {
        // A lock that a panic poisoned guards nothing.
        let guard = self.lock.lock().unwrap_or_else(|e| e.into_inner());
        drop(self.wake.wait_while(guard, |_| epoch.load(SeqCst) == seen));
    }
    fn wake(&self, _: &AtomicU32) {
        drop(self.lock.lock());
        self.wake.notify_all();
    }
}

fn start(threads: usize) -> Arc<Workers<Parked>> {
    let workers = Workers::new(threads, Parked::default());
    for me in 1..threads {
        let w = workers.clone();
        let _ = std::thread::Builder::new().name(format!("pax-{me}")).spawn(move || w.live(me));
    }
    workers
}

/// A pool of `threads` (0: `PAX_THREADS`, or the cores), shared by the process.
pub fn of(threads: usize) -> Rc<dyn Pool> {
    static POOLS: [OnceLock<Arc<Workers<Parked>>>; 65] = [const { OnceLock::new() }; 65];
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let wanted = if threads > 0 { threads } else { std::env::var("PAX_THREADS").ok().and_then(|v| v.parse().ok()).unwrap_or(cores) };
    match wanted.clamp(1, 64) {
        1 => Rc::new(Serial),
        n => POOLS[n].get_or_init(|| start(n)).pool(),
    }
}
