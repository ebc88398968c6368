//! A program carried along an axis. Backward it is a scan the other way, over what the forward body kept of each step.
use std::rc::Rc;

use crate::ops::programs::{back, results, wanted, with_program};
use crate::ops::samples::{program, Domain, Input, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Flagged, Grads, Jvp, Lift, Owner, Pull, Row, Saves, Vjp};
use crate::params::{p, size, Kind};
use crate::plan::{Course, Plan};
use crate::program::{Back, Source};
use crate::walk::{self, batch::recorded, Halves};
use crate::{Array, Aval, Cx, Error, Params, Program, Result, Tensor, Value, Var};

/// How the operands are divided: the carry, what is scanned, and what every step sees.
struct Parts {
    carry: usize,
    scanned: usize,
    length: usize,
    reverse: bool,
}

fn parts(p: &Params) -> Result<Parts> {
    let count = |name: &str| size(name, p.int(name)?);
    Ok(Parts { carry: count("carry")?, scanned: count("scanned")?, length: count("length")?, reverse: p.bool("reverse")? })
}

impl Parts {
    /// Parameters of a scan with another program and division.
    fn with(&self, program: &Rc<Program>, carry: usize, scanned: usize, reverse: bool) -> [Value; 5] {
        [Value::Program(program.clone()), carry.into(), scanned.into(), self.length.into(), reverse.into()]
    }
    fn stacked(&self, a: &Aval) -> Aval {
        walk::batch::in_front(a, self.length)
    }
    /// What the scan gives: the carry, and the other results of the steps, stacked.
    fn results(&self, program: &Program) -> Avals {
        results(program).iter().enumerate().map(|(i, a)| if i < self.carry { a.clone() } else { self.stacked(a) }).collect()
    }
}

fn shape(xs: &[&Aval], params: &Params) -> Result<Avals> {
    let (s, program) = (parts(params)?, params.program("program")?);
    let outs = results(program);
    if xs.len() != program.inputs.len() || s.carry + s.scanned > xs.len() || outs.len() < s.carry {
        return Err(Error::internal("a scan was given another number of operands than its program takes"));
    }
    for (i, (x, &v)) in xs.iter().zip(&program.inputs).enumerate() {
        let want = program.aval(v);
        let scanned = (s.carry..s.carry + s.scanned).contains(&i);
        let fits = x.dtype == want.dtype
            && if scanned {
                x.shape.split_first().is_some_and(|(&n, rest)| n == s.length && rest == &want.shape[..])
            } else {
                x.shape == want.shape
            };
        if !fits {
            return Err(Error::shape(format!("operand {i} is {x}, each step takes {want} of {} steps", s.length)));
        }
        if i < s.carry && (outs[i].shape != want.shape || outs[i].dtype != want.dtype) {
            return Err(Error::shape(format!("the carry is {want}, and {} after a step", outs[i])));
        }
    }
    Ok(s.results(program))
}

fn eval(cx: &Cx, params: &Params, xs: Vec<Array>) -> Result<Arrays> {
    let (s, program) = (parts(params)?, params.program("program")?);
    let plan = program.plan.get_or_init(|| Plan::new(cx, program, Some(s.carry + s.scanned)));
    let course = Course { carry: s.carry, scanned: s.scanned, length: s.length, reverse: s.reverse, tested: false };
    Ok(plan.scan(cx, xs, &course, &s.results(program))?.into_iter().collect())
}

/// Splits the body; a result of the carry that depends on something active makes that carry active.
fn body_halves(cx: &Cx, program: &Program, s: &Parts, active: &[bool]) -> Result<Halves> {
    let mut active = active.to_vec();
    loop {
        let h = walk::halves(cx, program, &active)?;
        let grown: Vec<usize> = h.live.iter().copied().filter(|&i| i < s.carry && !active[i]).collect();
        if grown.is_empty() {
            return Ok(h);
        }
        for i in grown {
            active[i] = true;
        }
    }
}

/// Where the backward body finds a value of the forward body.
enum Kept {
    Scanned(usize),
    Fixed(usize),
}

/// What the backward scan reads. A step's own values are stacked by the forward scan, unless they are operands or results
/// already; what is the same in every step is made once, out of the operands that every step sees.
struct Reads {
    kept: Vec<Kept>,
    scanned: Vec<Source>,
    slices: Vec<Aval>,
    fixed: Vec<Var>,
}

fn reads(h: &mut Halves, s: &Parts) -> Reads {
    let f = &mut h.forward;
    let mut constant = vec![false; f.avals.len()];
    for &v in &f.inputs[s.carry + s.scanned..] {
        constant[v as usize] = true;
    }
    for e in &f.equations {
        if e.inputs.iter().all(|&v| constant[v as usize]) {
            for &v in &e.outputs {
                constant[v as usize] = true;
            }
        }
    }
    let own = f.outputs.split_off(h.results);
    let (mut r, mut kept) = (Reads { kept: vec![], scanned: vec![], slices: vec![], fixed: vec![] }, Vec::new());
    for source in &h.reads {
        let v = match *source {
            Source::Operand(i) => f.inputs[i],
            Source::Result(i) if i < h.results => f.outputs[i],
            Source::Result(i) => own[i - h.results],
        };
        if constant[v as usize] {
            kept.push(Kept::Fixed(r.fixed.len()));
            r.fixed.push(v);
            continue;
        }
        kept.push(Kept::Scanned(r.scanned.len()));
        r.slices.push(f.avals[v as usize].clone());
        let stacked = f.outputs[s.carry..].iter().position(|&w| w == v).map(|k| s.carry + k);
        r.scanned.push(match source {
            Source::Operand(i) if *i >= s.carry => *source,
            _ => Source::Result(stacked.unwrap_or_else(|| {
                f.outputs.push(v);
                f.outputs.len() - 1
            })),
        });
    }
    r.kept = kept;
    r
}

/// The program that makes constants of the body out of the operands that every step sees, and which of these it takes.
fn constants(f: &Program, stepwise: usize, outputs: &[Var]) -> (Program, Vec<Source>) {
    let mut made =
        Program { equations: f.equations.clone(), outputs: outputs.to_vec(), avals: f.avals.clone(), depth: f.depth, ..Program::default() };
    made.dead_code();
    let used = |v: &Var| made.outputs.contains(v) || made.equations.iter().any(|e| e.inputs.contains(v));
    let taken: Vec<usize> = (stepwise..f.inputs.len()).filter(|&i| used(&f.inputs[i])).collect();
    made.inputs = taken.iter().map(|&i| f.inputs[i]).collect();
    (made, taken.into_iter().map(Source::Operand).collect())
}

fn forward(cx: &Cx, params: &Params, active: &[bool]) -> Result<Params> {
    let (s, program) = (parts(params)?, params.program("program")?);
    let mut h = body_halves(cx, program, &s, active)?;
    let r = reads(&mut h, &s);
    let stepwise = s.carry + s.scanned;
    let (made, fixed) = constants(&h.forward, stepwise, &r.fixed);
    let f = &h.forward;
    // Operands with a cotangent: carries, then sums over the steps, then what is scanned.
    let with_grad =
        |from: usize, to: usize| (from..to).filter(|&i| h.wrt[i].is_some() || (i < s.carry && h.live.contains(&i))).collect::<Vec<usize>>();
    let (carries, scanned, sums) = (with_grad(0, s.carry), with_grad(s.carry, stepwise), with_grad(stepwise, f.inputs.len()));
    let ys: Vec<usize> = h.live.iter().copied().filter(|&i| i >= s.carry).collect();
    let aval = |i: usize| f.aval(f.inputs[i]).clone();
    let mut avals: Vec<Aval> = carries.iter().chain(&sums).map(|&i| aval(i)).collect();
    avals.extend(r.slices.iter().cloned());
    avals.extend(ys.iter().map(|&i| f.aval(f.outputs[i]).clone()));
    avals.extend(r.fixed.iter().map(|&v| f.aval(v).clone()));
    let (nc, ns, nk, ny) = (carries.len(), sums.len(), r.slices.len(), ys.len());
    let (body, _) = recorded(cx, &avals, |ts| {
        let (slices, cts, constants) = (&ts[nc + ns..], &ts[nc + ns + nk..], &ts[nc + ns + nk + ny..]);
        let mut args: Vec<Tensor> = r
            .kept
            .iter()
            .map(|k| match *k {
                Kept::Scanned(i) => slices[i].clone(),
                Kept::Fixed(i) => constants[i].clone(),
            })
            .collect();
        for &i in &h.live {
            let ct = if i < s.carry {
                carries.iter().position(|&c| c == i).map(|c| &ts[c])
            } else {
                ys.iter().position(|&y| y == i).map(|y| &cts[y])
            };
            args.push(ct.cloned().ok_or_else(|| Error::internal("a live result of a scan has no cotangent"))?);
        }
        let grads = walk::inline(cx, &h.back, args)?;
        let grad = |i: usize| match h.wrt[i] {
            Some(w) => Ok(grads[w].clone()),
            None => {
                let a = aval(i);
                cx.zeros(&a.shape, a.dtype)
            }
        };
        let mut outs: Vec<(Tensor, ())> = Vec::new();
        for &i in &carries {
            outs.push((grad(i)?, ()));
        }
        for (k, &i) in sums.iter().enumerate() {
            outs.push((cx.add(&ts[nc + k], &grad(i)?)?, ()));
        }
        for &i in &scanned {
            outs.push((grad(i)?, ()));
        }
        Ok(outs)
    })?;
    let mut wrt = vec![None; f.inputs.len()];
    for (k, &i) in carries.iter().chain(&sums).chain(&scanned).enumerate() {
        wrt[i] = Some(k);
    }
    let count = fixed.len();
    let mut made_forward = h.forward;
    made_forward.back = Some(Back {
        program: body,
        reads: r.scanned.into_iter().chain(fixed).collect(),
        live: carries.into_iter().chain(ys).collect(),
        wrt,
        fixed: Some((count, Rc::new(made))),
    });
    with_program(params, Rc::new(made_forward))
}

fn vjp(p: &Pull) -> Result<Grads> {
    let (s, back) = (parts(p.params)?, back(p.params.program("program")?)?);
    let (count, made) = back.fixed.as_ref().ok_or_else(|| Error::internal("a scan was recorded without its constants"))?;
    let read: Vec<Tensor> = super::read(p, back)?;
    let (saved, cts) = read.split_at(back.reads.len());
    let (slices, fixed) = saved.split_at(back.reads.len() - count);
    let constants = p.cx.call(made, fixed)?;
    let carries = back.live.iter().filter(|&&i| i < s.carry).count();
    let (carry, ys) = cts.split_at(carries);
    let scanned = slices.len() + ys.len();
    // What is left of the program's inputs are sums over the steps.
    let sums = back.program.inputs.len() - carries - scanned - constants.len();
    let mut operands: Vec<Tensor> = carry.to_vec();
    for &v in &back.program.inputs[carries..carries + sums] {
        let a = back.program.aval(v);
        operands.push(p.cx.zeros(&a.shape, a.dtype)?);
    }
    operands.extend(slices.iter().chain(ys).cloned());
    operands.extend(constants);
    let params = Params::new(SCAN.params, s.with(&back.program, carries + sums, scanned, !s.reverse))?;
    let grads = p.cx.bind(&SCAN, params, &operands)?;
    Ok(wanted(p, back, &grads))
}

/// A carry is mapped if a step makes it so.
fn batch(b: &Batching) -> Result<Flagged> {
    let (s, program) = (parts(b.params)?, b.params.program("program")?);
    let mut mapped = b.mapped.to_vec();
    let (body, flags) = loop {
        let (body, flags) = walk::batched(b.cx, program, &mapped, b.axis(), |i| i < s.carry && mapped[i])?;
        let grown: Vec<usize> = (0..s.carry).filter(|&i| flags[i] && !mapped[i]).collect();
        if grown.is_empty() {
            break (body, flags);
        }
        for i in grown {
            mapped[i] = true;
        }
    };
    let operands: Result<Vec<Tensor>> = (0..b.xs.len())
        .map(|i| {
            if (s.carry..s.carry + s.scanned).contains(&i) && mapped[i] {
                b.cx.move_axis(&b.xs[i], 0, 1)
            } else if mapped[i] {
                b.mapped(i)
            } else {
                Ok(b.xs[i].clone())
            }
        })
        .collect();
    let outs = b.bind(s.with(&body, s.carry, s.scanned, s.reverse), &operands?)?;
    outs.into_iter()
        .zip(flags)
        .enumerate()
        .map(|(i, (t, m))| Ok((if m && i >= s.carry { b.cx.move_axis(&t, 1, 0)? } else { t }, m)))
        .collect()
}

pub static SCAN: Row = Row {
    name: "scan",
    doc: "Runs a recorded program `length` times: it takes the carry, a slice of each scanned operand and what every step \
        sees, and gives the carry and a slice of each further result.",
    operands: &["...inputs"],
    params: &[
        p("program", Kind::Program),
        p("carry", Kind::Int),
        p("scanned", Kind::Int),
        p("length", Kind::Int),
        p("reverse", Kind::Bool),
    ],
    many: true,
    lift: Lift::None,
    shape,
    body: Body::Program(Owner { eval, forward }),
    saves: Saves::BACK,
    vjp: Vjp::Rule(vjp),
    jvp: Jvp::Derived,
    batch: Batch::Flags(batch),
    samples: || {
        let r = |shape: &[usize]| Input::new(shape, Domain::Range(-1.0, 1.0));
        let p = || {
            program(&[&[2], &[2], &[2]], |cx, t| {
                let h = cx.add(&cx.mul(&t[0], &t[1])?, &t[2])?;
                Ok(vec![h.clone(), cx.mul(&h, &t[2])?])
            })
        };
        [(3, false), (4, true), (0, false)]
            .map(|(n, reverse)| {
                Sample::new(vec![r(&[2]), r(&[n, 2]), r(&[2])], vec![p(), 1usize.into(), 1usize.into(), n.into(), reverse.into()])
            })
            .into()
    },
};

impl Cx {
    /// Scans a program over operands: carry, scanned, what it captured.
    pub fn scan(
        &self,
        program: &Rc<Program>,
        carry: usize,
        scanned: usize,
        length: usize,
        reverse: bool,
        inputs: &[Tensor],
    ) -> Result<Vec<Tensor>> {
        let s = Parts { carry, scanned, length, reverse };
        Ok(self.bind(&SCAN, Params::new(SCAN.params, s.with(program, carry, scanned, reverse))?, inputs)?.into_vec())
    }
}
