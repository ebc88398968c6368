//! Tensors behind one another along an axis.
use crate::exec::{Exec, Shared};
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Arrays, Avals, Batch, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Array, Aval, Cx, Error, Params, Result, Tensor};
use smallvec::smallvec;

/// Bytes of a chunk.
const CHUNK: usize = 1 << 18;

fn axis_of(p: &Params, ndim: usize) -> Result<usize> {
    let axis = p.int("axis")?;
    usize::try_from(axis).ok().filter(|&a| a < ndim).ok_or_else(|| Error::shape(format!("axis {axis} is none of the {ndim} axes")))
}

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let first = xs.first().ok_or_else(|| Error::value("concatenate needs at least one tensor"))?;
    let axis = axis_of(p, first.ndim())?;
    let mut shape = first.shape.clone();
    for x in &xs[1..] {
        if x.dtype != first.dtype {
            return Err(Error::dtype(format!("operands have dtypes {} and {}", first.dtype.name(), x.dtype.name())));
        }
        if x.ndim() != shape.len() || (0..shape.len()).any(|d| d != axis && x.shape[d] != shape[d]) {
            return Err(Error::shape(format!(
                "{:?} and {:?} differ on another axis than {axis}",
                first.shape.as_slice(),
                x.shape.as_slice()
            )));
        }
        shape[axis] = shape[axis]
            .checked_add(x.shape[axis])
            .ok_or_else(|| Error::shape(format!("axis {axis} of all of them has more elements than can be counted")))?;
    }
    Ok(smallvec![Aval { shape, dtype: first.dtype, weak: xs.iter().all(|x| x.weak) }])
}

fn eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let first = xs.first().ok_or_else(|| Error::value("concatenate needs at least one tensor"))?;
    let axis = axis_of(p, first.ndim())?;
    let mut shape = first.shape.clone();
    shape[axis] = xs.iter().map(|x| x.shape[axis]).sum();
    let inner: usize = shape[axis + 1..].iter().product();
    let size = first.dtype.size();
    // A row of the result has a block of each operand.
    let parts: Vec<(Array, usize)> = xs.iter().map(|x| (exec.contiguous(x.clone()), x.shape[axis] * inner * size)).collect();
    let row = shape[axis] * inner * size;
    let out = exec.empty(first.dtype, &shape);
    let to = Shared::at(out.address());
    let blocks: Vec<(Shared<u8>, usize)> = parts.iter().map(|(x, block)| (Shared::at(x.address()), *block)).collect();
    exec.chunks(out.size() * size, CHUNK, &|from, end| {
        let mut at = from;
        while at < end {
            let (o, mut within) = (at / row, at % row);
            for &(part, block) in &blocks {
                if within >= block {
                    within -= block;
                    continue;
                }
                let n = (block - within).min(end - at);
                // SAFETY: nobody else has the new array, whose bytes are those of the blocks; chunks are disjoint.
                unsafe { part.ptr().wrapping_add(o * block + within).copy_to_nonoverlapping(to.ptr().wrapping_add(at), n) };
                (at, within) = (at + n, 0);
                if at == end {
                    return;
                }
            }
        }
    });
    Ok(smallvec![out])
}

pub static CONCATENATE: Row = Row {
    name: "concatenate",
    doc: "The tensors `xs` behind one another along `axis`; on the other axes they agree.",
    operands: &["...xs"],
    params: &[p("axis", Kind::Int)],
    many: false,
    lift: Lift::Dtypes,
    shape,
    body: Body::Primitive(Primitive { eval }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(|p| {
        let (g, axis) = (p.g()?, axis_of(p.params, p.y_avals[0].ndim())?);
        let (mut start, stride) = (vec![0; g.ndim()], vec![1; g.ndim()]);
        let mut limit = g.shape().to_vec();
        p.x_avals
            .iter()
            .enumerate()
            .map(|(i, x)| {
                limit[axis] = start[axis] + x.shape[axis];
                let part = p.want(i, || p.cx.slice(g, &start, &limit, &stride));
                start[axis] = limit[axis];
                part
            })
            .collect()
    }),
    jvp: Jvp::Linear,
    batch: Batch::Rule(|b| b.bind([(b.params.int("axis")? + 1).into()], &b.all_mapped()?)),
    samples: || {
        let r = Domain::Range(-2.0, 2.0);
        let case = |xs: &[&[usize]], a: i64| Sample::new(xs.iter().map(|x| Input::new(x, r)).collect(), vec![a.into()]);
        let mut out = vec![
            case(&[&[7]], 0),
            case(&[&[8], &[0], &[9]], 0),
            case(&[&[2, 3], &[2, 1]], 1),
            case(&[&[2, 3], &[1, 3], &[31, 3]], 0),
            case(&[&[0, 3], &[0, 2]], 1),
            case(&[&[2, 2, 3], &[2, 1, 3]], 1),
        ];
        for l in [Layout::Transposed, Layout::Broadcast] {
            out.push(Sample::new(vec![Input::new(&[3, 4], r).laid(l), Input::new(&[3, 4], r)], vec![1i64.into()]));
        }
        out
    },
};

impl Cx {
    pub fn concatenate(&self, xs: &[&Tensor], axis: usize) -> Result<Tensor> {
        self.one(&CONCATENATE, [axis.into()], xs)
    }
}
