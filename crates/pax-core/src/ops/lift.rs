//! What user code may pass and rows may not see: mixed dtypes, broadcasting, weak numbers.
use smallvec::SmallVec;

use crate::bind::Tensors;
use crate::ops::Body;
use crate::{Aval, Cx, DType, Dims, Error, Params, Result, Row, Tensor};

/// How a row's operands are prepared before `bind`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lift {
    /// Taken as they are.
    None,
    /// Promoted to one dtype and broadcast to one shape.
    Promote,
    /// As `Promote`; integers become float32.
    PromoteFloat,
    /// As `Promote`; bool is not allowed and becomes int32 (`floor_divide`, shifts).
    PromoteNumber,
    /// The first operand is a condition (cast to bool), the others as `Promote`.
    Select,
    /// Each cast to bool, and broadcast to one shape (`logical_and`).
    Bool,
    /// One dtype, shapes untouched (`dot`, `concatenate`).
    Dtypes,
    /// Each integer operand becomes float32 (`exp`).
    Float,
    /// As `Dtypes` and `Float`.
    DtypesFloat,
}

/// NumPy's broadcast of shapes.
pub fn broadcast_shapes(shapes: &[&[usize]]) -> Result<Dims> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut out: Dims = smallvec::smallvec![1; rank];
    for s in shapes {
        for (d, &n) in s.iter().enumerate().map(|(d, n)| (d + rank - s.len(), n)) {
            if out[d] == 1 {
                out[d] = n
            } else if n != 1 && n != out[d] {
                let list: Vec<String> = shapes.iter().map(|s| format!("{s:?}")).collect();
                return Err(Error::shape(format!(
                    "shapes {} do not broadcast: axes must be equal or 1 from the right",
                    list.join(" and ")
                )));
            }
        }
    }
    Ok(out)
}

/// The dtype of an expression of these operands, and whether it is still weak.
pub fn result_dtype(xs: &[&Aval]) -> (DType, bool) {
    let mut it = xs.iter().map(|x| (x.dtype, x.weak));
    let first = it.next().unwrap_or((DType::F32, true));
    it.fold(first, DType::promote_weak)
}

impl Cx {
    /// Applies a row to operands as user code gives them.
    pub fn apply(&self, row: &'static Row, params: Params, xs: &[Tensor]) -> Result<Tensors> {
        let mut lifted = self.lift(row.lift, xs).map_err(|e| e.at(row.name))?;
        if let Body::Program(_) = row.body {
            lifted.extend(params.programs().flat_map(|p| p.captured.iter().cloned()));
        }
        self.bind(row, params, &lifted)
    }

    fn lift(&self, lift: Lift, xs: &[Tensor]) -> Result<SmallVec<[Tensor; 3]>> {
        let skip = usize::from(lift == Lift::Select);
        let avals: SmallVec<[&Aval; 3]> = xs[skip.min(xs.len())..].iter().map(|x| x.aval()).collect();
        let (mut dtype, mut weak) = result_dtype(&avals);
        match lift {
            Lift::None => return Ok(xs.iter().cloned().collect()),
            Lift::Float => return xs.iter().map(|x| self.cast_weak(x, x.dtype().to_float(), x.weak())).collect(),
            Lift::PromoteFloat | Lift::DtypesFloat => dtype = dtype.to_float(),
            Lift::PromoteNumber if dtype == DType::Bool => dtype = DType::I32,
            _ => {}
        }
        if xs.iter().all(|x| x.weak()) {
            weak = true
        }
        let shapes: SmallVec<[&[usize]; 3]> = xs.iter().map(|x| x.shape()).collect();
        let shape = if matches!(lift, Lift::Dtypes | Lift::DtypesFloat) { None } else { Some(broadcast_shapes(&shapes)?) };
        xs.iter()
            .enumerate()
            .map(|(i, x)| {
                let x = if i < skip || lift == Lift::Bool { self.to_bool(x)? } else { self.cast_weak(x, dtype, weak)? };
                match &shape {
                    Some(s) => self.broadcast_to(&x, s),
                    None => Ok(x),
                }
            })
            .collect()
    }

    /// True where an element is not zero.
    pub fn to_bool(&self, x: &Tensor) -> Result<Tensor> {
        if x.dtype() == DType::Bool {
            return Ok(x.clone());
        }
        self.cast(x, DType::Bool)
    }

    /// Repeats `x` to `shape`, aligned at the right as NumPy does.
    pub fn broadcast_to(&self, x: &Tensor, shape: &[usize]) -> Result<Tensor> {
        if x.shape() == shape {
            return Ok(x.clone());
        }
        let offset =
            shape.len().checked_sub(x.ndim()).ok_or_else(|| Error::shape(format!("{:?} cannot be broadcast to {shape:?}", x.shape())))?;
        // Axes of size 1 that grow are dropped first: the row maps axes of equal size.
        let keep: Vec<usize> = (0..x.ndim()).filter(|&d| x.shape()[d] == shape[d + offset]).collect();
        if let Some(d) = (0..x.ndim()).find(|d| !keep.contains(d) && x.shape()[*d] != 1) {
            return Err(Error::shape(format!("{:?} cannot be broadcast to {shape:?}: axis {d} is {}", x.shape(), x.shape()[d])));
        }
        let squeezed: Dims = keep.iter().map(|&d| x.shape()[d]).collect();
        let axes: Vec<usize> = keep.iter().map(|d| d + offset).collect();
        self.broadcast(&self.reshape(x, &squeezed)?, shape, &axes)
    }
}
