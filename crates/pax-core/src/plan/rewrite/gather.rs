//! Products of rows that many indices name: where the table has far fewer rows than there are indices, the product is made of
//! the table, and a cotangent is summed by row first.
//!
//! `gather(E, i) · W = gather(E · W, i)`, and backward, with `S` = the rows of dY added up by index, `gather(E, i)ᵀ · dY = Eᵀ · S`
//! and `scatter(0, i, dY · Wᵀ) = S · Wᵀ`. A row that is not finite and that no index names meets zeros in `S`.
use super::flat::{emit, Index, Same};
use crate::ops::contract::dot::DOT;
use crate::ops::elementwise::binary::ADD;
use crate::ops::index::gather::GATHER;
use crate::ops::index::scatter::SCATTER;
use crate::ops::movement::{create::FULL, transpose::TRANSPOSE};
use crate::ops::reduce::sum::REDUCE_SUM;
use crate::program::Equation;
use crate::{DType, Dims, Program, Value, Var};

/// Summed elements of a product from which it costs more than to move its result.
const DEEP: usize = 16;

pub fn commute(p: &mut Program) {
    let mut sums = Vec::new();
    pass(p, &mut sums, |c, e| match e.row.name {
        "dot" => (0..2).find_map(|k| c.product(e, k)).or_else(|| (0..2).find_map(|k| c.weights(e, k))),
        "scatter" => c.rows(e),
        _ => None,
    });
    if !sums.is_empty() {
        pass(p, &mut sums, |c, e| if e.row.name == "reduce_sum" { c.reduction(e) } else { None });
    }
}

/// Puts what `f` gives in the place of equations.
fn pass(p: &mut Program, sums: &mut Vec<ByRow>, f: impl Fn(&mut Commute, &Equation) -> Option<Var>) {
    let around = Index::new(p, p.outputs.clone());
    let old = std::mem::take(&mut p.equations);
    let (mut same, mut index) = (Same::new(p), Index::new(p, []));
    for mut e in old {
        same.rename(&mut e.inputs);
        let from = p.equations.len();
        match f(&mut Commute { p: &mut *p, index: &index, around: &around, sums: &mut *sums }, &e) {
            Some(v) => same.put(e.outputs[0], v),
            None => p.equations.push(e),
        }
        index.follow(p, from);
    }
    same.rename(&mut p.outputs);
}

/// A tensor whose slices are added up by row: `named` of its axes count as the indices do, `kept` are the others.
#[derive(Clone)]
struct ByRow {
    of: Var,
    named: Dims,
    kept: Dims,
    indices: Var,
    rows: usize,
    outside: u8,
}

struct Commute<'a> {
    p: &'a mut Program,
    index: &'a Index,
    around: &'a Index,
    sums: &'a mut Vec<ByRow>,
}

/// A gather without batch axes: the table, the indices, the table's axis, how many axes the indices have.
#[derive(Clone, Copy)]
struct Rows {
    table: Var,
    indices: Var,
    axis: usize,
    rank: usize,
}

/// The axes of one operand of a product, and those of the other that go with them.
struct Axes {
    batch: Dims,
    contract: Dims,
    with: Dims,
    free: Dims,
}

fn axes(p: &Program, e: &Equation, k: usize) -> Option<Axes> {
    let dims = |a: &str, b: &str| e.params.dims(if k == 0 { a } else { b }).ok();
    let (batch, contract, with) = (dims("a_batch", "b_batch")?, dims("a_contract", "b_contract")?, dims("b_contract", "a_contract")?);
    let free = (0..p.aval(e.inputs[k]).ndim()).filter(|d| !batch.contains(d) && !contract.contains(d)).collect();
    Some(Axes { batch, contract, with, free })
}

impl Commute<'_> {
    fn gather(&self, v: Var) -> Option<Rows> {
        let e = self.index.made_by(self.p, v, "gather")?;
        // What `drop` reads outside is 0, which a product need not keep.
        if e.params.int("batch").ok()? != 0 || e.params.choice("outside").ok()? != "clamp" {
            return None;
        }
        Some(Rows {
            table: e.inputs[0],
            indices: e.inputs[1],
            axis: usize::try_from(e.params.int("axis").ok()?).ok()?,
            rank: self.p.aval(e.inputs[1]).ndim(),
        })
    }

    fn few(&self, rows: usize, indices: Var) -> bool {
        2 * rows <= self.p.aval(indices).size()
    }
    fn depth(&self, v: Var, axes: &[usize]) -> usize {
        axes.iter().map(|&d| self.p.aval(v).shape[d]).product()
    }

    /// `gather(E, i) · W` as `gather(E · W, i)`.
    fn product(&mut self, e: &Equation, k: usize) -> Option<Var> {
        let g = self.gather(e.inputs[k])?;
        let x = axes(self.p, e, k)?;
        let named = g.axis..g.axis + g.rank;
        if x.batch.iter().chain(&x.contract).any(|d| named.contains(d)) {
            return None;
        }
        if !self.few(self.p.aval(g.table).shape[g.axis], g.indices) || self.depth(e.inputs[k], &x.contract) < DEEP {
            return None;
        }
        let of_table = |axes: &Dims| -> Dims { axes.iter().map(|&d| if d < g.axis { d } else { d - g.rank + 1 }).collect() };
        let (batch, contract) = (of_table(&x.batch), of_table(&x.contract));
        let before = (0..g.axis).filter(|d| !batch.contains(d) && !contract.contains(d)).count();
        let other = axes(self.p, e, 1 - k)?.free.len();
        let at = batch.len() + before + if k == 0 { 0 } else { other };
        let mut inputs = e.inputs.clone();
        inputs[k] = g.table;
        let mut params: smallvec::SmallVec<[Value; 4]> = e.params.values().iter().cloned().collect();
        (params[k], params[2 + k]) = (batch.as_slice().into(), contract.as_slice().into());
        let table = emit(self.p, &DOT, params, &inputs)?;
        emit(self.p, &GATHER, [at.into(), 0usize.into(), Value::Choice(0)], &[table, g.indices])
    }

    /// `gather(E, i)ᵀ · dY` as `Eᵀ · S`.
    fn weights(&mut self, e: &Equation, k: usize) -> Option<Var> {
        let g = self.gather(e.inputs[k])?;
        let x = axes(self.p, e, k)?;
        let y = axes(self.p, e, 1 - k)?;
        let mut summed: Vec<(usize, usize)> = x.contract.iter().copied().zip(x.with.iter().copied()).collect();
        summed.sort_unstable();
        if !x.batch.is_empty() || !summed.iter().map(|s| s.0).eq(g.axis..g.axis + g.rank) {
            return None;
        }
        let rows = self.p.aval(g.table).shape[g.axis];
        let width: usize = self.p.aval(g.table).size().checked_div(rows)?;
        if !self.few(rows, g.indices) || width < DEEP {
            return None;
        }
        let s = self.by_row(ByRow {
            of: e.inputs[1 - k],
            named: summed.iter().map(|s| s.1).collect(),
            kept: y.free,
            indices: g.indices,
            rows,
            outside: 0,
        })?;
        let none: Value = [0i64; 0].into();
        let (table, first): (Value, Value) = ([g.axis as i64].into(), [0i64].into());
        if k == 0 {
            emit(self.p, &DOT, [none.clone(), none, table, first], &[g.table, s])
        } else {
            emit(self.p, &DOT, [none.clone(), none, first, table], &[s, g.table])
        }
    }

    /// `scatter(X, i, dY · Wᵀ)` as `X + S · Wᵀ`.
    fn rows(&mut self, e: &Equation) -> Option<Var> {
        let plain = e.params.int("axis").ok()? == 0 && e.params.int("batch").ok()? == 0 && e.params.choice("mode").ok()? == "add";
        let (base, indices) = (e.inputs[0], e.inputs[1]);
        let rank = self.p.aval(indices).ndim();
        if !plain || self.around.reads(e.inputs[2]) != 1 {
            return None;
        }
        let product = self.index.made_by(self.p, e.inputs[2], "dot")?.clone();
        let (y, w) = (axes(self.p, &product, 0)?, axes(self.p, &product, 1)?);
        let rows = self.p.aval(base).shape[0];
        let width: usize = self.p.aval(base).size().checked_div(rows)?;
        if !y.batch.is_empty() || y.free.len() < rank || !self.few(rows, indices) || width < DEEP {
            return None;
        }
        let outside = if e.params.choice("outside").ok()? == "clamp" { 0 } else { 1 };
        let (named, kept) = (
            Dims::from(&y.free[..rank]),
            (0..self.p.aval(product.inputs[0]).ndim()).filter(|d| !y.free[..rank].contains(d)).collect::<Dims>(),
        );
        let s = self.by_row(ByRow { of: product.inputs[0], named, kept: kept.clone(), indices, rows, outside })?;
        let contract: Dims = y.contract.iter().map(|c| kept.iter().position(|k| k == c).map(|i| i + 1)).collect::<Option<_>>()?;
        let none: Value = [0i64; 0].into();
        let sum =
            emit(self.p, &DOT, [none.clone(), none, contract.as_slice().into(), w.contract.as_slice().into()], &[s, product.inputs[1]])?;
        if self.index.constant(self.p, base) == Some(0.0) {
            return Some(sum);
        }
        emit(self.p, &ADD, [], &[base, sum])
    }

    fn by_row(&mut self, s: ByRow) -> Option<Var> {
        let aval = self.p.aval(s.of).clone();
        // Half floats would add up many rows without room.
        if !matches!(aval.dtype, DType::F32 | DType::F64) {
            return None;
        }
        let order: Dims = s.named.iter().chain(&s.kept).copied().collect();
        let updates =
            if order.iter().copied().eq(0..order.len()) { s.of } else { emit(self.p, &TRANSPOSE, [order.as_slice().into()], &[s.of])? };
        let shape: Dims = std::iter::once(s.rows).chain(s.kept.iter().map(|&d| aval.shape[d])).collect();
        let zeros = emit(self.p, &FULL, [shape.as_slice().into(), Value::DType(aval.dtype), Value::Float(0.0)], &[])?;
        let sum = emit(
            self.p,
            &SCATTER,
            [0usize.into(), 0usize.into(), Value::Choice(s.outside), Value::Choice(1)],
            &[zeros, s.indices, updates],
        )?;
        self.sums.push(s);
        Some(sum)
    }

    /// A sum over all slices that are added up by row: the sum of the rows, which are made here if they come later.
    fn reduction(&mut self, e: &Equation) -> Option<Var> {
        let axes = e.params.dims("axes").ok()?;
        let over = |s: &ByRow| {
            let mut named = s.named.clone();
            named.sort_unstable();
            named == axes
        };
        // Of rows outside, `drop` loses some.
        let s = self.sums.iter().find(|s| s.of == e.inputs[0] && s.outside == 0 && over(s))?.clone();
        if !self.p.inputs.contains(&s.indices) && self.index.maker(self.p, s.indices).is_none() {
            return None;
        }
        let sum = self.by_row(s)?;
        emit(self.p, &REDUCE_SUM, [[0i64].into()], &[sum])
    }
}
