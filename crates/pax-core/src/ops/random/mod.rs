//! Random bits (threefry2x32, JAX's partitionable mode: element i of the result is the cipher of counter i).
pub mod bits;
pub mod draws;

use crate::Row;

pub const ROWS: &[&Row] = &[
    &bits::RANDOM_BITS,
    &bits::RANDOM_SPLIT,
    &bits::RANDOM_FOLD_IN,
    &draws::UNIFORM,
    &draws::NORMAL,
    &draws::LAPLACE,
    &draws::EXPONENTIAL,
    &draws::GUMBEL,
    &draws::TRUNCATED_NORMAL,
    &draws::RANDINT,
];
