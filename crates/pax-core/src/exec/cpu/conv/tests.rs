use super::*;
use crate::exec::Serial;
use std::rc::Rc;

/// Sizes by input, kernel, stride, padding before and after, channels.
fn geometry(input: [usize; 2], kernel: [usize; 2], stride: [i64; 2], low: [i64; 2], high: [i64; 2], c: usize, o: usize) -> Geometry {
    let out = |d: usize| {
        let room = input[d] as i64 + low[d] + high[d] - kernel[d] as i64;
        if room < 0 {
            0
        } else {
            (room / stride[d]) as usize + 1
        }
    };
    Geometry { n: 1, input, out: [out(0), out(1)], kernel, stride, low, dilation: [1; 2], kernel_dilation: [1; 2], c, o, groups: 1 }
}

fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + seed * 104729) % 2003) as f32 / 1001.0 - 1.0).collect()
}

#[test]
fn eager_functions_add_up_images_as_the_patch_matrix() {
    let exec = Exec { meter: Rc::default(), pool: Rc::new(Serial) };
    for n in [1, 3, 37] {
        for (c, o) in [(3, 17), (33, 5), (20, 1)] {
            let g = Geometry { n, ..geometry([6, 5], [3, 3], [2, 1], [1, 0], [1, 2], c, o) };
            let (x, k, dy) = (numbers(n * 30 * c, 1), numbers(9 * c * o, 2), numbers(n * g.pixels() * o, 3));
            let near = |a: Vec<f32>, b: Vec<f32>| {
                assert_eq!(a.len(), b.len());
                for (a, b) in a.iter().zip(&b) {
                    assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{a} {b} {g:?}");
                }
            };
            near(eager::forward(&exec, &g, &x, &k).unwrap(), forward(&exec, &g, &x, &k).unwrap());
            near(eager::input_grad(&exec, &g, &dy, &k).unwrap(), input_grad(&exec, &g, &dy, &k).unwrap());
            near(eager::kernel_grad(&exec, &g, &x, &dy).unwrap(), kernel_grad(&exec, &g, &x, &dy).unwrap());
        }
    }
    let g = Geometry { n: 3, ..geometry([3, 4], [3, 3], [1, 1], [1, 1], [1, 1], 250, 160) }; // a large kernel, in ranges of rows
    let (x, dy) = (numbers(36 * 250, 1), numbers(36 * 160, 2));
    for (a, b) in eager::kernel_grad(&exec, &g, &x, &dy).unwrap().iter().zip(&kernel_grad(&exec, &g, &x, &dy).unwrap()) {
        assert!((a - b).abs() <= 1e-4, "{a} {b}");
    }
    // An infinite weight reaches the pixels that it was multiplied with, and makes no NaN of zeros around the cotangent.
    let g = geometry([4, 4], [3, 3], [1, 1], [1, 1], [1, 1], 16, 16);
    let mut k = vec![1.0; 9 * 256];
    k[0] = f32::INFINITY;
    let dx = eager::input_grad(&exec, &g, &vec![1.0; 256], &k).unwrap();
    for (i, v) in dx.iter().enumerate() {
        assert_eq!(v.is_infinite(), i % 16 == 0 && i / 16 < 12 && i / 16 % 4 < 3, "{i} {v}");
    }
}
