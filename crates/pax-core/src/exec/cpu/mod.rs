//! Kernels on the CPU, a family a file. They know arrays, not rows.
pub mod along;
pub mod conv;
pub mod gemm;
pub mod index;
mod lanes;
pub mod map;
pub mod math;
pub mod panel;
pub mod reduce;
pub mod rows;
pub mod threefry;
pub mod tile;
pub mod tile_int;
pub mod window;
#[cfg(test)]
mod tests;
