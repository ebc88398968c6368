//! What the chunks of a phase run: kernels without allocation, on bases that the plan gives. Each takes a range of units:
//! equal parts of its result. See `docs/engine.md`.
#[cfg(target_arch = "x86_64")]
mod coded;
pub mod conv;
pub mod dot;
pub mod index;
pub mod loops;
pub mod random;
pub mod reduce;
pub mod walk;

use std::cell::RefCell;

/// A buffer of one run.
pub type Slot = usize;

/// Where each slot lies in this run; in a chunk, where a slot of its own would lie if it were whole.
#[derive(Clone, Copy)]
pub struct Bases<'a>(pub &'a [*mut u8]);

impl Bases<'_> {
    #[inline(always)]
    pub fn at<T>(self, slot: Slot) -> *mut T {
        self.0[slot].cast()
    }
}

/// Part `i` of `n` of `total` things.
pub fn part(total: usize, i: usize, n: usize) -> usize {
    (total as u64 * i as u64 / n.max(1) as u64) as usize
}

pub enum Kernel {
    Loop(loops::Loop),
    Dot(dot::Dot),
    /// A product by panels of columns, with a loop over each block behind it.
    Product(dot::Product),
    Pack(dot::Pack),
    PackLeft(dot::PackLeft),
    Reduce(reduce::Reduce),
    Gather(index::Gather),
    Scatter(index::Scatter),
    Concat(index::Concat),
    Bits(random::Bits),
    Conv(conv::Conv),
    ConvPack(conv::ConvPack),
}

impl Kernel {
    /// Floats that it works in besides its operands.
    pub fn room(&self) -> usize {
        match self {
            Kernel::Loop(l) => l.room(),
            Kernel::Dot(d) => d.room(),
            Kernel::Product(p) => p.room(),
            Kernel::Conv(c) => c.room(),
            _ => 0,
        }
    }

    /// True if a few units at a time cost no more than many: it prepares nothing, and reads nothing that all of them share.
    pub fn divides(&self) -> bool {
        matches!(self, Kernel::Loop(_) | Kernel::Reduce(_) | Kernel::Gather(_) | Kernel::Concat(_) | Kernel::Bits(_))
    }

    /// Runs units `from..to` of `of`, as chunk `chunk`, which has run others before when it comes `again`.
    /// # Safety
    /// The bases are those of the plan that the kernel belongs to, `room` has the floats it asked for, and no two calls at
    /// one time share a unit.
    #[inline]
    pub unsafe fn run(&self, bases: Bases, (from, to, of): (usize, usize, usize), (chunk, again): (usize, bool), room: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            match self {
                Kernel::Loop(l) => l.range(bases, (l.part(from, of), l.part(to, of)), (chunk, again), room),
                Kernel::Dot(d) => d.run(bases, (from, to, of), (chunk, again), room),
                Kernel::Product(p) => p.run(bases, from, to, of, room),
                Kernel::Pack(p) => p.run(bases, part(p.panels(), from, of), part(p.panels(), to, of)),
                Kernel::PackLeft(p) => p.run(bases, part(p.k, from, of), part(p.k, to, of)),
                Kernel::Reduce(r) => r.run(bases, (from, to, of), (chunk, again)),
                Kernel::Gather(g) => g.run(bases, part(g.rows(), from, of), part(g.rows(), to, of)),
                Kernel::Scatter(s) => s.run(bases, from, to, of),
                Kernel::Bits(b) => b.run(bases, part(b.n, from, of), part(b.n, to, of)),
                Kernel::Conv(c) => c.run(bases, from, to, of, chunk, room),
                Kernel::ConvPack(p) => {
                    let panels = p.direction.packs();
                    p.run(bases, part(panels, from, of), part(panels, to, of))
                }
                Kernel::Concat(c) => c.run(bases, part(c.rows, from, of), part(c.rows, to, of)),
            }
        }
    }
}

/// Runs chunks, numbered by the problem and never by the threads, so that results do not depend on their number.
pub trait Pool {
    fn run(&self, chunks: usize, f: &(dyn Fn(usize) + Sync));
}

/// A slot that each chunk has for itself: where the units of a step lie in the chunk's memory, and bytes of one.
pub struct Local {
    pub slot: Slot,
    pub offset: usize,
    pub unit: usize,
}

/// Kernels that each chunk runs one after the other on its own units, `step` at a time, so that what they make stays in the cache.
/// `shares`: slots that lie where another does, whose elements are made of theirs, each of the one in its place.
pub struct Chunks {
    pub units: usize,
    pub chunks: usize,
    pub step: usize,
    pub kernels: Vec<Kernel>,
    pub locals: Vec<Local>,
    pub shares: Vec<(Slot, Slot)>,
    pub scratch: usize,
    pub room: usize,
}

/// Bases that chunks share.
struct Shared<'a>(&'a [*mut u8]);
// SAFETY: chunks write disjoint units (`Kernel::run`'s contract).
unsafe impl Sync for Shared<'_> {}

thread_local! {
    /// A thread's memory for chunks, and its table of bases.
    static OWN: RefCell<(Vec<f32>, Vec<*mut u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// The first address of `memory` that is a multiple of 64.
pub fn aligned(memory: &mut [f32]) -> *mut u8 {
    let p = memory.as_mut_ptr();
    p.wrapping_add(p.align_offset(64).min(16)).cast()
}

impl Chunks {
    /// Floats of a thread's memory.
    pub fn own(&self) -> usize {
        (self.scratch / 4).saturating_add(self.room).saturating_add(16)
    }

    /// `bases`: where each slot lies that is not a chunk's own.
    pub fn run(&self, pool: &dyn Pool, bases: &[*mut u8]) {
        let bases = Shared(bases);
        let chunk = |c: usize| {
            let bases = &bases;
            OWN.with(|own| {
                let (memory, table) = &mut *own.borrow_mut();
                let floats = self.own();
                if memory.len() < floats {
                    *memory = vec![0.0; floats];
                }
                if cfg!(debug_assertions) {
                    memory[..floats].fill(f32::NAN);
                }
                let (from, to) = (part(self.units, c, self.chunks), part(self.units, c + 1, self.chunks));
                let own = aligned(memory);
                table.clear();
                let plain = self.locals.is_empty() && self.shares.is_empty();
                if !plain {
                    table.extend_from_slice(bases.0);
                }
                for &(slot, place) in &self.shares {
                    table[slot] = table[place];
                }
                let room = own.wrapping_add(self.scratch).cast::<f32>();
                let mut at = from;
                while at < to {
                    let end = to.min(at + self.step);
                    for l in &self.locals {
                        table[l.slot] = own.wrapping_add(l.offset).wrapping_sub(at * l.unit);
                    }
                    let bases = if plain { bases.0 } else { table.as_slice() };
                    // SAFETY: the plan gives every slot that these kernels name a base with its size, and chunks share no unit.
                    for k in &self.kernels {
                        unsafe { k.run(Bases(bases), (at, end, self.units), (c, at > from), room) }
                    }
                    at = end;
                }
            });
        };
        if self.chunks == 1 {
            chunk(0)
        } else {
            pool.run(self.chunks, &chunk)
        }
    }
}
