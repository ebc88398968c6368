//! What the tests share: drawn inputs, layouts, tolerances, reports of all failures at once.
#![allow(dead_code)]
use std::panic::{catch_unwind, AssertUnwindSafe};

use pax_core::array::row_major;
use pax_core::level::Mode;
use pax_core::ops::samples::Layout;
use pax_core::ops::{table, Domain, Input, Sample};
use pax_core::{walk, Array, Aval, Cx, DType, Params, Program, Result, Row, Tensor};

/// splitmix64: the tests' own numbers, the same on every machine.
pub struct Rng(pub u64);
impl Rng {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    pub fn uniform(&mut self, lo: f64, hi: f64) -> f64 {
        lo + (hi - lo) * ((self.bits() >> 11) as f64 / (1u64 << 53) as f64)
    }
    pub fn int(&mut self, lo: i64, hi: i64) -> i64 {
        if hi <= lo {
            lo
        } else {
            lo + (self.bits() % (hi - lo) as u64) as i64
        }
    }
    pub fn normals(&mut self, n: usize) -> Vec<f64> {
        (0..n)
            .map(|_| {
                let x = self.uniform(-1.0, 1.0);
                x + 0.25f64.copysign(x)
            })
            .collect()
    }
}

/// The dtypes that an input's domain stands for; the first is the one that derivatives are checked in.
pub fn dtypes(domain: Domain) -> Vec<DType> {
    match domain {
        Domain::Range(..) => vec![DType::F64, DType::F32, DType::BF16, DType::F16, DType::I32, DType::U8, DType::I64, DType::U32],
        Domain::Index(..) => vec![DType::I32],
        Domain::Integer(lo, hi) => [DType::I32, DType::I64, DType::U8, DType::U32]
            .into_iter()
            .filter(|d| d.int_range().is_some_and(|r| r.0 <= lo && hi - 1 <= r.1))
            .collect(),
        Domain::Bool => vec![DType::Bool],
        Domain::Bits => vec![DType::U32],
    }
}

/// The dtypes a sample is run in: one for all its `Range` inputs together, one for all its `Integer` inputs.
pub fn runs(sample: &Sample) -> Vec<Vec<DType>> {
    let choices = |want: fn(&Domain) -> bool| -> Vec<Option<DType>> {
        let of: Vec<Vec<DType>> = sample.inputs.iter().filter(|i| want(&i.domain)).map(|i| dtypes(i.domain)).collect();
        match of.first() {
            None => vec![None],
            Some(first) => first.iter().filter(|d| of.iter().all(|o| o.contains(d))).map(|&d| Some(d)).collect(),
        }
    };
    let (ranges, integers) = (choices(|d| matches!(d, Domain::Range(..))), choices(|d| matches!(d, Domain::Integer(..))));
    let mut out = Vec::new();
    for r in &ranges {
        for i in &integers {
            out.push(
                sample
                    .inputs
                    .iter()
                    .map(|x| match x.domain {
                        Domain::Range(..) => r.unwrap_or(DType::F64),
                        Domain::Integer(..) => i.unwrap_or(DType::I32),
                        d => dtypes(d)[0],
                    })
                    .collect(),
            );
        }
    }
    out
}

/// Values of an input. With `coarse` they are bfloat16's, so that every float dtype sees the same ones.
pub fn draw(rng: &mut Rng, input: &Input, dtype: DType, shape: &[usize], coarse: bool) -> Vec<f64> {
    let n: usize = shape.iter().product();
    (0..n)
        .map(|_| match input.domain {
            Domain::Range(lo, hi) => {
                let margin = (hi - lo) * 1e-3;
                let mut x = rng.uniform(lo + margin, hi - margin);
                if coarse {
                    for _ in 0..64 {
                        let c = half::bf16::from_f64(x).to_f64();
                        if c > lo && c < hi {
                            x = c;
                            break;
                        }
                        x = rng.uniform(lo + margin, hi - margin);
                    }
                }
                match dtype.int_range() {
                    Some(r) => x.round().clamp(r.0 as f64, r.1 as f64),
                    None => x,
                }
            }
            Domain::Index(lo, hi) | Domain::Integer(lo, hi) => rng.int(lo, hi) as f64,
            Domain::Bool => (rng.bits() & 1) as f64,
            Domain::Bits => (rng.bits() >> 32) as f64,
        })
        .collect()
}

/// A contiguous tensor of values.
pub fn tensor(cx: &Cx, dtype: DType, values: &[f64], shape: &[usize]) -> Tensor {
    cx.from_f64(dtype, values, shape)
}

pub fn values(cx: &Cx, t: &Tensor) -> Result<Vec<f64>> {
    cx.array(t)?.to_f64()
}

/// The same values with axes reversed in memory.
pub fn transposed(cx: &Cx, dtype: DType, values: &[f64], shape: &[usize]) -> Result<Array> {
    let back: Vec<usize> = shape.iter().rev().copied().collect();
    let strides: Vec<isize> = row_major(&back).iter().rev().copied().collect();
    scattered(cx, dtype, values, shape, &strides, 0, values.len())
}

/// The same values backwards in memory, every second element, after an offset.
pub fn reversed(cx: &Cx, dtype: DType, values: &[f64], shape: &[usize]) -> Result<Array> {
    let strides: Vec<isize> = row_major(shape).iter().map(|s| -2 * s).collect();
    let n = values.len();
    scattered(cx, dtype, values, shape, &strides, if n == 0 { 0 } else { 2 * n + 1 }, 2 * n + 4)
}

/// Each of `values` repeated along the last axis by a stride of 0.
pub fn repeated(cx: &Cx, dtype: DType, values: &[f64], shape: &[usize]) -> Result<Array> {
    let short = &shape[..shape.len() - 1];
    let strides: Vec<isize> = row_major(short).iter().copied().chain([0]).collect();
    Ok(cx.array(&tensor(cx, dtype, values, short))?.view(shape, &strides, 0))
}

fn scattered(cx: &Cx, dtype: DType, values: &[f64], shape: &[usize], strides: &[isize], offset: usize, room: usize) -> Result<Array> {
    // What lies between the elements must not be read: it is 1, and a wrong read shows.
    let mut memory = vec![1.0; room];
    let mut index = vec![0usize; shape.len()];
    for &v in values {
        let at = offset as isize + index.iter().zip(strides).map(|(&i, s)| i as isize * s).sum::<isize>();
        memory[at as usize] = v;
        for d in (0..shape.len()).rev() {
            index[d] += 1;
            if index[d] < shape[d] {
                break;
            }
            index[d] = 0;
        }
    }
    let flat = cx.array(&tensor(cx, dtype, &memory, &[room]))?;
    Ok(flat.view(shape, strides, offset))
}

/// An input as its sample lays it out.
pub fn lay(cx: &Cx, rng: &mut Rng, input: &Input, dtype: DType, coarse: bool) -> Result<Tensor> {
    let shape = &input.shape;
    let array = match input.layout {
        Layout::Plain => return Ok(tensor(cx, dtype, &draw(rng, input, dtype, shape, coarse), shape)),
        Layout::Transposed => transposed(cx, dtype, &draw(rng, input, dtype, shape, coarse), shape)?,
        Layout::Broadcast => {
            let inner = shape.get(1..).unwrap_or(&[]);
            let a = cx.array(&tensor(cx, dtype, &draw(rng, input, dtype, inner, coarse), inner))?;
            let strides: Vec<isize> = shape.iter().take(1).map(|_| 0).chain(a.strides.iter().copied()).collect();
            a.view(shape, &strides, 0)
        }
    };
    Ok(cx.make(array, false))
}

/// One sample of one row, ready to run.
pub struct Case {
    pub row: &'static Row,
    pub index: usize,
    pub sample: Sample,
    pub params: Params,
    pub seed: u64,
}

impl Case {
    pub fn rng(&self) -> Rng {
        Rng(self.seed)
    }
    pub fn inputs(&self, cx: &Cx, dtypes: &[DType], coarse: bool) -> Result<Vec<Tensor>> {
        let mut rng = self.rng();
        self.sample.inputs.iter().zip(dtypes).map(|(i, &d)| lay(cx, &mut rng, i, d, coarse)).collect()
    }
    pub fn accepts(&self, xs: &[Tensor]) -> Result<Vec<Aval>> {
        let avals: Vec<&Aval> = xs.iter().map(|t| t.aval()).collect();
        (self.row.shape)(&avals, &self.params).map(|a| a.to_vec())
    }
    pub fn bind(&self, cx: &Cx, xs: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(cx.bind(self.row, self.params.clone(), xs)?.into_vec())
    }
    /// The dtypes of the first run that the row accepts.
    pub fn main(&self, cx: &Cx) -> Result<Vec<Tensor>> {
        let mut first = None;
        for d in runs(&self.sample) {
            let xs = self.inputs(cx, &d, false)?;
            match self.accepts(&xs) {
                Ok(_) => return Ok(xs),
                Err(e) => {
                    first.get_or_insert(e);
                }
            }
        }
        Err(first.unwrap_or_else(|| pax_core::Error::internal("a sample without dtypes")))
    }
    /// Inputs in float64 and which of them are floats; `None` where the row is not checked with differences.
    pub fn smooth(&self, cx: &Cx) -> Result<Option<(Vec<Tensor>, Vec<usize>)>> {
        if !self.sample.smooth {
            return Ok(None);
        }
        let xs = self.main(cx)?;
        let floats: Vec<usize> = (0..xs.len()).filter(|&i| xs[i].dtype() == DType::F64).collect();
        let result = self.accepts(&xs)?.iter().any(|a| a.dtype == DType::F64);
        Ok((result && !floats.is_empty()).then_some((xs, floats)))
    }
    /// Records the row on abstract inputs of these shapes.
    pub fn record(&self, cx: &Cx, xs: &[Tensor]) -> Result<Program> {
        record(cx, &avals(xs), |ts| self.bind(cx, ts))
    }
}

/// Shapes and dtypes of tensors.
pub fn avals(xs: &[Tensor]) -> Vec<Aval> {
    xs.iter().map(|t| t.aval().clone()).collect()
}
/// What `f` does on inputs of these shapes.
pub fn record(cx: &Cx, avals: &[Aval], f: impl Fn(&[Tensor]) -> Result<Vec<Tensor>>) -> Result<Program> {
    let depth = cx.depth();
    let ts = cx.begin_abstract(avals);
    f(&ts).and_then(|outs| cx.end_abstract(&outs)).inspect_err(|_| cx.unwind(depth))
}

/// Every sample of every row.
pub fn cases() -> Vec<Case> {
    let mut out = Vec::new();
    for &row in table() {
        for (index, sample) in (row.samples)().into_iter().enumerate() {
            let name: u64 = row.name.bytes().fold(0u64, |h, b| h.wrapping_mul(31).wrapping_add(b as u64));
            let params = match Params::new(row.params, sample.params.clone()) {
                Ok(p) => p,
                Err(e) => panic!("{} sample {index}: {e}", row.name),
            };
            out.push(Case { row, index, params, seed: name.wrapping_mul(1009).wrapping_add(index as u64), sample });
        }
    }
    out
}

/// Runs a check on every sample and reports all that fail, panics included.
pub fn every(check: impl Fn(&Cx, &Case) -> std::result::Result<(), String>) {
    let (mut failures, mut n) = (Vec::new(), 0);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for case in cases() {
        n += 1;
        let cx = Cx::default();
        let why = match catch_unwind(AssertUnwindSafe(|| check(&cx, &case))) {
            Ok(Ok(())) => continue,
            Ok(Err(e)) => e,
            Err(p) => format!(
                "panicked: {}",
                p.downcast_ref::<String>().cloned().or_else(|| p.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or_default()
            ),
        };
        let inputs: Vec<String> = case.sample.inputs.iter().map(|i| format!("{:?}{:?} {:?}", i.shape, i.layout, i.domain)).collect();
        failures.push(format!("{} sample {} ({}; {:?}): {why}", case.row.name, case.index, inputs.join(", "), case.params.values()));
    }
    std::panic::set_hook(hook);
    assert!(failures.is_empty(), "{} of {n} samples failed:\n{}", failures.len(), failures.join("\n"));
}

/// `|a - b| <= rtol * |b| + atol`, NaN equal to NaN; says where not.
pub fn near(what: &str, got: &[f64], want: &[f64], rtol: f64, atol: f64) -> std::result::Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("{what}: {} elements, want {}", got.len(), want.len()));
    }
    for (i, (&a, &b)) in got.iter().zip(want).enumerate() {
        let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= rtol * b.abs() + atol;
        if !same {
            return Err(format!("{what}: element {i} is {a}, want {b}"));
        }
    }
    Ok(())
}

pub fn largest(x: &[f64]) -> f64 {
    x.iter().filter(|v| v.is_finite()).fold(0.0, |m, v| m.max(v.abs()))
}
pub fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
pub fn text<T>(r: Result<T>, what: &str) -> std::result::Result<T, String> {
    r.map_err(|e| format!("{what}: {e}"))
}

/// Differentiates `f` at `xs` with respect to `wrt`, on a level of its own.
pub fn tape(
    cx: &Cx,
    xs: &[Tensor],
    wrt: &[usize],
    f: impl Fn(&Cx, &[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<(Vec<Tensor>, pax_core::level::Tape)> {
    let depth = cx.depth();
    let active = cx.begin(Mode::Diff, &wrt.iter().map(|&i| xs[i].clone()).collect::<Vec<_>>())?;
    let mut args = xs.to_vec();
    for (&i, t) in wrt.iter().zip(active) {
        args[i] = t;
    }
    let made = f(cx, &args).and_then(|outs| {
        let t = cx.end_diff(&outs)?;
        Ok((outs, t))
    });
    made.inspect_err(|_| cx.unwind(depth))
}

/// The vjp of `f` at `xs`; zeros where a cotangent is `None`.
pub fn vjp(
    cx: &Cx,
    xs: &[Tensor],
    wrt: &[usize],
    cts: &[Option<Tensor>],
    f: impl Fn(&Cx, &[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    let (_, mut tape) = tape(cx, xs, wrt, f)?;
    let grads = walk::pull(cx, &mut tape, cts, true)?;
    grads
        .into_iter()
        .zip(wrt)
        .map(|(g, &i)| match g {
            Some(g) => Ok(g),
            None => cx.zeros_like(&xs[i]),
        })
        .collect()
}

/// `sum(a * b)` as a scalar tensor.
pub fn dot(cx: &Cx, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let y = cx.mul(a, b)?;
    cx.reduce_sum(&y, &(0..y.ndim()).collect::<Vec<_>>())
}

/// A pool of so many threads, each of which takes the next chunk.
pub struct Threads(pub usize);
impl pax_core::exec::Pool for Threads {
    fn run(&self, chunks: usize, f: &(dyn Fn(usize) + Sync)) {
        let next = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|s| {
            for _ in 0..self.0 {
                s.spawn(|| loop {
                    let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if i >= chunks {
                        break;
                    }
                    f(i);
                });
            }
        });
    }
}
