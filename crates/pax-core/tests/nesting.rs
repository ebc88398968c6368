//! Every ordered pair and triple of transformations around a function that closes over a tensor of each outer level.
//! The function is a polynomial of degree 3, for which five-point differences are exact.
mod support;
use std::rc::Rc;

use pax_core::level::Mode;
use pax_core::ops::programs::checkpoint::CHECKPOINT;
use pax_core::{walk, Aval, Cx, DType, Params, Result, Tensor};
use support::near;

#[derive(Clone, Copy, Debug)]
enum T {
    Grad,
    Vjp,
    Jvp,
    Vmap,
    Jit,
    Scan,
    Checkpoint,
}
const ALL: [T; 7] = [T::Grad, T::Vjp, T::Jvp, T::Vmap, T::Jit, T::Scan, T::Checkpoint];
const N: usize = 3;
const W: [f64; N] = [0.5, -1.25, 0.75];
const V: [f64; N] = [1.0, -0.5, 0.25];
const U: [f64; N] = [-0.75, 0.5, 1.5];
const SCALES: [f64; 2] = [1.0, -0.5];

/// `y³ + Σ_k c_k · x_k · y² + Σ_k x_k · roll(x_k)` with x_k the outer variables.
fn base(cx: &Cx, outer: &[Tensor], y: &Tensor) -> Result<Tensor> {
    let yy = cx.mul(y, y)?;
    let mut sum = cx.mul(&yy, y)?;
    for (k, x) in outer.iter().enumerate() {
        let term = cx.scale(&cx.mul(x, &yy)?, 0.5 + k as f64)?;
        // A product over all elements makes the Jacobian dense.
        let all = cx.dot(x, y, [&[], &[]], [&[0], &[0]])?;
        let dense = cx.mul(&cx.broadcast(&all, &[N], &[])?, x)?;
        sum = cx.add(&cx.add(&sum, &term)?, &dense)?;
    }
    Ok(sum)
}

fn base_ref(outer: &[Vec<f64>], y: &[f64]) -> Vec<f64> {
    (0..N)
        .map(|i| {
            let mut sum = y[i] * y[i] * y[i];
            for (k, x) in outer.iter().enumerate() {
                let all: f64 = x.iter().zip(y).map(|(a, b)| a * b).sum();
                sum += (0.5 + k as f64) * x[i] * y[i] * y[i] + all * x[i];
            }
            sum
        })
        .collect()
}

fn apply(cx: &Cx, ts: &[T], outer: &[Tensor], x: &Tensor) -> Result<Tensor> {
    let Some((t, rest)) = ts.split_first() else { return base(cx, outer, x) };
    let mut deeper = outer.to_vec();
    deeper.push(x.clone());
    let inner = |y: &Tensor| apply(cx, rest, &deeper, y);
    let constant = |v: &[f64]| cx.from_f64(DType::F64, v, &[N]);
    match t {
        T::Grad => {
            let y = cx.begin(Mode::Diff, std::slice::from_ref(x))?;
            let s = cx.reduce_sum(&cx.mul(&inner(&y[0])?, &constant(&W))?, &[0])?;
            let mut tape = cx.end_diff(&[s])?;
            let one = cx.full(&[], DType::F64, 1.0)?;
            walk::pull(cx, &mut tape, &[Some(one)], true)?.remove(0).map_or_else(|| cx.zeros_like(x), Ok)
        }
        T::Vjp => {
            let y = cx.begin(Mode::Diff, std::slice::from_ref(x))?;
            let out = inner(&y[0])?;
            let mut tape = cx.end_diff(&[out])?;
            let ct = cx.mul(x, &constant(&V))?;
            // Twice: a pull-back that is not consumed may be called again.
            walk::pull(cx, &mut tape, &[Some(ct.clone())], false)?;
            walk::pull(cx, &mut tape, &[Some(ct)], true)?.remove(0).map_or_else(|| cx.zeros_like(x), Ok)
        }
        T::Jvp => {
            let y = cx.begin(Mode::Diff, std::slice::from_ref(x))?;
            let out = inner(&y[0])?;
            let tape = cx.end_diff(&[out])?;
            let tangent = cx.mul(x, &constant(&U))?;
            walk::push(cx, &tape, &[Some(tangent)])?.remove(0).map_or_else(|| cx.zeros_like(x), Ok)
        }
        T::Vmap => {
            let scales: Vec<f64> = SCALES.iter().flat_map(|&s| [s; N]).collect();
            let shape = [SCALES.len(), N];
            let xs = cx.mul(&cx.broadcast(x, &shape, &[1])?, &cx.from_f64(DType::F64, &scales, &shape))?;
            let y = cx.begin_abstract(&[Aval::new(&[N], DType::F64)]);
            let out = inner(&y[0])?;
            let program = cx.end_abstract(&[out])?;
            let mut inputs = vec![xs];
            inputs.extend(program.captured.iter().cloned());
            let mapped: Vec<bool> = (0..inputs.len()).map(|i| i == 0).collect();
            let (out, mapped) = walk::batch(cx, &program, inputs, &mapped, SCALES.len())?.remove(0);
            let out = if mapped { out } else { cx.broadcast(&out, &shape, &[1])? };
            cx.reduce_sum(&out, &[0])
        }
        T::Jit => {
            let y = cx.begin_abstract(&[x.aval().clone()]);
            let out = inner(&y[0])?;
            let program = Rc::new(cx.end_abstract(&[out])?);
            let mut inputs = vec![x.clone()];
            inputs.extend(program.captured.iter().cloned());
            Ok(cx.call(&program, &inputs)?.remove(0))
        }
        // The carry is halved and takes what each slice gives; the slices' results come out, too.
        T::Scan => {
            let scales: Vec<f64> = SCALES.iter().flat_map(|&s| [s; N]).collect();
            let shape = [SCALES.len(), N];
            let xs = cx.mul(&cx.broadcast(x, &shape, &[1])?, &cx.from_f64(DType::F64, &scales, &shape))?;
            let t = cx.begin_abstract(&[Aval::new(&[N], DType::F64), Aval::new(&[N], DType::F64)]);
            let y = inner(&t[1])?;
            let next = cx.add(&cx.scale(&t[0], 0.5)?, &y)?;
            let program = Rc::new(cx.end_abstract(&[next, y])?);
            let mut inputs = vec![constant(&V), xs];
            inputs.extend(program.captured.iter().cloned());
            let outs = cx.scan(&program, 1, 1, SCALES.len(), true, &inputs)?;
            cx.add(&outs[0], &cx.reduce_sum(&outs[1], &[0])?)
        }
        T::Checkpoint => {
            let y = cx.begin_abstract(&[x.aval().clone()]);
            let out = inner(&y[0])?;
            let program = cx.end_abstract(&[out])?;
            cx.apply(&CHECKPOINT, Params::new(CHECKPOINT.params, [Rc::new(program).into()])?, std::slice::from_ref(x))
                .map(|mut o| o.remove(0))
        }
    }
}

fn along(f: &dyn Fn(&[f64]) -> Vec<f64>, x: &[f64], d: &[f64]) -> Vec<f64> {
    let h = 0.125;
    let at = |c: f64| f(&x.iter().zip(d).map(|(a, b)| a + c * h * b).collect::<Vec<_>>());
    let (p1, m1, p2, m2) = (at(1.0), at(-1.0), at(2.0), at(-2.0));
    (0..p1.len()).map(|i| (8.0 * (p1[i] - m1[i]) - (p2[i] - m2[i])) / (12.0 * h)).collect()
}

fn apply_ref(ts: &[T], outer: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    let Some((t, rest)) = ts.split_first() else { return base_ref(outer, x) };
    let mut deeper = outer.to_vec();
    deeper.push(x.to_vec());
    let inner = |y: &[f64]| apply_ref(rest, &deeper, y);
    let unit = |i: usize| (0..N).map(|k| f64::from(u8::from(k == i))).collect::<Vec<_>>();
    let times = |v: &[f64]| x.iter().zip(v).map(|(a, b)| a * b).collect::<Vec<f64>>();
    match t {
        T::Grad => (0..N).map(|i| support::inner(&along(&inner, x, &unit(i)), &W)).collect(),
        T::Vjp => (0..N).map(|i| support::inner(&along(&inner, x, &unit(i)), &times(&V))).collect(),
        T::Jvp => along(&inner, x, &times(&U)),
        T::Vmap => {
            let outs: Vec<Vec<f64>> = SCALES.iter().map(|s| inner(&x.iter().map(|a| a * s).collect::<Vec<_>>())).collect();
            (0..N).map(|i| outs.iter().map(|o| o[i]).sum()).collect()
        }
        T::Jit | T::Checkpoint => inner(x),
        T::Scan => {
            let outs: Vec<Vec<f64>> = SCALES.iter().map(|s| inner(&x.iter().map(|a| a * s).collect::<Vec<_>>())).collect();
            // In reverse: the last slice first.
            (0..N)
                .map(|i| {
                    let carry = outs.iter().rev().fold(V[i], |c, o| 0.5 * c + o[i]);
                    carry + outs.iter().map(|o| o[i]).sum::<f64>()
                })
                .collect()
        }
    }
}

fn check(all: Vec<Vec<T>>) {
    let x = [0.7, -1.1, 0.4];
    let mut failures = Vec::new();
    for ts in all {
        let cx = Cx::default();
        let tensors = cx.meter.tensors.get();
        let run = || -> std::result::Result<(), String> {
            let t = cx.from_f64(DType::F64, &x, &[N]);
            let got = support::text(apply(&cx, &ts, &[], &t).and_then(|y| support::values(&cx, &y)), "failed")?;
            let want = apply_ref(&ts, &[], &x);
            near("value", &got, &want, 1e-8, 1e-8 * (1.0 + support::largest(&want)))
        };
        if let Err(e) = run() {
            failures.push(format!("{ts:?}: {e}"));
        } else if cx.depth() != 0 || cx.meter.tensors.get() != tensors {
            failures.push(format!("{ts:?}: {} levels and {} tensors are left", cx.depth(), cx.meter.tensors.get()));
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

fn lists(n: usize) -> Vec<Vec<T>> {
    (0..n).fold(vec![vec![]], |lists, _| {
        lists
            .iter()
            .flat_map(|l| {
                ALL.map(|t| {
                    let mut l: Vec<T> = l.clone();
                    l.push(t);
                    l
                })
            })
            .collect()
    })
}

#[test]
fn singles() {
    check(lists(1))
}
#[test]
fn pairs() {
    check(lists(2))
}
#[test]
fn triples() {
    check(lists(3))
}
/// Differentiated programs inside programs need four.
#[test]
fn quadruples() {
    check(lists(4))
}
