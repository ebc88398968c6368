//! What nobody reads leaves scans, and what stands twice in them stands once.
use super::flat::{emit, fresh, Index, Same};
use super::scan::{Pair, Scan};
use crate::ops::movement::broadcast::BROADCAST;
use crate::ops::movement::create::FULL;
use crate::program::Equation;
use crate::{Dims, Program, Result, Value, Var};

/// Drops results that nobody reads, and what the bodies made only for them; from the last scan to the first, since one
/// reads what another makes.
pub fn trim(p: &mut Program) -> Result<()> {
    let mut live = vec![false; p.avals.len()];
    for &v in &p.outputs {
        live[v as usize] = true;
    }
    let mut kept = Vec::with_capacity(p.equations.len());
    for e in std::mem::take(&mut p.equations).into_iter().rev() {
        if !e.outputs.iter().any(|&v| live[v as usize]) {
            continue;
        }
        let e = match Scan::open(&e, super::flat::flatten) {
            Some(mut s) => {
                unread(&mut s, |v| live[v as usize]);
                s.close()?
            }
            None => e,
        };
        for &v in &e.inputs {
            live[v as usize] = true;
        }
        kept.push(e);
    }
    kept.reverse();
    p.equations = kept;
    Ok(())
}

/// Drops stacked results that nobody reads, and carries that neither the program around the scan nor another step reads.
fn unread(s: &mut Scan, live: impl Fn(Var) -> bool) {
    s.stacked.retain(|p| live(p.outer));
    let mut needed: Vec<bool> = s.carries.iter().map(|c| live(c.result)).collect();
    loop {
        let roots = s.carries.iter().zip(&needed).filter(|(_, n)| **n).map(|(c, _)| c.next).chain(s.stacked.iter().map(|p| p.inner));
        let mut read = vec![false; s.body.avals.len()];
        for v in roots {
            read[v as usize] = true;
        }
        for e in s.body.equations.iter().rev() {
            if e.outputs.iter().any(|&v| read[v as usize]) {
                for &v in &e.inputs {
                    read[v as usize] = true;
                }
            }
        }
        let grown: Vec<usize> = (0..needed.len()).filter(|&i| !needed[i] && read[s.carries[i].input as usize]).collect();
        if grown.is_empty() {
            break;
        }
        for i in grown {
            needed[i] = true;
        }
    }
    let mut flags = needed.iter();
    s.carries.retain(|_| *flags.next().unwrap_or(&true));
    s.drop_dead();
}

/// Makes one of what a scan takes or gives twice. `outside` gets what the program around it reads from here on.
pub fn merge(p: &mut Program, s: &mut Scan, outside: &mut Same) {
    let mut inside = Same::new(&s.body);
    // A carry that no step changes is there for every step.
    let (still, carries) = std::mem::take(&mut s.carries).into_iter().partition(|c| c.next == c.input);
    s.carries = carries;
    for c in still {
        s.fixed.push(Pair { outer: c.init, inner: c.input });
        outside.put(c.result, c.init);
    }
    for pairs in [&mut s.scanned, &mut s.fixed] {
        let mut first: Vec<Pair> = Vec::new();
        for &q in pairs.iter() {
            match first.iter().find(|f| f.outer == q.outer) {
                Some(f) => inside.put(q.inner, f.inner),
                None => first.push(q),
            }
        }
        *pairs = first;
    }
    s.rename_inner(&inside);
    let index = s.index();
    let mut first: Vec<Pair> = Vec::new();
    for q in std::mem::take(&mut s.stacked) {
        let known = s.scanned.iter().chain(&first).find(|f| f.inner == q.inner).map(|f| f.outer);
        let fixed = s.fixed.iter().find(|f| f.inner == q.inner).map(|f| f.outer);
        let stands = known.or_else(|| {
            let aval = s.over(q.inner);
            match index.constant(&s.body, q.inner) {
                Some(c) => emit(p, &FULL, [aval.shape.as_slice().into(), Value::DType(aval.dtype), Value::Float(c)], &[]),
                None => over_steps(p, &aval.shape, fixed?),
            }
        });
        match stands {
            Some(v) => outside.put(q.outer, v),
            None => first.push(q),
        }
    }
    s.stacked = first;
    s.drop_dead();
}

/// What is the same in every step, over all steps.
pub fn over_steps(p: &mut Program, shape: &[usize], v: Var) -> Option<Var> {
    emit(p, &BROADCAST, [shape.into(), (1..shape.len()).collect::<Vec<_>>().as_slice().into()], &[v])
}

/// Takes constants, and what only repeats or transposes, into the body: there they cost nothing, and as operands they would
/// be copied in each step.
pub fn sink(p: &Program, index: &Index, s: &mut Scan) {
    let mut views: Vec<Equation> = Vec::new();
    let mut at = 0;
    while let Some(&q) = s.fixed.get(at) {
        let made = index.maker(p, q.outer).filter(|e| matches!(e.row.name, "full" | "broadcast" | "transpose"));
        let Some(e) = made else {
            at += 1;
            continue;
        };
        let inputs = e
            .inputs
            .iter()
            .map(|&outer| {
                let inner = fresh(&mut s.body, p.aval(outer));
                s.fixed.push(Pair { outer, inner });
                inner
            })
            .collect();
        views.push(Equation { row: e.row, params: e.params.clone(), inputs, outputs: smallvec::smallvec![q.inner] });
        s.fixed.swap_remove(at);
    }
    // What a view is of was pushed after it.
    views.reverse();
    s.body.equations.splice(0..0, views);
    for q in std::mem::take(&mut s.scanned) {
        if repeated(p, index, s, q).is_none() {
            s.scanned.push(q);
        }
    }
}

/// Makes a fixed value of slices that are all the same.
fn repeated(p: &Program, index: &Index, s: &mut Scan, q: Pair) -> Option<()> {
    let shape = s.body.aval(q.inner).shape.clone();
    let made = s.body.equations.len();
    match (index.constant(p, q.outer), index.made_by(p, q.outer, "broadcast")) {
        (Some(c), _) => emit(&mut s.body, &FULL, [shape.as_slice().into(), Value::DType(p.aval(q.outer).dtype), Value::Float(c)], &[])?,
        (_, Some(e)) => {
            let axes: Dims = e.params.dims("axes").ok()?.iter().map(|a| a.checked_sub(1)).collect::<Option<_>>()?;
            let inner = fresh(&mut s.body, p.aval(e.inputs[0]));
            s.fixed.push(Pair { outer: e.inputs[0], inner });
            emit(&mut s.body, &BROADCAST, [shape.as_slice().into(), axes.as_slice().into()], &[inner])?
        }
        _ => return None,
    };
    let mut e = s.body.equations.split_off(made).pop()?;
    e.outputs[0] = q.inner;
    s.body.equations.insert(0, e);
    Some(())
}
