//! The pool of a process: workers that stay, spin briefly and then park. A job is chunks, numbered by the problem; each
//! participant takes its own range first and then steals, and nobody waits for a worker that has claimed nothing.
//! The host gives the threads, and says how they park.
use std::cell::UnsafeCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, TryLockError};

use pax_core::exec::Pool;

/// How a worker waits for the next job, and how those that wait are woken.
pub trait Park: Send + Sync + 'static {
    /// Looks at the epoch before a worker parks: for about half a millisecond.
    const SPINS: u32;
    /// Returns when `epoch` is no longer `seen`, or earlier.
    fn park(&self, epoch: &AtomicU32, seen: u32);
    fn wake(&self, epoch: &AtomicU32);
}

type Job = *const (dyn Fn(usize) + Sync);

pub struct Workers<P> {
    /// A participant's range: epoch above, then next and end in 20 bits each.
    tickets: Vec<AtomicU64>,
    epoch: AtomicU32,
    done: AtomicU32,
    /// A chunk panicked: the caller panics in its place.
    failed: AtomicBool,
    /// A thread ended in mid-chunk, where it cannot unwind: its chunks will never be done.
    lost: AtomicBool,
    job: UnsafeCell<Option<Job>>,
    /// One job at a time; another thread that finds it taken runs its chunks by itself.
    busy: Mutex<()>,
    sleepers: AtomicU32,
    park: P,
}
// SAFETY: `job` is written only by the holder of `busy`, before the epoch that publishes it.
unsafe impl<P: Sync> Sync for Workers<P> {}
unsafe impl<P: Send> Send for Workers<P> {}

const RANGE: u64 = (1 << 20) - 1;

impl<P: Park> Workers<P> {
    /// For `threads` participants: the callers, who are number 0, and threads that each call `live` with a number from 1.
    /// A thread that is never started is missed by nobody: its range is stolen.
    pub fn new(threads: usize, park: P) -> Arc<Workers<P>> {
        Arc::new(Workers {
            tickets: (0..threads).map(|_| AtomicU64::new(0)).collect(),
            epoch: AtomicU32::new(0),
            done: AtomicU32::new(0),
            failed: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            job: UnsafeCell::new(None),
            busy: Mutex::new(()),
            sleepers: AtomicU32::new(0),
            park,
        })
    }

    /// A worker's life: it does not return.
    pub fn live(&self, me: usize) -> ! {
        let mut seen = 0;
        loop {
            let mut spins = 0;
            let mut epoch = self.epoch.load(Acquire);
            while epoch == seen {
                spins += 1;
                if spins > P::SPINS {
                    self.sleepers.fetch_add(1, SeqCst);
                    while self.epoch.load(SeqCst) == seen {
                        self.park.park(&self.epoch, seen);
                    }
                    self.sleepers.fetch_sub(1, SeqCst);
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
                if e != epoch & 0xff_ffff || next >= end {
                    break;
                }
                match ticket.compare_exchange_weak(v, v + (1 << 20), AcqRel, Acquire) {
                    Ok(_) => {
                        // SAFETY: a chunk of this epoch was unclaimed, so its job is still waited for.
                        if let Some(job) = unsafe { *self.job.get() } {
                            let chunk = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| unsafe { (*job)(next as usize) }));
                            if chunk.is_err() {
                                self.failed.store(true, Release);
                            }
                        }
                        self.done.fetch_add(1, Release);
                        v = ticket.load(Acquire);
                    }
                    Err(x) => v = x,
                }
            }
        }
    }

    /// Runs `f` of every chunk. Panics where one of them did, or where a thread is lost.
    pub fn run(&self, chunks: usize, f: &(dyn Fn(usize) + Sync)) {
        let free = if chunks > 1 && chunks <= RANGE as usize { self.busy.try_lock() } else { Err(TryLockError::WouldBlock) };
        let _guard = match free {
            Ok(guard) => guard,
            // An earlier job panicked; all its chunks are done.
            Err(TryLockError::Poisoned(e)) => e.into_inner(),
            Err(TryLockError::WouldBlock) => return (0..chunks).for_each(f),
        };
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
            self.park.wake(&self.epoch);
        }
        self.work(0, epoch);
        let mut spins = 0u32;
        while self.done.load(Acquire) != chunks as u32 {
            spins += 1;
            assert!(!self.lost.load(Relaxed), "a thread of the pool ended while it worked");
            if spins < 4000 {
                std::hint::spin_loop()
            } else {
                std::thread::yield_now()
            }
        }
        assert!(!self.failed.swap(false, AcqRel), "a chunk of a parallel kernel panicked");
    }
}

impl<P> Workers<P> {
    /// What the host sets when one of its threads has ended for good.
    pub fn lost(&self) -> &AtomicBool {
        &self.lost
    }
}

/// A pool as the engine takes it.
pub struct Shared<P>(pub Arc<Workers<P>>);
impl<P: Park> Pool for Shared<P> {
    fn run(&self, chunks: usize, f: &(dyn Fn(usize) + Sync)) {
        self.0.run(chunks, f)
    }
}

impl<P: Park> Workers<P> {
    pub fn pool(self: &Arc<Self>) -> Rc<dyn Pool> {
        Rc::new(Shared(self.clone()))
    }
}
