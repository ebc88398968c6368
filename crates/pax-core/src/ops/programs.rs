//! Rows that own programs.
use crate::ops::{no_samples, Avals, Batch, Batching, Body, Jvp, Lift, Pull, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{walk, Aval, Cx, Error, Params, Program, Result, Tensor, Value};
use std::rc::Rc;

pub const ROWS: &[&Row] = &[&CALL];

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let program = p.program("program")?;
    let fits = xs.len() == program.inputs.len() && xs.iter().zip(&program.inputs).all(|(x, &v)| x.shape == program.aval(v).shape && x.dtype == program.aval(v).dtype);
    if !fits { return Err(Error::internal("a program was called with other shapes than it was recorded with")); }
    Ok(program.outputs.iter().map(|&v| program.aval(v).clone()).collect())
}

/// Walks back through the backward half that `bind` prepared.
fn vjp(p: &Pull) -> Result<Vec<Option<Tensor>>> {
    let back = p.params.program("program")?.back.as_ref().ok_or_else(|| Error::internal("a call was recorded without its backward half"))?;
    let mut args = Vec::new();
    for i in back.primal..p.y_avals.len() { args.push(p.y(i)?.clone()); }
    for i in 0..back.primal { if p.y_avals[i].dtype.is_float() { args.push(p.g_or_zeros(i)?); } }
    args.extend(back.program.captured.iter().cloned());
    let grads = p.cx.call(&back.program, &args)?;
    back.wrt.iter().zip(p.needs).map(|(w, need)| Ok(w.filter(|_| *need).map(|w| grads[w].clone()))).collect()
}

fn batch(b: &Batching) -> Result<crate::bind::Tensors> {
    let program = b.params.program("program")?;
    let outs = walk::batch(b.cx, program, b.xs.to_vec(), b.mapped, b.size)?;
    outs.into_iter().map(|(t, mapped)| Batching { xs: &[t], mapped: &[mapped], ..*b }.mapped(0)).collect()
}

pub static CALL: Row = Row {
    name: "call",
    doc: "Runs a recorded program on its inputs.",
    operands: &["...inputs"], params: &[p("program", Kind::Program)], many: true, lift: Lift::None, shape,
    body: Body::Call,
    saves: Saves::OUTPUTS,
    vjp: Vjp::Rule(vjp), jvp: Jvp::Derived, batch: Batch::Rule(batch),
    samples: no_samples,
};

impl Cx {
    /// Calls a program on its declared and captured inputs.
    pub fn call(&self, program: &Rc<Program>, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(self.bind(&CALL, Params::new(CALL.params, [Value::Program(program.clone())])?, inputs)?.into_vec())
    }
}
