//! The walkers: each is one loop over a program's equations.
pub mod batch;
pub mod eval;
pub mod jvp;
pub mod split;
pub mod vjp;

pub use batch::{batch, batched};
pub use eval::inline;
pub use jvp::push;
pub use split::{halves, Halves};
pub use vjp::pull;
