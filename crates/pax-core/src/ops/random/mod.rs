//! Random bits (threefry2x32, JAX's partitionable mode).
use crate::Row;

pub const ROWS: &[&Row] = &[];
