//! Programs made into others that give the same and are less work, before a plan is made of them.
//! Float results may differ by the order of sums and by the sign of a zero, nothing else.
mod after;
mod algebra;
mod before;
pub(super) mod flat;
mod gather;
mod invariant;
mod pads;
mod scan;
mod sums;
mod trim;

use crate::{Program, Result};
use flat::{flatten, simplify, Index, Same};
use scan::Scan;

/// The program without calls, rewritten. Programs that its equations own are rewritten with it where they run as scans, the
/// others when they run first.
pub fn rewrite(program: &Program) -> Program {
    let mut p = flatten(program);
    tidy(&mut p);
    if p.equations.iter().any(|e| e.row.name == "scan") {
        // A scan whose parameters are not as declared is left to its own evaluation, which says what is wrong.
        if scans(&mut p).is_err() {
            p = flatten(program);
        }
        tidy(&mut p);
    }
    gather::commute(&mut p);
    tidy(&mut p);
    p
}

fn tidy(p: &mut Program) {
    algebra::algebra(p);
    pads::concatenate(p);
    simplify(p);
}

fn scans(p: &mut Program) -> Result<()> {
    trim::trim(p)?;
    let old = std::mem::take(&mut p.equations);
    let (mut same, mut index) = (Same::new(p), Index::new(p, []));
    for mut e in old {
        same.rename(&mut e.inputs);
        let from = p.equations.len();
        match Scan::open(&e, rewrite) {
            None => p.equations.push(e),
            Some(mut s) => {
                trim::merge(p, &mut s, &mut same);
                trim::sink(p, &index, &mut s);
                s.within(tidy);
                trim::merge(p, &mut s, &mut same);
                invariant::hoist(p, &mut s, &mut same);
                before::products(p, &mut s);
                let at = p.equations.len();
                sums::sums(p, &index, &mut s, &mut same);
                let after = p.equations.split_off(at);
                p.equations.push(s.close()?);
                p.equations.extend(after);
            }
        }
        index.follow(p, from);
    }
    same.rename(&mut p.outputs);
    simplify(p);
    trim::trim(p)
}
