//! Result dtypes of pairs against JAX's (`data/dtypes.json`), with the departures of the API: integers give float32 in
//! float functions, argmax gives int32, sums of bool and uint8 give int32 and uint32, other sums keep their dtype.
mod support;
use pax_core::{row, Cx, DType, Error, Params, Result, Tensor, Value};
use serde_json::Value as Json;

fn golden() -> Json {
    serde_json::from_str(include_str!("data/dtypes.json")).unwrap()
}
fn named(name: &str) -> Option<DType> {
    DType::ALL.into_iter().find(|d| d.name() == name)
}
fn ones(cx: &Cx, d: DType) -> Tensor {
    cx.from_f64(d, &[1.0; 4], &[2, 2])
}

#[test]
fn promotion() {
    let g = golden();
    for a in DType::ALL {
        for b in DType::ALL {
            assert_eq!(Some(DType::promote(a, b)), named(g["promote"][a.name()][b.name()].as_str().unwrap()), "{a:?} with {b:?}");
        }
    }
}

fn pair(cx: &Cx, name: &str, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let r = row(name).ok_or_else(|| Error::internal(format!("no row {name}")))?;
    let (params, xs): (Vec<Value>, Vec<Tensor>) = match name {
        "dot" => (vec![[0i64; 0].into(), [0i64; 0].into(), [1i64].into(), [0i64].into()], vec![a.clone(), b.clone()]),
        "select" => (vec![], vec![ones(cx, DType::Bool), a.clone(), b.clone()]),
        _ => (vec![], vec![a.clone(), b.clone()]),
    };
    Ok(cx.apply(r, Params::new(r.params, params)?, &xs)?.remove(0))
}

#[test]
fn binary_grid() {
    let (g, cx, mut failures) = (golden(), Cx::default(), Vec::new());
    let rows = [
        ("add", "add"),
        ("divide", "div"),
        ("where", "select"),
        ("matmul", "dot"),
        ("power", "pow"),
        ("maximum", "maximum"),
        ("floor_divide", "floor_divide"),
        ("remainder", "remainder"),
        ("equal", "equal"),
        ("arctan2", "atan2"),
    ];
    for (jax, ours) in rows {
        if row(ours).is_none() {
            failures.push(format!("no row {ours}"));
            continue;
        }
        for a in DType::ALL {
            for b in DType::ALL {
                let want = g["binary"][jax][a.name()][b.name()].as_str().unwrap();
                let floats = matches!(jax, "divide" | "arctan2") && !a.is_float() && !b.is_float();
                let want = if floats { Some(DType::F32) } else { named(want) };
                let got = pair(&cx, ours, &ones(&cx, a), &ones(&cx, b));
                match (&got, want) {
                    (Ok(t), Some(w)) if t.dtype() == w && cx.array(t).is_ok_and(|x| x.dtype == w) => {}
                    (Err(_), None) => {}
                    _ => failures.push(format!("{ours}({}, {}): {got:?}, want {want:?}", a.name(), b.name())),
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn unary_grid() {
    let (g, cx, mut failures) = (golden(), Cx::default(), Vec::new());
    let axes: Value = [0i64].into();
    let rows: [(&str, &str, Vec<Value>); 10] = [
        ("exp", "exp", vec![]),
        ("sqrt", "sqrt", vec![]),
        ("abs", "abs", vec![]),
        ("negative", "neg", vec![]),
        ("round", "round", vec![]),
        ("square", "square", vec![]),
        ("sum", "reduce_sum", vec![axes.clone()]),
        ("prod", "reduce_prod", vec![axes.clone()]),
        ("max", "reduce_max", vec![axes.clone()]),
        ("mean", "mean", vec![axes]),
    ];
    for (jax, ours, params) in rows {
        for d in DType::ALL {
            let mut want = named(g["unary"][jax][d.name()].as_str().unwrap());
            if matches!(jax, "exp" | "sqrt" | "mean") && !d.is_float() {
                want = Some(DType::F32);
            }
            if matches!(jax, "sum" | "prod") {
                want = Some(d.sum_result());
            }
            let run = || -> Result<DType> {
                let r = row(ours).ok_or_else(|| Error::internal(format!("no row {ours}")))?;
                Ok(cx.apply(r, Params::new(r.params, params.clone())?, &[ones(&cx, d)])?.remove(0).dtype())
            };
            match (run(), want) {
                (Ok(got), Some(w)) if got == w => {}
                (Err(e), None) if e.code == pax_core::Code::DType => {}
                (got, want) => failures.push(format!("{ours}({}): {got:?}, want {want:?}", d.name())),
            }
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

/// A JavaScript number is weak: it decides the kind only.
#[test]
fn weak_numbers() {
    for d in DType::ALL {
        let float = (DType::F32, true);
        let want = if d.is_float() { d } else { DType::F32 };
        assert_eq!(DType::promote_weak((d, false), float), (want, false));
        let int = (DType::I32, true);
        let want = if d == DType::Bool { DType::I32 } else { d };
        assert_eq!(DType::promote_weak(int, (d, false)), (want, false));
    }
    assert_eq!(DType::promote_weak((DType::I32, true), (DType::F32, true)), (DType::F32, true));
}

#[test]
fn integers_wrap() {
    let cx = Cx::default();
    let x = cx.from_f64(DType::I32, &[i32::MAX as f64], &[1]);
    let one = cx.from_f64(DType::I32, &[1.0], &[1]);
    assert_eq!(support::values(&cx, &cx.add(&x, &one).unwrap()).unwrap(), [i32::MIN as f64]);
    let x = cx.from_f64(DType::U8, &[255.0, 16.0], &[2]);
    assert_eq!(support::values(&cx, &cx.mul(&x, &x).unwrap()).unwrap(), [1.0, 0.0]);
}
