//! The general product: batch axes in front, then free axes of `a`, then free axes of `b`.
use crate::exec::{cpu, Exec};
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Jvp, Lift, Primitive, Pull, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Array, Aval, Cx, Dims, Error, Params, Result, Tensor, Value};
use smallvec::smallvec;

/// Axes of one operand by role.
struct Axes {
    batch: Dims,
    contract: Dims,
    free: Dims,
}

fn axes(p: &Params, rank: usize, batch: &str, contract: &str) -> Result<Axes> {
    let (batch, contract) = (p.dims(batch)?, p.dims(contract)?);
    let free = (0..rank).filter(|d| !batch.contains(d) && !contract.contains(d)).collect();
    Ok(Axes { batch, contract, free })
}

fn pick(shape: &[usize], axes: &[usize]) -> Dims {
    axes.iter().map(|&d| shape[d]).collect()
}

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let (a, b) = (xs[0], xs[1]);
    let wrong = || {
        Error::shape(format!(
            "shapes {:?} and {:?} do not fit: batch axes {:?} and {:?}, summed axes {:?} and {:?}",
            a.shape.as_slice(),
            b.shape.as_slice(),
            p.ints("a_batch").unwrap_or(&[]),
            p.ints("b_batch").unwrap_or(&[]),
            p.ints("a_contract").unwrap_or(&[]),
            p.ints("b_contract").unwrap_or(&[])
        ))
    };
    if a.dtype != b.dtype {
        return Err(Error::dtype(format!("operands have dtypes {} and {}", a.dtype.name(), b.dtype.name())));
    }
    let (xa, xb) = (axes(p, a.ndim(), "a_batch", "a_contract")?, axes(p, b.ndim(), "b_batch", "b_contract")?);
    let valid = |x: &Axes, rank: usize| {
        x.batch.iter().chain(&x.contract).all(|&d| d < rank) && x.batch.len() + x.contract.len() + x.free.len() == rank
    };
    if !valid(&xa, a.ndim()) || !valid(&xb, b.ndim()) || xa.batch.len() != xb.batch.len() || xa.contract.len() != xb.contract.len() {
        return Err(wrong());
    }
    if pick(&a.shape, &xa.batch) != pick(&b.shape, &xb.batch) || pick(&a.shape, &xa.contract) != pick(&b.shape, &xb.contract) {
        return Err(wrong());
    }
    let mut out = pick(&a.shape, &xa.batch);
    out.extend(pick(&a.shape, &xa.free));
    out.extend(pick(&b.shape, &xb.free));
    Ok(smallvec![Aval { shape: out, dtype: a.dtype, weak: a.weak && b.weak }])
}

/// The operand as `[batch, rows, cols]` where `order` groups its axes; a view where strides allow.
fn matrix(exec: &Exec, x: &Array, groups: [&[usize]; 3]) -> Result<Array> {
    let shape: Dims = groups.iter().map(|g| pick(&x.shape, g).iter().product()).collect();
    let mut strides: smallvec::SmallVec<[isize; 6]> = smallvec![0; 3];
    let mut merged = true;
    for (k, group) in groups.iter().enumerate() {
        let dims: Vec<(usize, isize)> = group.iter().map(|&d| (x.shape[d], x.strides[d])).filter(|d| d.0 != 1).collect();
        merged &= dims.windows(2).all(|w| w[0].1 == w[1].1 * w[1].0 as isize);
        strides[k] = dims.last().map_or(0, |d| d.1);
    }
    if merged {
        return Ok(x.view(&shape, &strides, x.offset));
    }
    let order: Vec<usize> = groups.iter().flat_map(|g| g.iter().copied()).collect();
    let permuted = exec.contiguous(x.view(&pick(&x.shape, &order), &order.iter().map(|&d| x.strides[d]).collect::<Vec<_>>(), x.offset));
    Ok(permuted.view(&shape, &crate::array::row_major(&shape), permuted.offset))
}

fn eval(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let (a, b) = (&xs[0], &xs[1]);
    let (xa, xb) = (axes(p, a.ndim(), "a_batch", "a_contract")?, axes(p, b.ndim(), "b_batch", "b_contract")?);
    let ma = matrix(exec, a, [&xa.batch, &xa.free, &xa.contract])?;
    let mb = matrix(exec, b, [&xb.batch, &xb.contract, &xb.free])?;
    let y = cpu::gemm::matmul(exec, &ma, &mb)?;
    let mut shape = pick(&a.shape, &xa.batch);
    shape.extend(pick(&a.shape, &xa.free));
    shape.extend(pick(&b.shape, &xb.free));
    Ok(smallvec![y.view(&shape, &crate::array::row_major(&shape), 0)])
}

/// Cotangent of one operand: the other with `g`, axes put back in order.
fn grad(p: &Pull, which: usize) -> Result<Tensor> {
    let (mine, theirs) = if which == 0 {
        (("a_batch", "a_contract"), ("b_batch", "b_contract"))
    } else {
        (("b_batch", "b_contract"), ("a_batch", "a_contract"))
    };
    let (x, y) =
        (axes(p.params, p.x_avals[which].ndim(), mine.0, mine.1)?, axes(p.params, p.x_avals[1 - which].ndim(), theirs.0, theirs.1)?);
    let g = p.g()?;
    let batch = x.batch.len();
    // g's axes: batch, free of a, free of b. Sum over the other operand's free axes.
    let g_other: Vec<usize> =
        if which == 0 { (g.ndim() - y.free.len()..g.ndim()).collect() } else { (batch..batch + y.free.len()).collect() };
    let g_batch: Vec<usize> = (0..batch).collect();
    // The other operand's contracted axes come out in its own order; match them with mine.
    let mut contract: Vec<usize> = (0..y.contract.len()).collect();
    contract.sort_by_key(|&i| y.contract[i]);
    // In the order of operands that leaves the axes of a plain product where they belong: my free axes come before the
    // contracted ones in the first operand, after them in the second.
    let (d, before) = if which == 0 {
        (p.cx.dot(g, p.x(1)?, [&g_batch, &y.batch], [&g_other, &y.free])?, [0, x.free.len()])
    } else {
        (p.cx.dot(p.x(0)?, g, [&y.batch, &g_batch], [&y.free, &g_other])?, [y.contract.len(), 0])
    };
    let mut at = vec![0; p.x_avals[which].ndim()];
    for (i, &a) in x.batch.iter().enumerate() {
        at[a] = i;
    }
    for (i, &a) in x.free.iter().enumerate() {
        at[a] = batch + before[0] + i;
    }
    for (i, &c) in contract.iter().enumerate() {
        at[x.contract[c]] = batch + before[1] + i;
    }
    p.cx.transpose(&d, &at)
}

fn batch(b: &Batching) -> Result<crate::bind::Tensors> {
    let shift = |name: &str, by: bool| -> Result<Vec<usize>> { Ok(b.params.dims(name)?.iter().map(|d| d + usize::from(by)).collect()) };
    let (ma, mb) = (b.mapped[0], b.mapped[1]);
    let (mut ab, mut bb) = (shift("a_batch", ma)?, shift("b_batch", mb)?);
    let (ac, bc) = (shift("a_contract", ma)?, shift("b_contract", mb)?);
    if ma && mb {
        ab.insert(0, 0);
        bb.insert(0, 0);
    }
    let y = b.cx.dot(&b.xs[0], &b.xs[1], [&ab, &bb], [&ac, &bc])?;
    // With one operand mapped, its axis is the first of that operand's free axes.
    let from = if ma && mb {
        0
    } else if ma {
        ab.len()
    } else {
        ab.len() + b.xs[0].ndim() - ab.len() - ac.len()
    };
    Ok(smallvec![b.cx.move_axis(&y, from, 0)?])
}

pub static DOT: Row = Row {
    name: "dot",
    doc: "Products summed over `a_contract` and `b_contract`, for each index of the batch axes; result axes: batch, rest of \
        `a`, rest of `b`.",
    operands: &["a", "b"],
    params: &[p("a_batch", Kind::Ints), p("b_batch", Kind::Ints), p("a_contract", Kind::Ints), p("b_contract", Kind::Ints)],
    many: false,
    lift: Lift::Dtypes,
    shape,
    body: Body::Primitive(Primitive { eval }),
    saves: Saves::INPUTS,
    vjp: Vjp::Rule(|p| Ok(vec![p.want(0, || grad(p, 0))?, p.want(1, || grad(p, 1))?])),
    jvp: Jvp::Multilinear,
    batch: Batch::Rule(batch),
    samples: || {
        let r = Domain::Range(-2.0, 2.0);
        let case = |a: &[usize], b: &[usize], ax: [&[i64]; 4]| {
            Sample::new(vec![Input::new(a, r), Input::new(b, r)], ax.iter().map(|&x| Value::from(x)).collect())
        };
        let mm = |m, k, n| case(&[m, k], &[k, n], [&[], &[], &[1], &[0]]);
        let mut out = vec![
            mm(1, 1, 1),
            mm(7, 8, 9),
            mm(2, 31, 3),
            mm(0, 2, 3),
            mm(2, 0, 3),
            case(&[7], &[7], [&[], &[], &[0], &[0]]),
            case(&[], &[], [&[], &[], &[], &[]]),
            case(&[2, 3], &[4, 3], [&[], &[], &[1], &[1]]),
            case(&[2, 3, 4], &[2, 4, 5], [&[0], &[0], &[2], &[1]]),
            case(&[3, 2, 4], &[4, 5, 2], [&[1], &[2], &[2], &[0]]),
            case(&[2, 3, 4], &[4, 3, 5], [&[], &[], &[1, 2], &[1, 0]]),
            case(&[2, 3], &[4], [&[], &[], &[], &[]]),
        ];
        out.push(Sample::new(
            vec![Input::new(&[3, 4], r).laid(Layout::Transposed), Input::new(&[4, 2], r).laid(Layout::Broadcast)],
            [&[] as &[i64], &[], &[1], &[0]].iter().map(|&x| Value::from(x)).collect(),
        ));
        out
    },
};

impl Cx {
    /// `dot` with axes as `[of a, of b]`.
    pub fn dot(&self, a: &Tensor, b: &Tensor, batch: [&[usize]; 2], contract: [&[usize]; 2]) -> Result<Tensor> {
        self.one(&DOT, [batch[0].into(), batch[1].into(), contract[0].into(), contract[1].into()], &[a, b])
    }
}
