use super::*;

fn values(cx: &Cx, t: &Tensor) -> Vec<f64> {
    cx.array(t).unwrap().to_f64().unwrap()
}

/// The first image and channel of JAX's `max_pool_ties_w3_s1_SAME`.
#[test]
fn ties_go_where_jax_sends_them() {
    let x = [
        1.0, 1.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0,
        0.0, 2.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0,
    ];
    let g = [
        1.101687,
        1.399279,
        0.3333379,
        0.5203796,
        -2.390026,
        -0.2609204,
        0.8323418,
        -1.021835,
        1.599358,
        -0.0171898,
        -0.1252119,
        -0.003383371,
        0.4486572,
        1.319466,
        1.267122,
        -0.567727,
        -0.3279243,
        -1.163643,
        -0.08521264,
        -0.4304551,
        0.8623484,
        -0.8920097,
        0.9878403,
        -0.4382845,
        0.7346199,
        -0.1546285,
        -0.8479304,
        -0.8001882,
        2.132883,
        1.57516,
        0.3313596,
        0.2307136,
        1.603396,
        0.3232203,
        -1.243985,
        -0.3266376,
    ];
    let y = [
        1.0, 1.0, 2.0, 2.0, 2.0, 0.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 2.0, 2.0,
        2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 1.0,
    ];
    let dx = [
        2.500967, 0.0, 0.0, -0.0793526, -0.2609204, 0.0, 0.0, 0.0, -0.567727, 0.0, 0.0, 0.0, 1.062962, 0.0, 0.0, -0.3279243, 0.0,
        -1.605311, 0.0, 1.861531, 0.0, 0.0, 1.57516, 0.0, 0.0, 0.0, 0.0, 2.111157, 0.0, -0.3266376, 0.0, 0.5620732, 0.0, 0.0, 0.0, 0.0,
    ];
    let cx = Cx::default();
    let params: [&[i64]; 4] = [&[3, 3], &[1, 1], &[1, 1], &[1, 1]];
    let (tx, tg) = (cx.from_f64(DType::F64, &x, &[6, 6]), cx.from_f64(DType::F64, &g, &[6, 6]));
    assert_eq!(values(&cx, &cx.window_max(&tx, params).unwrap()), y);
    let got = values(&cx, &cx.one(&WINDOW_MAX_GRAD, params.map(Value::from), &[&tx, &tg]).unwrap());
    for (a, b) in got.iter().zip(&dx) {
        assert!((a - b).abs() < 2e-6, "{got:?}");
    }
}

#[test]
fn nan_and_padding() {
    let cx = Cx::default();
    let x = cx.from_f64(DType::F32, &[1.0, f64::NAN, -3.0, -4.0], &[4]);
    let y = values(&cx, &cx.window_max(&x, [&[2], &[1], &[2], &[0]]).unwrap());
    assert_eq!(y[..2], [f64::NEG_INFINITY, 1.0]);
    assert!(y[2].is_nan() && y[3].is_nan() && y[4] == -3.0);
    let i = cx.from_f64(DType::I32, &[-5.0], &[1]);
    assert_eq!(values(&cx, &cx.window_max(&i, [&[1], &[1], &[1], &[0]]).unwrap()), [i32::MIN as f64, -5.0]);
    assert!(cx.window_sum(&x, [&[0], &[1], &[0], &[0]]).is_err() && cx.window_sum(&x, [&[1, 1], &[1], &[0], &[0]]).is_err());
}

/// Against loops that look at every element, over windows of many forms.
#[test]
fn sums_and_maxima_by_definition() {
    let cx = Cx::default();
    for s in SETTINGS.iter().filter(|s| s.x.len() == 3) {
        let x: Vec<f64> = (0..s.x.iter().product::<usize>()).map(|i| ((i * 37 + 11) % 101) as f64 - 50.0).collect();
        let t = cx.from_f64(DType::F64, &x, s.x);
        let out = s.out();
        let (mut sums, mut maxima) = (vec![], vec![]);
        for o in 0..out.iter().product::<usize>() {
            let o = [o / out[2] / out[1], o / out[2] % out[1], o % out[2]];
            let (mut sum, mut max) = (0.0, f64::NEG_INFINITY);
            for (i, &v) in x.iter().enumerate() {
                let i = [i / s.x[2] / s.x[1], i / s.x[2] % s.x[1], i % s.x[2]];
                if (0..3).all(|d| (0..s.window[d]).contains(&(i[d] as i64 - o[d] as i64 * s.strides[d] + s.low[d]))) {
                    sum += v;
                    max = f64::max(max, v);
                }
            }
            sums.push(sum);
            maxima.push(max);
        }
        let params = [s.window, s.strides, s.low, s.high];
        assert_eq!(values(&cx, &cx.window_sum(&t, params).unwrap()), sums);
        assert_eq!(values(&cx, &cx.window_max(&t, params).unwrap()), maxima);
    }
}
