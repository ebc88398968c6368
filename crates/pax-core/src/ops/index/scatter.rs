//! Writing slices at places that an integer tensor names: gather's form, backward.
use super::gather::{lay, slices, Place, DROP, OUTSIDE, PLACE};
use crate::dtype::Element;
use crate::exec::cpu::index;
use crate::exec::cpu::map::map2;
use crate::exec::cpu::math::{cast, halves};
use crate::exec::Exec;
use crate::ops::elementwise::binary::Number;
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Jvp, Lift, Primitive, Pull, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{dispatch, dispatch_wide, Array, Aval, Cx, DType, Error, Params, Result, Tensor, Value};
use smallvec::smallvec;

fn check(xs: &[&Aval], at: Place) -> Result<()> {
    let want = slices(xs[0], xs[1], at)?;
    if xs[2].dtype != xs[0].dtype {
        return Err(Error::dtype(format!("updates are {}, the tensor is {}", xs[2].dtype.name(), xs[0].dtype.name())));
    }
    if xs[2].shape != want {
        return Err(Error::shape(format!("updates have shape {:?}, these indices need {:?}", xs[2].shape.as_slice(), want.as_slice())));
    }
    Ok(())
}

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    check(xs, Place::of(p)?)?;
    Ok(smallvec![xs[0].clone()])
}

/// An element's order, NaN above and below all.
fn pick<T: Element>(a: T, b: T, max: bool) -> T {
    if a.is_nan() {
        a
    } else if b.is_nan() || (if max { b > a } else { b < a }) {
        b
    } else {
        a
    }
}

fn eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (at, x, mode) = (Place::of(p)?, &xs[0], p.choice("mode")?);
    let (places, lay) = (index::places(&xs[1], x.shape[at.axis], at.outside != DROP)?, lay(&x.shape, &xs[1].shape, at));
    Ok(smallvec![dispatch!(x.dtype, T => {
        let f: fn(T, T) -> T = match mode {
            "set" => |_, u| u,
            "add" if x.dtype == DType::Bool => |a, u| if a > u { a } else { u },
            "add" => <T as Number>::add,
            "max" => |a, u| pick(a, u, true),
            _ => |a, u| pick(a, u, false),
        };
        index::scatter::<T>(exec, x, &places, &xs[2], lay, f)?
    })])
}

/// The row with every operand mapped; without mapped indices the new axis needs no batch axis of theirs.
fn batch(b: &Batching) -> Result<crate::bind::Tensors> {
    let at = Place::of(b.params)?;
    let plain = at.batch == 0 && !b.mapped[1];
    let to = if plain { Place { axis: at.axis + 1, ..at } } else { at.inner() };
    let mut xs = b.all_mapped()?;
    if plain {
        xs[1] = b.xs[1].clone();
    }
    b.bind(to.values().into_iter().chain(b.params.values()[3..].iter().cloned()), &xs)
}

fn vjp(p: &Pull) -> Result<Vec<Option<Tensor>>> {
    let (g, at, i) = (p.g()?, Place::of(p.params)?, p.x(1)?);
    if p.params.choice("mode")? == "add" {
        return Ok(vec![Some(g.clone()), None, p.want(2, || p.cx.gather(g, i, at))?]);
    }
    let zeros = || p.cx.zeros(&p.x_avals[2].shape, p.x_avals[2].dtype);
    let last = || p.cx.last_writers(i, p.x_avals[0].shape[at.axis], at.batch, at.outside);
    Ok(vec![
        p.want(0, || p.cx.scatter_set(g, i, &zeros()?, at))?,
        None,
        p.want(2, || p.cx.gather(g, &last()?, Place { outside: DROP, ..at }))?,
    ])
}

fn samples(modes: [u8; 2]) -> Vec<Sample> {
    let r = Domain::Range(-2.0, 2.0);
    let mut out = Vec::new();
    for mode in modes {
        for (x, i, u, axis, batch, o) in [
            (&[3usize][..], &[][..], &[][..], 0i64, 0i64, 1u8),
            (&[5, 3], &[4], &[4, 3], 0, 0, 1),
            (&[5, 3], &[2, 2], &[5, 2, 2], 1, 0, 0),
            (&[2, 3, 4], &[2, 7], &[2, 3, 7], 2, 1, 1),
            (&[2, 3, 4], &[2, 3], &[2, 3], 2, 2, 1),
            (&[7], &[31], &[31], 0, 0, 1),
            (&[9, 8], &[0], &[0, 8], 0, 0, 1),
            (&[0], &[3], &[3], 0, 0, 1),
        ] {
            out.push(Sample::new(
                vec![Input::new(x, r), Input::new(i, Domain::Index(-4, 6)), Input::new(u, r)],
                vec![axis.into(), batch.into(), Value::Choice(o), Value::Choice(mode)],
            ));
        }
        out.push(Sample::new(
            vec![
                Input::new(&[3, 4], r).laid(Layout::Broadcast),
                Input::new(&[2], Domain::Index(0, 3)),
                Input::new(&[2, 4], r).laid(Layout::Transposed),
            ],
            vec![0i64.into(), 0i64.into(), Value::Choice(1), Value::Choice(mode)],
        ));
    }
    out
}

pub static SCATTER: Row = Row {
    name: "scatter",
    doc: "`x` with slices along `axis` at `indices` set to `updates` (the last one stays) or with them added, in order. The \
        form is gather's: `updates` has its result's shape.",
    operands: &["x", "indices", "updates"],
    params: &[PLACE[0], PLACE[1], PLACE[2], p("mode", Kind::Choice(&["set", "add"]))],
    many: false,
    lift: Lift::None,
    shape,
    body: Body::Primitive(Primitive { eval }),
    saves: Saves::input_at(&[1]),
    vjp: Vjp::Rule(vjp),
    jvp: Jvp::Derived,
    batch: Batch::Rule(batch),
    samples: || samples([0, 1]),
};

fn extreme_vjp(p: &Pull) -> Result<Vec<Option<Tensor>>> {
    let (g, at) = (p.g()?, Place::of(p.params)?);
    let shares = p.cx.bind(
        &SCATTER_SHARES,
        Params::new(SCATTER_SHARES.params, at.values())?,
        &[p.x(0)?.clone(), p.x(1)?.clone(), p.x(2)?.clone(), p.y(0)?.clone()],
    )?;
    Ok(vec![p.want(0, || p.cx.mul(g, &shares[0]))?, None, p.want(2, || p.cx.mul(&p.cx.gather(g, p.x(1)?, Place { ..at })?, &shares[1]))?])
}

pub static SCATTER_EXTREME: Row = Row {
    name: "scatter_extreme",
    doc: "`x` with the least or greatest of itself and the `updates` at `indices`; the gradient of ties is split evenly.",
    operands: &["x", "indices", "updates"],
    params: &[PLACE[0], PLACE[1], PLACE[2], p("mode", Kind::Choice(&["min", "max"]))],
    many: false,
    lift: Lift::None,
    shape,
    body: Body::Primitive(Primitive { eval }),
    saves: Saves::BOTH,
    vjp: Vjp::Rule(extreme_vjp),
    jvp: Jvp::Derived,
    batch: Batch::Rule(batch),
    samples: || samples([0, 1]),
};

fn shares_eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (at, x) = (Place::of(p)?, &xs[0]);
    let (places, lay) = (index::places(&xs[1], x.shape[at.axis], at.outside != DROP)?, lay(&x.shape, &xs[1].shape, at));
    // 1 where both are the same, else 0.
    let same = |a: &Array, b: &Array| {
        halves(
            exec,
            &[a, b],
            &|xs| dispatch_wide!(xs[0].dtype, T => map2(exec, DType::F64, xs[0], xs[1], |a: T, b: T| f64::from(u8::from(a == b)))),
        )
    };
    let won = index::gather(exec, &xs[3], &places, lay, &xs[2].shape);
    let (hx, hu) = (same(x, &xs[3])?, same(&xs[2], &won)?);
    let count = index::scatter::<f64>(exec, &hx, &places, &hu, lay, |a, b| a + b)?;
    let at_updates = index::gather(exec, &count, &places, lay, &xs[2].shape);
    let share = |hit: &Array, n: &Array| {
        cast(exec, &map2(exec, DType::F64, hit, n, |h: f64, n: f64| if h == 0.0 || n == 0.0 { 0.0 } else { h / n })?, x.dtype)
    };
    Ok(smallvec![share(&hx, &count)?, share(&hu, &at_updates)?])
}

pub static SCATTER_SHARES: Row = Row {
    name: "scatter_shares",
    doc: "What part of `y = scatter_extreme(x, indices, updates)` is owed to each element of `x` and of `updates`.",
    operands: &["x", "indices", "updates", "y"],
    params: &PLACE,
    many: true,
    lift: Lift::None,
    shape: |xs, p| {
        check(xs, Place::of(p)?)?;
        if xs[3].shape != xs[0].shape || xs[3].dtype != xs[0].dtype {
            return Err(Error::shape("y must be like x"));
        }
        Ok(smallvec![Aval::new(&xs[0].shape, xs[0].dtype), Aval::new(&xs[2].shape, xs[2].dtype)])
    },
    body: Body::Primitive(Primitive { eval: shares_eval }),
    saves: Saves::NONE,
    vjp: Vjp::Zero("it counts"),
    jvp: Jvp::None("it counts"),
    batch: Batch::Rule(batch),
    samples: || {
        vec![Sample::new(
            vec![
                Input::new(&[3, 2], Domain::Range(-2.0, 2.0)),
                Input::new(&[4], Domain::Index(0, 4)),
                Input::new(&[4, 2], Domain::Range(-2.0, 2.0)),
                Input::new(&[3, 2], Domain::Range(-2.0, 2.0)),
            ],
            vec![0i64.into(), 0i64.into(), Value::Choice(DROP)],
        )
        .rough()]
    },
};

fn writers_eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (i, n, batch) = (&xs[0], p.int("size")?.max(0) as usize, p.int("batch")?.max(0) as usize);
    let places = index::places(i, n, p.choice("outside")? == "clamp")?;
    let each: usize = i.shape[batch..].iter().product();
    let mut out: Vec<i64> = places.iter().map(|&v| v as i64).collect();
    let mut seen = vec![usize::MAX; n];
    if each > 0 {
        for (b, item) in out.chunks_exact_mut(each).enumerate() {
            for v in item.iter_mut().rev() {
                let Some(s) = seen.get_mut(*v as usize) else { continue };
                if *s == b {
                    *v = n as i64
                } else {
                    *s = b
                }
            }
        }
    }
    Ok(smallvec![exec.array(out, &i.shape)])
}

pub static LAST_WRITERS: Row = Row {
    name: "last_writers",
    doc: "The indices with each that a later one repeats replaced by `size`, so that it is dropped.",
    operands: &["indices"],
    params: &[p("size", Kind::Int), p("batch", Kind::Int), p("outside", OUTSIDE)],
    many: false,
    lift: Lift::None,
    shape: |xs, p| {
        if !xs[0].dtype.is_int() {
            return Err(Error::dtype(format!("indices are integers, got {}", xs[0].dtype.name())));
        }
        if p.int("batch")? < 0 || p.int("size")? < 0 || p.int("batch")? as usize > xs[0].ndim() {
            return Err(Error::shape("batch counts leading axes of the indices"));
        }
        Ok(smallvec![Aval::new(&xs[0].shape, DType::I64)])
    },
    body: Body::Primitive(Primitive { eval: writers_eval }),
    saves: Saves::NONE,
    vjp: Vjp::Zero("indices are integers"),
    jvp: Jvp::None("indices are integers"),
    batch: Batch::Rule(|b| {
        b.bind([Value::Int(b.params.int("size")?), Value::Int(b.params.int("batch")? + 1), b.params.values()[2].clone()], b.xs)
    }),
    samples: || {
        vec![
            Sample::new(vec![Input::new(&[2, 7], Domain::Index(-3, 5))], vec![4i64.into(), 1i64.into(), Value::Choice(DROP)]).rough(),
            Sample::new(vec![Input::new(&[], Domain::Index(0, 5))], vec![4i64.into(), 0i64.into(), Value::Choice(DROP)]).rough(),
        ]
    },
};

impl Cx {
    pub fn scatter_set(&self, x: &Tensor, indices: &Tensor, updates: &Tensor, at: Place) -> Result<Tensor> {
        self.scatter(x, indices, updates, at, 0)
    }
    pub fn scatter_add(&self, x: &Tensor, indices: &Tensor, updates: &Tensor, at: Place) -> Result<Tensor> {
        self.scatter(x, indices, updates, at, 1)
    }
    fn scatter(&self, x: &Tensor, indices: &Tensor, updates: &Tensor, at: Place, mode: u8) -> Result<Tensor> {
        self.one(&SCATTER, at.values().into_iter().chain([Value::Choice(mode)]), &[x, indices, updates])
    }
    fn last_writers(&self, indices: &Tensor, size: usize, batch: usize, outside: u8) -> Result<Tensor> {
        self.one(&LAST_WRITERS, [size.into(), batch.into(), Value::Choice(outside)], &[indices])
    }
}
