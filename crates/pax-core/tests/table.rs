//! Every row of the table on every one of its samples; a test a kind of check, all failures in one report.
mod support;
use std::rc::Rc;

use pax_core::ops::{table, Batch, Body, Domain, Jvp, Vjp};
use pax_core::{walk, Cx, DType, Tensor};
use support::{dot, every, inner, largest, near, runs, tape, tensor, text, values, vjp, Case, Rng};

type Check = std::result::Result<(), String>;
type Function<'a> = &'a dyn Fn(&Cx, &[Tensor]) -> pax_core::Result<Vec<Tensor>>;
/// Cotangents as numbers and as tensors, a result each; none for results that are not floats.
type Cotangents = (Vec<Vec<f64>>, Vec<Option<Tensor>>);

fn eps(d: DType) -> f64 {
    match d {
        DType::F64 => 2e-16,
        DType::F32 => 1.2e-7,
        DType::F16 => 1e-3,
        DType::BF16 => 8e-3,
        _ => 0.0,
    }
}

/// Rows whose expansions multiply rounding errors more than a few operations do.
const ROUNDINGS: f64 = 16.0;

#[test]
fn every_row_has_samples_and_reasons() {
    let mut failures = Vec::new();
    for row in table() {
        // Collectives have no value by themselves: tests/programs.rs has theirs.
        if !matches!(row.batch, Batch::Axis(_)) && (row.samples)().is_empty() {
            failures.push(format!("{}: no samples", row.name));
        }
        let reasons = [
            match row.vjp {
                Vjp::Zero(w) | Vjp::None(w) => w,
                _ => "-",
            },
            match row.jvp {
                Jvp::None(w) => w,
                _ => "-",
            },
            match row.batch {
                Batch::None(w) => w,
                _ => "-",
            },
        ];
        if reasons.contains(&"") || row.doc.is_empty() {
            failures.push(format!("{}: a reason or the doc is empty", row.name));
        }
        if table().iter().filter(|r| r.name == row.name).count() != 1 {
            failures.push(format!("{}: the name is not unique", row.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Shape and dtype rules against results, for every dtype the row accepts.
#[test]
fn shapes_and_dtypes() {
    every(|cx, case| {
        text(case.main(cx), "no dtype is accepted")?;
        for d in runs(&case.sample) {
            let xs = text(case.inputs(cx, &d, false), "inputs")?;
            let Ok(avals) = case.accepts(&xs) else { continue };
            if !case.row.many && avals.len() != 1 {
                return Err(format!("{} results", avals.len()));
            }
            let ys = text(case.bind(cx, &xs), &format!("{d:?}"))?;
            if ys.len() != avals.len() {
                return Err(format!("{d:?}: {} results, rule says {}", ys.len(), avals.len()));
            }
            for (y, a) in ys.iter().zip(&avals) {
                let array = text(cx.array(y), "value")?;
                // The rule may leave weakness to composites' expansions.
                if array.shape != a.shape || array.dtype != a.dtype || y.shape() != a.shape.as_slice() || y.dtype() != a.dtype {
                    return Err(format!("{d:?}: {:?}{:?}, rule says {a}", array.dtype, array.shape.as_slice()));
                }
                if a.dtype == DType::Bool && text(values(cx, y), "value")?.iter().any(|&v| v != 0.0 && v != 1.0) {
                    return Err("a bool that is neither 0 nor 1".into());
                }
            }
        }
        Ok(())
    });
}

/// Lower precisions against float64, on values that all of them hold.
#[test]
fn precisions() {
    every(|cx, case| {
        if !case.sample.inputs.iter().any(|i| matches!(i.domain, Domain::Range(..))) {
            return Ok(());
        }
        let run = |d: DType| -> std::result::Result<Option<(Vec<Tensor>, f64)>, String> {
            let dtypes: Vec<DType> = case
                .sample
                .inputs
                .iter()
                .map(|i| if matches!(i.domain, Domain::Range(..)) { d } else { support::dtypes(i.domain)[0] })
                .collect();
            let xs = text(case.inputs(cx, &dtypes, true), "inputs")?;
            if case.accepts(&xs).is_err() {
                return Ok(None);
            }
            let mut scale = 0.0f64;
            for x in &xs {
                if x.dtype().is_float() {
                    scale = scale.max(largest(&text(values(cx, x), "x")?));
                }
            }
            Ok(Some((text(case.bind(cx, &xs), d.name())?, scale)))
        };
        let Some((want, scale)) = run(DType::F64)? else { return Ok(()) };
        for d in [DType::F32, DType::BF16, DType::F16] {
            let Some((got, _)) = run(d)? else { continue };
            for (i, (g, w)) in got.iter().zip(&want).enumerate() {
                // A row that gives the operand's bits, or a dtype of its own choice, has nothing to compare.
                if !w.dtype().is_float() || g.dtype() == w.dtype() && d != g.dtype() && !case.sample.smooth {
                    continue;
                }
                let (g, w) = (text(values(cx, g), "got")?, text(values(cx, w), "want")?);
                let e = eps(d) * ROUNDINGS;
                near(&format!("{} result {i}", d.name()), &g, &w, e, e * (scale.max(1.0) + largest(&w)).min(1e4)).or_else(|why| {
                    if case.sample.smooth {
                        Err(why)
                    } else {
                        Ok(())
                    }
                })?;
            }
        }
        Ok(())
    });
}

/// Strided, reversed and offset operands give what contiguous ones give.
#[test]
fn layouts() {
    every(|cx, case| {
        for d in runs(&case.sample) {
            let xs = text(case.inputs(cx, &d, false), "inputs")?;
            if case.accepts(&xs).is_err() {
                continue;
            }
            let vals: Vec<Vec<f64>> = text(xs.iter().map(|x| values(cx, x)).collect(), "values")?;
            let plain: Vec<Tensor> = xs.iter().zip(&vals).map(|(x, v)| tensor(cx, x.dtype(), v, x.shape())).collect();
            let compare = |what: &str, plain: &[Tensor], xs: &[Tensor]| -> Check {
                let want = text(case.bind(cx, plain), "contiguous")?;
                let got = text(case.bind(cx, xs), what)?;
                for (k, (g, w)) in got.iter().zip(&want).enumerate() {
                    let (g, v) = (text(values(cx, g), what)?, text(values(cx, w), what)?);
                    let e = eps(w.dtype()) * 4.0;
                    near(&format!("{d:?} {what}, result {k}"), &g, &v, e, e * largest(&v))?;
                }
                Ok(())
            };
            compare("as laid out", &plain, &xs)?;
            for i in 0..xs.len() {
                for (what, make) in
                    [("transposed", support::transposed as fn(&Cx, DType, &[f64], &[usize]) -> _), ("reversed", support::reversed)]
                {
                    let mut other = plain.clone();
                    other[i] = cx.make(text(make(cx, xs[i].dtype(), &vals[i], xs[i].shape()), what)?, false);
                    compare(&format!("operand {i} {what}"), &plain, &other)?;
                }
                // The last axis repeated: runs of one element, each from another place.
                let Some(&n) = xs[i].shape().last().filter(|&&n| n > 1) else { continue };
                let rows: Vec<f64> = vals[i].iter().copied().step_by(n).collect();
                let repeated: Vec<f64> = rows.iter().flat_map(|&v| vec![v; n]).collect();
                let (mut contiguous, mut other) = (plain.clone(), plain.clone());
                contiguous[i] = tensor(cx, xs[i].dtype(), &repeated, xs[i].shape());
                other[i] = cx.make(text(support::repeated(cx, xs[i].dtype(), &rows, xs[i].shape()), "repeated")?, false);
                compare(&format!("operand {i} with its last axis repeated"), &contiguous, &other)?;
            }
        }
        Ok(())
    });
}

/// An abstract recording has the shapes of the eager run, and running it gives the same; so does inlining it.
/// For composites the recording is the expansion and the eager run the fused eval.
#[test]
fn recorded_equals_eager() {
    every(|cx, case| {
        for d in runs(&case.sample) {
            let xs = text(case.inputs(cx, &d, false), "inputs")?;
            if case.accepts(&xs).is_err() {
                continue;
            }
            let want = text(case.bind(cx, &xs), "eager")?;
            let program = Rc::new(text(case.record(cx, &xs), "recording")?);
            if !program.captured.is_empty() {
                return Err("the recording captured a tensor".into());
            }
            let called = text(cx.call(&program, &xs), "call")?;
            let inlined = text(walk::eval::inline(cx, &program, xs.clone()), "inline")?;
            for (k, w) in want.iter().enumerate() {
                let a = program.aval(program.outputs[k]);
                if a.shape.as_slice() != w.shape() || a.dtype != w.dtype() || a.weak != w.weak() {
                    return Err(format!("{d:?}: abstract result {k} is {a}, eager {}", w.aval()));
                }
                let e = eps(w.dtype()) * if matches!(case.row.body, Body::Composite(_)) { ROUNDINGS } else { 0.0 };
                let v = text(values(cx, w), "eager")?;
                let atol = e * (1.0 + largest(&v));
                near(&format!("{d:?} call, result {k}"), &text(values(cx, &called[k]), "call")?, &v, e, atol)?;
                near(&format!("{d:?} inline, result {k}"), &text(values(cx, &inlined[k]), "inline")?, &v, e, atol)?;
            }
        }
        Ok(())
    });
}

// ---- derivatives, in float64
/// Central difference of `f` along one element of one operand.
fn difference(
    cx: &Cx,
    xs: &[Tensor],
    which: usize,
    direction: &[f64],
    f: &dyn Fn(&[Tensor]) -> pax_core::Result<Vec<f64>>,
) -> pax_core::Result<Vec<f64>> {
    let x = values(cx, &xs[which])?;
    let h = 1e-4 * largest(&x).clamp(0.1, 1.0);
    let at = |c: f64| -> pax_core::Result<Vec<f64>> {
        let mut moved = xs.to_vec();
        moved[which] = tensor(cx, DType::F64, &x.iter().zip(direction).map(|(a, d)| a + c * h * d).collect::<Vec<_>>(), xs[which].shape());
        f(&moved)
    };
    // Five points: the error is of order h⁴.
    let (p1, m1, p2, m2) = (at(1.0)?, at(-1.0)?, at(2.0)?, at(-2.0)?);
    Ok((0..p1.len()).map(|i| (8.0 * (p1[i] - m1[i]) - (p2[i] - m2[i])) / (12.0 * h)).collect())
}

/// Elements of an operand to check one by one.
fn picked(n: usize, most: usize) -> Vec<usize> {
    if n <= most {
        (0..n).collect()
    } else {
        (0..most).map(|i| i * n / most).collect()
    }
}
fn unit(n: usize, i: usize) -> Vec<f64> {
    (0..n).map(|k| f64::from(u8::from(k == i))).collect()
}

fn float_results(case: &Case, cx: &Cx, xs: &[Tensor]) -> pax_core::Result<Vec<Vec<f64>>> {
    case.bind(cx, xs)?.iter().map(|y| if y.dtype().is_float() { values(cx, y) } else { Ok(vec![]) }).collect()
}

/// Random cotangents of the float results, and as tensors.
fn cotangents(case: &Case, cx: &Cx, xs: &[Tensor], rng: &mut Rng) -> pax_core::Result<Cotangents> {
    let avals = case.accepts(xs)?;
    let cts: Vec<Vec<f64>> = avals.iter().map(|a| if a.dtype.is_float() { rng.normals(a.size()) } else { vec![] }).collect();
    let tensors = avals.iter().zip(&cts).map(|(a, c)| a.dtype.is_float().then(|| tensor(cx, a.dtype, c, &a.shape))).collect();
    Ok((cts, tensors))
}

fn against_differences(
    cx: &Cx,
    xs: &[Tensor],
    floats: &[usize],
    grads: &[Vec<f64>],
    most: usize,
    f: &dyn Fn(&[Tensor]) -> pax_core::Result<Vec<f64>>,
) -> Check {
    for (k, &i) in floats.iter().enumerate() {
        if grads[k].len() != xs[i].size() {
            return Err(format!("operand {i}: the cotangent has {} elements", grads[k].len()));
        }
        let scale = largest(&grads[k]).max(1.0);
        for e in picked(xs[i].size(), most) {
            let want = text(difference(cx, xs, i, &unit(xs[i].size(), e), f), "difference")?;
            near(&format!("operand {i}, element {e}"), &[grads[k][e]], &want, 1e-5, 1e-6 * scale)?;
        }
        let d = Rng(7).normals(xs[i].size());
        let want = text(difference(cx, xs, i, &d, f), "difference")?;
        near(
            &format!("operand {i}, along a random direction"),
            &[inner(&grads[k], &d)],
            &want,
            1e-5,
            1e-6 * scale * (1.0 + d.len() as f64).sqrt(),
        )?;
    }
    Ok(())
}

#[test]
fn vjp_against_differences() {
    every(|cx, case| {
        if !matches!(case.row.vjp, Vjp::Rule(_)) {
            return Ok(());
        }
        let Some((xs, floats)) = text(case.smooth(cx), "inputs")? else { return Ok(()) };
        let (cts, ct) = text(cotangents(case, cx, &xs, &mut Rng(case.seed + 1)), "cotangents")?;
        let grads = text(vjp(cx, &xs, &floats, &ct, |cx, xs| case.bind(cx, xs)), "vjp")?;
        for (g, &i) in grads.iter().zip(&floats) {
            if g.aval() != xs[i].aval() {
                return Err(format!("operand {i} is {}, its cotangent {}", xs[i].aval(), g.aval()));
            }
        }
        let grads: Vec<Vec<f64>> = text(grads.iter().map(|g| values(cx, g)).collect(), "vjp")?;
        against_differences(cx, &xs, &floats, &grads, 48, &|xs| {
            Ok(vec![float_results(case, cx, xs)?.iter().zip(&cts).map(|(y, c)| inner(y, c)).sum()])
        })
    });
}

/// Each operand's tangent alone, then all together; and `<jvp, ct> = <t, vjp>`.
#[test]
fn jvp_against_differences() {
    every(|cx, case| {
        if !matches!(case.row.vjp, Vjp::Rule(_)) || matches!(case.row.jvp, Jvp::None(_)) {
            return Ok(());
        }
        let Some((xs, floats)) = text(case.smooth(cx), "inputs")? else { return Ok(()) };
        let mut rng = Rng(case.seed + 2);
        let (cts, ct) = text(cotangents(case, cx, &xs, &mut rng), "cotangents")?;
        let tangents: Vec<Vec<f64>> = floats.iter().map(|&i| rng.normals(xs[i].size())).collect();
        let as_tensor = |k: usize| Some(tensor(cx, DType::F64, &tangents[k], xs[floats[k]].shape()));
        let (ys, tape) = text(tape(cx, &xs, &floats, |cx, xs| case.bind(cx, xs)), "recording")?;
        let push = |ts: &[Option<Tensor>]| -> std::result::Result<Vec<Vec<f64>>, String> {
            let out = text(walk::push(cx, &tape, ts), "jvp")?;
            out.iter()
                .zip(&ys)
                .map(|(t, y)| match t {
                    Some(t) if t.shape() != y.shape() || t.dtype() != y.dtype() => {
                        Err(format!("the tangent of {} is {}", y.aval(), t.aval()))
                    }
                    Some(t) => text(values(cx, t), "jvp"),
                    None => Ok(vec![0.0; if y.dtype().is_float() { y.size() } else { 0 }]),
                })
                .collect()
        };
        let mut sums: Vec<Vec<f64>> = ys.iter().map(|y| vec![0.0; if y.dtype().is_float() { y.size() } else { 0 }]).collect();
        for k in 0..floats.len() {
            let got = push(&(0..floats.len()).map(|j| if j == k { as_tensor(k) } else { None }).collect::<Vec<_>>())?;
            let want = text(difference(cx, &xs, floats[k], &tangents[k], &|xs| Ok(float_results(case, cx, xs)?.concat())), "difference")?;
            let flat = got.concat();
            near(&format!("tangent of operand {} alone", floats[k]), &flat, &want, 1e-5, 1e-6 * largest(&want).max(1.0))?;
            for (s, g) in sums.iter_mut().zip(&got) {
                for (a, b) in s.iter_mut().zip(g) {
                    *a += b;
                }
            }
        }
        let all = push(&(0..floats.len()).map(as_tensor).collect::<Vec<_>>())?;
        near("all tangents together", &all.concat(), &sums.concat(), 1e-9, 1e-9 * largest(&sums.concat()).max(1.0))?;
        let grads = text(vjp(cx, &xs, &floats, &ct, |cx, xs| case.bind(cx, xs)), "vjp")?;
        let grads: Vec<Vec<f64>> = text(grads.iter().map(|g| values(cx, g)).collect(), "vjp")?;
        let left: f64 = all.iter().zip(&cts).map(|(a, c)| inner(a, c)).sum();
        let right: f64 = grads.iter().zip(&tangents).map(|(g, t)| inner(g, t)).sum();
        near(
            "<jvp, ct> against <t, vjp>",
            &[left],
            &[right],
            1e-9,
            1e-9 * (1.0 + largest(&grads.concat())) * (1.0 + grads.concat().len() as f64),
        )
    });
}

/// A scalar of the vjp, differentiated again.
#[test]
fn second_order() {
    every(|cx, case| {
        if !matches!(case.row.vjp, Vjp::Rule(_)) {
            return Ok(());
        }
        let Some((xs, floats)) = text(case.smooth(cx), "inputs")? else { return Ok(()) };
        let mut rng = Rng(case.seed + 3);
        let (_, ct) = text(cotangents(case, cx, &xs, &mut rng), "cotangents")?;
        let weights: Vec<Tensor> = floats.iter().map(|&i| tensor(cx, DType::F64, &rng.normals(xs[i].size()), xs[i].shape())).collect();
        let scalar = |cx: &Cx, xs: &[Tensor]| -> pax_core::Result<Vec<Tensor>> {
            let grads = vjp(cx, xs, &floats, &ct, |cx, xs| case.bind(cx, xs))?;
            let mut sum = cx.zeros(&[], DType::F64)?;
            for (g, w) in grads.iter().zip(&weights) {
                sum = cx.add(&sum, &dot(cx, g, w)?)?;
            }
            Ok(vec![sum])
        };
        let one = text(cx.full(&[], DType::F64, 1.0), "one")?;
        let grads = text(vjp(cx, &xs, &floats, &[Some(one)], scalar), "second derivative")?;
        let grads: Vec<Vec<f64>> = text(grads.iter().map(|g| values(cx, g)).collect(), "second derivative")?;
        against_differences(cx, &xs, &floats, &grads, 6, &|xs| values(cx, &scalar(cx, xs)?[0]))
    });
}

/// One tensor as two operands: its cotangents add up.
#[test]
fn operand_used_twice() {
    every(|cx, case| {
        if !matches!(case.row.vjp, Vjp::Rule(_)) {
            return Ok(());
        }
        let Some((mut xs, floats)) = text(case.smooth(cx), "inputs")? else { return Ok(()) };
        let inputs = &case.sample.inputs;
        let same = |a: usize, b: usize| {
            inputs[a].shape == inputs[b].shape && format!("{:?}", inputs[a].domain) == format!("{:?}", inputs[b].domain)
        };
        let Some((a, b)) = floats.iter().flat_map(|&a| floats.iter().map(move |&b| (a, b))).find(|&(a, b)| a < b && same(a, b)) else {
            return Ok(());
        };
        // Ties between equal operands are no place for differences (`maximum`).
        if case.row.name.contains("max")
            || case.row.name.contains("min")
            || case.row.name == "sort"
            || case.row.name == "clamp"
            || case.row.name == "remainder"
        {
            return Ok(());
        }
        xs[b] = xs[a].clone();
        let (cts, ct) = text(cotangents(case, cx, &xs, &mut Rng(case.seed + 4)), "cotangents")?;
        let twice = |cx: &Cx, xs: &[Tensor]| {
            let mut xs = xs.to_vec();
            xs[b] = xs[a].clone();
            case.bind(cx, &xs)
        };
        let grads = text(vjp(cx, &xs, &[a], &ct, twice), "vjp")?;
        let grads: Vec<Vec<f64>> = text(grads.iter().map(|g| values(cx, g)).collect(), "vjp")?;
        against_differences(cx, &xs, &[a], &grads, 16, &|xs| {
            let mut xs = xs.to_vec();
            xs[b] = xs[a].clone();
            Ok(vec![float_results(case, cx, &xs)?.iter().zip(&cts).map(|(y, c)| inner(y, c)).sum()])
        })
    });
}

/// Differentiating a call of the recorded row gives what differentiating the row gives.
#[test]
fn call_differentiates_as_inline() {
    every(|cx, case| {
        if !matches!(case.row.vjp, Vjp::Rule(_)) {
            return Ok(());
        }
        let Some((xs, floats)) = text(case.smooth(cx), "inputs")? else { return Ok(()) };
        let mut rng = Rng(case.seed + 5);
        let (_, ct) = text(cotangents(case, cx, &xs, &mut rng), "cotangents")?;
        let program = Rc::new(text(case.record(cx, &xs), "recording")?);
        let want = text(vjp(cx, &xs, &floats, &ct, |cx, xs| case.bind(cx, xs)), "inline")?;
        let got = text(vjp(cx, &xs, &floats, &ct, |cx, xs| cx.call(&program, xs)), "call")?;
        for (k, (g, w)) in got.iter().zip(&want).enumerate() {
            let w = text(values(cx, w), "inline")?;
            near(&format!("vjp, operand {}", floats[k]), &text(values(cx, g), "call")?, &w, 1e-9, 1e-9 * largest(&w).max(1.0))?;
        }
        if matches!(case.row.jvp, Jvp::None(_)) {
            return Ok(());
        }
        let ts: Vec<Option<Tensor>> =
            floats.iter().map(|&i| Some(tensor(cx, DType::F64, &rng.normals(xs[i].size()), xs[i].shape()))).collect();
        let push = |f: Function| -> pax_core::Result<Vec<f64>> {
            let (_, tape) = tape(cx, &xs, &floats, f)?;
            let mut all = Vec::new();
            for t in walk::push(cx, &tape, &ts)?.into_iter().flatten() {
                all.extend(values(cx, &t)?);
            }
            Ok(all)
        };
        let want = text(push(&|cx, xs| case.bind(cx, xs)), "jvp inline")?;
        let got = text(push(&|cx, xs| cx.call(&program, xs)), "jvp of call")?;
        near("jvp", &got, &want, 1e-9, 1e-9 * largest(&want).max(1.0))
    });
}

/// Rows whose derivative is zero are not recorded and give no cotangent.
#[test]
fn zero_rows_are_not_recorded() {
    every(|cx, case| {
        if !matches!(case.row.vjp, Vjp::Zero(_)) || matches!(case.row.body, Body::Composite(_)) {
            return Ok(());
        }
        let xs = text(case.main(cx), "inputs")?;
        let floats: Vec<usize> = (0..xs.len()).filter(|&i| xs[i].dtype().is_float()).collect();
        let (_, tape) = text(tape(cx, &xs, &floats, |cx, xs| case.bind(cx, xs)), "recording")?;
        if tape.program.equations.is_empty() && tape.results.iter().all(Option::is_none) {
            Ok(())
        } else {
            Err(format!("recorded {}", tape.program))
        }
    });
}

// ---- batching
/// The batch rule against stacking, for every subset of mapped operands.
fn batches(size: usize, derivative: bool) {
    every(|cx, case| {
        if matches!(case.row.batch, Batch::None(_)) || case.sample.inputs.is_empty() {
            return Ok(());
        }
        let examples: Vec<Vec<Tensor>> = text(
            (0..size.max(1))
                .map(|k| {
                    let shifted = Case {
                        seed: case.seed + 100 * k as u64,
                        index: case.index,
                        row: case.row,
                        params: case.params.clone(),
                        sample: case.sample.clone(),
                    };
                    shifted.main(cx)
                })
                .collect(),
            "inputs",
        )?;
        let mut floats: Vec<usize> = (0..examples[0].len()).filter(|&i| examples[0][i].dtype().is_float()).collect();
        let mut ct = Vec::new();
        if derivative {
            if !matches!(case.row.vjp, Vjp::Rule(_)) {
                return Ok(());
            }
            if floats.is_empty() || !text(case.accepts(&examples[0]), "rule")?.iter().any(|a| a.dtype.is_float()) {
                return Ok(());
            }
            ct = text(cotangents(case, cx, &examples[0], &mut Rng(case.seed + 6)), "cotangents")?.1;
        } else {
            floats.clear()
        }
        // The function under the map: the row, or its vjp.
        let f = |cx: &Cx, xs: &[Tensor]| if derivative { vjp(cx, xs, &floats, &ct, |cx, xs| case.bind(cx, xs)) } else { case.bind(cx, xs) };
        let depth = cx.depth();
        let ts = cx.begin_abstract(&examples[0].iter().map(|t| t.aval().clone()).collect::<Vec<_>>());
        let program = text(f(cx, &ts).and_then(|ys| cx.end_abstract(&ys)).inspect_err(|_| cx.unwind(depth)), "recording")?;
        let n = examples[0].len();
        let subsets: Vec<u32> =
            if n <= 4 { (1..1 << n).collect() } else { (0..n as u32).map(|i| 1 << i).chain([(1 << n) - 1, 5]).collect() };
        for subset in subsets {
            let declared: Vec<bool> = (0..n).map(|i| subset >> i & 1 == 1).collect();
            let mut inputs = Vec::new();
            for i in 0..n {
                if !declared[i] {
                    inputs.push(examples[0][i].clone());
                    continue;
                }
                let mut all = Vec::new();
                for e in &examples[..size] {
                    all.extend(text(values(cx, &e[i]), "values")?);
                }
                let shape: Vec<usize> = [size].iter().chain(examples[0][i].shape()).copied().collect();
                let d = examples[0][i].dtype();
                // Every other operand lies with the mapped axis last in memory.
                inputs.push(if i % 2 == 0 {
                    tensor(cx, d, &all, &shape)
                } else {
                    cx.make(text(support::transposed(cx, d, &all, &shape), "layout")?, false)
                });
            }
            let mut mapped = declared.clone();
            inputs.extend(program.captured.iter().cloned());
            mapped.resize(inputs.len(), false);
            let outs = match walk::batch(cx, &program, inputs, &mapped, size) {
                Ok(outs) => outs,
                Err(_) if size == 0 => continue,
                Err(e) => return Err(format!("operands {declared:?} mapped: {e}")),
            };
            for (k, (out, is_mapped)) in outs.iter().enumerate() {
                let want = program.aval(program.outputs[k]);
                let shape: Vec<usize> = if *is_mapped { [size].iter().chain(&want.shape).copied().collect() } else { want.shape.to_vec() };
                if out.shape() != shape || out.dtype() != want.dtype {
                    return Err(format!(
                        "operands {declared:?} mapped: result {k} is {}, want {} {shape:?}",
                        out.aval(),
                        want.dtype.name()
                    ));
                }
                let got = text(values(cx, out), "batched")?;
                for (b, e) in examples[..size].iter().enumerate() {
                    let xs: Vec<Tensor> = (0..n).map(|i| if declared[i] { e[i].clone() } else { examples[0][i].clone() }).collect();
                    let v = text(f(cx, &xs).and_then(|ys| values(cx, &ys[k])), "one example")?;
                    let part = if *is_mapped { &got[b * v.len()..(b + 1) * v.len()] } else { &got[..] };
                    let e = eps(want.dtype) * 8.0;
                    near(&format!("operands {declared:?} mapped, example {b}, result {k}"), part, &v, e, e * (1.0 + largest(&v)) * 8.0)?;
                }
            }
        }
        Ok(())
    });
}

#[test]
fn batch_is_stack() {
    batches(3, false)
}
#[test]
fn batch_of_one() {
    batches(1, false)
}
#[test]
fn batch_of_none() {
    batches(0, false)
}
#[test]
fn batch_of_vjp() {
    batches(3, true)
}
