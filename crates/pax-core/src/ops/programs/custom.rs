//! A program with a derivative of the user's own: a call whose halves are given.
use std::rc::Rc;

use crate::level::Mode;
use crate::ops::{Batching, Flagged};
use crate::program::{Back, Source};
use crate::walk::{self, batch::recorded};
use crate::{Aval, Cx, Error, Program, Result, Tensor};

fn avals<'a>(p: &'a Program, vars: &'a [crate::Var]) -> impl Iterator<Item = Aval> + 'a {
    vars.iter().map(|&v| p.aval(v).clone())
}
fn plain(ts: Vec<Tensor>) -> Vec<(Tensor, ())> {
    ts.into_iter().map(|t| (t, ())).collect()
}

impl Cx {
    /// A program that gives what `primal` does. Where it is differentiated `forward` runs, which gives the results and then
    /// residuals, and `backward` takes the residuals and a cotangent of each float result and gives a cotangent of each
    /// operand that `wrt` names. All three may capture tensors, none that is being differentiated.
    pub fn custom_vjp(&self, primal: &Program, forward: &Program, backward: &Program, wrt: &[usize]) -> Result<Rc<Program>> {
        let captured: Vec<Tensor> = [primal, forward, backward].iter().flat_map(|p| p.captured.iter().cloned()).collect();
        if captured.iter().any(|t| self.is_active(t)) {
            return Err(Error::trace(
                "customVjp: its functions use a tensor from outside that is being differentiated: pass it as an argument",
            ));
        }
        let n = primal.declared();
        let (c1, c2) = (n + primal.captured.len(), n + primal.captured.len() + forward.captured.len());
        let outs: Vec<Aval> = avals(primal, &primal.outputs).collect();
        let given: Vec<Aval> = avals(forward, &forward.outputs).collect();
        let fits = |a: &Aval, b: &Aval| a.shape == b.shape && a.dtype == b.dtype;
        if forward.declared() != n || given.len() < outs.len() || !outs.iter().zip(&given).all(|(a, b)| fits(a, b)) {
            return Err(Error::shape("customVjp: `forward` must give [value, residuals] with the value of the function"));
        }
        let inputs: Vec<Aval> = avals(primal, &primal.inputs[..n]).chain(captured.iter().map(|t| t.aval().clone())).collect();
        let take = |ts: &[Tensor], from: usize, to: usize| ts[..n].iter().chain(&ts[from..to]).cloned().collect::<Vec<_>>();
        let (p, _) = recorded(self, &inputs, |ts| walk::inline(self, primal, take(ts, n, c1)).map(plain))?;
        let (f, _) = recorded(self, &inputs, |ts| walk::inline(self, forward, take(ts, c1, c2)).map(plain))?;
        let residuals = given.len() - outs.len();
        let live: Vec<usize> = (0..outs.len()).filter(|&i| outs[i].dtype.is_float()).collect();
        let reads: Vec<Source> = (outs.len()..given.len()).map(Source::Result).chain((c2..inputs.len()).map(Source::Operand)).collect();
        let back_inputs: Vec<Aval> =
            given[outs.len()..].iter().chain(&inputs[c2..]).chain(live.iter().map(|&i| &outs[i])).cloned().collect();
        let (b, _) = recorded(self, &back_inputs, |ts| {
            let own = inputs.len() - c2;
            // The user's function declares residuals and cotangents; what it captured follows.
            let args = ts[..residuals].iter().chain(&ts[residuals + own..]).chain(&ts[residuals..residuals + own]).cloned().collect();
            walk::inline(self, backward, args).map(plain)
        })?;
        let mut which = vec![None; inputs.len()];
        for (k, &i) in wrt.iter().enumerate() {
            let ok = i < n && b.outputs.get(k).is_some_and(|&v| fits(b.aval(v), &inputs[i]));
            if !ok {
                return Err(Error::shape(format!(
                    "customVjp: `backward` gives another shape or dtype for leaf {i} of the arguments than the leaf has"
                )));
            }
            which[i] = Some(k);
        }
        Ok(Rc::new(Program { captured, ..with_custom(&p, with_back(&f, b, reads, live, which)) }))
    }

    /// True if an open level differentiates with respect to something it depends on.
    fn is_active(&self, t: &Tensor) -> bool {
        t.dtype().is_float() && self.known_to(t, Mode::Diff)
    }
}

/// They lie as deep as the deepest of their programs.
fn with_custom(primal: &Program, custom: Rc<Program>) -> Program {
    Program { depth: primal.depth.max(custom.depth), custom: Some(custom), ..primal.again() }
}

fn with_back(forward: &Program, back: Rc<Program>, reads: Vec<Source>, live: Vec<usize>, wrt: Vec<Option<usize>>) -> Rc<Program> {
    Rc::new(Program {
        depth: forward.depth.max(back.depth),
        back: Some(Back { program: back, reads, live, wrt, fixed: None }),
        ..forward.again()
    })
}

/// Mapped over everything, so that cotangents of operands that were not are summed where they were repeated.
pub(super) fn batch(b: &Batching, program: &Program) -> Result<Flagged> {
    let forward = program.custom.as_ref().ok_or_else(|| Error::internal("no derivative of the user's own"))?;
    let back = super::back(forward)?;
    let over = |p: &Program| walk::batched(b.cx, p, &vec![true; p.inputs.len()], b.axis(), |_| true).map(|r| r.0);
    let (primal, ahead, behind) = (over(program)?, over(forward)?, over(&back.program)?);
    let custom = with_back(&ahead, behind, back.reads.clone(), back.live.clone(), back.wrt.clone());
    let mapped = Rc::new(with_custom(&primal, custom));
    Ok(b.cx.call(&mapped, &b.all_mapped()?)?.into_iter().map(|t| (t, true)).collect())
}
