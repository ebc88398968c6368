//! Rows that move elements and compute nothing.
pub mod broadcast;
pub mod concatenate;
pub mod create;
pub mod dynamic;
pub mod reshape;
pub mod reverse;
pub mod slice;
pub mod transpose;

use crate::Row;

pub const ROWS: &[&Row] = &[
    &create::FULL,
    &broadcast::BROADCAST,
    &reshape::RESHAPE,
    &transpose::TRANSPOSE,
    &slice::SLICE,
    &slice::PAD,
    &concatenate::CONCATENATE,
    &create::IOTA,
    &reverse::REVERSE,
    &dynamic::DYNAMIC_SLICE,
    &dynamic::DYNAMIC_UPDATE_SLICE,
];
