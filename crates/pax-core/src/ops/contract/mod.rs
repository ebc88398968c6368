//! Products that sum over axes.
pub mod dot;
pub mod einsum;
pub mod matmul;

use crate::Row;

pub const ROWS: &[&Row] = &[&dot::DOT, &matmul::MATMUL, &einsum::EINSUM];
