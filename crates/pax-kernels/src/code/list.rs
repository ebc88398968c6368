//! What a body does in which order, and what for.
use super::assembler::{General, Place, Vector};
use super::trace::{Op, Two, Value};
use super::{Output, To};
use crate::chunk::loops::Id;

/// The vectors of a level: their cells of four bytes, and the registers for values, behind which one holds the mask of the elements that are left at
/// the end. `masks`: comparisons make masks, which have registers of their own.
#[derive(Clone, Copy)]
pub(super) struct Vectors {
    pub lanes: i32,
    pub values: usize,
    pub masks: bool,
    pub double: bool,
}
pub(super) const AVX2: Vectors = Vectors { lanes: 8, values: 15, masks: false, double: false };
pub(super) const AVX512: Vectors = Vectors { lanes: 16, values: 31, masks: true, double: false };

impl Vectors {
    pub fn bytes(self) -> i32 {
        4 * self.lanes
    }
    pub fn mask(self) -> Vector {
        self.values as Vector
    }

    /// The bits of an operation that is a number.
    pub fn number(self, op: Op) -> Option<u64> {
        match op {
            Op::Wide(bits) => Some(bits),
            // The mask of all but the sign is no number.
            Op::Constant(bits) if self.double => {
                Some(if bits == i32::MAX as u32 { i64::MAX as u64 } else { f64::from(f32::from_bits(bits)).to_bits() })
            }
            Op::Constant(bits) => Some(u64::from(bits)),
            _ => None,
        }
    }

    /// True for what is made in a mask register: comparisons, and what is made of them only.
    pub fn is_mask(self, ops: &[Op], v: Value) -> bool {
        self.masks
            && match ops[v as usize] {
                Op::Two(Two::Equal | Two::NotEqual | Two::Less | Two::LessEqual, ..) => true,
                Op::Two(Two::Or, a, b) => self.is_mask(ops, a) && self.is_mask(ops, b),
                _ => false,
            }
    }

    /// The vectors that an operation reads: a mask is made where it is needed, of what was compared.
    pub fn reads(self, ops: &[Op], op: Op) -> Vec<Value> {
        op.values().flat_map(|v| if self.is_mask(ops, v) { self.reads(ops, ops[v as usize]) } else { vec![v] }).collect()
    }
}

/// Registers for addresses: those that a function may use, then those that it has to give back.
pub(super) const ADDRESSES: [General; 11] = [2, 8, 9, 10, 11, 3, 5, 12, 13, 14, 15];

#[derive(Clone, Copy)]
pub(super) enum Step {
    Op(Value),
    Store(Value, Id, To),
}

/// What is to be done in which order, and what for.
pub(super) struct List<'a> {
    pub ops: &'a [Op],
    pub steps: Vec<Step>,
    /// For each value the steps that read it, the next one last.
    pub uses: Vec<Vec<usize>>,
    /// The table's entries whose addresses are in registers, and those that are read from the table.
    pub pinned: Vec<Id>,
    pub others: Vec<Id>,
    /// Constants by their place.
    pub constants: Vec<u64>,
    pub vectors: Vectors,
    /// It reads or makes narrow elements.
    pub narrow: bool,
}

impl List<'_> {
    pub fn new<'a>(vectors: Vectors, ops: &'a [Op], results: &[Output]) -> List<'a> {
        // What no result needs is left out.
        let mut needed = vec![false; ops.len()];
        for r in results {
            needed[r.value as usize] = true;
        }
        for (v, op) in ops.iter().enumerate().rev() {
            if needed[v] {
                for a in op.values() {
                    needed[a as usize] = true;
                }
            }
        }
        let mut steps = Vec::new();
        for v in (0..ops.len()).filter(|&v| needed[v]) {
            if !vectors.is_mask(ops, v as Value) {
                steps.push(Step::Op(v as Value));
            }
            steps.extend(results.iter().filter(|r| r.value as usize == v && !r.last).map(|r| Step::Store(r.value, r.id, r.to)));
        }
        steps.extend(results.iter().filter(|r| r.last).map(|r| Step::Store(r.value, r.id, r.to)));

        let mut uses = vec![Vec::new(); ops.len()];
        let (mut pinned, mut constants): (Vec<Id>, Vec<u64>) = (Vec::new(), Vec::new());
        for (at, step) in steps.iter().enumerate().rev() {
            match *step {
                Step::Op(v) => {
                    for a in vectors.reads(ops, ops[v as usize]) {
                        uses[a as usize].push(at)
                    }
                }
                Step::Store(v, id, _) => {
                    uses[v as usize].push(at);
                    pinned.push(id);
                }
            }
        }
        for (_, op) in ops.iter().enumerate().filter(|&(v, _)| needed[v]) {
            match op {
                Op::Load(id) | Op::Narrow(id, _) | Op::Splat(id) | Op::Repeat(id) => pinned.push(*id),
                _ => constants.extend(vectors.number(*op).filter(|bits| !constants.contains(bits))),
            }
        }
        pinned.sort_unstable();
        pinned.dedup();
        let others = pinned.split_off(ADDRESSES.len().min(pinned.len()));
        let narrow = results.iter().any(|r| matches!(r.to, To::Narrow(_)))
            || ops.iter().zip(&needed).any(|(op, &n)| n && matches!(op, Op::Narrow(..)));
        List { ops, steps, uses, pinned, others, constants, vectors, narrow }
    }

    /// Where a number lies.
    pub fn constant(&self, op: Op) -> Option<Place> {
        let k = self.vectors.number(op).and_then(|bits| self.constants.iter().position(|&c| c == bits))?;
        Some(Place::Constant(k * self.vectors.bytes() as usize))
    }

    /// The values that are the same in all of a row, the most read first.
    pub fn same(&self) -> Vec<Value> {
        let is_same = |op| matches!(op, Op::Splat(_) | Op::Repeat(_) | Op::Constant(_) | Op::Wide(_));
        let mut all: Vec<Value> =
            (0..self.ops.len() as Value).filter(|&v| is_same(self.ops[v as usize]) && !self.uses[v as usize].is_empty()).collect();
        all.sort_by_key(|&v| std::cmp::Reverse(self.uses[v as usize].len()));
        all
    }
}
