//! Convolution and its gradients, channels last.
use crate::Row;

pub const ROWS: &[&Row] = &[];
