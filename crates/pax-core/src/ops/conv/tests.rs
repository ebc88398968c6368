use super::*;
fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
#[test]
fn three_rows_are_one_trilinear_form() {
    let cx = Cx::default();
    for s in (CONV.samples)() {
        let make = |n: usize, shape: &[usize]| {
            cx.from_f64(DType::F64, &(0..n).map(|i| ((i * 37 + 11) % 23) as f64 - 11.0).collect::<Vec<_>>(), shape)
        };
        let (x, k) =
            (make(s.inputs[0].shape.iter().product(), &s.inputs[0].shape), make(s.inputs[1].shape.iter().product(), &s.inputs[1].shape));
        let p = Params::new(PARAMS, s.params.clone()).unwrap();
        let y = cx.one(&CONV, base(&p), &[&x, &k]).unwrap();
        let g = make(y.shape().iter().product(), y.shape());
        let dx = cx.one(&CONV_INPUT_GRAD, sized(&p, spatial(x.aval())), &[&g, &k]).unwrap();
        let dk = cx.one(&CONV_KERNEL_GRAD, sized(&p, taps(k.aval())), &[&x, &g]).unwrap();
        let v = |t: &Tensor| cx.array(t).unwrap().to_f64().unwrap();
        let form = dot(&v(&y), &v(&g));
        assert_eq!(form, dot(&v(&dx), &v(&x)));
        assert_eq!(form, dot(&v(&dk), &v(&k)));
    }
}

struct Rng(u64);
impl Rng {
    fn below(&mut self, n: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) % n) as i64
    }
    fn from(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64)
    }
    fn tensor(&mut self, cx: &Cx, shape: &[usize]) -> (Vec<f64>, Tensor) {
        let v: Vec<f64> = (0..shape.iter().product()).map(|_| self.from(-9, 9) as f64).collect();
        (v.clone(), cx.from_f64(DType::F64, &v, shape))
    }
}

/// The sum that defines it, index by index.
fn naive(x: &[f64], xs: &[usize], k: &[f64], ks: &[usize], out: &[usize], v: &[Vec<i64>; 5], groups: usize) -> Vec<f64> {
    let rank = xs.len() - 2;
    let at = |shape: &[usize], i: &[usize]| shape.iter().zip(i).fold(0, |a, (n, i)| a * n + i);
    let unravel = |shape: &[usize], mut i: usize| {
        let mut o = vec![0; shape.len()];
        for d in (0..shape.len()).rev() {
            o[d] = i % shape[d];
            i /= shape[d];
        }
        o
    };
    let (cg, og) = (ks[rank], ks[rank + 1] / groups);
    (0..out.iter().product())
        .map(|i| {
            let o = unravel(out, i);
            let mut sum = 0.0;
            for (t, &w) in k.iter().enumerate() {
                let t = unravel(ks, t);
                if t[rank + 1] != o[rank + 1] {
                    continue;
                }
                let mut from = vec![o[0]];
                for d in 0..rank {
                    let p = o[1 + d] as i64 * v[0][d] - v[1][d] + t[d] as i64 * v[4][d];
                    if p >= 0 && p % v[3][d] == 0 && p / v[3][d] < xs[1 + d] as i64 {
                        from.push((p / v[3][d]) as usize);
                    }
                }
                if from.len() != rank + 1 {
                    continue;
                }
                from.push(o[rank + 1] / og * cg + t[rank]);
                sum += w * x[at(xs, &from)];
            }
            sum
        })
        .collect()
}

#[test]
fn settings_against_the_definition() {
    let (cx, mut r, mut seen) = (Cx::default(), Rng(7), 0);
    for case in 0..200 {
        let rank = 1 + case % 2;
        let groups = r.from(1, 3) as usize;
        let (mut xs, mut ks) = (vec![r.from(1, 3) as usize], vec![]);
        let mut v: [Vec<i64>; 5] = Default::default();
        for _ in 0..rank {
            xs.push(r.from(1, 9) as usize);
            ks.push(r.from(1, 4) as usize);
            for (v, (low, high)) in v.iter_mut().zip([(1, 3), (-2, 3), (-2, 3), (1, 3), (1, 3)]) {
                v.push(r.from(low, high));
            }
        }
        let (cg, og) = (r.from(1, 3) as usize, r.from(1, 3) as usize);
        xs.push(cg * groups);
        ks.extend([cg, og * groups]);
        let ((x, tx), (k, tk)) = (r.tensor(&cx, &xs), r.tensor(&cx, &ks));
        let params: [&[i64]; 5] = [&v[0], &v[1], &v[2], &v[3], &v[4]];
        let ty = cx.conv(&tx, &tk, params, groups).unwrap();
        let what = format!("x {xs:?} kernel {ks:?} {v:?} groups {groups}");
        let values = |t: &Tensor| cx.array(t).unwrap().to_f64().unwrap();
        let y = values(&ty);
        assert_eq!(y, naive(&x, &xs, &k, &ks, ty.shape(), &v, groups), "{what}");
        for d in 0..rank {
            let dilated = |n: usize, by: i64| (n as i64 - 1) * by + 1;
            let room = dilated(xs[1 + d], v[3][d]) + v[1][d] + v[2][d] - dilated(ks[d], v[4][d]);
            assert_eq!(ty.shape()[1 + d] as i64, (room.div_euclid(v[0][d]) + 1).max(0), "{what}");
        }
        seen += usize::from(!y.is_empty());
        // Small integers: the sums are exact.
        let (g, tg) = r.tensor(&cx, ty.shape());
        let mut p: Vec<Value> = params.iter().map(|&v| v.into()).collect();
        p.push(groups.into());
        let p = Params::new(PARAMS, p).unwrap();
        let dx = values(&cx.one(&CONV_INPUT_GRAD, sized(&p, spatial(tx.aval())), &[&tg, &tk]).unwrap());
        let dk = values(&cx.one(&CONV_KERNEL_GRAD, sized(&p, taps(tk.aval())), &[&tx, &tg]).unwrap());
        assert_eq!((dot(&y, &g), dot(&y, &g)), (dot(&dx, &x), dot(&dk, &k)), "{what}");
    }
    assert!(seen > 100, "{seen} settings have results");
}

#[test]
fn sizes_and_groups_that_overflow_are_errors() {
    let cx = Cx::default();
    let (x, k) = (cx.zeros(&[1, 4, 2], DType::F32).unwrap(), cx.zeros(&[2, 2, 4], DType::F32).unwrap());
    let one: [&[i64]; 5] = [&[1], &[0], &[0], &[1], &[1]];
    assert!(cx.conv(&x, &k, one, usize::MAX / 2).is_err() && cx.conv(&x, &k, one, 0).is_err());
    assert!(
        cx.conv(&x, &k, [&[1], &[1 << 40], &[0], &[1], &[1]], 1).is_err() && cx.conv(&x, &k, [&[1], &[0], &[0], &[1], &[1, 1]], 1).is_err()
    );
    let mut p: Vec<Value> = one.iter().map(|&v| v.into()).collect();
    p.extend([Value::Int(i64::MAX), [4i64].into()]);
    assert!(cx.one(&CONV_INPUT_GRAD, p, &[&cx.zeros(&[1, 3, 4], DType::F32).unwrap(), &k]).is_err());
}
