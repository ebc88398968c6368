//! Products against loops in float64, at every level of the machine.
use super::*;
use crate::tile::Simd;

/// A matrix whose elements lie with strides, in memory that ends with the last of them.
struct Lying {
    data: Vec<f32>,
    rows: usize,
    cols: usize,
}
impl Lying {
    fn new(m: usize, n: usize, transposed: bool, gap: usize, seed: u32) -> Lying {
        let (rows, cols) = if transposed { (1, m + gap) } else { (n + gap, 1) };
        let len = if m * n == 0 { 0 } else { (m - 1) * rows + (n - 1) * cols + 1 };
        let mut s = seed;
        Lying {
            data: (0..len)
                .map(|_| {
                    s = s.wrapping_mul(1664525).wrapping_add(1013904223);
                    (s >> 8) as f32 / 8388608.0 - 1.0
                })
                .collect(),
            rows,
            cols,
        }
    }
    fn get(&self, i: usize, j: usize) -> f32 {
        self.data[i * self.rows + j * self.cols]
    }
}

macro_rules! checks {
    ($name:ident, $t:ty, $f:ident, $most:literal) => {
        fn $name(simd: Simd, m: usize, n: usize, k: usize, layout: u32) {
            let micro = Micro::$f(simd);
            let (a, b) = (Lying::new(m, k, layout & 1 == 1, 3, 7), Lying::new(k, n, layout & 2 == 2, 5, 9));
            let (da, db): (Vec<$t>, Vec<$t>) = (a.data.iter().map(|&x| x as $t).collect(), b.data.iter().map(|&x| x as $t).collect());
            let ma = Matrix { data: da.as_ptr(), rows: a.rows as isize, cols: a.cols as isize };
            let mb = Matrix { data: db.as_ptr(), rows: b.rows as isize, cols: b.cols as isize };
            let mut packed = vec![<$t>::NAN; micro.packed(k, n)];
            let panels = n.div_ceil(micro.width);
            // SAFETY: the vectors are as large as the shapes say.
            unsafe {
                for p in 0..panels {
                    micro.pack(mb, k, n, p, p + 1, packed.as_mut_ptr());
                }
                let stride = n + 2;
                let mut tiled = vec![<$t>::NAN; micro.tiled(m, k)];
                if a.rows == 1 {
                    for l in [0..k / 2, k / 2..k] {
                        micro.pack_left(ma, m, k, l.start, l.end, tiled.as_mut_ptr());
                    }
                }
                let product = |ma: Matrix<$t>, direct: bool, add: bool, split: usize| {
                    let mut out = vec![if add { 1.0 } else { <$t>::NAN }; m * stride];
                    for p in 0..panels {
                        let column = p * micro.width;
                        let (panel, ldb) =
                            if direct { (mb.at(0, column), b.rows) } else { (packed.as_ptr().add(p * k * micro.width), PACKED) };
                        for (from, to) in [(0, split), (split, m)] {
                            micro.run(
                                Piece { from, to, column, width: micro.width.min(n - column), depth: k },
                                ma,
                                panel,
                                ldb,
                                out.as_mut_ptr(),
                                stride,
                                add,
                            );
                        }
                    }
                    out
                };
                let (once, parts, added) = (product(ma, false, false, m), product(ma, false, false, m / 3), product(ma, false, true, m));
                let direct = if b.cols == 1 { product(ma, true, false, m / 2) } else { once.clone() };
                let left = Matrix { data: tiled.as_ptr(), rows: TILED, cols: 0 };
                let tiled = if a.rows == 1 { product(left, false, false, m / 2 / micro.rows * micro.rows) } else { once.clone() };
                for i in 0..m {
                    for j in 0..stride {
                        let at = i * stride + j;
                        if j >= n {
                            assert!(once[at].is_nan() && added[at] == 1.0, "beyond the columns");
                            continue;
                        }
                        let (mut want, mut size) = (0.0, 1.0);
                        for l in 0..k {
                            let x = a.get(i, l) as f64 * b.get(l, j) as f64;
                            want += x;
                            size += x.abs();
                        }
                        assert!(
                            (once[at] as f64 - want).abs() <= $most * size,
                            "{simd:?} {m} {n} {k} {layout} [{i}, {j}]: {} is not {want}",
                            once[at]
                        );
                        assert!((added[at] as f64 - want - 1.0).abs() <= 2.0 * $most * size);
                        // A row's bits depend neither on the tile that it falls into nor on where the operands lie.
                        assert!([&parts, &direct, &tiled].iter().all(|x| once[at].to_bits() == x[at].to_bits()));
                    }
                }
            }
        }
    };
}
checks!(single, f32, f32, 3e-7);
checks!(double, f64, f64, 1e-15);

#[test]
fn products_of_every_size() {
    for simd in Simd::levels() {
        for layout in 0..4 {
            for n in 1..70 {
                single(simd, n % 14 + 1, n, n % 9, layout);
                double(simd, n % 14 + 1, n, n % 9, layout);
            }
            for m in 1..40 {
                single(simd, m, 33, 17, layout);
                double(simd, m, 17, 18, layout);
            }
            for k in [0, 1, 15, 16, 31, 64, 511, 512, 513, 1100] {
                single(simd, 7, 40, k, layout);
                double(simd, 7, 20, k, layout);
            }
        }
    }
}

#[test]
fn what_is_no_number_stays_so() {
    for simd in Simd::levels() {
        let micro = Micro::f32(simd);
        for (a, b, want) in [
            (f32::NAN, 0.0, f32::NAN),
            (0.0, f32::NAN, f32::NAN),
            (f32::INFINITY, 2.0, f32::INFINITY),
            (f32::INFINITY, 0.0, f32::NAN),
            (1e30, -1e30, f32::NEG_INFINITY),
        ] {
            let (x, y, mut out) = ([1.0, a], [1.0, 1.0, 1.0, b, 1.0, 1.0], [0f32; 3]);
            let p = Piece { from: 0, to: 1, column: 0, width: 3, depth: 2 };
            // SAFETY: a row of two by two rows of three.
            unsafe { micro.run(p, Matrix { data: x.as_ptr(), rows: 2, cols: 1 }, y.as_ptr(), 3, out.as_mut_ptr(), 3, false) };
            assert!(out[0] == want || (out[0].is_nan() && want.is_nan()), "{simd:?} {a} {b}: {out:?}");
        }
    }
}
