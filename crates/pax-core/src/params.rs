//! Typed parameters of a row: what is static in an equation (axes, shapes, dtypes, sub-programs).
use std::rc::Rc;

use smallvec::SmallVec;

use crate::{DType, Error, Program, Result};

/// The type of a parameter, as the table declares it. Generated code and the codec follow it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Int,
    Ints,
    Float,
    Bool,
    DType,
    Str,
    Program,
    Choice(&'static [&'static str]),
}

/// A declared parameter.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    pub name: &'static str,
    pub kind: Kind,
}

/// Shorthand for the table: `p("axes", Kind::Ints)`.
pub const fn p(name: &'static str, kind: Kind) -> Param {
    Param { name, kind }
}

#[derive(Clone, Debug)]
pub enum Value {
    Int(i64),
    Ints(SmallVec<[i64; 6]>),
    Float(f64),
    Bool(bool),
    DType(DType),
    Str(Rc<str>),
    Program(Rc<Program>),
    /// Index into the declared choices.
    Choice(u8),
}

impl Value {
    /// Same parameter: floats by bits (so NaN equals itself and −0 differs from 0), programs by identity.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Ints(a), Value::Ints(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::DType(a), Value::DType(b)) => a == b,
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Program(a), Value::Program(b)) => Rc::ptr_eq(a, b),
            (Value::Choice(a), Value::Choice(b)) => a == b,
            _ => false,
        }
    }
}

impl From<i64> for Value {
    fn from(x: i64) -> Self {
        Value::Int(x)
    }
}
impl From<usize> for Value {
    fn from(x: usize) -> Self {
        Value::Int(x as i64)
    }
}
impl From<f64> for Value {
    fn from(x: f64) -> Self {
        Value::Float(x)
    }
}
impl From<bool> for Value {
    fn from(x: bool) -> Self {
        Value::Bool(x)
    }
}
impl From<DType> for Value {
    fn from(x: DType) -> Self {
        Value::DType(x)
    }
}
impl From<&str> for Value {
    fn from(x: &str) -> Self {
        Value::Str(x.into())
    }
}
impl From<&[usize]> for Value {
    fn from(x: &[usize]) -> Self {
        Value::Ints(x.iter().map(|&v| v as i64).collect())
    }
}
impl From<&[i64]> for Value {
    fn from(x: &[i64]) -> Self {
        Value::Ints(x.into())
    }
}
impl<const N: usize> From<[i64; N]> for Value {
    fn from(x: [i64; N]) -> Self {
        Value::Ints(x.as_slice().into())
    }
}
impl From<Rc<Program>> for Value {
    fn from(x: Rc<Program>) -> Self {
        Value::Program(x)
    }
}

/// An integer as a size, which has 32 bits in WebAssembly.
pub fn size(name: &str, x: i64) -> Result<usize> {
    usize::try_from(x).map_err(|_| {
        if x < 0 {
            Error::value(format!("{name} must not be negative, got {x}"))
        } else {
            Error::shape(format!("{name} is {x}: more than can be counted"))
        }
    })
}

/// The parameters of one equation, in the order of the row's declaration.
#[derive(Clone, Debug)]
pub struct Params {
    spec: &'static [Param],
    values: SmallVec<[Value; 2]>,
}

impl Params {
    pub fn none() -> Params {
        Params { spec: &[], values: SmallVec::new() }
    }
    /// Pairs values with a row's declaration; kinds must agree.
    pub fn new(spec: &'static [Param], values: impl IntoIterator<Item = Value>) -> Result<Params> {
        let values: SmallVec<[Value; 2]> = values.into_iter().collect();
        let fits = spec.len() == values.len()
            && spec.iter().zip(&values).all(|(s, v)| {
                matches!(
                    (s.kind, v),
                    (Kind::Int, Value::Int(_))
                        | (Kind::Ints, Value::Ints(_))
                        | (Kind::Float, Value::Float(_))
                        | (Kind::Bool, Value::Bool(_))
                        | (Kind::DType, Value::DType(_))
                        | (Kind::Str, Value::Str(_))
                        | (Kind::Program, Value::Program(_))
                        | (Kind::Choice(_), Value::Choice(_))
                )
            });
        if !fits {
            return Err(Error::internal(format!("parameters {values:?} do not fit their declaration {spec:?}")));
        }
        Ok(Params { spec, values })
    }
    pub fn spec(&self) -> &'static [Param] {
        self.spec
    }
    pub fn values(&self) -> &[Value] {
        &self.values
    }
    pub fn same(&self, other: &Params) -> bool {
        self.values.len() == other.values.len() && self.values.iter().zip(&other.values).all(|(a, b)| a.same(b))
    }
    fn get(&self, name: &str) -> Result<&Value> {
        self.spec
            .iter()
            .position(|s| s.name == name)
            .map(|i| &self.values[i])
            .ok_or_else(|| Error::internal(format!("no parameter {name} in {:?}", self.spec)))
    }
    pub fn int(&self, name: &str) -> Result<i64> {
        if let Value::Int(x) = self.get(name)? {
            Ok(*x)
        } else {
            self.wrong(name)
        }
    }
    pub fn ints(&self, name: &str) -> Result<&[i64]> {
        if let Value::Ints(x) = self.get(name)? {
            Ok(x)
        } else {
            self.wrong(name)
        }
    }
    /// Non-negative integers: a shape, or normalised axes.
    pub fn dims(&self, name: &str) -> Result<crate::Dims> {
        self.ints(name)?.iter().map(|&x| size(name, x)).collect()
    }
    pub fn float(&self, name: &str) -> Result<f64> {
        if let Value::Float(x) = self.get(name)? {
            Ok(*x)
        } else {
            self.wrong(name)
        }
    }
    pub fn bool(&self, name: &str) -> Result<bool> {
        if let Value::Bool(x) = self.get(name)? {
            Ok(*x)
        } else {
            self.wrong(name)
        }
    }
    pub fn dtype(&self, name: &str) -> Result<DType> {
        if let Value::DType(x) = self.get(name)? {
            Ok(*x)
        } else {
            self.wrong(name)
        }
    }
    pub fn str(&self, name: &str) -> Result<&str> {
        if let Value::Str(x) = self.get(name)? {
            Ok(x)
        } else {
            self.wrong(name)
        }
    }
    pub fn program(&self, name: &str) -> Result<&Rc<Program>> {
        if let Value::Program(x) = self.get(name)? {
            Ok(x)
        } else {
            self.wrong(name)
        }
    }
    /// The programs among the parameters, in order.
    pub fn programs(&self) -> impl Iterator<Item = &Rc<Program>> {
        self.values.iter().filter_map(|v| if let Value::Program(p) = v { Some(p) } else { None })
    }
    /// The chosen word of a `Choice` parameter.
    pub fn choice(&self, name: &str) -> Result<&'static str> {
        let i = self.spec.iter().position(|s| s.name == name);
        match i.map(|i| (self.spec[i].kind, &self.values[i])) {
            Some((Kind::Choice(words), Value::Choice(c))) => {
                words.get(*c as usize).copied().ok_or_else(|| Error::internal(format!("choice {c} of {name}")))
            }
            _ => self.wrong(name),
        }
    }
    fn wrong<T>(&self, name: &str) -> Result<T> {
        Err(Error::internal(format!("parameter {name} has another kind")))
    }
}
