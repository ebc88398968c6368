//! Rows that own programs: values, derivatives against differences, what they keep, mapped axes, collectives.
mod support;
use std::rc::Rc;

use pax_core::level::Mode;
use pax_core::ops::Axis;
use pax_core::program::Source;
use pax_core::{row, walk, Aval, Code, Cx, DType, Params, Program, Result, Tensor, Value};
use support::{inner, near, record, tensor, values, vjp, Rng};

fn f64s(shape: &[usize]) -> Aval {
    Aval::new(shape, DType::F64)
}

fn program(cx: &Cx, avals: &[Aval], f: impl Fn(&[Tensor]) -> Result<Vec<Tensor>>) -> Result<Rc<Program>> {
    record(cx, avals, f).map(Rc::new)
}

fn apply(cx: &Cx, name: &str, params: Vec<Value>, xs: &[Tensor]) -> Result<Vec<Tensor>> {
    let r = row(name).ok_or_else(|| pax_core::Error::internal(name))?;
    Ok(cx.apply(r, Params::new(r.params, params)?, xs)?.into_vec())
}

type F<'a> = &'a dyn Fn(&[Tensor]) -> Result<Vec<Tensor>>;

/// The vjp and the jvp of all operands, and the vjp of a scalar of the vjp, against central differences.
fn differentiates(cx: &Cx, what: &str, xs: &[Tensor], f: F) -> Result<()> {
    let mut rng = Rng(3);
    let outs = f(xs)?;
    let cts: Vec<Vec<f64>> = outs.iter().map(|y| rng.normals(y.size())).collect();
    let ct: Vec<Option<Tensor>> =
        outs.iter().zip(&cts).map(|(y, c)| y.dtype().is_float().then(|| tensor(cx, DType::F64, c, y.shape()))).collect();
    let wrt: Vec<usize> = (0..xs.len()).filter(|&i| xs[i].dtype().is_float()).collect();
    let scalar = |xs: &[Tensor]| -> Result<f64> {
        f(xs)?.iter().zip(&cts).filter(|(y, _)| y.dtype().is_float()).map(|(y, c)| Ok(inner(&values(cx, y)?, c))).sum()
    };
    let gradient = |cx: &Cx, xs: &[Tensor]| vjp(cx, xs, &wrt, &ct, |_, xs| f(xs));
    let check = |what: &str, g: &[Tensor], scalar: &dyn Fn(&[Tensor]) -> Result<f64>| -> Result<()> {
        for (g, &i) in g.iter().zip(&wrt) {
            let x = values(cx, &xs[i])?;
            let want: Vec<f64> = (0..x.len())
                .map(|e| {
                    let at = |h: f64| {
                        let mut v = x.clone();
                        v[e] += h;
                        let mut xs = xs.to_vec();
                        xs[i] = tensor(cx, DType::F64, &v, xs[i].shape());
                        scalar(&xs)
                    };
                    let h = 1e-3;
                    Ok((8.0 * (at(h)? - at(-h)?) - (at(2.0 * h)? - at(-2.0 * h)?)) / (12.0 * h))
                })
                .collect::<Result<_>>()?;
            near(&format!("{what}, operand {i}"), &values(cx, g)?, &want, 1e-6, 1e-7).unwrap();
        }
        Ok(())
    };
    let grads = gradient(cx, xs)?;
    check(&format!("{what}: vjp"), &grads, &scalar)?;
    let weights: Vec<Tensor> = wrt.iter().map(|&i| tensor(cx, DType::F64, &rng.normals(xs[i].size()), xs[i].shape())).collect();
    let along = |cx: &Cx, xs: &[Tensor]| -> Result<Tensor> {
        let mut sum = cx.zeros(&[], DType::F64)?;
        for (g, w) in gradient(cx, xs)?.iter().zip(&weights) {
            sum = cx.add(&sum, &support::dot(cx, g, w)?)?;
        }
        Ok(sum)
    };
    let one = cx.full(&[], DType::F64, 1.0)?;
    let second = vjp(cx, xs, &wrt, &[Some(one)], |cx, xs| Ok(vec![along(cx, xs)?]))?;
    check(&format!("{what}: second order"), &second, &|xs| Ok(values(cx, &along(cx, xs)?)?[0]))?;
    // <jvp, ct> = <t, vjp>
    let (_, tape) = support::tape(cx, xs, &wrt, |_, xs| f(xs))?;
    let tangents: Vec<Option<Tensor>> = weights.iter().cloned().map(Some).collect();
    let mut left = 0.0;
    for (t, c) in walk::push(cx, &tape, &tangents)?.iter().zip(&cts) {
        if let Some(t) = t {
            left += inner(&values(cx, t)?, c);
        }
    }
    let mut right = 0.0;
    for (g, w) in grads.iter().zip(&weights) {
        right += inner(&values(cx, g)?, &values(cx, w)?);
    }
    near(&format!("{what}: jvp"), &[left], &[right], 1e-9, 1e-9).unwrap();
    assert_eq!(cx.depth(), 0);
    Ok(())
}

/// `batch` against example by example, for these operands mapped.
fn maps(cx: &Cx, what: &str, xs: &[Tensor], mapped: &[bool], f: F) -> Result<()> {
    const SIZE: usize = 3;
    let mut rng = Rng(9);
    let examples: Vec<Vec<Tensor>> = (0..SIZE)
        .map(|k| {
            xs.iter()
                .zip(mapped)
                .map(|(x, &m)| {
                    let v = values(cx, x).unwrap();
                    let moved: Vec<f64> = v
                        .iter()
                        .map(|a| {
                            if m && x.dtype().is_float() {
                                a + 0.3 * rng.uniform(-1.0, 1.0)
                            } else if m && x.dtype() == DType::Bool {
                                ((*a as usize + k) % 2) as f64
                            } else {
                                *a
                            }
                        })
                        .collect();
                    tensor(cx, x.dtype(), &moved, x.shape())
                })
                .collect()
        })
        .collect();
    let p = program(cx, &xs.iter().map(|x| x.aval().clone()).collect::<Vec<_>>(), f)?;
    let mut inputs: Vec<Tensor> = (0..xs.len())
        .map(|i| {
            if !mapped[i] {
                return xs[i].clone();
            }
            let all: Vec<f64> = examples.iter().flat_map(|e| values(cx, &e[i]).unwrap()).collect();
            let shape: Vec<usize> = [SIZE].iter().chain(xs[i].shape()).copied().collect();
            tensor(cx, xs[i].dtype(), &all, &shape)
        })
        .collect();
    inputs.extend(p.captured.iter().cloned());
    let mut flags = mapped.to_vec();
    flags.resize(inputs.len(), false);
    for (k, (out, m)) in walk::batch(cx, &p, inputs, &flags, SIZE)?.into_iter().enumerate() {
        let got = values(cx, &out)?;
        for (b, e) in examples.iter().enumerate() {
            let xs: Vec<Tensor> = (0..xs.len()).map(|i| if mapped[i] { e[i].clone() } else { xs[i].clone() }).collect();
            let want = values(cx, &f(&xs)?[k])?;
            let part = if m { &got[b * want.len()..(b + 1) * want.len()] } else { &got[..] };
            near(&format!("{what} mapped {mapped:?}, example {b}, result {k}"), part, &want, 1e-12, 1e-12).unwrap();
        }
    }
    Ok(())
}

fn subsets(n: usize) -> impl Iterator<Item = Vec<bool>> {
    (1..1usize << n).map(move |s| (0..n).map(|i| s >> i & 1 == 1).collect())
}

/// A recurrent cell: `h' = tanh(h W + x)`, which also gives `h'` and counts in int32.
fn cell(cx: &Cx, reverse: bool) -> impl Fn(&[Tensor]) -> Result<Vec<Tensor>> + '_ {
    move |xs: &[Tensor]| {
        let (h, x, w) = (&xs[0], &xs[1], &xs[2]);
        let count = cx.zeros(&[], DType::I32)?;
        let p = program(cx, &[h.aval().clone(), count.aval().clone(), f64s(&x.shape()[1..])], |t| {
            let z = cx.dot(&t[0], w, [&[], &[]], [&[0], &[0]])?;
            let next = cx.one(row("tanh").unwrap(), [], &[&cx.add(&z, &t[2])?])?;
            Ok(vec![next.clone(), cx.shift(&t[1], 1.0)?, next.clone(), cx.mul(&next, &t[2])?])
        })?;
        let n = x.shape()[0];
        let outs =
            apply(cx, "scan", vec![p.into(), 2usize.into(), 1usize.into(), n.into(), reverse.into()], &[h.clone(), count, x.clone()])?;
        assert_eq!(values(cx, &outs[1]).unwrap_or(vec![n as f64]), [n as f64]);
        Ok(vec![outs[0].clone(), outs[2].clone(), outs[3].clone()])
    }
}

fn cell_operands(cx: &Cx, steps: usize) -> Vec<Tensor> {
    let mut rng = Rng(5);
    [&[2][..], &[steps, 2], &[2, 2]].map(|s| tensor(cx, DType::F64, &rng.normals(s.iter().product()), s)).to_vec()
}

#[test]
fn scan() -> Result<()> {
    let cx = Cx::default();
    for (steps, reverse) in [(4, false), (3, true), (1, false), (0, false)] {
        let xs = cell_operands(&cx, steps);
        let f = cell(&cx, reverse);
        let outs = f(&xs)?;
        // By hand.
        let (mut h, x, w) = (values(&cx, &xs[0])?, values(&cx, &xs[1])?, values(&cx, &xs[2])?);
        let mut hs = vec![vec![]; steps];
        for k in 0..steps {
            let t = if reverse { steps - 1 - k } else { k };
            h = (0..2).map(|j| (h[0] * w[j] + h[1] * w[2 + j] + x[2 * t + j]).tanh()).collect();
            hs[t] = h.clone();
        }
        near("carry", &values(&cx, &outs[0])?, &h, 1e-14, 1e-14).unwrap();
        near("stack", &values(&cx, &outs[1])?, &hs.concat(), 1e-14, 1e-14).unwrap();
        differentiates(&cx, &format!("scan of {steps}, reverse {reverse}"), &xs, &f)?;
        for m in subsets(3) {
            maps(&cx, "scan", &xs, &m, &f)?;
        }
    }
    Ok(())
}

/// Backward reads each step's carry and result; W is an operand, and nothing else is kept.
#[test]
fn a_scan_keeps_what_its_backward_reads() -> Result<()> {
    let cx = Cx::default();
    let xs = cell_operands(&cx, 4);
    let (_, tape) = support::tape(&cx, &xs, &[0, 1, 2], |_, xs| cell(&cx, false)(xs))?;
    let e = tape.program.equations.iter().find(|e| e.row.name == "scan").unwrap();
    let p = e.params.program("program")?;
    let back = p.back.as_ref().unwrap();
    // Results: carry h, count, stack of h, stack of h·x, then the stack of the carries that came in.
    assert_eq!(e.outputs.len(), 5, "{p}");
    let mut reads: Vec<String> = back.reads.iter().map(|s| format!("{s:?}")).collect();
    reads.sort();
    reads.dedup();
    // x for the product's derivative, W for the carry's, the stacked results and the stacked carries.
    assert_eq!(reads, ["Operand(2)", "Operand(3)", "Result(2)", "Result(4)"], "{p}");
    assert!(back.reads.iter().filter(|s| matches!(s, Source::Result(i) if *i < 2)).count() == 0);
    // Only W is active: the operands' own cotangents are not computed.
    let (_, tape) = support::tape(&cx, &xs, &[2], |_, xs| cell(&cx, false)(xs))?;
    let e = tape.program.equations.iter().find(|e| e.row.name == "scan").unwrap();
    let back = e.params.program("program")?.back.as_ref().unwrap();
    assert!(back.wrt[2].is_none() && back.wrt[3].is_some(), "{:?}", back.wrt);
    Ok(())
}

#[test]
fn cond() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(6);
    let (x, w) = (tensor(&cx, DType::F64, &rng.normals(3), &[3]), tensor(&cx, DType::F64, &rng.normals(3), &[3]));
    for truth in [1.0, 0.0] {
        let c = tensor(&cx, DType::Bool, &[truth], &[]);
        // The arms capture different things, and keep different things.
        let f = |xs: &[Tensor]| {
            let (c, x, w) = (&xs[0], &xs[1], &xs[2]);
            let then = program(&cx, &[x.aval().clone()], |t| Ok(vec![cx.mul(&cx.mul(&t[0], &t[0])?, w)?, t[0].clone()]))?;
            let otherwise = program(&cx, &[x.aval().clone()], |t| {
                let y = cx.one(row("exp").unwrap(), [], &[&t[0]])?;
                Ok(vec![y, x.clone()])
            })?;
            apply(&cx, "cond", vec![then.into(), otherwise.into()], &[c.clone(), x.clone()])
        };
        let (v, u) = (values(&cx, &x)?, values(&cx, &w)?);
        let want: Vec<f64> = (0..3).map(|i| if truth == 1.0 { v[i] * v[i] * u[i] } else { v[i].exp() }).collect();
        let xs = [c, x.clone(), w.clone()];
        near("cond", &values(&cx, &f(&xs)?[0])?, &want, 1e-14, 0.0).unwrap();
        differentiates(&cx, &format!("cond {truth}"), &xs, &f)?;
        for m in subsets(3) {
            maps(&cx, "cond", &xs, &m, &f)?;
        }
    }
    Ok(())
}

/// Doubles x as long as its sum is below a captured limit, and counts.
fn doubling(cx: &Cx, xs: &[Tensor]) -> Result<Vec<Tensor>> {
    let (x, limit) = (&xs[0], &xs[1]);
    let n = cx.zeros(&[], DType::I32)?;
    let carry = [x.aval().clone(), n.aval().clone()];
    let test = program(cx, &carry, |t| Ok(vec![cx.one(row("less").unwrap(), [], &[&cx.reduce_sum(&t[0], &[0])?, limit])?]))?;
    let body = program(cx, &carry, |t| Ok(vec![cx.add(&t[0], &t[0])?, cx.shift(&t[1], 1.0)?]))?;
    apply(cx, "while_loop", vec![test.into(), body.into()], &[x.clone(), n])
}

#[test]
fn while_loop() -> Result<()> {
    let cx = Cx::default();
    let xs = [tensor(&cx, DType::F64, &[1.0, 0.5], &[2]), tensor(&cx, DType::F64, &[20.0], &[])];
    let outs = doubling(&cx, &xs)?;
    assert_eq!((values(&cx, &outs[0])?, values(&cx, &outs[1])?), (vec![16.0, 8.0], vec![4.0]));
    for m in subsets(2) {
        maps(&cx, "while", &xs, &m, &|xs| doubling(&cx, xs))?;
    }
    // It may be recorded; only a cotangent asks for what there is not.
    assert!(vjp(&cx, &xs, &[0], &[None, None], doubling).is_ok());
    let e = vjp(&cx, &xs, &[0], &[Some(tensor(&cx, DType::F64, &[1.0; 2], &[2])), None], doubling).err().unwrap();
    assert_eq!(e.code, Code::Trace);
    assert!(e.message.contains("use scan"), "{e}");
    cx.unwind(0);
    Ok(())
}

/// A checkpoint keeps its operands alone.
#[test]
fn checkpoint() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(8);
    let xs = [tensor(&cx, DType::F64, &rng.normals(3), &[3]), tensor(&cx, DType::F64, &rng.normals(9), &[3, 3])];
    let f = |xs: &[Tensor]| {
        let w = &xs[1];
        let p = program(&cx, &[xs[0].aval().clone()], |t| {
            let mut h = t[0].clone();
            for _ in 0..3 {
                h = cx.one(row("tanh").unwrap(), [], &[&cx.dot(&h, w, [&[], &[]], [&[0], &[0]])?])?;
            }
            Ok(vec![h])
        })?;
        apply(&cx, "checkpoint", vec![p.into()], &xs[..1])
    };
    differentiates(&cx, "checkpoint", &xs, &f)?;
    for m in subsets(2) {
        maps(&cx, "checkpoint", &xs, &m, &f)?;
    }
    let (_, tape) = support::tape(&cx, &xs, &[0, 1], |_, xs| f(xs))?;
    let kept: Vec<usize> = tape.saved.iter().flatten().map(Tensor::size).collect();
    assert_eq!(kept, [3, 9]);
    Ok(())
}

/// A derivative of the user's own: that of `x²·y` thrice in x and none in y.
#[test]
fn custom_vjp() -> Result<()> {
    let cx = Cx::default();
    let (x, y, c) = (
        tensor(&cx, DType::F64, &[3.0, -1.0], &[2]),
        tensor(&cx, DType::F64, &[2.0, 5.0], &[2]),
        tensor(&cx, DType::F64, &[10.0, 10.0], &[2]),
    );
    let f = |xs: &[Tensor]| -> Result<Vec<Tensor>> {
        let avals = [xs[0].aval().clone(), xs[1].aval().clone()];
        let value = |t: &[Tensor]| cx.mul(&cx.mul(&t[0], &t[0])?, &t[1]);
        let primal = program(&cx, &avals, |t| Ok(vec![value(t)?]))?;
        let forward = program(&cx, &avals, |t| Ok(vec![value(t)?, cx.mul(&t[0], &t[1])?]))?;
        let backward = program(&cx, &[avals[0].clone(), avals[0].clone()], |t| {
            Ok(vec![cx.mul(&cx.scale(&cx.mul(&t[0], &t[1])?, 6.0)?, &cx.scale(&c, 0.1)?)?])
        })?;
        let p = cx.custom_vjp(&primal, &forward, &backward, &[0])?;
        let mut inputs = xs.to_vec();
        inputs.extend(p.captured.iter().cloned());
        cx.call(&p, &inputs)
    };
    let xs = [x, y];
    assert_eq!(values(&cx, &f(&xs)?[0])?, [18.0, 5.0]);
    let ct = || Some(tensor(&cx, DType::F64, &[1.0, 1.0], &[2]));
    let g = vjp(&cx, &xs, &[0, 1], &[ct()], |_, xs| f(xs))?;
    assert_eq!((values(&cx, &g[0])?, values(&cx, &g[1])?), (vec![36.0, -30.0], vec![0.0, 0.0]));
    // In a call, twice differentiated: the backward program is differentiated as any other.
    let called = |xs: &[Tensor]| {
        let p = program(&cx, &[xs[0].aval().clone(), xs[1].aval().clone()], f)?;
        let mut i = xs.to_vec();
        i.extend(p.captured.iter().cloned());
        cx.call(&p, &i)
    };
    let gg = vjp(&cx, &xs, &[0, 1], &[ct()], |cx, xs| vjp(cx, xs, &[0], &[ct()], |_, xs| called(xs)))?;
    assert_eq!((values(&cx, &gg[0])?, values(&cx, &gg[1])?), (vec![12.0, 30.0], vec![18.0, -6.0]));
    // Mapped, it keeps its derivative; over an operand that is not mapped it adds up.
    let p = program(&cx, &[xs[0].aval().clone(), xs[1].aval().clone()], f)?;
    let ys = tensor(&cx, DType::F64, &[2.0, 5.0, 1.0, 1.0], &[2, 2]);
    let g = vjp(&cx, &xs[..1], &[0], &[Some(tensor(&cx, DType::F64, &[1.0; 4], &[2, 2]))], |cx, xs| {
        let mut inputs = vec![xs[0].clone(), ys.clone()];
        inputs.extend(p.captured.iter().cloned());
        let mut mapped = vec![false; inputs.len()];
        mapped[1] = true;
        Ok(vec![walk::batch(cx, &p, inputs, &mapped, 2)?.remove(0).0])
    })?;
    assert_eq!(values(&cx, &g[0])?, [54.0, -36.0]);
    // What is being differentiated has to be an argument.
    let t = cx.begin(Mode::Diff, &xs[..1])?;
    let bad = (|| {
        let primal = program(&cx, &[xs[1].aval().clone()], |u| Ok(vec![cx.mul(&u[0], &t[0])?]))?;
        cx.custom_vjp(&primal, &primal, &primal, &[]).map(|_| ())
    })();
    cx.unwind(0);
    assert_eq!(bad.err().map(|e| e.code), Some(Code::Trace));
    Ok(())
}

#[test]
fn collectives() -> Result<()> {
    let cx = Cx::default();
    let over = |name: &str, t: &[&Tensor]| cx.one(row(name).unwrap(), [Value::from("i")], t);
    let x = tensor(&cx, DType::F64, &[1.0, 4.0, 4.0], &[3]);
    let run = |f: &dyn Fn(&Tensor) -> Result<Tensor>, x: &Tensor, axis: &str| -> Result<(Vec<f64>, bool)> {
        let p = program(&cx, &[f64s(&[])], |t| Ok(vec![f(&t[0])?]))?;
        let mut inputs = vec![x.clone()];
        inputs.extend(p.captured.iter().cloned());
        let flags: Vec<bool> = (0..inputs.len()).map(|i| i == 0).collect();
        let (t, m) = walk::batch(&cx, &p, inputs, &flags, Axis { size: 3, name: axis })?.remove(0);
        Ok((values(&cx, &t)?, m))
    };
    assert_eq!(run(&|t| over("psum", &[t]), &x, "i")?, (vec![9.0], false));
    assert_eq!(run(&|t| over("pmax", &[t]), &x, "i")?, (vec![4.0], false));
    assert_eq!(run(&|t| cx.mul(t, &cx.cast(&over("axis_index", &[])?, DType::F64)?), &x, "i")?, (vec![0.0, 4.0, 8.0], true));
    let one = cx.full(&[], DType::F64, 1.0)?;
    assert_eq!(run(&|t| cx.add(t, &over("psum", &[&one])?), &x, "i")?, (vec![4.0, 7.0, 7.0], true));
    // Inside, d(sum of all losses)/dx: each x is in every loss.
    let grad = |f: &dyn Fn(&Tensor) -> Result<Tensor>, t: &Tensor| -> Result<Tensor> {
        vjp(&cx, std::slice::from_ref(t), &[0], &[Some(one.clone())], |_, t| Ok(vec![f(&t[0])?])).map(|mut g| g.remove(0))
    };
    assert_eq!(
        run(
            &|t| grad(
                &|t| {
                    let s = over("psum", &[t])?;
                    cx.mul(&s, &s)
                },
                t
            ),
            &x,
            "i"
        )?
        .0,
        [54.0]
    );
    assert_eq!(run(&|t| grad(&|t| over("pmax", &[t]), t), &x, "i")?, (vec![0.0, 1.5, 1.5], true));
    // Another axis leaves it: the inner map of two.
    let xx = tensor(&cx, DType::F64, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2]);
    let inner = program(&cx, &[f64s(&[])], |t| Ok(vec![over("psum", &[&t[0]])?]))?;
    let p = program(&cx, &[f64s(&[2])], |t| {
        Ok(vec![walk::batch(&cx, &inner, vec![t[0].clone()], &[true], Axis { size: 2, name: "j" })?.remove(0).0])
    })?;
    let (t, m) = walk::batch(&cx, &p, vec![xx], &[true], Axis { size: 3, name: "i" })?.remove(0);
    assert_eq!((values(&cx, &t)?, m), (vec![9.0, 12.0], false));
    // In a scan none of whose operands is mapped.
    let body = program(&cx, &[f64s(&[])], |t| Ok(vec![cx.add(&t[0], &over("psum", &[&one])?)?]))?;
    let p = program(&cx, &[f64s(&[])], |_| {
        apply(&cx, "scan", vec![body.clone().into(), 1usize.into(), 0usize.into(), 2usize.into(), false.into()], std::slice::from_ref(&one))
    })?;
    let mut inputs = vec![x.clone()];
    inputs.extend(p.captured.iter().cloned());
    let flags: Vec<bool> = (0..inputs.len()).map(|i| i == 0).collect();
    assert_eq!(values(&cx, &walk::batch(&cx, &p, inputs, &flags, Axis { size: 3, name: "i" })?[0].0)?, [7.0]);
    // Without the axis there is no value.
    let e = over("psum", &[&one]).err().unwrap();
    assert_eq!(e.code, Code::Trace);
    Ok(())
}
