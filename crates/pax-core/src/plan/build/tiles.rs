//! Which function of loops computes an equation, and what an element costs.
use crate::exec::cpu::math::Real;
use crate::exec::cpu::tile::{self, Function, Simd};
use crate::exec::cpu::tile_int;
use crate::program::Equation;
use crate::{Aval, DType};

fn float_of(name: &str, simd: Simd) -> Option<Function> {
    Some(match name {
        "add" => tile::add,
        "sub" => tile::sub,
        "mul" => tile::mul,
        "div" => tile::div,
        "maximum" => tile::maximum,
        "minimum" => tile::minimum,
        "neg" => tile::neg,
        "abs" => tile::abs,
        "square" => tile::square,
        "relu" => tile::relu,
        "sqrt" => tile::sqrt,
        "rsqrt" => tile::rsqrt,
        "reciprocal" => tile::reciprocal,
        "exp" => tile::exp_,
        "log" => tile::log_,
        "tanh" => tile::tanh_,
        "sigmoid" => tile::sigmoid_,
        "floor" => tile::floor,
        "equal" => tile::equal,
        "not_equal" => tile::not_equal,
        "less" => tile::less,
        "less_equal" => tile::less_equal,
        "greater" => tile::greater,
        "greater_equal" => tile::greater_equal,
        "logical_and" => tile::logical_and,
        "logical_or" => tile::logical_or,
        "logical_not" => tile::logical_not,
        "select" => tile::select,
        "pow" => tile::pow,
        "expm1" => tile::expm1,
        "log1p" => tile::log1p,
        "softplus" => tile::softplus,
        "erf" => tile::erf,
        "erfc" => tile::erfc,
        "erfinv" => tile::erfinv,
        "sin" => tile::sin,
        "cos" => tile::cos,
        "sign" => tile::sign,
        "ceil" => tile::ceil,
        "trunc" => tile::trunc,
        "round" => tile::round,
        "isfinite" => tile::is_finite,
        "isnan" => tile::is_nan,
        "cbrt" => tile::cbrt,
        "tan" => tile::tan,
        "asin" => tile::asin,
        "acos" => tile::acos,
        "atan" => tile::atan,
        "sinh" => tile::sinh,
        "cosh" => tile::cosh,
        "asinh" => tile::asinh,
        "acosh" => tile::acosh,
        "atanh" => tile::atanh,
        "atan2" => tile::atan2,
        "remainder" => tile::remainder,
        "floor_divide" => tile::floor_divide,
        _ => return None,
    }(simd))
}

/// Functions over tiles of float64 as rows compute them, element by element: they have no code.
macro_rules! doubles {
    ($name:expr, $($row:literal($x:ident $(, $y:ident)?) = $e:expr;)*) => { match $name {
        $($row => {
            unsafe fn run(dst: *mut f32, a: *const f32, b: *const f32, _: *const f32, n: usize) {
                // SAFETY: the caller's.
                let (dst, _a, _b) = unsafe { (std::slice::from_raw_parts_mut(dst.cast::<f64>(), n / 2), a.cast::<f64>(), b.cast::<f64>()) };
                for (i, y) in dst.iter_mut().enumerate() {
                    // SAFETY: operands that it has hold as many.
                    let $x = unsafe { *_a.add(i) };
                    $(let $y = unsafe { *_b.add(i) };)?
                    *y = $e;
                }
            }
            Some(Function::double_of(run))
        })*
        _ => None,
    } };
}

fn double_of(name: &str, simd: Simd) -> Option<Function> {
    let own = doubles! { name,
        "exp"(x) = x.exp(); "log"(x) = x.ln(); "tanh"(x) = x.tanh(); "sigmoid"(x) = Real::sigmoid(x); "expm1"(x) = x.exp_m1(); "log1p"(x) = x.ln_1p();
        "softplus"(x) = Real::softplus(x); "erf"(x) = Real::erf(x); "erfc"(x) = Real::erfc(x); "erfinv"(x) = Real::erfinv(x); "sin"(x) = x.sin(); "cos"(x) = x.cos();
        "round"(x) = x.round_ties_even(); "pow"(x, y) = x.powf(y); "cbrt"(x) = x.cbrt(); "tan"(x) = x.tan(); "asin"(x) = x.asin(); "acos"(x) = x.acos(); "atan"(x) = x.atan();
        "sinh"(x) = x.sinh(); "cosh"(x) = x.cosh(); "asinh"(x) = Real::asinh(x); "acosh"(x) = Real::acosh(x); "atanh"(x) = Real::atanh(x);
        "atan2"(x, y) = x.atan2(y); "remainder"(x, y) = tile::remainder_of(x, y); "floor_divide"(x, y) = tile::quotient_of(x, y).round_ties_even();
    };
    own.or_else(|| float_of(name, simd)?.double())
}

/// How loops see it: half floats are float32s there.
fn in_tile(dtype: DType) -> DType {
    if dtype.is_half() {
        DType::F32
    } else {
        dtype
    }
}

/// True for a dtype that a cell of four bytes holds, or two of them.
pub fn fits(dtype: DType) -> bool {
    matches!(in_tile(dtype), DType::F32 | DType::F64 | DType::I32 | DType::U32 | DType::Bool)
}

/// Cells of an element in a loop of this dtype's own; bools are in loops of either kind.
pub fn cells(dtype: DType) -> usize {
    if dtype == DType::F64 {
        2
    } else {
        1
    }
}

/// What rounds a float32 to a half float of this dtype; `computed`: from such half floats.
pub fn rounding(dtype: DType, computed: bool, simd: Simd) -> Option<Function> {
    match dtype {
        DType::F16 => Some(tile::to_f16(simd)),
        DType::BF16 if computed => Some(tile::round_bf16(simd)),
        DType::BF16 => Some(tile::to_bf16(simd)),
        _ => None,
    }
}

/// True if the result is one of the operands, but for its sign, or a whole number next to it, so that nothing has to be rounded.
pub fn is_exact(e: &Equation, avals: &[Aval]) -> bool {
    match e.row.name {
        "select" | "maximum" | "minimum" | "neg" | "abs" | "relu" | "sign" | "floor" | "ceil" | "trunc" | "round" => true,
        "cast" => e.inputs.first().is_none_or(|&v| avals[v as usize].dtype == DType::Bool),
        _ => false,
    }
}

/// The function of an equation whose operands and result fit into tiles; half floats are not rounded yet.
pub fn tile_of(e: &Equation, avals: &[Aval], simd: Simd) -> Option<Function> {
    let out = avals[*e.outputs.first()? as usize].dtype;
    let dtypes: smallvec::SmallVec<[DType; 3]> = e.inputs.iter().map(|&v| avals[v as usize].dtype).collect();
    if !fits(out) || !dtypes.iter().all(|&d| fits(d)) {
        return None;
    }
    if out == DType::F64 || dtypes.contains(&DType::F64) {
        // What is loaded becomes float64.
        if e.row.name == "cast" {
            return if out == DType::F64 { tile::copy(simd).double() } else { None };
        }
        return if dtypes.iter().chain([&out]).all(|d| matches!(d, DType::F64 | DType::Bool)) { double_of(e.row.name, simd) } else { None };
    }
    match (e.row.name, in_tile(*dtypes.first()?), in_tile(out)) {
        ("cast", DType::I32, DType::F32) => Some(tile_int::TO_FLOAT),
        ("cast", DType::U32, DType::F32) => Some(tile_int::UNSIGNED_TO_FLOAT),
        ("shift_right", DType::U32, DType::U32) => Some(tile_int::SHIFT_RIGHT),
        ("cast", DType::Bool, DType::I32) => Some(tile_int::OF_BOOL),
        ("cast", DType::Bool | DType::F32, DType::F32) => Some(tile::copy(simd)),
        ("cast", ..) => None,
        // Bits are only moved.
        ("select", ..) => Some(tile::select(simd)),
        ("logical_and" | "logical_or" | "logical_not", DType::Bool, _) => float_of(e.row.name, simd),
        (_, DType::Bool | DType::U32, _) => None,
        (name, DType::I32, _) => tile_int::of(name),
        (name, ..) => float_of(name, simd),
    }
}

/// Nanoseconds that an element of a row takes, about.
pub fn cost(name: &str) -> f64 {
    match name {
        "exp" | "log" | "tanh" | "sigmoid" | "expm1" | "erf" => 0.6,
        "log1p" | "softplus" | "erfc" | "erfinv" | "sin" | "cos" | "pow" | "cbrt" | "tan" | "asin" | "acos" | "atan" | "sinh" | "cosh"
        | "asinh" | "acosh" | "atanh" | "atan2" | "remainder" | "floor_divide" => 1.2,
        "div" | "sqrt" | "rsqrt" | "reciprocal" => 0.2,
        _ => 0.06,
    }
}
