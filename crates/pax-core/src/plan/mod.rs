//! Plans: programs made ready to run. Calls are inlined, views cost nothing, kernels share phases whose chunks run on their own
//! part of the data, buffers lie in one arena and die with their last use. See `docs/compiler.md`.
mod build;
mod rewrite;
mod scan;
mod show;
mod view;

use smallvec::SmallVec;

use crate::exec::Exec;
use crate::{Array, Cx, DType, Error, Params, Program, Result, Row};
use pax_kernels::chunk::{self as kernels, Chunks};
pub use rewrite::rewrite;
pub use scan::Course;
use view::{Place, Slot, View};

/// A row that runs by itself.
struct Call {
    row: &'static Row,
    params: Params,
    inputs: SmallVec<[Place; 3]>,
    outputs: SmallVec<[Slot; 1]>,
}

/// `makes`: arrays that the chunks fill, each over an input if nobody else holds that.
enum Step {
    Chunks { chunks: Chunks, makes: SmallVec<[(Slot, Option<Slot>); 2]> },
    Row(Box<Call>),
}

/// `drops`: arrays that nobody reads any more behind it.
/// `label`: what its kernels do, for people. `fixed`: it gives the same in every step of a scan.
struct Phase {
    step: Step,
    drops: SmallVec<[Slot; 2]>,
    label: String,
    fixed: bool,
}

/// Where a slot lies.
#[derive(Clone)]
enum Home {
    Input,
    Constant(Array),
    /// In an array of its own: results, and what rows that run by themselves make or read.
    Array,
    Arena(usize),
    /// In the memory of each chunk.
    Chunk,
}

pub struct Plan {
    phases: Vec<Phase>,
    homes: Vec<Home>,
    /// Elements and dtype of each slot.
    sizes: Vec<(usize, DType)>,
    /// The slot of each input, if it is read.
    inputs: Vec<Option<Slot>>,
    outputs: Vec<Place>,
    /// Bytes that the phases share, and floats that a thread needs for itself.
    arena: usize,
    own: usize,
    profile: show::Profile,
}

/// What the slots hold while a plan runs.
struct Values {
    arrays: Vec<Option<Array>>,
    bases: Vec<*mut u8>,
}

impl Values {
    fn view(&self, v: &View) -> Result<Array> {
        let base = self.arrays[v.slot].as_ref().ok_or_else(|| Error::internal("a plan reads a buffer that is gone"))?;
        Ok(base.view(&v.shape, &v.strides, (base.offset as isize + v.offset) as usize))
    }
    fn place(&self, exec: &Exec, p: &Place) -> Result<Array> {
        match p {
            Place::View(v) => self.view(v),
            Place::Constant { value, dtype, shape } => Ok(exec.scalar(*dtype, *value).view(shape, &vec![0; shape.len()], 0)),
        }
    }
    fn make(&mut self, exec: &Exec, slot: Slot, size: usize, dtype: DType) {
        let a = exec.empty(dtype, &[size]);
        self.bases[slot] = a.address();
        self.arrays[slot] = Some(a);
    }
    fn put(&mut self, slot: Slot, a: Array) {
        self.bases[slot] = a.address();
        self.arrays[slot] = Some(a);
    }
    /// Runs a row that runs by itself.
    fn run(&mut self, cx: &Cx, c: &Call) -> Result<()> {
        let exec = cx.exec();
        let args: Result<SmallVec<[Array; 3]>> = c.inputs.iter().map(|p| self.place(&exec, p)).collect();
        for (&slot, a) in c.outputs.iter().zip(cx.eval(c.row, &c.params, args?)?) {
            self.put(slot, exec.contiguous(a));
        }
        Ok(())
    }
}

/// A program's plan, for people.
pub fn text(cx: &Cx, program: &Program) -> String {
    program.plan.get_or_init(|| Plan::new(cx, program, None)).to_string()
}

impl Plan {
    /// `fixed`: the first of the inputs that are the same in every step, for the body of a scan.
    pub fn new(cx: &Cx, program: &Program, fixed: Option<usize>) -> Plan {
        build::build(cx, program, fixed)
    }

    pub fn run(&self, cx: &Cx, inputs: impl ExactSizeIterator<Item = Array>) -> Result<SmallVec<[Array; 1]>> {
        if inputs.len() != self.inputs.len() {
            return Err(Error::internal("a program was run with another number of inputs"));
        }
        self.with_arena(cx, |arena| self.steps(cx, inputs, arena))
    }

    /// Runs `f` with the plan's memory.
    fn with_arena<R>(&self, cx: &Cx, f: impl FnOnce(*mut u8) -> Result<R>) -> Result<R> {
        let floats = if self.arena > 0 { self.arena / 4 + 16 } else { 0 };
        cx.meter.room(self.own)?;
        cx.meter.steadily(|| cx.meter.with_arena(floats, |arena| f(kernels::aligned(arena))))?
    }

    /// Bases of what lies there from the start.
    fn start(&self, arena: *mut u8) -> Result<Values> {
        let n = self.homes.len();
        // An array is large, and `vec![None; n]` would copy each of its bytes.
        let mut values = Values { arrays: std::iter::repeat_with(|| None).take(n).collect(), bases: vec![std::ptr::null_mut(); n] };
        for (slot, home) in self.homes.iter().enumerate() {
            match home {
                Home::Arena(at) => values.bases[slot] = arena.wrapping_add(*at),
                Home::Constant(a) => values.put(slot, a.clone()),
                _ => {}
            }
        }
        Ok(values)
    }

    fn steps(&self, cx: &Cx, inputs: impl ExactSizeIterator<Item = Array>, arena: *mut u8) -> Result<SmallVec<[Array; 1]>> {
        let exec = cx.exec();
        let mut values = self.start(arena)?;
        for (a, slot) in inputs.zip(&self.inputs) {
            if let Some(s) = slot {
                values.put(*s, exec.contiguous(a));
            }
        }
        for (i, phase) in self.phases.iter().enumerate() {
            self.profile.time(i, || match &phase.step {
                Step::Chunks { chunks, makes } => {
                    cx.count_evaluated();
                    for &(slot, over) in makes {
                        let (size, dtype) = self.sizes[slot];
                        match over.and_then(|i| values.arrays[i].take_if(|a| a.is_unique() && a.size() == size)) {
                            Some(a) => values.put(slot, a),
                            None => values.make(&exec, slot, size, dtype),
                        }
                    }
                    chunks.run(&*exec.pool, &values.bases);
                    Ok(())
                }
                Step::Row(c) => values.run(cx, c),
            })?;
            for &slot in &phase.drops {
                values.arrays[slot] = None;
            }
        }
        self.profile.end(self);
        // Counted: a `Result` that is collected grows step by step.
        let mut outputs = SmallVec::with_capacity(self.outputs.len());
        for p in &self.outputs {
            outputs.push(values.place(&exec, p)?);
        }
        Ok(outputs)
    }
}
