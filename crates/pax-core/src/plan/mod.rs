//! Plans: programs made ready to run. Calls are inlined, views cost nothing, element-wise chains are loops over tiles that
//! stay in the first cache, buffers die with their last use and are used again. See `docs/engine.md`.
mod build;
mod loops;
mod rewrite;

use smallvec::SmallVec;

use crate::array::row_major;
use crate::{dispatch, Array, Cx, DType, Dims, Error, Params, Program, Result, Row};
use loops::Loop;
pub use rewrite::rewrite;

/// A buffer of one run.
type Slot = usize;

/// How a value lies in a slot.
#[derive(Clone, Debug)]
struct View { slot: Slot, shape: Dims, strides: SmallVec<[isize; 6]>, offset: isize }

impl View {
    fn whole(slot: Slot, shape: &[usize]) -> View { View { slot, shape: shape.into(), strides: row_major(shape), offset: 0 } }
    fn is_contiguous(&self) -> bool {
        let mut expected = 1isize;
        self.shape.iter().zip(&self.strides).rev().all(|(&n, &s)| { let fits = n == 1 || s == expected; expected *= n as isize; fits }) || self.shape.contains(&0)
    }
}

/// Where a step finds a value.
#[derive(Clone, Debug)]
enum Place { View(View), Constant { value: f64, dtype: DType, shape: Dims } }

/// A row that runs by itself.
struct Call { row: &'static Row, params: Params, inputs: SmallVec<[Place; 3]>, outputs: SmallVec<[Slot; 1]> }

enum Step { Loop(Loop), Row(Box<Call>) }

pub struct Plan {
    steps: Vec<Step>,
    /// Slots that die with each step.
    drops: Vec<SmallVec<[Slot; 2]>>,
    slots: usize,
    /// The slot of each input, if it is read.
    inputs: Vec<Option<Slot>>,
    outputs: Vec<Place>,
}

/// What the slots hold while a plan runs.
struct Values { arrays: Vec<Option<Array>> }

impl Values {
    fn at(&self, slot: Slot) -> Result<&Array> { self.arrays[slot].as_ref().ok_or_else(|| Error::internal("a plan reads a buffer that is gone")) }
    fn view(&self, v: &View) -> Result<Array> {
        let base = self.at(v.slot)?;
        Ok(base.view(&v.shape, &v.strides, (base.offset as isize + v.offset) as usize))
    }
    fn place(&self, cx: &Cx, p: &Place) -> Result<Array> {
        match p {
            Place::View(v) => self.view(v),
            Place::Constant { value, dtype, shape } => {
                let exec = cx.exec();
                let one = dispatch!(*dtype, T => exec.array_as(*dtype, vec![<T as crate::dtype::Element>::from_f64(*value)], &[]));
                Ok(one.view(shape, &vec![0; shape.len()], 0))
            }
        }
    }
}

impl Plan {
    pub fn new(program: &Program) -> Plan { build::build(program) }

    pub fn run(&self, cx: &Cx, inputs: impl ExactSizeIterator<Item = Array>) -> Result<SmallVec<[Array; 1]>> {
        if inputs.len() != self.inputs.len() { return Err(Error::internal("a program was run with another number of inputs")); }
        cx.meter.steadily(|| self.steps(cx, inputs))
    }

    fn steps(&self, cx: &Cx, inputs: impl ExactSizeIterator<Item = Array>) -> Result<SmallVec<[Array; 1]>> {
        let exec = cx.exec();
        let mut values = Values { arrays: vec![None; self.slots] };
        for (a, slot) in inputs.zip(&self.inputs) {
            if let Some(s) = slot { values.arrays[*s] = Some(a.to_contiguous(&exec.meter)?); }
        }
        for (step, drops) in self.steps.iter().zip(&self.drops) {
            match step {
                Step::Loop(l) => { cx.count_evaluated(); l.run(&exec, &mut values)? }
                Step::Row(c) => {
                    let args: Result<SmallVec<[Array; 3]>> = c.inputs.iter().map(|p| values.place(cx, p)).collect();
                    for (&slot, a) in c.outputs.iter().zip(cx.eval(c.row, &c.params, args?)?) { values.arrays[slot] = Some(a.to_contiguous(&exec.meter)?); }
                }
            }
            for &slot in drops { values.arrays[slot] = None; }
        }
        self.outputs.iter().map(|p| values.place(cx, p)).collect()
    }
}
