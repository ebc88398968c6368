//! Scans give up what need not be done step by step.
use super::*;

#[test]
fn sums_of_products_leave() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(1);
    for dtype in [DType::F32, DType::F64, DType::I32, DType::BF16] {
        for (n, reverse) in RUNS {
            let xs = [
                draw(&cx, &mut rng, dtype, &[3, 4]),
                draw(&cx, &mut rng, dtype, &[4, 6]),
                draw(&cx, &mut rng, dtype, &[n, 3, 4]),
                draw(&cx, &mut rng, dtype, &[n, 3, 6]),
            ];
            // The sum from zeros and from something, of operands that are scanned, and of one that is not there outside.
            for zeros in [true, false] {
                let p = same(&cx, "products", &xs, |t| {
                    let start = if zeros { cx.zeros_like(&t[1])? } else { t[1].clone() };
                    let outs = scan(&cx, &[t[0].clone(), start, t[2].clone(), t[3].clone()], 2, 2, n, reverse, |s| {
                        let h = cx.sub(&s[2], &s[0])?;
                        Ok(vec![h.clone(), cx.add(&outer(&cx, &h, &s[3])?, &s[1])?])
                    })?;
                    Ok(outs)
                })?;
                let (b, carry, _) = body(&p);
                assert_eq!((carry, count(&b, "dot"), count(&b, "add")), (1, 0, 0), "{p} {b}");
                let dot = find(&p, "dot");
                assert_eq!((dot.params.ints("a_contract")?, dot.params.ints("b_contract")?), (&[0i64, 1][..], &[0i64, 1][..]));
                assert_eq!(count(&p, "add"), usize::from(!zeros));
            }
        }
    }
    Ok(())
}

#[test]
fn sums_of_other_terms() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(2);
    for (n, reverse) in RUNS {
        let xs =
            [draw(&cx, &mut rng, DType::F32, &[3, 4]), draw(&cx, &mut rng, DType::F32, &[n, 3, 4]), draw(&cx, &mut rng, DType::F32, &[4])];
        // A bias, a transposed and scaled product, several terms, what is stacked itself.
        let p = same(&cx, "terms", &xs, |t| {
            let zeros = |s: &[usize]| cx.zeros(s, DType::F32);
            scan(&cx, &[t[0].clone(), zeros(&[4])?, zeros(&[4, 4])?, zeros(&[3, 4])?, t[1].clone(), t[2].clone()], 4, 1, n, reverse, |s| {
                let h = tanh(&cx, &cx.add(&s[0], &s[4])?)?;
                let twice = cx.scale(&cx.transpose(&outer(&cx, &h, &s[4])?, &[1, 0])?, 2.0)?;
                let more = outer(&cx, &s[4], &cx.mul(&s[4], &cx.broadcast(&s[5], &[3, 4], &[1])?)?)?;
                Ok(vec![
                    h.clone(),
                    cx.add(&s[1], &cx.reduce_sum(&h, &[0])?)?,
                    cx.add(&cx.add(&s[2], &twice)?, &more)?,
                    cx.add(&h, &s[3])?,
                    h,
                ])
            })
        })?;
        let (b, carry, _) = body(&p);
        assert_eq!((carry, count(&b, "dot"), count(&b, "reduce_sum")), (1, 0, 0), "{p} {b}");
        // Rows added up at indices.
        let table = [
            draw(&cx, &mut rng, DType::F32, &[7, 4]),
            cx.from_f64(DType::I32, &(0..n * 3).map(|_| rng.int(-9, 12) as f64).collect::<Vec<_>>(), &[n, 3]),
            xs[1].clone(),
        ];
        for outside in [CLAMP, DROP] {
            let p = same(&cx, "rows", &table, |t| {
                let zeros = cx.zeros(&[7, 4], DType::F32)?;
                scan(&cx, &[zeros, t[1].clone(), t[2].clone()], 1, 2, n, reverse, |s| {
                    let zeros = cx.zeros(&[7, 4], DType::F32)?;
                    Ok(vec![cx.add(&s[0], &cx.scatter_add(&zeros, &s[1], &cx.square(&s[2])?, Place { axis: 0, batch: 0, outside })?)?])
                })
            })?;
            assert_eq!((count(&p, "scatter"), count(&body(&p).0, "scatter")), (1, 0), "{p}");
        }
    }
    Ok(())
}

#[test]
fn sums_that_stay() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(3);
    let n = 4;
    let xs = [draw(&cx, &mut rng, DType::F32, &[4, 4]), draw(&cx, &mut rng, DType::F32, &[n, 3, 4])];
    type Step<'a> = &'a dyn Fn(&Tensor, &Tensor) -> Result<Vec<Tensor>>;
    let cases: [(&str, Step); 3] = [
        ("a step's sum is read", &|c, x| {
            let y = cx.add(c, &outer(&cx, x, x)?)?;
            Ok(vec![y.clone(), y])
        }),
        ("the carry is read", &|c, x| Ok(vec![cx.add(c, &outer(&cx, &product(&cx, x, c)?, x)?)?])),
        ("it shrinks", &|c, x| Ok(vec![cx.scale(&cx.add(c, &outer(&cx, x, x)?)?, 0.5)?])),
    ];
    for (what, f) in cases {
        let p = same(&cx, what, &xs, |t| scan(&cx, t, 1, 1, n, false, |s| f(&s[0], &s[1])))?;
        let (b, carry, _) = body(&p);
        assert!(carry == 1 && count(&b, "dot") > 0, "{what}: {p} {b}");
    }
    // Long operands of a small product would have to be stacked.
    let xs = [draw(&cx, &mut rng, DType::F32, &[]), draw(&cx, &mut rng, DType::F32, &[n, 100])];
    let p = same(&cx, "long", &xs, |t| {
        scan(&cx, t, 1, 1, n, false, |s| {
            let y = tanh(&cx, &s[1])?;
            Ok(vec![cx.add(&s[0], &outer(&cx, &y, &y)?)?])
        })
    })?;
    assert_eq!(count(&body(&p).0, "dot"), 1, "{p}");
    // A sum of which one term cannot go keeps that.
    let xs = [draw(&cx, &mut rng, DType::F32, &[4, 4]), draw(&cx, &mut rng, DType::F32, &[n, 3, 4])];
    let p = same(&cx, "in part", &xs, |t| {
        scan(&cx, t, 1, 1, n, false, |s| {
            let y = tanh(&cx, &cx.broadcast(&cx.reduce_sum(&s[1], &[0, 1])?, &[4, 4], &[])?)?;
            Ok(vec![cx.add(&cx.add(&s[0], &y)?, &outer(&cx, &s[1], &s[1])?)?])
        })
    })?;
    let (b, carry, _) = body(&p);
    assert_eq!((carry, count(&b, "dot"), count(&b, "add"), count(&p, "dot")), (1, 0, 1, 1), "{p} {b}");
    Ok(())
}

#[test]
fn what_all_steps_compute_leaves() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(4);
    for (n, reverse) in RUNS {
        let xs = [
            draw(&cx, &mut rng, DType::F32, &[3, 4]),
            draw(&cx, &mut rng, DType::F32, &[n, 3, 4]),
            draw(&cx, &mut rng, DType::F32, &[4, 4]),
        ];
        let p = same(&cx, "invariant", &xs, |t| {
            scan(&cx, t, 1, 1, n, reverse, |s| {
                let w = cx.transpose(&tanh(&cx, &product(&cx, &s[2], &s[2])?)?, &[1, 0])?;
                let h = cx.add(&product(&cx, &s[0], &w)?, &s[1])?;
                Ok(vec![h, w])
            })
        })?;
        let (b, ..) = body(&p);
        let gone = n > 1;
        assert_eq!((count(&b, "tanh"), count(&b, "dot"), count(&p, "tanh")), if gone { (0, 1, 1) } else { (1, 2, 0) }, "{p} {b}");
        if gone {
            assert_eq!(b.outputs.len(), 1, "a result that is the same in every step is stacked: {p}");
        }
    }
    Ok(())
}

#[test]
fn products_of_slices_leave() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(5);
    for (n, reverse) in RUNS {
        let ids = cx.from_f64(DType::I32, &(0..n * 3).map(|_| rng.int(-4, 9) as f64).collect::<Vec<_>>(), &[n, 3]);
        let xs = [
            draw(&cx, &mut rng, DType::F64, &[3, 6]),
            draw(&cx, &mut rng, DType::F64, &[n, 3, 4]),
            ids,
            draw(&cx, &mut rng, DType::F64, &[4, 6]),
            draw(&cx, &mut rng, DType::F64, &[6, 6]),
        ];
        let p = same(&cx, "slices", &xs, |t| {
            scan(&cx, t, 1, 2, n, reverse, |s| {
                let own = cx.gather(&s[4], &s[2], Place { axis: 0, batch: 0, outside: CLAMP })?;
                let x = cx.add(&product(&cx, &cx.scale(&s[1], 3.0)?, &s[3])?, &product(&cx, &own, &s[4])?)?;
                Ok(vec![tanh(&cx, &cx.add(&product(&cx, &s[0], &s[4])?, &x)?)?])
            })
        })?;
        assert_eq!((count(&body(&p).0, "dot"), count(&p, "dot")), if n > 1 { (1, 2) } else { (3, 0) }, "{p}");
    }
    // A small slice whose product is huge stays.
    let xs =
        [draw(&cx, &mut rng, DType::F32, &[]), draw(&cx, &mut rng, DType::F32, &[64, 1]), draw(&cx, &mut rng, DType::F32, &[1, 100_000])];
    let p = same(&cx, "huge", &xs, |t| {
        scan(&cx, t, 1, 1, 64, false, |s| {
            Ok(vec![cx.add(&s[0], &cx.one(row("reduce_max").unwrap(), [[0i64].into()], &[&product(&cx, &s[1], &s[2])?])?)?])
        })
    })?;
    assert_eq!(count(&body(&p).0, "dot"), 1, "{p}");
    Ok(())
}

#[test]
fn what_nobody_reads_is_dropped() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(6);
    for (n, reverse) in RUNS {
        let xs = [
            draw(&cx, &mut rng, DType::F32, &[4]),
            draw(&cx, &mut rng, DType::F32, &[4]),
            draw(&cx, &mut rng, DType::F32, &[n, 4]),
            draw(&cx, &mut rng, DType::F32, &[n, 4]),
        ];
        // Of two carries and five stacked results: the second carry is read by itself only, results stand twice or are operands.
        let p = same(&cx, "dead", &xs, |t| {
            let outs = scan(&cx, t, 2, 2, n, reverse, |s| {
                let h = tanh(&cx, &cx.add(&s[0], &s[2])?)?;
                let other = cx.mul(&s[1], &s[3])?;
                Ok(vec![h.clone(), other.clone(), h.clone(), cx.square(&other)?, h.clone(), s[2].clone(), other])
            })?;
            Ok(vec![outs[2].clone(), outs[4].clone(), outs[5].clone()])
        })?;
        let (b, carry, scanned) = body(&p);
        assert_eq!((carry, scanned, b.outputs.len(), b.equations.len()), (1, 1, 2, 2), "{p} {b}");
        // A carry that no step changes, slices that are all the same, a constant.
        let p = same(&cx, "still", &xs, |t| {
            let all = cx.broadcast(&t[0], &[n, 4], &[1])?;
            let outs = scan(&cx, &[t[0].clone(), t[1].clone(), all, t[2].clone()], 2, 2, n, reverse, |s| {
                Ok(vec![cx.mul(&cx.add(&s[0], &s[3])?, &tanh(&cx, &cx.add(&s[1], &s[2])?)?)?, s[1].clone()])
            })?;
            Ok(outs)
        })?;
        let (b, carry, scanned) = body(&p);
        assert_eq!((carry, scanned, count(&b, "tanh")), (1, 1, usize::from(n < 2)), "{p} {b}");
    }
    Ok(())
}

#[test]
fn products_of_results_leave() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(11);
    for (n, reverse) in RUNS {
        let xs = [
            draw(&cx, &mut rng, DType::F64, &[3, 4]),
            draw(&cx, &mut rng, DType::F64, &[n, 3, 4]),
            draw(&cx, &mut rng, DType::F64, &[4, 4]),
            draw(&cx, &mut rng, DType::F64, &[4, 5]),
            draw(&cx, &mut rng, DType::F64, &[5]),
        ];
        // A head inside the scan, one on top of it, and one whose result the next step reads.
        let p = same(&cx, "head", &xs, |t| {
            scan(&cx, t, 1, 1, n, reverse, |s| {
                let h = tanh(&cx, &cx.add(&product(&cx, &s[0], &s[2])?, &s[1])?)?;
                let logits = cx.add(&product(&cx, &h, &s[3])?, &cx.broadcast(&s[4], &[3, 5], &[1])?)?;
                let more = cx.dot(&s[3], &logits, [&[], &[]], [&[1], &[1]])?;
                Ok(vec![h, logits, more])
            })
        })?;
        assert_eq!((count(&body(&p).0, "dot"), count(&p, "dot")), if n > 1 { (1, 2) } else { (3, 0) }, "{p} {}", body(&p).0);
    }
    Ok(())
}

/// A gradient through a scan that multiplies its own slices, as user code makes it.
#[test]
fn gradients() -> Result<()> {
    let cx = Cx::default();
    let mut rng = Rng(9);
    for (n, reverse) in RUNS {
        let ids = cx.from_f64(DType::I32, &(0..n * 8).map(|_| rng.int(0, 5) as f64).collect::<Vec<_>>(), &[n, 8]);
        let f = DType::F64;
        let xs = [
            draw(&cx, &mut rng, f, &[5, 16]),
            draw(&cx, &mut rng, f, &[16, 16]),
            draw(&cx, &mut rng, f, &[16, 16]),
            draw(&cx, &mut rng, f, &[16]),
            draw(&cx, &mut rng, f, &[8, 16]),
            ids,
        ];
        let loss = |cx: &Cx, t: &[Tensor]| -> Result<Vec<Tensor>> {
            let outs = scan(cx, &[t[4].clone(), t[5].clone()], 1, 1, n, reverse, |s| {
                let x = product(cx, &cx.gather(&t[0], &s[1], Place { axis: 0, batch: 0, outside: CLAMP })?, &t[1])?;
                let z = cx.add(&cx.add(&x, &product(cx, &s[0], &t[2])?)?, &cx.broadcast(&t[3], &[8, 16], &[1])?)?;
                let h = tanh(cx, &z)?;
                Ok(vec![h.clone(), h])
            })?;
            Ok(vec![cx.reduce_sum(&cx.square(&outs[1])?, &[0, 1, 2])?])
        };
        let p =
            same(&cx, "gradient", &xs, |t| support::vjp(&cx, t, &[0, 1, 2, 3, 4], &[Some(cx.full(&[], f, 1.0)?)], |cx, t| loss(cx, t)))?;
        if n == 0 {
            continue;
        }
        let back = p.equations.iter().rfind(|e| e.row.name == "scan").unwrap();
        assert_eq!(back.params.int("carry")?, 1, "only the state's cotangent is carried: {p}");
        let b = back.params.program("program")?;
        if n > 1 {
            assert_eq!((count(b, "dot"), count(b, "scatter"), count(b, "reduce_sum")), (1, 0, 0), "{b}");
        }
    }
    Ok(())
}

/// Random bodies over square matrices.
#[test]
fn random_scans() -> Result<()> {
    for seed in 0..300 {
        let cx = Cx::default();
        let mut rng = Rng(seed * 11 + 5);
        let (carry, scanned, fixed) = (rng.int(0, 4) as usize, rng.int(0, 3) as usize, rng.int(0, 3) as usize);
        let (n, reverse) = (rng.int(0, 5) as usize, rng.int(0, 2) == 0);
        let dtype = if seed % 3 == 0 { DType::I32 } else { DType::F64 };
        let xs: Vec<Tensor> = (0..carry + scanned + fixed)
            .map(|i| {
                if (carry..carry + scanned).contains(&i) {
                    draw(&cx, &mut rng, dtype, &[n, 3, 3])
                } else {
                    draw(&cx, &mut rng, dtype, &[3, 3])
                }
            })
            .collect();
        let seed = rng.bits();
        same(&cx, "random", &xs, |t| {
            let mut rng = Rng(seed);
            let mut xs = t.to_vec();
            for x in &mut xs[..carry] {
                if rng.int(0, 2) == 0 {
                    *x = cx.zeros_like(x)?;
                }
            }
            let inner = rng.bits();
            let outs = scan(&cx, &xs, carry, scanned, n, reverse, |s| {
                let mut rng = Rng(inner);
                let mut pool = s.to_vec();
                pool.push(cx.full(&[3, 3], dtype, rng.int(0, 2) as f64)?);
                let next = |rng: &mut Rng, pool: &[Tensor]| -> Result<Tensor> {
                    let (x, y) =
                        (pool[rng.int(0, pool.len() as i64) as usize].clone(), pool[rng.int(0, pool.len() as i64) as usize].clone());
                    let small = |x: &Tensor| if dtype.is_float() { tanh(&cx, x) } else { Ok(x.clone()) };
                    match rng.int(0, 9) {
                        0 | 1 => cx.add(&x, &y),
                        2 => cx.sub(&x, &y),
                        3 => cx.mul(&small(&x)?, &small(&y)?),
                        4 | 5 => product(&cx, &small(&x)?, &small(&y)?),
                        6 => cx.transpose(&x, &[1, 0]),
                        7 => cx.broadcast(&cx.reduce_sum(&small(&x)?, &[0])?, &[3, 3], &[1]),
                        _ => cx.scale(&x, 2.0),
                    }
                };
                for _ in 0..rng.int(1, 12) {
                    let t = next(&mut rng, &pool)?;
                    pool.push(t);
                }
                let mut outs = Vec::new();
                for c in &s[..carry] {
                    let x = pool[rng.int(0, pool.len() as i64) as usize].clone();
                    outs.push(match rng.int(0, 4) {
                        0 => c.clone(),
                        1 if dtype.is_float() => tanh(&cx, &x)?,
                        _ => cx.add(c, &x)?,
                    });
                }
                for _ in 0..rng.int(0, 4) {
                    outs.push(pool[rng.int(0, pool.len() as i64) as usize].clone());
                }
                Ok(outs)
            })?;
            Ok(outs.into_iter().filter(|_| rng.int(0, 3) > 0).collect())
        })?;
    }
    Ok(())
}
