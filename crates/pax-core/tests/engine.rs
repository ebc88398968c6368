//! What the engine promises beside numbers: depth, memory, errors, pull-backs, threads.
mod support;
use std::rc::Rc;

use pax_core::level::Mode;
use pax_core::{row, walk, Aval, Code, Cx, DType, Params, Result, Tensor, Value};
use support::{near, values, Rng, Threads};

fn scalar(cx: &Cx, x: f64) -> Tensor {
    cx.from_f64(DType::F32, &[x], &[])
}

/// No walk recurses: a chain of a million equations overflows no stack, neither in use nor when it is dropped.
#[test]
fn a_million_equations() {
    let cx = Cx::default();
    let x = scalar(&cx, 2.0);
    let (keep, small) = (scalar(&cx, -1.0), scalar(&cx, 0.5));
    let t = cx.begin(Mode::Diff, std::slice::from_ref(&x)).unwrap();
    let mut y = t[0].clone();
    for i in 0..1_000_000 {
        y = if i % 2 == 0 { cx.mul(&y, &keep) } else { cx.add(&y, &small) }.unwrap();
    }
    let mut tape = cx.end_diff(std::slice::from_ref(&y)).unwrap();
    assert_eq!(tape.program.equations.len(), 1_000_000);
    let g = walk::pull(&cx, &mut tape, &[Some(scalar(&cx, 1.0))], true).unwrap().remove(0).unwrap();
    assert_eq!(values(&cx, &g).unwrap(), [1.0]);
    let ts = cx.begin_abstract(&[x.aval().clone()]);
    let mut y = ts[0].clone();
    for _ in 0..50_000 {
        y = cx.mul(&y, &keep).unwrap();
    }
    let program = Rc::new(cx.end_abstract(std::slice::from_ref(&y)).unwrap());
    assert_eq!(values(&cx, &cx.call(&program, &[x.clone(), keep.clone()]).unwrap()[0]).unwrap(), [2.0]);
    // The other walks: split and pulled through a call, pushed, mapped.
    let t = cx.begin(Mode::Diff, std::slice::from_ref(&x)).unwrap();
    let y = cx.call(&program, &[t[0].clone(), keep.clone()]).unwrap();
    let mut tape = cx.end_diff(&y).unwrap();
    let d = walk::push(&cx, &tape, &[Some(scalar(&cx, 3.0))]).unwrap().remove(0).unwrap();
    assert_eq!(values(&cx, &d).unwrap(), [3.0]);
    let g = walk::pull(&cx, &mut tape, &[Some(scalar(&cx, 1.0))], true).unwrap().remove(0).unwrap();
    assert_eq!(values(&cx, &g).unwrap(), [1.0]);
    let xs = cx.from_f64(DType::F32, &[1.0, 2.0], &[2]);
    let (y, _) = walk::batch(&cx, &program, vec![xs, keep], &[true, false], 2).unwrap().remove(0);
    assert_eq!(values(&cx, &y).unwrap(), [1.0, 2.0]);
}

/// Programs whose results are inputs, captured tensors, constants or one variable twice; unused and integer inputs.
#[test]
fn programs_at_the_edges() -> Result<()> {
    let cx = Cx::default();
    let (x, outside) = (scalar(&cx, 3.0), scalar(&cx, 5.0));
    let n = cx.from_f64(DType::I32, &[4.0], &[]);
    let t = cx.begin_abstract(&[x.aval().clone(), n.aval().clone(), x.aval().clone()]);
    let two = cx.full(&[], DType::F32, 2.0)?;
    let y = cx.mul(&t[0], &cx.cast(&t[1], DType::F32)?)?;
    let program = Rc::new(cx.end_abstract(&[t[0].clone(), outside.clone(), two, y.clone(), y, t[1].clone()])?);
    assert_eq!((program.declared(), program.captured.len()), (3, 1));
    let want = [3.0, 5.0, 2.0, 12.0, 12.0, 4.0];
    let inputs = [x.clone(), n.clone(), scalar(&cx, 9.0), outside.clone()];
    let outs = cx.call(&program, &inputs)?;
    for (o, w) in outs.iter().zip(want) {
        assert_eq!(values(&cx, o)?, [w]);
    }
    // Backward: the input itself, and through y twice; the captured tensor; nothing to the integer and the unused one.
    let t = cx.begin(Mode::Diff, &inputs)?;
    let outs = cx.call(&program, &t)?;
    let mut tape = cx.end_diff(&outs)?;
    let ones: Vec<Option<Tensor>> = (0..5).map(|_| Some(scalar(&cx, 1.0))).chain([None]).collect();
    let grads = walk::pull(&cx, &mut tape, &ones, true)?;
    let get = |g: &Option<Tensor>| g.as_ref().map_or(Ok(vec![0.0]), |g| values(&cx, g));
    assert_eq!((get(&grads[0])?, get(&grads[2])?, get(&grads[3])?), (vec![9.0], vec![0.0], vec![1.0]));
    assert!(grads[1].is_none());
    // Mapped over the integer.
    let mut mapped = inputs.to_vec();
    mapped[1] = cx.from_f64(DType::I32, &[4.0, 5.0], &[2]);
    let outs = walk::batch(&cx, &program, mapped, &[false, true, false, false], 2)?;
    assert_eq!(outs.iter().map(|o| o.1).collect::<Vec<_>>(), [false, false, false, true, true, true]);
    assert_eq!(values(&cx, &outs[3].0)?, [12.0, 15.0]);
    // Wrong calls are errors.
    assert!(cx.call(&program, &inputs[..2]).is_err());
    assert!(cx.call(&program, &[n, x, outside.clone(), outside]).is_err());
    Ok(())
}

/// A function of several ops that fails at op `at`: by a wrong shape, or as a user's exception.
struct Steps<'a> {
    cx: &'a Cx,
    at: usize,
    n: std::cell::Cell<usize>,
    thrown: bool,
}
impl Steps<'_> {
    fn step(&self, f: impl FnOnce() -> Result<Tensor>) -> Result<Tensor> {
        let n = self.n.get();
        self.n.set(n + 1);
        if n != self.at {
            return f();
        }
        if self.thrown {
            return Err(pax_core::Error::value("thrown by the user's function"));
        }
        let (a, b) = (self.cx.zeros(&[2], DType::F32)?, self.cx.zeros(&[3], DType::F32)?);
        self.cx.mul(&a, &b)
    }
    fn run(&self, x: &Tensor, w: &Tensor) -> Result<Tensor> {
        let cx = self.cx;
        let a = self.step(|| cx.mul(x, w))?;
        let b = self.step(|| cx.add(&a, x))?;
        let c = self.step(|| cx.dot(&b, &a, [&[], &[]], [&[0], &[0]]))?;
        let d = self.step(|| cx.broadcast(&c, &[3], &[]))?;
        let e = self.step(|| cx.mul(&d, &b))?;
        self.step(|| cx.reduce_sum(&e, &[0]))
    }
}
const OPS: usize = 6;

fn transform(cx: &Cx, kind: usize, f: &dyn Fn(&Tensor) -> Result<Tensor>, x: &Tensor) -> Result<Tensor> {
    let one = || cx.full(&[], DType::F32, 1.0);
    match kind {
        0 => {
            let t = cx.begin(Mode::Diff, std::slice::from_ref(x))?;
            let y = f(&t[0])?;
            let mut tape = cx.end_diff(&[y])?;
            Ok(walk::pull(cx, &mut tape, &[Some(one()?)], true)?.remove(0).unwrap())
        }
        1 => {
            let t = cx.begin(Mode::Diff, std::slice::from_ref(x))?;
            let y = f(&t[0])?;
            let tape = cx.end_diff(&[y])?;
            Ok(walk::push(cx, &tape, &[Some(x.clone())])?.remove(0).unwrap())
        }
        2 => {
            let t = cx.begin_abstract(&[x.aval().clone()]);
            let y = f(&t[0])?;
            let program = Rc::new(cx.end_abstract(&[y])?);
            let mut xs = vec![x.clone()];
            xs.extend(program.captured.iter().cloned());
            Ok(cx.call(&program, &xs)?.remove(0))
        }
        _ => {
            let t = cx.begin_abstract(&[x.aval().clone()]);
            let y = f(&t[0])?;
            let program = cx.end_abstract(&[y])?;
            let mut xs = vec![cx.broadcast(x, &[2, 3], &[1])?];
            xs.extend(program.captured.iter().cloned());
            let mapped: Vec<bool> = (0..xs.len()).map(|i| i == 0).collect();
            Ok(walk::batch(cx, &program, xs, &mapped, 2)?.remove(0).0)
        }
    }
}

#[test]
fn errors_leave_nothing_behind() {
    let cx = Cx::default();
    let x = cx.from_f64(DType::F32, &[1.0, 2.0, 3.0], &[3]);
    let w = cx.from_f64(DType::F32, &[0.5, -1.0, 2.0], &[3]);
    let (tensors, bytes) = (cx.meter.tensors.get(), cx.meter.bytes.get());
    for outer in 0..4 {
        for inner in 0..5 {
            for at in 0..OPS {
                for thrown in [false, true] {
                    let steps = Steps { cx: &cx, at, n: Default::default(), thrown };
                    // The inner transformation gives [3] for [3] in every kind but jvp and call: those end in a sum over it.
                    let body = |t: &Tensor| steps.run(t, &w);
                    let nested = |t: &Tensor| -> Result<Tensor> {
                        let y = if inner == 4 { body(t)? } else { transform(&cx, inner, &body, t)? };
                        if y.ndim() == 0 {
                            Ok(y)
                        } else {
                            cx.reduce_sum(&y, &[0])
                        }
                    };
                    let got = transform(&cx, outer, &nested, &x);
                    assert!(got.is_err(), "op {at} under {outer} and {inner} did not fail");
                    cx.unwind(0);
                    assert_eq!(
                        (cx.depth(), cx.meter.tensors.get(), cx.meter.bytes.get()),
                        (0, tensors, bytes),
                        "after op {at} under {outer} and {inner}, thrown: {thrown}"
                    );
                }
            }
            // And without an error: what was made and not returned is gone.
            let steps = Steps { cx: &cx, at: usize::MAX, n: Default::default(), thrown: false };
            let nested = |t: &Tensor| -> Result<Tensor> {
                let body = |t: &Tensor| steps.run(t, &w);
                let y = if inner == 4 { body(t)? } else { transform(&cx, inner, &body, t)? };
                if y.ndim() == 0 {
                    Ok(y)
                } else {
                    cx.reduce_sum(&y, &[0])
                }
            };
            let y = transform(&cx, outer, &nested, &x).unwrap_or_else(|e| panic!("{outer} around {inner}: {e}"));
            values(&cx, &y).unwrap();
            drop(y);
            assert_eq!((cx.depth(), cx.meter.tensors.get(), cx.meter.bytes.get()), (0, tensors, bytes), "after {outer} around {inner}");
        }
    }
}

/// The gradient of a deep network holds what its backward pass reads, and little more.
#[test]
fn peak_bytes_of_a_deep_network() {
    const LAYERS: usize = 20;
    const B: usize = 96;
    const D: usize = 64;
    let cx = Cx::default();
    let mut rng = Rng(3);
    let mut params = Vec::new();
    for _ in 0..LAYERS {
        params.push(cx.from_f64(DType::F32, &rng.normals(D * D).iter().map(|v| v * 0.2).collect::<Vec<_>>(), &[D, D]));
        params.push(cx.from_f64(DType::F32, &rng.normals(D), &[D]));
    }
    let x = cx.from_f64(DType::F32, &rng.normals(B * D), &[B, D]);
    let param_bytes = cx.meter.bytes.get() - B * D * 4;
    assert_eq!(param_bytes, LAYERS * (D * D + D) * 4);
    cx.meter.peak.set(cx.meter.bytes.get());
    // Where the table has no relu, a square stands for it; its operand is kept as well.
    let relu = row("relu");
    let ps = cx.begin(Mode::Diff, &params).unwrap();
    let mut h = x.clone();
    for l in 0..LAYERS {
        let y = cx.dot(&h, &ps[2 * l], [&[], &[]], [&[1], &[0]]).unwrap();
        let y = cx.add(&y, &cx.broadcast(&ps[2 * l + 1], &[B, D], &[1]).unwrap()).unwrap();
        h = match relu {
            Some(r) => cx.one(r, [], &[&y]),
            None => cx.mul(&y, &y),
        }
        .unwrap();
    }
    let loss = cx.reduce_sum(&h, &[0, 1]).unwrap();
    drop(h);
    let mut tape = cx.end_diff(&[loss]).unwrap();
    drop(ps);
    let one = cx.full(&[], DType::F32, 1.0).unwrap();
    let grads = walk::pull(&cx, &mut tape, &[Some(one)], true).unwrap();
    for g in &grads {
        values(&cx, g.as_ref().unwrap()).unwrap();
    }
    // The input and each relu's result; params; gradients.
    let kept = if relu.is_some() { LAYERS + 1 } else { 2 * LAYERS };
    let needed = kept * B * D * 4 + 2 * param_bytes;
    let peak = cx.meter.peak.get();
    assert!(peak as f64 <= 1.2 * needed as f64, "peak {peak}, needed {needed}: {:.2}", peak as f64 / needed as f64);
    drop((grads, tape));
    assert_eq!(cx.meter.bytes.get(), param_bytes + B * D * 4);
}

/// `x³` by element.
fn cubed(cx: &Cx, x: &Tensor) -> Result<Tensor> {
    cx.mul(x, &cx.mul(x, x)?)
}

#[test]
fn pull_backs_are_values() -> Result<()> {
    let cx = Cx::default();
    let x = cx.from_f64(DType::F64, &[1.0, 2.0, -3.0], &[3]);
    let t = cx.begin(Mode::Diff, std::slice::from_ref(&x))?;
    let y = cubed(&cx, &t[0])?;
    let mut tape = cx.end_diff(&[y])?;
    let ct = cx.from_f64(DType::F64, &[1.0, 0.5, 2.0], &[3]);
    let want = [3.0, 6.0, 54.0];
    let pull = |tape: &mut _, ct: &Tensor| walk::pull(&cx, tape, &[Some(ct.clone())], false).map(|mut g| g.remove(0).unwrap());
    // Twice.
    for _ in 0..2 {
        assert_eq!(values(&cx, &pull(&mut tape, &ct)?)?, want);
    }
    // Under another recording: linear in the cotangent.
    let c = cx.begin(Mode::Diff, std::slice::from_ref(&ct))?;
    let g = pull(&mut tape, &c[0])?;
    let mut outer = cx.end_diff(&[g])?;
    let ones = cx.full(&[3], DType::F64, 1.0)?;
    assert_eq!(values(&cx, walk::pull(&cx, &mut outer, &[Some(ones)], true)?[0].as_ref().unwrap())?, [3.0, 12.0, 27.0]);
    // Recorded abstractly, called, and mapped over cotangents.
    let c = cx.begin_abstract(&[ct.aval().clone()]);
    let g = pull(&mut tape, &c[0])?;
    let program = Rc::new(cx.end_abstract(&[g])?);
    let mut xs = vec![ct.clone()];
    xs.extend(program.captured.iter().cloned());
    assert_eq!(values(&cx, &cx.call(&program, &xs)?[0])?, want);
    xs[0] = cx.from_f64(DType::F64, &[1.0, 0.5, 2.0, 0.0, 1.0, -1.0], &[2, 3]);
    let mapped: Vec<bool> = (0..xs.len()).map(|i| i == 0).collect();
    let (g, m) = walk::batch(&cx, &program, xs, &mapped, 2)?.remove(0);
    assert!(m);
    assert_eq!(values(&cx, &g)?, [3.0, 6.0, 54.0, 0.0, 12.0, -27.0]);
    // A consumed one frees its values, and the next call says so instead of giving wrong numbers.
    walk::pull(&cx, &mut tape, &[Some(ct.clone())], true)?;
    assert!(walk::pull(&cx, &mut tape, &[Some(ct)], false).is_err());
    Ok(())
}

#[test]
fn inactive_results_have_no_cotangent() -> Result<()> {
    let cx = Cx::default();
    let x = scalar(&cx, 2.0);
    let t = cx.begin(Mode::Diff, &[x.clone(), x.clone()])?;
    let y = cx.mul(&t[0], &t[0])?;
    let z = cx.mul(&x, &x)?;
    let recorded = cx.recorded.get();
    let mut tape = cx.end_diff(&[y, z])?;
    // The operation on values from outside cost nothing.
    assert_eq!((tape.program.equations.len(), recorded), (1, 1));
    assert!(tape.results[0].is_some() && tape.results[1].is_none());
    let g = walk::pull(&cx, &mut tape, &[Some(scalar(&cx, 1.0)), Some(scalar(&cx, 5.0))], true)?;
    assert_eq!(values(&cx, g[0].as_ref().unwrap())?, [4.0]);
    assert!(g[1].is_none());
    // An input that is itself a result.
    let t = cx.begin(Mode::Diff, &[x])?;
    let mut tape = cx.end_diff(&[t[0].clone(), t[0].clone()])?;
    let g = walk::pull(&cx, &mut tape, &[Some(scalar(&cx, 1.0)), Some(scalar(&cx, 5.0))], true)?;
    assert_eq!(values(&cx, g[0].as_ref().unwrap())?, [6.0]);
    Ok(())
}

#[test]
fn escaped_and_abstract_tensors() -> Result<()> {
    let cx = Cx::default();
    let x = scalar(&cx, 2.0);
    let t = cx.begin_abstract(&[x.aval().clone()]);
    let y = cx.mul(&t[0], &t[0])?;
    assert_eq!(cx.array(&y).err().map(|e| e.code), Some(Code::Trace));
    let program = cx.end_abstract(std::slice::from_ref(&y))?;
    assert_eq!(program.equations.len(), 1);
    let code = |r: Result<Tensor>| r.err().map(|e| e.code);
    assert_eq!(code(cx.mul(&y, &x)), Some(Code::Trace));
    assert_eq!(cx.array(&t[0]).err().map(|e| e.code), Some(Code::Trace));
    assert_eq!(cx.begin(Mode::Diff, std::slice::from_ref(&y)).err().map(|e| e.code), Some(Code::Trace));
    let other = cx.begin_abstract(&[x.aval().clone()]);
    assert_eq!(code(cx.add(&other[0], &y)), Some(Code::Trace));
    assert_eq!(cx.end_abstract(std::slice::from_ref(&y)).err().map(|e| e.code), Some(Code::Trace));
    cx.unwind(0);
    // A tensor of a finished recording for derivatives is concrete and stays usable.
    let t = cx.begin(Mode::Diff, &[x])?;
    let y = cx.mul(&t[0], &t[0])?;
    cx.end_diff(&[])?;
    assert_eq!(values(&cx, &cx.mul(&y, &t[0])?)?, [8.0]);
    assert_eq!(cx.depth(), 0);
    Ok(())
}

/// Values inside a recording for derivatives can be read, under an abstract one they cannot.
#[test]
fn reading_while_recording() -> Result<()> {
    let cx = Cx::default();
    let t = cx.begin(Mode::Diff, &[scalar(&cx, 3.0)])?;
    let y = cx.mul(&t[0], &t[0])?;
    assert_eq!(values(&cx, &y)?, [9.0]);
    let a = cx.begin_abstract(&[Aval::new(&[], DType::F32)]);
    let z = cx.mul(&a[0], &y)?;
    assert!(cx.is_abstract() && cx.array(&z).is_err());
    cx.unwind(0);
    Ok(())
}

/// Operands large enough for several chunks, by row.
fn large(cx: &Cx) -> Vec<(&'static str, Vec<Value>, Vec<Tensor>)> {
    let mut rng = Rng(11);
    let mut make = |dtype, shape: &[usize]| cx.from_f64(dtype, &rng.normals(shape.iter().product()), shape);
    let axes = |a: &[i64]| Value::from(a);
    let product = |a: &[i64], b: &[i64]| vec![axes(&[]), axes(&[]), axes(a), axes(b)];
    let mut out = Vec::new();
    for d in [DType::F32, DType::F64, DType::BF16] {
        out.push(("dot", product(&[1], &[0]), vec![make(d, &[190, 130]), make(d, &[130, 170])]));
        out.push(("dot", product(&[0], &[1]), vec![make(d, &[300, 70]), make(d, &[65, 300])]));
        out.push(("reduce_sum", vec![axes(&[0, 1])], vec![make(d, &[700, 300])]));
        out.push(("reduce_sum", vec![axes(&[0])], vec![make(d, &[700, 300])]));
        out.push(("reduce_sum", vec![axes(&[1])], vec![make(d, &[700, 300])]));
        out.push(("mul", vec![], vec![make(d, &[700, 300]), make(d, &[700, 300])]));
        let conv = |stride: [i64; 2], high: [i64; 2], sizes: &[i64]| {
            let mut p = vec![axes(&stride), axes(&[1, 1]), axes(&high), axes(&[1, 1]), axes(&[1, 1]), Value::Int(1)];
            p.extend((!sizes.is_empty()).then(|| axes(sizes)));
            p
        };
        let odd = |sizes: &[i64]| conv([1, 2], [1, 0], sizes);
        out.push(("conv", odd(&[]), vec![make(d, &[6, 17, 19, 8]), make(d, &[3, 2, 8, 12])]));
        out.push(("conv_input_grad", odd(&[17, 19]), vec![make(d, &[6, 17, 10, 12]), make(d, &[3, 2, 8, 12])]));
        out.push(("conv_kernel_grad", odd(&[3, 2]), vec![make(d, &[6, 17, 19, 8]), make(d, &[6, 17, 10, 12])]));
        // Of 3×3 taps, without stride and with: float32 has kernels of fewer products, and large kernels' gradients are made in parts.
        for (stride, side) in [(1, 9), (2, 5)].into_iter().filter(|_| d != DType::F64) {
            let square = |sizes: &[i64]| conv([stride; 2], [1, 1], sizes);
            out.push(("conv", square(&[]), vec![make(d, &[20, 9, 9, 128]), make(d, &[3, 3, 128, 80])]));
            out.push(("conv_input_grad", square(&[9, 9]), vec![make(d, &[20, side, side, 80]), make(d, &[3, 3, 128, 80])]));
            out.push(("conv_kernel_grad", square(&[3, 3]), vec![make(d, &[20, 9, 9, 128]), make(d, &[20, side, side, 80])]));
        }
        out.push((
            "window_max",
            vec![axes(&[1, 3, 3, 1]), axes(&[1, 2, 1, 1]), axes(&[0, 1, 1, 0]), axes(&[0, 1, 1, 0])],
            vec![make(d, &[6, 40, 40, 8])],
        ));
        out.push((
            "window_sum",
            vec![axes(&[1, 3, 3, 1]), axes(&[1, 2, 1, 1]), axes(&[0, 1, 1, 0]), axes(&[0, 1, 1, 0])],
            vec![make(d, &[6, 40, 40, 8])],
        ));
        out.push(("softmax", vec![Value::Int(1)], vec![make(d, &[700, 300])]));
        out.push(("layer_norm", vec![axes(&[1]), Value::Float(1e-5)], vec![make(d, &[700, 300])]));
        out.push(("cumsum", vec![Value::Int(0), Value::Bool(false)], vec![make(d, &[700, 300])]));
    }
    out
}

#[test]
fn results_do_not_depend_on_threads() {
    let cx = Cx::default();
    let mut failures = Vec::new();
    let run = |name: &str, params: &[Value], xs: &[Tensor]| {
        let r = row(name).unwrap();
        let y = cx.bind(r, Params::new(r.params, params.iter().cloned()).unwrap(), xs).unwrap();
        values(&cx, &y[0]).unwrap().iter().map(|v| v.to_bits()).collect::<Vec<u64>>()
    };
    for (name, params, xs) in large(&cx) {
        cx.set_pool(Rc::new(pax_core::exec::Serial));
        let want = run(name, &params, &xs);
        for threads in [1, 2, 4] {
            cx.set_pool(Rc::new(Threads(threads)));
            if run(name, &params, &xs) != want {
                failures.push(format!("{name} {:?} with {threads} threads", xs[0].aval()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Large products and sums against plain loops.
#[test]
fn large_products_and_sums() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(5);
    let (m, k, n) = (67, 129, 45);
    let (a, b) = (rng.normals(m * k), rng.normals(k * n));
    let want: Vec<f64> = (0..m * n).map(|i| (0..k).map(|l| a[i / n * k + l] * b[l * n + i % n]).sum()).collect();
    let y = cx.dot(&cx.from_f64(DType::F64, &a, &[m, k]), &cx.from_f64(DType::F64, &b, &[k, n]), [&[], &[]], [&[1], &[0]])?;
    near("product", &values(&cx, &y)?, &want, 1e-12, 1e-12).unwrap();
    let s = cx.reduce_sum(&y, &[0, 1])?;
    near("sum", &values(&cx, &s)?, &[want.iter().sum()], 1e-12, 1e-10).unwrap();
    // Half floats accumulate in float32: 4096 ones do not stop at 256.
    let ones = cx.full(&[4096], DType::BF16, 1.0)?;
    assert_eq!(values(&cx, &cx.reduce_sum(&ones, &[0])?)?, [4096.0]);
    Ok(())
}

/// float32 products of odd sizes and every layout against sums in float64.
#[test]
fn products_of_every_layout() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(12);
    for (m, k, n) in
        [(1, 1, 1), (3, 7, 5), (12, 16, 32), (13, 17, 33), (25, 40, 64), (60, 31, 65), (100, 700, 40), (5, 1100, 3), (130, 64, 200)]
    {
        for layout in 0..4 {
            let (a, b) = (rng.normals(m * k), rng.normals(k * n));
            let make = |v: &[f64], rows: usize, cols: usize, turned: bool| {
                let cell = |i: usize, j: usize| v[i * cols + j];
                let flat: Vec<f64> = if turned { (0..cols).flat_map(|j| (0..rows).map(move |i| cell(i, j))).collect() } else { v.to_vec() };
                let t = cx.from_f64(DType::F32, &flat, &if turned { [cols, rows] } else { [rows, cols] });
                if turned {
                    cx.transpose(&t, &[1, 0])
                } else {
                    Ok(t)
                }
            };
            let y = cx.dot(&make(&a, m, k, layout & 1 == 1)?, &make(&b, k, n, layout & 2 == 2)?, [&[], &[]], [&[1], &[0]])?;
            let want: Vec<f64> =
                (0..m * n).map(|i| (0..k).map(|l| a[i / n * k + l] as f32 as f64 * (b[l * n + i % n] as f32 as f64)).sum()).collect();
            near(&format!("{m}×{k}×{n}, layout {layout}"), &values(&cx, &y)?, &want, 1e-5, 1e-5 * (k as f64).sqrt()).unwrap();
        }
    }
    Ok(())
}
