//! Element-wise functions over tiles of int32 and uint32, which lie in the four bytes of a tile's elements; bools are 0.0 and 1.0.
//! Not inlined, as those of `tile`.
use super::tile::Function;

macro_rules! ints {
    ($of:ty: $($name:ident($a:ident $(, $b:ident)?) -> $to:ty = $e:expr;)*) => { $(
        /// # Safety
        /// As every `tile::TileFn`.
        #[allow(unused_variables)]
        #[inline(never)]
        unsafe fn $name(dst: *mut f32, a: *const f32, b: *const f32, _c: *const f32, n: usize) {
            // SAFETY: the caller's; four bytes are four bytes.
            unsafe {
                let dst = std::slice::from_raw_parts_mut(dst.cast::<$to>(), n);
                let $a = std::slice::from_raw_parts(a.cast::<$of>(), n);
                $(let $b = std::slice::from_raw_parts(b.cast::<$of>(), n);)?
                for i in 0..n {
                    let $a = $a[i];
                    $(let $b = $b[i];)?
                    dst[i] = $e;
                }
            }
        }
    )* };
}
fn bool_of(x: bool) -> f32 {
    if x {
        1.0
    } else {
        0.0
    }
}
/// Quotient and remainder, rounded down; by zero they are -1 and the dividend. By way of float64, which vectors divide: a quotient of
/// int32s that is no whole number is never rounded to one.
#[inline(always)]
fn floored(x: i32, d: i32) -> (i32, i32) {
    let plain = if d == 0 || d == -1 { 1 } else { d };
    // SAFETY: no quotient of an int32 by anything else than 0 and -1 leaves int32.
    let q = unsafe { (f64::from(x) / f64::from(plain)).to_int_unchecked::<i32>() };
    let r = x.wrapping_sub(q.wrapping_mul(plain));
    let down = r != 0 && (r ^ plain) < 0;
    match d {
        0 => (-1, x),
        -1 => (x.wrapping_neg(), 0),
        _ => (q.wrapping_sub(i32::from(down)), if down { r.wrapping_add(plain) } else { r }),
    }
}
ints! { i32:
    floor_divide(x, y) -> i32 = floored(x, y).0;
    remainder(x, y) -> i32 = floored(x, y).1;
    bit_and(x, y) -> i32 = x & y;
    bit_or(x, y) -> i32 = x | y;
    bit_xor(x, y) -> i32 = x ^ y;
    bit_not(x) -> i32 = !x;
    shift_left(x, y) -> i32 = if (0..32).contains(&y) { x.wrapping_shl(y as u32) } else { 0 };
    signed_shift_right(x, y) -> i32 = x.wrapping_shr(if (0..32).contains(&y) { y as u32 } else { 31 });
    add(x, y) -> i32 = x.wrapping_add(y);
    sub(x, y) -> i32 = x.wrapping_sub(y);
    mul(x, y) -> i32 = x.wrapping_mul(y);
    maximum(x, y) -> i32 = x.max(y);
    minimum(x, y) -> i32 = x.min(y);
    neg(x) -> i32 = x.wrapping_neg();
    equal(x, y) -> f32 = bool_of(x == y);
    not_equal(x, y) -> f32 = bool_of(x != y);
    less(x, y) -> f32 = bool_of(x < y);
    less_equal(x, y) -> f32 = bool_of(x <= y);
    greater(x, y) -> f32 = bool_of(x > y);
    greater_equal(x, y) -> f32 = bool_of(x >= y);
    to_float(x) -> f32 = x as f32;
}
ints! { u32:
    shift_right(x, y) -> u32 = x.checked_shr(y).unwrap_or(0);
    unsigned_to_float(x) -> f32 = x as f32;
}
#[inline(never)]
unsafe fn of_bool(dst: *mut f32, a: *const f32, _b: *const f32, _c: *const f32, n: usize) {
    // SAFETY: the caller's.
    unsafe {
        for i in 0..n {
            *dst.cast::<i32>().add(i) = i32::from(*a.add(i) != 0.0);
        }
    }
}

/// The function of a row on int32 operands, if there is one.
pub fn of(name: &str) -> Option<Function> {
    Some(Function::plain(match name {
        "floor_divide" => floor_divide,
        "remainder" => remainder,
        "bit_and" => bit_and,
        "bit_or" => bit_or,
        "bit_xor" => bit_xor,
        "bit_not" => bit_not,
        "shift_left" => shift_left,
        "shift_right" => signed_shift_right,
        "add" => add,
        "sub" => sub,
        "mul" => mul,
        "maximum" => maximum,
        "minimum" => minimum,
        "neg" => neg,
        "equal" => equal,
        "not_equal" => not_equal,
        "less" => less,
        "less_equal" => less_equal,
        "greater" => greater,
        "greater_equal" => greater_equal,
        _ => return None,
    }))
}
/// Of the bits that random numbers are made of.
pub const SHIFT_RIGHT: Function = Function::plain(shift_right);
pub const UNSIGNED_TO_FLOAT: Function = Function::plain(unsigned_to_float);
/// int32 to float32, and bool to int32.
pub const TO_FLOAT: Function = Function::plain(to_float);
pub const OF_BOOL: Function = Function::plain(of_bool);
