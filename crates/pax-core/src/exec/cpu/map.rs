//! Element-wise loops over strided operands. What is compiled for each function and dtype is one loop over elements that lie
//! together; walking, bringing together and sharing out is written once, for every dtype.
use std::mem::MaybeUninit;

use crate::array::Walk;
use crate::dtype::Element;
use crate::exec::cpu::tile::{Function, Simd};
use crate::exec::Exec;
use crate::{dispatch_size, Array, DType, Result};

/// Elements below which a loop stays on the caller's thread, and the size of a chunk above.
pub const CHUNK: usize = 1 << 16;
/// Elements of an operand that are brought together at a time, so that they stay in the first cache.
const BLOCK: usize = 1024;

/// A loop over elements that lie together: operands, result, their number.
type Loop<'a, const K: usize> = &'a (dyn Fn([*const u8; K], *mut u8, usize) + Sync);

/// Runs `f` over all elements of operands of one shape.
fn apply<const K: usize>(exec: &Exec, dtype: DType, xs: [&Array; K], f: Loop<K>) -> Array {
    let out = exec.empty(dtype, &xs[0].shape);
    // Blocks of rows that lie across memory would read each line again and again.
    let straight = xs.map(|x| if x.size() > CHUNK && x.walk().is_turned() { exec.copied(x) } else { x.clone() });
    let xs = &straight;
    let (size, to) = (dtype.size(), crate::exec::Shared::at(out.address()));
    let walks = xs.each_ref().map(Array::walk);
    let together = walks.iter().all(|w| w.together(0).is_some());
    exec.chunks(out.size(), CHUNK, &|from, end| {
        let mut room = [MaybeUninit::<[u64; BLOCK]>::uninit(); K];
        let block = if together { end - from } else { BLOCK };
        for start in (from..end).step_by(block.max(1)) {
            let n = block.min(end - start);
            let operand = |room: *mut u8, w: &Walk| {
                w.together(start).unwrap_or_else(|| {
                    // SAFETY: a block has room for the elements. One that repeats is there from the first block on.
                    if start == from || !w.repeats() {
                        unsafe { w.copy(start, n, room) }
                    }
                    room
                })
            };
            let operands = std::array::from_fn(|k| operand(room[k].as_mut_ptr().cast(), &walks[k]));
            f(operands, to.ptr().wrapping_add(start * size), n);
        }
    });
    out
}

/// # Safety
/// `n` elements lie there.
unsafe fn slice<'a, T>(p: *const u8, n: usize) -> &'a [T] {
    unsafe { std::slice::from_raw_parts(p.cast(), n) }
}
/// # Safety
/// As `slice`, and nobody else reads or writes them.
unsafe fn slice_mut<'a, T>(p: *mut u8, n: usize) -> &'a mut [T] {
    unsafe { std::slice::from_raw_parts_mut(p.cast(), n) }
}

/// `f` of each element.
pub fn map1<T: Element, O: Element>(exec: &Exec, dtype: DType, x: &Array, f: impl Fn(T) -> O + Sync) -> Result<Array> {
    x.check_stored(T::DTYPE)?;
    Ok(apply(exec, dtype, [x], &|[x], out, n| {
        // SAFETY: `apply` gives so many elements of each.
        let (x, out) = unsafe { (slice::<T>(x, n), slice_mut::<O>(out, n)) };
        for (o, &x) in out.iter_mut().zip(x) {
            *o = f(x);
        }
    }))
}

/// `f` of each pair of elements; both operands have one shape.
pub fn map2<T: Element, U: Element, O: Element>(
    exec: &Exec,
    dtype: DType,
    a: &Array,
    b: &Array,
    f: impl Fn(T, U) -> O + Sync,
) -> Result<Array> {
    a.check_stored(T::DTYPE)?;
    b.check_stored(U::DTYPE)?;
    Ok(apply(exec, dtype, [a, b], &|[a, b], out, n| {
        // SAFETY: as above.
        let (a, b, out) = unsafe { (slice::<T>(a, n), slice::<U>(b, n), slice_mut::<O>(out, n)) };
        for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *o = f(a, b);
        }
    }))
}

/// A tile function of f32 arrays of one shape.
pub fn tiled<const K: usize>(exec: &Exec, f: fn(Simd) -> Function, xs: [&Array; K]) -> Result<Array> {
    for x in xs {
        x.check_stored(DType::F32)?;
    }
    let f = f(Simd::detect()).run;
    Ok(apply(exec, DType::F32, xs, &|x, out, n| {
        let operand = |k: usize| x[k.min(K - 1)].cast::<f32>();
        // SAFETY: as above; operands that the function does not have are not read.
        unsafe { f(out.cast(), operand(0), operand(1), operand(2), n) }
    }))
}

/// Where the bools of `condition` are true the element of `a`, else that of `b`; all have one shape.
pub fn select(exec: &Exec, condition: &Array, a: &Array, b: &Array) -> Array {
    fn choose<B: Copy>(c: &[u8], a: &[B], b: &[B], out: &mut [B]) {
        for (((o, &c), &a), &b) in out.iter_mut().zip(c).zip(a).zip(b) {
            *o = if c != 0 { a } else { b };
        }
    }
    let size = a.dtype.size();
    apply(exec, a.dtype, [condition, a, b], &|[c, x, y], out, n| {
        // SAFETY: as above; elements are bits of their size.
        unsafe { dispatch_size!(size, B => choose::<B>(slice(c, n), slice(x, n), slice(y, n), slice_mut(out, n))) }
    })
}
