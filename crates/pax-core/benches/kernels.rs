//! Kernels on one thread: `cargo bench -p pax-core --features bench --bench kernels -- matmul`. Products print multiply-adds
//! times two a second, folds and norms bytes that must move. Folds and norms run at the level that PAX_SIMD names.
use std::hint::black_box;
use std::time::Duration;

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};
use pax_core::exec::cpu::panel::{Matrix, Micro, Piece};
use pax_core::exec::cpu::reduce::Fold;
use pax_core::exec::cpu::rows::{self, Float, Norm};
use pax_core::exec::cpu::tile::{self, Simd};

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i * 7919 % 1009) as f32 / 1009.0 - 0.5).collect()
}

/// `m`, `k`, `n`, and whether each operand is the transpose of what lies in memory.
const PRODUCTS: [(&str, usize, usize, usize, bool, bool); 9] = [
    ("W1 x.w", 128, 784, 512, false, false),
    ("W1 xT.dy", 784, 128, 512, true, false),
    ("W1 dy.wT", 128, 512, 784, false, true),
    ("W1 head", 128, 512, 10, false, false),
    ("W3 h.wh", 32, 256, 1024, false, false),
    ("W3 dg.whT", 32, 1024, 256, false, true),
    ("W3 hT.dg", 256, 2048, 1024, true, false),
    ("row", 1, 512, 512, false, false),
    ("square", 1024, 1024, 1024, false, false),
];

fn matmul(c: &mut Criterion) {
    let mut group = c.benchmark_group("matmul");
    for (name, m, k, n, ta, tb) in PRODUCTS {
        let (a, b, mut out) = (numbers(m * k), numbers(k * n), vec![0f32; m * n]);
        let lying = |x: &[f32], rows: usize, cols: usize, t: bool| Matrix {
            data: x.as_ptr(),
            rows: if t { 1 } else { cols as isize },
            cols: if t { rows as isize } else { 1 },
        };
        let (ma, mb) = (lying(&a, m, k, ta), lying(&b, k, n, tb));
        group.throughput(Throughput::Elements(2 * (m * k * n) as u64));
        for simd in Simd::levels() {
            let micro = Micro::f32(simd);
            let mut packed = vec![0f32; micro.packed(k, n)];
            let panels = n.div_ceil(micro.width);
            let mut product = |pack: bool, direct: bool| {
                for p in 0..panels {
                    let column = p * micro.width;
                    // SAFETY: the vectors are as large as the shapes say.
                    unsafe {
                        if pack {
                            micro.pack(mb, k, n, p, p + 1, packed.as_mut_ptr());
                        }
                        let (panel, ldb) =
                            if direct { (mb.at(0, column), mb.rows as usize) } else { (packed.as_ptr().add(column * k), micro.width) };
                        let piece = Piece { from: 0, to: m, column, width: micro.width.min(n - column), depth: k };
                        micro.run(piece, ma, panel, ldb, out.as_mut_ptr(), n, false);
                    }
                }
                black_box(&mut out);
            };
            product(true, false);
            group.bench_function(BenchmarkId::new(format!("{name}, packed"), format!("{simd:?}")), |b| b.iter(|| product(false, false)));
            group.bench_function(BenchmarkId::new(format!("{name}, packs"), format!("{simd:?}")), |b| b.iter(|| product(true, false)));
            if !tb {
                group.bench_function(BenchmarkId::new(format!("{name}, direct"), format!("{simd:?}")), |b| b.iter(|| product(false, true)));
            }
        }
    }
}

fn folds(c: &mut Criterion) {
    let mut group = c.benchmark_group("fold");
    for (rows, len) in [(4096, 1024), (512, 64), (2048, 1024), (128, 512), (100_000, 10)] {
        let (x, mut across, mut down) = (numbers(rows * len), vec![0f32; rows], vec![0f32; len]);
        group.throughput(Throughput::Bytes(4 * (rows * len) as u64));
        for fold in [Fold::Sum, Fold::Max] {
            let name = |of: &str| format!("{fold:?} of {of} {rows}x{len}");
            // SAFETY: the vectors are as large as the rows say.
            group.bench_function(name("rows"), |b| {
                b.iter(|| unsafe { rows::rows(fold, x.as_ptr(), rows, len, len as isize, across.as_mut_ptr()) })
            });
            group.bench_function(name("columns"), |b| {
                b.iter(|| unsafe { rows::columns(fold, x.as_ptr(), rows, len, len as isize, down.as_mut_ptr(), false) })
            });
        }
        black_box((&mut across, &mut down));
    }
}

fn norms(c: &mut Criterion) {
    let mut group = c.benchmark_group("norm");
    for (rows, len) in [(4096, 1024), (64, 1024), (512, 64), (128, 10)] {
        let (x, mut out) = (numbers(rows * len), vec![0f32; rows * len]);
        group.throughput(Throughput::Bytes(8 * (rows * len) as u64));
        for norm in [Norm::Softmax, Norm::LogSoftmax, Norm::LayerNorm { eps: 1e-5 }] {
            // SAFETY: both hold the rows.
            group.bench_function(format!("{norm:?} {rows}x{len}"), |b| {
                b.iter(|| unsafe { f32::norm_rows(norm, x.as_ptr(), out.as_mut_ptr(), rows, len) })
            });
        }
        black_box(&mut out);
    }
}

fn tiles(c: &mut Criterion) {
    let mut group = c.benchmark_group("tile");
    let (x, mut out) = (numbers(256), vec![0f32; 256]);
    group.throughput(Throughput::Elements(256));
    for (name, f) in [
        ("exp", tile::exp_ as fn(Simd) -> tile::Function),
        ("tanh", tile::tanh_),
        ("sigmoid", tile::sigmoid_),
        ("log", tile::log_),
        ("relu", tile::relu),
    ] {
        for simd in Simd::levels() {
            let f = f(simd).run;
            // SAFETY: all hold 256 numbers.
            group.bench_function(BenchmarkId::new(name, format!("{simd:?}")), |b| {
                b.iter(|| unsafe { f(out.as_mut_ptr(), x.as_ptr(), x.as_ptr(), x.as_ptr(), 256) })
            });
        }
    }
    black_box(&mut out);
}

fn settings() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(250))
        .sample_size(10)
        .without_plots()
}

criterion_group! { name = kernels; config = settings(); targets = matmul, folds, norms, tiles }
criterion_main!(kernels);
