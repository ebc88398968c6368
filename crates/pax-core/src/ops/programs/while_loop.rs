//! A program repeated as long as another gives true.
use std::rc::Rc;

use crate::ops::programs::call::CALL;
use crate::ops::programs::{fits, part, run, shared};
use crate::ops::samples::{program, Domain, Input, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Flagged, Jvp, Lift, Owner, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::plan::{Course, Plan};
use crate::program::Equation;
use crate::walk::{self, batch::recorded};
use crate::{Array, Aval, Cx, DType, Error, Params, Program, Result, Tensor, Value, Var};

struct Loop<'a> {
    test: &'a Rc<Program>,
    body: &'a Rc<Program>,
    carry: usize,
}

fn parts(params: &Params, operands: usize) -> Result<Loop<'_>> {
    let (test, body) = (params.program("test")?, params.program("body")?);
    Ok(Loop { test, body, carry: shared(operands, test, body)? })
}

impl Loop<'_> {
    fn test<T: Clone>(&self, xs: &[T]) -> Vec<T> {
        part(xs, self.carry, self.test, false)
    }
    fn body<T: Clone>(&self, xs: &[T]) -> Vec<T> {
        part(xs, self.carry, self.body, true)
    }
}

fn shape(xs: &[&Aval], params: &Params) -> Result<Avals> {
    let l = parts(params, xs.len())?;
    let test = fits(&l.test(xs), l.test)?;
    if test.len() != 1 || test[0].dtype != DType::Bool || test[0].ndim() != 0 {
        return Err(Error::shape("the test must give one bool scalar"));
    }
    let outs = fits(&l.body(xs), l.body)?;
    if outs.len() != l.carry || outs.iter().zip(xs).any(|(o, x)| o.shape != x.shape || o.dtype != x.dtype) {
        return Err(Error::shape("the body gives another carry than it takes"));
    }
    Ok(outs)
}

/// A step and the test behind it, as one program.
fn tested(l: &Loop, operands: Vec<Aval>) -> Result<Program> {
    let (n, count) = (operands.len(), l.carry);
    let vars = |from: usize, to: usize| (from..to).map(|v| v as Var).collect::<Vec<Var>>();
    let (inputs, next, holds) = (vars(0, n), vars(n, n + count), (n + count) as Var);
    let behind: Vec<Var> = next.iter().chain(&inputs[count..]).copied().collect();
    let call = |program: &Rc<Program>, inputs: Vec<Var>, outputs: &[Var]| -> Result<Equation> {
        let params = Params::new(CALL.params, [Value::Program(program.clone())])?;
        Ok(Equation { row: &CALL, params, inputs: inputs.into(), outputs: outputs.into() })
    };
    Ok(Program {
        equations: vec![call(l.body, l.body(&inputs), &next)?, call(l.test, l.test(&behind), &[holds])?],
        outputs: next.into_iter().chain([holds]).collect(),
        avals: operands.iter().chain(&operands[..count]).cloned().chain([Aval::new(&[], DType::Bool)]).collect(),
        inputs,
        depth: l.test.depth.max(l.body.depth) + 1,
        ..Program::default()
    })
}

fn eval(cx: &Cx, params: &Params, xs: Vec<Array>) -> Result<Arrays> {
    let l = parts(params, xs.len())?;
    let carry = l.carry;
    if !super::cond::truth(&run(cx, l.test, l.test(&xs).into_iter())?[0])? {
        return Ok(xs.into_iter().take(carry).collect());
    }
    let avals: Vec<Aval> = xs.iter().map(|x| Aval::new(&x.shape, x.dtype)).collect();
    let results: Vec<Aval> = avals[..carry].iter().cloned().chain([Aval::new(&[], DType::Bool)]).collect();
    let plan = match l.body.plan.get() {
        Some(plan) => plan,
        None => {
            let program = tested(&l, avals)?;
            l.body.plan.get_or_init(|| Plan::new(cx, &program, Some(carry)))
        }
    };
    let course = Course { carry, scanned: 0, length: usize::MAX, reverse: false, tested: true };
    Ok(plan.scan(cx, xs, &course, &results)?.into_iter().take(carry).collect())
}

/// Nothing is kept: only what has a cotangent asks for a derivative, and is told that there is none.
fn forward(_: &Cx, params: &Params, _: &[bool]) -> Result<Params> {
    Ok(params.clone())
}
const WHY: &str = "how often it runs is not known before, so nothing can be kept for it: use scan, or foriLoop with static bounds";

/// Where examples stop at different times, the loop goes on while any does, and those that stopped keep their carry.
fn batch(b: &Batching) -> Result<Flagged> {
    let l = parts(b.params, b.xs.len())?;
    let (cx, axis) = (b.cx, b.axis());
    let mut mapped = b.mapped.to_vec();
    loop {
        let (test, stops) = walk::batched(cx, l.test, &l.test(&mapped), axis, |_| false)?;
        if stops[0] && !mapped[..l.carry].iter().all(|&m| m) {
            mapped[..l.carry].fill(true);
            continue;
        }
        let (body, flags) = walk::batched(cx, l.body, &l.body(&mapped), axis, |i| mapped[i])?;
        if let Some(i) = (0..l.carry).find(|&i| flags[i] && !mapped[i]) {
            mapped[i] = true;
            continue;
        }
        let xs: Vec<Tensor> = (0..b.xs.len()).map(|i| if mapped[i] { b.mapped(i) } else { Ok(b.xs[i].clone()) }).collect::<Result<_>>()?;
        if !stops[0] {
            let outs = b.bind([Value::Program(test), Value::Program(body)], &xs)?;
            return Ok(outs.into_iter().zip(mapped).collect());
        }
        let program_avals = |p: &Program| p.inputs.iter().map(|&v| p.aval(v).clone()).collect::<Vec<_>>();
        let (any, _) = recorded(cx, &program_avals(&test), |ts| {
            let holds = walk::inline(cx, &test, ts.to_vec())?;
            Ok(vec![(cx.reduce_max(&holds[0], &[0])?, ())])
        })?;
        // The body tests again, so it takes what the test captured, too.
        let own = l.test.inputs.len() - l.carry;
        let avals: Vec<Aval> = program_avals(&test).into_iter().chain(program_avals(&body).into_iter().skip(l.carry)).collect();
        let (step, _) = recorded(cx, &avals, |ts| {
            let holds = walk::inline(cx, &test, ts[..l.carry + own].to_vec())?.remove(0);
            let next = walk::inline(cx, &body, ts[..l.carry].iter().chain(&ts[l.carry + own..]).cloned().collect())?;
            next.iter().zip(ts).map(|(y, x)| Ok((cx.select(&cx.broadcast(&holds, y.shape(), &[0])?, y, x)?, ()))).collect()
        })?;
        let operands: Vec<Tensor> = xs[..l.carry + own].iter().chain(&xs[l.carry..]).cloned().collect();
        let outs = b.bind([Value::Program(any), Value::Program(step)], &operands)?;
        return Ok(outs.into_iter().map(|t| (t, true)).collect());
    }
}

pub static WHILE_LOOP: Row = Row {
    name: "while_loop",
    doc: "Repeats the recorded body on the carry as long as the recorded test gives true.",
    operands: &["...inputs"],
    params: &[p("test", Kind::Program), p("body", Kind::Program)],
    many: true,
    lift: Lift::None,
    shape,
    body: Body::Program(Owner { eval, forward }),
    saves: Saves::NONE,
    vjp: Vjp::None(WHY),
    jvp: Jvp::None(WHY),
    batch: Batch::Flags(batch),
    samples: || {
        let test = program(&[&[]], |cx, t| Ok(vec![cx.less(&t[0], &cx.full(&[], DType::F64, 10.0)?)?]));
        let body = program(&[&[]], |cx, t| Ok(vec![cx.add(&t[0], &t[0])?]));
        vec![Sample::new(vec![Input::new(&[], Domain::Range(1.0, 2.0))], vec![test, body])]
    },
};
