//! Rows along one axis: where the extremes are, and running sums.
use crate::exec::cpu::along::{cumulative, positions, running_positions, Extreme};
use crate::exec::cpu::reduce::Fold;
use crate::exec::Exec;
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind, Param};
use crate::{Array, Aval, Cx, DType, Error, Params, Result, Tensor, Value};
use smallvec::smallvec;

/// The parameter `axis`, which is one of `x`'s.
pub(crate) fn axis_of(x: &Aval, p: &Params) -> Result<usize> {
    let a = p.int("axis")?;
    usize::try_from(a)
        .ok()
        .filter(|&a| a < x.ndim())
        .ok_or_else(|| Error::shape(format!("axis {a} of a tensor of shape {:?}", x.shape.as_slice())))
}

/// Samples along an axis; `more` are the parameters after `axis`.
pub(crate) fn axis_samples(domain: Domain, more: &[Value]) -> Vec<Sample> {
    let params = |a: i64| std::iter::once(Value::Int(a)).chain(more.iter().cloned()).collect::<Vec<_>>();
    let case = |x: &[usize], a: i64| Sample::new(vec![Input::new(x, domain)], params(a));
    let mut out = vec![
        case(&[1], 0),
        case(&[7], 0),
        case(&[8], 0),
        case(&[9], 0),
        case(&[31], 0),
        case(&[2, 3], 0),
        case(&[2, 3], 1),
        case(&[3, 2, 4], 1),
        case(&[0, 3], 1),
    ];
    // Repeated elements are ties.
    for (l, a) in [(Layout::Transposed, 1), (Layout::Broadcast, 1)] {
        let s = Sample::new(vec![Input::new(&[3, 4], domain).laid(l)], params(a));
        out.push(if l == Layout::Broadcast { s.rough() } else { s });
    }
    out
}

const WIDE: Domain = Domain::Range(-2.0, 2.0);
const AXIS: &[Param] = &[p("axis", Kind::Int)];
pub(crate) const RUNNING: &[Param] = &[p("axis", Kind::Int), p("reverse", Kind::Bool)];

fn position_shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let (x, axis) = (xs[0], axis_of(xs[0], p)?);
    if x.shape[axis] == 0 {
        return Err(Error::value(format!(
            "no greatest or least element along axis {axis} of shape {:?}: it is empty there",
            x.shape.as_slice()
        )));
    }
    let shape: crate::Dims = x.shape.iter().enumerate().filter(|(d, _)| *d != axis).map(|(_, &n)| n).collect();
    Ok(smallvec![Aval::new(&shape, DType::I32)])
}

/// The results' axes are the operand's, so only `axis` moves.
fn next_axis(b: &Batching) -> Result<crate::bind::Tensors> {
    b.bind([(b.params.int("axis")? + 1).into()], b.xs)
}
fn next_axis_running(b: &Batching) -> Result<crate::bind::Tensors> {
    b.bind([(b.params.int("axis")? + 1).into(), b.params.bool("reverse")?.into()], b.xs)
}

macro_rules! position_rows {
    ($ROW:ident $fn:ident, $doc:literal, $RUN:ident $run:ident, $run_doc:literal, $extreme:ident) => {
        pub static $ROW: Row = Row {
            name: stringify!($fn),
            doc: $doc,
            operands: &["x"],
            params: AXIS,
            many: false,
            lift: Lift::None,
            shape: position_shape,
            body: Body::Primitive(Primitive {
                eval: |exec, p, xs| Ok(smallvec![positions(exec, &xs[0], p.int("axis")? as usize, Extreme::$extreme)?]),
            }),
            saves: Saves::NONE,
            vjp: Vjp::Zero("a position is constant where it is defined"),
            jvp: Jvp::None("a position is constant where it is defined"),
            batch: Batch::Rule(next_axis),
            samples: || axis_samples(WIDE, &[]),
        };
        pub static $RUN: Row = Row {
            name: stringify!($run),
            doc: $run_doc,
            operands: &["x"],
            params: RUNNING,
            many: false,
            lift: Lift::None,
            shape: |xs, p| {
                axis_of(xs[0], p)?;
                Ok(smallvec![Aval::new(&xs[0].shape, DType::I32)])
            },
            body: Body::Primitive(Primitive {
                eval: |exec, p, xs| {
                    Ok(smallvec![running_positions(exec, &xs[0], p.int("axis")? as usize, p.bool("reverse")?, Extreme::$extreme)?])
                },
            }),
            saves: Saves::NONE,
            vjp: Vjp::Zero("a position is constant where it is defined"),
            jvp: Jvp::None("a position is constant where it is defined"),
            batch: Batch::Rule(next_axis_running),
            samples: || [false, true].iter().flat_map(|&r| axis_samples(WIDE, &[Value::Bool(r)])).collect(),
        };
        impl Cx {
            pub fn $fn(&self, x: &Tensor, axis: usize) -> Result<Tensor> {
                self.one(&$ROW, [axis.into()], &[x])
            }
            pub fn $run(&self, x: &Tensor, axis: usize, reverse: bool) -> Result<Tensor> {
                self.one(&$RUN, [axis.into(), reverse.into()], &[x])
            }
        }
    };
}
position_rows!(ARGMAX argmax, "Where the greatest element along `axis` is, as int32: the first of equals; NaN is the greatest.",
    CUMARGMAX cumargmax, "Where the greatest element so far along `axis` is, as int32: the first met of equals; NaN is the greatest.", Max);
position_rows!(ARGMIN argmin, "Where the least element along `axis` is, as int32: the first of equals; NaN is the least.",
    CUMARGMIN cumargmin, "Where the least element so far along `axis` is, as int32: the first met of equals; NaN is the least.", Min);

/// Sums and products so far, in `DType::sum_result`.
pub(crate) fn running_shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    axis_of(xs[0], p)?;
    Ok(smallvec![Aval { shape: xs[0].shape.clone(), dtype: xs[0].dtype.sum_result(), weak: xs[0].weak }])
}

fn cumsum(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    Ok(smallvec![cumulative(exec, &xs[0], p.int("axis")? as usize, p.bool("reverse")?, Fold::Sum)?])
}

pub static CUMSUM: Row = Row {
    name: "cumsum",
    doc: "Sum so far along `axis`, from the end if `reverse`. bool gives int32, uint8 gives uint32; half floats accumulate in float32.",
    operands: &["x"],
    params: RUNNING,
    many: false,
    lift: Lift::None,
    shape: running_shape,
    body: Body::Primitive(Primitive { eval: cumsum }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(|p| Ok(vec![p.want(0, || p.cx.cumsum(p.g()?, p.params.int("axis")? as usize, !p.params.bool("reverse")?))?])),
    jvp: Jvp::Linear,
    batch: Batch::Rule(next_axis_running),
    samples: || [false, true].iter().flat_map(|&r| axis_samples(WIDE, &[Value::Bool(r)])).collect(),
};

impl Cx {
    pub fn cumsum(&self, x: &Tensor, axis: usize, reverse: bool) -> Result<Tensor> {
        self.one(&CUMSUM, [axis.into(), reverse.into()], &[x])
    }
}
