//! The verbs as plain exports, for a host that has numbers and this instance's memory: no glue is generated for them.
//! Each answers a number: 0 or more is the result, −1 an error, kept for `lastError`. Bytes and strings are answered by
//! their length, and lie at `output`. A panic traps; what it said lies at `panicText`.
#![cfg(target_family = "wasm")]
#![cfg_attr(target_feature = "atomics", feature(stdarch_wasm_atomic_wait))]
mod threads;

use std::cell::RefCell;

use pax_abi::{manifest, Handle, Session};
use pax_core::{Code, Error, Result};

/// The session, and what it exchanges with the host.
struct Instance {
    session: Session,
    scratch: Vec<f64>,
    /// New handles and the bytes that they keep, by pairs: for the host's finalizers.
    made: Vec<f64>,
    input: Vec<u8>,
    output: Vec<u8>,
}

thread_local! {
    static INSTANCE: RefCell<Instance> = RefCell::new(Instance { session: Session::new(threads::pool(0)), scratch: Vec::new(), made: Vec::new(), input: Vec::new(), output: Vec::new() });
}

/// What a verb answers.
enum Answer {
    Number(f64),
    Made(Vec<(Handle, usize)>),
    Bytes(Vec<u8>),
}

fn text(s: String) -> Answer {
    Answer::Bytes(s.into_bytes())
}
const DONE: Answer = Answer::Number(0.0);

fn call(verb: impl FnOnce(&mut Session, &mut [f64], Vec<u8>) -> Result<Answer>) -> f64 {
    INSTANCE.with(|cell| {
        let Ok(mut borrowed) = cell.try_borrow_mut() else { return -1.0 };
        let i = &mut *borrowed;
        i.session.sweep();
        let input = std::mem::take(&mut i.input);
        match verb(&mut i.session, &mut i.scratch, input) {
            Ok(Answer::Number(x)) => x,
            Ok(Answer::Made(made)) => {
                i.made.clear();
                i.made.extend(made.iter().flat_map(|&(handle, bytes)| [handle as f64, bytes as f64]));
                made.len() as f64
            }
            Ok(Answer::Bytes(bytes)) => {
                i.output = bytes;
                i.output.len() as f64
            }
            Err(e) => {
                i.session.error = Some(e);
                -1.0
            }
        }
    })
}

fn with<R>(f: impl FnOnce(&mut Instance) -> R) -> R {
    INSTANCE.with(|cell| f(&mut cell.borrow_mut()))
}

macro_rules! verbs {
    ($($name:literal $f:ident($($arg:ident),*) $verb:expr;)*) => { $(
        #[export_name = $name]
        extern "C" fn $f($($arg: f64),*) -> f64 { call($verb) }
    )* };
}

verbs! {
    "make" make() |s, scratch, input| s.make(&input, scratch).map(Answer::Made);
    "read" read(handle) |s, _, _| s.read(handle as Handle).map(Answer::Bytes);
    "item" item(handle) |s, scratch, _| s.item(handle as Handle, scratch).map(|()| DONE);
    "bind" bind(row) |s, scratch, _| s.bind(row as usize, scratch).map(Answer::Made);
    "track" track(handle, bytes) |s, _, _| { s.handles.get(handle as Handle)?; Ok(Answer::Made(vec![(handle as Handle, bytes as usize)])) };
    "free" free() |s, scratch, _| s.free(scratch).map(|()| DONE);
    "beginDiff" begin_diff() |s, scratch, _| s.begin_diff(scratch).map(|m| Answer::Number(m.len() as f64));
    "beginAbstract" begin_abstract() |s, scratch, _| s.begin_abstract(scratch).map(|m| Answer::Number(m.len() as f64));
    "endDiff" end_diff() |s, scratch, _| s.end_diff(scratch).map(|h| Answer::Number(h as f64));
    "endAbstract" end_abstract() |s, scratch, _| s.end_abstract(scratch).map(|h| Answer::Number(h as f64));
    "cancel" cancel(depth) |s, _, _| { s.cancel(depth as usize); Ok(DONE) };
    "pull" pull(tape, consume) |s, scratch, _| s.pull(tape as Handle, consume != 0.0, scratch).map(Answer::Made);
    "push" push(tape) |s, scratch, _| s.push(tape as Handle, scratch).map(Answer::Made);
    "run" run(program) |s, scratch, _| s.run(program as Handle, scratch).map(Answer::Made);
    "batch" batch(program, size) |s, scratch, _| s.batch(program as Handle, size as usize, scratch).map(Answer::Made);
    "customVjp" custom_vjp() |s, scratch, _| s.custom_vjp(scratch).map(|h| Answer::Number(h as f64));
    "programText" program_text(program) |s, _, _| s.program_text(program as Handle).map(text);
    "planText" plan_text(program) |s, _, _| s.plan_text(program as Handle).map(text);
    "stats" stats() |s, scratch, _| s.stats(scratch).map(|()| DONE);
    "manifest" manifest_text() |_, _, _| Ok(text(manifest::manifest()));
    "manifestHash" manifest_hash() |_, _, _| Ok(Answer::Number(f64::from(manifest::hash())));
    "threads" set_threads(count) |s, _, _| { s.cx.set_pool(threads::pool(count as usize)); Ok(DONE) };
    "echo" echo(row) |s, scratch, _| s.echo(row as usize, scratch).map(|n| Answer::Number(n as f64));
    "panicForTest" panic_for_test() |_, _, _| panic!("a panic on purpose");
}

/// Code, row and sentence of the last error, by lines, at `output`: answers the length.
#[export_name = "lastError"]
extern "C" fn last_error() -> f64 {
    with(|i| {
        let e = i.session.error.take().unwrap_or_else(|| Error::new(Code::Internal, "no error was kept"));
        i.output = format!("{}\n{}\n{}", e.code.name(), e.op.unwrap_or(""), e.message).into_bytes();
        i.output.len() as f64
    })
}

/// Begins: handles of this instance are none of those of the `restarts` before it.
#[export_name = "begin"]
extern "C" fn begin(restarts: f64) {
    std::panic::set_hook(Box::new(|info| threads::say(info.payload_as_str().unwrap_or("no message").to_owned())));
    with(|i| i.session.handles.begin_after(restarts as u32));
}

/// Room for `n` numbers in the scratch, whose contents stay: answers where it lies.
#[export_name = "room"]
extern "C" fn room(n: usize) -> *mut f64 {
    with(|i| {
        if i.scratch.len() < n {
            i.scratch.resize(n, 0.0);
        }
        i.scratch.as_mut_ptr()
    })
}

/// Room for the bytes that the next `make` takes; null if there is none.
#[export_name = "input"]
extern "C" fn input(bytes: usize) -> *mut u8 {
    with(|i| {
        i.input = Vec::new();
        if i.input.try_reserve_exact(bytes).is_err() {
            return std::ptr::null_mut();
        }
        i.input.resize(bytes, 0);
        i.input.as_mut_ptr()
    })
}

#[export_name = "output"]
extern "C" fn output() -> *const u8 {
    with(|i| i.output.as_ptr())
}
#[export_name = "made"]
extern "C" fn made() -> *const f64 {
    with(|i| i.made.as_ptr())
}

/// An object of this handle is dead: the next verb frees it.
#[export_name = "dead"]
extern "C" fn dead(handle: f64) {
    with(|i| i.session.dead.borrow_mut().push(handle as Handle))
}
