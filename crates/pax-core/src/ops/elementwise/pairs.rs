//! Composites of two floats, which are promoted and broadcast.
use crate::ops::elementwise::float;
use crate::ops::samples::{elementwise, Domain};
use crate::ops::{Batch, Body, Composite, Jvp, Lift, Row, Saves, Vjp, EXPANDED};
use crate::{Cx, Result, Tensor};
use smallvec::smallvec;

type Function = fn(&Cx, &Tensor, &Tensor) -> Result<Tensor>;

macro_rules! pair {
    ($NAME:ident $name:literal, $doc:literal, [$a:ident $b:ident], $f:expr) => {
        pub static $NAME: Row = Row {
            name: $name,
            doc: $doc,
            operands: &[stringify!($a), stringify!($b)],
            params: &[],
            many: false,
            lift: Lift::PromoteFloat,
            shape: float,
            body: Body::Composite(Composite {
                expand: |cx, _, xs| {
                    const F: Function = $f;
                    Ok(smallvec![F(cx, &xs[0], &xs[1])?])
                },
                fused: None,
            }),
            saves: Saves::NONE,
            vjp: Vjp::None(EXPANDED),
            jvp: Jvp::None(EXPANDED),
            batch: Batch::None(EXPANDED),
            samples: || elementwise(&[Domain::Range(-3.0, 3.0), Domain::Range(0.2, 2.0)]),
        };
    };
}

pair!(ELU "elu", "`x` where it is positive, else `alpha * (exp(x) - 1)`.", [x alpha], |cx, x, alpha| {
    let zero = cx.zeros_like(x)?;
    let positive = cx.greater(x, &zero)?;
    // The branch not taken sees 0, so that no overflow there reaches the derivative.
    cx.select(&positive, x, &cx.mul(alpha, &cx.expm1(&cx.select(&positive, &zero, x)?)?)?)
});

pair!(LEAKY_RELU "leaky_relu", "`x` where it is not negative, else `slope * x`.", [x slope], |cx, x, slope| {
    cx.select(&cx.greater_equal(x, &cx.zeros_like(x)?)?, x, &cx.mul(slope, x)?)
});

pair!(LOGADDEXP "logaddexp", "`log(exp(a) + exp(b))`, without overflow.", [a b], |cx, a, b| {
    let above = cx.sub(a, b)?;
    let sum = cx.select(&cx.greater(&above, &cx.zeros_like(a)?)?, &cx.add(a, &cx.softplus(&cx.neg(&above)?)?)?, &cx.add(b, &cx.softplus(&above)?)?)?;
    // Infinities of one sign have no difference.
    cx.select(&cx.isnan(&above)?, &cx.add(a, b)?, &sum)
});

pair!(HYPOT "hypot", "`sqrt(a^2 + b^2)`, without overflow; infinite where one of them is. Its derivatives where both are 0 are half, as in JAX.", [a b], |cx, a, b| {
    let (p, q) = (cx.abs(a)?, cx.abs(b)?);
    let most = cx.maximum(&p, &q)?;
    let infinity = cx.like(a, f64::INFINITY)?;
    // What the greater one is says all about zeros and infinities.
    let told = cx.logical_or(&cx.equal(&most, &cx.zeros_like(&most)?)?, &cx.equal(&most, &infinity)?)?;
    let scale = cx.stop_gradient(&cx.select(&told, &cx.ones_like(&most)?, &most)?)?;
    let part = |x: &Tensor| cx.square(&cx.div(x, &scale)?);
    let sum = cx.select(&told, &cx.ones_like(a)?, &cx.add(&part(a)?, &part(b)?)?)?;
    let length = cx.select(&told, &most, &cx.mul(&scale, &cx.sqrt(&sum)?)?)?;
    cx.select(&cx.logical_or(&cx.equal(&p, &infinity)?, &cx.equal(&q, &infinity)?)?, &infinity, &length)
});
