//! From drafts to a plan: how many chunks a phase has, where every slot lies, when buffers die.
use smallvec::SmallVec;

use super::finish;
use super::{Body, Builder, Draft};
use crate::exec::cpu::reduce::Fold;
use crate::exec::cpu::tile::Simd;
use crate::plan::kernels::dot::{Dot, Product};
use crate::plan::kernels::reduce::Reduce;
use crate::plan::kernels::{Chunks, Kernel, Local};
use crate::plan::view::{Place, Slot};
use crate::plan::{Home, Phase, Plan, Step};

/// Nanoseconds that a chunk takes, about: much more than waking a thread for it.
const CHUNK: f64 = 4000.0;
/// Most chunks of a phase.
const CHUNKS: usize = 32;
/// Most chunks of a phase that sums over them.
const SUMS: usize = 16;
/// A phase with less work runs on the caller's thread.
const ALONE: f64 = 7000.0;
/// What a few units make should stay in so many bytes of the second cache.
const CACHE: usize = 1 << 18;
/// Buffers begin at multiples of so many bytes.
const ALIGN: usize = 64;

/// Ranges of one block of memory, given out and taken back. A block that is too large to be counted never comes to be: the
/// plan is refused where it would run.
#[derive(Default)]
struct Ranges {
    free: Vec<(usize, usize)>,
    end: usize,
}

impl Ranges {
    fn take(&mut self, bytes: usize) -> usize {
        let bytes = bytes.checked_next_multiple_of(ALIGN).unwrap_or(usize::MAX);
        if bytes == 0 {
            return 0;
        }
        // The smallest that serves.
        let found = self.free.iter().enumerate().filter(|(_, r)| r.1 >= bytes).min_by_key(|(_, r)| r.1).map(|(i, _)| i);
        if let Some(i) = found {
            let (at, size) = self.free[i];
            if size == bytes {
                self.free.swap_remove(i);
            } else {
                self.free[i] = (at + bytes, size - bytes);
            }
            return at;
        }
        let at = self.end;
        self.end = at.saturating_add(bytes);
        at
    }
    fn give(&mut self, at: usize, bytes: usize) {
        let (mut at, mut size) = (at, bytes.checked_next_multiple_of(ALIGN).unwrap_or(usize::MAX));
        if size == 0 || at.checked_add(size).is_none() {
            return;
        }
        // Joined with its neighbours.
        while let Some(i) = self.free.iter().position(|r| r.0 + r.1 == at || at + size == r.0) {
            let r = self.free.swap_remove(i);
            (at, size) = (at.min(r.0), size + r.1);
        }
        self.free.push((at, size));
    }
}

/// About so many chunks, which two or four threads share evenly; of equal units where these are few: the longest decides.
fn even(chunks: usize, units: usize) -> usize {
    if units < 2 * chunks {
        units
    } else {
        match chunks {
            1 => 1,
            2 | 3 => 2,
            n => n & !3,
        }
    }
}

/// Sums over the rows of what a loop of the same phase makes are made by the loop, which then need not store what nobody else reads.
/// Gives which drafts have become part of others.
fn sums_into_loops(drafts: &mut [Draft], made: &mut [Option<usize>], simd: Simd) -> Vec<bool> {
    let mut gone = vec![false; drafts.len()];
    for k in 0..drafts.len() {
        let Body::Kernel(kernel) = &drafts[k].body else { continue };
        let Kernel::Reduce(Reduce { fold: Fold::Sum, across: true, offset: 0, slot, kept, over, out, .. }) = &**kernel else { continue };
        let (&[(row, 1)], &[(rows, stride)]) = (&kept[..], &over[..]) else { continue };
        let (slot, out, phase) = (*slot, *out, drafts[k].phase);
        let Some(maker) = made[slot].filter(|&m| drafts[m].phase == phase && stride == row as isize) else { continue };
        let Body::Loop(g) = &mut drafts[maker].body else { continue };
        if g.shape.iter().product::<usize>() != rows * row {
            continue;
        }
        let Some(index) = g.sums(slot, row, simd) else { continue };
        g.sum(index, row, out, simd);
        drafts[maker].writes.push(out);
        made[out] = Some(maker);
        drafts[k].reads.clear();
        drafts[k].writes.clear();
        gone[k] = true;
    }
    gone
}

pub(super) fn finish(b: Builder, inputs: Vec<Slot>, outputs: Vec<Place>) -> Plan {
    let Builder { simd, mut drafts, phases, mut made, mut sizes, mut constants, partials, fixed, .. } = b;
    let slots = made.len();
    let gone = sums_into_loops(&mut drafts, &mut made, simd);
    let mut chunks: Vec<usize> = phases
        .iter()
        .map(|p| if p.work < ALONE { 1 } else { even(((p.work / CHUNK) as usize).clamp(1, CHUNKS).min(p.units), p.units) })
        .collect();
    for p in &partials {
        chunks[p.2] = chunks[p.2].min(SUMS);
    }
    for (slot, one, phase) in partials {
        sizes[slot].0 = one * chunks[phase];
    }
    // What groups read in their own order only, and the product before them does not; then all that they read, which is known only now.
    let in_order: Vec<SmallVec<[Slot; 4]>> = drafts
        .iter()
        .map(|d| match &d.body {
            Body::Loop(g) | Body::Product(_, g) => g.direct().into_iter().filter(|s| !d.reads.contains(s)).collect(),
            _ => SmallVec::new(),
        })
        .collect();
    for d in &mut drafts {
        if let Body::Loop(g) | Body::Product(_, g) = &d.body {
            d.reads.extend(g.reads());
        }
    }

    // Who makes and reads each slot, by phase.
    let mut last: Vec<Option<(usize, usize)>> = vec![None; slots];
    let mut shared = vec![false; slots];
    for (i, d) in drafts.iter().enumerate() {
        for &s in &d.reads {
            last[s] = last[s].max(Some((d.phase, i)));
            shared[s] |= made[s].is_none_or(|m| drafts[m].phase != d.phase) || matches!(d.body, Body::Row(_));
        }
        if matches!(d.body, Body::Row(_)) {
            for &s in &d.writes {
                shared[s] = true;
            }
        }
    }
    let is_output: Vec<bool> = {
        let mut t = vec![false; slots];
        for p in &outputs {
            if let Place::View(v) = p {
                t[v.slot] = true;
            }
        }
        t
    };
    let row_touched: Vec<bool> = {
        let mut t = vec![false; slots];
        for d in drafts.iter().filter(|d| matches!(d.body, Body::Row(_))) {
            for &s in d.reads.iter().chain(&d.writes) {
                t[s] = true;
            }
        }
        for (t, o) in t.iter_mut().zip(&is_output) {
            *t |= o;
        }
        t
    };
    for p in &outputs {
        if let Place::View(v) = p {
            last[v.slot] = Some((usize::MAX, 0));
        }
    }

    let mut order: Vec<Vec<usize>> = vec![vec![]; phases.len()];
    for (i, d) in drafts.iter().enumerate().filter(|(i, _)| !gone[*i]) {
        order[d.phase].push(i);
    }
    let bytes = |s: Slot| sizes[s].0.saturating_mul(sizes[s].1.size());
    let mut homes: Vec<Home> = vec![Home::Array; slots];
    for &s in &inputs {
        if last[s].is_some() {
            homes[s] = Home::Input;
        }
    }
    for (s, a) in constants.drain() {
        if last[s].is_some() {
            homes[s] = Home::Constant(a);
        }
    }

    // A result may lie over an input of its size that dies in the loop which makes it, or before: where the caller gave it away.
    let mut over: Vec<Option<Slot>> = vec![None; slots];
    let mut free: Vec<Slot> = inputs.iter().copied().filter(|&i| last[i].is_some_and(|l| l.0 < phases.len())).collect();
    let alone = |i: Slot, phase: usize| drafts.iter().filter(|e| e.phase == phase && e.reads.contains(&i)).count() == 1;
    for (k, d) in drafts.iter().enumerate() {
        // A loop may lie over any; updates lie over what they change.
        let (direct, any) = match &d.body {
            Body::Loop(g) | Body::Product(_, g) if g.only_tile().is_none() => (in_order[k].clone(), true),
            Body::Kernel(kernel) => match &**kernel {
                Kernel::Scatter(s) => (s.over().into_iter().collect(), false),
                _ => continue,
            },
            _ => continue,
        };
        for &o in d.writes.iter().filter(|&&o| is_output[o]) {
            let dies = |i: Slot| last[i].is_some_and(|l| l.0 < d.phase || (l == (d.phase, k) && direct.contains(&i) && alone(i, d.phase)));
            let fits = |&i: &Slot| sizes[i] == sizes[o] && dies(i);
            let near = free.iter().position(|i| direct.contains(i) && fits(i));
            let Some(at) = near.or_else(|| free.iter().position(|i| any && fits(i))) else { continue };
            over[o] = Some(free.swap_remove(at));
            // In place it takes no time, and one thread does best.
            if !any && fixed.is_some() && order[d.phase].len() == 1 {
                chunks[d.phase] = 1;
            }
        }
    }
    let mut laid_over: Vec<Slot> = (0..slots).filter(|&s| over[s].is_some()).collect();

    // Phases that give the same in every step of a scan; what they make stays.
    let mut stays: Vec<bool> = vec![false; slots];
    for s in fixed.iter().flatten() {
        stays[*s] = true;
    }
    for s in 0..slots {
        stays[s] |= matches!(homes[s], Home::Constant(_));
    }
    let is_fixed: Vec<bool> = (0..phases.len())
        .map(|p| {
            let same = fixed.is_some()
                && order[p].iter().all(|&i| {
                    !matches!(drafts[i].body, Body::Row(_))
                        && drafts[i].reads.iter().all(|&s| stays[s] || made[s].is_some_and(|m| drafts[m].phase == p))
                        && drafts[i].writes.iter().all(|&s| !row_touched[s])
                });
            if same {
                for &i in &order[p] {
                    for &s in &drafts[i].writes {
                        stays[s] = true;
                        last[s] = Some((usize::MAX, 0));
                        shared[s] = true;
                    }
                }
            }
            same
        })
        .collect();

    let mut arena = Ranges::default();
    let mut ends: Vec<Vec<Slot>> = vec![vec![]; phases.len()];
    let mut drafts: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
    let mut steps = Vec::new();
    for (p, phase) in phases.iter().enumerate() {
        if order[p].is_empty() {
            continue;
        }
        let units = phase.units;
        let per = units.div_ceil(chunks[p]);
        let (mut locals, mut shares, mut local, mut kernels, mut room, mut makes) =
            (Vec::new(), Vec::new(), Ranges::default(), Vec::new(), 0, SmallVec::<[(Slot, Option<Slot>); 2]>::new());
        let mut local_ends: Vec<(usize, Slot, usize, usize)> = Vec::new();
        // Where nothing prepares or shares anything, a few units go through all kernels, in memory that the next few use again.
        let parts = || order[p].iter().filter_map(|&i| drafts[i].as_ref());
        let divided = order[p].len() > 1 && parts().all(|d| d.body.divides());
        let made_here = parts().flat_map(|d| &d.writes).fold(0, |n: usize, &s| n.saturating_add(bytes(s)));
        let step = if divided { (CACHE / made_here.div_ceil(units).max(1)).clamp(1, per) } else { per };
        let (mut row, mut label) = (None, Vec::new());
        for &i in &order[p] {
            let Some(mut d) = drafts[i].take() else { continue };
            if let Body::Loop(g) | Body::Product(_, g) = &mut d.body {
                g.forget(|s| last[s].is_some());
            }
            // A result may lie over what dies in the loop that makes it; or that, if it is a chunk's, in the result's place from the start.
            for &s in &d.writes {
                let may = matches!(&d.body, Body::Loop(g) | Body::Product(_, g) if over[s].is_none() && !g.moves(s));
                let under = if may {
                    local_ends.iter().position(|e| e.0 == i && sizes[e.1] == sizes[s] && in_order[i].contains(&e.1))
                } else {
                    None
                };
                let mut place = None;
                if let Some(k) = under {
                    laid_over.push(s);
                    let (_, x, at, size) = local_ends.swap_remove(k);
                    if row_touched[s] || shared[s] {
                        local.give(at, size);
                        locals.retain(|l: &Local| l.slot != x);
                        shares.push((x, s));
                    } else {
                        place = Some(at);
                    }
                }
                if row_touched[s] {
                    if !matches!(d.body, Body::Row(_)) {
                        makes.push((s, over[s]));
                    }
                    ends.get_mut(last[s].map_or(p, |l| l.0)).into_iter().for_each(|e| e.push(s));
                } else if shared[s] {
                    homes[s] = Home::Arena(arena.take(bytes(s)));
                    ends.get_mut(last[s].map_or(p, |l| l.0)).into_iter().for_each(|e| e.push(s));
                } else if place.is_some() || last[s].is_some() || matches!(d.body, Body::Kernel(_)) {
                    let unit = bytes(s) / units;
                    let at = place.unwrap_or_else(|| local.take(unit.saturating_mul(step)));
                    homes[s] = Home::Chunk;
                    locals.push(Local { slot: s, offset: at, unit });
                    local_ends.push((last[s].map_or(i, |l| l.1), s, at, unit.saturating_mul(step)));
                }
            }
            label.push(d.body.label());
            match d.body {
                Body::Row(call) => row = Some(call),
                Body::Kernel(k) => kernels.push(*k),
                Body::Loop(g) => kernels.push(Kernel::Loop(finish::finish(g, simd, &laid_over, None))),
                Body::Product(dot, g) => {
                    let only = g.only_tile();
                    let dot_draft = *dot;
                    let dot = Dot { out: only.unwrap_or(0), ..dot_draft.dot };
                    let columns = Some(dot.n);
                    kernels.push(Kernel::Product(Product {
                        dot,
                        cut: dot_draft.cut,
                        behind: only.is_none().then(|| finish::finish(g, simd, &laid_over, columns)),
                    }));
                }
                Body::Across { mut partial, phase } => {
                    partial.over[0].0 = chunks[phase];
                    kernels.push(Kernel::Reduce(partial));
                }
            }
            room = room.max(kernels.last().map_or(0, Kernel::room));
            local_ends.retain(|&(end, _, at, size)| {
                if end <= i {
                    local.give(at, size);
                }
                end > i
            });
        }
        let drops = std::mem::take(&mut ends[p]);
        for &s in &drops {
            if let Home::Arena(at) = homes[s] {
                arena.give(at, bytes(s));
            }
        }
        let step = match row {
            Some(call) => Step::Row(call),
            None => {
                Step::Chunks { chunks: Chunks { units, chunks: chunks[p], step, kernels, locals, shares, scratch: local.end, room }, makes }
            }
        };
        let drops = drops.into_iter().filter(|&s| matches!(homes[s], Home::Array)).collect();
        steps.push(Phase { step, drops, label: label.join("; "), fixed: is_fixed[p] });
    }
    // Inputs die with their last use too.
    let inputs = inputs.into_iter().map(|s| last[s].map(|_| s)).collect();
    let own = steps.iter().map(|p| if let Step::Chunks { chunks, .. } = &p.step { chunks.own() } else { 0 }).max().unwrap_or(0);
    Plan { phases: steps, homes, sizes, inputs, outputs, arena: arena.end, own, profile: Default::default() }
}
