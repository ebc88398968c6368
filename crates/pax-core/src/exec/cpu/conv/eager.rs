//! Convolution and its gradients in f32: direct kernels where they apply, else the patch matrix.
use super::depthwise::Depthwise;
use super::direct::Direct;
use super::Geometry;
use crate::exec::cpu::tile::Simd;
use crate::exec::{Exec, Shared};
use crate::plan::Which;
use crate::Result;

/// Numbers of partial sums that cost more than to read every image several times.
const LARGE: usize = 1 << 20;

/// Pixels that pay for a partial sum.
const PIXELS: usize = 384;

/// Images of a chunk: at most 16 chunks.
fn per_chunk(s: &Geometry) -> usize {
    s.n.div_ceil(16).max(1)
}

fn plan(s: &Geometry) -> Option<Direct> {
    if s.n == 0 {
        None
    } else {
        Direct::new(Simd::detect(), s)
    }
}

/// True if a single result channel, one element of a vector, costs more than the patch matrix.
fn thin(s: &Geometry) -> bool {
    s.o == 1 && s.c > 16
}

/// Sizes of an image and of its result.
fn sizes(s: &Geometry) -> (usize, usize) {
    (s.input[0] * s.input[1] * s.c, s.pixels() * s.o)
}

/// Memory that was only used here, for the next to take.
fn give(exec: &Exec, data: Vec<f32>) {
    let n = data.len();
    drop(exec.array(data, &[n]));
}

/// All three of a convolution of each channel by itself, if it is one. Of the kernel's gradient at most 16 partial sums, added in order.
fn depthwise(exec: &Exec, s: &Geometry, which: Which, a: &[f32], b: &[f32]) -> Option<Vec<f32>> {
    let d = Depthwise::new(Simd::detect(), s).filter(|_| s.n > 0)?;
    let ((image, result), per, kernel) = (sizes(s), per_chunk(s), s.taps() * s.o);
    let (left, right, size) = match which {
        Which::Out => (image, 0, result),
        Which::Input => (result, 0, image),
        Which::Kernel => (image, result, kernel),
    };
    assert!(a.len() == s.n * left && b.len() == if which == Which::Kernel { s.n * right } else { kernel });
    let mut out: Vec<f32> = exec.vec(size * if which == Which::Kernel { s.n.div_ceil(per) } else { s.n });
    let shared = Shared::new(&mut out);
    exec.chunks(s.n, per, &|from, to| {
        for n in from..to {
            let at = if which == Which::Kernel { from / per } else { n };
            // SAFETY: the lengths above; an image's result, or a partial sum, belongs to its chunk.
            unsafe {
                d.run(
                    which,
                    a.as_ptr().add(n * left),
                    b.as_ptr().add(n * right),
                    shared.ptr().add(at * size),
                    which == Which::Kernel && n > from,
                )
            }
        }
    });
    if which != Which::Kernel {
        return Some(out);
    }
    let sum = super::total(&mut out, size);
    give(exec, out);
    Some(sum)
}

/// `x`, `kernel` → result.
pub fn forward(exec: &Exec, s: &Geometry, x: &[f32], kernel: &[f32]) -> Result<Vec<f32>> {
    if let Some(y) = depthwise(exec, s, Which::Out, x, kernel) {
        return Ok(y);
    }
    let Some(plan) = plan(s).filter(|_| !thin(s)) else { return super::forward(exec, s, x, kernel) };
    let (image, result) = sizes(s);
    let (mut out, mut packed): (Vec<f32>, Vec<f32>) = (exec.vec(s.n * result), exec.vec(plan.packed()));
    assert!(x.len() == s.n * image && kernel.len() == s.taps() * s.c * s.o);
    // SAFETY: the lengths above.
    unsafe { plan.pack(kernel.as_ptr(), packed.as_mut_ptr()) };
    let shared = Shared::new(&mut out);
    exec.chunks(s.n, per_chunk(s), &|from, to| {
        let mut scratch: Vec<f32> = Vec::with_capacity(plan.scratch());
        // SAFETY: the lengths above; an image's result belongs to its chunk.
        for n in from..to {
            unsafe { plan.forward(x.as_ptr().add(n * image), packed.as_ptr(), shared.ptr().add(n * result), scratch.as_mut_ptr()) }
        }
    });
    give(exec, packed);
    Ok(out)
}

/// Result's cotangent, `kernel` → input's cotangent.
pub fn input_grad(exec: &Exec, s: &Geometry, dy: &[f32], kernel: &[f32]) -> Result<Vec<f32>> {
    if let Some(dx) = depthwise(exec, s, Which::Input, dy, kernel) {
        return Ok(dx);
    }
    // Zeros around the cotangent meet the kernel: they must not make NaN of its infinities.
    let Some(plan) = plan(s).filter(|_| kernel.iter().all(|v| v.is_finite())) else { return super::input_grad(exec, s, dy, kernel) };
    let (image, result) = sizes(s);
    let (mut out, mut packed): (Vec<f32>, Vec<f32>) = (exec.vec(s.n * image), exec.vec(plan.packed_back()));
    assert!(dy.len() == s.n * result && kernel.len() == s.taps() * s.c * s.o);
    // SAFETY: the lengths above.
    unsafe { plan.pack_back(kernel.as_ptr(), packed.as_mut_ptr()) };
    let shared = Shared::new(&mut out);
    exec.chunks(s.n, per_chunk(s), &|from, to| {
        let mut scratch: Vec<f32> = Vec::with_capacity(plan.scratch());
        // SAFETY: the lengths above; an image's gradient belongs to its chunk.
        for n in from..to {
            unsafe { plan.input_grad(dy.as_ptr().add(n * result), packed.as_ptr(), shared.ptr().add(n * image), scratch.as_mut_ptr()) }
        }
    });
    give(exec, packed);
    Ok(out)
}

/// `x`, result's cotangent → kernel's cotangent. At most 16 partial sums, a range of images each, added in order; a large kernel
/// in 8 ranges of rows instead, for all images each.
pub fn kernel_grad(exec: &Exec, s: &Geometry, x: &[f32], dy: &[f32]) -> Result<Vec<f32>> {
    if let Some(dk) = depthwise(exec, s, Which::Kernel, x, dy) {
        return Ok(dk);
    }
    let Some(plan) = plan(s).filter(|_| !thin(s)) else { return super::kernel_grad(exec, s, x, dy) };
    let ((image, result), size) = (sizes(s), s.taps() * s.c * s.o);
    // A partial sum takes as long as some hundred pixels: with few of these there are fewer sums.
    let per = per_chunk(s).max(s.n.div_ceil((s.n * s.pixels() / PIXELS).max(4)));
    assert!(x.len() == s.n * image && dy.len() == s.n * result);
    let parts = s.n.div_ceil(per);
    if parts * size >= LARGE {
        let (mut out, rows): (Vec<f32>, usize) = (exec.vec(size), s.taps() * s.c);
        let shared = Shared::new(&mut out);
        exec.chunks(rows, rows.div_ceil(8), &|from, to| {
            let mut scratch: Vec<f32> = Vec::with_capacity(plan.scratch());
            // SAFETY: the lengths above; rows belong to their chunk.
            for n in 0..s.n {
                unsafe {
                    plan.kernel_rows(
                        from,
                        to,
                        x.as_ptr().add(n * image),
                        dy.as_ptr().add(n * result),
                        shared.ptr(),
                        n > 0,
                        scratch.as_mut_ptr(),
                    )
                }
            }
        });
        return Ok(out);
    }
    let (mut out, mut rest): (Vec<f32>, Vec<f32>) = (exec.vec(size), exec.vec((parts - 1) * size));
    let (sum, shared) = (Shared::new(&mut out), Shared::new(&mut rest));
    exec.chunks(s.n, per, &|from, to| {
        let mut scratch: Vec<f32> = Vec::with_capacity(plan.scratch());
        // SAFETY: the lengths above; a partial sum belongs to its chunk.
        unsafe {
            let dk = if from == 0 { sum.ptr() } else { shared.ptr().add((from / per - 1) * size) };
            for n in from..to {
                plan.kernel_grad(x.as_ptr().add(n * image), dy.as_ptr().add(n * result), dk, n > from, scratch.as_mut_ptr())
            }
        }
    });
    exec.chunks(size, size.div_ceil(16).max(1 << 10), &|from, to| {
        // SAFETY: chunks are disjoint; nobody writes the partial sums any more.
        let sum = unsafe { sum.range(from, to) };
        for part in 1..parts {
            // SAFETY: as above.
            let part = unsafe { std::slice::from_raw_parts(shared.ptr().add((part - 1) * size + from), to - from) };
            for (a, &b) in sum.iter_mut().zip(part) {
                *a += b;
            }
        }
    });
    give(exec, rest);
    Ok(out)
}
