//! Composites: rows that expand into others while recording, and may have a fused eval.
use crate::Row;

pub const ROWS: &[&Row] = &[];
