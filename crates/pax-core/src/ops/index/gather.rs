//! Slices along one axis at places that an integer tensor names.
//! The first `batch` axes of both operands go together; `axis` is an axis of `x` behind them.
use crate::exec::cpu::index::{self, Lay};
use crate::exec::Exec;
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Composite, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, size, Kind, Param};
use crate::{Array, Aval, Cx, Dims, Error, Params, Result, Tensor, Value};
use smallvec::smallvec;

/// `clamp` moves an index outside to the edge; `drop` reads 0 there and writes nothing.
pub(super) const OUTSIDE: Kind = Kind::Choice(&["clamp", "drop"]);
pub(crate) const CLAMP: u8 = 0;
pub(super) const DROP: u8 = 1;
pub(super) const PLACE: [Param; 3] = [p("axis", Kind::Int), p("batch", Kind::Int), p("outside", OUTSIDE)];

/// Where a row reads or writes.
#[derive(Clone, Copy)]
pub struct Place {
    pub axis: usize,
    pub batch: usize,
    pub outside: u8,
}

impl Place {
    pub(crate) fn of(p: &Params) -> Result<Place> {
        let int = |name| size(name, p.int(name)?);
        Ok(Place { axis: int("axis")?, batch: int("batch")?, outside: if p.choice("outside")? == "clamp" { CLAMP } else { DROP } })
    }
    pub(super) fn values(self) -> [Value; 3] {
        [self.axis.into(), self.batch.into(), Value::Choice(self.outside)]
    }
    /// The same under one more axis in front of both operands.
    pub(super) fn inner(self) -> Place {
        Place { axis: self.axis + 1, batch: self.batch + 1, ..self }
    }
}

/// The shape of the slices of `x` at `indices`.
pub(super) fn slices(x: &Aval, indices: &Aval, at: Place) -> Result<Dims> {
    if !indices.dtype.is_int() {
        return Err(Error::dtype(format!("indices are integers, got {}: cast them first", indices.dtype.name())));
    }
    if at.axis >= x.ndim() || at.batch > at.axis || at.batch > indices.ndim() || x.shape[..at.batch] != indices.shape[..at.batch] {
        return Err(Error::shape(format!(
            "axis {} of {:?} with indices {:?}: the first {} axes must be equal and come before the axis",
            at.axis,
            x.shape.as_slice(),
            indices.shape.as_slice(),
            at.batch
        )));
    }
    let mut out: Dims = x.shape[..at.axis].into();
    out.extend_from_slice(&indices.shape[at.batch..]);
    out.extend_from_slice(&x.shape[at.axis + 1..]);
    Ok(out)
}

pub(crate) fn lay(x: &[usize], indices: &[usize], at: Place) -> Lay {
    let size = |s: &[usize]| s.iter().product();
    Lay {
        batch: size(&x[..at.batch]),
        outer: size(&x[at.batch..at.axis]),
        n: x[at.axis],
        inner: size(&x[at.axis + 1..]),
        places: size(&indices[at.batch..]),
    }
}

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let at = Place::of(p)?;
    let shape = slices(xs[0], xs[1], at)?;
    if xs[0].shape[at.axis] == 0 && at.outside == CLAMP && xs[1].size() > 0 {
        return Err(Error::value(format!("nothing can be taken from axis {} of size 0", at.axis)));
    }
    Ok(smallvec![Aval { shape, dtype: xs[0].dtype, weak: xs[0].weak }])
}

fn eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let at = Place::of(p)?;
    let (x, i) = (&xs[0], &xs[1]);
    let mut shape: Dims = x.shape[..at.axis].into();
    shape.extend_from_slice(&i.shape[at.batch..]);
    shape.extend_from_slice(&x.shape[at.axis + 1..]);
    let places = index::places(i, x.shape[at.axis], at.outside == CLAMP)?;
    Ok(smallvec![index::gather(exec, x, &places, lay(&x.shape, &i.shape, at), &shape)])
}

fn batch(b: &Batching) -> Result<crate::bind::Tensors> {
    let at = Place::of(b.params)?;
    if at.batch == 0 && !b.mapped[1] {
        return b.bind(Place { axis: at.axis + 1, ..at }.values(), b.xs);
    }
    if at.batch == 0 && !b.mapped[0] {
        let y = b.cx.gather(&b.xs[0], &b.xs[1], at)?;
        return Ok(smallvec![b.cx.move_axis(&y, at.axis, 0)?]);
    }
    b.bind(at.inner().values(), &b.all_mapped()?)
}

pub static GATHER: Row = Row {
    name: "gather",
    doc: "Slices of `x` along `axis` at `indices`, whose axes take the place of `axis`; the first `batch` axes of both go \
        together. A negative index counts from the end.",
    operands: &["x", "indices"],
    params: &PLACE,
    many: false,
    lift: Lift::None,
    shape,
    body: Body::Primitive(Primitive { eval }),
    saves: Saves::input_at(&[1]),
    vjp: Vjp::Rule(|p| {
        Ok(vec![
            p.want(0, || p.cx.scatter_add(&p.cx.zeros(&p.x_avals[0].shape, p.x_avals[0].dtype)?, p.x(1)?, p.g()?, Place::of(p.params)?))?,
            None,
        ])
    }),
    jvp: Jvp::Linear,
    batch: Batch::Rule(batch),
    samples: || {
        let case = |x: &[usize], i: &[usize], axis: i64, batch: i64, o: u8| {
            Sample::new(
                vec![Input::new(x, Domain::Range(-2.0, 2.0)), Input::new(i, Domain::Index(-4, 5))],
                vec![axis.into(), batch.into(), Value::Choice(o)],
            )
        };
        let mut out = vec![
            case(&[3], &[], 0, 0, 0),
            case(&[5, 3], &[4], 0, 0, 0),
            case(&[5, 3], &[2, 2], 1, 0, 1),
            case(&[2, 3, 4], &[2, 7], 2, 1, 0),
            case(&[2, 3, 4], &[2, 3], 2, 2, 0),
            case(&[7], &[31], 0, 0, 0),
            case(&[9, 8], &[0], 0, 0, 0),
            case(&[0], &[3], 0, 0, 1),
            case(&[2, 0, 3], &[2], 2, 0, 0),
            case(&[1], &[1], 0, 0, 1),
        ];
        out.push(Sample::new(
            vec![
                Input::new(&[3, 4], Domain::Range(-2.0, 2.0)).laid(Layout::Transposed),
                Input::new(&[3, 2], Domain::Index(0, 4)).laid(Layout::Transposed),
            ],
            vec![1i64.into(), 1i64.into(), Value::Choice(0)],
        ));
        out
    },
};

fn along(xs: &[&Aval], p: &Params) -> Result<(Dims, usize)> {
    let axis = size("axis", p.int("axis")?)?;
    let fits =
        axis < xs[0].ndim() && xs[0].ndim() == xs[1].ndim() && (0..xs[0].ndim()).all(|d| d == axis || xs[0].shape[d] == xs[1].shape[d]);
    if !xs[1].dtype.is_int() {
        return Err(Error::dtype(format!("indices are integers, got {}: cast them first", xs[1].dtype.name())));
    }
    if !fits {
        return Err(Error::shape(format!(
            "{:?} along axis {axis} needs indices equal on the other axes, got {:?}",
            xs[0].shape.as_slice(),
            xs[1].shape.as_slice()
        )));
    }
    Ok((xs[1].shape.clone(), axis))
}

pub static TAKE_ALONG_AXIS: Row = Row {
    name: "take_along_axis",
    doc: "Elements of `x` along `axis` at `indices`, which has `x`'s shape on all other axes.",
    operands: &["x", "indices"],
    params: &[p("axis", Kind::Int)],
    many: false,
    lift: Lift::None,
    shape: |xs, p| Ok(smallvec![Aval { shape: along(xs, p)?.0, dtype: xs[0].dtype, weak: xs[0].weak }]),
    body: Body::Composite(Composite {
        expand: |cx, p, xs| {
            let (_, axis) = along(&[xs[0].aval(), xs[1].aval()], p)?;
            let last = xs[0].ndim() - 1;
            let (x, i) = (cx.move_axis(&xs[0], axis, last)?, cx.move_axis(&xs[1], axis, last)?);
            Ok(smallvec![cx.move_axis(&cx.gather(&x, &i, Place { axis: last, batch: last, outside: CLAMP })?, last, axis)?])
        },
        fused: None,
    }),
    saves: Saves::NONE,
    vjp: Vjp::None("its expansion has one"),
    jvp: Jvp::None("its expansion has one"),
    batch: Batch::None("its expansion has one"),
    samples: || {
        [(&[3usize, 4][..], &[3usize, 1][..], 1i64), (&[3, 4], &[7, 4], 0), (&[7], &[9], 0)]
            .map(|(x, i, a)| {
                Sample::new(vec![Input::new(x, Domain::Range(-2.0, 2.0)), Input::new(i, Domain::Index(-2, 3))], vec![a.into()])
            })
            .into()
    },
};

impl Cx {
    pub fn gather(&self, x: &Tensor, indices: &Tensor, at: Place) -> Result<Tensor> {
        self.one(&GATHER, at.values(), &[x, indices])
    }
    pub fn take_along_axis(&self, x: &Tensor, indices: &Tensor, axis: usize) -> Result<Tensor> {
        self.one(&TAKE_ALONG_AXIS, [axis.into()], &[x, indices])
    }
}
