//! What the pool does when its threads fail. Nothing here waits for a time: every wait is for a thread that answers.
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};
use std::sync::{mpsc, Arc, Mutex};
use std::thread::{self, ThreadId};

use pax_abi::pool::{Park, Workers};

/// Workers that spin, for as short as tests run.
struct Spin;
impl Park for Spin {
    const SPINS: u32 = 0;
    fn park(&self, _: &AtomicU32, _: u32) {
        thread::yield_now()
    }
    fn wake(&self, _: &AtomicU32) {}
}

#[allow(clippy::disallowed_methods)] // what a host does: its threads are the pool's
fn workers(threads: usize) -> Arc<Workers<Spin>> {
    let all = Workers::new(threads, Spin);
    for me in 1..threads {
        let w = all.clone();
        thread::spawn(move || w.live(me));
    }
    all
}

fn message(e: Box<dyn std::any::Any + Send>) -> String {
    e.downcast_ref::<String>().cloned().or_else(|| e.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or_default()
}

/// Two chunks of which each waits for the other, so that each has a thread of its own; `f` is told whether it is the caller's.
fn both(pool: &Workers<Spin>, f: impl Fn(bool) + Sync) {
    let (arrived, caller): (AtomicUsize, ThreadId) = (AtomicUsize::new(0), thread::current().id());
    pool.run(2, &|_| {
        arrived.fetch_add(1, SeqCst);
        while arrived.load(SeqCst) < 2 {
            thread::yield_now();
        }
        f(thread::current().id() == caller);
    });
}

#[test]
fn every_chunk_runs_once() {
    let pool = workers(3);
    for chunks in [0, 1, 2, 3, 7, 100, 1000] {
        let counts: Vec<AtomicUsize> = (0..chunks).map(|_| AtomicUsize::new(0)).collect();
        pool.run(chunks, &|i| {
            counts[i].fetch_add(1, SeqCst);
        });
        assert!(counts.iter().all(|c| c.load(SeqCst) == 1), "{chunks}");
    }
}

#[test]
fn a_panic_in_a_worker_is_the_callers_and_the_pool_goes_on() {
    let pool = workers(2);
    let error = catch_unwind(AssertUnwindSafe(|| both(&pool, |caller| assert!(caller, "only in the worker")))).unwrap_err();
    assert_eq!(message(error), "a chunk of a parallel kernel panicked");
    both(&pool, |_| {});
}

#[test]
fn a_thread_that_ends_in_its_chunk_is_not_waited_for() {
    let pool = workers(2);
    let (never, stuck) = mpsc::channel::<()>();
    let stuck = Mutex::new(stuck);
    let error = catch_unwind(AssertUnwindSafe(|| {
        both(&pool, |caller| {
            if !caller {
                // What a host does whose thread trapped; then the thread is gone.
                pool.lost().store(true, Release);
                let _ = stuck.lock().map(|s| s.recv());
            }
        })
    }))
    .unwrap_err();
    assert_eq!(message(error), "a thread of the pool ended while it worked");
    drop(never);
}
