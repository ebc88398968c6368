//! What the bindings share: the session of one JavaScript thread, its handle table and the codec of the
//! scratch, and the pool of its process.
//! A binding adds nothing but the calling convention of its host.
pub mod codec;
pub mod handles;
pub mod manifest;
pub mod pool;
pub mod session;

pub use handles::{Entry, FreeList, Handle};
pub use session::Session;
