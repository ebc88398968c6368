//! What the chunks of a phase run: kernels without allocation, on bases that the plan gives. Each takes a range of units:
//! equal parts of its result. See `docs/engine.md`.
pub mod conv;
pub mod dot;
pub mod index;
pub mod loops;
pub mod reduce;

pub use super::view::Slot;

/// Where each slot lies in this run; in a chunk, where a slot of its own would lie if it were whole.
#[derive(Clone, Copy)]
pub struct Bases<'a>(pub &'a [*mut u8]);

impl Bases<'_> {
    #[inline(always)]
    pub fn at<T>(self, slot: Slot) -> *mut T { self.0[slot].cast() }
}

/// Part `i` of `n` of `total` things.
pub fn part(total: usize, i: usize, n: usize) -> usize { (total as u64 * i as u64 / n.max(1) as u64) as usize }

pub enum Kernel {
    Loop(loops::Loop),
    Dot(dot::Dot),
    /// A product by panels of columns, with a loop over each block behind it.
    Product(dot::Product),
    Pack(dot::Pack),
    Reduce(reduce::Reduce),
    Gather(index::Gather),
    Scatter(index::Scatter),
    Concat(index::Concat),
    Conv(conv::Conv),
    ConvPack(conv::ConvPack),
}

impl Kernel {
    /// Floats that it works in besides its operands.
    pub fn room(&self) -> usize {
        match self {
            Kernel::Dot(d) => d.room(),
            Kernel::Product(p) => p.room(),
            Kernel::Conv(c) => c.room(),
            _ => 0,
        }
    }

    /// What it does, for people.
    pub fn label(&self) -> String {
        match self {
            Kernel::Loop(l) => format!("loop of {}", l.size),
            Kernel::Dot(d) => format!("{:?} products {}×{}×{}", d.batch.as_slice(), d.m, d.k, d.n),
            Kernel::Product(p) => format!("product {}×{}×{}", p.dot.m, p.dot.k, p.dot.n),
            Kernel::Pack(p) => format!("pack {}×{}", p.k, p.n),
            Kernel::Reduce(r) => format!("{:?} {:?} over {:?}{}", r.fold, r.kept.as_slice(), r.over.as_slice(), if r.across { ", a chunk" } else { "" }),
            Kernel::Gather(g) => format!("gather {} of {}", g.rows(), g.lay.inner),
            Kernel::Conv(c) => format!("conv {:?} of {} images", c.which, c.n),
            Kernel::ConvPack(_) => "pack a kernel".into(),
            Kernel::Concat(c) => format!("{} parts in {} rows", c.parts.len(), c.rows),
            Kernel::Scatter(s) => format!("scatter {} of {}", s.lay.places, s.lay.inner),
        }
    }

    /// True if a few units at a time cost no more than many: it prepares nothing, and reads nothing that all of them share.
    pub fn divides(&self) -> bool { matches!(self, Kernel::Loop(_) | Kernel::Reduce(_) | Kernel::Gather(_) | Kernel::Concat(_)) }

    /// Runs units `from..to` of `of`, as chunk `chunk`, which has run others before when it comes `again`.
    /// # Safety
    /// The bases are those of the plan that the kernel belongs to, `room` has the floats it asked for, and no two calls at
    /// one time share a unit.
    #[inline]
    pub unsafe fn run(&self, bases: Bases, (from, to, of): (usize, usize, usize), (chunk, again): (usize, bool), room: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            match self {
                Kernel::Loop(l) => l.range(bases, part(l.size, from, of), part(l.size, to, of)),
                Kernel::Dot(d) => d.run(bases, from, to, of, room),
                Kernel::Product(p) => p.run(bases, from, to, of, room),
                Kernel::Pack(p) => p.run(bases, part(p.panels(), from, of), part(p.panels(), to, of)),
                Kernel::Reduce(r) => r.run(bases, from, to, of, (chunk, again)),
                Kernel::Gather(g) => g.run(bases, part(g.rows(), from, of), part(g.rows(), to, of)),
                Kernel::Scatter(s) => s.run(bases, from, to, of),
                Kernel::Conv(c) => c.run(bases, from, to, of, chunk, room),
                // Not divided: the first unit's.
                Kernel::ConvPack(p) => if from == 0 { p.run(bases) },
                Kernel::Concat(c) => c.run(bases, part(c.rows, from, of), part(c.rows, to, of)),
            }
        }
    }
}
