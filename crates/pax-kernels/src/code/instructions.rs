//! Prefixes and opcodes of the instructions that loops need, by what they do.
use super::assembler::{Map, Mask, Vector};
use super::trace::Two;

/// The mask register of the elements that are left, and the first one for masks of comparisons.
pub(super) const LEFT: Mask = 1;
pub(super) const COMPARED: Mask = 2;

pub(super) const ADD: (Map, u8) = (Map::Plain, 0x58);
pub(super) const MOVE: (Map, u8) = (Map::Plain, 0x28);
pub(super) const LOAD: (Map, u8) = (Map::Plain, 0x10);
pub(super) const STORE: (Map, u8) = (Map::Plain, 0x11);
pub(super) const LOAD_SOME: (Map, u8) = (Map::X66F38, 0x2c);
pub(super) const REPEAT: (Map, u8) = (Map::X66F38, 0x18);
pub(super) const STORE_SOME: (Map, u8) = (Map::X66F38, 0x2e);
pub(super) const BLEND: (Map, u8) = (Map::X66F3A, 0x4a);
pub(super) const BLEND_MASKED: (Map, u8) = (Map::X66F38, 0x65);
pub(super) const SHIFT: (Map, u8) = (Map::X66, 0x72);
/// What stands in the place of a register for shifts.
pub(super) const RIGHT_BY: Vector = 2;
pub(super) const SIGNED_RIGHT_BY: Vector = 4;
pub(super) const LEFT_BY: Vector = 6;
pub(super) const REPEAT_BYTE: (Map, u8) = (Map::X66F38, 0x78);
pub(super) const REPEAT_WORD: (Map, u8) = (Map::X66F38, 0x79);
pub(super) const ONE_BYTE: (Map, u8) = (Map::X66F3A, 0x14);
pub(super) const ONE_WORD: (Map, u8) = (Map::X66F3A, 0x15);
pub(super) const STORE_ONE: (Map, u8) = (Map::F3, 0x11);
pub(super) const STORE_PAIR: (Map, u8) = (Map::X66, 0xd6);
pub(super) const PACK_WORDS: (Map, u8) = (Map::X66F38, 0x2b);
pub(super) const PACK_BYTES: (Map, u8) = (Map::X66, 0x67);
pub(super) const MOVE_PAIRS: (Map, u8) = (Map::X66F3A, 0x00);
pub(super) const OF_INTS: (Map, u8) = (Map::Plain, 0x5b);
pub(super) const TO_INTS: (Map, u8) = (Map::F3, 0x5b);
pub(super) const OF_F16: (Map, u8) = (Map::X66F38, 0x13);
pub(super) const TO_F16: (Map, u8) = (Map::X66F3A, 0x1d);
pub(super) const OF_WORDS: (Map, u8) = (Map::X66F38, 0x33);
pub(super) const TO_WORDS: (Map, u8) = (Map::F3F38, 0x33);
pub(super) const OF_BYTES: (Map, u8) = (Map::X66F38, 0x31);
pub(super) const TO_BYTES: (Map, u8) = (Map::F3F38, 0x31);
pub(super) const COMPARE: (Map, u8) = (Map::Plain, 0xc2);
pub(super) const MASK_OF_BITS: (Map, u8) = (Map::X66F38, 0x27);
pub(super) const AND_MASKS: (Map, u8) = (Map::Plain, 0x41);
pub(super) const OR_MASKS: (Map, u8) = (Map::Plain, 0x45);

/// The instruction of an operation on two vectors, its immediate byte, and whether they may change places.
pub(super) fn instruction(op: Two) -> ((Map, u8), Option<u8>, bool) {
    let plain = |opcode| (Map::Plain, opcode);
    // Comparisons are false with NaN, but that for "not equal".
    match op {
        Two::Add => (ADD, None, true),
        Two::Mul => (plain(0x59), None, true),
        Two::Sub => (plain(0x5c), None, false),
        Two::Div => (plain(0x5e), None, false),
        Two::And => (plain(0x54), None, true),
        Two::AndNot => (plain(0x55), None, false),
        Two::Or => (plain(0x56), None, true),
        Two::Xor => (plain(0x57), None, true),
        Two::Min => (plain(0x5d), None, false),
        Two::Max => (plain(0x5f), None, false),
        Two::Equal => (COMPARE, Some(0x00), true),
        Two::NotEqual => (COMPARE, Some(0x04), true),
        Two::Less => (COMPARE, Some(0x11), false),
        Two::LessEqual => (COMPARE, Some(0x12), false),
        Two::AddInt => ((Map::X66, 0xfe), None, true),
        Two::SubInt => ((Map::X66, 0xfa), None, false),
        Two::Scale => ((Map::X66F38, 0x2c), None, false),
    }
}
