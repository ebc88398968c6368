//! Convolution and its gradients in f32: by the kernels that suit its sizes, else by the patch matrix.
use super::{Direction, Geometry, Which};
use crate::exec::cpu::tile::Simd;
use crate::exec::{Exec, Shared};
use crate::Result;

/// Pixels that pay for a partial sum.
const PIXELS: usize = 384;

/// Numbers of a kernel that one thread packs while another would wake.
const PACKED: usize = 1 << 16;

/// Images of a chunk: at most 16 chunks.
fn per_chunk(s: &Geometry) -> usize {
    s.n.div_ceil(16).max(1)
}

/// Memory that was only used here, for the next to take.
fn give(exec: &Exec, data: Vec<f32>) {
    let n = data.len();
    drop(exec.array(data, &[n]));
}

/// The direction's operands → its result; none where kernels do not apply.
fn direction(exec: &Exec, s: &Geometry, which: Which, a: &[f32], b: &[f32]) -> Option<Vec<f32>> {
    let d = Direction::new(Simd::detect(), s, which)?;
    let [left, right, size] = d.sizes();
    assert!(a.len() == s.n * left && b.len() == if which == Which::Kernel { s.n * right } else { right });
    let scratch = || Vec::<f32>::with_capacity(d.scratch());
    if which != Which::Kernel {
        let (mut out, mut packed): (Vec<f32>, Vec<f32>) = (exec.vec(s.n * size), exec.vec(d.packed().unwrap_or(0)));
        let shared = Shared::new(&mut packed);
        // SAFETY: the lengths above; panels belong to their chunk.
        exec.chunks(d.packs(), PACKED * d.packs() / right.max(1) + 1, &|from, to| unsafe { d.pack(from..to, b.as_ptr(), shared.ptr()) });
        let kernel = if d.packed().is_some() { &packed } else { b };
        let shared = Shared::new(&mut out);
        // SAFETY: the lengths above; results of images belong to their chunk.
        exec.chunks(s.n, per_chunk(s), &|from, to| unsafe {
            d.run(from..to, a.as_ptr(), kernel.as_ptr(), shared.ptr(), scratch().as_mut_ptr())
        });
        give(exec, packed);
        return Some(out);
    }
    // A partial sum takes as long as some hundred pixels: with few of these there are fewer sums.
    let per = per_chunk(s).max(s.n.div_ceil((s.n * s.pixels() / PIXELS).max(4)));
    let sums = s.n.div_ceil(per);
    let mut out: Vec<f32> = exec.vec(size);
    if d.in_parts(sums) {
        let shared = Shared::new(&mut out);
        // SAFETY: the lengths above; a part belongs to its chunk.
        exec.chunks(d.parts(), 1, &|from, to| unsafe {
            for i in from..to {
                d.part(i, s.n, a.as_ptr(), b.as_ptr(), shared.ptr(), scratch().as_mut_ptr());
            }
        });
        return Some(out);
    }
    let mut rest: Vec<f32> = exec.vec((sums - 1) * size);
    let (sum, shared) = (Shared::new(&mut out), Shared::new(&mut rest));
    // SAFETY: the lengths above; a partial sum belongs to its chunk.
    exec.chunks(s.n, per, &|from, to| unsafe {
        let dk = if from == 0 { sum.ptr() } else { shared.ptr().add((from / per - 1) * size) };
        d.run(from..to, a.as_ptr(), b.as_ptr(), dk, scratch().as_mut_ptr())
    });
    exec.chunks(size, size.div_ceil(16).max(1 << 10), &|from, to| {
        // SAFETY: chunks are disjoint; nobody writes the partial sums any more.
        let sum = unsafe { sum.range(from, to) };
        for part in 1..sums {
            // SAFETY: as above.
            let part = unsafe { std::slice::from_raw_parts(shared.ptr().add((part - 1) * size + from), to - from) };
            for (a, &b) in sum.iter_mut().zip(part) {
                *a += b;
            }
        }
    });
    give(exec, rest);
    Some(out)
}

/// `x`, `kernel` → result.
pub fn forward(exec: &Exec, s: &Geometry, x: &[f32], kernel: &[f32]) -> Result<Vec<f32>> {
    direction(exec, s, Which::Out, x, kernel).map_or_else(|| super::forward(exec, s, x, kernel), Ok)
}

/// Result's cotangent, `kernel` → input's cotangent.
pub fn input_grad(exec: &Exec, s: &Geometry, dy: &[f32], kernel: &[f32]) -> Result<Vec<f32>> {
    direction(exec, s, Which::Input, dy, kernel).map_or_else(|| super::input_grad(exec, s, dy, kernel), Ok)
}

/// `x`, result's cotangent → kernel's cotangent. At most 16 partial sums, a range of images each, added in order; a large kernel
/// in parts instead, for all images each.
pub fn kernel_grad(exec: &Exec, s: &Geometry, x: &[f32], dy: &[f32]) -> Result<Vec<f32>> {
    direction(exec, s, Which::Kernel, x, dy).map_or_else(|| super::kernel_grad(exec, s, x, dy), Ok)
}
