//! Numbers of distributions, made of random bits as JAX makes them.
use std::f64::consts::SQRT_2;

use super::bits::{RANDOM_BITS, RANDOM_SPLIT};
use crate::bind::Tensors;
use crate::ops::lift::broadcast_shapes;
use crate::ops::samples::{Domain, Input, Sample};
use crate::ops::{Avals, Batch, Body, Composite, Jvp, Lift, Row, Saves, Vjp, EXPANDED};
use crate::params::{p, Kind, Param};
use crate::{Aval, Cx, DType, Error, Params, Result, Tensor, Value};
use smallvec::smallvec;

const SHAPE_DTYPE: &[Param] = &[p("shape", Kind::Ints), p("dtype", Kind::DType)];

/// `width`: which of RANDOM_BITS' it draws, as JAX; `bits` of it, and of the mantissa; `tiny`: the least normal number.
struct Format {
    width: u8,
    bits: i32,
    mantissa: i32,
    tiny: f64,
}

fn format(dtype: DType) -> Result<Format> {
    let (width, bits, mantissa, exponent) = match dtype {
        DType::F32 => (0, 32, 23, -126),
        DType::F64 => (1, 64, 52, -1022),
        DType::F16 => (2, 16, 10, -14),
        DType::BF16 => (3, 8, 7, -126),
        d => return Err(Error::dtype(format!("it gives floats, not {}", d.name()))),
    };
    Ok(Format { width, bits, mantissa, tiny: 2f64.powi(exponent) })
}

fn bits(cx: &Cx, key: &Tensor, shape: &[usize], width: u8) -> Result<Tensor> {
    cx.one(&RANDOM_BITS, [shape.into(), Value::Choice(width)], &[key])
}

/// Place `i` of an axis, without the axis.
fn at(cx: &Cx, x: &Tensor, axis: usize, i: usize) -> Result<Tensor> {
    let mut shape = x.shape().to_vec();
    shape.remove(axis);
    cx.reshape(&cx.part(x, axis, i, i + 1)?, &shape)
}

/// Numbers in [0, 1) with all the bits that a mantissa holds.
fn unit(cx: &Cx, key: &Tensor, p: &Params) -> Result<Tensor> {
    let (shape, dtype) = (p.dims("shape")?, p.dtype("dtype")?);
    let Format { width, bits: all, mantissa, .. } = format(dtype)?;
    let words = bits(cx, key, &shape, width)?;
    let shifted = |x: &Tensor, n: i32| cx.shift_right(x, &cx.like(x, n.into())?);
    if dtype != DType::F64 {
        return cx.cast(&cx.scale(&cx.cast(&shifted(&words, all - mantissa)?, DType::F32)?, 2f64.powi(-mantissa))?, dtype);
    }
    let axis = words.ndim() - 1;
    let float = |x: &Tensor, factor: f64| cx.scale(&cx.cast(x, dtype)?, factor);
    cx.add(&float(&at(cx, &words, axis, 0)?, 2f64.powi(-32))?, &float(&shifted(&at(cx, &words, axis, 1)?, 12)?, 2f64.powi(-52))?)
}

/// Numbers from `low` up to, but not including, `high`, which are of the dtype.
fn between(cx: &Cx, key: &Tensor, p: &Params, low: &Tensor, high: &Tensor) -> Result<Tensor> {
    let u = unit(cx, key, p)?;
    let (span, low) = (cx.broadcast_to(&cx.sub(high, low)?, u.shape())?, cx.broadcast_to(low, u.shape())?);
    cx.maximum(&low, &cx.add(&cx.mul(&u, &span)?, &low)?)
}
fn between_numbers(cx: &Cx, key: &Tensor, p: &Params, low: f64, high: f64) -> Result<Tensor> {
    let end = |x| cx.full(&[], p.dtype("dtype")?, x);
    between(cx, key, p, &end(low)?, &end(high)?)
}

/// Numbers between -1 and 1, neither included.
fn symmetric(cx: &Cx, key: &Tensor, p: &Params) -> Result<Tensor> {
    between_numbers(cx, key, p, -1.0 + 2f64.powi(-format(p.dtype("dtype")?)?.mantissa - 1), 1.0)
}

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let mut shape = xs[0].shape.clone();
    shape.pop();
    shape.extend_from_slice(&p.dims("shape")?);
    Ok(smallvec![Aval { shape, dtype: p.dtype("dtype")?, weak: false }])
}

type Draw = fn(&Cx, &Params, &[Tensor]) -> Result<Tensor>;

macro_rules! draw {
    ($NAME:ident $name:literal, $doc:literal, $operands:expr, $params:expr, [$($more:expr),*], $f:expr) => {
        pub static $NAME: Row = Row {
            name: $name, doc: $doc, operands: $operands, params: $params, many: false, lift: Lift::None, shape,
            body: Body::Composite(Composite { expand: |cx, p, xs| -> Result<Tensors> { const F: Draw = $f; Ok(smallvec![F(cx, p, xs)?]) }, fused: None }),
            saves: Saves::NONE, vjp: Vjp::None(EXPANDED), jvp: Jvp::None(EXPANDED), batch: Batch::None(EXPANDED),
            samples: || [DType::F32, DType::F64].iter().flat_map(|&d| [&[][..], &[7], &[3, 4]].map(|s: &[i64]| {
                let key = Input::new(&[2], Domain::Bits);
                let inputs = std::iter::once(key).chain((1..$operands.len()).map(|i| Input::new(&[], Domain::Range(i as f64, i as f64 + 0.5)))).collect();
                Sample::new(inputs, [$(Value::Float($more),)*].into_iter().chain([s.into(), Value::DType(d)]).collect()).rough()
            })).collect(),
        };
    };
}

draw!(UNIFORM "uniform", "Numbers from `low` up to, but not including, `high`, which broadcast to `shape`.", &["key", "low", "high"], SHAPE_DTYPE, [], |cx, p, xs| {
    let (shape, dtype) = (p.dims("shape")?, p.dtype("dtype")?);
    let all = broadcast_shapes(&[xs[1].shape(), xs[2].shape(), &shape])?;
    if all != shape { return Err(Error::shape(format!("{:?} does not broadcast to {:?}: from the right, axes must be equal \
        or 1", all.as_slice(), shape.as_slice()))); }
    let ends = broadcast_shapes(&[xs[1].shape(), xs[2].shape()])?;
    let end = |x: &Tensor| cx.broadcast_to(&cx.cast(x, dtype)?, &ends);
    between(cx, &xs[0], p, &end(&xs[1])?, &end(&xs[2])?)
});
draw!(NORMAL "normal", "Numbers of the normal distribution with mean 0 and variance 1.", &["key"], SHAPE_DTYPE, [], |cx, p, xs| cx.scale(&cx.erfinv(&symmetric(cx, &xs[0], p)?)?, SQRT_2));
draw!(LAPLACE "laplace", "Numbers of Laplace's distribution with mean 0 and scale 1.", &["key"], SHAPE_DTYPE, [], |cx, p, xs| {
    let u = symmetric(cx, &xs[0], p)?;
    cx.mul(&cx.sign(&u)?, &cx.log1p(&cx.neg(&cx.abs(&u)?)?)?)
});
draw!(EXPONENTIAL "exponential", "Numbers of the exponential distribution with mean 1.", &["key"], SHAPE_DTYPE, [], |cx, p, xs| cx.neg(&cx.log1p(&cx.neg(&between_numbers(cx, &xs[0], p, 0.0, 1.0)?)?)?));
draw!(GUMBEL "gumbel", "Numbers of Gumbel's distribution with location 0 and scale 1.", &["key"], SHAPE_DTYPE, [], |cx, p, xs| {
    let u = between_numbers(cx, &xs[0], p, format(p.dtype("dtype")?)?.tiny, 1.0)?;
    cx.neg(&cx.log(&cx.neg(&cx.log(&u)?)?)?)
});

/// The next number above `x`, or below, that a mantissa of so many bits holds.
fn neighbour(x: f64, above: bool, mantissa: i32) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let (exponent, direction) = (x.abs().log2().floor() as i32, if above { 1.0 } else { -1.0 });
    let power = x.abs() == 2f64.powi(exponent) && (x > 0.0) != above;
    x + direction * 2f64.powi(exponent - mantissa - i32::from(power))
}

draw!(TRUNCATED_NORMAL "truncated_normal", "Numbers of the normal distribution with mean 0 and variance 1 that lie between `lower` and `upper`.",
&["key"], &[p("lower", Kind::Float), p("upper", Kind::Float), p("shape", Kind::Ints), p("dtype", Kind::DType)], [-1.0, 1.5], |cx, p, xs| {
    let (dtype, lower, upper) = (p.dtype("dtype")?, p.float("lower")?, p.float("upper")?);
    let mantissa = format(dtype)?.mantissa;
    let end = |x| cx.erf(&cx.div(&cx.full(&[], dtype, x)?, &cx.full(&[], dtype, SQRT_2)?)?);
    let x = cx.scale(&cx.erfinv(&between(cx, &xs[0], p, &end(lower)?, &end(upper)?)?)?, SQRT_2)?;
    cx.minimum(&cx.maximum(&x, &cx.like(&x, neighbour(lower, true, mantissa))?)?, &cx.like(&x, neighbour(upper, false, mantissa))?)
});

/// Two draws of 32 or 64 bits modulo `span`, joined modulo it: JAX's way to a small bias. 64 bits are taken word by word, so that no product leaves int64.
fn offset(cx: &Cx, key: &Tensor, p: &Params, span: u64) -> Result<Tensor> {
    if span == 0 {
        return Err(Error::value("there is no integer in a span of 0"));
    }
    let (shape, wide) = (p.dims("shape")?, p.dtype("dtype")? == DType::I64);
    // All of uint32 wraps by itself.
    let modulo = |x: &Tensor| if span == 1 << 32 { Ok(x.clone()) } else { cx.remainder(x, &cx.like(x, span as f64)?) };
    let joined = |high: &Tensor, low: &Tensor, by: u64| modulo(&cx.add(&cx.scale(&modulo(high)?, by as f64)?, &modulo(low)?)?);
    let keys = cx.one(&RANDOM_SPLIT, [2i64.into()], &[key])?;
    let axis = keys.ndim() - 2;
    let drawn = |i: usize| -> Result<Tensor> {
        let words = bits(cx, &at(cx, &keys, axis, i)?, &shape, u8::from(wide))?;
        if !wide {
            return Ok(words);
        }
        let words = cx.cast(&words, DType::I64)?;
        let last = words.ndim() - 1;
        joined(&at(cx, &words, last, 0)?, &at(cx, &words, last, 1)?, (1 << 32) % span)
    };
    // 2^32 modulo the span, and of 64 bits its square; of 32 bits in uint32's arithmetic.
    let by = if wide {
        u128::from((1u64 << 32) % span).pow(2) % u128::from(span)
    } else {
        let half = u128::from((1u64 << 16) % span);
        half * half % (1 << 32) % u128::from(span)
    };
    joined(&drawn(0)?, &drawn(1)?, by as u64)
}

draw!(RANDINT "randint", "Integers from `low` up to, but not including, `low + span`.",
&["key"], &[p("low", Kind::Float), p("span", Kind::Float), p("shape", Kind::Ints), p("dtype", Kind::DType)], [-3.0, 10.0], |cx, p, xs| {
    let x = cx.cast(&offset(cx, &xs[0], p, p.float("span")? as u64)?, p.dtype("dtype")?)?;
    cx.shift(&x, p.float("low")?)
});
