use crate::level::Mode;
use crate::ops::{Body, Vjp};
use crate::{row, walk, Cx, DType, Params, Row, Tensor, Value};
use DType::{Bool, BF16, F16, F32, F64, I32, I64, U32, U8};

fn t(cx: &Cx, d: DType, v: &[f64]) -> Tensor {
    cx.from_f64(d, v, &[v.len()])
}
fn read(cx: &Cx, x: &Tensor) -> Vec<f64> {
    cx.array(x).unwrap().to_f64().unwrap()
}
fn call(cx: &Cx, r: &'static Row, params: &[Value], xs: &[Tensor]) -> Tensor {
    cx.apply(r, Params::new(r.params, params.iter().cloned()).unwrap(), xs).unwrap().remove(0)
}
/// Value and gradients of the sum of a row's result.
fn grads(r: &'static Row, params: &[Value], d: DType, xs: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let cx = Cx::default();
    let inputs: Vec<Tensor> = xs.iter().map(|v| t(&cx, d, v)).collect();
    let leaves = cx.begin(Mode::Diff, &inputs).unwrap();
    let y = call(&cx, r, params, &leaves);
    let mut tape = cx.end_diff(std::slice::from_ref(&y)).unwrap();
    let g = walk::pull(&cx, &mut tape, &[Some(cx.ones_like(&y).unwrap())], false).unwrap();
    // Element-wise: tangents of ones in one operand give that operand's gradient.
    for (i, g) in g.iter().enumerate() {
        let tangents: Vec<Option<Tensor>> = (0..xs.len()).map(|k| (k == i).then(|| cx.ones_like(&inputs[k]).unwrap())).collect();
        let j = walk::push(&cx, &tape, &tangents).unwrap()[0].clone();
        let (g, j) = (g.as_ref().map_or(vec![], |g| read(&cx, g)), j.map_or(vec![], |j| read(&cx, &j)));
        assert!(g.len() == j.len() && g.iter().zip(&j).all(|(a, b)| close(*a, *b, 1e-13)), "{} jvp {i}: {g:?} {j:?}", r.name);
    }
    let g = g.iter().zip(xs).map(|(g, x)| g.as_ref().map_or(vec![0.0; x.len()], |g| read(&cx, g))).collect();
    (read(&cx, &y), g)
}
fn grad1(name: &str, params: &[Value], x: &[f64]) -> Vec<f64> {
    grads(row(name).unwrap(), params, F64, &[x.to_vec()]).1.remove(0)
}
fn close(a: f64, b: f64, tol: f64) -> bool {
    (a - b).abs() <= tol * (1.0 + b.abs()) || a == b || a.is_nan() && b.is_nan()
}

#[test]
fn derivatives_agree_with_differences() {
    let (mut seen, h) = (0, 1e-6);
    for r in super::ROWS {
        if matches!(r.vjp, Vjp::Zero(_)) || ["cast", "select"].contains(&r.name) {
            continue;
        }
        let params: Vec<Value> =
            r.params.iter().map(|p| if p.name == "approximate" { Value::Bool(true) } else { Value::Float(0.3) }).collect();
        let points = match r.name {
            "acosh" => vec![1.4, 2.3],
            "erfinv" | "atanh" | "asin" | "acos" => vec![-0.7, 0.3, 0.93],
            "remainder" | "clamp" => vec![0.6, 1.3],
            _ => vec![0.4, 0.9, 1.7],
        };
        let xs: Vec<Vec<f64>> = (0..r.operands.len()).map(|i| points.iter().map(|p| p + [0.0, 0.17, 0.43][i]).collect()).collect();
        let (_, gs) = grads(r, &params, F64, &xs);
        for i in 0..xs.len() {
            let shifted = |s: f64| {
                let mut xs = xs.clone();
                for v in &mut xs[i] {
                    *v += s;
                }
                grads(r, &params, F64, &xs).0
            };
            for (k, (a, b)) in shifted(h).iter().zip(shifted(-h)).enumerate() {
                let fd = (a - b) / (2.0 * h);
                assert!(close(gs[i][k], fd, 1e-7), "{} operand {i} at {:?}: {} and {fd}", r.name, points[k], gs[i][k]);
            }
        }
        seen += 1;
    }
    assert!(seen > 40);
}

#[test]
fn composites_compute_what_they_expand_to() {
    let cx = Cx::default();
    for r in super::ROWS {
        let Body::Composite(c) = &r.body else { continue };
        if c.fused.is_none() {
            continue;
        }
        for flag in [true, false] {
            let params: Vec<Value> = r.params.iter().map(|_| Value::Bool(flag)).collect();
            let x = t(&cx, F32, &[-9.0, -1.0, 0.0, 0.3, 5.0]);
            let (a, b) = (
                call(&cx, r, &params, std::slice::from_ref(&x)),
                (c.expand)(&cx, &Params::new(r.params, params).unwrap(), &[x]).unwrap().remove(0),
            );
            for (a, b) in read(&cx, &a).iter().zip(read(&cx, &b)) {
                assert!(close(*a, b, 1e-6), "{}: {a} {b}", r.name);
            }
        }
    }
}

#[test]
fn kinks_and_ties_are_those_of_jax() {
    assert_eq!(grad1("abs", &[], &[-1.0, -0.0, 0.0, 2.0]), [-1.0, 1.0, 1.0, 1.0]);
    assert_eq!(grad1("relu", &[], &[-1.0, 0.0, 2.0]), [0.0, 0.0, 1.0]);
    assert_eq!(grad1("relu6", &[], &[-1.0, 0.0, 2.0, 6.0, 7.0]), [0.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(grad1("hard_tanh", &[], &[-2.0, -1.0, 0.0, 1.0, 2.0]), [0.0, 1.0, 1.0, 1.0, 0.0]);
    let of_two = |name: &str, x: &[f64], y: f64| grads(row(name).unwrap(), &[], F64, &[x.to_vec(), vec![y; x.len()]]).1;
    assert_eq!(of_two("leaky_relu", &[-2.0, 0.0], 0.1), [[0.1, 1.0], [-2.0, 0.0]]);
    assert_eq!(of_two("elu", &[0.0, 1e4], 1.0), [[1.0, 1.0], [0.0, 0.0]]);
    assert_eq!(grad1("sigmoid", &[], &[-1e4, 0.0, 1e4]), [0.0, 0.25, 0.0]);
    assert_eq!(grad1("softplus", &[], &[-1e4, 0.0, 1e4]), [0.0, 0.5, 1.0]);
    assert_eq!(grad1("sign", &[], &[0.5]), [0.0]);
    for name in ["maximum", "minimum"] {
        assert_eq!(grads(row(name).unwrap(), &[], F64, &[vec![1.0], vec![1.0]]).1, [[0.5], [0.5]]);
    }
    let (_, g) = grads(row("clamp").unwrap(), &[], F64, &[vec![-1.0, 0.0, 1.0], vec![-1.0; 3], vec![1.0; 3]]);
    assert_eq!(g[0], [0.5, 1.0, 0.5]);
    let (y, g) = grads(row("pow").unwrap(), &[], F64, &[vec![0.0, 0.0, -2.0], vec![2.0, 0.0, 2.0]]);
    assert_eq!((y, &g[0], &g[1][..2]), (vec![0.0, 1.0, 4.0], &vec![0.0, 0.0, -4.0], &[0.0, 0.0][..]));
}

#[test]
fn floats_at_their_edges() {
    let cx = Cx::default();
    let f = |name: &str, params: &[Value], v: &[f64]| read(&cx, &call(&cx, row(name).unwrap(), params, &[t(&cx, F64, v)]));
    let inf = f64::INFINITY;
    assert_eq!(f("round", &[], &[0.5, 1.5, -2.5, 2.6]), [0.0, 2.0, -2.0, 3.0]);
    assert_eq!(f("sigmoid", &[], &[-1e4, 1e4]), [0.0, 1.0]);
    assert_eq!(f("softplus", &[], &[-1e4, 1e4, inf, -inf]), [0.0, 1e4, inf, 0.0]);
    assert_eq!(f("log_sigmoid", &[], &[-1e4, 1e4]), [-1e4, 0.0]);
    assert_eq!(f("erfinv", &[], &[-1.0, 1.0, 0.0]), [-inf, inf, 0.0]);
    assert_eq!(f("isfinite", &[], &[1.0, inf, f64::NAN]), [1.0, 0.0, 0.0]);
    assert_eq!(f("isnan", &[], &[1.0, inf, f64::NAN]), [0.0, 0.0, 1.0]);
    assert!(f("relu", &[], &[f64::NAN])[0].is_nan() && f("sign", &[], &[f64::NAN])[0].is_nan());
    for x in [1e-300, 1e-9, 0.3, 0.8499, 0.8501, 0.999, 1.0 - 1e-10, -0.99999999999] {
        let y = f("erfinv", &[], &[x])[0];
        // The error in x that y's last bits make: erf is flat at the ends, so compare there by erfc.
        let back = if x.abs() > 0.5 { (libm::erfc(y.abs()) - (1.0 - x.abs())) / (1.0 - x.abs()) } else { libm::erf(y) / x - 1.0 };
        assert!(back.abs() < 2e-14, "erfinv({x}) = {y}, off by {back}");
    }
    for (name, want) in [("maximum", [f64::NAN, f64::NAN, 2.0]), ("minimum", [f64::NAN, f64::NAN, 1.0])] {
        for d in [F32, F64, F16, BF16] {
            let y = read(&cx, &call(&cx, row(name).unwrap(), &[], &[t(&cx, d, &[f64::NAN, 1.0, 1.0]), t(&cx, d, &[1.0, f64::NAN, 2.0])]));
            assert!(y.iter().zip(want).all(|(a, b)| close(*a, b, 0.0)), "{name} {y:?}");
        }
    }
}

#[test]
fn integers_wrap_and_divide_as_python() {
    let cx = Cx::default();
    let f = |name: &str, d: DType, a: &[f64], b: &[f64]| read(&cx, &call(&cx, row(name).unwrap(), &[], &[t(&cx, d, a), t(&cx, d, b)]));
    for d in [I32, I64, F32, F64] {
        assert_eq!(f("floor_divide", d, &[7.0, -7.0, 7.0, -7.0, 6.0], &[2.0, 2.0, -2.0, -2.0, 3.0]), [3.0, -4.0, -4.0, 3.0, 2.0], "{d:?}");
        assert_eq!(f("remainder", d, &[7.0, -7.0, 7.0, -7.0, 6.0], &[2.0, 2.0, -2.0, -2.0, 3.0]), [1.0, 1.0, -1.0, -1.0, 0.0], "{d:?}");
    }
    assert_eq!((f("floor_divide", I32, &[5.0], &[0.0]), f("remainder", I32, &[5.0], &[0.0])), (vec![-1.0], vec![5.0]));
    assert_eq!((f("floor_divide", U8, &[5.0], &[0.0]), f("remainder", U32, &[5.0], &[0.0])), (vec![255.0], vec![5.0]));
    let least = i32::MIN as f64;
    assert_eq!(f("floor_divide", I32, &[least], &[-1.0]), [least]);
    assert_eq!(f("pow", I32, &[3.0, -2.0, 2.0, -1.0, 0.0], &[4.0, 3.0, -1.0, -3.0, 0.0]), [81.0, -8.0, 0.0, -1.0, 1.0]);
    assert_eq!(f("shift_left", I32, &[1.0, 1.0, 1.0], &[3.0, 32.0, -1.0]), [8.0, 0.0, 0.0]);
    assert_eq!(f("shift_right", I32, &[-8.0, -8.0, 8.0], &[1.0, 40.0, 32.0]), [-4.0, -1.0, 0.0]);
    assert_eq!(f("shift_right", U8, &[255.0, 255.0], &[1.0, 8.0]), [127.0, 0.0]);
    assert_eq!(f("div", I32, &[1.0], &[2.0]), [0.5]);
    assert_eq!(f("logical_and", F32, &[2.0, 1.0, 0.0], &[1.0, 0.0, 0.0]), [1.0, 0.0, 0.0]);
    let one = |name: &str, d: DType, v: f64| {
        let y = call(&cx, row(name).unwrap(), &[], &[t(&cx, d, &[v])]);
        (y.dtype(), read(&cx, &y)[0])
    };
    assert_eq!(
        (one("neg", I32, least), one("abs", I32, least), one("neg", U8, 1.0), one("abs", Bool, 1.0)),
        ((I32, least), (I32, least), (U8, 255.0), (Bool, 1.0))
    );
    assert_eq!(
        (one("floor", I64, 3.0), one("exp", I32, 0.0), one("bit_not", I32, 0.0), one("logical_not", I32, 3.0)),
        ((I64, 3.0), (F32, 1.0), (I32, -1.0), (Bool, 0.0))
    );
}

#[test]
fn bits_and_copies() {
    let cx = Cx::default();
    let x = t(&cx, F32, &[1.0, -0.0]);
    let b = cx.bitcast(&x, I32).unwrap();
    assert_eq!(read(&cx, &b), [0x3f80_0000 as f64, i32::MIN as f64]);
    assert_eq!(read(&cx, &cx.bitcast(&b, F32).unwrap()), [1.0, 0.0]);
    assert!(cx.bitcast(&x, F64).is_err() && cx.bitcast(&x, Bool).is_err() && cx.exp(&b).is_err());
    let (c, x) = (cx.copy(&x).unwrap(), cx.array(&x).unwrap());
    assert!(!cx.array(&c).unwrap().shares(&x));
    assert_eq!(grads(row("stop_gradient").unwrap(), &[], F64, &[vec![2.0]]).1, [[0.0]]);
}
