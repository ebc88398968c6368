//! Random bits inside plans.
use super::{Bases, Slot};
use crate::threefry::words;

/// 32 bits for each of `n` counters of a key of two words.
pub struct Bits {
    pub key: (Slot, isize),
    pub n: usize,
    pub out: Slot,
}

impl Bits {
    /// # Safety
    /// As `Kernel::run`.
    pub unsafe fn run(&self, bases: Bases, from: usize, to: usize) {
        // SAFETY: the key has two words; the results are this call's.
        unsafe {
            let key = *bases.at::<u32>(self.key.0).wrapping_offset(self.key.1).cast::<[u32; 2]>();
            words(key, from as u64, std::slice::from_raw_parts_mut(bases.at::<u32>(self.out).wrapping_add(from), to - from));
        }
    }
}
