//! `einsum`: parsed here, then products of two operands from left to right.
use crate::ops::index::gather::Place;
use crate::ops::samples::{Domain, Input, Sample};
use crate::ops::{Batch, Body, Composite, Jvp, Lift, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Aval, Cx, DType, Dims, Error, Result, Tensor};
use smallvec::smallvec;
use std::collections::BTreeMap;

/// A letter, or the distance from the right of an axis under the ellipsis (negative).
type Label = i64;

struct Plan {
    inputs: Vec<Vec<Label>>,
    output: Vec<Label>,
    sizes: BTreeMap<Label, usize>,
}

/// The labels of one term; `...` stands for `rank - letters` axes.
fn term(text: &str, spec: &str, rank: usize) -> Result<Vec<Label>> {
    let letters = text.chars().filter(|c| c.is_ascii_alphabetic()).count();
    let (head, tail, dots) = match text.split_once("...") {
        Some((h, t)) => (h, t, true),
        None => (text, "", false),
    };
    if let Some(c) = head.chars().chain(tail.chars()).find(|c| !c.is_ascii_alphabetic()) {
        return Err(Error::value(format!("{c:?} in {spec:?}: a label is a letter")));
    }
    if letters > rank || (!dots && letters != rank) {
        return Err(Error::shape(format!("{text:?} in {spec:?} names {letters} axes, its operand has {rank}")));
    }
    let label = |c: char| c as Label;
    let hidden = (rank - letters) as Label;
    Ok(head.chars().map(label).chain((0..hidden).map(|i| i - hidden)).chain(tail.chars().map(label)).collect())
}

fn parse(spec: &str, shapes: &[&[usize]]) -> Result<Plan> {
    let clean: String = spec.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match clean.split_once("->") {
        Some((l, r)) => (l, Some(r)),
        None => (clean.as_str(), None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != shapes.len() {
        return Err(Error::value(format!("{spec:?} has {} terms for {} operands", terms.len(), shapes.len())));
    }
    let inputs: Vec<Vec<Label>> = terms.iter().zip(shapes).map(|(t, s)| term(t, spec, s.len())).collect::<Result<_>>()?;
    let mut sizes = BTreeMap::new();
    let mut counts: BTreeMap<Label, usize> = BTreeMap::new();
    for (labels, shape) in inputs.iter().zip(shapes) {
        for (&l, &n) in labels.iter().zip(*shape) {
            *counts.entry(l).or_insert(0) += 1;
            let size = sizes.entry(l).or_insert(n);
            if *size == 1 && l < 0 {
                *size = n
            }
            if *size != n && !(l < 0 && n == 1) {
                return Err(Error::shape(format!("an axis of {spec:?} has sizes {size} and {n}")));
            }
        }
    }
    let hidden = sizes.keys().filter(|l| **l < 0).count();
    let output = match right {
        Some(r) => {
            let letters = r.chars().filter(|c| c.is_ascii_alphabetic()).count();
            term(r, spec, letters + if r.contains("...") { hidden } else { 0 })?
        }
        None => counts.iter().filter(|(l, n)| **l < 0 || **n == 1).map(|(l, _)| *l).collect(),
    };
    for (i, l) in output.iter().enumerate() {
        if !sizes.contains_key(l) || output[..i].contains(l) {
            return Err(Error::value(format!("the result of {spec:?} must name labels of its operands, each once")));
        }
    }
    Ok(Plan { inputs, output, sizes })
}

/// Sums over the labels that `keep` does not want; the dtype stays.
fn sum_out(cx: &Cx, x: Tensor, labels: &mut Vec<Label>, keep: impl Fn(&Label) -> bool) -> Result<Tensor> {
    let axes: Vec<usize> = (0..labels.len()).filter(|&d| !keep(&labels[d])).collect();
    labels.retain(&keep);
    cx.cast_weak(&cx.reduce_sum(&x, &axes)?, x.dtype(), x.weak())
}

/// Takes the diagonal of a repeated label, and drops axes of size 1 that others stretch.
fn prepare(cx: &Cx, x: &Tensor, labels: &mut Vec<Label>, plan: &Plan) -> Result<Tensor> {
    let mut x = x.clone();
    while let Some((i, j)) = (0..labels.len()).find_map(|i| (0..i).find(|&j| labels[j] == labels[i]).map(|j| (j, i))) {
        let (n, last) = (x.shape()[i], x.ndim() - 1);
        x = cx.move_axis(&cx.move_axis(&x, j, last)?, i, last)?;
        let mut flat: Dims = x.shape()[..last - 1].into();
        flat.push(n * n);
        // The stable order of equal keys is 0, 1, 2, …
        let steps = cx.scale(&cx.cast(&cx.argsort(&[cx.zeros(&[n], DType::U8)?], 0)?, DType::I64)?, (n + 1) as f64)?;
        x = cx.gather(&cx.reshape(&x, &flat)?, &steps, Place { axis: last - 1, batch: 0, outside: 1 })?;
        let l = labels[i];
        labels.remove(j);
        labels.remove(i);
        labels.push(l);
    }
    let keep: Vec<usize> = (0..labels.len()).filter(|&d| plan.sizes.get(&labels[d]) == Some(&x.shape()[d])).collect();
    let shape: Dims = keep.iter().map(|&d| x.shape()[d]).collect();
    *labels = keep.iter().map(|&d| labels[d]).collect();
    cx.reshape(&x, &shape)
}

fn expand(cx: &Cx, spec: &str, xs: &[Tensor]) -> Result<Tensor> {
    let plan = parse(spec, &xs.iter().map(Tensor::shape).collect::<Vec<_>>())?;
    let mut operands = Vec::new();
    for (x, l) in xs.iter().zip(&plan.inputs) {
        let mut l = l.clone();
        let x = prepare(cx, x, &mut l, &plan)?;
        operands.push((x, l));
    }
    let mut rest = operands.into_iter();
    let Some((mut a, mut la)) = rest.next() else { return Err(Error::value("einsum needs an operand")) };
    while let Some((b, mut lb)) = rest.next() {
        let later = |l: &Label| plan.output.contains(l) || rest.as_slice().iter().any(|o| o.1.contains(l));
        let theirs = lb.clone();
        a = sum_out(cx, a, &mut la, |l| later(l) || theirs.contains(l))?;
        let b = sum_out(cx, b, &mut lb, |l| later(l) || la.contains(l))?;
        let at = |v: &[Label], l: &Label| v.iter().position(|m| m == l).unwrap_or(0);
        let (batch, contract): (Vec<Label>, Vec<Label>) = la.iter().copied().filter(|l| lb.contains(l)).partition(|l| later(l));
        let axes = |v: &[Label], of: &[Label]| of.iter().map(|l| at(v, l)).collect::<Vec<usize>>();
        a = cx.dot(&a, &b, [&axes(&la, &batch), &axes(&lb, &batch)], [&axes(&la, &contract), &axes(&lb, &contract)])?;
        la = batch.iter().copied().chain(la.iter().chain(&lb).copied().filter(|l| !batch.contains(l) && !contract.contains(l))).collect();
    }
    a = sum_out(cx, a, &mut la, |l| plan.output.contains(l))?;
    let order: Vec<usize> = plan.output.iter().filter_map(|l| la.iter().position(|m| m == l)).collect();
    cx.transpose(&a, &order)
}

pub static EINSUM: Row = Row {
    name: "einsum",
    doc: "Einstein's summation, as `numpy.einsum`: `\"bij,bjk->bik\"`, with `...`, diagonals and an implicit result; \
        products from left to right.",
    operands: &["...operands"],
    params: &[p("spec", Kind::Str)],
    many: false,
    lift: Lift::Dtypes,
    shape: |xs, p| {
        let plan = parse(p.str("spec")?, &xs.iter().map(|x| x.shape.as_slice()).collect::<Vec<_>>())?;
        let Some(x) = xs.first() else { return Err(Error::value("einsum needs an operand")) };
        if xs.iter().any(|y| y.dtype != x.dtype) {
            return Err(Error::dtype("operands have different dtypes"));
        }
        let shape = plan.output.iter().filter_map(|l| plan.sizes.get(l).copied()).collect();
        Ok(smallvec![Aval { shape, dtype: x.dtype, weak: xs.iter().all(|y| y.weak) }])
    },
    body: Body::Composite(Composite { expand: |cx, p, xs| Ok(smallvec![expand(cx, p.str("spec")?, xs)?]), fused: None }),
    saves: Saves::NONE,
    vjp: Vjp::None("its expansion has one"),
    jvp: Jvp::None("its expansion has one"),
    batch: Batch::None("its expansion has one"),
    samples: || {
        let r = Domain::Range(-2.0, 2.0);
        [
            ("ij,kj->ik", &[&[2usize, 3][..], &[4, 3]][..]),
            ("bhqd,bhkd->bhqk", &[&[2, 2, 3, 4], &[2, 2, 5, 4]]),
            ("ii->i", &[&[3, 3]]),
            ("ii", &[&[7, 7]]),
            ("ij->ji", &[&[2, 3]]),
            ("ij->", &[&[2, 3]]),
            ("i,j", &[&[8], &[9]]),
            ("...ij,...jk->...ik", &[&[2, 1, 2, 3], &[4, 3, 2]]),
            ("ij,jk,kl->il", &[&[2, 3], &[3, 4], &[4, 2]]),
            ("ij,ij->i", &[&[2, 3], &[2, 3]]),
            ("iij,k->jk", &[&[2, 2, 3], &[0]]),
            (",i->i", &[&[], &[31]]),
        ]
        .map(|(s, xs)| Sample::new(xs.iter().map(|x| Input::new(x, r)).collect(), vec![s.into()]))
        .into()
    },
};

impl Cx {
    pub fn einsum(&self, spec: &str, xs: &[&Tensor]) -> Result<Tensor> {
        self.one(&EINSUM, [spec.into()], xs)
    }
}
