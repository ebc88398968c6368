//! Random networks large enough for phases of many chunks: a call, which runs by a plan, against the same operations one by
//! one, and the same bits for any number of threads.
mod support;
use std::rc::Rc;

use pax_core::exec::{Pool, Serial};
use pax_core::ops::index::gather::Place;
use pax_core::{row, Cx, DType, Result, Tensor, Value};
use support::{avals, near, record, values, Rng, Threads};

/// Sizes of a stream `[batch, time, width]`, and the heads that divide its width.
#[derive(Clone, Copy, Debug)]
struct Net {
    batch: usize,
    time: usize,
    width: usize,
    heads: usize,
    seed: u64,
}

const WORDS: usize = 11;

impl Net {
    fn shapes(&self) -> Vec<Vec<usize>> {
        let d = self.width;
        vec![vec![self.batch, self.time, d], vec![d, d], vec![d], vec![d, 2 * d], vec![2 * d, d], vec![WORDS, d], vec![3, d, d]]
    }

    /// The stream after some random layers, sums over it, a weight's gradient and what an optimizer makes of it.
    fn run(&self, cx: &Cx, t: &[Tensor], ids: &Tensor) -> Result<Vec<Tensor>> {
        let (b, n, d, mut rng) = (self.batch, self.time, self.width, Rng(self.seed));
        let whole = [b, n, d];
        let unary = |name: &str, x: &Tensor| cx.one(row(name).unwrap(), [], &[x]);
        let matmul = |x: &Tensor, w: &Tensor| cx.dot(x, w, [&[], &[]], [&[2], &[0]]);
        let mean = |x: &Tensor| cx.broadcast(&cx.scale(&cx.reduce_sum(x, &[2])?, 1.0 / d as f64)?, &whole, &[0, 1]);
        let (mut x, mut mid) = (t[0].clone(), t[0].clone());
        for _ in 0..rng.int(2, 9) {
            let y = match rng.int(0, 11) {
                0 => unary("relu", &cx.add(&matmul(&x, &t[1])?, &cx.broadcast(&t[2], &whole, &[2])?)?)?,
                1 => {
                    let c = cx.sub(&x, &mean(&x)?)?;
                    let s = unary("rsqrt", &cx.shift(&mean(&unary("square", &c)?)?, 1e-3)?)?;
                    cx.mul(&cx.mul(&c, &s)?, &cx.broadcast(&t[2], &whole, &[2])?)?
                }
                2 => matmul(&unary("tanh", &matmul(&x, &t[3])?)?, &t[4])?,
                3 => {
                    let split = |x: &Tensor| cx.reshape(x, &[b, n, self.heads, d / self.heads]);
                    let (q, k, v) = (split(&matmul(&x, &t[1])?)?, split(&x)?, split(&mid)?);
                    let scores = cx.scale(&cx.dot(&q, &k, [&[0, 2], &[0, 2]], [&[3], &[3]])?, 0.1)?;
                    let mixed = cx.dot(&cx.softmax(&scores, 3)?, &v, [&[0, 1], &[0, 2]], [&[3], &[1]])?;
                    cx.reshape(&cx.transpose(&mixed, &[0, 2, 1, 3])?, &whole)?
                }
                4 => {
                    let half = |from: usize, to: usize| cx.slice(&x, &[0, 0, from], &[b, n, to], &[1, 1, 1]);
                    cx.concatenate(&[&half(d / 3, d)?, &half(0, d / 3)?], 2)?
                }
                5 => cx.gather(&t[5], ids, Place { axis: 0, batch: 0, outside: 0 })?,
                6 => cx.conv(&x, &t[6], [&[1], &[1], &[1], &[1], &[1]], 1)?,
                7 if d > 1 => cx.conv(&x, &cx.slice(&t[6], &[0, 0, 0], &[3, 1, d], &[1, 1, 1])?, [&[1], &[1], &[1], &[1], &[1]], d)?,
                8 => {
                    let turned = cx.transpose(&cx.transpose(&x, &[1, 2, 0])?, &[2, 0, 1])?;
                    let whole_again = cx.reshape(&cx.transpose(&x, &[2, 1, 0])?, &[d * n, b])?;
                    cx.add(&turned, &cx.transpose(&cx.reshape(&whole_again, &[d, n, b])?, &[2, 1, 0])?)?
                }
                9 => cx.broadcast(&cx.scale(&cx.reduce_sum(&x, &[0])?, 1.0 / b as f64)?, &whole, &[1, 2])?,
                _ => {
                    let zero = cx.zeros(&[], DType::F32)?;
                    let cut = cx.slice(&x, &[0, 1, 0], &[b, n, d], &[1, 1, 1])?;
                    cx.pad(&cut, &zero, &[0, 0, 0], &[0, 1, 0], &[0, 0, 0])?
                }
            };
            mid = x;
            x = unary("tanh", &cx.add(&cx.scale(&mid, 0.7)?, &y)?)?;
        }
        let gradient = cx.dot(&mid, &x, [&[], &[]], [&[0, 1], &[0, 1]])?;
        let update = cx.sub(&t[1], &cx.scale(&gradient, 0.01)?)?;
        let table = cx.scatter_add(&cx.zeros(&[WORDS, d], DType::F32)?, ids, &x, Place { axis: 0, batch: 0, outside: 0 })?;
        let norm = cx.reduce_sum(&unary("square", &gradient)?, &[0, 1])?;
        let clipped = cx.one(row("div").unwrap(), [] as [Value; 0], &[&gradient, &cx.broadcast(&cx.shift(&norm, 1.0)?, &[d, d], &[])?])?;
        Ok(vec![
            cx.reduce_sum(&x, &[0, 1])?,
            update,
            table,
            clipped,
            cx.one(row("reduce_max").unwrap(), [Value::from(&[1i64][..])], &[&x])?,
            x,
        ])
    }
}

#[test]
fn networks_give_what_the_operations_give() -> Result<()> {
    for seed in 0..90 {
        let mut rng = Rng(seed * 31 + 7);
        let heads = [1, 2, 4][rng.int(0, 3) as usize];
        // Every tenth is large enough for what is done to large values only.
        let batch = if seed % 10 == 0 { 60 } else { rng.int(1, 20) as usize };
        let net = Net { batch, time: rng.int(2, 40) as usize, width: heads * rng.int(2, 14) as usize, heads, seed };
        let cx = Cx::default();
        let mut inputs: Vec<Tensor> = net
            .shapes()
            .iter()
            .map(|s| {
                let n: usize = s.iter().product();
                let v: Vec<f64> = rng.normals(n).iter().map(|v| 0.4 * v).collect();
                cx.from_f64(DType::F32, &v, s)
            })
            .collect();
        let ids: Vec<f64> = (0..net.batch * net.time).map(|_| rng.int(-2, WORDS as i64 + 2) as f64).collect();
        inputs.push(cx.from_f64(DType::I32, &ids, &[net.batch, net.time]));
        let apply = |t: &[Tensor]| net.run(&cx, &t[..t.len() - 1], &t[t.len() - 1]);
        let want = apply(&inputs)?;
        let program = Rc::new(record(&cx, &avals(&inputs), apply)?);
        let mut first: Option<Vec<Vec<u64>>> = None;
        for threads in [0, 1, 2, 3, 4] {
            cx.set_pool(if threads == 0 { Rc::new(Serial) as Rc<dyn Pool> } else { Rc::new(Threads(threads)) });
            // Once given away: results may lie over the inputs.
            let copies = inputs.iter().map(|t| Ok(cx.from_f64(t.dtype(), &values(&cx, t)?, t.shape()))).collect::<Result<Vec<_>>>()?;
            let got = if threads == 2 {
                cx.call_giving(&program, &copies, &vec![true; copies.len()])?.to_vec()
            } else {
                cx.call(&program, &inputs)?.to_vec()
            };
            for (k, (g, w)) in got.iter().zip(&want).enumerate() {
                assert_eq!((g.shape(), g.dtype()), (w.shape(), w.dtype()));
                let w = values(&cx, w)?;
                let scale = w.iter().fold(1.0f64, |m, v| m.max(v.abs()));
                near(&format!("{net:?}, {threads} threads, result {k}: {program}"), &values(&cx, g)?, &w, 1e-4, 2e-5 * scale).unwrap();
            }
            let bits: Vec<Vec<u64>> =
                got.iter().map(|g| Ok(values(&cx, g)?.iter().map(|v| v.to_bits()).collect())).collect::<Result<_>>()?;
            if let Some(first) = &first {
                assert!(*first == bits, "{net:?}: other bits with {threads} threads");
            } else {
                first = Some(bits);
            }
        }
    }
    Ok(())
}
