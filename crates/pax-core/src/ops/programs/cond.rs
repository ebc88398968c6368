//! One of two programs, chosen by a value.
use std::ops::Range;
use std::rc::Rc;

use crate::ops::programs::{back, fits, part, read, results, run, shared, wanted};
use crate::ops::samples::{program, Domain, Input, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Flagged, Grads, Jvp, Lift, Owner, Pull, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::program::{Back, Source};
use crate::walk::{self, batch::recorded};
use crate::{Array, Aval, Cx, DType, Error, Params, Program, Result, Tensor, Value};

/// Both programs and how many operands they share.
struct Arms<'a> {
    then: &'a Rc<Program>,
    otherwise: &'a Rc<Program>,
    shared: usize,
}

fn arms(params: &Params, operands: usize) -> Result<Arms<'_>> {
    let (then, otherwise) = (params.program("then")?, params.program("otherwise")?);
    Ok(Arms { then, otherwise, shared: shared(operands - 1, then, otherwise)? })
}

impl Arms<'_> {
    fn of<T: Clone>(&self, xs: &[T], second: bool) -> Vec<T> {
        part(xs, self.shared, if second { self.otherwise } else { self.then }, second)
    }
    /// Puts what belongs to operands of one program at their places among all operands.
    fn places(&self, operands: usize, second: bool) -> Vec<usize> {
        self.of(&(0..operands).collect::<Vec<_>>(), second)
    }
}

fn params(then: Rc<Program>, otherwise: Rc<Program>) -> Result<Params> {
    Params::new(COND.params, [Value::Program(then), Value::Program(otherwise)])
}

fn shape(xs: &[&Aval], params: &Params) -> Result<Avals> {
    if xs[0].dtype != DType::Bool || xs[0].ndim() != 0 {
        return Err(Error::shape(format!("the condition is a bool scalar, got {}", xs[0])));
    }
    let a = arms(params, xs.len())?;
    let (y, z) = (fits(&a.of(&xs[1..], false), a.then)?, fits(&a.of(&xs[1..], true), a.otherwise)?);
    if y.len() != z.len() || y.iter().zip(&z).any(|(y, z)| y.shape != z.shape || y.dtype != z.dtype) {
        return Err(Error::shape("the two functions give other shapes or dtypes"));
    }
    Ok(y.into_iter().zip(z).map(|(y, z)| Aval { weak: y.weak && z.weak, ..y }).collect())
}

fn eval(cx: &Cx, params: &Params, xs: Vec<Array>) -> Result<Arrays> {
    let a = arms(params, xs.len())?;
    let second = !truth(&xs[0])?;
    run(cx, if second { a.otherwise } else { a.then }, a.of(&xs[1..], second).into_iter())
}

/// The value of a bool scalar.
pub(super) fn truth(x: &Array) -> Result<bool> {
    Ok(x.to_slice::<u8>()?.first().is_some_and(|&b| b != 0))
}

/// Both forward halves give the residuals of both; of the one not taken they are zeros, which cost nothing.
fn forward(cx: &Cx, p: &Params, active: &[bool]) -> Result<Params> {
    let a = arms(p, active.len())?;
    let operands = active.len() - 1;
    let halves = [walk::halves(cx, a.then, &a.of(&active[1..], false))?, walk::halves(cx, a.otherwise, &a.of(&active[1..], true))?];
    let n = halves[0].results;
    let own: Vec<Vec<Aval>> = halves.iter().map(|h| results(&h.forward)[n..].to_vec()).collect();
    let zeros = |avals: &[Aval]| avals.iter().map(|a| cx.zeros(&a.shape, a.dtype)).collect::<Result<Vec<_>>>();
    let mut programs = Vec::new();
    for (k, h) in halves.iter().enumerate() {
        let avals: Vec<Aval> = h.forward.inputs.iter().map(|&v| h.forward.aval(v).clone()).collect();
        programs.push(
            recorded(cx, &avals, |ts| {
                let mut outs = walk::inline(cx, &h.forward, ts.to_vec())?;
                if k == 0 {
                    outs.extend(zeros(&own[1])?)
                } else {
                    let mine = outs.split_off(n);
                    outs.extend(zeros(&own[0])?);
                    outs.extend(mine)
                }
                Ok(outs.into_iter().map(|t| (t, ())).collect())
            })?
            .0,
        );
    }
    // Backward both take the condition's operands by what either reads, and give cotangents of what either has.
    let places = [a.places(operands, false), a.places(operands, true)];
    let source = |k: usize, s: Source| match s {
        Source::Operand(i) => Source::Operand(1 + places[k][i]),
        Source::Result(i) if i < n || k == 0 => Source::Result(i),
        Source::Result(i) => Source::Result(i + own[0].len()),
    };
    let mut reads: Vec<Source> = Vec::new();
    for (k, h) in halves.iter().enumerate() {
        for &s in &h.reads {
            let s = source(k, s);
            if !reads.contains(&s) {
                reads.push(s);
            }
        }
    }
    let live: Vec<usize> = (0..n).filter(|i| halves.iter().any(|h| h.live.contains(i))).collect();
    let given: Vec<usize> =
        (0..operands).filter(|i| (0..2).any(|k| places[k].iter().zip(&halves[k].wrt).any(|(p, w)| p == i && w.is_some()))).collect();
    let read_aval = |s: &Source| -> Aval {
        for (k, h) in halves.iter().enumerate() {
            for &t in &h.reads {
                if source(k, t) == *s {
                    return match t {
                        Source::Operand(i) => h.forward.aval(h.forward.inputs[i]),
                        Source::Result(i) => h.forward.aval(h.forward.outputs[i]),
                    }
                    .clone();
                }
            }
        }
        Aval::new(&[], DType::F32)
    };
    let outs = results(&halves[0].forward);
    let avals: Vec<Aval> = reads.iter().map(read_aval).chain(live.iter().map(|&i| outs[i].clone())).collect();
    let aval_of = |i: usize| -> Option<Aval> {
        (0..2).find_map(|k| places[k].iter().position(|&p| p == i).map(|at| halves[k].forward.aval(halves[k].forward.inputs[at]).clone()))
    };
    let mut backs = Vec::new();
    for (k, h) in halves.iter().enumerate() {
        backs.push(
            recorded(cx, &avals, |ts| {
                let at = |s: Source| {
                    reads
                        .iter()
                        .position(|&r| r == s)
                        .map(|i| ts[i].clone())
                        .ok_or_else(|| Error::internal("a branch reads what is not kept"))
                };
                let mut args = h.reads.iter().map(|&s| at(source(k, s))).collect::<Result<Vec<_>>>()?;
                for i in &h.live {
                    if let Some(c) = live.iter().position(|l| l == i) {
                        args.push(ts[reads.len() + c].clone());
                    }
                }
                let grads = walk::inline(cx, &h.back, args)?;
                given
                    .iter()
                    .map(|&i| {
                        let own = places[k].iter().zip(&h.wrt).find_map(|(&p, w)| if p == i { *w } else { None });
                        match (own, aval_of(i)) {
                            (Some(w), _) => Ok((grads[w].clone(), ())),
                            (None, Some(a)) => Ok((cx.zeros(&a.shape, a.dtype)?, ())),
                            (None, None) => Err(Error::internal("a branch has an operand without a shape")),
                        }
                    })
                    .collect()
            })?
            .0,
        );
    }
    let mut wrt = vec![None; active.len()];
    for (k, &i) in given.iter().enumerate() {
        wrt[1 + i] = Some(k);
    }
    let mut backs = backs.into_iter();
    let mut programs = programs.into_iter();
    let mut finish = |reads: Vec<Source>, wrt: Vec<Option<usize>>, padding: Range<usize>| -> Result<Rc<Program>> {
        let (Some(program), Some(back)) = (programs.next().and_then(Rc::into_inner), backs.next()) else {
            return Err(Error::internal("a branch is shared"));
        };
        Ok(Rc::new(Program { back: Some(Back { program: back, reads, live: live.clone(), wrt, fixed: None }), padding, ..program }))
    };
    // The condition is read too.
    let mut all = reads.clone();
    all.push(Source::Operand(0));
    let (first, second) = (n + own[0].len(), own[1].len());
    params(finish(reads, wrt.clone(), first..first + second)?, finish(all, wrt, n..first)?)
}

fn vjp(p: &Pull) -> Result<Grads> {
    let (first, second) = (back(p.params.program("then")?)?, back(p.params.program("otherwise")?)?);
    let mut operands = vec![p.x(0)?.clone()];
    operands.extend(read(p, first)?);
    let grads = p.cx.bind(&COND, params(first.program.clone(), second.program.clone())?, &operands)?;
    Ok(wanted(p, first, &grads))
}

/// A condition that is mapped needs both. What a branch keeps for its backward half is kept whether it is taken or not: zeros in its place
/// would make infinities there, which no choice behind them could hide from a second derivative.
fn batch(b: &Batching) -> Result<Flagged> {
    let a = arms(b.params, b.xs.len())?;
    let flags = [a.of(&b.mapped[1..], false), a.of(&b.mapped[1..], true)];
    let axis = b.axis();
    if b.mapped[0] {
        let y = walk::batch(b.cx, a.then, a.of(&b.xs[1..], false), &flags[0], axis)?;
        let z = walk::batch(b.cx, a.otherwise, a.of(&b.xs[1..], true), &flags[1], axis)?;
        return y
            .into_iter()
            .zip(z)
            .enumerate()
            .map(|(i, (y, z))| {
                let full = |t: (Tensor, bool)| if t.1 { Ok(t.0) } else { b.cx.repeated(&t.0, b.size) };
                if a.then.padding.contains(&i) {
                    return Ok((full(z)?, true));
                }
                if a.otherwise.padding.contains(&i) {
                    return Ok((full(y)?, true));
                }
                let (y, z) = (full(y)?, full(z)?);
                Ok((b.cx.select(&b.cx.broadcast(&b.xs[0], y.shape(), &[0])?, &y, &z)?, true))
            })
            .collect();
    }
    let (_, y) = walk::batched(b.cx, a.then, &flags[0], axis, |_| false)?;
    let (_, z) = walk::batched(b.cx, a.otherwise, &flags[1], axis, |_| false)?;
    let either: Vec<bool> = y.iter().zip(&z).map(|(y, z)| *y || *z).collect();
    let (then, _) = walk::batched(b.cx, a.then, &flags[0], axis, |i| either[i])?;
    let (otherwise, _) = walk::batched(b.cx, a.otherwise, &flags[1], axis, |i| either[i])?;
    Ok(b.cx.bind(&COND, params(then, otherwise)?, b.xs)?.into_iter().zip(either).collect())
}

pub static COND: Row = Row {
    name: "cond",
    doc: "Runs the first recorded program where the condition holds, else the second.",
    operands: &["condition", "...inputs"],
    params: &[p("then", Kind::Program), p("otherwise", Kind::Program)],
    many: true,
    lift: Lift::None,
    shape,
    body: Body::Program(Owner { eval, forward }),
    saves: Saves::BACK,
    vjp: Vjp::Rule(vjp),
    jvp: Jvp::Derived,
    batch: Batch::Flags(batch),
    samples: || {
        let then = program(&[&[3]], |cx, t| Ok(vec![cx.mul(&t[0], &t[0])?]));
        let otherwise = program(&[&[3]], |cx, t| Ok(vec![cx.sin(&t[0])?]));
        vec![Sample::new(vec![Input::new(&[], Domain::Bool), Input::new(&[3], Domain::Range(-2.0, 2.0))], vec![then, otherwise])]
    },
};
