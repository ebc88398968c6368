//! NumPy's `matmul`: vectors gain an axis and lose it again, axes in front broadcast.
use crate::ops::lift::broadcast_shapes;
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Batch, Body, Composite, Jvp, Lift, Row, Saves, Vjp};
use crate::{Aval, Cx, Dims, Error, Result, Tensor};
use smallvec::smallvec;

/// Axes in front of both, broadcast; and the result's shape.
fn shapes(a: &[usize], b: &[usize]) -> Result<(Dims, Dims)> {
    let wrong = || {
        Error::shape(format!("shapes {a:?} and {b:?} do not fit: the last axis of the first must equal the one before last of the second"))
    };
    let (Some(&k), Some(_)) = (a.last(), b.last()) else { return Err(Error::shape("matmul takes no scalars: use mul")) };
    if b[b.len().saturating_sub(2)] != k {
        return Err(wrong());
    }
    let front = broadcast_shapes(&[&a[..a.len().saturating_sub(2)], &b[..b.len().saturating_sub(2)]])?;
    let mut out = front.clone();
    if a.len() > 1 {
        out.push(a[a.len() - 2]);
    }
    if b.len() > 1 {
        out.push(b[b.len() - 1]);
    }
    Ok((front, out))
}

fn expand(cx: &Cx, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (front, _) = shapes(a.shape(), b.shape())?;
    // Without axes in front of `b` the axes of `a` stay as they are: one large product.
    if b.ndim() <= 2 {
        return cx.dot(a, b, [&[], &[]], [&[a.ndim() - 1], &[0]]);
    }
    let stretch = |x: &Tensor| {
        let own = x.ndim().min(2);
        let shape: Vec<usize> = front.iter().chain(&x.shape()[x.ndim() - own..]).copied().collect();
        cx.broadcast_to(x, &shape)
    };
    let n = front.len();
    let axes: Vec<usize> = (0..n).collect();
    if a.ndim() == 1 {
        // [k] × [.., k, n]: sum over `b`'s axis before last.
        return cx.dot(b, a, [&[], &[]], [&[n], &[0]]);
    }
    cx.dot(&stretch(a)?, &stretch(b)?, [&axes, &axes], [&[n + 1], &[n]])
}

pub static MATMUL: Row = Row {
    name: "matmul",
    doc: "Matrix product with NumPy's rules: 1-D operands are vectors, axes in front of the last two broadcast.",
    operands: &["a", "b"],
    params: &[],
    many: false,
    lift: Lift::Dtypes,
    shape: |xs, _| {
        if xs[0].dtype != xs[1].dtype {
            return Err(Error::dtype(format!("operands have dtypes {} and {}", xs[0].dtype.name(), xs[1].dtype.name())));
        }
        Ok(smallvec![Aval { shape: shapes(&xs[0].shape, &xs[1].shape)?.1, dtype: xs[0].dtype, weak: xs[0].weak && xs[1].weak }])
    },
    body: Body::Composite(Composite { expand: |cx, _, xs| Ok(smallvec![expand(cx, &xs[0], &xs[1])?]), fused: None }),
    saves: Saves::NONE,
    vjp: Vjp::None("its expansion has one"),
    jvp: Jvp::None("its expansion has one"),
    batch: Batch::None("its expansion has one"),
    samples: || {
        let r = Domain::Range(-2.0, 2.0);
        let mut out: Vec<Sample> = [
            (&[7usize][..], &[7usize][..]),
            (&[4], &[4, 3]),
            (&[3, 4], &[4]),
            (&[3, 4], &[4, 5]),
            (&[2, 1, 3, 4], &[5, 4, 2]),
            (&[2, 3, 4], &[4, 2]),
            (&[3], &[2, 3, 4]),
            (&[2, 3, 4], &[4]),
            (&[3, 4], &[2, 4, 5]),
            (&[2, 0, 3], &[2, 3, 1]),
            (&[2, 0], &[0, 3]),
        ]
        .map(|(a, b)| Sample::new(vec![Input::new(a, r), Input::new(b, r)], vec![]))
        .into();
        out.push(Sample::new(
            vec![Input::new(&[3, 4], r).laid(Layout::Transposed), Input::new(&[4, 2], r).laid(Layout::Broadcast)],
            vec![],
        ));
        out
    },
};

impl Cx {
    pub fn matmul(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.one(&MATMUL, [], &[a, b])
    }
}
