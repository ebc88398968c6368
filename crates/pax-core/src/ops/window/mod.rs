//! Reductions over sliding windows.
use crate::Row;

pub const ROWS: &[&Row] = &[];
