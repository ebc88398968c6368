//! Rewrites of programs: where they fire and where not, and the same values as equation by equation.
mod scans;
#[path = "../support/mod.rs"]
mod support;
use std::rc::Rc;

use pax_core::ops::index::gather::Place;
use pax_core::plan::rewrite;
use pax_core::program::Equation;
use pax_core::{row, Aval, Cx, DType, Program, Result, Tensor};
use support::{avals, near, record, values, Rng};

const CLAMP: u8 = 0;
const DROP: u8 = 1;

/// Runs a program equation by equation, and what its scans own step by step: no plan is made.
fn interpret(cx: &Cx, program: &Program, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let mut known: Vec<Option<Tensor>> = vec![None; program.avals.len()];
    for (&v, t) in program.inputs.iter().zip(inputs) {
        known[v as usize] = Some(t.clone());
    }
    for e in &program.equations {
        let args: Vec<Tensor> = e.inputs.iter().map(|&v| known[v as usize].clone().unwrap()).collect();
        let outs = match e.row.name {
            "scan" => steps(cx, e, &args)?,
            "call" => interpret(cx, e.params.program("program")?, &args)?,
            _ => cx.bind(e.row, e.params.clone(), &args)?.into_vec(),
        };
        for (&v, t) in e.outputs.iter().zip(outs) {
            known[v as usize] = Some(t);
        }
    }
    Ok(program.outputs.iter().map(|&v| known[v as usize].clone().unwrap()).collect())
}

fn steps(cx: &Cx, e: &Equation, args: &[Tensor]) -> Result<Vec<Tensor>> {
    let (body, int) = (e.params.program("program")?, |name: &str| e.params.int(name).unwrap() as usize);
    let (carry, scanned, length) = (int("carry"), int("scanned"), int("length"));
    let mut carries = args[..carry].to_vec();
    let mut rows: Vec<Vec<Option<Tensor>>> = vec![vec![None; length]; body.outputs.len() - carry];
    for k in 0..length {
        let t = if e.params.bool("reverse")? { length - 1 - k } else { k };
        let slices = args[carry..carry + scanned]
            .iter()
            .map(|x| {
                let (mut start, mut limit) = (vec![0; x.ndim()], x.shape().to_vec());
                (start[0], limit[0]) = (t, t + 1);
                cx.reshape(&cx.slice(x, &start, &limit, &vec![1; x.ndim()])?, &x.shape()[1..])
            })
            .collect::<Result<Vec<_>>>()?;
        let inputs: Vec<Tensor> = carries.iter().cloned().chain(slices).chain(args[carry + scanned..].iter().cloned()).collect();
        let mut outs = interpret(cx, body, &inputs)?.into_iter();
        carries = outs.by_ref().take(carry).collect();
        for (row, y) in rows.iter_mut().zip(outs) {
            row[t] = Some(y);
        }
    }
    let stacked = rows.into_iter().zip(&body.outputs[carry..]).map(|(row, &v)| {
        let shape: Vec<usize> = std::iter::once(length).chain(body.aval(v).shape.iter().copied()).collect();
        let one: Vec<usize> = std::iter::once(1).chain(body.aval(v).shape.iter().copied()).collect();
        let row = row.into_iter().flatten().map(|y| cx.reshape(&y, &one)).collect::<Result<Vec<_>>>()?;
        if row.is_empty() {
            cx.zeros(&shape, body.aval(v).dtype)
        } else {
            cx.concatenate(&row.iter().collect::<Vec<_>>(), 0)
        }
    });
    Ok(carries.into_iter().chain(stacked.collect::<Result<Vec<_>>>()?).collect())
}

/// Records `f` on inputs like these and gives the rewritten program, after that gave what the recorded one gives.
fn same(cx: &Cx, what: &str, inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Vec<Tensor>>) -> Result<Program> {
    let mut program = record(cx, &avals(inputs), f)?;
    let inputs: Vec<Tensor> = inputs.iter().chain(&std::mem::take(&mut program.captured)).cloned().collect();
    let new = rewrite(&program);
    let want = interpret(cx, &program, &inputs)?;
    let (old, made) = (Rc::new(program), Rc::new(rewrite(&new)));
    for (how, got) in [
        ("interpreted", interpret(cx, &new, &inputs)?),
        ("planned", cx.call(&old, &inputs)?),
        ("rewritten twice", cx.call(&made, &inputs)?),
    ] {
        for (k, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_eq!((got.shape(), got.dtype()), (want.shape(), want.dtype()));
            let want = values(cx, want)?;
            let eps = match got.dtype() {
                DType::F64 => 1e-12,
                DType::F32 => 2e-5,
                d if d.is_float() => 0.05,
                _ => 0.0,
            };
            near(
                &format!("{what}, {how}, result {k}: {old:?} became {new:?}"),
                &values(cx, got)?,
                &want,
                eps,
                eps * (1.0 + support::largest(&want)),
            )
            .unwrap();
        }
    }
    Ok(new)
}

fn names(p: &Program) -> Vec<&'static str> {
    p.equations.iter().map(|e| e.row.name).collect()
}
fn count(p: &Program, name: &str) -> usize {
    names(p).iter().filter(|n| **n == name).count()
}
fn find<'a>(p: &'a Program, name: &str) -> &'a Equation {
    p.equations.iter().find(|e| e.row.name == name).unwrap_or_else(|| panic!("no {name} in {p}"))
}
/// The body of the only scan, how much it carries and how much it scans.
fn body(p: &Program) -> (Rc<Program>, i64, i64) {
    assert_eq!(count(p, "scan"), 1, "{p}");
    let e = find(p, "scan");
    (e.params.program("program").unwrap().clone(), e.params.int("carry").unwrap(), e.params.int("scanned").unwrap())
}

fn draw(cx: &Cx, rng: &mut Rng, dtype: DType, shape: &[usize]) -> Tensor {
    let n = shape.iter().product();
    let v: Vec<f64> = if dtype.is_float() { rng.normals(n) } else { (0..n).map(|_| rng.int(-9, 9) as f64).collect() };
    cx.from_f64(dtype, &v, shape)
}

fn tanh(cx: &Cx, x: &Tensor) -> Result<Tensor> {
    cx.one(row("tanh").unwrap(), [], &[x])
}
fn product(cx: &Cx, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    cx.dot(a, b, [&[], &[]], [&[a.ndim() - 1], &[0]])
}
/// `aᵀ b` over the first axis.
fn outer(cx: &Cx, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    cx.dot(a, b, [&[], &[]], [&[0], &[0]])
}

/// A scan over inputs that are carry, scanned, fixed.
fn scan(
    cx: &Cx,
    xs: &[Tensor],
    carry: usize,
    scanned: usize,
    length: usize,
    reverse: bool,
    f: impl Fn(&[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    let avals: Vec<Aval> = xs
        .iter()
        .enumerate()
        .map(|(i, x)| if (carry..carry + scanned).contains(&i) { Aval::new(&x.shape()[1..], x.dtype()) } else { x.aval().clone() })
        .collect();
    let p = Rc::new(record(cx, &avals, f)?);
    let operands: Vec<Tensor> = xs.iter().chain(&p.captured).cloned().collect();
    cx.scan(&p, carry, scanned, length, reverse, &operands)
}

const RUNS: [(usize, bool); 6] = [(0, false), (1, false), (1, true), (5, false), (5, true), (2, true)];

#[test]
fn gathers_commute() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(7);
    for dtype in [DType::F32, DType::F64] {
        let (v, d, n) = (6, 20, 5);
        let ids = cx.from_f64(DType::I32, &(0..24).map(|_| rng.int(-9, 12) as f64).collect::<Vec<_>>(), &[3, 8]);
        let xs = [draw(&cx, &mut rng, dtype, &[v, d]), draw(&cx, &mut rng, dtype, &[d, n]), ids, draw(&cx, &mut rng, dtype, &[3, 8, n])];
        let at = |outside| Place { axis: 0, batch: 0, outside };
        let step = |outside: u8, more: bool| {
            let (cx, xs) = (&cx, &xs);
            same(cx, "gather", xs, move |t| {
                let g = cx.gather(&t[0], &t[2], at(outside))?;
                let y = product(cx, &g, &t[1])?;
                let dw = cx.dot(&g, &t[3], [&[], &[]], [&[0, 1], &[0, 1]])?;
                let dg = cx.dot(&t[3], &t[1], [&[], &[]], [&[2], &[1]])?;
                let de = cx.scatter_add(&cx.zeros(&[v, d], dtype)?, &t[2], &dg, at(outside))?;
                let mut outs = vec![cx.reduce_sum(&t[3], &[0, 1])?, y, dw, de];
                if more {
                    outs.push(dg);
                }
                Ok(outs)
            })
        };
        let p = step(CLAMP, false)?;
        assert_eq!((count(&p, "gather"), count(&p, "scatter"), count(&p, "dot")), (1, 1, 3), "{p}");
        assert!(p.equations.iter().filter(|e| e.row.name == "dot").all(|e| e.inputs.iter().all(|&x| p.aval(x).size() <= v * d)), "{p}");
        assert_eq!(find(&p, "reduce_sum").params.ints("axes")?, [0], "the bias comes from the rows: {p}");
        // Another reader of the updates: they are made anyway.
        let p = step(CLAMP, true)?;
        assert!(p.equations.iter().any(|e| e.row.name == "dot" && e.inputs[0] == p.inputs[3]), "{p}");
        // What is read as 0 or lost outside stays apart from the products.
        let p = step(DROP, false)?;
        assert!(find(&p, "gather").inputs[0] == p.inputs[0] && find(&p, "reduce_sum").params.ints("axes")? == [0, 1], "{p}");
        // Other places of the axes.
        let p = same(&cx, "axes", &xs, |t| {
            let e = cx.transpose(&t[0], &[1, 0])?;
            let g = cx.gather(&e, &t[2], Place { axis: 1, batch: 0, outside: CLAMP })?;
            let left = cx.dot(&t[1], &g, [&[], &[]], [&[0], &[0]])?;
            let dw = cx.dot(&t[3], &g, [&[], &[]], [&[1, 0], &[2, 1]])?;
            Ok(vec![left, dw])
        })?;
        assert!(p.equations.iter().filter(|e| e.row.name == "dot").all(|e| e.inputs.iter().all(|&x| p.aval(x).size() <= v * d)), "{p}");
        // As many rows as indices.
        let few = [xs[0].clone(), xs[1].clone(), cx.from_f64(DType::I32, &[0.0; 8], &[8])];
        let p = same(&cx, "few", &few, |t| Ok(vec![product(&cx, &cx.gather(&t[0], &t[2], at(CLAMP))?, &t[1])?]))?;
        assert_eq!(names(&p), ["gather", "dot"]);
    }
    Ok(())
}

#[test]
fn algebra() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(8);
    let special = cx.from_f64(DType::F32, &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1.5], &[2, 3]);
    let xs = [special, draw(&cx, &mut rng, DType::I32, &[2, 3]), draw(&cx, &mut rng, DType::F32, &[3, 4])];
    let gone = same(&cx, "nothing", &xs, |t| {
        let x = cx.scale(&cx.scale(&t[0], 1.0)?, 1.0)?;
        let x = cx.sub(&x, &cx.zeros_like(&x)?)?;
        let x = cx.transpose(&cx.transpose(&x, &[1, 0])?, &[1, 0])?;
        let x = cx.reshape(&cx.reshape(&x, &[6])?, &[2, 3])?;
        let x = cx.add(&x, &cx.like(&x, -0.0)?)?;
        let i = cx.mul(&cx.add(&t[1], &cx.zeros_like(&t[1])?)?, &cx.ones_like(&t[1])?)?;
        Ok(vec![cx.cast_weak(&x, DType::F32, true)?, i])
    })?;
    assert_eq!(gone.equations.len(), 0, "{gone}");
    assert_eq!(gone.outputs, gone.inputs[..2]);
    // -0 + 0 is 0.
    let stays = same(&cx, "zero", &xs, |t| Ok(vec![cx.add(&t[0], &cx.zeros_like(&t[0])?)?]))?;
    assert_eq!(count(&stays, "add"), 1);
    let p = same(&cx, "select", &xs, |t| Ok(vec![cx.select(&cx.cast(&t[1], DType::Bool)?, &t[0], &t[0])?]))?;
    assert_eq!(p.equations.len(), 0, "{p}");
    let sign = interpret(&cx, &stays, &xs)?.remove(0);
    assert!(values(&cx, &sign)?[3].is_sign_positive());
    let p = same(&cx, "dot", &xs, |t| {
        Ok(vec![
            cx.dot(&cx.transpose(&t[2], &[1, 0])?, &t[0], [&[], &[]], [&[1], &[1]])?,
            cx.cast(&cx.full(&[2], DType::Bool, 5.0)?, DType::F32)?,
        ])
    })?;
    assert_eq!(names(&p), ["dot", "full"], "{p}");
    Ok(())
}

#[test]
fn pads_that_fill() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(10);
    for dtype in [DType::F32, DType::I32] {
        let xs = [draw(&cx, &mut rng, dtype, &[2, 3]), draw(&cx, &mut rng, dtype, &[2, 4]), draw(&cx, &mut rng, dtype, &[2, 2])];
        let pads = |value: f64, places: [i64; 3], twice: bool| {
            let (cx, xs) = (&cx, &xs);
            same(cx, "pads", xs, move |t| {
                let value = cx.full(&[], dtype, value)?;
                let all = t
                    .iter()
                    .zip(places)
                    .map(|(x, at)| cx.pad(x, &value, &[0, at], &[0, 9 - at - x.shape()[1] as i64], &[0, 0]))
                    .collect::<Result<Vec<_>>>()?;
                let sum = cx.add(&cx.add(&all[0], &all[1])?, &all[2])?;
                Ok(if twice { vec![sum, all[0].clone()] } else { vec![sum] })
            })
        };
        let p = pads(0.0, [4, 0, 7], false)?;
        assert_eq!((names(&p), p.equations[0].inputs.to_vec()), (vec!["concatenate"], vec![p.inputs[1], p.inputs[0], p.inputs[2]]));
        // They overlap, they are not zeros outside, one is read itself.
        for p in [pads(0.0, [4, 0, 6], false)?, pads(1.0, [4, 0, 7], false)?, pads(0.0, [4, 0, 7], true)?] {
            assert_eq!(count(&p, "concatenate"), 0, "{p}");
        }
    }
    Ok(())
}
