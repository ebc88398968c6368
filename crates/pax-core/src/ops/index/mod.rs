//! Gather, scatter, sort, search: rows whose places depend on values.
pub mod gather;
pub mod scatter;
pub mod search;
pub mod sort;

use crate::Row;

pub const ROWS: &[&Row] = &[
    &gather::GATHER,
    &gather::TAKE_ALONG_AXIS,
    &scatter::SCATTER,
    &scatter::SCATTER_EXTREME,
    &scatter::SCATTER_SHARES,
    &scatter::LAST_WRITERS,
    &sort::ARGSORT,
    &sort::SORT,
    &search::SEARCHSORTED,
];
