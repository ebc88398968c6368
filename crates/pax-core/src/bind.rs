//! The engine's state and the one door to every row: `bind` checks, computes or queues, and records.
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use smallvec::SmallVec;

use crate::exec::{Exec, Pool, Serial};
use crate::level::{Level, Mode, Tape};
use crate::ops::{self, Body};
use crate::program::DEPTH;
use crate::tensor::Slot;
use crate::{Array, Aval, Code, DType, Error, Meter, Params, Program, Result, Row, Tensor};

pub type Tensors = SmallVec<[Tensor; 1]>;

/// Results from this size on are tried before they are computed: a failed allocation inside a kernel ends the process.
const LARGE: usize = 1 << 26;

/// An error where there is no memory for a result.
fn allocatable(a: &Aval) -> Result<()> {
    let bytes = a.size() * a.dtype.size();
    if bytes >= LARGE && Vec::<u8>::new().try_reserve_exact(bytes).is_err() {
        return Err(Error::new(
            Code::Memory,
            format!("no memory for a result of shape {:?}: it takes {} MB", a.shape.as_slice(), bytes >> 20),
        ));
    }
    Ok(())
}

/// An operation whose value nobody has asked for yet.
struct Pending {
    row: &'static Row,
    params: Params,
    inputs: SmallVec<[Tensor; 3]>,
    outputs: Tensors,
}

/// Operations that may wait before the queue runs by itself.
const QUEUE: usize = 4096;

/// The engine of one thread: levels, queue, counters. Everything else is values.
pub struct Cx {
    pub exec: RefCell<Exec>,
    pub meter: Rc<Meter>,
    levels: RefCell<Vec<Level>>,
    queue: RefCell<Vec<Pending>>,
    next_id: Cell<u64>,
    next_level: Cell<u32>,
    /// Rows evaluated and equations recorded so far (tests count them).
    pub evaluated: Cell<u64>,
    pub recorded: Cell<u64>,
}

impl Default for Cx {
    fn default() -> Self {
        Cx::new(Rc::new(Serial))
    }
}

impl Cx {
    pub fn new(pool: Rc<dyn Pool>) -> Cx {
        let meter = Rc::new(Meter::default());
        Cx {
            exec: RefCell::new(Exec { meter: meter.clone(), pool }),
            meter,
            levels: RefCell::default(),
            queue: RefCell::default(),
            next_id: Cell::new(1),
            next_level: Cell::new(1),
            evaluated: Cell::new(0),
            recorded: Cell::new(0),
        }
    }

    pub fn depth(&self) -> usize {
        self.levels.borrow().len()
    }
    pub fn set_pool(&self, pool: Rc<dyn Pool>) {
        self.exec.borrow_mut().pool = pool;
    }
    pub fn exec(&self) -> Exec {
        self.exec.borrow().clone()
    }
    /// True where values are abstract: an abstract level is open.
    pub fn is_abstract(&self) -> bool {
        self.levels.borrow().iter().any(|l| l.mode == Mode::Abstract)
    }

    // ---- making and reading tensors
    fn tensor(&self, aval: Aval, slot: Slot) -> Tensor {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        Tensor::new(&self.meter, id, aval, slot)
    }

    /// A concrete tensor.
    pub fn make(&self, array: Array, weak: bool) -> Tensor {
        let aval = Aval { shape: array.shape.clone(), dtype: array.dtype, weak };
        self.tensor(aval, Slot::Ready(array))
    }

    /// A concrete tensor of f64 values converted to `dtype` (scalars, tests).
    pub fn from_f64(&self, dtype: DType, values: &[f64], shape: &[usize]) -> Tensor {
        let exec = self.exec();
        let array = crate::dispatch!(dtype, T => exec.array_as(dtype, values.iter().map(|&v| <T as crate::dtype::Element>::from_f64(v)).collect::<Vec<T>>(), shape));
        self.make(array, false)
    }

    /// The value of a tensor; runs the queue if it is waiting there.
    pub fn array(&self, t: &Tensor) -> Result<Array> {
        if let Slot::Pending = &*t.0.slot.borrow() {
        } else {
            return self.settled(t);
        }
        self.flush()?;
        self.settled(t)
    }

    fn settled(&self, t: &Tensor) -> Result<Array> {
        match &*t.0.slot.borrow() {
            Slot::Ready(a) => Ok(a.clone()),
            Slot::Abstract(_) => Err(Error::trace("this tensor is abstract: it has a shape and a dtype, but no value to read")),
            Slot::Pending => Err(Error::internal("a queued tensor was not computed")),
            Slot::Failed => Err(Error::value("this tensor's computation failed")),
        }
    }

    /// Which waiting operations someone beside the queue holds an output of, or a wanted operation reads.
    fn wanted(queue: &[Pending]) -> Vec<bool> {
        let mut wanted = vec![false; queue.len()];
        let mut held: std::collections::HashMap<u64, usize> = std::collections::HashMap::new();
        for p in queue {
            for t in p.inputs.iter().chain(&p.outputs) {
                *held.entry(t.id()).or_insert(0) += 1;
            }
        }
        let mut needed: std::collections::HashSet<u64> = std::collections::HashSet::new();
        for (i, p) in queue.iter().enumerate().rev() {
            wanted[i] = p.outputs.iter().any(|t| needed.contains(&t.id()) || Rc::strong_count(&t.0) > held[&t.id()]);
            if wanted[i] {
                needed.extend(p.inputs.iter().map(|t| t.id()));
            }
        }
        wanted
    }

    /// Drops waiting operations that nobody will ask for, and with them the tensors they hold.
    pub fn sweep(&self) {
        let queue = std::mem::take(&mut *self.queue.borrow_mut());
        let wanted = Self::wanted(&queue);
        // Collected first: dropping an operation may drop the last hold on a tensor.
        let (kept, dropped): (Vec<_>, Vec<_>) = queue.into_iter().zip(wanted).partition(|(_, wanted)| *wanted);
        *self.queue.borrow_mut() = kept.into_iter().map(|(p, _)| p).collect();
        drop(dropped);
    }

    /// Runs what waits in the queue; what nobody holds any more is left out.
    pub fn flush(&self) -> Result<()> {
        let queue = std::mem::take(&mut *self.queue.borrow_mut());
        let wanted = Self::wanted(&queue);
        let mut failed = None;
        for (p, wanted) in queue.into_iter().zip(wanted) {
            if !wanted || failed.is_some() {
                for t in &p.outputs {
                    *t.0.slot.borrow_mut() = Slot::Failed;
                }
                continue;
            }
            let values: Result<SmallVec<[Array; 3]>> = p.inputs.iter().map(|t| self.settled(t)).collect();
            drop(p.inputs);
            match values.and_then(|v| self.eval(p.row, &p.params, v)) {
                Ok(arrays) => {
                    for (t, a) in p.outputs.iter().zip(arrays) {
                        *t.0.slot.borrow_mut() = Slot::Ready(a);
                    }
                }
                Err(e) => {
                    for t in &p.outputs {
                        *t.0.slot.borrow_mut() = Slot::Failed;
                    }
                    failed = Some(e);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    pub(crate) fn count_evaluated(&self) {
        self.evaluated.set(self.evaluated.get() + 1);
    }

    /// Computes a row now.
    pub fn eval(&self, row: &'static Row, params: &Params, inputs: SmallVec<[Array; 3]>) -> Result<SmallVec<[Array; 1]>> {
        self.evaluated.set(self.evaluated.get() + 1);
        match &row.body {
            Body::Primitive(p) => (p.eval)(&self.exec(), params, &inputs).map_err(|e| e.at(row.name)),
            Body::Composite(c) => match c.fused {
                Some(f) => f(&self.exec(), params, &inputs).map_err(|e| e.at(row.name)),
                None => Err(Error::internal(format!("{} has no eval of its own", row.name))),
            },
            Body::Program(o) => (o.eval)(self, params, inputs.into_vec()).map_err(|e| e.at(row.name)),
        }
    }

    // ---- the door
    /// Applies a row to operands that already have the shapes and dtypes it demands.
    pub fn bind(&self, row: &'static Row, params: Params, inputs: &[Tensor]) -> Result<Tensors> {
        self.check_alive(inputs)?;
        if let Body::Composite(c) = &row.body {
            // One with a derivative of its own is recorded as a whole.
            let whole = c.fused.is_some() && (self.depth() == 0 || matches!(row.vjp, ops::Vjp::Rule(_)));
            if !whole {
                return self.expand(row, c, &params, inputs);
            }
        }
        let avals: SmallVec<[&Aval; 3]> = inputs.iter().map(|t| t.aval()).collect();
        let shapes = row.results(&avals, &params)?;
        if let Body::Program(o) = &row.body {
            return self.bind_owner(row, o, params, inputs, shapes);
        }
        let outputs = self.results(row, &params, inputs, shapes)?;
        self.record(row, &params, inputs, &outputs);
        if self.queue.borrow().len() >= QUEUE {
            self.flush()?;
        }
        Ok(outputs)
    }

    /// Each level that differentiates the row records a form with residuals of its own. What an inner level keeps is
    /// a result to the outer ones (second derivatives run through it), so each form is made of the one before.
    fn bind_owner(
        &self,
        row: &'static Row,
        owner: &ops::Owner,
        mut params: Params,
        inputs: &[Tensor],
        mut shapes: SmallVec<[Aval; 1]>,
    ) -> Result<Tensors> {
        let avals: SmallVec<[&Aval; 3]> = inputs.iter().map(|t| t.aval()).collect();
        let (wanted, float) = (shapes.len(), shapes.iter().any(|a| a.dtype.is_float()));
        // The level, and how many results the form that it records has.
        let mut records: SmallVec<[(usize, Params, usize); 2]> = SmallVec::new();
        for at in (0..self.depth()).rev() {
            let (mode, active): (Mode, Vec<bool>) = {
                let level = &self.levels.borrow()[at];
                (level.mode, inputs.iter().map(|t| t.dtype().is_float() && level.var(t).is_some()).collect())
            };
            if mode == Mode::Diff {
                if !float || !active.contains(&true) {
                    continue;
                }
                params = (owner.forward)(self, &params, &active).map_err(|e| e.at(row.name))?;
                shapes = row.results(&avals, &params)?;
            }
            records.push((at, params.clone(), shapes.len()));
            if mode == Mode::Abstract {
                break;
            }
        }
        let mut outputs = self.results(row, &params, inputs, shapes)?;
        for (at, p, n) in &records {
            self.levels.borrow_mut()[*at].record(row, p, inputs, &outputs[..*n]);
            self.recorded.set(self.recorded.get() + 1);
        }
        if self.queue.borrow().len() >= QUEUE {
            self.flush()?;
        }
        outputs.truncate(wanted);
        Ok(outputs)
    }

    fn results(&self, row: &'static Row, params: &Params, inputs: &[Tensor], shapes: SmallVec<[Aval; 1]>) -> Result<Tensors> {
        for a in &shapes {
            allocatable(a).map_err(|e| e.at(row.name))?;
        }
        let abstract_level = self.levels.borrow().iter().rev().find(|l| l.mode == Mode::Abstract).map(|l| l.serial);
        if let Some(serial) = abstract_level {
            return Ok(shapes.into_iter().map(|a| self.tensor(a, Slot::Abstract(serial))).collect());
        }
        if self.depth() > 0 {
            let outputs: Tensors = shapes.into_iter().map(|a| self.tensor(a, Slot::Pending)).collect();
            self.queue.borrow_mut().push(Pending {
                row,
                params: params.clone(),
                inputs: inputs.iter().cloned().collect(),
                outputs: outputs.clone(),
            });
            return Ok(outputs);
        }
        // What a finished recording left waiting is computed or dropped before anything new is made.
        if !self.queue.borrow().is_empty() {
            self.flush()?;
        }
        let values: Result<SmallVec<[Array; 3]>> = inputs.iter().map(|t| self.array(t)).collect();
        let arrays = self.eval(row, params, values?)?;
        debug_assert!(arrays.iter().zip(&shapes).all(|(a, s)| a.shape == s.shape && a.dtype == s.dtype), "{}: {:?}", row.name, shapes);
        Ok(arrays.into_iter().zip(shapes).map(|(a, s)| self.tensor(s, Slot::Ready(a))).collect())
    }

    /// Writes an operation on every level that wants it, from the innermost outward to the first abstract one.
    fn record(&self, row: &'static Row, params: &Params, inputs: &[Tensor], outputs: &[Tensor]) {
        for level in self.levels.borrow_mut().iter_mut().rev() {
            match level.mode {
                Mode::Abstract => {
                    level.record(row, params, inputs, outputs);
                    self.recorded.set(self.recorded.get() + 1);
                    return;
                }
                Mode::Diff => {
                    let active = row.differentiable()
                        && inputs.iter().any(|t| level.var(t).is_some())
                        && outputs.iter().any(|t| t.dtype().is_float());
                    if active {
                        level.record(row, params, inputs, outputs);
                        self.recorded.set(self.recorded.get() + 1);
                    }
                }
            }
        }
    }

    fn expand(&self, row: &'static Row, c: &ops::Composite, params: &Params, inputs: &[Tensor]) -> Result<Tensors> {
        let starts: SmallVec<[usize; 4]> = self.levels.borrow().iter().map(|l| l.program.equations.len()).collect();
        let out = (c.expand)(self, params, inputs).map_err(|e| e.at(row.name))?;
        for (level, start) in self.levels.borrow_mut().iter_mut().zip(starts) {
            level.group(row.name, start);
        }
        Ok(out)
    }

    /// True if a level that is open knows this tensor, or made it.
    pub fn belongs(&self, t: &Tensor) -> bool {
        t.abstract_level().is_some() || self.levels.borrow().iter().any(|l| l.var(t).is_some())
    }
    /// True if an open level of this mode knows this tensor.
    pub fn known_to(&self, t: &Tensor, mode: Mode) -> bool {
        self.levels.borrow().iter().any(|l| l.mode == mode && l.var(t).is_some())
    }

    /// Calls a program on inputs that its caller gives away where `given` says so: results may lie over those that nobody but
    /// the caller and `inputs` holds. Should the call fail, what was given is gone.
    pub fn call_giving(&self, program: &Rc<Program>, inputs: &[Tensor], given: &[bool]) -> Result<Tensors> {
        let (row, params) = (&ops::programs::call::CALL, Params::new(ops::programs::call::CALL.params, [program.clone().into()])?);
        if self.depth() > 0 || !given.contains(&true) {
            return self.apply(row, params, inputs);
        }
        if !self.queue.borrow().is_empty() {
            self.flush()?;
        }
        self.check_alive(inputs)?;
        self.check_alive(&program.captured)?;
        let shapes = row.results(&inputs.iter().chain(&program.captured).map(|t| t.aval()).collect::<Vec<_>>(), &params)?;
        for a in &shapes {
            allocatable(a).map_err(|e| e.at(row.name))?;
        }
        let mut values: SmallVec<[Array; 3]> = SmallVec::with_capacity(inputs.len());
        for (i, t) in inputs.iter().chain(&program.captured).enumerate() {
            let free = given.get(i) == Some(&true) && Rc::strong_count(&t.0) <= 2;
            let a = self.array(t)?;
            if free {
                *t.0.slot.borrow_mut() = Slot::Failed;
            }
            values.push(a);
        }
        let arrays = self.eval(row, &params, values)?;
        Ok(arrays.into_iter().zip(shapes).map(|(a, s)| self.tensor(s, Slot::Ready(a))).collect())
    }

    fn check_alive(&self, inputs: &[Tensor]) -> Result<()> {
        for t in inputs {
            if let Some(serial) = t.abstract_level() {
                if !self.levels.borrow().iter().any(|l| l.serial == serial) {
                    return Err(Error::trace(
                        "a tensor of a transformed function was used after that function ended: return it instead of keeping it",
                    ));
                }
            }
        }
        Ok(())
    }

    // ---- levels
    /// Opens a level. `inputs` become new tensors that the level knows.
    pub fn begin(&self, mode: Mode, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        self.check_alive(inputs)?;
        let serial = self.next_level.get();
        self.next_level.set(serial + 1);
        let mut level = Level::new(serial, mode);
        let fresh: Vec<Tensor> = match mode {
            Mode::Abstract => inputs.iter().map(|t| self.tensor(t.aval().clone(), Slot::Abstract(serial))).collect(),
            Mode::Diff => inputs.iter().map(|t| self.alias(t)).collect::<Result<_>>()?,
        };
        for t in &fresh {
            level.input(t);
        }
        self.levels.borrow_mut().push(level);
        Ok(fresh)
    }

    /// Opens an abstract level whose inputs have the given shapes and dtypes.
    pub fn begin_abstract(&self, avals: &[Aval]) -> Vec<Tensor> {
        let serial = self.next_level.get();
        self.next_level.set(serial + 1);
        let mut level = Level::new(serial, Mode::Abstract);
        let fresh: Vec<Tensor> = avals.iter().map(|a| self.tensor(a.clone(), Slot::Abstract(serial))).collect();
        for t in &fresh {
            level.input(t);
        }
        self.levels.borrow_mut().push(level);
        fresh
    }

    /// A new tensor with the value of `t`, known to the same levels under the same variables.
    fn alias(&self, t: &Tensor) -> Result<Tensor> {
        let slot = match t.abstract_level() {
            Some(l) => Slot::Abstract(l),
            None => Slot::Ready(self.array(t)?),
        };
        let fresh = self.tensor(t.aval().clone(), slot);
        for level in self.levels.borrow_mut().iter_mut() {
            if let Some(v) = level.var(t) {
                level.name(&fresh, v);
            }
        }
        Ok(fresh)
    }

    fn pop(&self, mode: Mode) -> Result<Level> {
        let level = self.levels.borrow_mut().pop().ok_or_else(|| Error::internal("end without begin"))?;
        if level.mode != mode {
            return Err(Error::internal("levels ended out of order"));
        }
        Ok(level)
    }

    /// Ends an abstract level and gives its program; `captured` tensors are its last inputs.
    pub fn end_abstract(&self, outputs: &[Tensor]) -> Result<Program> {
        self.check_alive(outputs)?;
        let mut level = self.pop(Mode::Abstract)?;
        if level.program.depth > DEPTH {
            return Err(Error::trace(format!(
                "more than {DEPTH} recorded functions lie within one another (jit, scan, cond, \
                whileLoop, checkpoint, customVjp): repeat a function with scan or foriLoop, or wrap it once"
            )));
        }
        level.program.outputs = level.outputs(outputs).into_iter().flatten().collect();
        let mut program = level.program;
        program.dead_code();
        Ok(program)
    }

    /// Ends a recording for derivatives.
    pub fn end_diff(&self, outputs: &[Tensor]) -> Result<Tape> {
        let mut level = self.pop(Mode::Diff)?;
        let results = level.outputs(outputs);
        level.program.outputs = results.iter().flatten().copied().collect();
        level.program.dead_code();
        let mut live = vec![false; level.program.avals.len()];
        for e in &level.program.equations {
            for (i, &v) in e.inputs.iter().enumerate() {
                live[v as usize] |= e.row.saves.input(i, &e.params);
            }
            for (i, &v) in e.outputs.iter().enumerate() {
                live[v as usize] |= e.row.saves.output(i, &e.params);
            }
        }
        for (slot, live) in level.saved.iter_mut().zip(live) {
            if !live {
                *slot = None;
            }
        }
        Ok(Tape { program: level.program, saved: level.saved, results, result_avals: outputs.iter().map(|t| t.aval().clone()).collect() })
    }

    /// Leaves levels that an exception interrupted.
    pub fn unwind(&self, depth: usize) {
        // Taken out first: tensors that a level saved must not be dropped while the levels are borrowed.
        let gone = {
            let mut levels = self.levels.borrow_mut();
            let at = depth.min(levels.len());
            levels.split_off(at)
        };
        drop(gone);
        self.sweep();
    }
}
