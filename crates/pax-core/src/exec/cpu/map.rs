//! Element-wise loops over strided operands.
use crate::array::runs;
use crate::dtype::Element;
use crate::exec::cpu::tile::TileFn;
use crate::exec::Exec;
use crate::{Array, DType, Result};

/// Elements below which a loop stays on the caller's thread, and the size of a chunk above.
pub const CHUNK: usize = 1 << 16;

fn fill<O: Element>(exec: &Exec, n: usize, f: impl Fn(usize, &mut [O]) + Sync) -> Vec<O> {
    let mut out: Vec<O> = exec.vec(n);
    let shared = crate::exec::Shared::new(&mut out);
    // SAFETY: chunks are disjoint ranges of 0..n.
    exec.chunks(n, CHUNK, &|a, b| f(a, unsafe { shared.range(a, b) }));
    out
}

/// `f` of each element.
pub fn map1<T: Element, O: Element>(exec: &Exec, dtype: DType, x: &Array, f: impl Fn(T) -> O + Sync) -> Result<Array> {
    let raw = x.raw::<T>()?;
    if let Some(s) = x.contiguous::<T>()? {
        let out = fill(exec, s.len(), |start, out: &mut [O]| {
            for (o, &v) in out.iter_mut().zip(&s[start..]) { *o = f(v); }
        });
        return Ok(exec.array_as(dtype, out, &x.shape));
    }
    let mut out = Vec::with_capacity(x.size());
    for run in runs(&x.shape, &[&x.strides]) {
        let (start, step) = (x.offset as isize + run.offsets[0], run.strides[0]);
        out.extend((0..run.len as isize).map(|i| f(raw[(start + i * step) as usize])));
    }
    Ok(exec.array_as(dtype, out, &x.shape))
}

/// A tile function of each element of an f32 array.
pub fn tiled(exec: &Exec, f: TileFn, x: &Array) -> Result<Array> {
    let s = x.to_slice::<f32>()?;
    let mut out: Vec<f32> = exec.vec(s.len());
    let shared = crate::exec::Shared::new(&mut out);
    exec.chunks(s.len(), CHUNK, &|from, to| {
        let src = s[from..to].as_ptr();
        // SAFETY: chunks are disjoint ranges of both.
        unsafe { f(shared.range(from, to).as_mut_ptr(), src, src, src, to - from) }
    });
    Ok(exec.array(out, &x.shape))
}

/// `f` of each pair of elements; both operands have one shape.
pub fn map2<T: Element, U: Element, O: Element>(exec: &Exec, dtype: DType, a: &Array, b: &Array, f: impl Fn(T, U) -> O + Sync) -> Result<Array> {
    let (ra, rb) = (a.raw::<T>()?, b.raw::<U>()?);
    if let (Some(sa), Some(sb)) = (a.contiguous::<T>()?, b.contiguous::<U>()?) {
        let out = fill(exec, sa.len(), |start, out: &mut [O]| {
            for ((o, &x), &y) in out.iter_mut().zip(&sa[start..]).zip(&sb[start..]) { *o = f(x, y); }
        });
        return Ok(exec.array_as(dtype, out, &a.shape));
    }
    let n = a.size();
    let mut out: Vec<O> = Vec::with_capacity(n);
    for run in runs(&a.shape, &[&a.strides, &b.strides]) {
        let (oa, ob) = ((a.offset as isize + run.offsets[0]) as usize, (b.offset as isize + run.offsets[1]) as usize);
        let len = run.len;
        match run.strides {
            [1, 1] => out.extend(ra[oa..oa + len].iter().zip(&rb[ob..ob + len]).map(|(&x, &y)| f(x, y))),
            [1, 0] => { let y = rb[ob]; out.extend(ra[oa..oa + len].iter().map(|&x| f(x, y))) }
            [0, 1] => { let x = ra[oa]; out.extend(rb[ob..ob + len].iter().map(|&y| f(x, y))) }
            [s, t] => out.extend((0..len as isize).map(|i| f(ra[(oa as isize + i * s) as usize], rb[(ob as isize + i * t) as usize]))),
        }
    }
    Ok(exec.array_as(dtype, out, &a.shape))
}

/// `f` of each triple; all operands have one shape.
pub fn map3<T: Element, U: Element, V: Element, O: Element>(exec: &Exec, dtype: DType, a: &Array, b: &Array, c: &Array, f: impl Fn(T, U, V) -> O + Sync) -> Result<Array> {
    let (ra, rb, rc) = (a.raw::<T>()?, b.raw::<U>()?, c.raw::<V>()?);
    let mut out: Vec<O> = Vec::with_capacity(a.size());
    for run in runs(&a.shape, &[&a.strides, &b.strides, &c.strides]) {
        let [oa, ob, oc] = [a.offset as isize + run.offsets[0], b.offset as isize + run.offsets[1], c.offset as isize + run.offsets[2]];
        let [s, t, u] = run.strides;
        out.extend((0..run.len as isize).map(|i| f(ra[(oa + i * s) as usize], rb[(ob + i * t) as usize], rc[(oc + i * u) as usize])));
    }
    Ok(exec.array_as(dtype, out, &a.shape))
}
