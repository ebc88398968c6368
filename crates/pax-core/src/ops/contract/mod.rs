//! Products that sum over axes.
pub mod dot;

use crate::Row;

pub const ROWS: &[&Row] = &[&dot::DOT];
