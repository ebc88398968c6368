//! The process's pool: persistent workers that spin briefly and then park. A job is chunks, numbered by the problem;
//! each participant takes its own range first and then steals, and nobody waits for a worker that has claimed nothing.
use std::cell::UnsafeCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use pax_core::exec::{Pool, Serial};

type Job = *const (dyn Fn(usize) + Sync);

struct Workers {
    /// A participant's range: epoch above, then next and end in 20 bits each.
    tickets: Vec<AtomicU64>,
    epoch: AtomicU32,
    done: AtomicU32,
    /// A chunk panicked: the caller panics in its place.
    failed: AtomicBool,
    job: UnsafeCell<Option<Job>>,
    /// One job at a time; another thread that finds it taken runs its chunks by itself.
    busy: Mutex<()>,
    sleepers: AtomicU32,
    lock: Mutex<()>,
    wake: Condvar,
}
// SAFETY: `job` is written only by the holder of `busy`, before the epoch that publishes it.
unsafe impl Sync for Workers {}
unsafe impl Send for Workers {}

const RANGE: u64 = (1 << 20) - 1;
/// Pauses before a worker parks: about half a millisecond.
const SPIN: u32 = 10_000;

impl Workers {
    fn start(threads: usize) -> Arc<Workers> {
        let w = Arc::new(Workers {
            tickets: (0..threads).map(|_| AtomicU64::new(0)).collect(),
            epoch: AtomicU32::new(0), done: AtomicU32::new(0), failed: AtomicBool::new(false), job: UnsafeCell::new(None),
            busy: Mutex::new(()), sleepers: AtomicU32::new(0), lock: Mutex::new(()), wake: Condvar::new(),
        });
        for me in 1..threads {
            let w = w.clone();
            // A worker that cannot be started is missed by nobody: its range is stolen.
            let _ = std::thread::Builder::new().name(format!("pax-{me}")).spawn(move || w.live(me));
        }
        w
    }

    fn live(&self, me: usize) {
        let mut seen = 0;
        loop {
            let mut spins = 0;
            let mut epoch = self.epoch.load(Acquire);
            while epoch == seen {
                spins += 1;
                if spins > SPIN {
                    let Ok(guard) = self.lock.lock() else { return };
                    self.sleepers.fetch_add(1, SeqCst);
                    let parked = self.wake.wait_while(guard, |_| self.epoch.load(SeqCst) == seen);
                    self.sleepers.fetch_sub(1, SeqCst);
                    if parked.is_err() { return; }
                } else {
                    std::hint::spin_loop();
                }
                epoch = self.epoch.load(Acquire);
            }
            seen = epoch;
            self.work(me, epoch);
        }
    }

    fn work(&self, me: usize, epoch: u32) {
        let n = self.tickets.len();
        for d in 0..n {
            let ticket = &self.tickets[(me + d) % n];
            let mut v = ticket.load(Acquire);
            loop {
                let (e, next, end) = ((v >> 40) as u32, v >> 20 & RANGE, v & RANGE);
                if e != epoch & 0xff_ffff || next >= end { break; }
                match ticket.compare_exchange_weak(v, v + (1 << 20), AcqRel, Acquire) {
                    Ok(_) => {
                        // SAFETY: a chunk of this epoch was unclaimed, so its job is still waited for.
                        if let Some(job) = unsafe { *self.job.get() } {
                            let chunk = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| unsafe { (*job)(next as usize) }));
                            if chunk.is_err() { self.failed.store(true, Release); }
                        }
                        self.done.fetch_add(1, Release);
                        v = ticket.load(Acquire);
                    }
                    Err(x) => v = x,
                }
            }
        }
    }

    fn run(&self, chunks: usize, f: &(dyn Fn(usize) + Sync)) {
        let guard = if chunks > 1 && chunks <= RANGE as usize { self.busy.try_lock().ok() } else { None };
        let Some(_guard) = guard else { return (0..chunks).for_each(f) };
        // SAFETY: the pointer is used only while this call waits for its chunks.
        unsafe { *self.job.get() = Some(std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(f) as Job) };
        self.done.store(0, Relaxed);
        let epoch = self.epoch.load(Relaxed).wrapping_add(1);
        let t = self.tickets.len();
        for (i, ticket) in self.tickets.iter().enumerate() {
            let (from, to) = (chunks * i / t, chunks * (i + 1) / t);
            ticket.store(u64::from(epoch & 0xff_ffff) << 40 | (from as u64) << 20 | to as u64, Release);
        }
        self.epoch.store(epoch, SeqCst);
        if self.sleepers.load(SeqCst) > 0 {
            drop(self.lock.lock());
            self.wake.notify_all();
        }
        self.work(0, epoch);
        let mut spins = 0u32;
        while self.done.load(Acquire) != chunks as u32 {
            spins += 1;
            if spins < 4000 { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        assert!(!self.failed.swap(false, AcqRel), "a chunk of a parallel kernel panicked");
    }
}

struct Handle(Arc<Workers>);
impl Pool for Handle {
    fn run(&self, chunks: usize, f: &(dyn Fn(usize) + Sync)) { self.0.run(chunks, f) }
}

/// A pool of `threads` (0: `PAX_THREADS`, or the cores), shared by the process.
pub fn of(threads: usize) -> Rc<dyn Pool> {
    static POOLS: [OnceLock<Arc<Workers>>; 65] = [const { OnceLock::new() }; 65];
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let wanted = if threads > 0 { threads } else { std::env::var("PAX_THREADS").ok().and_then(|v| v.parse().ok()).unwrap_or(cores) };
    match wanted.clamp(1, 64) {
        1 => Rc::new(Serial),
        n => Rc::new(Handle(POOLS[n].get_or_init(|| Workers::start(n)).clone())),
    }
}
