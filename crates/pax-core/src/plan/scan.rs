//! A plan run over and over: what does not change from step to step is made once, slices are read where they lie, and what is
//! stacked is written where it belongs.
use super::view::{Place, Slot};
use super::{Plan, Step, Values};
use crate::array::Walk;
use crate::{dispatch, Array, Cx, DType, Result};

/// How the operands of a scan are divided, and which way it goes. `tested`: the result behind the carry says whether another step follows.
pub struct Course {
    pub carry: usize,
    pub scanned: usize,
    pub length: usize,
    pub reverse: bool,
    pub tested: bool,
}

/// Where an output is after a step.
#[derive(Clone, Copy)]
enum Way {
    /// Its slot is the target.
    There,
    /// The slot of an earlier output, which is there already.
    As(usize),
    /// Copied out of what the step made.
    Copied,
}

impl Plan {
    /// Runs `length` steps on the operands of a scan.
    pub fn scan(&self, cx: &Cx, xs: Vec<Array>, s: &Course, outs: &[crate::Aval]) -> Result<Vec<Array>> {
        self.with_arena(cx, |arena| self.all_steps(cx, xs, s, outs, arena))
    }

    /// What chunks make outside of the arena, each with the input that it may lie over.
    fn makes(&self) -> impl Iterator<Item = (Slot, Option<Slot>)> + '_ {
        self.phases.iter().flat_map(|p| if let Step::Chunks { makes, .. } = &p.step { &makes[..] } else { &[] }).copied()
    }

    /// For each output how it gets to its target.
    fn ways(&self, s: &Course) -> Vec<Way> {
        let slot = |i: usize| match &self.outputs[i] {
            Place::View(v)
                if v.offset == 0
                    && v.is_contiguous()
                    && v.size() == self.sizes[v.slot].0
                    && self.makes().any(|(slot, _)| slot == v.slot) =>
            {
                Some(v.slot)
            }
            _ => None,
        };
        // Stacked outputs first: a carry is read where its stack has it.
        let order = || (s.carry..self.outputs.len()).chain(0..s.carry);
        let mut ways = vec![Way::Copied; self.outputs.len()];
        for i in order() {
            let Some(at) = slot(i) else { continue };
            ways[i] = match order().take_while(|&j| j != i).find(|&j| slot(j) == Some(at)) {
                Some(j) => Way::As(j),
                None => Way::There,
            };
        }
        ways
    }

    fn all_steps(&self, cx: &Cx, xs: Vec<Array>, s: &Course, outs: &[crate::Aval], arena: *mut u8) -> Result<Vec<Array>> {
        let exec = cx.exec();
        let mut values = self.start(arena)?;
        let xs: Vec<Array> = xs.into_iter().map(|a| exec.contiguous(a)).collect();
        for (a, slot) in xs.iter().zip(&self.inputs).skip(s.carry + s.scanned) {
            if let Some(slot) = slot {
                values.put(*slot, a.clone());
            }
        }
        let ways = self.ways(s);
        let slots: Vec<Option<Slot>> = self.outputs.iter().map(|p| if let Place::View(v) = p { Some(v.slot) } else { None }).collect();
        // A step may change a carry where it lies, if it reads it nowhere else and no other carry lies there.
        let changed: Vec<bool> = (0..s.carry)
            .map(|i| {
                let over = |(slot, over): (Slot, Option<Slot>)| slots[i] == Some(slot) && over.is_some() && over == self.inputs[i];
                let alone = !ways[..s.carry].iter().any(|w| matches!(w, Way::As(j) if *j == i));
                matches!(ways[i], Way::There) && alone && self.makes().any(over)
            })
            .collect();
        // Stacks, and two buffers for each carry: a step reads one and writes the other.
        let fresh = |aval: &crate::Aval| {
            let a = exec.empty(aval.dtype, &aval.shape);
            let p = a.address();
            (a, p)
        };
        let targets: Vec<(Array, *mut u8)> = outs.iter().map(fresh).collect();
        let other: Vec<(Array, *mut u8)> =
            outs[..s.carry].iter().enumerate().map(|(i, aval)| if changed[i] { targets[i].clone() } else { fresh(aval) }).collect();
        for (slot, _) in self.makes() {
            if !(0..ways.len()).any(|i| slots[i] == Some(slot) && matches!(ways[i], Way::There)) {
                let (size, dtype) = self.sizes[slot];
                values.make(&exec, slot, size, dtype);
            }
        }
        // Rows that run by themselves take arrays: what they read of a step lies in one of these.
        let rows = self.phases.iter().any(|p| matches!(p.step, Step::Row(_)));
        let held: Vec<Array> = if rows { xs.iter().chain(targets.iter().chain(&other).map(|t| &t.0)).cloned().collect() } else { vec![] };
        let put = |values: &mut Values, slot: Slot, p: *mut u8| {
            values.bases[slot] = p;
            if rows {
                let (size, dtype) = self.sizes[slot];
                let at = |a: &Array| (p as usize).wrapping_sub(a.address() as usize);
                let found = held.iter().find(|a| a.dtype == dtype && at(a) < a.size() * dtype.size()).filter(|_| size > 0);
                let lying = |a: &Array| a.view(&[], &[], a.offset + at(a) / dtype.size());
                values.arrays[slot] = Some(found.map_or_else(|| exec.empty(dtype, &[0]), lying));
            }
        };
        let slice = |i: usize| xs[i].buffer_step(s.length);
        let mut carry: Vec<*mut u8> = xs[..s.carry].iter().map(Array::address).collect();
        let scanned: Vec<(*mut u8, usize)> = (s.carry..s.carry + s.scanned).map(|i| (xs[i].address(), slice(i))).collect();
        let step_bytes: Vec<usize> = outs
            .iter()
            .enumerate()
            .map(|(i, a)| if i < s.carry || s.tested || s.length == 0 { 0 } else { a.size() / s.length * a.dtype.size() })
            .collect();
        let mut to: Vec<*mut u8> = vec![std::ptr::null_mut(); outs.len()];
        for k in 0..s.length {
            let t = if s.reverse { s.length - 1 - k } else { k };
            for (i, &p) in carry.iter().enumerate() {
                if let Some(slot) = self.inputs[i] {
                    put(&mut values, slot, p);
                }
            }
            for (i, &(p, size)) in scanned.iter().enumerate() {
                if let Some(slot) = self.inputs[s.carry + i] {
                    put(&mut values, slot, p.wrapping_add(t * size));
                }
            }
            // Of the two buffers of a carry the one that this step does not read.
            let target = |i: usize| {
                if i >= s.carry {
                    targets[i].1.wrapping_add(t * step_bytes[i])
                } else if carry[i] == targets[i].1 {
                    other[i].1
                } else {
                    targets[i].1
                }
            };
            to.iter_mut().enumerate().for_each(|(i, p)| *p = target(i));
            for (i, w) in ways.iter().enumerate() {
                if let (Way::There, Some(slot)) = (w, slots[i]) {
                    put(&mut values, slot, to[i]);
                }
            }
            for (i, phase) in self.phases.iter().enumerate() {
                if phase.fixed && k > 0 {
                    continue;
                }
                self.profile.time(i, || match &phase.step {
                    Step::Chunks { chunks, .. } => {
                        cx.count_evaluated();
                        chunks.run(&*exec.pool, &values.bases);
                        Ok(())
                    }
                    Step::Row(c) => {
                        values.run(cx, c)?;
                        // A result may be an operand, which this step may change.
                        for &slot in &c.outputs {
                            if let Some(a) = values.arrays[slot].take_if(|a| held.iter().any(|h| a.shares(h))) {
                                values.put(slot, exec.copied(&a));
                            }
                        }
                        Ok(())
                    }
                })?;
            }
            self.profile.end(self);
            for (i, w) in ways.iter().enumerate() {
                match w {
                    Way::Copied => self.copy_out(&values, i, outs[i].dtype, to[i]),
                    // A stack gets a copy of its own, a carry is read where the other is.
                    Way::As(j) if i >= s.carry => copy(to[*j], to[i], step_bytes[i]),
                    _ => {}
                }
            }
            for (i, c) in carry.iter_mut().enumerate() {
                *c = match ways[i] {
                    Way::As(j) => to[j],
                    _ => to[i],
                };
            }
            // SAFETY: the test's result is a bool, a byte.
            if s.tested && unsafe { *to[s.carry] } == 0 {
                break;
            }
        }
        // The last carry goes into its result.
        for (i, &p) in carry.iter().enumerate() {
            if p != targets[i].1 {
                copy(p, targets[i].1, outs[i].size() * outs[i].dtype.size());
            }
        }
        Ok(targets.into_iter().map(|t| t.0).collect())
    }

    /// Copies output `i` out of what a step made.
    fn copy_out(&self, values: &Values, i: usize, dtype: DType, to: *mut u8) {
        match &self.outputs[i] {
            Place::Constant { value, shape, .. } => dispatch!(dtype, T => {
                // SAFETY: the target has the output's elements.
                unsafe { std::slice::from_raw_parts_mut(to.cast::<T>(), shape.iter().product()) }.fill(<T as crate::dtype::Element>::from_f64(*value));
            }),
            Place::View(v) => {
                let start = values.bases[v.slot].wrapping_offset(v.offset * dtype.size() as isize);
                // SAFETY: the view's elements lie in its slot, and the target has as many.
                unsafe { Walk::new(start, dtype.size(), &v.shape, &v.strides).copy(0, v.size(), to) };
            }
        }
    }
}

fn copy(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: both are buffers of the scan with so many bytes; they are different ones.
    unsafe { std::ptr::copy_nonoverlapping(from, to, bytes) }
}
