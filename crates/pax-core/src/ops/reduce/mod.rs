//! Reductions and running reductions.
pub mod along;
pub mod extreme;
pub mod sum;

use crate::Row;

pub const ROWS: &[&Row] = &[
    &sum::REDUCE_SUM,
    &extreme::REDUCE_MAX,
    &extreme::REDUCE_MIN,
    &along::ARGMAX,
    &along::ARGMIN,
    &along::CUMARGMAX,
    &along::CUMARGMIN,
    &along::CUMSUM,
];
