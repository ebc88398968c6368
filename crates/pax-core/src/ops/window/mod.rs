//! Reductions over sliding windows (pooling) and their gradients.
use crate::exec::cpu::math::halves;
use crate::exec::cpu::window::{self, Axis, Windows};
use crate::exec::Exec;
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Jvp, Lift, Primitive, Pull, Row, Saves, Vjp};
use crate::params::{p, Kind, Param};
use crate::{dispatch_wide, Array, Aval, Cx, DType, Error, Params, Result, Tensor, Value};
use smallvec::smallvec;

pub const ROWS: &[&Row] = &[&WINDOW_MAX, &WINDOW_SUM, &WINDOW_SUM_GRAD, &WINDOW_MAX_GRAD, &WINDOW_MAX_PICK];

const PARAMS: &[Param] = &[p("window", Kind::Ints), p("strides", Kind::Ints), p("padding_low", Kind::Ints), p("padding_high", Kind::Ints)];
const SHAPED: &[Param] = &[PARAMS[0], PARAMS[1], PARAMS[2], PARAMS[3], p("shape", Kind::Ints)];

/// The axes of windows over `x`; checks everything that a user may get wrong.
fn axes(x: &[usize], p: &Params) -> Result<Vec<Axis>> {
    for s in &PARAMS[..4] {
        let v = p.ints(s.name)?;
        let least = if s.name.starts_with("padding") { -(1 << 31) } else { 1 };
        if v.len() != x.len() || v.iter().any(|&v| v < least || v > 1 << 31) {
            return Err(Error::value(format!(
                "{} must be {} integers, one an axis of {x:?}, of at least {least}, got {v:?}",
                s.name,
                x.len()
            )));
        }
    }
    let (window, strides, low, high) = (p.ints("window")?, p.ints("strides")?, p.ints("padding_low")?, p.ints("padding_high")?);
    let many = || Error::shape(format!("padding {low:?} and {high:?} make too many windows over {x:?}"));
    let all: Vec<Axis> = x
        .iter()
        .enumerate()
        .map(|(d, &size)| {
            let room = size as i64 + low[d] + high[d] - window[d];
            let out = if room < 0 { 0 } else { usize::try_from(room / strides[d] + 1).map_err(|_| many())? };
            Ok(Axis { size, out, window: window[d], stride: strides[d], low: low[d] })
        })
        .collect::<Result<_>>()?;
    let count = all.iter().try_fold(1usize, |n, a| n.checked_mul(a.out));
    if count.is_none_or(|n| n > isize::MAX as usize / 8) {
        return Err(many());
    }
    Ok(all)
}

fn windows(x: &[usize], p: &Params) -> Result<(Windows, Vec<usize>)> {
    let all = axes(x, p)?;
    Ok((Windows::new(&all), all.iter().map(|a| a.out).collect()))
}

fn numbers(x: &Aval) -> Result<()> {
    if x.dtype == DType::Bool {
        return Err(Error::dtype("bool cannot be summed: cast to an integer or a float"));
    }
    Ok(())
}

fn alike(x: &Aval, g: &Aval, shape: &[usize]) -> Result<()> {
    if g.dtype != x.dtype {
        return Err(Error::dtype(format!("operands have dtypes {} and {}", x.dtype.name(), g.dtype.name())));
    }
    if g.shape.as_slice() != shape {
        return Err(Error::shape(format!(
            "the second operand has shape {:?}, windows over {:?} need {shape:?}",
            g.shape.as_slice(),
            x.shape.as_slice()
        )));
    }
    Ok(())
}

fn forward_shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    Ok(smallvec![Aval { shape: windows(&xs[0].shape, p)?.1.into(), dtype: xs[0].dtype, weak: xs[0].weak }])
}

/// `f` of float32 copies of half floats; the result is rounded once.
fn one(exec: &Exec, xs: &[Array], f: &dyn Fn(&[&Array]) -> Result<Array>) -> Result<Arrays> {
    Ok(smallvec![halves(exec, &xs.iter().collect::<Vec<_>>(), f)?])
}

fn max_eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (w, out) = windows(&xs[0].shape, p)?;
    one(
        exec,
        xs,
        &|xs| dispatch_wide!(xs[0].dtype, T => Ok(exec.array_as(xs[0].dtype, window::max::<T>(exec, &w, &xs[0].to_slice::<T>()?), &out))),
    )
}

fn sum_eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (w, out) = windows(&xs[0].shape, p)?;
    one(
        exec,
        xs,
        &|xs| dispatch_wide!(xs[0].dtype, T => Ok(exec.array_as(xs[0].dtype, window::sum::<T>(exec, &w, &xs[0].to_slice::<T>()?), &out))),
    )
}

fn sum_grad_eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let shape = p.dims("shape")?;
    let (w, _) = windows(&shape, p)?;
    one(
        exec,
        xs,
        &|xs| dispatch_wide!(xs[0].dtype, T => Ok(exec.array_as(xs[0].dtype, window::sum_grad::<T>(exec, &w, &xs[0].to_slice::<T>()?), &shape))),
    )
}

fn max_grad_eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (w, _) = windows(&xs[0].shape, p)?;
    one(
        exec,
        xs,
        &|xs| dispatch_wide!(xs[0].dtype, T => Ok(exec.array_as(xs[0].dtype, window::max_grad::<T>(exec, &w, &xs[0].to_slice::<T>()?, &xs[1].to_slice::<T>()?), &xs[0].shape))),
    )
}

fn max_pick_eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (w, out) = windows(&xs[0].shape, p)?;
    one(
        exec,
        xs,
        &|xs| dispatch_wide!(xs[0].dtype, T => Ok(exec.array_as(xs[0].dtype, window::max_pick::<T>(exec, &w, &xs[0].to_slice::<T>()?, &xs[1].to_slice::<T>()?), &out))),
    )
}

/// The four parameters that all the rows have.
fn base(p: &Params) -> Vec<Value> {
    p.values()[..4].to_vec()
}

/// Windows of one along the new axis.
fn batch(b: &Batching) -> Result<crate::bind::Tensors> {
    let params: Result<Vec<Value>> = b
        .params
        .spec()
        .iter()
        .map(|s| {
            let front = match s.name {
                "window" | "strides" => 1,
                "shape" => b.size as i64,
                _ => 0,
            };
            let mut v = vec![front];
            v.extend_from_slice(b.params.ints(s.name)?);
            Ok(v.as_slice().into())
        })
        .collect();
    b.bind(params?, &b.all_mapped()?)
}

fn sum_vjp(p: &Pull) -> Result<Vec<Option<Tensor>>> {
    let mut params = base(p.params);
    params.push(p.x_avals[0].shape.as_slice().into());
    Ok(vec![p.want(0, || p.cx.one(&WINDOW_SUM_GRAD, params, &[p.g()?]))?])
}

struct Setting {
    x: &'static [usize],
    window: &'static [i64],
    strides: &'static [i64],
    low: &'static [i64],
    high: &'static [i64],
}

const SETTINGS: &[Setting] = &[
    Setting { x: &[], window: &[], strides: &[], low: &[], high: &[] },
    Setting { x: &[7], window: &[3], strides: &[2], low: &[0], high: &[0] },
    Setting { x: &[8], window: &[2], strides: &[1], low: &[1], high: &[0] },
    Setting { x: &[31], window: &[4], strides: &[3], low: &[-2], high: &[5] },
    Setting { x: &[2], window: &[3], strides: &[1], low: &[0], high: &[0] },
    Setting { x: &[2, 5, 4, 3], window: &[1, 2, 2, 1], strides: &[1, 2, 2, 1], low: &[0; 4], high: &[0; 4] },
    Setting { x: &[2, 4, 3, 2], window: &[1, 3, 3, 1], strides: &[1, 1, 1, 1], low: &[0, 1, 1, 0], high: &[0, 1, 1, 0] },
    Setting { x: &[3, 4, 9], window: &[2, 1, 3], strides: &[1, 1, 4], low: &[0, 0, 1], high: &[1, 0, -1] },
    Setting { x: &[0, 3], window: &[1, 2], strides: &[1, 1], low: &[0, 0], high: &[0, 0] },
    Setting { x: &[0, 3], window: &[1, 2], strides: &[1, 1], low: &[1, 0], high: &[1, 0] },
    Setting { x: &[1, 2], window: &[1, 1], strides: &[1, 2], low: &[0, 3], high: &[0, 2] },
];

impl Setting {
    fn params(&self) -> Vec<Value> {
        [self.window, self.strides, self.low, self.high].iter().map(|&v| v.into()).collect()
    }
    fn out(&self) -> Vec<usize> {
        (0..self.x.len())
            .map(|d| ((self.x[d] as i64 + self.low[d] + self.high[d] - self.window[d]).div_euclid(self.strides[d]) + 1).max(0) as usize)
            .collect()
    }
}

/// A sample a setting: x first if `x`, then what the row's other operand has the shape of.
fn samples(x: bool, other: Option<bool>, shaped: bool) -> Vec<Sample> {
    let r = Domain::Range(-2.0, 2.0);
    let mut out: Vec<Sample> = SETTINGS
        .iter()
        .map(|s| {
            let mut inputs = if x { vec![Input::new(s.x, r)] } else { vec![] };
            if let Some(like_y) = other {
                inputs.push(Input::new(&if like_y { s.out() } else { s.x.to_vec() }, r));
            }
            let mut params = s.params();
            if shaped {
                params.push(s.x.into());
            }
            Sample::new(inputs, params)
        })
        .collect();
    if let (true, Some(s)) = (x, SETTINGS.get(7)) {
        for (layout, smooth) in [(Layout::Transposed, true), (Layout::Broadcast, false)] {
            let mut inputs = vec![Input::new(s.x, r).laid(layout)];
            if let Some(like_y) = other {
                inputs.push(Input::new(&if like_y { s.out() } else { s.x.to_vec() }, r));
            }
            let sample = Sample::new(inputs, s.params());
            out.push(if smooth { sample } else { sample.rough() });
        }
    }
    out
}

pub static WINDOW_MAX: Row = Row {
    name: "window_max",
    doc: "Greatest element of each window over x; padding is the least value. NaN wins; of equal ones the first in the \
        window gets the gradient.",
    operands: &["x"],
    params: PARAMS,
    many: false,
    lift: Lift::None,
    shape: forward_shape,
    body: Body::Primitive(Primitive { eval: max_eval }),
    saves: Saves::INPUTS,
    vjp: Vjp::Rule(|p| Ok(vec![p.want(0, || p.cx.one(&WINDOW_MAX_GRAD, base(p.params), &[p.x(0)?, p.g()?]))?])),
    jvp: Jvp::Derived,
    batch: Batch::Rule(batch),
    // Windows of padding alone are -inf, which has no differences.
    samples: || {
        samples(true, None, false).into_iter().enumerate().map(|(i, s)| if [3, 9, 10].contains(&i) { s.rough() } else { s }).collect()
    },
};

pub static WINDOW_SUM: Row = Row {
    name: "window_sum",
    doc: "Sum of each window over x, in x's dtype; padding is 0.",
    operands: &["x"],
    params: PARAMS,
    many: false,
    lift: Lift::None,
    shape: |xs, p| {
        numbers(xs[0])?;
        forward_shape(xs, p)
    },
    body: Body::Primitive(Primitive { eval: sum_eval }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(sum_vjp),
    jvp: Jvp::Linear,
    batch: Batch::Rule(batch),
    samples: || samples(true, None, false),
};

pub static WINDOW_SUM_GRAD: Row = Row {
    name: "window_sum_grad",
    doc: "Cotangent of `window_sum`'s x, of `shape`: the sum of the windows that cover each element.",
    operands: &["g"],
    params: SHAPED,
    many: false,
    lift: Lift::None,
    shape: |xs, p| {
        let shape = p.dims("shape")?;
        numbers(xs[0])?;
        let x = Aval { shape: shape.clone(), dtype: xs[0].dtype, weak: xs[0].weak };
        alike(&x, xs[0], &windows(&shape, p)?.1)?;
        Ok(smallvec![x])
    },
    body: Body::Primitive(Primitive { eval: sum_grad_eval }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(|p| Ok(vec![p.want(0, || p.cx.one(&WINDOW_SUM, base(p.params), &[p.g()?]))?])),
    jvp: Jvp::Linear,
    batch: Batch::Rule(batch),
    samples: || samples(false, Some(true), true),
};

pub static WINDOW_MAX_GRAD: Row = Row {
    name: "window_max_grad",
    doc: "Cotangent of `window_max`'s x: each window's g, added to the first greatest element of the window (XLA's SelectAndScatter).",
    operands: &["x", "g"],
    params: PARAMS,
    many: false,
    lift: Lift::None,
    shape: |xs, p| {
        numbers(xs[0])?;
        alike(xs[0], xs[1], &windows(&xs[0].shape, p)?.1)?;
        Ok(smallvec![Aval { shape: xs[0].shape.clone(), dtype: xs[0].dtype, weak: xs[0].weak && xs[1].weak }])
    },
    body: Body::Primitive(Primitive { eval: max_grad_eval }),
    saves: Saves::input_at(&[0]),
    vjp: Vjp::Rule(|p| Ok(vec![None, p.want(1, || p.cx.one(&WINDOW_MAX_PICK, base(p.params), &[p.x(0)?, p.g()?]))?])),
    jvp: Jvp::Derived,
    batch: Batch::Rule(batch),
    samples: || samples(true, Some(true), false),
};

pub static WINDOW_MAX_PICK: Row = Row {
    name: "window_max_pick",
    doc: "For each window the element of h where x has its first greatest one; 0 for a window of padding alone.",
    operands: &["x", "h"],
    params: PARAMS,
    many: false,
    lift: Lift::None,
    shape: |xs, p| {
        alike(xs[0], xs[1], &xs[0].shape)?;
        Ok(smallvec![Aval { shape: windows(&xs[0].shape, p)?.1.into(), dtype: xs[0].dtype, weak: xs[0].weak && xs[1].weak }])
    },
    body: Body::Primitive(Primitive { eval: max_pick_eval }),
    saves: Saves::input_at(&[0]),
    vjp: Vjp::Rule(|p| Ok(vec![None, p.want(1, || p.cx.one(&WINDOW_MAX_GRAD, base(p.params), &[p.x(0)?, p.g()?]))?])),
    jvp: Jvp::Derived,
    batch: Batch::Rule(batch),
    samples: || samples(true, Some(false), false),
};

impl Cx {
    /// `params`: window, strides, padding low and high, an integer an axis.
    pub fn window_max(&self, x: &Tensor, params: [&[i64]; 4]) -> Result<Tensor> {
        self.one(&WINDOW_MAX, params.map(Value::from), &[x])
    }
    pub fn window_sum(&self, x: &Tensor, params: [&[i64]; 4]) -> Result<Tensor> {
        self.one(&WINDOW_SUM, params.map(Value::from), &[x])
    }
}

#[cfg(test)]
mod tests;
