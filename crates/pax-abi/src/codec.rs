//! The scratch: a reused array of doubles through which operands, parameters and descriptions travel.
use pax_core::params::{Kind, Param};
use pax_core::{Aval, Code, DType, Error, Params, Result, Value};

use crate::handles::{Handle, Handles};

/// Reads the scratch from the front.
pub struct Reader<'a> {
    data: &'a [f64],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(data: &'a [f64]) -> Self {
        Reader { data, at: 0 }
    }
    pub fn number(&mut self) -> Result<f64> {
        let x = self.data.get(self.at).copied().ok_or_else(|| Error::internal("the scratch ended early"))?;
        self.at += 1;
        Ok(x)
    }
    pub fn int(&mut self) -> Result<i64> {
        let x = self.number()?;
        if x.fract() != 0.0 || !x.is_finite() || x.abs() > 9007199254740992.0 {
            return Err(Error::value(format!("{x} is not an integer")));
        }
        Ok(x as i64)
    }
    pub fn count(&mut self) -> Result<usize> {
        let n = self.int()?;
        if n < 0 {
            return Err(Error::value("a negative count"));
        }
        // No scratch holds more than a `usize` can say, which has 32 bits in WebAssembly.
        usize::try_from(n).map_err(|_| Error::internal("the scratch ended early"))
    }
    pub fn handle(&mut self) -> Result<Handle> {
        Ok(self.number()? as Handle)
    }
    pub fn dtype(&mut self) -> Result<DType> {
        let i = self.count()?;
        DType::ALL.get(i).copied().ok_or_else(|| Error::dtype(format!("no dtype has the number {i}")))
    }
    pub fn dims(&mut self) -> Result<pax_core::Dims> {
        let n = self.count()?;
        (0..n)
            .map(|_| {
                let x = self.int()?;
                usize::try_from(x).map_err(|_| {
                    Error::shape(if x < 0 {
                        format!("a shape has the negative size {x}")
                    } else {
                        format!("a shape has the size {x}: more than can be counted")
                    })
                })
            })
            .collect()
    }
    /// A count of UTF-16 units, then the units.
    pub fn text(&mut self) -> Result<String> {
        let n = self.count()?;
        let units: Vec<u16> = (0..n).map(|_| Ok(self.int()? as u16)).collect::<Result<_>>()?;
        Ok(String::from_utf16_lossy(&units))
    }
    pub fn aval(&mut self) -> Result<Aval> {
        let (dtype, weak) = (self.dtype()?, self.number()? != 0.0);
        let aval = Aval { shape: self.dims()?, dtype, weak };
        aval.check()?;
        Ok(aval)
    }
    pub fn params(&mut self, spec: &'static [Param], handles: &Handles) -> Result<Params> {
        let mut values = Vec::with_capacity(spec.len());
        for p in spec {
            values.push(self.param(p, handles).map_err(|e| Error { message: format!("parameter {}: {}", p.name, e.message), ..e })?);
        }
        Params::new(spec, values)
    }
    fn param(&mut self, p: &Param, handles: &Handles) -> Result<Value> {
        Ok(match p.kind {
            Kind::Int => Value::Int(self.int()?),
            Kind::Ints => {
                let n = self.count()?;
                Value::Ints((0..n).map(|_| self.int()).collect::<Result<_>>()?)
            }
            Kind::Float => Value::Float(self.number()?),
            Kind::Bool => Value::Bool(self.number()? != 0.0),
            Kind::DType => Value::DType(self.dtype()?),
            Kind::Str => Value::Str(self.text()?.as_str().into()),
            Kind::Program => Value::Program(handles.program(self.handle()?)?),
            Kind::Choice(words) => {
                let i = self.count()?;
                if i >= words.len() {
                    return Err(Error::value(format!("must be one of {}", words.join(", "))));
                }
                Value::Choice(i as u8)
            }
        })
    }
}

/// Writes the scratch from the front.
pub struct Writer<'a> {
    data: &'a mut [f64],
    at: usize,
}

impl<'a> Writer<'a> {
    pub fn new(data: &'a mut [f64]) -> Self {
        Writer { data, at: 0 }
    }
    pub fn number(&mut self, x: f64) -> Result<()> {
        *self.data.get_mut(self.at).ok_or_else(|| Error::new(Code::Internal, "the scratch is too small for the answer"))? = x;
        self.at += 1;
        Ok(())
    }
    pub fn written(&self) -> usize {
        self.at
    }
    /// A parameter in the form in which `Reader` takes it; programs have no value of their own.
    pub fn param(&mut self, value: &Value) -> Result<()> {
        match value {
            Value::Int(x) => self.number(*x as f64),
            Value::Float(x) => self.number(*x),
            Value::Bool(x) => self.number(f64::from(u8::from(*x))),
            Value::DType(x) => self.number(f64::from(*x as u8)),
            Value::Choice(x) => self.number(f64::from(*x)),
            Value::Ints(xs) => {
                self.number(xs.len() as f64)?;
                xs.iter().try_for_each(|&x| self.number(x as f64))
            }
            Value::Str(x) => {
                let units: Vec<u16> = x.encode_utf16().collect();
                self.number(units.len() as f64)?;
                units.iter().try_for_each(|&u| self.number(f64::from(u)))
            }
            Value::Program(_) => self.number(0.0),
        }
    }
    pub fn aval(&mut self, a: &Aval) -> Result<()> {
        self.number(a.dtype as u8 as f64)?;
        self.number(f64::from(u8::from(a.weak)))?;
        self.number(a.shape.len() as f64)?;
        for &n in &a.shape {
            self.number(n as f64)?;
        }
        Ok(())
    }
}
