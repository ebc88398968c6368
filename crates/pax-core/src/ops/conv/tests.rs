use super::*;
fn dot(a: &[f64], b: &[f64]) -> f64 { a.iter().zip(b).map(|(x, y)| x * y).sum() }
#[test]
fn three_rows_are_one_trilinear_form() {
    let cx = Cx::default();
    for s in (CONV.samples)() {
        let make = |n: usize, shape: &[usize]| cx.from_f64(DType::F64, &(0..n).map(|i| ((i * 37 + 11) % 23) as f64 - 11.0).collect::<Vec<_>>(), shape);
        let (x, k) = (make(s.inputs[0].shape.iter().product(), &s.inputs[0].shape), make(s.inputs[1].shape.iter().product(), &s.inputs[1].shape));
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
