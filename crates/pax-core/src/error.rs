//! One error type: a stable code, a sentence for people, and the row it came from.
use std::fmt;

/// The stable codes that users match on. The order is the wire order (`pax-abi`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    Shape,
    DType,
    Value,
    Tree,
    Trace,
    Device,
    Disposed,
    Memory,
    Io,
    Poisoned,
    Internal,
}

impl Code {
    pub const ALL: [Code; 11] = [
        Code::Shape,
        Code::DType,
        Code::Value,
        Code::Tree,
        Code::Trace,
        Code::Device,
        Code::Disposed,
        Code::Memory,
        Code::Io,
        Code::Poisoned,
        Code::Internal,
    ];
    pub fn name(self) -> &'static str {
        ["shape", "dtype", "value", "tree", "trace", "device", "disposed", "memory", "io", "poisoned", "internal"][self as usize]
    }
}

#[derive(Clone, Debug)]
pub struct Error {
    pub code: Code,
    pub op: Option<&'static str>,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error { code, op: None, message: message.into() }
    }
    pub fn shape(message: impl Into<String>) -> Self {
        Self::new(Code::Shape, message)
    }
    pub fn dtype(message: impl Into<String>) -> Self {
        Self::new(Code::DType, message)
    }
    pub fn value(message: impl Into<String>) -> Self {
        Self::new(Code::Value, message)
    }
    pub fn trace(message: impl Into<String>) -> Self {
        Self::new(Code::Trace, message)
    }
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }
    /// Names the row the error came from, unless an inner row already did.
    pub fn at(mut self, op: &'static str) -> Self {
        self.op.get_or_insert(op);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.op {
            Some(op) => write!(f, "{op}: {}", self.message),
            None => write!(f, "{}", self.message),
        }
    }
}
impl std::error::Error for Error {}
