//! Equations that give what is there already, or that one equation gives instead of two. Only what is exact: `x + 0` stays,
//! since it makes 0 of -0.
use super::flat::{emit, Index, Same};
use crate::ops::contract::dot::DOT;
use crate::ops::elementwise::unary::SQUARE;
use crate::ops::movement::{broadcast::BROADCAST, create::FULL, reshape::RESHAPE, transpose::TRANSPOSE};
use crate::program::Equation;
use crate::{DType, Dims, Program, Value, Var};

pub fn algebra(p: &mut Program) {
    let old = std::mem::take(&mut p.equations);
    let mut same = Same::new(p);
    let mut index = Index::new(p, []);
    for mut e in old {
        same.rename(&mut e.inputs);
        let from = p.equations.len();
        match instead(p, &index, &e).filter(|&v| e.outputs.len() == 1 && alike(p, v, e.outputs[0])) {
            Some(v) => same.put(e.outputs[0], v),
            None => p.equations.push(e),
        }
        index.follow(p, from);
    }
    same.rename(&mut p.outputs);
}

fn alike(p: &Program, v: Var, w: Var) -> bool {
    p.aval(v).shape == p.aval(w).shape && p.aval(v).dtype == p.aval(w).dtype
}

/// A value that the equation's result is equal to: one that is there, or one that is made here.
fn instead(p: &mut Program, index: &Index, e: &Equation) -> Option<Var> {
    let (&out, &x) = (e.outputs.first()?, e.inputs.first()?);
    let aval = p.aval(out).clone();
    let one = |p: &Program, v: Var| index.constant(p, v) == Some(1.0);
    // Nothing changes where a float is taken from it, which is so of 0, or added to it, which is so of -0.
    let nothing = |p: &Program, v: Var, add: bool| {
        index.constant(p, v).is_some_and(|c| c == 0.0 && (!aval.dtype.is_float() || c.is_sign_negative() == add))
    };
    let y = e.inputs.get(1).copied().unwrap_or(x);
    match e.row.name {
        "stop_gradient" => Some(x),
        "mul" if one(p, y) => Some(x),
        "mul" if one(p, x) => Some(y),
        "div" if one(p, y) && aval.dtype.is_float() => Some(x),
        "add" if nothing(p, y, true) => Some(x),
        "add" if nothing(p, x, true) => Some(y),
        "sub" if nothing(p, y, false) => Some(x),
        "pow" if one(p, y) => Some(x),
        // Rounded once, as a square is.
        "pow" if aval.dtype.is_float() && index.constant(p, y) == Some(2.0) => emit(p, &SQUARE, [], &[x]),
        "neg" => Some(index.made_by(p, x, "neg")?.inputs[0]),
        "select" if e.inputs.get(1) == e.inputs.get(2) => Some(y),
        "cast" if p.aval(x).dtype == aval.dtype => Some(x),
        // A small number is the same in every dtype.
        "cast" => {
            let truth = |bool: bool, c: f64| if bool { f64::from(c != 0.0) } else { c };
            let c = truth(p.aval(x).dtype == DType::Bool, index.constant(p, x)?);
            let small = c.to_bits() == 0 || (c.fract() == 0.0 && (1.0..=127.0).contains(&c));
            if small {
                full(p, &aval.shape, aval.dtype, truth(aval.dtype == DType::Bool, c))
            } else {
                None
            }
        }
        "broadcast" | "reshape" | "transpose" | "slice" => view(p, index, e, &aval.shape),
        "dot" => untransposed(p, index, e, 0).or_else(|| untransposed(p, index, e, 1)),
        _ => None,
    }
}

fn full(p: &mut Program, shape: &[usize], dtype: DType, value: f64) -> Option<Var> {
    emit(p, &FULL, [shape.into(), Value::DType(dtype), Value::Float(value)], &[])
}

/// Views of constants are constants, views that change nothing are what they view, and two of a kind are one.
fn view(p: &mut Program, index: &Index, e: &Equation, shape: &Dims) -> Option<Var> {
    let x = e.inputs[0];
    if let Some(c) = index.constant(p, x) {
        return full(p, shape, p.aval(x).dtype, c);
    }
    let inner = index.made_by(p, x, e.row.name).cloned();
    match e.row.name {
        "transpose" => {
            let outer = e.params.dims("permutation").ok()?;
            if outer.iter().copied().eq(0..outer.len()) {
                return Some(x);
            }
            let (y, inner) = (inner.as_ref()?.inputs[0], inner.as_ref()?.params.dims("permutation").ok()?);
            let both: Dims = outer.iter().map(|&a| inner[a]).collect();
            if both.iter().copied().eq(0..both.len()) {
                return Some(y);
            }
            emit(p, &TRANSPOSE, [both.as_slice().into()], &[y])
        }
        "broadcast" => {
            let outer = e.params.dims("axes").ok()?;
            if p.aval(x).shape == *shape {
                return Some(x);
            }
            let (y, inner) = (inner.as_ref()?.inputs[0], inner.as_ref()?.params.dims("axes").ok()?);
            let both: Dims = inner.iter().map(|&a| outer[a]).collect();
            emit(p, &BROADCAST, [shape.as_slice().into(), both.as_slice().into()], &[y])
        }
        "reshape" => {
            if p.aval(x).shape == *shape {
                return Some(x);
            }
            let y = inner?.inputs[0];
            if p.aval(y).shape == *shape {
                return Some(y);
            }
            emit(p, &RESHAPE, [shape.as_slice().into()], &[y])
        }
        _ => (p.aval(x).shape == *shape && e.params.ints("stride").ok()?.iter().all(|&s| s == 1)).then_some(x),
    }
}

/// The product with an operand before it was transposed, where the result's axes stay as they are.
fn untransposed(p: &mut Program, index: &Index, e: &Equation, operand: usize) -> Option<Var> {
    let t = index.made_by(p, e.inputs[operand], "transpose")?;
    let (x, perm) = (t.inputs[0], t.params.dims("permutation").ok()?);
    let axes = |name: &str| -> Option<Dims> { Some(e.params.dims(name).ok()?.iter().map(|&a| perm[a]).collect()) };
    let (batch, contract) = (axes(["a_batch", "b_batch"][operand])?, axes(["a_contract", "b_contract"][operand])?);
    let free: Dims = perm.iter().copied().filter(|a| !batch.contains(a) && !contract.contains(a)).collect();
    if !free.windows(2).all(|w| w[0] < w[1]) {
        return None;
    }
    let mut values: smallvec::SmallVec<[Value; 4]> = e.params.values().iter().cloned().collect();
    (values[operand], values[2 + operand]) = (batch.as_slice().into(), contract.as_slice().into());
    let mut inputs = e.inputs.clone();
    inputs[operand] = x;
    emit(p, &DOT, values, &inputs)
}
