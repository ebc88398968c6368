//! Which values are made again where they are read, from values that lie in memory anyway, instead of being kept: the backward
//! pass of a network reads much that its forward pass made on the way.
use smallvec::SmallVec;

use super::tiles::{cost, tile_of};
use super::VIEWS;
use crate::exec::cpu::tile::Simd;
use crate::program::Equation;
use crate::{DType, Program, Var};

/// Smaller values are kept: they stay in the cache.
const SIZE: usize = 1 << 12;
/// Nanoseconds an element: what costs more is kept.
const COST: f64 = 0.3;
/// A number that is repeated so often costs nothing to read.
const REPEATED: usize = 8;

/// What makes a value; `Repeated`: few elements, each often.
#[derive(Clone, Copy, PartialEq)]
enum Made {
    Input,
    Loop,
    Kernel,
    Repeated,
    Moved,
}

/// `depth`: how many kernels lie before it, one behind the other. `whole`: something other than a loop reads it, so that it lies in memory;
/// `far`: a loop behind further kernels reads it, and so it does, too. `last`: the last equation that reads it.
#[derive(Clone, Copy)]
struct Known {
    made: Made,
    depth: usize,
    whole: bool,
    far: bool,
    last: usize,
}

/// How a value could be made again: what it costs, and of what that lies in memory.
struct Way {
    price: f64,
    of: SmallVec<[Var; 4]>,
}

/// For each variable of a flat program whether it is made again.
pub(super) fn again(p: &Program, simd: Simd) -> Vec<bool> {
    let mut known = vec![Known { made: Made::Input, depth: 0, whole: false, far: false, last: 0 }; p.avals.len()];
    for (i, e) in p.equations.iter().enumerate() {
        let moves = e.row.name == "full" || VIEWS.contains(&e.row.name);
        let repeats =
            e.row.name == "full" || e.row.name == "broadcast" && p.aval(e.inputs[0]).size() * REPEATED <= p.aval(e.outputs[0]).size();
        let looped = !moves && e.outputs.len() == 1 && tile_of(e, &p.avals, simd).is_some();
        let made = if repeats {
            Made::Repeated
        } else if moves {
            Made::Moved
        } else if looped {
            Made::Loop
        } else {
            Made::Kernel
        };
        let depth = e.inputs.iter().map(|&v| known[v as usize].depth).max().unwrap_or(0) + usize::from(made == Made::Kernel);
        for &v in &e.inputs {
            let k = &mut known[v as usize];
            k.last = i;
            k.whole |= !looped;
            k.far |= looped && depth > k.depth;
        }
        for &v in &e.outputs {
            (known[v as usize].made, known[v as usize].depth) = (made, depth);
        }
    }
    for &v in &p.outputs {
        (known[v as usize].whole, known[v as usize].last) = (true, usize::MAX);
    }
    let mut ways: Vec<Option<Way>> = (0..p.avals.len()).map(|_| None).collect();
    for e in &p.equations {
        let [out] = e.outputs[..] else { continue };
        let (aval, k) = (p.aval(out), known[out as usize]);
        if k.made == Made::Loop && !k.whole && aval.size() >= SIZE && matches!(aval.dtype, DType::F32 | DType::F64) {
            ways[out as usize] = way(e, &known, &ways);
        }
    }
    let mut again = vec![false; p.avals.len()];
    for e in p.equations.iter().rev() {
        let [out] = e.outputs[..] else { continue };
        again[out as usize] = ways[out as usize].is_some() && (again[out as usize] || known[out as usize].far);
        if again[out as usize] {
            for &v in &e.inputs {
                again[v as usize] = ways[v as usize].is_some();
            }
        }
    }
    again
}

/// Of what lies in memory one at most would stay longer for it, in its place.
fn way(e: &Equation, known: &[Known], ways: &[Option<Way>]) -> Option<Way> {
    let mut made = Way { price: cost(e.row.name), of: SmallVec::new() };
    for &v in &e.inputs {
        let x = known[v as usize];
        match &ways[v as usize] {
            Some(w) => {
                made.price += w.price;
                made.of.extend(w.of.iter().copied());
            }
            None if x.made == Made::Repeated => {}
            None if x.made == Made::Moved || !(x.whole || x.far) => return None,
            None => made.of.push(v),
        }
    }
    made.of.sort_unstable();
    made.of.dedup();
    let last = known[e.outputs[0] as usize].last;
    let longer = || made.of.iter().map(|&v| known[v as usize]).filter(|x| x.last < last);
    // An input that dies may give its place to a result.
    (made.price <= COST && longer().count() <= 1 && longer().all(|x| x.made != Made::Input)).then_some(made)
}
