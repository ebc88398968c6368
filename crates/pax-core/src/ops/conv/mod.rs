//! Convolution and its gradients, channels last. All three are derivatives of one trilinear form in x, kernel and g.
use crate::exec::cpu::conv::{eager, forward, input_grad, kernel_grad, Geometry};
use crate::exec::cpu::math::halves;
use crate::exec::Exec;
use crate::ops::samples::{Domain, Input, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind, Param};
use crate::{Array, Aval, Cx, DType, Error, Params, Result, Tensor, Value};
use smallvec::smallvec;

pub const ROWS: &[&Row] = &[&CONV, &CONV_INPUT_GRAD, &CONV_KERNEL_GRAD];

const NAMES: [&str; 5] = ["strides", "padding_low", "padding_high", "dilation_input", "dilation_kernel"];
const PARAMS: &[Param] = &[
    p("strides", Kind::Ints),
    p("padding_low", Kind::Ints),
    p("padding_high", Kind::Ints),
    p("dilation_input", Kind::Ints),
    p("dilation_kernel", Kind::Ints),
    p("groups", Kind::Int),
];
const SIZED: &[Param] = &[PARAMS[0], PARAMS[1], PARAMS[2], PARAMS[3], PARAMS[4], PARAMS[5], p("size", Kind::Ints)];

/// Sizes from the shapes of x and kernel; checks everything that a user may get wrong.
fn geometry(x: &[usize], k: &[usize], p: &Params) -> Result<Geometry> {
    let rank = x.len().saturating_sub(2);
    let wrong = |what: &str| {
        Error::shape(format!(
            "{what}: x {x:?} must be [n, 1 or 2 spatial axes, channels] and kernel {k:?} [spatial, channels / groups, results]"
        ))
    };
    if !(1..=2).contains(&rank) || k.len() != x.len() {
        return Err(wrong("ranks do not fit"));
    }
    let groups = usize::try_from(p.int("groups")?).ok().filter(|&g| g > 0).ok_or_else(|| Error::value("groups must be at least 1"))?;
    let (c, o) = (x[rank + 1], k[rank + 1]);
    if k[rank].checked_mul(groups) != Some(c) || o % groups != 0 {
        return Err(wrong(&format!("channels do not fit {groups} groups")));
    }
    let mut s = Geometry {
        n: x[0],
        input: [1; 2],
        out: [1; 2],
        kernel: [1; 2],
        stride: [1; 2],
        low: [0; 2],
        dilation: [1; 2],
        kernel_dilation: [1; 2],
        c,
        o,
        groups,
    };
    for name in NAMES {
        let v = p.ints(name)?;
        let least = if name.starts_with("padding") { -(1 << 31) } else { 1 };
        if v.len() != rank || v.iter().any(|&v| v < least || v > 1 << 31) {
            return Err(Error::value(format!("{name} must be {rank} integers of at least {least}, got {v:?}")));
        }
    }
    if x[1..=rank].iter().chain(&k[..rank]).any(|&n| n > 1 << 31) {
        return Err(wrong("a spatial axis is longer than 2^31"));
    }
    for i in 0..rank {
        let d = i + 2 - rank;
        let at = |name: &str| p.ints(name).map(|v| v[i]);
        (s.input[d], s.kernel[d], s.stride[d], s.low[d], s.dilation[d], s.kernel_dilation[d]) =
            (x[1 + i], k[i], at("strides")?, at("padding_low")?, at("dilation_input")?, at("dilation_kernel")?);
        // At most 2^62 and below it by padding of 2^32: none of the sums overflows.
        let dilated = |n: usize, by: i64| if n == 0 { 0 } else { (n as i64 - 1) * by + 1 };
        let room = dilated(x[1 + i], s.dilation[d]) + s.low[d] + at("padding_high")? - dilated(k[i], s.kernel_dilation[d]);
        s.out[d] = if room < 0 {
            0
        } else {
            usize::try_from(room / s.stride[d])
                .ok()
                .and_then(|n| n.checked_add(1))
                .ok_or_else(|| wrong("the sizes are too large for memory"))?
        };
    }
    let product = |sizes: &[usize]| sizes.iter().try_fold(1usize, |n, &m| n.checked_mul(m)).filter(|&n| n <= isize::MAX as usize / 8);
    let patches = [s.out[0], s.out[1], s.kernel[0], s.kernel[1], k[rank]];
    if product(&[s.n, s.out[0], s.out[1], s.o]).is_none() || product(&patches).is_none() || product(x).is_none() || product(k).is_none() {
        return Err(wrong("the sizes are too large for memory"));
    }
    Ok(s)
}

fn out_shape(s: &Geometry, rank: usize) -> Vec<usize> {
    let mut shape = vec![s.n];
    shape.extend_from_slice(&s.out[2 - rank..]);
    shape.push(s.o);
    shape
}

pub(crate) use pax_kernels::conv::Which;

/// Sizes and result shape from the two operands of a row.
pub(crate) fn plan(which: Which, a: &[usize], b: &[usize], p: &Params) -> Result<(Geometry, Vec<usize>)> {
    let rank = a.len().saturating_sub(2);
    if !(1..=2).contains(&rank) || b.len() != a.len() {
        return Err(Error::shape(format!("operands {a:?} and {b:?} must both have 1 or 2 spatial axes")));
    }
    let groups = p.int("groups")?.max(1) as usize;
    let (x, k) = match which {
        Which::Out => (a.to_vec(), b.to_vec()),
        Which::Input => {
            let c =
                b[rank].checked_mul(groups).ok_or_else(|| Error::value(format!("{groups} groups of {} channels are too many", b[rank])))?;
            let mut x = vec![a[0]];
            x.extend(p.dims("size")?);
            x.push(c);
            (x, b.to_vec())
        }
        Which::Kernel => {
            let mut k = p.dims("size")?.to_vec();
            k.push(a[rank + 1] / groups);
            k.push(b[rank + 1]);
            (a.to_vec(), k)
        }
    };
    let s = geometry(&x, &k, p)?;
    let y = out_shape(&s, rank);
    let g = match which {
        Which::Out => &y[..],
        Which::Input => a,
        Which::Kernel => b,
    };
    if g != y {
        return Err(Error::shape(format!("the cotangent has shape {g:?}, the convolution gives {y:?}")));
    }
    Ok((
        s,
        match which {
            Which::Out => y,
            Which::Input => x,
            Which::Kernel => k,
        },
    ))
}

fn shape(which: Which, xs: &[&Aval], p: &Params) -> Result<Avals> {
    if xs[0].dtype != xs[1].dtype {
        return Err(Error::dtype(format!("operands have dtypes {} and {}", xs[0].dtype.name(), xs[1].dtype.name())));
    }
    if xs[0].dtype == DType::Bool {
        return Err(Error::dtype("there is no convolution of bool: cast to an integer or a float"));
    }
    let (_, out) = plan(which, &xs[0].shape, &xs[1].shape, p)?;
    Ok(smallvec![Aval { shape: out.as_slice().into(), dtype: xs[0].dtype, weak: xs[0].weak && xs[1].weak }])
}

fn eval(which: Which, exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (s, out) = plan(which, &xs[0].shape, &xs[1].shape, p)?;
    macro_rules! of {
        ($xs:ident, $t:ty) => {{
            let (a, b) = ($xs[0].to_slice::<$t>()?, $xs[1].to_slice::<$t>()?);
            let y = match which {
                Which::Out => forward(exec, &s, &a, &b)?,
                Which::Input => input_grad(exec, &s, &a, &b)?,
                Which::Kernel => kernel_grad(exec, &s, &a, &b)?,
            };
            exec.array(y, &out)
        }};
    }
    // Kernels that suit the sizes have no other element.
    let float = |a: &[f32], b: &[f32]| match which {
        Which::Out => eager::forward(exec, &s, a, b),
        Which::Input => eager::input_grad(exec, &s, a, b),
        Which::Kernel => eager::kernel_grad(exec, &s, a, b),
    };
    Ok(smallvec![halves(exec, &[&xs[0], &xs[1]], &|xs| Ok(match xs[0].dtype {
        DType::F64 => of!(xs, f64),
        DType::I32 => of!(xs, i32),
        DType::I64 => of!(xs, i64),
        DType::U32 => of!(xs, u32),
        DType::U8 | DType::Bool => of!(xs, u8),
        _ => exec.array(float(&xs[0].to_slice::<f32>()?, &xs[1].to_slice::<f32>()?)?, &out),
    }))?])
}

fn base(p: &Params) -> Vec<Value> {
    p.values()[..6].to_vec()
}
fn sized(p: &Params, size: &[usize]) -> Vec<Value> {
    let mut v = base(p);
    v.push(size.into());
    v
}
fn spatial(x: &Aval) -> &[usize] {
    &x.shape[1..x.ndim() - 1]
}
fn taps(k: &Aval) -> &[usize] {
    &k.shape[..k.ndim() - 2]
}

/// The axis in front goes beside the channels at the end: channels of all examples lie group by group.
fn fold(cx: &Cx, x: &Tensor) -> Result<Tensor> {
    let n = x.ndim();
    let moved = cx.move_axis(x, 0, n - 2)?;
    let mut shape = moved.shape().to_vec();
    let last = shape.pop().unwrap_or(1);
    shape[n - 2] *= last;
    cx.reshape(&moved, &shape)
}

/// A kernel that is not mapped: the axis joins the images. Else every example is a group of its own.
fn batch(b: &Batching) -> Result<crate::bind::Tensors> {
    let kernel_row = b.row.name == CONV_KERNEL_GRAD.name;
    if !kernel_row && !b.mapped[1] {
        let x = &b.xs[0];
        let mut shape = x.shape()[1..].to_vec();
        shape[0] *= b.size;
        let y = b.cx.reshape(x, &shape)?;
        let y = b.bind(b.params.values().iter().cloned(), &[y, b.xs[1].clone()])?;
        let mut shape = y[0].shape().to_vec();
        shape[0] = x.shape()[1];
        shape.insert(0, b.size);
        return Ok(smallvec![b.cx.reshape(&y[0], &shape)?]);
    }
    if b.size == 0 {
        // No examples make no groups: the result is empty, its shape that of an example's.
        let example = |i: usize| &b.xs[i].shape()[usize::from(b.mapped[i])..];
        let which = match b.row.name {
            "conv" => Which::Out,
            "conv_input_grad" => Which::Input,
            _ => Which::Kernel,
        };
        let mut out = vec![0];
        out.extend(plan(which, example(0), example(1), b.params)?.1);
        return Ok(smallvec![b.cx.zeros(&out, b.xs[0].dtype())?]);
    }
    let (x, k) = (fold(b.cx, &b.mapped(0)?)?, fold(b.cx, &b.mapped(1)?)?);
    let mut params = b.params.values().to_vec();
    let groups = i64::try_from(b.size).ok().and_then(|n| n.checked_mul(b.params.int("groups").ok()?));
    params[5] = Value::Int(groups.ok_or_else(|| Error::value(format!("{} examples make too many groups", b.size)))?);
    let y = b.bind(params, &[x, k])?;
    let mut shape = y[0].shape().to_vec();
    let last = shape.pop().unwrap_or(0);
    shape.extend([b.size, last / b.size]);
    let y = b.cx.reshape(&y[0], &shape)?;
    Ok(smallvec![b.cx.move_axis(&y, shape.len() - 2, 0)?])
}

fn case(a: &[usize], b: &[usize], v: [&[i64]; 5], groups: i64, size: Option<&[usize]>) -> Sample {
    let r = Domain::Range(-2.0, 2.0);
    let mut params: Vec<Value> = v.iter().map(|&v| v.into()).collect();
    params.push(groups.into());
    params.extend(size.map(Value::from));
    Sample::new(vec![Input::new(a, r), Input::new(b, r)], params)
}

pub static CONV: Row = Row {
    name: "conv",
    doc: "Cross-correlation of x [n, spatial, channels] with kernel [spatial, channels / groups, results]; 1 or 2 spatial \
        axes, `dilation_input` spreads x.",
    operands: &["x", "kernel"],
    params: PARAMS,
    many: false,
    lift: Lift::Dtypes,
    shape: |xs, p| shape(Which::Out, xs, p),
    body: Body::Primitive(Primitive { eval: |e, p, xs| eval(Which::Out, e, p, xs) }),
    saves: Saves::INPUTS,
    vjp: Vjp::Rule(|p| {
        Ok(vec![
            p.want(0, || p.cx.one(&CONV_INPUT_GRAD, sized(p.params, spatial(p.x_avals[0])), &[p.g()?, p.x(1)?]))?,
            p.want(1, || p.cx.one(&CONV_KERNEL_GRAD, sized(p.params, taps(p.x_avals[1])), &[p.x(0)?, p.g()?]))?,
        ])
    }),
    jvp: Jvp::Multilinear,
    batch: Batch::Rule(batch),
    samples: || {
        vec![
            case(&[1, 7, 2], &[3, 2, 4], [&[1], &[0], &[0], &[1], &[1]], 1, None),
            case(&[2, 9, 4], &[2, 2, 6], [&[2], &[1], &[2], &[2], &[3]], 2, None),
            case(&[2, 5, 4, 2], &[3, 2, 1, 4], [&[2, 1], &[1, 0], &[0, 1], &[1, 2], &[1, 2]], 2, None),
            case(&[0, 8, 1], &[2, 1, 1], [&[1], &[0], &[0], &[1], &[1]], 1, None),
        ]
    },
};

pub static CONV_INPUT_GRAD: Row = Row {
    name: "conv_input_grad",
    doc: "Cotangent of `conv`'s x, of spatial `size`, from its result's cotangent and the kernel.",
    operands: &["g", "kernel"],
    params: SIZED,
    many: false,
    lift: Lift::Dtypes,
    shape: |xs, p| shape(Which::Input, xs, p),
    body: Body::Primitive(Primitive { eval: |e, p, xs| eval(Which::Input, e, p, xs) }),
    saves: Saves::INPUTS,
    vjp: Vjp::Rule(|p| {
        Ok(vec![
            p.want(0, || p.cx.one(&CONV, base(p.params), &[p.g()?, p.x(1)?]))?,
            p.want(1, || p.cx.one(&CONV_KERNEL_GRAD, sized(p.params, taps(p.x_avals[1])), &[p.g()?, p.x(0)?]))?,
        ])
    }),
    jvp: Jvp::Multilinear,
    batch: Batch::Rule(batch),
    samples: || {
        vec![
            case(&[1, 5, 4], &[3, 2, 4], [&[1], &[0], &[0], &[1], &[1]], 1, Some(&[7])),
            case(&[2, 3, 2, 4], &[3, 2, 1, 4], [&[2, 1], &[1, 0], &[0, 1], &[1, 1], &[1, 2]], 2, Some(&[6, 3])),
        ]
    },
};

pub static CONV_KERNEL_GRAD: Row = Row {
    name: "conv_kernel_grad",
    doc: "Cotangent of `conv`'s kernel, of spatial `size`, from x and its result's cotangent.",
    operands: &["x", "g"],
    params: SIZED,
    many: false,
    lift: Lift::Dtypes,
    shape: |xs, p| shape(Which::Kernel, xs, p),
    body: Body::Primitive(Primitive { eval: |e, p, xs| eval(Which::Kernel, e, p, xs) }),
    saves: Saves::INPUTS,
    vjp: Vjp::Rule(|p| {
        Ok(vec![
            p.want(0, || p.cx.one(&CONV_INPUT_GRAD, sized(p.params, spatial(p.x_avals[0])), &[p.x(1)?, p.g()?]))?,
            p.want(1, || p.cx.one(&CONV, base(p.params), &[p.x(0)?, p.g()?]))?,
        ])
    }),
    jvp: Jvp::Multilinear,
    batch: Batch::Rule(batch),
    samples: || vec![case(&[1, 7, 2], &[1, 5, 4], [&[1], &[0], &[0], &[1], &[1]], 1, Some(&[3]))],
};

impl Cx {
    /// `params`: strides, padding low and high, dilation of x and of the kernel, an integer per spatial axis.
    pub fn conv(&self, x: &Tensor, kernel: &Tensor, params: [&[i64]; 5], groups: usize) -> Result<Tensor> {
        let mut values: Vec<Value> = params.iter().map(|&v| v.into()).collect();
        values.push(groups.into());
        self.one(&CONV, values, &[x, kernel])
    }
}

#[cfg(test)]
mod tests;
