//! Element-wise functions as lists of operations on vectors: they run on symbols, and what they do is written down.
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::{Add, BitOr, Div, Mul, Neg, Sub};

use crate::chunk::loops::Id;
use crate::lanes::{Lanes, Words, EXPONENT, HALF_BITS, ONE_BITS, ROUND};
use crate::tile::Simd;
use crate::DType;

/// The number of an operation, and so of its result.
pub type Value = u32;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// The elements of an entry of the table.
    Load(Id),
    /// The same of narrow elements, as floats.
    Narrow(Id, DType),
    /// The first elements of an entry, as many as a vector has, which are one number.
    Splat(Id),
    /// The first element of an entry in this row, repeated.
    Repeat(Id),
    /// A float32 by its bits; the same number, sign or mask where elements are float64.
    Constant(u32),
    /// A float64 by its bits.
    Wide(u64),
    Two(Two, Value, Value),
    One(One, Value),
    /// `a · b + c`, or `c - a · b`.
    Fma {
        negative: bool,
        a: Value,
        b: Value,
        c: Value,
    },
    /// The second where the bits of the first are set, else the third.
    Blend(Value, Value, Value),
}

/// `AndNot`: what the second has and the first has not. `Min`, `Max`: the second where either is NaN. `Scale`: times two to the power of
/// the second, a whole number, which AVX-512 has an instruction for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Two {
    Add,
    Sub,
    Mul,
    Div,
    And,
    AndNot,
    Or,
    Min,
    Max,
    Less,
    LessEqual,
    Equal,
    NotEqual,
    Xor,
    AddInt,
    SubInt,
    Scale,
}

/// `Shift`: of integers, to the right with their sign where it is negative; `ToF16`: to the next float16.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum One {
    Sqrt,
    Floor,
    FromInt,
    Shift(i8),
    ToF16,
}

impl Op {
    /// True for what lies in memory from the start.
    pub fn lies(self) -> bool {
        self.values().next().is_none()
    }

    /// What it reads.
    pub fn values(self) -> impl Iterator<Item = Value> {
        let all = match self {
            Op::Load(_) | Op::Narrow(..) | Op::Splat(_) | Op::Repeat(_) | Op::Constant(_) | Op::Wide(_) => [None; 3],
            Op::One(_, a) => [Some(a), None, None],
            Op::Two(_, a, b) => [Some(a), Some(b), None],
            Op::Fma { a, b, c, .. } | Op::Blend(a, b, c) => [Some(a), Some(b), Some(c)],
        };
        all.into_iter().flatten()
    }
}

/// `scales`: the level has an instruction for `Two::Scale`.
#[derive(Default)]
struct Trace {
    ops: Vec<Op>,
    known: HashMap<Op, Value>,
    scales: bool,
}

thread_local! {
    static TRACE: RefCell<Trace> = RefCell::default();
}

/// What `f` does with symbols at a level, each operation once. `f` makes symbols of loads by `Sym::of`.
pub fn trace<R>(simd: Simd, f: impl FnOnce() -> R) -> (Vec<Op>, R) {
    TRACE.with(|t| t.replace(Trace { scales: simd == Simd::Avx512, ..Trace::default() }));
    let result = f();
    (TRACE.with(RefCell::take).ops, result)
}

/// A result of an operation; of comparisons, all bits or none.
#[derive(Clone, Copy)]
pub struct Sym(pub Value);

impl Sym {
    pub fn of(op: Op) -> Sym {
        TRACE.with(|t| {
            let t = &mut *t.borrow_mut();
            let next = t.ops.len() as Value;
            let v = *t.known.entry(op).or_insert(next);
            if v == next {
                t.ops.push(op);
            }
            Sym(v)
        })
    }
    fn op(self) -> Op {
        TRACE.with(|t| t.borrow().ops[self.0 as usize])
    }
    fn bits(x: u32) -> Sym {
        Sym::of(Op::Constant(x))
    }
    fn is_zero(self) -> bool {
        self.op() == Op::Constant(0)
    }
    fn two(op: Two, a: Sym, b: Sym) -> Sym {
        Sym::of(Op::Two(op, a.0, b.0))
    }
    fn one(op: One, a: Sym) -> Sym {
        Sym::of(Op::One(op, a.0))
    }

    pub fn floor(self) -> Sym {
        Sym::one(One::Floor, self)
    }
}

macro_rules! operators { ($($name:ident $f:ident $op:ident;)*) => { $(impl $name for Sym {
    type Output = Sym;
    fn $f(self, y: Sym) -> Sym { Sym::two(Two::$op, self, y) }
})* } }
operators! { Add add Add; Sub sub Sub; Mul mul Mul; Div div Div; BitOr bitor Or; }
impl Neg for Sym {
    type Output = Sym;
    fn neg(self) -> Sym {
        Sym::two(Two::Xor, self, Sym::bits(1 << 31))
    }
}

impl Lanes for Sym {
    type Mask = Sym;
    fn all(x: f32) -> Sym {
        Sym::bits(x.to_bits())
    }
    /// Fused, `F` or not: code is made where the instruction set has it.
    fn fma<const F: bool>(self, b: Sym, c: Sym) -> Sym {
        if let Op::Two(Two::Xor, a, sign) = self.op() {
            if Sym(sign).op() == Op::Constant(1 << 31) {
                return Sym::of(Op::Fma { negative: true, a, b: b.0, c: c.0 });
            }
        }
        Sym::of(Op::Fma { negative: false, a: self.0, b: b.0, c: c.0 })
    }
    fn abs(self) -> Sym {
        Sym::two(Two::And, self, Sym::bits(i32::MAX as u32))
    }
    fn copysign(self, sign: Sym) -> Sym {
        Sym::two(Two::Or, self.abs(), Sym::two(Two::And, sign, Sym::bits(1 << 31)))
    }
    fn lt(self, y: Sym) -> Sym {
        Sym::two(Two::Less, self, y)
    }
    fn le(self, y: Sym) -> Sym {
        Sym::two(Two::LessEqual, self, y)
    }
    fn is(self, y: Sym) -> Sym {
        Sym::two(Two::Equal, self, y)
    }
    fn is_not(self, y: Sym) -> Sym {
        Sym::two(Two::NotEqual, self, y)
    }
    fn select(mask: Sym, yes: Sym, no: Sym) -> Sym {
        if no.is_zero() {
            return Sym::two(Two::And, mask, yes);
        }
        if yes.is_zero() {
            return Sym::two(Two::AndNot, mask, no);
        }
        Sym::of(Op::Blend(mask.0, yes.0, no.0))
    }
    fn sqrt(self) -> Sym {
        Sym::one(One::Sqrt, self)
    }
    fn at_most(self, y: Sym) -> Sym {
        Sym::two(Two::Min, y, self)
    }
    fn at_least(self, y: Sym) -> Sym {
        Sym::two(Two::Max, y, self)
    }
}

impl Words for Sym {
    fn rounded(self, bits: u32) -> Sym {
        let bit = Sym::two(Two::And, Sym::one(One::Shift(-(bits as i8)), self), Sym::bits(1));
        let up = Sym::two(Two::AddInt, self, Sym::two(Two::AddInt, bit, Sym::bits((1 << (bits - 1)) - 1)));
        Sym::two(Two::And, up, Sym::bits(u32::MAX << bits))
    }
    fn to_f16(self) -> Sym {
        Sym::one(One::ToF16, self)
    }
    fn power(self) -> Sym {
        Sym::two(Two::AddInt, Sym::one(One::Shift(EXPONENT as i8), self), Sym::bits(ONE_BITS as u32))
    }
    fn scaled(self, n: Sym) -> Sym {
        if TRACE.with(|t| t.borrow().scales) {
            return Sym::two(Two::Scale, self, n - Sym::all(ROUND));
        }
        let up = |n: Sym| Sym::one(One::Shift(EXPONENT as i8), n);
        let half = up(Sym::one(One::Shift(-1), n));
        let other = Sym::two(Two::AddInt, Sym::two(Two::SubInt, up(n), half), Sym::bits(ONE_BITS as u32));
        Sym::two(Two::AddInt, self, half) * other
    }
    fn parts(self) -> (Sym, Sym) {
        let int = |x: i32| Sym::bits(x as u32);
        let shifted = Sym::two(Two::SubInt, self, int(HALF_BITS));
        let mantissa = Sym::two(Two::AddInt, Sym::two(Two::And, shifted, int(0x007f_ffff)), int(HALF_BITS));
        (Sym::one(One::FromInt, Sym::one(One::Shift(-23), shifted)), mantissa)
    }
}
