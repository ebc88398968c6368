//! Parts of a tensor as views, and padding, which is their transpose.
use crate::array::{copy_strided, row_major};
use crate::exec::Exec;
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, size, Kind};
use crate::{Array, Aval, Cx, Error, Params, Result, Tensor, Value};
use smallvec::smallvec;

/// The strides, none greater than its axis: greater ones mean the same.
fn strides(x: &[usize], p: &Params) -> Result<crate::Dims> {
    p.ints("stride")?.iter().enumerate().map(|(d, &s)| size("stride", s.min(x.get(d).map_or(1, |&n| n.max(1) as i64)))).collect()
}

fn slice_shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let (x, start, limit, stride) = (xs[0], p.dims("start")?, p.dims("limit")?, strides(&xs[0].shape, p)?);
    let n = x.ndim();
    let fits = start.len() == n
        && limit.len() == n
        && stride.len() == n
        && (0..n).all(|d| start[d] <= limit[d] && limit[d] <= x.shape[d] && stride[d] > 0);
    if !fits {
        return Err(Error::shape(format!(
            "start {start:?}, limit {limit:?}, stride {stride:?} do not fit {:?}: each needs one \
            number an axis, 0 <= start <= limit <= size and stride > 0",
            x.shape.as_slice()
        )));
    }
    Ok(smallvec![Aval { shape: (0..n).map(|d| (limit[d] - start[d]).div_ceil(stride[d])).collect(), dtype: x.dtype, weak: x.weak }])
}

fn slice_eval(_: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (x, start, limit, stride) = (&xs[0], p.dims("start")?, p.dims("limit")?, strides(&xs[0].shape, p)?);
    let shape: Vec<usize> = (0..x.ndim()).map(|d| (limit[d] - start[d]).div_ceil(stride[d])).collect();
    let strides: Vec<isize> = (0..x.ndim()).map(|d| x.strides[d] * stride[d] as isize).collect();
    // An empty view stays at the start: it may not point behind the buffer.
    let offset = if shape.contains(&0) {
        0
    } else {
        (x.offset as isize + (0..x.ndim()).map(|d| start[d] as isize * x.strides[d]).sum::<isize>()) as usize
    };
    Ok(smallvec![x.view(&shape, &strides, offset)])
}

fn with_front(b: &Batching, name: &str, front: i64) -> Result<Value> {
    let mut v = vec![front];
    v.extend_from_slice(b.params.ints(name)?);
    Ok(v.as_slice().into())
}

pub static SLICE: Row = Row {
    name: "slice",
    doc: "Elements `start`, `start + stride`, … below `limit` along each axis: a view.",
    operands: &["x"],
    params: &[p("start", Kind::Ints), p("limit", Kind::Ints), p("stride", Kind::Ints)],
    many: false,
    lift: Lift::None,
    shape: slice_shape,
    body: Body::Primitive(Primitive { eval: slice_eval }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(|p| {
        let (start, stride) = (p.params.ints("start")?, p.params.ints("stride")?);
        let (x, y) = (p.x_avals[0], p.y_avals[0]);
        let high: Vec<i64> = (0..x.ndim())
            .map(|d| x.shape[d] as i64 - start[d] - if y.shape[d] == 0 { 0 } else { (y.shape[d] as i64 - 1) * stride[d] + 1 })
            .collect();
        let interior: Vec<i64> = stride.iter().zip(&y.shape).map(|(s, &n)| if n > 1 { s - 1 } else { 0 }).collect();
        Ok(vec![p.want(0, || p.cx.pad(p.g()?, &p.cx.zeros(&[], x.dtype)?, start, &high, &interior))?])
    }),
    jvp: Jvp::Linear,
    batch: Batch::Rule(|b| b.bind([with_front(b, "start", 0)?, with_front(b, "limit", b.size as i64)?, with_front(b, "stride", 1)?], b.xs)),
    samples: || {
        let case = |x: &[usize], a: &[i64], l: &[i64], s: &[i64]| {
            Sample::new(vec![Input::new(x, Domain::Range(-2.0, 2.0))], vec![a.into(), l.into(), s.into()])
        };
        let mut out = vec![
            case(&[], &[], &[], &[]),
            case(&[7], &[2], &[7], &[2]),
            case(&[8], &[3], &[3], &[1]),
            case(&[9], &[0], &[8], &[3]),
            case(&[0, 3], &[0, 1], &[0, 3], &[1, 1]),
            case(&[31], &[1], &[30], &[1]),
        ];
        for l in [Layout::Transposed, Layout::Broadcast] {
            out.push(Sample::new(
                vec![Input::new(&[3, 4], Domain::Range(-2.0, 2.0)).laid(l)],
                vec![[1i64, 0].into(), [3i64, 4].into(), [1i64, 2].into()],
            ));
        }
        out
    },
};

fn spread(n: usize, interior: i64) -> i64 {
    if n == 0 {
        0
    } else {
        (n as i64 - 1).saturating_mul(interior.saturating_add(1)).saturating_add(1)
    }
}

fn pad_shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let (x, low, high, interior) = (xs[0], p.ints("low")?, p.ints("high")?, p.ints("interior")?);
    let n = x.ndim();
    if xs[1].ndim() != 0 || xs[1].dtype != x.dtype {
        return Err(Error::shape(format!("the padding value must be a {} scalar, got {}", x.dtype.name(), xs[1])));
    }
    if low.len() != n || high.len() != n || interior.len() != n || interior.iter().any(|&i| i < 0) {
        return Err(Error::shape(format!(
            "low {low:?}, high {high:?}, interior {interior:?} do not fit {:?}: each needs one number an axis, interior none below 0",
            x.shape.as_slice()
        )));
    }
    let shape: Result<crate::Dims> = (0..n)
        .map(|d| {
            let m = spread(x.shape[d], interior[d]).saturating_add(low[d]).saturating_add(high[d]);
            if m < 0 {
                return Err(Error::shape(format!(
                    "axis {d} of {:?} cropped by {} and {} has a negative size",
                    x.shape.as_slice(),
                    low[d],
                    high[d]
                )));
            }
            size("the padded axis", m)
        })
        .collect();
    Ok(smallvec![Aval { shape: shape?, dtype: x.dtype, weak: x.weak && xs[1].weak }])
}

fn pad_eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (x, low, interior) = (&xs[0], p.ints("low")?, p.ints("interior")?);
    let high = p.ints("high")?;
    let shape: Vec<usize> =
        (0..x.ndim()).map(|d| spread(x.shape[d], interior[d]).saturating_add(low[d]).saturating_add(high[d]) as usize).collect();
    let to = row_major(&shape);
    // The elements that stay, and where they go: where there are none, that may be outside of all memory.
    let (mut kept, mut from_at, mut to_at) = (Vec::new(), x.offset as isize, 0isize);
    let mut to_strides: smallvec::SmallVec<[isize; 6]> = smallvec![];
    for d in 0..x.ndim() {
        let step = interior[d] + 1;
        let first = ((-low[d]).max(0) + step - 1) / step;
        let end = (shape[d] as i64 - 1 - low[d]).div_euclid(step) + 1;
        kept.push((end.min(x.shape[d] as i64) - first).max(0) as usize);
        from_at = from_at.wrapping_add((first as isize).wrapping_mul(x.strides[d]));
        to_at = to_at.wrapping_add(((low[d] + first * step) as isize).wrapping_mul(to[d]));
        to_strides.push(to[d].wrapping_mul(step as isize));
    }
    let out = exec.empty(x.dtype, &shape);
    let size = x.dtype.size();
    let to_start = out.address().wrapping_offset(to_at.wrapping_mul(size as isize));
    let from_start = x.address().wrapping_offset(from_at.wrapping_sub(x.offset as isize).wrapping_mul(size as isize));
    // SAFETY: nobody else has the new array; the value is an element, and those that stay have a place in it.
    unsafe {
        xs[1].view(&shape, &vec![0; shape.len()], xs[1].offset).walk().copy(0, out.size(), out.address());
        copy_strided(size, &kept, (from_start, &x.strides), (to_start, &to_strides));
    }
    Ok(smallvec![out])
}

fn pad_batch(b: &Batching) -> Result<crate::bind::Tensors> {
    if b.mapped[1] {
        return pad_each(b);
    }
    let params = [with_front(b, "low", 0)?, with_front(b, "high", 0)?, with_front(b, "interior", 0)?];
    b.bind(params, &[b.mapped(0)?, b.xs[1].clone()])
}

/// A padding value an example: padded with zeros, plus the value where a padded one says so.
fn pad_each(b: &Batching) -> Result<crate::bind::Tensors> {
    let cx = b.cx;
    let x = b.mapped(0)?;
    let padded = |t: &Tensor, v: &Tensor| {
        b.bind([with_front(b, "low", 0)?, with_front(b, "high", 0)?, with_front(b, "interior", 0)?], &[t.clone(), v.clone()])
            .and_then(|o| o.into_iter().next().ok_or_else(|| Error::internal("pad gave nothing")))
    };
    let kept = padded(&x, &cx.zeros(&[], x.dtype())?)?;
    let outside = padded(&cx.zeros(x.shape(), crate::DType::Bool)?, &cx.full(&[], crate::DType::Bool, 1.0)?)?;
    let value = cx.broadcast(&b.xs[1], kept.shape(), &[0])?;
    Ok(smallvec![cx.select(&outside, &value, &kept)?])
}

pub static PAD: Row = Row {
    name: "pad",
    doc: "`x` with `value` around it (`low`, `high`; negative ones crop) and `interior` values between neighbours, as `lax.pad`.",
    operands: &["x", "value"],
    params: &[p("low", Kind::Ints), p("high", Kind::Ints), p("interior", Kind::Ints)],
    many: false,
    lift: Lift::Dtypes,
    shape: pad_shape,
    body: Body::Primitive(Primitive { eval: pad_eval }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(|p| {
        let (cx, g, x) = (p.cx, p.g()?, p.x_avals[0]);
        let (low, high, interior) = (p.params.ints("low")?, p.params.ints("high")?, p.params.ints("interior")?);
        let n = x.ndim();
        let (nl, nh): (Vec<i64>, Vec<i64>) = (low.iter().map(|v| -v).collect(), high.iter().map(|v| -v).collect());
        let back = |g: &Tensor| -> Result<Tensor> {
            let wide = cx.pad(g, &cx.zeros(&[], x.dtype)?, &nl, &nh, &vec![0; n])?;
            let (start, limit): (Vec<usize>, Vec<usize>) = (vec![0; n], wide.shape().to_vec());
            let stride: Vec<usize> = interior.iter().map(|&i| size("interior", i + 1)).collect::<Result<_>>()?;
            cx.slice(&wide, &start, &limit, &stride)
        };
        let dx = if p.needs.iter().any(|&n| n) { Some(back(g)?) } else { None };
        let all: Vec<usize> = (0..n).collect();
        let dv = match &dx {
            Some(dx) if p.needs.get(1) == Some(&true) => Some(cx.sub(&cx.reduce_sum(g, &all)?, &cx.reduce_sum(dx, &all)?)?),
            _ => None,
        };
        Ok(vec![dx, dv])
    }),
    jvp: Jvp::Linear,
    batch: Batch::Rule(pad_batch),
    samples: || {
        let r = Domain::Range(-2.0, 2.0);
        let case = |x: &[usize], l: &[i64], h: &[i64], i: &[i64]| {
            Sample::new(vec![Input::new(x, r), Input::new(&[], r)], vec![l.into(), h.into(), i.into()])
        };
        vec![
            case(&[], &[], &[], &[]),
            case(&[7], &[1], &[2], &[0]),
            case(&[8], &[-2], &[1], &[2]),
            case(&[0], &[2], &[1], &[1]),
            case(&[2, 3], &[1, -1], &[0, 2], &[1, 0]),
            case(&[31], &[-1], &[-30], &[0]),
        ]
    },
};

impl Cx {
    pub fn slice(&self, x: &Tensor, start: &[usize], limit: &[usize], stride: &[usize]) -> Result<Tensor> {
        self.one(&SLICE, [start.into(), limit.into(), stride.into()], &[x])
    }
    pub fn pad(&self, x: &Tensor, value: &Tensor, low: &[i64], high: &[i64], interior: &[i64]) -> Result<Tensor> {
        self.one(&PAD, [low.into(), high.into(), interior.into()], &[x, value])
    }
}
