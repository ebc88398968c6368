//! Element-wise rows: one element of the result depends on one element of each operand.
pub mod binary;
pub mod cast;

use crate::Row;

pub const ROWS: &[&Row] = &[&binary::ADD, &binary::SUB, &binary::MUL, &cast::CAST];
