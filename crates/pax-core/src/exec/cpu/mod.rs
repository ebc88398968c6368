//! Kernels on the CPU, a family a file. They know arrays, not rows.
pub mod conv;
pub mod gemm;
pub mod map;
pub mod reduce;
