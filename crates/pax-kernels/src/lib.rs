//! Kernels without allocation, on memory that others hold: what takes the time of a step. This crate is compiled for speed in every
//! build, the others for size in WebAssembly. So what is generic over element types is reached from outside by functions that are
//! not: code belongs to the crate that instantiates it.
pub mod chunk;
#[cfg(target_arch = "x86_64")]
mod code;
pub mod conv;
pub mod dtype;
pub mod fold;
mod lanes;
pub mod panel;
pub mod rows;
pub mod sort;
pub mod threefry;
pub mod tile;
pub mod tile_int;
mod tile_wide;
pub mod turn;

pub use dtype::DType;

pub type Dims = smallvec::SmallVec<[usize; 6]>;

/// The greatest common divisor; that of 0 and a number is the number.
pub fn gcd(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        gcd(b, a % b)
    }
}

/// Asks for a line to come into the second cache. Any address will do.
#[inline(always)]
pub(crate) fn ask_later<T>(p: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: it only moves a line between caches.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(p.cast())
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// Asks for `n` floats that will soon be read, or written: their lines are on their way while something else is done. Any address will do.
#[inline(always)]
pub(crate) fn ask<const WRITE: bool>(p: *const f32, n: usize) {
    #[cfg(target_arch = "x86_64")]
    for i in (0..n).step_by(16) {
        use std::arch::x86_64::*;
        let p = p.wrapping_add(i) as *const i8;
        // SAFETY: it only moves lines between caches, whatever the address.
        unsafe {
            if WRITE {
                _mm_prefetch::<_MM_HINT_ET0>(p)
            } else {
                _mm_prefetch::<_MM_HINT_T0>(p)
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (p, n);
}
