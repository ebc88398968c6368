//! A fused element-wise loop: instructions over tiles of a few hundred elements, whose operands stay in the first cache.
use smallvec::SmallVec;

use super::{Slot, Values, View};
use crate::exec::cpu::tile::TileFn;
use crate::exec::{Exec, Shared};
use crate::{Array, DType, Error, Result};

/// Elements of a tile.
pub const TILE: usize = 256;
/// Elements of a chunk: one thread's piece.
const CHUNK: usize = 1 << 14;
/// Tiles that a chunk has room for.
pub const ROOM: usize = 48;

/// A place in the pointer table: registers first, then direct loads, then stores.
pub type Id = u8;

pub struct Instr { pub f: TileFn, pub dst: Id, pub src: [Id; 3] }

pub enum From {
    /// The same number everywhere.
    Constant(f32),
    /// One element, repeated.
    Splat(View),
    /// Elements in the loop's order; read where they lie.
    Direct(View),
    /// Any other layout, or bools: copied to a register.
    Gather(View, DType),
}
pub struct Load { pub id: Id, pub from: From }
pub struct Store { pub id: Id, pub slot: Slot, pub dtype: DType }

pub struct Loop {
    pub shape: crate::Dims,
    pub registers: usize,
    pub loads: Vec<Load>,
    pub instrs: Vec<Instr>,
    pub stores: Vec<Store>,
}

/// A source with its pointer.
#[derive(Clone, Copy)]
struct Pointer(*const u8);
// SAFETY: chunks only read through it, while the arrays are borrowed by the caller.
unsafe impl Send for Pointer {}
unsafe impl Sync for Pointer {}

/// A strided source, its dimensions merged.
struct Walk { base: Pointer, dims: SmallVec<[(usize, isize); 6]>, bools: bool }

impl Walk {
    fn new(base: Pointer, view: &View, bools: bool) -> Walk {
        let mut dims: SmallVec<[(usize, isize); 6]> = SmallVec::new();
        for (&n, &s) in view.shape.iter().zip(&view.strides) {
            if n == 1 { continue; }
            match dims.last_mut() {
                Some((m, t)) if *t == s * n as isize => { *m *= n; *t = s; }
                _ => dims.push((n, s)),
            }
        }
        Walk { base, dims, bools }
    }

    /// Copies `n` elements from the linear index `start` on.
    /// # Safety
    /// They lie in the source, and `dst` has room for them.
    unsafe fn copy(&self, start: usize, n: usize, dst: *mut f32) {
        let Some((&(inner, stride), outer)) = self.dims.split_last() else {
            // SAFETY: the caller's.
            unsafe { self.run(0, 0, n, dst) };
            return;
        };
        let (mut row, mut at, mut done) = (start / inner, start % inner, 0);
        while done < n {
            let len = (inner - at).min(n - done);
            let (mut rest, mut offset) = (row, at as isize * stride);
            for &(m, s) in outer.iter().rev() {
                offset += (rest % m) as isize * s;
                rest /= m;
            }
            // SAFETY: the caller's.
            unsafe { self.run(offset, stride, len, dst.add(done)) };
            (row, at, done) = (row + 1, 0, done + len);
        }
    }

    /// # Safety
    /// As `copy`.
    unsafe fn run(&self, offset: isize, stride: isize, n: usize, dst: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            if self.bools {
                let src = self.base.0.offset(offset);
                for i in 0..n { *dst.add(i) = f32::from(*src.offset(i as isize * stride)); }
                return;
            }
            let src = self.base.0.cast::<f32>().offset(offset);
            match stride {
                1 => std::ptr::copy_nonoverlapping(src, dst, n),
                0 => std::slice::from_raw_parts_mut(dst, n).fill(*src),
                s => for i in 0..n { *dst.add(i) = *src.offset(i as isize * s) },
            }
        }
    }
}

enum Source { Constant(Id, f32), Direct(Id, Pointer), Walk(Id, Walk) }

impl Loop {
    pub(super) fn run(&self, exec: &Exec, values: &mut Values) -> Result<()> {
        let size: usize = self.shape.iter().product();
        let mut sources = Vec::with_capacity(self.loads.len());
        for Load { id, from } in &self.loads {
            sources.push(match from {
                From::Constant(c) => Source::Constant(*id, *c),
                From::Splat(v) => { let a = values.at(v.slot)?; Source::Constant(*id, a.raw::<f32>()?[(a.offset as isize + v.offset) as usize]) }
                From::Direct(v) => Source::Direct(*id, pointer(&values.view(v)?)?),
                From::Gather(v, d) => { let a = values.view(v)?; Source::Walk(*id, Walk::new(pointer(&a)?, v, *d == DType::Bool)) }
            });
        }
        let mut floats: Vec<(Id, Vec<f32>)> = Vec::new();
        let mut bools: Vec<(Id, Vec<u8>)> = Vec::new();
        for s in &self.stores {
            if s.dtype == DType::Bool { bools.push((s.id, exec.vec(size))) } else { floats.push((s.id, exec.vec(size))) }
        }
        let to_floats: SmallVec<[(Id, Shared<f32>); 4]> = floats.iter_mut().map(|(id, v)| (*id, Shared::new(v))).collect();
        let to_bools: SmallVec<[(Id, Shared<u8>); 4]> = bools.iter_mut().map(|(id, v)| (*id, Shared::new(v))).collect();
        exec.chunks(size, CHUNK, &|from, to| {
            let mut room = std::mem::MaybeUninit::<[f32; ROOM * TILE]>::uninit();
            let registers = room.as_mut_ptr().cast::<f32>();
            let mut at = [std::ptr::null_mut::<f32>(); 256];
            // SAFETY: registers are apart from each other and from every array; direct sources and stores have `size`
            // elements, of which this chunk reads and writes `from..to`.
            unsafe {
                for (r, p) in at.iter_mut().enumerate().take(self.registers) { *p = registers.add(r * TILE); }
                for s in &sources { if let Source::Constant(id, c) = s { std::slice::from_raw_parts_mut(at[*id as usize], TILE).fill(*c); } }
                let mut start = from;
                while start < to {
                    let n = TILE.min(to - start);
                    for s in &sources {
                        match s {
                            Source::Constant(..) => {}
                            Source::Direct(id, p) => at[*id as usize] = p.0.cast::<f32>().add(start).cast_mut(),
                            Source::Walk(id, w) => w.copy(start, n, at[*id as usize]),
                        }
                    }
                    for (id, p) in &to_floats { at[*id as usize] = p.ptr().add(start); }
                    for i in &self.instrs {
                        let [a, b, c] = i.src.map(|s| at[s as usize].cast_const());
                        (i.f)(at[i.dst as usize], a, b, c, n);
                    }
                    for (id, p) in &to_bools {
                        let src = std::slice::from_raw_parts(at[*id as usize], n);
                        for (o, x) in p.range(start, start + n).iter_mut().zip(src) { *o = u8::from(*x != 0.0); }
                    }
                    start += n;
                }
            }
        });
        for s in &self.stores {
            let array = if s.dtype == DType::Bool { take(&mut bools, s.id).map(|v| exec.bools(v, &self.shape)) } else { take(&mut floats, s.id).map(|v| exec.array(v, &self.shape)) };
            values.arrays[s.slot] = Some(array.ok_or_else(|| Error::internal("a loop has no result"))?);
        }
        Ok(())
    }
}

fn take<T>(from: &mut Vec<(Id, Vec<T>)>, id: Id) -> Option<Vec<T>> { from.iter().position(|f| f.0 == id).map(|i| from.swap_remove(i).1) }

/// Where a view's first element lies.
fn pointer(a: &Array) -> Result<Pointer> {
    fn at<T: crate::dtype::Element>(a: &Array) -> Result<Pointer> {
        let raw = a.raw::<T>()?;
        Ok(Pointer(raw[a.offset.min(raw.len())..].as_ptr().cast()))
    }
    if a.dtype == DType::Bool { at::<u8>(a) } else { at::<f32>(a) }
}
