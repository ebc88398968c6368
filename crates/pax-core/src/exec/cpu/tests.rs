//! Kernels that cut their work in chunks, at sizes where they do: the numbers, and the same bits in whatever order chunks run.
use std::rc::Rc;

use super::gemm::matmul;
use super::reduce::{fold, normalise, Fold};
use super::rows::Norm;
use crate::exec::{Exec, Pool, Serial};
use crate::Array;

/// The chunks from the last to the first.
struct Backwards;
impl Pool for Backwards {
    fn run(&self, chunks: usize, f: &(dyn Fn(usize) + Sync)) {
        (0..chunks).rev().for_each(f)
    }
}

fn execs() -> [Exec; 2] {
    [Exec { meter: Default::default(), pool: Rc::new(Serial) }, Exec { meter: Default::default(), pool: Rc::new(Backwards) }]
}
fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| ((i + seed) * 7919 % 1009) as f32 / 1009.0 - 0.5).collect()
}
fn swapped(x: &Array, a: usize, b: usize) -> Array {
    let (mut shape, mut strides) = (x.shape.to_vec(), x.strides.to_vec());
    shape.swap(a, b);
    strides.swap(a, b);
    x.view(&shape, &strides, x.offset)
}

#[test]
fn products_in_chunks() {
    for (batch, m, k, n) in [(1, 128, 512, 10), (1, 300, 600, 70), (2, 32, 256, 520), (1, 13, 1100, 40), (3, 200, 40, 33)] {
        for layout in 0..4 {
            let results = execs().map(|exec| {
                let lying = |rows: usize, cols: usize, transposed: bool, seed: usize| {
                    let data = numbers(batch * rows * cols, seed);
                    if transposed {
                        swapped(&exec.array(data, &[batch, cols, rows]), 1, 2)
                    } else {
                        exec.array(data, &[batch, rows, cols])
                    }
                };
                let (a, b) = (lying(m, k, layout & 1 == 1, 3), lying(k, n, layout & 2 == 2, 5));
                let (x, y, out) = (a.to_f64().unwrap(), b.to_f64().unwrap(), matmul(&exec, &a, &b).unwrap().to_f64().unwrap());
                for (at, got) in out.iter().enumerate() {
                    let (g, i, j) = (at / (m * n), at / n % m, at % n);
                    let want: f64 = (0..k).map(|l| x[(g * m + i) * k + l] * y[(g * k + l) * n + j]).sum();
                    assert!((got - want).abs() <= 1e-5 * k as f64, "{m} {k} {n} {layout} [{g}, {i}, {j}]: {got} is not {want}");
                }
                out
            });
            assert_eq!(results[0], results[1]);
        }
    }
}

#[test]
fn folds_in_chunks() {
    for (shape, axes) in [
        (&[3000, 100][..], &[0][..]),
        (&[2, 3000, 100], &[1]),
        (&[3, 40, 2500], &[0, 1]),
        (&[700, 1000], &[1]),
        (&[40, 9, 900], &[0, 2]),
        (&[300, 2000], &[0, 1]),
    ] {
        for swap in [false, true] {
            let results = execs().map(|exec| {
                let x = exec.array(numbers(shape.iter().product(), 1), shape);
                let x = if swap { swapped(&x, 0, shape.len() - 1) } else { x };
                [Fold::Sum, Fold::Max].map(|f| {
                    let (got, all) = (fold(&exec, &x, axes, f).unwrap().to_f64().unwrap(), x.to_f64().unwrap());
                    let mut want = vec![if f == Fold::Sum { 0.0 } else { f64::NEG_INFINITY }; got.len()];
                    for (i, v) in all.iter().enumerate() {
                        let (mut rest, mut at, mut step) = (i, 0, 1);
                        for d in (0..x.ndim()).rev() {
                            if !axes.contains(&d) {
                                at += rest % x.shape[d] * step;
                                step *= x.shape[d];
                            }
                            rest /= x.shape[d];
                        }
                        want[at] = if f == Fold::Sum { want[at] + v } else { v.max(want[at]) };
                    }
                    for (g, w) in got.iter().zip(&want) {
                        assert!((g - w).abs() <= 1e-2, "{shape:?} {axes:?} {swap} {f:?}: {g} is not {w}");
                    }
                    got
                })
            });
            assert_eq!(results[0], results[1]);
        }
    }
}

#[test]
fn norms_of_any_axis_are_those_of_the_last() {
    let [exec, backwards] = execs();
    let x = exec.array(numbers(300 * 400, 1), &[300, 400]);
    for norm in [Norm::Softmax, Norm::LogSoftmax, Norm::LayerNorm { eps: 1e-5 }] {
        let rows = normalise(&exec, &x, &[1], norm).unwrap();
        let columns = normalise(&backwards, &swapped(&x, 0, 1), &[0], norm).unwrap();
        assert_eq!(rows.to_f64().unwrap(), swapped(&columns, 0, 1).to_f64().unwrap());
    }
}

#[test]
fn copies_and_concatenations_in_chunks() {
    for exec in execs() {
        for (shape, a, b) in [(&[300, 501][..], 0, 1), (&[7, 130, 190], 1, 2), (&[60, 50, 60], 0, 2), (&[3, 70, 40, 30], 1, 3)] {
            let n: usize = shape.iter().product();
            let x = exec.array((0..n as u32).collect::<Vec<u32>>(), shape);
            let y = swapped(&x, a, b);
            let want = y.to_f64().unwrap();
            assert_eq!(exec.copied(&y).contiguous::<u32>().unwrap().unwrap().iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), want);
            // An element-wise function of what lies across memory.
            let sum = super::map::map2(&exec, crate::DType::U32, &y, &y, |a: u32, b: u32| a + b).unwrap();
            assert_eq!(sum.to_f64().unwrap(), want.iter().map(|v| 2.0 * v).collect::<Vec<_>>());
            for axis in 0..shape.len() {
                let params = crate::Params::new(crate::row("concatenate").unwrap().params, [axis.into()]).unwrap();
                let crate::ops::Body::Primitive(row) = &crate::row("concatenate").unwrap().body else { panic!("it is no primitive") };
                let both = (row.eval)(&exec, &params, &[y.clone(), exec.copied(&y)]).unwrap().remove(0);
                let halves =
                    [0, y.shape[axis]].map(|from| both.view(&y.shape, &both.strides, from * both.strides[axis] as usize).to_f64().unwrap());
                assert_eq!(halves, [want.clone(), want.clone()], "axis {axis} of {shape:?}");
            }
        }
    }
}

#[test]
fn floats_become_int32_as_by_themselves() {
    let exec = &execs()[0];
    let xs = [
        0.0,
        -0.0,
        1.9,
        -1.9,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        2147483648.0,
        2147483520.0,
        -2147483648.0,
        -2147483904.0,
        1e20,
        -1e20,
        1e-40,
        16777217.0,
    ];
    let got = super::math::cast(exec, &exec.array(xs.to_vec(), &[xs.len()]), crate::DType::I32).unwrap();
    assert_eq!(got.to_slice::<i32>().unwrap().into_owned(), xs.map(|x| x as i32));
}
