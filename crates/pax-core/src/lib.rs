//! The engine of paxjs: tensors, one recorder with levels, the table of rows, and the walkers.
//! It knows no JavaScript. See `docs/engine.md` for the map.
pub mod array;
pub mod bind;
pub mod error;
pub mod exec;
pub mod level;
pub mod meter;
pub mod ops;
pub mod params;
pub mod plan;
pub mod program;
mod storage;
pub mod tensor;
pub mod walk;

pub use array::Array;
pub use bind::Cx;
pub use error::{Code, Error, Result};
pub use meter::Meter;
pub use ops::{row, Row, TABLE};
pub use params::{Params, Value};
pub use pax_kernels::{dispatch, dispatch_size, dtype, DType};
pub use program::{Program, Var};
pub use tensor::{Aval, Dims, Tensor};
