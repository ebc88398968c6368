//! Rewrites of programs: where they fire and where not, and the same values as equation by equation.
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
fn sums_of_products_leave() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(1);
    for dtype in [DType::F32, DType::F64, DType::I32, DType::BF16] {
        for (n, reverse) in RUNS {
            let xs = [
                draw(&cx, &mut rng, dtype, &[3, 4]),
                draw(&cx, &mut rng, dtype, &[4, 6]),
                draw(&cx, &mut rng, dtype, &[n, 3, 4]),
                draw(&cx, &mut rng, dtype, &[n, 3, 6]),
            ];
            // The sum from zeros and from something, of operands that are scanned, and of one that is not there outside.
            for zeros in [true, false] {
                let p = same(&cx, "products", &xs, |t| {
                    let start = if zeros { cx.zeros_like(&t[1])? } else { t[1].clone() };
                    let outs = scan(&cx, &[t[0].clone(), start, t[2].clone(), t[3].clone()], 2, 2, n, reverse, |s| {
                        let h = cx.sub(&s[2], &s[0])?;
                        Ok(vec![h.clone(), cx.add(&outer(&cx, &h, &s[3])?, &s[1])?])
                    })?;
                    Ok(outs)
                })?;
                let (b, carry, _) = body(&p);
                assert_eq!((carry, count(&b, "dot"), count(&b, "add")), (1, 0, 0), "{p} {b}");
                let dot = find(&p, "dot");
                assert_eq!((dot.params.ints("a_contract")?, dot.params.ints("b_contract")?), (&[0i64, 1][..], &[0i64, 1][..]));
                assert_eq!(count(&p, "add"), usize::from(!zeros));
            }
        }
    }
    Ok(())
}

#[test]
fn sums_of_other_terms() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(2);
    for (n, reverse) in RUNS {
        let xs =
            [draw(&cx, &mut rng, DType::F32, &[3, 4]), draw(&cx, &mut rng, DType::F32, &[n, 3, 4]), draw(&cx, &mut rng, DType::F32, &[4])];
        // A bias, a transposed and scaled product, several terms, what is stacked itself.
        let p = same(&cx, "terms", &xs, |t| {
            let zeros = |s: &[usize]| cx.zeros(s, DType::F32);
            scan(&cx, &[t[0].clone(), zeros(&[4])?, zeros(&[4, 4])?, zeros(&[3, 4])?, t[1].clone(), t[2].clone()], 4, 1, n, reverse, |s| {
                let h = tanh(&cx, &cx.add(&s[0], &s[4])?)?;
                let twice = cx.scale(&cx.transpose(&outer(&cx, &h, &s[4])?, &[1, 0])?, 2.0)?;
                let more = outer(&cx, &s[4], &cx.mul(&s[4], &cx.broadcast(&s[5], &[3, 4], &[1])?)?)?;
                Ok(vec![
                    h.clone(),
                    cx.add(&s[1], &cx.reduce_sum(&h, &[0])?)?,
                    cx.add(&cx.add(&s[2], &twice)?, &more)?,
                    cx.add(&h, &s[3])?,
                    h,
                ])
            })
        })?;
        let (b, carry, _) = body(&p);
        assert_eq!((carry, count(&b, "dot"), count(&b, "reduce_sum")), (1, 0, 0), "{p} {b}");
        // Rows added up at indices.
        let table = [
            draw(&cx, &mut rng, DType::F32, &[7, 4]),
            cx.from_f64(DType::I32, &(0..n * 3).map(|_| rng.int(-9, 12) as f64).collect::<Vec<_>>(), &[n, 3]),
            xs[1].clone(),
        ];
        for outside in [CLAMP, DROP] {
            let p = same(&cx, "rows", &table, |t| {
                let zeros = cx.zeros(&[7, 4], DType::F32)?;
                scan(&cx, &[zeros, t[1].clone(), t[2].clone()], 1, 2, n, reverse, |s| {
                    let zeros = cx.zeros(&[7, 4], DType::F32)?;
                    Ok(vec![cx.add(&s[0], &cx.scatter_add(&zeros, &s[1], &cx.square(&s[2])?, Place { axis: 0, batch: 0, outside })?)?])
                })
            })?;
            assert_eq!((count(&p, "scatter"), count(&body(&p).0, "scatter")), (1, 0), "{p}");
        }
    }
    Ok(())
}

#[test]
fn sums_that_stay() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(3);
    let n = 4;
    let xs = [draw(&cx, &mut rng, DType::F32, &[4, 4]), draw(&cx, &mut rng, DType::F32, &[n, 3, 4])];
    type Step<'a> = &'a dyn Fn(&Tensor, &Tensor) -> Result<Vec<Tensor>>;
    let cases: [(&str, Step); 3] = [
        ("a step's sum is read", &|c, x| {
            let y = cx.add(c, &outer(&cx, x, x)?)?;
            Ok(vec![y.clone(), y])
        }),
        ("the carry is read", &|c, x| Ok(vec![cx.add(c, &outer(&cx, &product(&cx, x, c)?, x)?)?])),
        ("it shrinks", &|c, x| Ok(vec![cx.scale(&cx.add(c, &outer(&cx, x, x)?)?, 0.5)?])),
    ];
    for (what, f) in cases {
        let p = same(&cx, what, &xs, |t| scan(&cx, t, 1, 1, n, false, |s| f(&s[0], &s[1])))?;
        let (b, carry, _) = body(&p);
        assert!(carry == 1 && count(&b, "dot") > 0, "{what}: {p} {b}");
    }
    // Long operands of a small product would have to be stacked.
    let xs = [draw(&cx, &mut rng, DType::F32, &[]), draw(&cx, &mut rng, DType::F32, &[n, 100])];
    let p = same(&cx, "long", &xs, |t| {
        scan(&cx, t, 1, 1, n, false, |s| {
            let y = tanh(&cx, &s[1])?;
            Ok(vec![cx.add(&s[0], &outer(&cx, &y, &y)?)?])
        })
    })?;
    assert_eq!(count(&body(&p).0, "dot"), 1, "{p}");
    // A sum of which one term cannot go keeps that.
    let xs = [draw(&cx, &mut rng, DType::F32, &[4, 4]), draw(&cx, &mut rng, DType::F32, &[n, 3, 4])];
    let p = same(&cx, "in part", &xs, |t| {
        scan(&cx, t, 1, 1, n, false, |s| {
            let y = tanh(&cx, &cx.broadcast(&cx.reduce_sum(&s[1], &[0, 1])?, &[4, 4], &[])?)?;
            Ok(vec![cx.add(&cx.add(&s[0], &y)?, &outer(&cx, &s[1], &s[1])?)?])
        })
    })?;
    let (b, carry, _) = body(&p);
    assert_eq!((carry, count(&b, "dot"), count(&b, "add"), count(&p, "dot")), (1, 0, 1, 1), "{p} {b}");
    Ok(())
}

#[test]
fn what_all_steps_compute_leaves() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(4);
    for (n, reverse) in RUNS {
        let xs = [
            draw(&cx, &mut rng, DType::F32, &[3, 4]),
            draw(&cx, &mut rng, DType::F32, &[n, 3, 4]),
            draw(&cx, &mut rng, DType::F32, &[4, 4]),
        ];
        let p = same(&cx, "invariant", &xs, |t| {
            scan(&cx, t, 1, 1, n, reverse, |s| {
                let w = cx.transpose(&tanh(&cx, &product(&cx, &s[2], &s[2])?)?, &[1, 0])?;
                let h = cx.add(&product(&cx, &s[0], &w)?, &s[1])?;
                Ok(vec![h, w])
            })
        })?;
        let (b, ..) = body(&p);
        let gone = n > 1;
        assert_eq!((count(&b, "tanh"), count(&b, "dot"), count(&p, "tanh")), if gone { (0, 1, 1) } else { (1, 2, 0) }, "{p} {b}");
        if gone {
            assert_eq!(b.outputs.len(), 1, "a result that is the same in every step is stacked: {p}");
        }
    }
    Ok(())
}

#[test]
fn products_of_slices_leave() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(5);
    for (n, reverse) in RUNS {
        let ids = cx.from_f64(DType::I32, &(0..n * 3).map(|_| rng.int(-4, 9) as f64).collect::<Vec<_>>(), &[n, 3]);
        let xs = [
            draw(&cx, &mut rng, DType::F64, &[3, 6]),
            draw(&cx, &mut rng, DType::F64, &[n, 3, 4]),
            ids,
            draw(&cx, &mut rng, DType::F64, &[4, 6]),
            draw(&cx, &mut rng, DType::F64, &[6, 6]),
        ];
        let p = same(&cx, "slices", &xs, |t| {
            scan(&cx, t, 1, 2, n, reverse, |s| {
                let own = cx.gather(&s[4], &s[2], Place { axis: 0, batch: 0, outside: CLAMP })?;
                let x = cx.add(&product(&cx, &cx.scale(&s[1], 3.0)?, &s[3])?, &product(&cx, &own, &s[4])?)?;
                Ok(vec![tanh(&cx, &cx.add(&product(&cx, &s[0], &s[4])?, &x)?)?])
            })
        })?;
        assert_eq!((count(&body(&p).0, "dot"), count(&p, "dot")), if n > 1 { (1, 2) } else { (3, 0) }, "{p}");
    }
    // A small slice whose product is huge stays.
    let xs =
        [draw(&cx, &mut rng, DType::F32, &[]), draw(&cx, &mut rng, DType::F32, &[64, 1]), draw(&cx, &mut rng, DType::F32, &[1, 100_000])];
    let p = same(&cx, "huge", &xs, |t| {
        scan(&cx, t, 1, 1, 64, false, |s| {
            Ok(vec![cx.add(&s[0], &cx.one(row("reduce_max").unwrap(), [[0i64].into()], &[&product(&cx, &s[1], &s[2])?])?)?])
        })
    })?;
    assert_eq!(count(&body(&p).0, "dot"), 1, "{p}");
    Ok(())
}

#[test]
fn what_nobody_reads_is_dropped() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(6);
    for (n, reverse) in RUNS {
        let xs = [
            draw(&cx, &mut rng, DType::F32, &[4]),
            draw(&cx, &mut rng, DType::F32, &[4]),
            draw(&cx, &mut rng, DType::F32, &[n, 4]),
            draw(&cx, &mut rng, DType::F32, &[n, 4]),
        ];
        // Of two carries and five stacked results: the second carry is read by itself only, results stand twice or are operands.
        let p = same(&cx, "dead", &xs, |t| {
            let outs = scan(&cx, t, 2, 2, n, reverse, |s| {
                let h = tanh(&cx, &cx.add(&s[0], &s[2])?)?;
                let other = cx.mul(&s[1], &s[3])?;
                Ok(vec![h.clone(), other.clone(), h.clone(), cx.square(&other)?, h.clone(), s[2].clone(), other])
            })?;
            Ok(vec![outs[2].clone(), outs[4].clone(), outs[5].clone()])
        })?;
        let (b, carry, scanned) = body(&p);
        assert_eq!((carry, scanned, b.outputs.len(), b.equations.len()), (1, 1, 2, 2), "{p} {b}");
        // A carry that no step changes, slices that are all the same, a constant.
        let p = same(&cx, "still", &xs, |t| {
            let all = cx.broadcast(&t[0], &[n, 4], &[1])?;
            let outs = scan(&cx, &[t[0].clone(), t[1].clone(), all, t[2].clone()], 2, 2, n, reverse, |s| {
                Ok(vec![cx.mul(&cx.add(&s[0], &s[3])?, &tanh(&cx, &cx.add(&s[1], &s[2])?)?)?, s[1].clone()])
            })?;
            Ok(outs)
        })?;
        let (b, carry, scanned) = body(&p);
        assert_eq!((carry, scanned, count(&b, "tanh")), (1, 1, usize::from(n < 2)), "{p} {b}");
    }
    Ok(())
}

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

#[test]
fn products_of_results_leave() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(11);
    for (n, reverse) in RUNS {
        let xs = [
            draw(&cx, &mut rng, DType::F64, &[3, 4]),
            draw(&cx, &mut rng, DType::F64, &[n, 3, 4]),
            draw(&cx, &mut rng, DType::F64, &[4, 4]),
            draw(&cx, &mut rng, DType::F64, &[4, 5]),
            draw(&cx, &mut rng, DType::F64, &[5]),
        ];
        // A head inside the scan, one on top of it, and one whose result the next step reads.
        let p = same(&cx, "head", &xs, |t| {
            scan(&cx, t, 1, 1, n, reverse, |s| {
                let h = tanh(&cx, &cx.add(&product(&cx, &s[0], &s[2])?, &s[1])?)?;
                let logits = cx.add(&product(&cx, &h, &s[3])?, &cx.broadcast(&s[4], &[3, 5], &[1])?)?;
                let more = cx.dot(&s[3], &logits, [&[], &[]], [&[1], &[1]])?;
                Ok(vec![h, logits, more])
            })
        })?;
        assert_eq!((count(&body(&p).0, "dot"), count(&p, "dot")), if n > 1 { (1, 2) } else { (3, 0) }, "{p} {}", body(&p).0);
    }
    Ok(())
}

/// A gradient through a scan that multiplies its own slices, as user code makes it.
#[test]
fn gradients() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(9);
    for (n, reverse) in RUNS {
        let ids = cx.from_f64(DType::I32, &(0..n * 8).map(|_| rng.int(0, 5) as f64).collect::<Vec<_>>(), &[n, 8]);
        let f = DType::F64;
        let xs = [
            draw(&cx, &mut rng, f, &[5, 16]),
            draw(&cx, &mut rng, f, &[16, 16]),
            draw(&cx, &mut rng, f, &[16, 16]),
            draw(&cx, &mut rng, f, &[16]),
            draw(&cx, &mut rng, f, &[8, 16]),
            ids,
        ];
        let loss = |cx: &Cx, t: &[Tensor]| -> Result<Vec<Tensor>> {
            let outs = scan(cx, &[t[4].clone(), t[5].clone()], 1, 1, n, reverse, |s| {
                let x = product(cx, &cx.gather(&t[0], &s[1], Place { axis: 0, batch: 0, outside: CLAMP })?, &t[1])?;
                let z = cx.add(&cx.add(&x, &product(cx, &s[0], &t[2])?)?, &cx.broadcast(&t[3], &[8, 16], &[1])?)?;
                let h = tanh(cx, &z)?;
                Ok(vec![h.clone(), h])
            })?;
            Ok(vec![cx.reduce_sum(&cx.square(&outs[1])?, &[0, 1, 2])?])
        };
        let p =
            same(&cx, "gradient", &xs, |t| support::vjp(&cx, t, &[0, 1, 2, 3, 4], &[Some(cx.full(&[], f, 1.0)?)], |cx, t| loss(cx, t)))?;
        if n == 0 {
            continue;
        }
        let back = p.equations.iter().rfind(|e| e.row.name == "scan").unwrap();
        assert_eq!(back.params.int("carry")?, 1, "only the state's cotangent is carried: {p}");
        let b = back.params.program("program")?;
        if n > 1 {
            assert_eq!((count(b, "dot"), count(b, "scatter"), count(b, "reduce_sum")), (1, 0, 0), "{b}");
        }
    }
    Ok(())
}

/// Random bodies over square matrices.
#[test]
fn random_scans() -> Result<()> {
    for seed in 0..300 {
        let cx = Cx::default();
        let mut rng = Rng(seed * 11 + 5);
        let (carry, scanned, fixed) = (rng.int(0, 4) as usize, rng.int(0, 3) as usize, rng.int(0, 3) as usize);
        let (n, reverse) = (rng.int(0, 5) as usize, rng.int(0, 2) == 0);
        let dtype = if seed % 3 == 0 { DType::I32 } else { DType::F64 };
        let xs: Vec<Tensor> = (0..carry + scanned + fixed)
            .map(|i| {
                if (carry..carry + scanned).contains(&i) {
                    draw(&cx, &mut rng, dtype, &[n, 3, 3])
                } else {
                    draw(&cx, &mut rng, dtype, &[3, 3])
                }
            })
            .collect();
        let seed = rng.bits();
        same(&cx, "random", &xs, |t| {
            let mut rng = Rng(seed);
            let mut xs = t.to_vec();
            for x in &mut xs[..carry] {
                if rng.int(0, 2) == 0 {
                    *x = cx.zeros_like(x)?;
                }
            }
            let inner = rng.bits();
            let outs = scan(&cx, &xs, carry, scanned, n, reverse, |s| {
                let mut rng = Rng(inner);
                let mut pool = s.to_vec();
                pool.push(cx.full(&[3, 3], dtype, rng.int(0, 2) as f64)?);
                let next = |rng: &mut Rng, pool: &[Tensor]| -> Result<Tensor> {
                    let (x, y) =
                        (pool[rng.int(0, pool.len() as i64) as usize].clone(), pool[rng.int(0, pool.len() as i64) as usize].clone());
                    let small = |x: &Tensor| if dtype.is_float() { tanh(&cx, x) } else { Ok(x.clone()) };
                    match rng.int(0, 9) {
                        0 | 1 => cx.add(&x, &y),
                        2 => cx.sub(&x, &y),
                        3 => cx.mul(&small(&x)?, &small(&y)?),
                        4 | 5 => product(&cx, &small(&x)?, &small(&y)?),
                        6 => cx.transpose(&x, &[1, 0]),
                        7 => cx.broadcast(&cx.reduce_sum(&small(&x)?, &[0])?, &[3, 3], &[1]),
                        _ => cx.scale(&x, 2.0),
                    }
                };
                for _ in 0..rng.int(1, 12) {
                    let t = next(&mut rng, &pool)?;
                    pool.push(t);
                }
                let mut outs = Vec::new();
                for c in &s[..carry] {
                    let x = pool[rng.int(0, pool.len() as i64) as usize].clone();
                    outs.push(match rng.int(0, 4) {
                        0 => c.clone(),
                        1 if dtype.is_float() => tanh(&cx, &x)?,
                        _ => cx.add(c, &x)?,
                    });
                }
                for _ in 0..rng.int(0, 4) {
                    outs.push(pool[rng.int(0, pool.len() as i64) as usize].clone());
                }
                Ok(outs)
            })?;
            Ok(outs.into_iter().filter(|_| rng.int(0, 3) > 0).collect())
        })?;
    }
    Ok(())
}
