//! Gather, scatter, sort: rows whose places depend on values.
use crate::Row;

pub const ROWS: &[&Row] = &[];
