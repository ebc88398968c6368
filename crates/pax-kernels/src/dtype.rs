//! Element types and JAX's promotion lattice (64-bit types on).
pub use half::{bf16, f16};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DType {
    F32,
    F64,
    F16,
    BF16,
    I32,
    I64,
    U8,
    U32,
    Bool,
}
pub use DType::*;

impl DType {
    pub const ALL: [DType; 9] = [F32, F64, F16, BF16, I32, I64, U8, U32, Bool];
    pub fn name(self) -> &'static str {
        ["float32", "float64", "float16", "bfloat16", "int32", "int64", "uint8", "uint32", "bool"][self as usize]
    }
    pub fn size(self) -> usize {
        [4, 8, 2, 2, 4, 8, 1, 4, 1][self as usize]
    }
    /// The dtype of the elements in memory: bools are bytes.
    pub fn stored(self) -> DType {
        if self == Bool {
            U8
        } else {
            self
        }
    }
    pub fn is_float(self) -> bool {
        matches!(self, F32 | F64 | F16 | BF16)
    }
    /// Half floats, which are computed as float32.
    pub fn is_half(self) -> bool {
        matches!(self, F16 | BF16)
    }
    pub fn is_int(self) -> bool {
        matches!(self, I32 | I64 | U8 | U32)
    }
    /// The dtype that `exp`, `mean` or `div` of this dtype gives (API.md: integers give float32).
    pub fn to_float(self) -> DType {
        if self.is_float() {
            self
        } else {
            F32
        }
    }
    /// What sums accumulate in and give back for bool and uint8 (API.md); other dtypes stay.
    pub fn sum_result(self) -> DType {
        match self {
            Bool => I32,
            U8 => U32,
            d => d,
        }
    }
    /// The least and greatest value of an integer dtype.
    pub fn int_range(self) -> Option<(i64, i64)> {
        match self {
            I32 => Some((i32::MIN as i64, i32::MAX as i64)),
            I64 => Some((i64::MIN, i64::MAX)),
            U8 => Some((0, 255)),
            U32 => Some((0, u32::MAX as i64)),
            _ => None,
        }
    }
    /// `jnp.promote_types` with x64 on.
    pub fn promote(a: DType, b: DType) -> DType {
        if a == b {
            return a;
        }
        let (a, b) = if rank(a) <= rank(b) { (a, b) } else { (b, a) };
        match (a, b) {
            (U32, I32) | (I32, U32) => I64,
            (F16, BF16) | (BF16, F16) => F32,
            _ => b,
        }
    }
    /// Promotion with weak operands (JavaScript numbers): a weak one only decides the kind.
    pub fn promote_weak(a: (DType, bool), b: (DType, bool)) -> (DType, bool) {
        match (a.1, b.1) {
            (true, true) => (DType::promote(a.0, b.0), true),
            (false, false) => (DType::promote(a.0, b.0), false),
            (true, false) => (weak_with(a.0, b.0), false),
            (false, true) => (weak_with(b.0, a.0), false),
        }
    }
}

fn weak_with(weak: DType, strong: DType) -> DType {
    let kind = |d: DType| match d {
        Bool => 0,
        d if d.is_int() => 1,
        _ => 2,
    };
    if kind(weak) <= kind(strong) {
        strong
    } else {
        weak
    }
}

fn rank(d: DType) -> u8 {
    match d {
        Bool => 0,
        U8 => 1,
        U32 => 2,
        I32 => 3,
        I64 => 4,
        F16 => 5,
        BF16 => 6,
        F32 => 7,
        F64 => 8,
    }
}

/// A Rust type that a tensor's elements have in memory: a number, as any bits are one. Bool is stored as `u8`.
pub trait Element: Copy + Send + Sync + PartialOrd + std::fmt::Debug + 'static {
    const DTYPE: DType;
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;
    fn from_i64(x: i64) -> Self;
    fn to_i64(self) -> i64;
    fn is_nan(self) -> bool {
        false
    }
}

macro_rules! element {
    ($t:ty, $d:ident, $from:expr, $to:expr, $fromi:expr, $toi:expr, $nan:expr) => {
        impl Element for $t {
            const DTYPE: DType = DType::$d;
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                $from(x)
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                $to(self)
            }
            #[inline(always)]
            fn from_i64(x: i64) -> Self {
                $fromi(x)
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                $toi(self)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                $nan(self)
            }
        }
    };
}
element!(f32, F32, |x| x as f32, |x| x as f64, |x| x as f32, |x| x as i64, f32::is_nan);
element!(f64, F64, |x| x, |x| x, |x| x as f64, |x| x as i64, f64::is_nan);
element!(f16, F16, f16::from_f64, f16::to_f64, |x| f16::from_f32(x as f32), |x: f16| x.to_f32() as i64, f16::is_nan);
element!(bf16, BF16, bf16::from_f64, bf16::to_f64, |x| bf16::from_f32(x as f32), |x: bf16| x.to_f32() as i64, bf16::is_nan);
element!(i32, I32, |x| x as i32, |x| x as f64, |x| x as i32, |x| x as i64, |_| false);
element!(i64, I64, |x| x as i64, |x| x as f64, |x| x, |x| x, |_| false);
element!(u8, U8, |x| x as u8, |x| x as f64, |x| x as u8, |x| x as i64, |_| false);
element!(u32, U32, |x| x as u32, |x| x as f64, |x| x as u32, |x| x as i64, |_| false);

/// Runs `$body` with `$t` bound to the type that stands beside `$dtype`.
#[macro_export]
macro_rules! dispatch_among {
    ($dtype:expr, $t:ident => $body:expr, { $($($d:ident)|+ = $of:ty,)+ } $(, $other:ident => $error:expr)?) => {
        match $dtype {
            $($($crate::DType::$d)|+ => {
                type $t = $of;
                $body
            })+
            $($other => $error,)?
        }
    };
}

/// Runs `$body` with `$t` bound to the element type of `$dtype`.
#[macro_export]
macro_rules! dispatch {
    ($dtype:expr, $t:ident => $body:expr) => {
        $crate::dispatch_among!($dtype, $t => $body, {
            F32 = f32,
            F64 = f64,
            F16 = $crate::dtype::f16,
            BF16 = $crate::dtype::bf16,
            I32 = i32,
            I64 = i64,
            U8 | Bool = u8,
            U32 = u32,
        })
    };
}

/// Runs `$body` with `$b` bound to plain bits of the size of an element: for what moves elements and does not read them.
#[macro_export]
macro_rules! dispatch_size {
    ($size:expr, $b:ident => $body:expr) => {
        match $size {
            1 => {
                type $b = u8;
                $body
            }
            2 => {
                type $b = u16;
                $body
            }
            4 => {
                type $b = u32;
                $body
            }
            _ => {
                type $b = u64;
                $body
            }
        }
    };
}
