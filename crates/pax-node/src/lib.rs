//! The verbs over plain Node-API. Each export catches unwinding, keeps its error for `lastError`, and answers a number:
//! 0 or more is the result, −1 an error. Tensors travel as handles through the scratch.
mod memory;
mod pool;
mod value;

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::rc::Rc;

use napi_sys as sys;
use pax_abi::session::Made;
use pax_abi::{manifest, FreeList, Session};
use pax_core::{Code, Error, Result};
use value::{bytes, float64, number, string, Args};

/// Finalizers run inside the collection only for modules that report the experimental version of Node-API;
/// `PAX_FINALIZERS=ordinary` asks for the ordinary ones, for runtimes that refuse it.
#[no_mangle]
pub extern "C" fn node_api_module_get_api_version_v1() -> i32 {
    if std::env::var_os("PAX_FINALIZERS").is_some_and(|v| v == "ordinary") {
        8
    } else {
        i32::MAX
    }
}

/// One JavaScript thread's session and the array that its numbers travel through.
struct Instance {
    session: Session,
    scratch: *mut f64,
    length: usize,
    /// Keeps the scratch's array alive.
    reference: sys::napi_ref,
    /// A function that asks for a collection of young objects, where the runtime has one.
    collect: sys::napi_ref,
    /// Bytes that objects got since it was called, less those that were given back.
    young: i64,
}

/// A handle travels as the pointer of its finalizer.
const _: () = assert!(std::mem::size_of::<usize>() == 8, "handles take 64 bits");

/// Runs inside the collection: all it does is to put the handle on the list. The next verb frees it, and tells the collector.
unsafe extern "C" fn finalize(_: sys::napi_env, handle: *mut c_void, dead: *mut c_void) {
    // SAFETY: `track` gave a count of the list away, and the collector gives it back once.
    let dead: FreeList = unsafe { Rc::from_raw(dead.cast()) };
    dead.borrow_mut().push(handle as usize as u64);
}

/// Tells the collector that so many more bytes are kept by objects.
fn tell(env: sys::napi_env, bytes: i64) {
    let mut total = 0;
    // SAFETY: `env` is the calling environment.
    if bytes != 0 {
        unsafe { sys::napi_adjust_external_memory(env, bytes, &mut total) };
    }
}

/// V8 collects when it has heard of some 64 MB of foreign memory. It hears more of ours than there is, so that it collects
/// after 8 MB of dropped tensors, or, where steps work with more, after as much as is there, at most 32 MB: a training loop
/// stays as flat as it is large, and does not wait for the collector all the time.
fn pressure(alive: usize) -> usize {
    ((64 << 20) / alive.max(1)).clamp(2, 8)
}

/// Bytes after which young objects are collected: that costs some tenths of a millisecond, where marking all objects takes as
/// long as several steps.
const YOUNG: i64 = 16 << 20;

/// Ties handles to the objects that JavaScript made for them; gives the bytes that these keep.
fn track(env: sys::napi_env, cell: &RefCell<Instance>, made: &Made, targets: &[sys::napi_value]) -> Result<i64> {
    let (dead, alive, young) = {
        let i = cell.try_borrow().map_err(|_| Error::internal("the engine was entered twice"))?;
        (i.session.dead.clone(), i.session.cx.meter.bytes.get(), !i.collect.is_null())
    };
    let mut sum = 0;
    for (&(handle, bytes), &target) in made.iter().zip(targets) {
        let list = Rc::into_raw(dead.clone());
        // SAFETY: the list lives until `finalize` has run for the last object.
        if unsafe {
            sys::napi_add_finalizer(env, target, handle as usize as *mut c_void, Some(finalize), list.cast_mut().cast(), ptr::null_mut())
        } != sys::Status::napi_ok
        {
            drop(unsafe { Rc::from_raw(list) });
            return Err(Error::internal("what a verb should track is no object"));
        }
        let told = (bytes * if young { 1 } else { pressure(alive) }) as i64;
        cell.try_borrow_mut().map_err(|_| Error::internal("the engine was entered twice"))?.session.handles.tie(handle, told);
        sum += told;
    }
    Ok(sum)
}

/// Tells the collector of `made` bytes more, less those that it `swept` and that the verb itself gave `back`, and asks for a collection of
/// young objects when enough was made: what is given back, as a donated model, leaves nothing to collect.
fn account(env: sys::napi_env, cell: &RefCell<Instance>, made: i64, swept: i64, back: i64) {
    tell(env, made - swept - back);
    let Ok(mut i) = cell.try_borrow_mut() else { return };
    if i.collect.is_null() {
        return;
    }
    i.young = (i.young + made - back).max(0);
    if i.young < YOUNG {
        return;
    }
    i.young = 0;
    let reference = i.collect;
    drop(i);
    let (mut f, mut this, mut out) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: the reference is of a function without arguments.
    unsafe {
        sys::napi_get_reference_value(env, reference, &mut f);
        sys::napi_get_undefined(env, &mut this);
        sys::napi_call_function(env, this, f, 0, ptr::null(), &mut out);
    }
}

fn instance<'a>(env: sys::napi_env) -> Result<&'a RefCell<Instance>> {
    let mut data = ptr::null_mut();
    // SAFETY: `napi_register_module_v1` set it; it lives as long as the environment.
    unsafe {
        sys::napi_get_instance_data(env, &mut data);
        data.cast::<RefCell<Instance>>().as_ref().ok_or_else(|| Error::internal("the engine's instance is gone"))
    }
}

type Verb = fn(sys::napi_env, &Args, &mut Session, &mut [f64]) -> Result<Answer>;

/// What a verb answers.
enum Answer {
    Number(f64),
    Made(Made),
    Value(sys::napi_value),
}

/// Runs a verb: errors and panics become −1.
fn call(env: sys::napi_env, info: sys::napi_callback_info, verb: Verb) -> sys::napi_value {
    let answer = catch_unwind(AssertUnwindSafe(|| -> Result<Answer> {
        let args = Args::of(env, info);
        let cell = instance(env)?;
        let (answer, swept, back) = {
            let mut i = cell.try_borrow_mut().map_err(|_| Error::internal("the engine was entered twice"))?;
            i.session.sweep();
            let swept = i.session.handles.owed();
            // SAFETY: `init` gave a Float64Array's memory of this length and holds a reference to it.
            let scratch: &mut [f64] =
                if i.scratch.is_null() { &mut [] } else { unsafe { std::slice::from_raw_parts_mut(i.scratch, i.length) } };
            let answer = verb(env, &args, &mut i.session, scratch)?;
            (answer, swept, i.session.handles.relieved() - swept)
        };
        // Tracking may run the collector, and with it finalizers: the session is not borrowed here.
        let Answer::Made(made) = &answer else {
            account(env, cell, 0, swept, back);
            return Ok(answer);
        };
        let kept = track(env, cell, made, &args.objects(env, made.len()));
        let told = *kept.as_ref().unwrap_or(&0);
        account(env, cell, told, swept, back);
        kept.map(|_| Answer::Number(made.len() as f64))
    }));
    let answer = answer.unwrap_or_else(|p| {
        let text = p.downcast_ref::<String>().cloned().or_else(|| p.downcast_ref::<&str>().map(|s| s.to_string()));
        Err(Error::internal(format!("the engine panicked: {}", text.unwrap_or_else(|| "no message".into()))))
    });
    match answer {
        Ok(Answer::Number(x)) => number(env, x),
        Ok(Answer::Value(v)) => v,
        Ok(Answer::Made(_)) => number(env, 0.0),
        Err(e) => {
            if let Ok(cell) = instance(env) {
                if let Ok(mut i) = cell.try_borrow_mut() {
                    i.session.error = Some(e);
                }
            }
            number(env, -1.0)
        }
    }
}

macro_rules! verbs {
    ($($name:literal => $verb:expr),* $(,)?) => {
        &[$(($name, {
            unsafe extern "C" fn raw(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value { call(env, info, $verb) }
            raw as unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value
        })),*]
    };
}

type Raw = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// The waist. The last arguments of a verb that makes tensors are the objects to track, or an array of them.
const VERBS: &[(&str, Raw)] = verbs! {
    "make" => |env, a, s, scratch| s.make(bytes(env, a.get(0))?, scratch).map(Answer::Made),
    "read" => |env, a, s, _| { let data = s.read(a.handle(env, 0)?)?; value::buffer(env, &data).map(Answer::Value) },
    "item" => |env, a, s, scratch| s.item(a.handle(env, 0)?, scratch).map(|_| Answer::Number(0.0)),
    "bind" => |env, a, s, scratch| s.bind(a.number(env, 0)? as usize, scratch).map(Answer::Made),
    "track" => |env, a, s, _| { let h = a.handle(env, 0)?; s.handles.get(h)?; Ok(Answer::Made(vec![(h, a.number(env, 1)? as usize)])) },
    "free" => |_, _, s, scratch| s.free(scratch).map(|_| Answer::Number(0.0)),
    "beginDiff" => |_, _, s, scratch| s.begin_diff(scratch).map(|m| Answer::Number(m.len() as f64)),
    "beginAbstract" => |_, _, s, scratch| s.begin_abstract(scratch).map(|m| Answer::Number(m.len() as f64)),
    "endDiff" => |_, _, s, scratch| s.end_diff(scratch).map(|h| Answer::Number(h as f64)),
    "endAbstract" => |_, _, s, scratch| s.end_abstract(scratch).map(|h| Answer::Number(h as f64)),
    "cancel" => |env, a, s, _| { s.cancel(a.number(env, 0)? as usize); Ok(Answer::Number(0.0)) },
    "pull" => |env, a, s, scratch| s.pull(a.handle(env, 0)?, a.number(env, 1)? != 0.0, scratch).map(Answer::Made),
    "push" => |env, a, s, scratch| s.push(a.handle(env, 0)?, scratch).map(Answer::Made),
    "run" => |env, a, s, scratch| s.run(a.handle(env, 0)?, scratch).map(Answer::Made),
    "batch" => |env, a, s, scratch| s.batch(a.handle(env, 0)?, a.number(env, 1)? as usize, scratch).map(Answer::Made),
    "customVjp" => |_, _, s, scratch| s.custom_vjp(scratch).map(|h| Answer::Number(h as f64)),
    "programText" => |env, a, s, _| s.program_text(a.handle(env, 0)?).map(|t| Answer::Value(string(env, &t))),
    "planText" => |env, a, s, _| s.plan_text(a.handle(env, 0)?).map(|t| Answer::Value(string(env, &t))),
    "stats" => |_, _, s, scratch| s.stats(scratch).map(|_| Answer::Number(0.0)),
    "manifest" => |env, _, _, _| Ok(Answer::Value(string(env, &manifest::manifest()))),
    "manifestHash" => |_, _, _, _| Ok(Answer::Number(f64::from(manifest::hash()))),
    "threads" => |env, a, s, _| { s.cx.set_pool(pool::of(a.number(env, 0)? as usize)); Ok(Answer::Number(0.0)) },
    "echo" => |env, a, s, scratch| s.echo(a.number(env, 0)? as usize, scratch).map(|n| Answer::Number(n as f64)),
    "panicForTest" => |_, _, _, _| panic!("a panic on purpose"),
};

/// Code, row and sentence of the last error, by lines.
unsafe extern "C" fn last_error(env: sys::napi_env, _: sys::napi_callback_info) -> sys::napi_value {
    let error = instance(env)
        .ok()
        .and_then(|c| c.try_borrow_mut().ok().and_then(|mut i| i.session.error.take()))
        .unwrap_or_else(|| Error::new(Code::Internal, "no error was kept"));
    string(env, &format!("{}\n{}\n{}", error.code.name(), error.op.unwrap_or(""), error.message))
}

/// Takes the scratch: a Float64Array that stays the facade's.
unsafe extern "C" fn init(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let args = Args::of(env, info);
    if let (Ok((data, length)), Ok(cell)) = (float64(env, args.get(0)), instance(env)) {
        if let Ok(mut i) = cell.try_borrow_mut() {
            if !i.reference.is_null() {
                sys::napi_delete_reference(env, i.reference);
            }
            sys::napi_create_reference(env, args.get(0), 1, &mut i.reference);
            (i.scratch, i.length) = (data, length);
            if i.collect.is_null() && args.is_function(env, 1) {
                sys::napi_create_reference(env, args.get(1), 1, &mut i.collect);
            }
            return number(env, 0.0);
        }
    }
    number(env, -1.0)
}

unsafe extern "C" fn drop_instance(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    drop(Box::from_raw(data.cast::<RefCell<Instance>>()));
}

/// # Safety
/// Called by Node once for each environment (the main thread, each worker).
#[no_mangle]
pub unsafe extern "C" fn napi_register_module_v1(env: sys::napi_env, exports: sys::napi_value) -> sys::napi_value {
    // napi-sys looks its functions up in the process, once.
    drop(sys::setup());
    let instance = Instance {
        session: Session::new(pool::of(0)),
        scratch: ptr::null_mut(),
        length: 0,
        reference: ptr::null_mut(),
        collect: ptr::null_mut(),
        young: 0,
    };
    let data = Box::into_raw(Box::new(RefCell::new(instance)));
    sys::napi_set_instance_data(env, data.cast(), Some(drop_instance), ptr::null_mut());
    for (name, f) in VERBS.iter().chain(&[("lastError", last_error as Raw), ("init", init as Raw)]) {
        let mut value = ptr::null_mut();
        sys::napi_create_function(env, name.as_ptr().cast::<c_char>(), name.len() as isize, Some(*f), ptr::null_mut(), &mut value);
        let mut key = ptr::null_mut();
        sys::napi_create_string_utf8(env, name.as_ptr().cast::<c_char>(), name.len() as isize, &mut key);
        sys::napi_set_property(env, exports, key, value);
    }
    exports
}
