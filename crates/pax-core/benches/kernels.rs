//! Kernels on one thread, at every level of the machine: `cargo bench -p pax-core --bench kernels -- matmul`.
//! Products print multiply-adds times two a second, the others bytes that must move.
use std::hint::black_box;
use std::time::Duration;

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};
use pax_core::exec::cpu::panel::{Matrix, Micro, Piece};
use pax_core::exec::cpu::tile::Simd;

fn numbers(n: usize) -> Vec<f32> { (0..n).map(|i| (i * 7919 % 1009) as f32 / 1009.0 - 0.5).collect() }

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
        let lying = |x: &[f32], rows: usize, cols: usize, t: bool| Matrix { data: x.as_ptr(), rows: if t { 1 } else { cols as isize }, cols: if t { rows as isize } else { 1 } };
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
                        if pack { micro.pack(mb, k, n, p, p + 1, packed.as_mut_ptr()); }
                        let (panel, ldb) = if direct { (mb.at(0, column), mb.rows as usize) } else { (packed.as_ptr().add(column * k), micro.width) };
                        let piece = Piece { from: 0, to: m, column, width: micro.width.min(n - column), depth: k };
                        micro.run(piece, ma, panel, ldb, out.as_mut_ptr(), n, false);
                    }
                }
                black_box(&mut out);
            };
            product(true, false);
            group.bench_function(BenchmarkId::new(format!("{name}, packed"), format!("{simd:?}")), |b| b.iter(|| product(false, false)));
            group.bench_function(BenchmarkId::new(format!("{name}, packs"), format!("{simd:?}")), |b| b.iter(|| product(true, false)));
            if !tb { group.bench_function(BenchmarkId::new(format!("{name}, direct"), format!("{simd:?}")), |b| b.iter(|| product(false, true))); }
        }
    }
}

fn settings() -> Criterion { Criterion::default().warm_up_time(Duration::from_millis(50)).measurement_time(Duration::from_millis(250)).sample_size(10).without_plots() }

criterion_group! { name = kernels; config = settings(); targets = matmul }
criterion_main!(kernels);
