use super::depthwise::Depthwise;
use super::direct::Direct;
use super::{Direction, Geometry, Which};
use crate::tile::Simd;

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

fn table() -> Vec<Geometry> {
    let mut all = Vec::new();
    for (c, o) in [(1, 32), (3, 17), (17, 3), (33, 65), (64, 64), (65, 1), (1, 1)] {
        for width in [1, 7, 14, 28, 29] {
            all.push(geometry([3, width], [3, 3], [1, 1], [1, 1], [1, 1], c, o));
        }
        all.push(geometry([6, 8], [3, 3], [2, 2], [0, 0], [1, 1], c, o));
        all.push(geometry([7, 5], [1, 1], [1, 1], [0, 0], [0, 0], c, o));
        all.push(geometry([7, 5], [1, 1], [2, 3], [0, 0], [0, 0], c, o));
        all.push(geometry([1, 40], [1, 5], [1, 2], [0, 4], [0, 1], c, o));
        all.push(geometry([9, 11], [5, 5], [3, 2], [2, 1], [0, 3], c, o));
        all.push(geometry([2, 3], [5, 4], [1, 1], [2, 2], [3, 1], c, o));
        all.push(geometry([5, 6], [2, 3], [3, 4], [1, 0], [0, 2], c, o));
        all.push(geometry([8, 9], [3, 2], [1, 2], [-2, -1], [-1, 1], c, o));
        all.push(geometry([3, 3], [3, 3], [1, 1], [4, 0], [3, 5], c, o));
    }
    all.push(geometry([1, 700], [1, 3], [1, 1], [1, 1], [1, 1], 4, 20)); // blocks along a row
    all.push(geometry([3, 5], [3, 3], [1, 1], [1, 1], [1, 1], 300, 40)); // a kernel in parts
    all.push(geometry([2, 3], [1, 2], [1, 1], [0, 0], [0, 0], 2500, 5)); // a kernel row in parts
    all.push(geometry([12, 12], [3, 3], [1, 1], [1, 1], [1, 1], 5, 200)); // cotangents far apart
    all.push(geometry([60, 70], [3, 3], [1, 1], [1, 1], [1, 1], 20, 40)); // bands
    all.push(geometry([1, 2], [1, 1], [1, 1], [0, 0], [0, 0], 40_000, 33)); // a band of less than a pixel
    all.push(geometry([9, 20], [3, 3], [1, 1], [1, 1], [1, 1], 130, 70)); // bands and panels
    all
}

fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + seed * 104729) % 2003) as f32 / 1001.0 - 1.0).collect()
}

/// Calls `f(x, kernel, y)` with the places of every product of the definition.
fn products(g: &Geometry, mut f: impl FnMut(usize, usize, usize)) {
    for oy in 0..g.out[0] {
        for ox in 0..g.out[1] {
            for ty in 0..g.kernel[0] {
                for tx in 0..g.kernel[1] {
                    let Some((y, x)) = g.source(0, oy, ty).zip(g.source(1, ox, tx)) else { continue };
                    for c in 0..g.c {
                        for o in 0..g.o {
                            f(
                                (y * g.input[1] + x) * g.c + c,
                                ((ty * g.kernel[1] + tx) * g.c + c) * g.o + o,
                                (oy * g.out[1] + ox) * g.o + o,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// `f(x, kernel, y)` for the products of several images.
fn products_of_all(g: &Geometry, mut f: impl FnMut(usize, usize, usize)) {
    for n in 0..g.n {
        products(g, |i, j, l| f(n * g.input[0] * g.input[1] * g.c + i, j, n * g.pixels() * g.o + l));
    }
}

/// Inputs, kernel and cotangents of all images, and what the definition makes of them in float64: result, both cotangents.
fn definition(g: &Geometry) -> ([Vec<f32>; 3], [Vec<f64>; 3]) {
    let given = [numbers(g.n * g.input[0] * g.input[1] * g.c, 1), numbers(g.taps() * g.c * g.o, 2), numbers(g.n * g.pixels() * g.o, 3)];
    let [x, k, dy] = &given;
    let (mut y, mut dx, mut dk) = (vec![0f64; dy.len()], vec![0f64; x.len()], vec![0f64; k.len()]);
    products_of_all(g, |i, j, l| {
        y[l] += x[i] as f64 * k[j] as f64;
        dx[i] += dy[l] as f64 * k[j] as f64;
        dk[j] += x[i] as f64 * dy[l] as f64;
    });
    (given, [y, dx, dk])
}

fn levels() -> Vec<Simd> {
    [Simd::Avx2, Simd::Avx512].into_iter().filter(|&s| s <= Simd::detect()).collect()
}

/// Memory of NaN between guards, which nobody may touch.
struct Room(Vec<f32>);
impl Room {
    const GUARD: usize = 64;
    fn new(n: usize) -> Room {
        let mut v = vec![f32::NAN; n + 2 * Room::GUARD];
        v[..Room::GUARD].fill(7.5);
        v[n + Room::GUARD..].fill(7.5);
        Room(v)
    }
    fn at(&mut self) -> *mut f32 {
        self.0[Room::GUARD..].as_mut_ptr()
    }
    fn get(&self) -> Vec<f32> {
        let n = self.0.len() - Room::GUARD;
        assert!(self.0[..Room::GUARD].iter().chain(&self.0[n..]).all(|&v| v == 7.5), "written outside");
        self.0[Room::GUARD..n].to_vec()
    }
}

struct Case {
    d: Direct,
    scratch: Room,
    packed: Room,
    back: Room,
}
impl Case {
    fn new(simd: Simd, g: &Geometry, k: &[f32]) -> Case {
        let d = Direct::new(simd, g).unwrap();
        let (mut packed, mut back) = (Room::new(d.packed(false)), Room::new(d.packed(true)));
        // SAFETY: the sizes are those that it names.
        unsafe {
            d.pack(false, 0..d.packs(false), k.as_ptr(), packed.at());
            d.pack(true, 0..d.packs(true), k.as_ptr(), back.at());
        }
        assert!(packed.get().iter().chain(&back.get()).all(|v| v.is_finite()), "panels have gaps");
        Case { scratch: Room::new(d.scratch()), d, packed, back }
    }
    fn forward(&mut self, g: &Geometry, x: &[f32]) -> Vec<f32> {
        let mut y = Room::new(g.pixels() * g.o);
        // SAFETY: as above.
        unsafe { self.d.image(false, x.as_ptr(), self.packed.at(), y.at(), self.scratch.at()) };
        self.scratch.get();
        y.get()
    }
    fn input_grad(&mut self, g: &Geometry, dy: &[f32]) -> Vec<f32> {
        let mut dx = Room::new(g.input[0] * g.input[1] * g.c);
        // SAFETY: as above.
        unsafe { self.d.image(true, dy.as_ptr(), self.back.at(), dx.at(), self.scratch.at()) };
        self.scratch.get();
        dx.get()
    }
    fn kernel_grad(&mut self, g: &Geometry, x: &[f32], dy: &[f32], to: Option<&[f32]>) -> Vec<f32> {
        let mut dk = Room::new(g.taps() * g.c * g.o);
        if let Some(to) = to {
            dk.0[Room::GUARD..][..to.len()].copy_from_slice(to);
        }
        // SAFETY: as above.
        unsafe { self.d.kernel_grad(x.as_ptr(), dy.as_ptr(), dk.at(), to.is_some(), self.scratch.at()) };
        self.scratch.get();
        dk.get()
    }
}

#[test]
fn direct_is_the_definition() {
    for g in table() {
        let ([x, k, dy], [y, dx, dk]) = definition(&g);
        for simd in levels() {
            let near = |what: &str, got: &[f32], want: &[f64], terms: usize| {
                for (i, (&a, &b)) in got.iter().zip(want).enumerate() {
                    assert!(
                        (a as f64 - b).abs() <= 1e-6 * (terms as f64).sqrt() * (4.0 + b.abs()),
                        "{simd:?} {what}[{i}] is {a}, not {b}: {g:?}"
                    );
                }
            };
            let mut case = Case::new(simd, &g, &k);
            near("y", &case.forward(&g, &x), &y, g.taps() * g.c);
            near("dx", &case.input_grad(&g, &dy), &dx, g.taps() * g.o);
            let once = case.kernel_grad(&g, &x, &dy, None);
            near("dk", &once, &dk, g.pixels());
            let twice: Vec<f64> = dk.iter().map(|v| 2.0 * v).collect();
            near("2 dk", &case.kernel_grad(&g, &x, &dy, Some(&once)), &twice, 2 * g.pixels());
        }
    }
}

/// The result of a direction for all images; the kernel's cotangent by images, or by parts.
fn result(d: &Direction, g: &Geometry, a: &[f32], b: &[f32], parts: bool) -> Vec<f32> {
    let mut out = Room::new(d.sizes()[2] * if d.which == Which::Kernel { 1 } else { g.n });
    let (mut scratch, mut packed) = (Room::new(d.scratch()), Room::new(d.packed().unwrap_or(0)));
    // SAFETY: the sizes are those that it names.
    unsafe {
        // In two parts, the last first.
        let (panels, half) = (d.packs(), d.packs() / 2);
        d.pack(half..panels, b.as_ptr(), packed.at());
        d.pack(0..half, b.as_ptr(), packed.at());
        let b = if d.packed().is_some() { packed.at().cast_const() } else { b.as_ptr() };
        if parts {
            for i in (0..d.parts()).rev() {
                d.part(i, g.n, a.as_ptr(), b, out.at(), scratch.at());
            }
        } else {
            d.run(0..g.n, a.as_ptr(), b, out.at(), scratch.at());
        }
    }
    scratch.get();
    packed.get();
    out.get()
}

#[test]
fn every_direction_of_several_images_is_the_definition() {
    let mut all = table();
    for (c, o) in [(16, 16), (40, 24), (64, 96), (129, 70), (300, 17)] {
        for (input, low, high) in [([6, 9], [1, 1], [1, 1]), ([5, 4], [0, 2], [2, 0]), ([7, 3], [3, 1], [0, 4]), ([9, 9], [-1, 1], [1, -2])]
        {
            all.push(geometry(input, [3, 3], [1, 1], low, high, c, o));
        }
        for (input, low, high) in [
            ([16, 24], [0, 0], [1, 1]),
            ([15, 16], [1, 1], [1, 1]),
            ([17, 25], [-1, 3], [3, -2]),
            ([20, 17], [-2, 4], [1, 1]),
            ([17, 25], [1, 2], [1, 1]),
            ([22, 17], [0, 0], [1, 2]),
            ([19, 22], [2, 0], [1, 1]),
            ([18, 14], [1, 1], [1, 1]),
        ] {
            all.push(geometry(input, [3, 3], [2, 2], low, high, c, o));
        }
    }
    let mut chosen = [[0; 3]; 2];
    for g in all.iter().map(|g| Geometry { n: 3, ..g.clone() }) {
        let ([x, k, dy], [y, dx, dk]) = definition(&g);
        for simd in levels() {
            for (i, (which, a, b, want, terms)) in [
                (Which::Out, &x, &k, &y, g.taps() * g.c),
                (Which::Input, &dy, &k, &dx, g.taps() * g.o),
                (Which::Kernel, &x, &dy, &dk, 3 * g.pixels()),
            ]
            .into_iter()
            .enumerate()
            {
                let Some(d) = Direction::new(simd, &g, which) else { continue };
                chosen[usize::from(g.stride[0] == 2)][i] += usize::from(d.means() == "winograd");
                for parts in [false].into_iter().chain((which == Which::Kernel).then_some(true)) {
                    for (i, (&a, &b)) in result(&d, &g, a, b, parts).iter().zip(want).enumerate() {
                        assert!(
                            (a as f64 - b).abs() <= 2e-6 * (terms as f64).sqrt() * (4.0 + b.abs()),
                            "{simd:?} {which:?}[{i}] is {a}, not {b}: {g:?}"
                        );
                    }
                }
            }
        }
    }
    for (n, least) in chosen.iter().zip([10, 2]) {
        assert!(n.iter().all(|&n| n >= least * levels().len()), "{chosen:?}");
    }
}

#[test]
fn fewer_products_are_no_less_exact() {
    let g = Geometry { n: 2, ..geometry([14, 14], [3, 3], [1, 1], [1, 1], [1, 1], 64, 64) };
    let ([x, k, dy], exact) = definition(&g);
    for simd in levels() {
        for (which, a, b, exact) in
            [(Which::Out, &x, &k, &exact[0]), (Which::Input, &dy, &k, &exact[1]), (Which::Kernel, &x, &dy, &exact[2])]
        {
            let d = Direction::new(simd, &g, which).unwrap();
            assert_eq!(d.means(), "winograd");
            let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
            let off = norm(&mut result(&d, &g, a, b, false).iter().zip(exact).map(|(&a, &b)| a as f64 - b));
            let relative = off / norm(&mut exact.iter().copied());
            assert!(relative < 6e-7, "{simd:?} {which:?} {relative}");
        }
    }
}

#[test]
fn each_channel_by_itself_is_the_definition() {
    let mut all = Vec::new();
    for c in [2, 7, 16, 33, 64] {
        for (input, kernel, stride, low, high) in [
            ([9, 8], [3, 3], [1, 1], [1, 1], [1, 1]),
            ([7, 11], [3, 2], [2, 3], [0, 1], [1, 2]),
            ([1, 20], [1, 5], [1, 2], [0, 2], [0, 2]),
            ([4, 3], [5, 5], [1, 1], [4, 2], [3, 5]),
            ([8, 9], [3, 2], [1, 2], [-2, -1], [-1, 1]),
        ] {
            all.push(Geometry { groups: c, ..geometry(input, kernel, stride, low, high, c, c) });
        }
        all.push(Geometry { groups: c, out: [5, 4], kernel_dilation: [2, 2], ..geometry([9, 8], [3, 3], [1, 1], [0, 0], [0, 0], c, c) });
        all.push(Geometry { groups: c, out: [11, 7], dilation: [2, 1], ..geometry([6, 7], [2, 3], [1, 1], [1, 1], [0, 1], c, c) });
    }
    for g in &all {
        let (x, k, dy) = (numbers(g.input[0] * g.input[1] * g.c, 1), numbers(g.taps() * g.c, 2), numbers(g.pixels() * g.o, 3));
        let (mut y, mut dx, mut dk) = (vec![0f64; dy.len()], vec![0f64; x.len()], vec![0f64; k.len()]);
        products(g, |i, j, l| {
            let (c, o, tap) = (i % g.c, l % g.o, j / (g.c * g.o));
            if c != o {
                return;
            }
            let j = tap * g.c + c;
            y[l] += x[i] as f64 * k[j] as f64;
            dx[i] += dy[l] as f64 * k[j] as f64;
            dk[j] += x[i] as f64 * dy[l] as f64;
        });
        for simd in [Simd::Base].into_iter().chain(levels()) {
            let d = Depthwise::new(simd, g).unwrap();
            for (which, a, b, want) in [(Which::Out, &x, &k, &y), (Which::Input, &dy, &k, &dx), (Which::Kernel, &x, &dy, &dk)] {
                let mut out = Room::new(want.len());
                for times in [1.0, 2.0] {
                    // SAFETY: the sizes are those that it names.
                    unsafe { d.run(which, a.as_ptr(), b.as_ptr(), out.at(), times > 1.0) };
                    for (i, (&got, &want)) in out.get().iter().zip(want).enumerate() {
                        assert!(
                            (got as f64 - times * want).abs() <= 1e-5 * (1.0 + want.abs()),
                            "{simd:?} {which:?}[{i}] is {got}, not {times} times {want}: {g:?}"
                        );
                    }
                }
            }
        }
        assert!(Direct::new(Simd::detect(), g).is_none());
    }
    assert!(Depthwise::new(Simd::Base, &Geometry { groups: 2, ..geometry([5, 9], [3, 3], [2, 2], [0, 0], [1, 1], 4, 6) }).is_none());
}

#[test]
fn what_is_not_finite_goes_where_it_should() {
    for simd in levels() {
        for (v, c, o) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().flat_map(|v| [(v, 3, 17), (v, 17, 3), (v, 32, 5)]) {
            let g = geometry([5, 9], [3, 3], [2, 2], [0, 0], [1, 1], c, o);
            let (x, k, dy) = (numbers(g.input[0] * g.input[1] * g.c, 1), vec![1.0; g.taps() * g.c * g.o], vec![1.0; g.pixels() * g.o]);
            let reached = |place: usize, of: usize, n: usize, to: usize| {
                let mut hit = vec![false; n];
                products(&g, |i, j, l| {
                    let at = [i, j, l];
                    if at[of] == place {
                        hit[at[to]] = true;
                    }
                });
                hit
            };
            let check = |got: &[f32], hit: &[bool]| {
                for (a, &hit) in got.iter().zip(hit) {
                    assert!(
                        if !hit {
                            a.is_finite()
                        } else if v.is_nan() {
                            a.is_nan()
                        } else {
                            *a == v
                        },
                        "{simd:?} {v} {got:?}"
                    );
                }
            };
            let mut case = Case::new(simd, &g, &k);
            for place in [0, 40, x.len() - 1] {
                let mut bad = x.clone();
                bad[place] = v;
                check(&case.forward(&g, &bad), &reached(place, 0, dy.len(), 2));
                check(&case.kernel_grad(&g, &bad, &dy, None), &reached(place, 0, k.len(), 1));
            }
            for place in [0, 20, dy.len() - 1] {
                let mut bad = dy.clone();
                bad[place] = v;
                check(&case.input_grad(&g, &bad), &reached(place, 2, x.len(), 0));
            }
        }
    }
}

#[test]
fn what_is_not_finite_goes_where_it_should_with_fewer_products() {
    // Several images a block without stride, a block of one with stride 2.
    for g in [geometry([7, 6], [3, 3], [1, 1], [1, 1], [1, 1], 96, 40), geometry([24, 16], [3, 3], [2, 2], [0, 0], [1, 1], 96, 48)] {
        let g = Geometry { n: 4, ..g };
        let (input, result_size) = (g.input[0] * g.input[1] * g.c, g.pixels() * g.o);
        let (x, k, dy) = (numbers(4 * input, 1), vec![1.0; 9 * g.c * g.o], vec![1.0; 4 * result_size]);
        for simd in levels() {
            for v in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
                for (which, a, b) in [(Which::Out, &x, &k), (Which::Input, &dy, &k), (Which::Kernel, &x, &dy)] {
                    let d = Direction::new(simd, &g, which).unwrap();
                    assert_eq!(d.means(), "winograd", "{simd:?} {which:?} {g:?}");
                    let good = result(&d, &g, a, b, false);
                    let image = d.sizes()[2];
                    for place in [500, a.len() - 1] {
                        let (mut bad, mut hit) = (a.clone(), vec![false; good.len()]);
                        bad[place] = v;
                        products_of_all(&g, |i, j, l| match which {
                            Which::Out => hit[l] |= i == place,
                            Which::Input => hit[i] |= l == place,
                            Which::Kernel => hit[j] |= i == place,
                        });
                        for parts in [false].into_iter().chain((which == Which::Kernel).then_some(true)) {
                            for (i, (got, &hit)) in result(&d, &g, &bad, b, parts).into_iter().zip(&hit).enumerate() {
                                // Other images are as they were.
                                let apart = which != Which::Kernel && i / image != place / d.sizes()[0];
                                let right = match v {
                                    _ if apart => got.to_bits() == good[i].to_bits(),
                                    _ if !hit => got.abs() < 1e5,
                                    v if v.is_nan() => got.is_nan(),
                                    v => got == v,
                                };
                                assert!(right, "{simd:?} {which:?} {v} gives {got}, {hit}");
                            }
                        }
                    }
                }
            }
            // A tap of a result's channel: all that it meets but zeros around.
            let mut bad = k.clone();
            bad[4 * g.c * g.o + 7] = f32::INFINITY;
            let y = result(&Direction::new(simd, &g, Which::Out).unwrap(), &g, &x, &bad, false);
            assert!(y.iter().enumerate().all(|(i, v)| v.is_finite() == (i % g.o != 7)));
        }
    }
}

#[test]
fn an_infinite_tap_does_not_meet_zeros_around_the_cotangent() {
    let sizes = [
        ([5, 6], [3, 3], [1, 1], 48),
        ([24, 16], [3, 3], [2, 2], 96),
        ([9, 8], [5, 4], [1, 1], 40),
        ([9, 8], [5, 4], [3, 2], 40),
        ([9, 8], [3, 3], [1, 1], 3),
    ];
    for (input, kernel, stride, c) in sizes {
        let g = Geometry { n: 2, ..geometry(input, kernel, stride, [1, 1], [1, 2], c, 48) };
        let (mut k, dy) = (vec![1.0; g.taps() * c * 48], vec![1.0; 2 * g.pixels() * 48]);
        let place = (g.taps() - 1) * c * 48 + 48 + 5;
        k[place] = f32::INFINITY;
        let mut hit = vec![false; 2 * g.input[0] * g.input[1] * c];
        products_of_all(&g, |i, j, _| hit[i] |= j == place);
        for simd in levels() {
            let d = Direction::new(simd, &g, Which::Input).unwrap();
            for (got, &hit) in result(&d, &g, &dy, &k, false).into_iter().zip(&hit) {
                assert_eq!(got == f32::INFINITY, hit, "{simd:?} {got} by {}: {g:?}", d.means());
                assert!(!got.is_nan());
            }
        }
    }
}

#[test]
fn the_sum_of_no_images_is_zero() {
    for g in [geometry([7, 6], [3, 3], [1, 1], [1, 1], [1, 1], 48, 40), geometry([7, 6], [5, 5], [1, 1], [1, 1], [1, 1], 4, 4)] {
        for simd in levels() {
            let d = Direction::new(simd, &Geometry { n: 3, ..g.clone() }, Which::Kernel).unwrap();
            let (mut out, mut scratch) = (Room::new(d.sizes()[2]), Room::new(d.scratch()));
            // SAFETY: nothing is read.
            unsafe { d.run(2..2, [].as_ptr(), [].as_ptr(), out.at(), scratch.at()) };
            assert!(out.get().iter().all(|&v| v == 0.0));
        }
    }
}

#[test]
fn fewer_products_are_chosen_where_they_pay() {
    let means = |n, input, c, o, stride| {
        let g = Geometry { n, ..geometry(input, [3, 3], stride, [1, 1], [1, 1], c, o) };
        [Which::Out, Which::Input, Which::Kernel].map(|which| Direction::new(Simd::detect(), &g, which).unwrap().means())
    };
    if levels().contains(&Simd::detect()) {
        assert_eq!(means(256, [32, 32], 256, 256, [1, 1]), ["winograd"; 3]);
        assert_eq!(means(128, [32, 32], 128, 128, [2, 2]), ["winograd"; 3]);
        assert_eq!(means(1, [2, 2], 512, 512, [1, 1]), ["direct"; 3]); // the kernel is transformed for one square
        assert_eq!(means(32, [28, 28], 3, 8, [1, 1])[0], "direct");
        assert_eq!(means(128, [32, 32], 128, 128, [1, 2]), ["direct"; 3]);
    }
}

#[test]
fn other_convolutions_fall_back() {
    let g = geometry([5, 9], [3, 3], [2, 2], [0, 0], [1, 1], 4, 6);
    assert!(Direct::new(Simd::Base, &g).is_none());
    for simd in levels() {
        assert!(Direct::new(simd, &g).is_some());
        for other in [
            Geometry { groups: 2, ..g.clone() },
            Geometry { dilation: [1, 2], ..g.clone() },
            Geometry { kernel_dilation: [2, 1], ..g.clone() },
            Geometry { out: [0, 2], ..g.clone() },
            Geometry { c: 0, ..g.clone() },
            geometry([5, 9], [3, 3], [1, 1], [1 << 20, 0], [0, 0], 4, 6),
        ] {
            assert!(Direct::new(simd, &other).is_none(), "{other:?}");
        }
    }
}
