//! Random programs: a call, which runs by a plan, against the same operations one by one.
mod support;
use std::rc::Rc;

use pax_core::{row, Cx, DType, Params, Result, Tensor, Value};
use support::{avals, near, record, values, Rng, Threads};

const UNARY: [&str; 10] = ["neg", "abs", "square", "relu", "exp", "tanh", "sigmoid", "reciprocal", "sin", "sign"];
const BINARY: [&str; 6] = ["add", "sub", "mul", "maximum", "minimum", "atan2"];
const COMPARE: [&str; 4] = ["less", "greater_equal", "equal", "not_equal"];

/// One random operation on tensors that are there already.
fn operation(cx: &Cx, rng: &mut Rng, pool: &[Tensor]) -> Result<Tensor> {
    let pick = |rng: &mut Rng| pool[rng.int(0, pool.len() as i64) as usize].clone();
    let name = |rng: &mut Rng, of: &[&'static str]| row(of[rng.int(0, of.len() as i64) as usize]).unwrap();
    let x = pick(rng);
    // Kept small, so that no chain of products leaves the range.
    let small = |t: &Tensor| cx.one(row("tanh").unwrap(), [], &[t]);
    let alike = |rng: &mut Rng, x: &Tensor| -> Result<Tensor> {
        let y = pick(rng);
        if y.shape() == x.shape() {
            return Ok(y);
        }
        // Brought to the shape of x: by a scalar of it, repeated.
        let s = cx.reduce_sum(&y, &(0..y.ndim()).collect::<Vec<_>>())?;
        cx.broadcast(&small(&s)?, x.shape(), &[])
    };
    match rng.int(0, 14) {
        0..=3 => cx.one(name(rng, &UNARY), [], &[&small(&x)?]),
        4..=6 => {
            let y = alike(rng, &x)?;
            cx.one(name(rng, &BINARY), [], &[&x, &y])
        }
        7 => {
            let (a, b) = (alike(rng, &x)?, alike(rng, &x)?);
            let c = cx.one(name(rng, &COMPARE), [], &[&x, &a])?;
            let c = if rng.int(0, 2) == 0 { cx.one(row("logical_not").unwrap(), [], &[&c])? } else { c };
            if rng.int(0, 3) == 0 {
                cx.cast(&c, x.dtype())
            } else {
                cx.select(&c, &x, &b)
            }
        }
        8 => cx.scale(&x, rng.uniform(-2.0, 2.0)),
        9 if x.ndim() > 0 => cx.cumsum(&small(&x)?, x.ndim() - 1, false),
        9 => {
            let order: Vec<usize> = (0..x.ndim()).rev().collect();
            cx.transpose(&x, &order)
        }
        10 => cx.reshape(&x, &[x.size()]),
        11 if x.ndim() > 0 && x.shape()[0] > 1 => {
            let (mut start, limit, stride) = (vec![0; x.ndim()], x.shape().to_vec(), vec![1; x.ndim()]);
            start[0] = 1;
            cx.slice(&x, &start, &limit, &stride)
        }
        12 if x.ndim() > 0 => {
            let s = cx.reduce_sum(&x, &[x.ndim() - 1])?;
            cx.broadcast(&small(&s)?, x.shape(), &(0..x.ndim() - 1).collect::<Vec<_>>())
        }
        13 if x.ndim() == 2 => {
            let y = alike(rng, &x)?;
            small(&cx.dot(&x, &cx.transpose(&y, &[1, 0])?, [&[], &[]], [&[1], &[0]])?)
        }
        _ => cx.shift(&x, 0.5),
    }
}

fn random(cx: &Cx, seed: u64, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let mut rng = Rng(seed);
    let mut pool = inputs.to_vec();
    for _ in 0..rng.int(3, 60) {
        let t = operation(cx, &mut rng, &pool)?;
        pool.push(t);
    }
    let n = rng.int(1, 5) as usize;
    Ok((0..n).map(|_| pool[rng.int(0, pool.len() as i64) as usize].clone()).collect())
}

#[test]
fn plans_give_what_the_operations_give() -> Result<()> {
    as_the_operations(DType::F32, 1e-6)
}
#[test]
fn plans_of_float64_give_what_the_operations_give() -> Result<()> {
    as_the_operations(DType::F64, 1e-14)
}

fn as_the_operations(dtype: DType, error: f64) -> Result<()> {
    // The largest is made again where it is cheap, copied where it lies across memory, and divided into chunks.
    let shapes: [&[usize]; 8] = [&[], &[1], &[7], &[3, 5], &[33, 20], &[300], &[136, 144], &[130, 130]];
    for seed in 0..400 {
        let cx = Cx::default();
        let mut rng = Rng(seed * 7 + 1);
        let inputs: Vec<Tensor> = (0..3)
            .map(|_| {
                let s = shapes[rng.int(0, 8) as usize];
                cx.from_f64(dtype, &rng.normals(s.iter().product()), s)
            })
            .collect();
        let want = random(&cx, seed, &inputs)?;
        let program = Rc::new(record(&cx, &avals(&inputs), |ts| random(&cx, seed, ts))?);
        // Twice: what the first run left in buffers that are used again must not be seen.
        for run in 0..2 {
            for (k, (got, want)) in cx.call(&program, &inputs)?.iter().zip(&want).enumerate() {
                assert_eq!((got.shape(), got.dtype()), (want.shape(), want.dtype()));
                near(&format!("seed {seed}, run {run}, result {k}: {program}"), &values(&cx, got)?, &values(&cx, want)?, error, error)
                    .unwrap();
            }
        }
        // Given away: results may lie over the inputs.
        let copies = inputs.iter().map(|t| Ok(cx.from_f64(dtype, &values(&cx, t)?, t.shape()))).collect::<Result<Vec<_>>>()?;
        for (k, (got, want)) in cx.call_giving(&program, &copies, &[true; 3])?.iter().zip(&want).enumerate() {
            near(&format!("seed {seed}, given away, result {k}: {program}"), &values(&cx, got)?, &values(&cx, want)?, error, error)
                .unwrap();
        }
    }
    Ok(())
}

/// Half floats, which loops and kernels compute as float32: each operation is rounded as it is by itself, so that only sums of another
/// order differ, by some units in the last place.
#[test]
fn half_floats_are_rounded_after_each_operation() -> Result<()> {
    let shapes: [&[usize]; 5] = [&[], &[7], &[3, 5], &[33, 20], &[300]];
    for seed in 0..300 {
        let cx = Cx::default();
        let mut rng = Rng(seed * 5 + 2);
        let (dtype, unit) = if seed % 2 == 0 { (DType::BF16, 0.0079) } else { (DType::F16, 0.00098) };
        let inputs: Vec<Tensor> = (0..3)
            .map(|_| {
                let s = shapes[rng.int(0, 5) as usize];
                cx.from_f64(dtype, &rng.normals(s.iter().product()), s)
            })
            .collect();
        let f = |xs: &[Tensor]| -> Result<Vec<Tensor>> {
            let mut outs = random(&cx, seed, xs)?;
            let wide = cx.one(row("exp").unwrap(), [], &[&cx.cast(&outs[0], DType::F32)?])?;
            outs.push(cx.cast(&wide, if dtype == DType::BF16 { DType::F16 } else { DType::BF16 })?);
            outs.push(wide);
            Ok(outs)
        };
        let want = f(&inputs)?;
        let program = Rc::new(record(&cx, &avals(&inputs), f)?);
        let sums = program.to_string();
        let unit = if sums.contains("reduce_sum") || sums.contains("dot(") { 16.0 * unit } else { 0.0 };
        for (k, (got, want)) in cx.call(&program, &inputs)?.iter().zip(&want).enumerate() {
            assert_eq!((got.shape(), got.dtype()), (want.shape(), want.dtype()));
            near(&format!("seed {seed}, result {k}: {program}"), &values(&cx, got)?, &values(&cx, want)?, unit, unit).unwrap();
        }
    }
    Ok(())
}

/// Loops of many chunks and odd sizes, strided and broadcast operands, half floats and bools in and out.
#[test]
fn large_loops() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(4);
    for (m, n, dtype) in [DType::F32, DType::BF16, DType::F64].into_iter().flat_map(|d| [(1, 70_001, d), (257, 129, d), (1000, 33, d)]) {
        let xs = [
            cx.from_f64(dtype, &rng.normals(m * n), &[m, n]),
            cx.from_f64(dtype, &rng.normals(m * n), &[n, m]),
            cx.from_f64(dtype, &rng.normals(n), &[n]),
            cx.from_f64(DType::Bool, &vec![1.0; m], &[m]),
        ];
        let f = |t: &[Tensor]| -> Result<Vec<Tensor>> {
            let (row, flags) = (cx.broadcast(&t[2], &[m, n], &[1])?, cx.broadcast(&t[3], &[m, n], &[0])?);
            let y = cx.mul(&cx.add(&t[0], &cx.transpose(&t[1], &[1, 0])?)?, &row)?;
            let less = cx.one(pax_core::row("less").unwrap(), [] as [Value; 0], &[&y, &t[0]])?;
            Ok(vec![cx.select(&flags, &y, &t[0])?, less])
        };
        let want = f(&xs)?;
        let program = Rc::new(record(&cx, &avals(&xs), f)?);
        for (got, want) in cx.call(&program, &xs)?.iter().zip(&want) {
            near("large", &values(&cx, got)?, &values(&cx, want)?, 0.0, 0.0).unwrap();
        }
    }
    Ok(())
}

/// Integers divide, shift and join their bits in loops as the rows do, at the ends of their range too.
#[test]
fn integers_in_loops() -> Result<()> {
    let cx = Cx::default();
    let ends = [i32::MIN, i32::MIN + 1, -7, -3, -1, 0, 1, 2, 31, 32, i32::MAX].map(f64::from);
    let pairs: Vec<(f64, f64)> = ends.iter().flat_map(|&a| ends.iter().map(move |&b| (a, b))).collect();
    let [a, b] = [|p: &(f64, f64)| p.0, |p: &(f64, f64)| p.1].map(|f| pairs.iter().map(f).collect::<Vec<_>>());
    let xs = [a, b].map(|v| cx.from_f64(DType::I32, &v, &[v.len()]));
    let names = ["floor_divide", "remainder", "bit_and", "bit_or", "bit_xor", "shift_left", "shift_right"];
    let f = |t: &[Tensor]| -> Result<Vec<Tensor>> {
        let mut outs = vec![cx.one(row("bit_not").unwrap(), [], &[&t[0]])?];
        for name in names {
            outs.push(cx.one(row(name).unwrap(), [] as [Value; 0], &[&t[0], &t[1]])?);
        }
        Ok(outs)
    };
    let want = f(&xs)?;
    let program = Rc::new(record(&cx, &avals(&xs), f)?);
    for (k, (got, want)) in cx.call(&program, &xs)?.iter().zip(&want).enumerate() {
        assert_eq!(values(&cx, got)?, values(&cx, want)?, "result {k}");
    }
    Ok(())
}

/// A number that is too small or too large for a reciprocal divides all the same: known when the plan is made, or when it runs.
#[test]
fn numbers_without_a_reciprocal() -> Result<()> {
    let div = |cx: &Cx, a: &Tensor, b: &Tensor| cx.one(row("div").unwrap(), [] as [Value; 0], &[a, b]);
    for (dtype, divisors) in [(DType::F32, [1e-39, 3e38, 0.0, -7.0]), (DType::F64, [1e-310, 1.5e308, 0.0, -7.0])] {
        let cx = Cx::default();
        for d in divisors {
            let xs = [0.0, d, 1.0, f64::INFINITY].map(|x| cx.full(&[70, 64], dtype, x).unwrap());
            let number = cx.from_f64(dtype, &[d], &[]);
            let weight = cx.full(&[64, 64], dtype, 1.0 / 64.0)?;
            let f = |t: &[Tensor]| -> Result<Vec<Tensor>> {
                let mut outs = Vec::new();
                for x in &t[..4] {
                    outs.push(div(&cx, x, &cx.full(&[70, 64], dtype, d)?)?);
                    outs.push(div(&cx, x, &cx.broadcast(&t[4], &[70, 64], &[])?)?);
                }
                let product = cx.dot(&t[2], &t[5], [&[], &[]], [&[1], &[0]])?;
                outs.push(div(&cx, &product, &cx.broadcast(&t[4], &[70, 64], &[])?)?);
                Ok(outs)
            };
            let all: Vec<Tensor> = xs.into_iter().chain([number, weight]).collect();
            let want = f(&all)?;
            let program = Rc::new(record(&cx, &avals(&all), f)?);
            for (k, (got, want)) in cx.call(&program, &all)?.iter().zip(&want).enumerate() {
                near(&format!("{dtype:?} by {d}, result {k}"), &values(&cx, got)?, &values(&cx, want)?, 3e-7, 0.0).unwrap();
            }
        }
    }
    Ok(())
}

/// Products that are cut into panels, with what a loop may read and make behind them: the product itself, rows and columns of
/// numbers, bools, sums, and a result that is given back. Long sums of few columns or rows, with the left operand turned, are deep.
#[test]
fn products_with_loops_behind() -> Result<()> {
    let mut rng = Rng(9);
    for (seed, dtype, error) in (0..84).flat_map(|s| [(s, DType::F32, 1e-4), (s, DType::F64, 1e-12)]) {
        let (cx, deep) = (Cx::default(), seed >= 60);
        let ranges = match (deep, seed % 2) {
            (false, _) => [(20, 140), (40, 90), (17, 100)],
            (true, 0) => [(20, 400), (1030, 1600), (17, 257)],
            (true, _) => [(20, 129), (1030, 1600), (257, 500)],
        };
        let [m, k, mut n] = ranges.map(|(low, high)| rng.int(low, high) as usize);
        // So that the loop may read the left operand, too.
        if seed % 3 == 0 && !deep {
            n = k;
        }
        let turned = deep && seed % 4 > 1;
        let contract = [usize::from(!deep), usize::from(turned)];
        let (left, right) = (if deep { [k, m] } else { [m, k] }, if turned { [n, k] } else { [k, n] });
        let mut xs =
            [left.as_slice(), &right, &[n], &[m], &[m, n], &[n, m]].map(|s| cx.from_f64(dtype, &rng.normals(s.iter().product()), s));
        // Results of about the same size, whatever is summed.
        if deep {
            xs[0] = cx.scale(&xs[0], 0.2)?;
        }
        let choices: Vec<i64> = (0..8).map(|_| rng.int(0, 7)).collect();
        let f = |t: &[Tensor]| -> Result<Vec<Tensor>> {
            let dot = || cx.dot(&t[0], &t[1], [&[], &[]], [&contract[..1], &contract[1..]]);
            let product = cx.scale(&dot()?, 1.0)?;
            let plain = dot()?;
            let (row_, column) = (cx.broadcast(&t[2], &[m, n], &[1])?, cx.broadcast(&t[3], &[m, n], &[0])?);
            let mut pool = vec![plain, product];
            let small = |t: &Tensor| cx.one(row("tanh").unwrap(), [], &[t]);
            for &c in &choices {
                let x = pool[pool.len() - 1].clone();
                pool.push(match c {
                    0 => cx.add(&x, &row_)?,
                    1 => cx.mul(&small(&x)?, &column)?,
                    2 => cx.add(&small(&x)?, &t[4])?,
                    3 => cx.mul(&x, &cx.transpose(&t[5], &[1, 0])?)?,
                    4 => {
                        let less = cx.one(row("less").unwrap(), [] as [Value; 0], &[&x, &pool[0]])?;
                        cx.select(&less, &x, &row_)?
                    }
                    5 => cx.add(&x, if n == k { &t[0] } else { &pool[0] })?,
                    _ => small(&x)?,
                });
            }
            let less = cx.one(row("less").unwrap(), [] as [Value; 0], &[&pool[2], &t[4]])?;
            let last = pool[pool.len() - 1].clone();
            let sums = cx.reduce_sum(&last, &[(choices[0] % 2) as usize])?;
            let mut outs = vec![last, sums, less, pool[3].clone()];
            if choices[1] % 2 == 0 {
                outs.push(pool[0].clone());
            }
            Ok(outs)
        };
        let want = f(&xs)?;
        let program = Rc::new(record(&cx, &avals(&xs), f)?);
        assert_eq!(pax_core::plan::text(&cx, &program).contains("deep product"), deep, "{m}×{k}×{n}");
        let check = |how: &str, got: &[Tensor]| -> Result<()> {
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                let what = format!("seed {seed}, {dtype:?}, {m}×{k}×{n}, {choices:?}, {how}, result {i}");
                near(&what, &values(&cx, got)?, &values(&cx, want)?, error, error).unwrap();
            }
            Ok(())
        };
        check("kept", &cx.call(&program, &xs)?)?;
        let copies = xs.iter().map(|t| Ok(cx.from_f64(dtype, &values(&cx, t)?, t.shape()))).collect::<Result<Vec<_>>>()?;
        check("given away", &cx.call_giving(&program, &copies, &[true; 6])?)?;
    }
    Ok(())
}

/// Loops of float64 load other dtypes, in any layout; all have the same numbers as the casts by themselves.
#[test]
fn numbers_become_float64_where_they_are_loaded() -> Result<()> {
    let mut rng = Rng(5);
    for (dtype, (m, n)) in [DType::F32, DType::F16, DType::BF16, DType::I32, DType::U32, DType::Bool]
        .into_iter()
        .flat_map(|d| [(d, (3, 5)), (d, (40, 33)), (d, (1, 700))])
    {
        let cx = Cx::default();
        let numbers = |rng: &mut Rng, n: usize| -> Vec<f64> {
            (0..n)
                .map(|_| {
                    if dtype.is_float() {
                        rng.uniform(-9.0, 9.0)
                    } else {
                        rng.int(0, 2) as f64 * if dtype == DType::Bool { 1.0 } else { 70_001.0 }
                    }
                })
                .collect()
        };
        let xs = [
            cx.from_f64(dtype, &numbers(&mut rng, m * n), &[m, n]),
            cx.from_f64(dtype, &numbers(&mut rng, n * m), &[n, m]),
            cx.from_f64(dtype, &numbers(&mut rng, n), &[n]),
            cx.from_f64(dtype, &numbers(&mut rng, 1), &[]),
            cx.from_f64(DType::F64, &rng.normals(m * n), &[m, n]),
        ];
        let f = |t: &[Tensor]| -> Result<Vec<Tensor>> {
            let wide = |x: &Tensor| cx.cast(x, DType::F64);
            let y = cx.mul(&wide(&t[0])?, &t[4])?;
            let y = cx.add(&y, &wide(&cx.transpose(&t[1], &[1, 0])?)?)?;
            let y = cx.add(&y, &wide(&cx.broadcast(&t[2], &[m, n], &[1])?)?)?;
            let y = cx.sub(&y, &wide(&cx.broadcast(&t[3], &[m, n], &[])?)?)?;
            let less = cx.one(row("less").unwrap(), [] as [Value; 0], &[&y, &t[4]])?;
            Ok(vec![cx.select(&less, &y, &t[4])?, less])
        };
        let want = f(&xs)?;
        let program = Rc::new(record(&cx, &avals(&xs), f)?);
        for (got, want) in cx.call(&program, &xs)?.iter().zip(&want) {
            near(&format!("{dtype:?} {m} {n}: {program}"), &values(&cx, got)?, &values(&cx, want)?, 1e-14, 1e-14).unwrap();
        }
    }
    Ok(())
}

/// Few results of long sums, which chunks divide; operands in either order, and loops behind them.
#[test]
fn products_divided_by_their_sums() -> Result<()> {
    let mut rng = Rng(12);
    for (dtype, error) in [(DType::F32, 2e-4), (DType::F64, 1e-12)].into_iter().cycle().take(40) {
        let cx = Cx::default();
        let [m, k, n] = [rng.int(1, 70), rng.int(512, 3000), rng.int(1, 58)].map(|n| n as usize);
        let (left, right) = (rng.int(0, 2) == 1, rng.int(0, 2) == 1);
        let shapes = [if left { vec![k, m] } else { vec![m, k] }, if right { vec![n, k] } else { vec![k, n] }, vec![n]];
        let xs = shapes.map(|s| cx.from_f64(dtype, &rng.normals(s.iter().product()), &s));
        let f = |t: &[Tensor]| -> Result<Vec<Tensor>> {
            let product = cx.dot(&t[0], &t[1], [&[], &[]], [&[usize::from(!left)], &[usize::from(right)]])?;
            let y =
                cx.one(row("relu").unwrap(), [], &[&cx.add(&cx.scale(&product, 1.0 / k as f64)?, &cx.broadcast(&t[2], &[m, n], &[1])?)?])?;
            Ok(vec![cx.reduce_sum(&y, &[0])?, y, product])
        };
        let want = f(&xs)?;
        let program = Rc::new(record(&cx, &avals(&xs), f)?);
        for (got, want) in cx.call(&program, &xs)?.iter().zip(&want) {
            near(&format!("{m}×{k}×{n}, {left} {right}: {program}"), &values(&cx, got)?, &values(&cx, want)?, error, error).unwrap();
        }
    }
    Ok(())
}

/// Sums over the rows of what loops make: kept or not, several of one loop, of one number a row, and behind a chunk that comes again.
#[test]
fn sums_of_the_rows_of_loops() -> Result<()> {
    let mut rng = Rng(3);
    let mut fused = 0;
    for (dtype, error) in [(DType::F32, 3e-6), (DType::F64, 1e-13)] {
        for (m, n) in [(16, 32), (4096, 16), (5000, 33), (20_000, 48), (50_176, 32), (1000, 1024), (300, 1100), (8192, 3)] {
            let cx = Cx::default();
            let xs = [(m, n), (1, n), (m, 1)].map(|(m, n)| {
                // Far from zero, where digits are lost.
                let values: Vec<f64> = rng.normals(m * n).iter().map(|v| 3.0 + 0.1 * v).collect();
                cx.from_f64(dtype, &values, &[m, n])
            });
            let f = |t: &[Tensor]| -> Result<Vec<Tensor>> {
                let [across, down] = [(1, [1]), (2, [0])].map(|(k, axis)| {
                    let line = cx.reshape(&t[k], &[t[k].size()])?;
                    cx.broadcast(&line, &[m, n], &axis)
                });
                let y = cx.mul(&t[0], &across?)?;
                let z = cx.mul(&cx.add(&y, &down?)?, &t[0])?;
                Ok(vec![
                    cx.reduce_sum(&y, &[0])?,
                    cx.reduce_sum(&cx.one(row("square").unwrap(), [], &[&z])?, &[0])?,
                    cx.reduce_sum(&z, &[0])?,
                    z,
                ])
            };
            let want = f(&xs)?;
            let program = Rc::new(record(&cx, &avals(&xs), f)?);
            let plan = pax_core::plan::text(&cx, &program);
            fused += usize::from(plan.contains("] mul sum"));
            for (got, want) in cx.call(&program, &xs)?.iter().zip(&want) {
                near(&format!("{m}×{n}: {plan}"), &values(&cx, got)?, &values(&cx, want)?, error, 0.0).unwrap();
            }
        }
    }
    // Code makes them; rows of three numbers, of more than it has room for, and small loops are summed by themselves.
    let simd = pax_kernels::tile::Simd::detect();
    assert!(simd < pax_kernels::tile::Simd::Avx2 || fused == 9, "{fused} loops make sums");
    Ok(())
}

/// Convolutions and their gradients by plans, whatever computes them, against the patch matrix of float64; the same bits on any
/// number of threads.
#[test]
fn convolutions() -> Result<()> {
    let (mut rng, mut winograd, mut parts) = (Rng(21), 0, 0);
    let mut sizes: Vec<[usize; 6]> = (0..24)
        .map(|i| [6, 12, 20, 64, 64, if i % 3 == 0 { 5 } else { 3 }].map(|most| rng.int(most as i64 / 2 + 1, most as i64 + 1) as usize))
        .collect();
    sizes.extend([[3, 6, 5, 130, 70, 3], [2, 5, 8, 72, 64, 5], [2, 4, 4, 300, 40, 3]]); // kernels whose gradients are made in parts
    for (i, [n, h, w, c, o, k]) in sizes.into_iter().enumerate() {
        let stride = [[1, 1], [1, 1], [2, 2], [2, 1]][i % 4];
        let list = |a: [usize; 2]| Value::from(a.map(|v| v as i64).as_slice());
        let mut pad = || list([0, 1].map(|_| rng.int(k as i64 / 2, 3) as usize));
        let params = [list(stride), pad(), pad(), list([1, 1]), list([1, 1]), Value::Int(1)];
        let run = |cx: &Cx, name: &str, sizes: Option<[usize; 2]>, a: &Tensor, b: &Tensor| -> Result<Tensor> {
            let (r, params) = (row(name).unwrap(), params.iter().cloned().chain(sizes.map(list)));
            Ok(cx.bind(r, Params::new(r.params, params)?, &[a.clone(), b.clone()])?.swap_remove(0))
        };
        let f = |cx: &Cx, t: &[Tensor]| -> Result<Vec<Tensor>> {
            let y = run(cx, "conv", None, &t[0], &t[1])?;
            let dy = cx.mul(&y, &y)?;
            let dx = run(cx, "conv_input_grad", Some([h, w]), &dy, &t[1])?;
            let dk = run(cx, "conv_kernel_grad", Some([k, k]), &t[0], &dy)?;
            Ok(vec![y, dx, dk])
        };
        let (x, kernel) = (rng.normals(n * h * w * c), rng.normals(k * k * c * o));
        let inputs = |cx: &Cx, dtype| [cx.from_f64(dtype, &x, &[n, h, w, c]), cx.from_f64(dtype, &kernel, &[k, k, c, o])];
        let exact = Cx::default();
        let want = f(&exact, &inputs(&exact, DType::F64))?;
        let mut bits: Option<Vec<Vec<u64>>> = None;
        for threads in [1, 2, 3] {
            let cx = Cx::default();
            cx.set_pool(Rc::new(Threads(threads)));
            let xs = inputs(&cx, DType::F32);
            let program = Rc::new(record(&cx, &avals(&xs), |t| f(&cx, t))?);
            let plan = pax_core::plan::text(&cx, &program);
            winograd += plan.matches("winograd").count();
            parts += plan.matches("in parts").count();
            let got = cx.call(&program, &xs)?.iter().map(|y| values(&cx, y)).collect::<Result<Vec<_>>>()?;
            for (got, want) in got.iter().zip(&want) {
                let want = values(&exact, want)?;
                let most = want.iter().fold(0f64, |a, v| a.max(v.abs()));
                near(&format!("{n}×{h}×{w}×{c} to {o} by {k}, {stride:?}: {program}"), got, &want, 0.0, 3e-6 * most).unwrap();
            }
            let got = got.iter().map(|y| y.iter().map(|v| v.to_bits()).collect()).collect();
            assert_eq!(bits.get_or_insert_with(|| Vec::clone(&got)), &got, "{threads} threads: {program}");
        }
    }
    let simd = pax_kernels::tile::Simd::detect();
    assert!(simd < pax_kernels::tile::Simd::Avx2 || (winograd > 40 && parts >= 9), "{winograd} have fewer products, {parts} are in parts");
    Ok(())
}
