//! JavaScript values as Rust ones, and back.
use std::ffi::{c_char, c_void};
use std::ptr;

use napi_sys as sys;
use pax_abi::Handle;
use pax_core::{Error, Result};

/// A call's arguments.
pub struct Args {
    few: [sys::napi_value; 8],
    many: Vec<sys::napi_value>,
    count: usize,
}

impl Args {
    pub fn of(env: sys::napi_env, info: sys::napi_callback_info) -> Args {
        let (mut few, mut many, mut count) = ([ptr::null_mut(); 8], Vec::new(), 8);
        // SAFETY: the arrays have room for `count` values; the call answers how many there are.
        unsafe { sys::napi_get_cb_info(env, info, &mut count, few.as_mut_ptr(), ptr::null_mut(), ptr::null_mut()) };
        if count > few.len() {
            many.resize(count, ptr::null_mut());
            // SAFETY: as above.
            unsafe { sys::napi_get_cb_info(env, info, &mut count, many.as_mut_ptr(), ptr::null_mut(), ptr::null_mut()) };
        }
        Args { few, many, count }
    }
    pub fn get(&self, i: usize) -> sys::napi_value {
        self.few[i]
    }
    pub fn number(&self, env: sys::napi_env, i: usize) -> Result<f64> {
        let mut x = 0.0;
        // SAFETY: a null value gives an error status.
        if unsafe { sys::napi_get_value_double(env, self.get(i), &mut x) } != sys::Status::napi_ok {
            return Err(Error::internal(format!("argument {i} of a verb is no number")));
        }
        Ok(x)
    }
    pub fn is_function(&self, env: sys::napi_env, i: usize) -> bool {
        let mut kind = 0;
        // SAFETY: a null value gives an error status.
        unsafe { sys::napi_typeof(env, self.get(i), &mut kind) == sys::Status::napi_ok && kind == sys::ValueType::napi_function }
    }
    pub fn handle(&self, env: sys::napi_env, i: usize) -> Result<Handle> {
        Ok(self.number(env, i)? as Handle)
    }
    /// At most `n` objects to track: the elements of the last argument if it is an array, else the last arguments if they are objects.
    pub fn objects(&self, env: sys::napi_env, n: usize) -> Vec<sys::napi_value> {
        let all = if self.many.is_empty() { &self.few[..self.count] } else { &self.many[..] };
        let Some(&last) = all.last() else { return Vec::new() };
        let (mut kind, mut array) = (0, false);
        // SAFETY: `last` is a live value of this call.
        unsafe {
            sys::napi_typeof(env, last, &mut kind);
            sys::napi_is_array(env, last, &mut array);
        }
        if array {
            let mut length = 0;
            // SAFETY: as above; elements exist below the length.
            unsafe { sys::napi_get_array_length(env, last, &mut length) };
            return (0..length)
                .map(|i| {
                    let mut v = ptr::null_mut();
                    unsafe { sys::napi_get_element(env, last, i, &mut v) };
                    v
                })
                .collect();
        }
        if kind == sys::ValueType::napi_object {
            all[all.len().saturating_sub(n)..].to_vec()
        } else {
            Vec::new()
        }
    }
}

pub fn number(env: sys::napi_env, x: f64) -> sys::napi_value {
    let mut v = ptr::null_mut();
    // SAFETY: `env` is the calling environment.
    unsafe { sys::napi_create_double(env, x, &mut v) };
    v
}

pub fn string(env: sys::napi_env, s: &str) -> sys::napi_value {
    let mut v = ptr::null_mut();
    // SAFETY: pointer and length of a live string.
    unsafe { sys::napi_create_string_utf8(env, s.as_ptr().cast::<c_char>(), s.len() as isize, &mut v) };
    v
}

/// A fresh ArrayBuffer with these bytes.
pub fn buffer(env: sys::napi_env, data: &[u8]) -> Result<sys::napi_value> {
    let (mut v, mut to) = (ptr::null_mut(), ptr::null_mut::<c_void>());
    // SAFETY: Node-API gives memory of the length asked for.
    unsafe {
        if sys::napi_create_arraybuffer(env, data.len(), &mut to, &mut v) != sys::Status::napi_ok {
            return Err(Error::new(pax_core::Code::Memory, format!("no memory for {} bytes", data.len())));
        }
        if !data.is_empty() {
            ptr::copy_nonoverlapping(data.as_ptr(), to.cast::<u8>(), data.len());
        }
    }
    Ok(v)
}

/// The bytes behind a Uint8Array, for the length of this call.
pub fn bytes<'a>(env: sys::napi_env, v: sys::napi_value) -> Result<&'a [u8]> {
    let (data, length) = typed(env, v, sys::TypedarrayType::uint8_array)?;
    // SAFETY: Node-API gives the array's memory; nothing runs in between that could detach it.
    Ok(if length == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) } })
}

pub fn float64(env: sys::napi_env, v: sys::napi_value) -> Result<(*mut f64, usize)> {
    typed(env, v, sys::TypedarrayType::float64_array).map(|(p, n)| (p.cast::<f64>(), n))
}

fn typed(env: sys::napi_env, v: sys::napi_value, want: sys::napi_typedarray_type) -> Result<(*mut c_void, usize)> {
    let (mut kind, mut length, mut data) = (-1, 0, ptr::null_mut());
    // SAFETY: a value that is no typed array gives an error status.
    let status = unsafe { sys::napi_get_typedarray_info(env, v, &mut kind, &mut length, &mut data, ptr::null_mut(), ptr::null_mut()) };
    if status != sys::Status::napi_ok || kind != want {
        return Err(Error::internal("a verb was given another kind of array"));
    }
    Ok((data, length))
}
