//! Narrow elements: bools and half floats are floats in registers.
use super::allocate::{Body, Part};
use super::assembler::{Place, Vector};
use super::instructions::*;
use crate::chunk::loops::Id;
use crate::DType;

impl Body<'_> {
    /// Loads narrow elements as floats.
    pub fn widen(&mut self, r: Vector, id: Id, dtype: DType) {
        let from = Place::Indexed(self.address(id), dtype.size() as u8);
        let here = Place::Register(r);
        if self.part == Part::One {
            self.to.vector(if dtype == DType::Bool { REPEAT_BYTE } else { REPEAT_WORD }, r, 0, from, None);
            match dtype {
                DType::F16 => self.to.vector(OF_F16, r, 0, here, None),
                DType::BF16 => self.to.vector(SHIFT, LEFT_BY, r, here, Some(16)),
                _ => self.to.vector(SHIFT, RIGHT_BY, r, here, Some(24)),
            }
        } else {
            let load = match dtype {
                DType::F16 => OF_F16,
                DType::BF16 => OF_WORDS,
                _ => OF_BYTES,
            };
            if self.part == Part::Masked {
                self.to.masked(load, r, 0, from, None, LEFT, true)
            } else {
                self.to.vector(load, r, 0, from, None)
            }
            if dtype == DType::BF16 {
                self.to.vector(SHIFT, LEFT_BY, r, here, Some(16));
            }
        }
        if dtype == DType::Bool {
            self.to.vector(OF_INTS, r, 0, here, None);
        }
    }

    /// Stores floats as narrow elements, which hold them. The register behind those of values is free: nothing is masked by it.
    pub fn narrow(&mut self, r: Vector, to: Place, dtype: DType) {
        let free = self.list.vectors.mask();
        let here = Place::Register(free);
        match dtype {
            DType::BF16 => self.to.vector(SHIFT, RIGHT_BY, free, Place::Register(r), Some(16)),
            DType::F16 if self.part == Part::One => self.to.vector(TO_F16, r, 0, here, Some(0)),
            DType::F16 => {}
            _ => self.to.vector(TO_INTS, free, 0, Place::Register(r), None),
        }
        if self.part == Part::One {
            return self.to.low(if dtype == DType::Bool { ONE_BYTE } else { ONE_WORD }, free, to, Some(0));
        }
        if self.list.vectors.masks {
            let (store, from, immediate) = match dtype {
                DType::F16 => (TO_F16, r, Some(0)),
                DType::BF16 => (TO_WORDS, free, None),
                _ => (TO_BYTES, free, None),
            };
            let mask = if self.part == Part::Masked { LEFT } else { 0 };
            return self.to.masked(store, from, 0, to, immediate, mask, false);
        }
        if dtype == DType::F16 {
            return self.to.vector(TO_F16, r, 0, to, Some(0));
        }
        // Both halves of the vector are packed by themselves, then brought together.
        self.to.vector(PACK_WORDS, free, free, here, None);
        self.to.pairs(MOVE_PAIRS, free, here, Some(0x08));
        if dtype == DType::BF16 {
            return self.to.low(STORE, free, to, None);
        }
        self.to.vector(PACK_BYTES, free, free, here, None);
        self.to.low(STORE_PAIR, free, to, None);
    }
}
