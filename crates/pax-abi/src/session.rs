//! The session of one JavaScript thread: engine, handles, and the verbs without their host's calling convention.
use std::rc::Rc;

use pax_core::bind::Tensors;
use pax_core::dtype::Element;
use pax_core::exec::Pool;
use pax_core::level::{Mode, Tape};
use pax_core::ops::{lift::result_dtype, table, Axis, Lift};
use pax_core::{dispatch, walk, Aval, Cx, DType, Error, Program, Result, Row, Tensor};

use crate::codec::{Reader, Writer};
use crate::handles::{Entry, FreeList, Handle, Handles};

pub struct Session {
    pub cx: Cx,
    pub handles: Handles,
    pub dead: FreeList,
    pub error: Option<Error>,
    /// Calls from JavaScript so far.
    pub crossings: u64,
}

/// What a verb gives back beside its numbers: new handles, in the order of their targets, with the bytes they keep.
pub type Made = Vec<(Handle, usize)>;

/// What an object costs the engine beside its elements, for the collector's account.
const OVERHEAD: usize = 256;

/// Transformations within one another: each is a function of the user's on the host's stack.
const LEVELS: usize = 128;

/// Stands for null among result axes, which may be negative.
const NO_AXIS: i64 = -1000;

/// An operand as the scratch carries it.
enum Operand {
    Tensor(Tensor),
    Number(f64),
    Bool(bool),
    Big(i64),
}

impl Session {
    pub fn new(pool: Rc<dyn Pool>) -> Session {
        Session { cx: Cx::new(pool), handles: Handles::default(), dead: FreeList::default(), error: None, crossings: 0 }
    }

    /// Frees what the collector found dead; called at the start of each verb.
    pub fn sweep(&mut self) {
        self.crossings += 1;
        if self.dead.borrow().is_empty() {
            return;
        }
        let mut dead = std::mem::take(&mut *self.dead.borrow_mut());
        for h in dead.drain(..) {
            drop(self.handles.free(h));
        }
        *self.dead.borrow_mut() = dead;
    }

    /// Bytes to tell the collector: those of a value that lives on, little for one that its level frees.
    fn cost(&self, t: &Tensor) -> usize {
        if self.cx.depth() > 0 {
            OVERHEAD
        } else {
            t.size() * t.dtype().size() + OVERHEAD
        }
    }

    fn give(&mut self, t: Tensor, out: &mut Writer, made: &mut Made) -> Result<()> {
        let cost = self.cost(&t);
        let aval = t.aval().clone();
        let h = self.handles.insert(Entry::Tensor(t));
        made.push((h, cost));
        out.number(h as f64)?;
        out.aval(&aval)
    }

    fn give_all(&mut self, ts: impl IntoIterator<Item = Tensor>, scratch: &mut [f64]) -> Result<Made> {
        let (mut made, mut out) = (Made::new(), Writer::new(scratch));
        for t in ts {
            self.give(t, &mut out, &mut made)?;
        }
        Ok(made)
    }

    // ---- tensors
    /// A tensor from its bytes, in row-major order. Scratch: dtype, weak, rank, sizes.
    pub fn make(&mut self, bytes: &[u8], scratch: &mut [f64]) -> Result<Made> {
        let aval = Reader::new(scratch).aval()?;
        let size = aval.size();
        if bytes.len() != size * aval.dtype.size() {
            return Err(Error::shape(format!(
                "{} bytes are no {} tensor of shape {:?}: that takes {}",
                bytes.len(),
                aval.dtype.name(),
                aval.shape.as_slice(),
                size * aval.dtype.size()
            )));
        }
        let exec = self.cx.exec();
        let array = dispatch!(aval.dtype, T => exec.array_as(aval.dtype, elements::<T>(bytes, size), &aval.shape));
        let t = self.cx.make(array, aval.weak);
        self.give_all([t], scratch)
    }

    /// The elements in row-major order, as bytes.
    pub fn read(&mut self, h: Handle) -> Result<Vec<u8>> {
        let a = self.cx.array(self.handles.tensor(h)?)?;
        dispatch!(a.dtype, T => {
            let s = a.to_slice::<T>()?;
            // SAFETY: plain numbers, read as bytes.
            Ok(unsafe { std::slice::from_raw_parts(s.as_ptr().cast::<u8>(), std::mem::size_of_val(&*s)) }.to_vec())
        })
    }

    pub fn free(&mut self, scratch: &[f64]) -> Result<()> {
        let mut r = Reader::new(scratch);
        for _ in 0..r.count()? {
            let h = r.handle()?;
            drop(self.handles.free(h));
        }
        Ok(())
    }

    // ---- rows
    /// Reads the parameters of a row from the scratch and writes them back as they were understood; answers how many numbers.
    pub fn echo(&mut self, op: usize, scratch: &mut [f64]) -> Result<usize> {
        let row = *table().get(op).ok_or_else(|| Error::internal(format!("no row has the number {op}")))?;
        let params = Reader::new(scratch).params(row.params, &self.handles).map_err(|e| e.at(row.name))?;
        let mut out = Writer::new(scratch);
        for v in params.values() {
            out.param(v)?;
        }
        Ok(out.written())
    }

    /// Applies a row. Scratch: operands (count, then kind and value of each), parameters.
    pub fn bind(&mut self, op: usize, scratch: &mut [f64]) -> Result<Made> {
        let row = *table().get(op).ok_or_else(|| Error::internal(format!("no row has the number {op}")))?;
        let mut r = Reader::new(scratch);
        let n = r.count()?;
        let operands: Result<Vec<Operand>> = (0..n).map(|_| self.operand(&mut r)).collect();
        let params = r.params(row.params, &self.handles).map_err(|e| e.at(row.name))?;
        if !row.variadic() && n != row.operands.len() {
            return Err(Error::value(format!("takes {} operands, got {n}", row.operands.len())).at(row.name));
        }
        let operands = self.tensors(row, operands.map_err(|e| e.at(row.name))?).map_err(|e| e.at(row.name))?;
        let outs = self.cx.apply(row, params, &operands)?;
        drop(operands);
        self.give_all(outs, scratch)
    }

    fn operand(&self, r: &mut Reader) -> Result<Operand> {
        Ok(match r.int()? {
            0 => Operand::Tensor(self.handles.tensor(r.handle()?)?.clone()),
            1 => Operand::Number(r.number()?),
            2 => Operand::Bool(r.number()? != 0.0),
            _ => {
                let (hi, lo) = (r.number()?, r.number()?);
                Operand::Big(((hi as i64) << 32) | lo as i64)
            }
        })
    }

    /// Scalars become constants of the dtype that the expression will have.
    fn tensors(&self, row: &'static Row, operands: Vec<Operand>) -> Result<Tensors> {
        let skip = usize::from(row.lift == Lift::Select);
        let avals: Vec<Aval> = operands
            .iter()
            .skip(skip)
            .map(|o| match o {
                Operand::Tensor(t) => t.aval().clone(),
                Operand::Number(_) => Aval { weak: true, ..Aval::new(&[], DType::F32) },
                Operand::Bool(_) => Aval::new(&[], DType::Bool),
                Operand::Big(_) => Aval::new(&[], DType::I64),
            })
            .collect();
        let strong: Vec<&Aval> = avals.iter().filter(|a| !a.weak).collect();
        // A number beside integers only is an integer of their dtype.
        let integer =
            if strong.is_empty() || row.lift == Lift::PromoteFloat { None } else { Some(result_dtype(&strong).0).filter(|d| d.is_int()) };
        let all_weak = strong.is_empty();
        let float = if all_weak { DType::F32 } else { result_dtype(&strong).0.to_float() };
        operands
            .into_iter()
            .map(|o| match o {
                Operand::Tensor(t) => Ok(t),
                Operand::Bool(b) => self.cx.full(&[], DType::Bool, f64::from(u8::from(b))),
                Operand::Big(i) => Ok(self.cx.make(self.cx.exec().array(vec![i], &[]), false)),
                Operand::Number(x) => match integer {
                    Some(d) => {
                        let (lo, hi) = d.int_range().unwrap_or((0, 0));
                        if x.fract() != 0.0 || !(lo as f64..=hi as f64).contains(&x) {
                            return Err(Error::dtype(format!("{x} with {}: cast first, `x.astype(\"float32\")`", d.name())));
                        }
                        self.cx.full(&[], d, x)
                    }
                    None => {
                        let t = self.cx.full(&[], float, x)?;
                        if all_weak {
                            self.cx.cast_weak(&t, float, true)
                        } else {
                            Ok(t)
                        }
                    }
                },
            })
            .collect()
    }

    // ---- levels
    /// An error where there are too many levels to open one more.
    fn enter(&self) -> Result<()> {
        if self.handles.depth() < LEVELS {
            return Ok(());
        }
        Err(Error::trace(format!(
            "more than {LEVELS} transformations run within one another: does a function call itself \
            without end? A loop belongs into scan or foriLoop"
        )))
    }

    /// Opens a recording for derivatives. Scratch: count, handles. Gives a new handle for each.
    pub fn begin_diff(&mut self, scratch: &mut [f64]) -> Result<Made> {
        self.enter()?;
        let inputs = self.list(&mut Reader::new(scratch))?;
        if let Some(i) = inputs.iter().position(|t| !t.dtype().is_float()) {
            return Err(Error::dtype(format!(
                "argument leaf {i} is {}: only floats have gradients, cast it or pass it outside `argnums`",
                inputs[i].dtype().name()
            )));
        }
        let fresh = self.cx.begin(Mode::Diff, &inputs)?;
        self.handles.enter();
        self.give_all(fresh, scratch)
    }

    /// Opens an abstract recording. Scratch: count, then dtype, weak, rank, sizes of each input.
    pub fn begin_abstract(&mut self, scratch: &mut [f64]) -> Result<Made> {
        self.enter()?;
        let mut r = Reader::new(scratch);
        let n = r.count()?;
        let avals: Result<Vec<Aval>> = (0..n).map(|_| r.aval()).collect();
        let fresh = self.cx.begin_abstract(&avals?);
        self.handles.enter();
        self.give_all(fresh, scratch)
    }

    /// Ends a recording for derivatives. Scratch: count, handles of the results, how many of them are differentiated.
    pub fn end_diff(&mut self, scratch: &mut [f64]) -> Result<Handle> {
        let mut r = Reader::new(scratch);
        let n = r.count()?;
        let keep: Vec<Handle> = (0..n).map(|_| r.handle()).collect::<Result<_>>()?;
        let results: Vec<Tensor> = keep.iter().take(r.count()?).map(|&h| self.handles.tensor(h).cloned()).collect::<Result<_>>()?;
        let tape = self.cx.end_diff(&results)?;
        drop(results);
        self.handles.leave(&keep);
        self.cx.flush()?;
        Ok(self.handles.insert(Entry::Tape(Box::new(tape))))
    }

    /// Ends an abstract recording. Scratch: count, handles of the results. Answers: 1 if the program may be kept
    /// (it captured nothing that belongs to an open level), then how many tensors it captured.
    pub fn end_abstract(&mut self, scratch: &mut [f64]) -> Result<Handle> {
        let results = self.list(&mut Reader::new(scratch))?;
        let program = self.cx.end_abstract(&results)?;
        drop(results);
        self.handles.leave(&[]);
        let lasting = !program.captured.iter().any(|t| self.cx.belongs(t));
        let mut out = Writer::new(scratch);
        out.number(f64::from(u8::from(lasting)))?;
        out.number(program.captured.len() as f64)?;
        let entry = Entry::Program(Rc::new(program));
        Ok(if lasting { self.handles.insert_lasting(entry) } else { self.handles.insert(entry) })
    }

    /// A program with a derivative of the user's own. Scratch: handles of the function, its forward and its backward
    /// program, then count and indices of the declared inputs that the backward program gives cotangents of.
    pub fn custom_vjp(&mut self, scratch: &mut [f64]) -> Result<Handle> {
        let mut r = Reader::new(scratch);
        let mut program = || self.handles.program(r.handle()?);
        let (primal, forward, backward) = (program()?, program()?, program()?);
        let wrt: Vec<usize> = (0..r.count()?).map(|_| r.count()).collect::<Result<_>>()?;
        let made = self.cx.custom_vjp(&primal, &forward, &backward, &wrt)?;
        Ok(self.handles.insert(Entry::Program(made)))
    }

    /// Leaves every level above `depth`, and what they made.
    pub fn cancel(&mut self, depth: usize) {
        while self.handles.depth() > depth {
            self.handles.leave(&[]);
        }
        self.cx.unwind(depth);
        // What an outer level still holds is computed now, so that nothing of the cancelled one stays queued.
        if let Err(e) = self.cx.flush() {
            self.error = Some(e);
        }
    }

    // ---- walks
    /// Walks a recording back. Scratch: count, then a handle for each cotangent (0: zero, −1: one).
    pub fn pull(&mut self, tape: Handle, consume: bool, scratch: &mut [f64]) -> Result<Made> {
        self.with_tape(tape, consume, scratch, |cx, tape, cts| {
            let cts: Result<Vec<Option<Tensor>>> = cts
                .into_iter()
                .zip(&tape.result_avals)
                .map(|(c, a)| match c {
                    Given::One => cx.full(&a.shape, a.dtype, 1.0).map(Some),
                    Given::Zero => Ok(None),
                    Given::Tensor(t) => check(&t, a, "cotangent").map(|_| Some(t)),
                })
                .collect();
            let grads = walk::pull(cx, tape, &cts?, consume)?;
            grads
                .into_iter()
                .enumerate()
                .map(|(i, g)| match g {
                    Some(g) => Ok(g),
                    None => {
                        let a = tape.program.aval(tape.program.inputs[i]);
                        cx.zeros(&a.shape, a.dtype)
                    }
                })
                .collect()
        })
    }

    /// Pushes tangents through a recording. Scratch: count, then a handle for each input's tangent (0: zero).
    pub fn push(&mut self, tape: Handle, scratch: &mut [f64]) -> Result<Made> {
        self.with_tape(tape, true, scratch, |cx, tape, ts| {
            let ts: Result<Vec<Option<Tensor>>> = ts
                .into_iter()
                .zip(&tape.program.inputs)
                .map(|(t, &v)| match t {
                    Given::Tensor(t) => check(&t, tape.program.aval(v), "tangent").map(|_| Some(t)),
                    _ => Ok(None),
                })
                .collect();
            let out = walk::push(cx, tape, &ts?)?;
            out.into_iter().zip(&tape.result_avals).map(|(t, a)| t.map_or_else(|| cx.zeros(&a.shape, a.dtype), Ok)).collect()
        })
    }

    fn with_tape(
        &mut self,
        h: Handle,
        consume: bool,
        scratch: &mut [f64],
        f: impl FnOnce(&Cx, &mut Tape, Vec<Given>) -> Result<Vec<Tensor>>,
    ) -> Result<Made> {
        let mut r = Reader::new(scratch);
        let n = r.count()?;
        let mut given = Vec::with_capacity(n);
        for _ in 0..n {
            let x = r.number()?;
            given.push(if x == 0.0 {
                Given::Zero
            } else if x < 0.0 {
                Given::One
            } else {
                Given::Tensor(self.handles.tensor(x as Handle)?.clone())
            });
        }
        let mut tape = self.handles.take_tape(h)?;
        let depth = self.cx.depth();
        let out = f(&self.cx, &mut tape, given);
        if consume {
            self.handles.forget(h);
            drop(tape);
        } else {
            self.handles.put_tape(h, tape);
        }
        if out.is_err() {
            self.cx.unwind(depth);
        }
        self.give_all(out?, scratch)
    }

    /// Runs a program. Scratch: count, handles of its declared inputs, negative those that are donated. Answers: the handles
    /// of the results, then for each donated input 1 if it was freed. It is not if it is there twice, or if a recording or
    /// a program holds it; a run that fails frees nothing.
    pub fn run(&mut self, program: Handle, scratch: &mut [f64]) -> Result<Made> {
        let program = self.handles.program(program)?;
        let mut r = Reader::new(scratch);
        let n = r.count()?;
        let (mut inputs, mut handles, mut donated): (Tensors, Vec<Option<Handle>>, Vec<Handle>) =
            (Tensors::with_capacity(n), Vec::with_capacity(n), Vec::new());
        self.handles.begin_census();
        for _ in 0..n {
            let x = r.number()?;
            let h = x.abs() as Handle;
            inputs.push(self.handles.tensor(h)?.clone());
            self.handles.meet(h);
            handles.push((x < 0.0).then_some(h));
            if x < 0.0 {
                donated.push(h);
            }
        }
        let given: Vec<bool> = handles.into_iter().map(|h| h.is_some_and(|h| self.handles.met_once(h))).collect();
        let outs = self.cx.call_giving(&program, &inputs, &given)?;
        drop(inputs);
        let (mut made, mut out) = (Made::with_capacity(outs.len()), Writer::new(scratch));
        for t in outs {
            let cost = self.cost(&t);
            let h = self.handles.insert(Entry::Tensor(t));
            made.push((h, cost));
            out.number(h as f64)?;
        }
        if !donated.is_empty() {
            let meter = self.cx.meter.clone();
            meter.steadily(|| {
                donated.into_iter().try_for_each(|h| {
                    let free = self.handles.met_once(h) && self.handles.tensor(h)?.is_unshared();
                    if free {
                        drop(self.handles.free(h));
                    }
                    out.number(f64::from(u8::from(free)))
                })
            })?;
        }
        Ok(made)
    }

    /// The value of a tensor of one element, but for int64: into the scratch.
    pub fn item(&mut self, h: Handle, scratch: &mut [f64]) -> Result<()> {
        let a = self.cx.array(self.handles.tensor(h)?)?;
        let x = dispatch!(a.dtype, T => a.to_slice::<T>()?.first().map(|x| x.to_f64()));
        Writer::new(scratch).number(x.ok_or_else(|| Error::internal("a tensor without elements has no value"))?)
    }

    /// Runs a program over a mapped axis. Scratch: count, then handle and axis (−1: not mapped) of each declared input, then
    /// count and axis of each result (`NO_AXIS`: not mapped), then the axis's name. Answers, after the descriptions, 1 for
    /// each result that should not be mapped but is.
    pub fn batch(&mut self, program: Handle, size: usize, scratch: &mut [f64]) -> Result<Made> {
        let program = self.handles.program(program)?;
        let mut r = Reader::new(scratch);
        let (mut inputs, mut mapped) = (Vec::new(), Vec::new());
        for _ in 0..r.count()? {
            let (t, axis) = (self.handles.tensor(r.handle()?)?.clone(), r.int()?);
            mapped.push(axis >= 0);
            inputs.push(if axis > 0 { self.cx.move_axis(&t, axis as usize, 0)? } else { t });
        }
        let out_axes: Vec<i64> = (0..r.count()?).map(|_| r.int()).collect::<Result<_>>()?;
        let name = r.text()?;
        inputs.extend(program.captured.iter().cloned());
        mapped.resize(inputs.len(), false);
        let outs = walk::batch(&self.cx, &program, inputs, &mapped, Axis { size, name: &name })?;
        let (mut made, mut out, mut wrong) = (Made::new(), Writer::new(scratch), Vec::new());
        for ((t, mapped), axis) in outs.into_iter().zip(out_axes) {
            wrong.push(mapped && axis == NO_AXIS);
            let t = if axis == NO_AXIS {
                t
            } else {
                let t = if mapped { t } else { self.cx.repeated(&t, size)? };
                let to = if axis < 0 { axis + t.ndim() as i64 } else { axis };
                if !(0..t.ndim() as i64).contains(&to) {
                    return Err(Error::shape(format!("outAxes {axis} for a result of shape {:?}", t.shape())));
                }
                self.cx.move_axis(&t, 0, to as usize)?
            };
            self.give(t, &mut out, &mut made)?;
        }
        for w in wrong {
            out.number(f64::from(u8::from(w)))?;
        }
        Ok(made)
    }

    /// How a program runs: phases, buffers, bytes.
    pub fn plan_text(&self, h: Handle) -> Result<String> {
        Ok(pax_core::plan::text(&self.cx, &*self.handles.program(h)?))
    }
    pub fn program_text(&self, h: Handle) -> Result<String> {
        Ok(self.handles.program(h)?.to_string())
    }
    pub fn program(&self, h: Handle) -> Result<Rc<Program>> {
        self.handles.program(h)
    }

    /// Numbers for `pax.memory()` and the tests. Answers: handles alive, bytes, peak bytes since the last call, depth, equations recorded, rows computed, crossings.
    pub fn stats(&mut self, scratch: &mut [f64]) -> Result<()> {
        let m = &self.cx.meter;
        let mut out = Writer::new(scratch);
        for x in [
            self.handles.alive() as f64,
            m.bytes.get() as f64,
            m.peak.get() as f64,
            self.cx.depth() as f64,
            self.cx.recorded.get() as f64,
            self.cx.evaluated.get() as f64,
            self.crossings as f64,
            m.tensors.get() as f64,
        ] {
            out.number(x)?;
        }
        m.peak.set(m.bytes.get());
        Ok(())
    }

    fn list(&self, r: &mut Reader) -> Result<Vec<Tensor>> {
        let n = r.count()?;
        (0..n).map(|_| self.handles.tensor(r.handle()?).cloned()).collect()
    }
}

enum Given {
    Zero,
    One,
    Tensor(Tensor),
}

fn check(t: &Tensor, a: &Aval, what: &str) -> Result<()> {
    if t.shape() == &a.shape[..] && t.dtype() == a.dtype {
        return Ok(());
    }
    let code = if t.dtype() == a.dtype { Error::shape as fn(String) -> Error } else { Error::dtype as fn(String) -> Error };
    Err(code(format!(
        "the {what} is {}{:?}, its value {}{:?}: both need the same shape and dtype",
        t.dtype().name(),
        t.shape(),
        a.dtype.name(),
        a.shape.as_slice()
    )))
}

fn elements<T: Element>(bytes: &[u8], n: usize) -> Vec<T> {
    let mut out: Vec<T> = Vec::with_capacity(n);
    // SAFETY: the caller checked that there are n elements' bytes; plain numbers take any bit pattern.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), out.as_mut_ptr().cast::<u8>(), std::mem::size_of::<T>() * n);
        out.set_len(n);
    }
    out
}
