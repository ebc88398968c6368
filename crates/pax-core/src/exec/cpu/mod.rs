//! Kernels on the CPU, a family a file. They know arrays, not rows.
pub mod along;
pub mod conv;
pub mod gemm;
pub mod index;
pub mod map;
pub mod math;
pub mod reduce;
pub mod window;

pub use pax_kernels::{panel, rows, threefry, tile, tile_int};

#[cfg(test)]
mod tests;
