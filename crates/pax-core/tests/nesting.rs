use pax_core::{level::Mode, walk, Cx, DType};
#[test]
fn grad_of_grad() {
    let cx = Cx::default();
    let x = cx.from_f64(DType::F64, &[1.0, 2.0, 3.0], &[3]);
    let o = cx.begin(Mode::Diff, &[x]).unwrap();
    let i = cx.begin(Mode::Diff, &o).unwrap();
    let y = cx.mul(&i[0], &cx.mul(&i[0], &i[0]).unwrap()).unwrap();
    let s = cx.reduce_sum(&y, &[0]).unwrap();
    let mut t = cx.end_diff(&[s]).unwrap();
    let one = cx.full(&[], DType::F64, 1.0).unwrap();
    let g = walk::pull(&cx, &mut t, &[Some(one.clone())], true).unwrap()[0].clone().unwrap();
    let s = cx.reduce_sum(&g, &[0]).unwrap();
    let mut t = cx.end_diff(&[s]).unwrap();
    let g = walk::pull(&cx, &mut t, &[Some(one)], true).unwrap()[0].clone().unwrap();
    assert_eq!(cx.array(&g).unwrap().to_f64().unwrap(), vec![6.0, 12.0, 18.0]);
}
