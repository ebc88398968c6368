//! Rows as functions, for rules and composites: `cx.mul(a, b)?`. Operands already agree in shape and dtype.
use crate::{Cx, DType, Error, Params, Result, Row, Tensor, Value};

impl Cx {
    /// Binds a row with one result.
    pub fn one(&self, row: &'static Row, params: impl IntoIterator<Item = Value>, xs: &[&Tensor]) -> Result<Tensor> {
        let xs: smallvec::SmallVec<[Tensor; 3]> = xs.iter().map(|&x| x.clone()).collect();
        self.bind(row, Params::new(row.params, params)?, &xs)?
            .into_iter()
            .next()
            .ok_or_else(|| Error::internal(format!("{} gave nothing", row.name)))
    }

    pub fn zeros(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
        self.full(shape, dtype, 0.0)
    }
    pub fn zeros_like(&self, x: &Tensor) -> Result<Tensor> {
        self.zeros(x.shape(), x.dtype())
    }
    pub fn ones_like(&self, x: &Tensor) -> Result<Tensor> {
        self.full(x.shape(), x.dtype(), 1.0)
    }
    /// A constant of `x`'s shape and dtype.
    pub fn like(&self, x: &Tensor, value: f64) -> Result<Tensor> {
        self.full(x.shape(), x.dtype(), value)
    }
    /// `x * c`.
    pub fn scale(&self, x: &Tensor, c: f64) -> Result<Tensor> {
        self.mul(x, &self.like(x, c)?)
    }
    /// Elements `from..to` along `axis`.
    pub fn part(&self, x: &Tensor, axis: usize, from: usize, to: usize) -> Result<Tensor> {
        let (mut start, mut limit) = (vec![0; x.ndim()], x.shape().to_vec());
        (start[axis], limit[axis]) = (from, to);
        self.slice(x, &start, &limit, &vec![1; x.ndim()])
    }
    /// `x + c`.
    pub fn shift(&self, x: &Tensor, c: f64) -> Result<Tensor> {
        self.add(x, &self.like(x, c)?)
    }
}
