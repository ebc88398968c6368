//! Slices whose place is a value: `starts` are one integer scalar an axis.
//! As in JAX a negative start counts from the end, and the slice is moved so far that it lies inside.
use crate::array::{copy_strided, row_major};
use crate::exec::Exec;
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{dispatch, Array, Aval, Cx, DType, Error, Params, Result, Tensor};
use smallvec::smallvec;

/// Where the starts lie among the operands; the derivative keeps them and nothing else.
const STARTS: [usize; AXES + 2] = {
    let mut at = [0; AXES + 2];
    let mut i = 0;
    while i < at.len() {
        at[i] = i;
        i += 1;
    }
    at
};
const AXES: usize = 32;
const FROM_1: &[usize] = STARTS.split_at(1).1;
const FROM_2: &[usize] = STARTS.split_at(2).1;

fn check(x: &Aval, sizes: &[usize], starts: &[&Aval]) -> Result<()> {
    if x.ndim() > AXES {
        return Err(Error::shape(format!("a slice at a computed place has at most {AXES} axes, got {}", x.ndim())));
    }
    if sizes.len() != x.ndim() || sizes.iter().zip(&x.shape).any(|(s, n)| s > n) {
        return Err(Error::shape(format!(
            "a slice of {sizes:?} does not fit into {:?}: it needs one size an axis, none greater than the axis",
            x.shape.as_slice()
        )));
    }
    if starts.len() != x.ndim() || starts.iter().any(|s| s.ndim() != 0) {
        return Err(Error::shape(format!("{:?} needs one scalar start an axis, got {}", x.shape.as_slice(), starts.len())));
    }
    match starts.iter().find(|s| !s.dtype.is_int()) {
        Some(s) => Err(Error::dtype(format!("starts are integers, got {}: cast them first", s.dtype.name()))),
        None => Ok(()),
    }
}

/// Where the slice begins, moved inside.
fn places(x: &[usize], sizes: &[usize], starts: &[Array]) -> Result<Vec<usize>> {
    starts
        .iter()
        .zip(x.iter().zip(sizes))
        .map(|(s, (&n, &size))| {
            let s = dispatch!(s.dtype, T => s.to_slice::<T>()?.first().map(|v| crate::dtype::Element::to_i64(*v)))
                .ok_or_else(|| Error::internal("no start"))?;
            let s = if s < 0 { s.saturating_add(n as i64) } else { s };
            Ok(s.clamp(0, n.saturating_sub(size) as i64) as usize)
        })
        .collect()
}

fn offset(x: &[isize], at: &[usize]) -> isize {
    x.iter().zip(at).map(|(s, &a)| s * a as isize).sum()
}

fn slice_shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let (x, sizes) = (xs[0], p.dims("sizes")?);
    check(x, &sizes, &xs[1..])?;
    Ok(smallvec![Aval { shape: sizes, dtype: x.dtype, weak: x.weak }])
}

fn slice_eval(_: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (x, sizes) = (&xs[0], p.dims("sizes")?);
    if sizes.contains(&0) {
        return Ok(smallvec![x.view(&sizes, &x.strides, 0)]);
    }
    let at = places(&x.shape, &sizes, &xs[1..])?;
    Ok(smallvec![x.view(&sizes, &x.strides, (x.offset as isize + offset(&x.strides, &at)) as usize)])
}

/// Example by example, where each has its own starts.
fn each(b: &Batching, f: impl Fn(&[Tensor]) -> Result<Tensor>, result: &[usize]) -> Result<crate::bind::Tensors> {
    let cx = b.cx;
    let front = |shape: &[usize]| -> Vec<usize> { std::iter::once(1).chain(shape.iter().copied()).collect() };
    let parts = (0..b.size)
        .map(|i| {
            let xs =
                b.xs.iter()
                    .zip(b.mapped)
                    .map(|(x, &m)| {
                        if !m {
                            return Ok(x.clone());
                        }
                        let (mut start, mut limit) = (vec![0; x.ndim()], x.shape().to_vec());
                        (start[0], limit[0]) = (i, i + 1);
                        let one = cx.slice(x, &start, &limit, &vec![1; x.ndim()])?;
                        cx.reshape(&one, &x.shape()[1..])
                    })
                    .collect::<Result<Vec<Tensor>>>()?;
            let y = f(&xs)?;
            cx.reshape(&y, &front(y.shape()))
        })
        .collect::<Result<Vec<Tensor>>>()?;
    if parts.is_empty() {
        let mut shape = front(result);
        shape[0] = 0;
        return Ok(smallvec![cx.zeros(&shape, b.xs[0].dtype())?]);
    }
    Ok(smallvec![cx.concatenate(&parts.iter().collect::<Vec<_>>(), 0)?])
}

fn slice_batch(b: &Batching) -> Result<crate::bind::Tensors> {
    let sizes = b.params.dims("sizes")?;
    if b.mapped[1..].contains(&true) {
        return each(b, |xs| b.cx.dynamic_slice(&xs[0], &xs[1..], &sizes), &sizes);
    }
    let mut wide = vec![b.size];
    wide.extend_from_slice(&sizes);
    let mut xs = b.xs.to_vec();
    xs.insert(1, b.cx.full(&[], DType::I32, 0.0)?);
    b.bind([wide.as_slice().into()], &xs)
}

/// The saved starts, from operand `from` on.
fn saved(p: &crate::ops::Pull, from: usize) -> Result<Vec<Tensor>> {
    (from..p.x_avals.len()).map(|i| p.x(i).cloned()).collect()
}

pub static DYNAMIC_SLICE: Row = Row {
    name: "dynamic_slice",
    doc: "The slice of `x` of `sizes` that begins at `starts`, one integer scalar an axis; it is moved so that it lies \
        inside, as `lax.dynamic_slice`.",
    operands: &["x", "...starts"],
    params: &[p("sizes", Kind::Ints)],
    many: false,
    lift: Lift::None,
    shape: slice_shape,
    body: Body::Primitive(Primitive { eval: slice_eval }),
    saves: Saves::input_at(FROM_1),
    vjp: Vjp::Rule(|p| {
        let mut grads = vec![None; p.x_avals.len()];
        grads[0] = p.want(0, || p.cx.dynamic_update_slice(&p.cx.zeros(&p.x_avals[0].shape, p.x_avals[0].dtype)?, p.g()?, &saved(p, 1)?))?;
        Ok(grads)
    }),
    jvp: Jvp::Linear,
    batch: Batch::Rule(slice_batch),
    samples: || {
        let r = Domain::Range(-2.0, 2.0);
        let case = |x: &[usize], s: &[i64]| {
            Sample::new(
                std::iter::once(Input::new(x, r)).chain(x.iter().map(|_| Input::new(&[], Domain::Index(-5, 9)))).collect(),
                vec![s.into()],
            )
        };
        let mut out = vec![
            case(&[], &[]),
            case(&[1], &[1]),
            case(&[7], &[3]),
            case(&[8], &[0]),
            case(&[31], &[9]),
            case(&[0, 3], &[0, 2]),
            case(&[2, 3, 4], &[1, 3, 2]),
        ];
        for l in [Layout::Transposed, Layout::Broadcast] {
            let mut s = case(&[3, 4], &[2, 2]);
            s.inputs[0].layout = l;
            out.push(s);
        }
        out
    },
};

fn update_shape(xs: &[&Aval], _: &Params) -> Result<Avals> {
    let (x, u) = (xs[0], xs[1]);
    if x.dtype != u.dtype {
        return Err(Error::dtype(format!("operands have dtypes {} and {}: cast the update first", x.dtype.name(), u.dtype.name())));
    }
    check(x, &u.shape, &xs[2..])?;
    Ok(smallvec![Aval { shape: x.shape.clone(), dtype: x.dtype, weak: x.weak && u.weak }])
}

fn update_eval(exec: &Exec, _: &Params, xs: &[Array]) -> Result<Arrays> {
    let (x, u) = (&xs[0], &xs[1]);
    let to = row_major(&x.shape);
    let at = offset(&to, &places(&x.shape, &u.shape, &xs[2..])?);
    let out = exec.copied(x);
    let to_start = out.address().wrapping_offset(at * x.dtype.size() as isize);
    // SAFETY: nobody else has the new array, and the update lies inside it.
    unsafe { copy_strided(x.dtype.size(), &u.shape, (u.address(), &u.strides), (to_start, &to)) };
    Ok(smallvec![out])
}

fn update_batch(b: &Batching) -> Result<crate::bind::Tensors> {
    if b.mapped[2..].contains(&true) {
        let result = if b.mapped[0] { &b.xs[0].shape()[1..] } else { b.xs[0].shape() };
        return each(b, |xs| b.cx.dynamic_update_slice(&xs[0], &xs[1], &xs[2..]), result);
    }
    let mut xs = vec![b.mapped(0)?, b.mapped(1)?, b.cx.full(&[], DType::I32, 0.0)?];
    xs.extend_from_slice(&b.xs[2..]);
    b.bind([], &xs)
}

pub static DYNAMIC_UPDATE_SLICE: Row = Row {
    name: "dynamic_update_slice",
    doc:
        "`x` with `update` in the place of the slice that begins at `starts`, one integer scalar an axis; moved inside as `dynamic_slice`.",
    operands: &["x", "update", "...starts"],
    params: &[],
    many: false,
    lift: Lift::None,
    shape: update_shape,
    body: Body::Primitive(Primitive { eval: update_eval }),
    saves: Saves::input_at(FROM_2),
    vjp: Vjp::Rule(|p| {
        let (starts, update) = (saved(p, 2)?, p.x_avals[1]);
        let mut grads = vec![None; p.x_avals.len()];
        grads[0] = p.want(0, || p.cx.dynamic_update_slice(p.g()?, &p.cx.zeros(&update.shape, update.dtype)?, &starts))?;
        grads[1] = p.want(1, || p.cx.dynamic_slice(p.g()?, &starts, &update.shape))?;
        Ok(grads)
    }),
    jvp: Jvp::Linear,
    batch: Batch::Rule(update_batch),
    samples: || {
        let r = Domain::Range(-2.0, 2.0);
        let case = |x: &[usize], u: &[usize]| {
            Sample::new(
                [Input::new(x, r), Input::new(u, r)].into_iter().chain(x.iter().map(|_| Input::new(&[], Domain::Index(-5, 9)))).collect(),
                vec![],
            )
        };
        let mut out = vec![
            case(&[], &[]),
            case(&[1], &[1]),
            case(&[7], &[3]),
            case(&[8], &[0]),
            case(&[31], &[9]),
            case(&[0, 3], &[0, 2]),
            case(&[2, 3, 4], &[1, 3, 2]),
        ];
        for l in [Layout::Transposed, Layout::Broadcast] {
            let mut s = case(&[3, 4], &[2, 2]);
            for input in &mut s.inputs[..2] {
                input.layout = l;
            }
            out.push(s);
        }
        out
    },
};

impl Cx {
    pub fn dynamic_slice(&self, x: &Tensor, starts: &[Tensor], sizes: &[usize]) -> Result<Tensor> {
        let xs: Vec<&Tensor> = std::iter::once(x).chain(starts).collect();
        self.one(&DYNAMIC_SLICE, [sizes.into()], &xs)
    }
    pub fn dynamic_update_slice(&self, x: &Tensor, update: &Tensor, starts: &[Tensor]) -> Result<Tensor> {
        let xs: Vec<&Tensor> = [x, update].into_iter().chain(starts).collect();
        self.one(&DYNAMIC_UPDATE_SLICE, [], &xs)
    }
}
