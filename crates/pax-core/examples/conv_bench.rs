//! Convolutions on one thread, in GFLOP/s of the definition's products: by the patch matrix, and by the kernels that suit them.
//! `cargo run --release -p pax-core --example conv_bench`
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // it measures time
use std::rc::Rc;
use std::time::Instant;

use pax_core::exec::cpu::conv::{self, eager, Geometry};
use pax_core::exec::{Exec, Serial};

fn case(n: usize, input: [usize; 2], c: usize, o: usize, kernel: [usize; 2], stride: i64, pad: [i64; 2]) -> Geometry {
    let out = [0, 1].map(|d| {
        if kernel[d] == 1 && input[d] == 1 {
            1
        } else {
            (input[d] as i64 + pad[0] + pad[1] - kernel[d] as i64) as usize / stride as usize + 1
        }
    });
    let on = |d: usize, v: i64, or: i64| if input[d] == 1 { or } else { v };
    Geometry {
        n,
        input,
        out,
        kernel,
        stride: [on(0, stride, 1), on(1, stride, 1)],
        low: [on(0, pad[0], 0), on(1, pad[0], 0)],
        dilation: [1; 2],
        kernel_dilation: [1; 2],
        c,
        o,
        groups: 1,
    }
}

/// GFLOP/s of the fastest of some runs.
fn speed(g: &Geometry, mut f: impl FnMut()) -> f64 {
    let (start, mut best) = (Instant::now(), f64::MAX);
    while start.elapsed().as_secs_f64() < 0.15 {
        let t = Instant::now();
        f();
        best = best.min(t.elapsed().as_secs_f64());
    }
    2.0 * (g.n * g.out[0] * g.out[1] * g.kernel[0] * g.kernel[1] * g.c * g.o) as f64 / best / 1e9
}

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    let exec = Exec { meter: Rc::default(), pool: Rc::new(Serial) };
    println!("{:24} {:>17}   {:>17}   {:>17}", "patches / kernels", "forward", "input gradient", "kernel gradient");
    for (name, g) in [
        ("K1", case(32, [28, 28], 64, 64, [3, 3], 1, [1, 1])),
        ("W2 1", case(64, [28, 28], 1, 32, [3, 3], 1, [1, 1])),
        ("W2 2", case(64, [28, 28], 32, 64, [3, 3], 2, [0, 1])),
        ("W2 3", case(64, [14, 14], 64, 64, [3, 3], 2, [0, 1])),
        ("7x7 64", case(32, [7, 7], 64, 64, [3, 3], 1, [1, 1])),
        ("28x28 128 256", case(4, [28, 28], 128, 256, [3, 3], 1, [1, 1])),
        ("14x14 256 256", case(4, [14, 14], 256, 256, [3, 3], 1, [1, 1])),
        ("7x7 512", case(4, [7, 7], 512, 512, [3, 3], 1, [1, 1])),
        ("56x56 64 1x1 256", case(4, [56, 56], 64, 256, [1, 1], 1, [0, 0])),
        ("56x56 256 1x1/2 128", case(4, [56, 56], 256, 128, [1, 1], 2, [0, 0])),
        ("112x112 3 7x7/2 64", case(4, [112, 112], 3, 64, [7, 7], 2, [3, 3])),
        ("112x112 64 3x3 64", case(2, [112, 112], 64, 64, [3, 3], 1, [1, 1])),
        ("32x32 3 5x5 6", case(16, [32, 32], 3, 6, [5, 5], 1, [0, 0])),
        ("14x14 6 5x5 16", case(32, [14, 14], 6, 16, [5, 5], 1, [0, 0])),
        ("28x28 1 5x5 1", case(32, [28, 28], 1, 1, [5, 5], 1, [2, 2])),
        ("29x29 33 3x3 65", case(8, [29, 29], 33, 65, [3, 3], 1, [1, 1])),
        ("28x28 64 3x3 1", case(8, [28, 28], 64, 1, [3, 3], 1, [1, 1])),
        ("28x28 3 3x3 64", case(8, [28, 28], 3, 64, [3, 3], 1, [1, 1])),
        ("28x28 8 3x3 8", case(8, [28, 28], 8, 8, [3, 3], 1, [1, 1])),
        ("1-D 1000 16 5 32", case(8, [1, 1000], 16, 32, [1, 5], 1, [2, 2])),
        ("1-D 1000 1 9 4", case(8, [1, 1000], 1, 4, [1, 9], 1, [4, 4])),
    ] {
        if !name.contains(&only) {
            continue;
        }
        let (image, result, size) = (g.input[0] * g.input[1] * g.c, g.pixels() * g.o, g.taps() * g.c * g.o);
        let (x, dy, k) = (vec![0.5f32; g.n * image], vec![0.5f32; g.n * result], vec![0.5f32; size]);
        let keep = |y: pax_core::Result<Vec<f32>>| {
            let y = y.unwrap();
            let n = y.len();
            drop(exec.array(y, &[n]));
        };
        let (forward, input, kernel) = exec.meter.steadily(|| {
            (
                [speed(&g, || keep(conv::forward(&exec, &g, &x, &k))), speed(&g, || keep(eager::forward(&exec, &g, &x, &k)))],
                [speed(&g, || keep(conv::input_grad(&exec, &g, &dy, &k))), speed(&g, || keep(eager::input_grad(&exec, &g, &dy, &k)))],
                [speed(&g, || keep(conv::kernel_grad(&exec, &g, &x, &dy))), speed(&g, || keep(eager::kernel_grad(&exec, &g, &x, &dy)))],
            )
        });
        let row = |v: [f64; 2]| format!("{:8.1} {:8.1}", v[0], v[1]);
        println!("{name:24} {:>17}   {:>17}   {:>17}", row(forward), row(input), row(kernel));
    }
}
