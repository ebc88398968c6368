//! Machine code for loops: what the functions of a loop do, written down by running them on symbols, on vectors that stay in
//! registers from the first operation to the last. It does what the functions do, operation by operation, so the bits are theirs.
//! Where there is no code (another processor, an operation without an instruction, a system that lets no memory be run), the
//! functions run one after the other over tiles.
mod allocate;
mod assembler;
mod instructions;
mod list;
mod narrow;
pub mod trace;

use memmap2::{Mmap, MmapMut};

use crate::chunk::loops::{Id, Table, ENTRIES};
use crate::tile::Simd;
use crate::DType;
use trace::{One, Op, Two, Value};

/// How a result gets to its place: as it is, as elements of a dtype that hold its numbers, or added to what is there.
#[derive(Clone, Copy, PartialEq)]
pub enum To {
    Plain,
    Narrow(DType),
    Sum,
}

/// A result: its value and its entry of the table. `last`: it may lie over an operand, and is written when all is read.
pub struct Output {
    pub value: Value,
    pub id: Id,
    pub last: bool,
    pub to: To,
}

/// A loop over elements: its code, in memory that is not written any more.
pub struct Code(Mmap);

impl Code {
    /// `ops` in an order that can be run, of float64 if they are `double`; none where the system lets no memory be run, or where an operand would be copied to what may
    /// lie over another.
    pub fn new(simd: Simd, double: bool, ops: &[Op], results: &[Output]) -> Option<Code> {
        // Of the parts of a float64 instruction sets take fewer.
        if double
            && ops
                .iter()
                .any(|op| matches!(op, Op::Two(Two::AddInt | Two::SubInt | Two::Scale, ..) | Op::One(One::FromInt | One::Shift(_), _)))
        {
            return None;
        }
        if results.iter().any(|r| r.last && matches!(ops[r.value as usize], Op::Load(_) | Op::Narrow(..) | Op::Repeat(_))) {
            return None;
        }
        let bytes = allocate::code(simd, double, ops, results);
        let mut memory = MmapMut::map_anon(bytes.len()).ok()?;
        memory[..bytes.len()].copy_from_slice(&bytes);
        memory.make_exec().ok().map(Code)
    }

    /// Runs over `rows` rows of `n` cells of four bytes; the entries of the table go on by their bytes in `steps` from row to row.
    ///
    /// # Safety
    /// The entries that the operations and results name hold these elements (those of splats sixteen), and the machine has the level of
    /// instructions that the code is of. A result may lie over an operand where it begins, if it is written last. With more rows than one, the table is changed.
    #[inline]
    pub unsafe fn run(&self, table: &mut Table, n: usize, rows: usize, steps: &[isize; ENTRIES]) {
        if rows == 0 {
            return;
        }
        // SAFETY: the memory holds a function of this type; the rest is the caller's.
        unsafe {
            let f: unsafe extern "sysv64" fn(*mut *mut f32, usize, usize, *const isize) = std::mem::transmute(self.0.as_ptr());
            f(table.as_mut_ptr(), n, rows, steps.as_ptr());
        }
    }
}

#[cfg(test)]
mod tests;
