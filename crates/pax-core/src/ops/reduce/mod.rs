//! Reductions and running reductions.
pub mod sum;

use crate::Row;

pub const ROWS: &[&Row] = &[&sum::REDUCE_SUM];
