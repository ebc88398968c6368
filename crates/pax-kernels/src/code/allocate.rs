//! From operations to instructions: which vector is in which register. One that finds none free takes that whose value is
//! needed last (Belady, 1966).
use super::assembler::{Assembler, General, Map, Mask, Place, Vector, RAX, RCX, RDI, RDX, RSI, RSP};
use super::instructions::*;
use super::list::{List, Step, Vectors, ADDRESSES, AVX2, AVX512};
use super::trace::{One, Op, Two, Value};
use super::{Output, To};
use crate::chunk::loops::Id;
use crate::tile::Simd;

/// Of the registers for addresses, those that a function may use as it likes.
const FREE: usize = 5;
/// Bytes of a cell.
const FLOAT: u8 = 4;
/// The frame: rows that are left, the table of steps, and from there on values.
const ROWS: i32 = 0;
const STEPS: i32 = 8;
const SLOTS: i32 = 16;

pub(super) struct Body<'a> {
    pub to: &'a mut Assembler,
    pub list: &'a List<'a>,
    /// The steps to come that read each value.
    uses: Vec<Vec<usize>>,
    /// Where values are; where they were put away.
    register: Vec<Option<Vector>>,
    put: Vec<Option<usize>>,
    /// Who is in which register.
    held: Vec<Option<Value>>,
    /// Registers that the present operation reads, and those of values that stay.
    busy: u32,
    stay: u32,
    /// How many registers it takes.
    most: usize,
    slots: usize,
    free_slots: Vec<usize>,
    pub part: Part,
}

/// What a body does: whole vectors, the elements that are left, which a mask names, or one of them.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Part {
    Whole,
    Masked,
    One,
}

/// The register with an entry's address.
fn address(to: &mut Assembler, list: &List, id: Id) -> General {
    match list.pinned.iter().position(|&p| p == id) {
        Some(k) => ADDRESSES[k],
        None => {
            to.load(RAX, RDI, 8 * i32::from(id));
            RAX
        }
    }
}

impl Body<'_> {
    fn slot_at(&self, slot: usize) -> Place {
        Place::At(RSP, SLOTS + slot as i32 * self.list.vectors.bytes())
    }

    /// The register with an entry's address.
    pub fn address(&mut self, id: Id) -> General {
        address(self.to, self.list, id)
    }

    /// A value in memory that nobody has to put there.
    fn constant(&mut self, v: Value) -> Option<Place> {
        match self.list.ops[v as usize] {
            Op::Splat(id) => Some(Place::At(self.address(id), 0)),
            op => self.list.constant(op),
        }
    }

    /// A free register.
    fn take(&mut self) -> Vector {
        if let Some(r) = (0..self.held.len()).find(|&r| self.held[r].is_none() && self.busy & 1 << r == 0) {
            self.most = self.most.max(r + 1);
            return r as Vector;
        }
        let next = |b: &Self, r: usize| b.held[r].and_then(|v| b.uses[v as usize].last().copied()).unwrap_or(usize::MAX);
        let r = (0..self.held.len()).filter(|r| self.busy & 1 << r == 0).max_by_key(|&r| next(self, r)).unwrap_or(0);
        if let Some(v) = self.held[r].take() {
            let lies = self.list.ops[v as usize].lies() || self.put[v as usize].is_some();
            if !lies {
                let slot = self.free_slots.pop().unwrap_or_else(|| {
                    self.slots += 1;
                    self.slots - 1
                });
                self.put[v as usize] = Some(slot);
                let at = self.slot_at(slot);
                self.to.vector(STORE, r as Vector, 0, at, None);
            }
            self.register[v as usize] = None;
        }
        r as Vector
    }

    fn keep(&mut self, v: Value, r: Vector) {
        self.held[r as usize] = Some(v);
        self.register[v as usize] = Some(r);
    }

    /// The elements of this part.
    fn load(&mut self, r: Vector, from: Place) {
        let mask = self.list.vectors.mask();
        match (self.part, self.list.vectors.masks) {
            (Part::Whole, _) => self.to.vector(LOAD, r, 0, from, None),
            (Part::One, _) => self.to.vector(REPEAT, r, 0, from, None),
            (Part::Masked, false) => self.to.vector(LOAD_SOME, r, mask, from, None),
            (Part::Masked, true) => self.to.masked(LOAD, r, 0, from, None, LEFT, true),
        }
    }

    /// A value in a register that the present operation may read.
    fn reg(&mut self, v: Value) -> Vector {
        let r = match self.register[v as usize] {
            Some(r) => r,
            None => {
                let r = self.take();
                match (self.list.ops[v as usize], self.put[v as usize]) {
                    (_, Some(slot)) => {
                        let from = self.slot_at(slot);
                        self.to.vector(LOAD, r, 0, from, None)
                    }
                    (Op::Load(id), None) => {
                        let from = Place::Indexed(self.address(id), FLOAT);
                        self.load(r, from)
                    }
                    (Op::Narrow(id, dtype), None) => self.widen(r, id, dtype),
                    (Op::Repeat(id), None) => {
                        let from = Place::At(self.address(id), 0);
                        self.to.vector(REPEAT, r, 0, from, None)
                    }
                    _ => {
                        if let Some(from) = self.constant(v) {
                            self.to.vector(LOAD, r, 0, from, None)
                        }
                    }
                }
                self.keep(v, r);
                r
            }
        };
        self.busy |= 1 << r;
        r
    }

    /// The same, or where it lies.
    fn place(&mut self, v: Value) -> Place {
        if self.register[v as usize].is_none() {
            if let Some(slot) = self.put[v as usize] {
                return self.slot_at(slot);
            }
            if let Some(p) = self.constant(v) {
                return p;
            }
        }
        Place::Register(self.reg(v))
    }

    fn in_register(&self, v: Value) -> bool {
        self.register[v as usize].is_some()
    }
    /// True for what `place` leaves in memory.
    fn in_memory(&self, v: Value) -> bool {
        !self.in_register(v)
            && (self.put[v as usize].is_some() || matches!(self.list.ops[v as usize], Op::Constant(_) | Op::Wide(_) | Op::Splat(_)))
    }

    fn is_mask(&self, v: Value) -> bool {
        self.list.vectors.is_mask(self.list.ops, v)
    }

    /// Makes the mask `v`, or its opposite, in a mask register; those behind it may be used, too.
    fn compare(&mut self, v: Value, opposite: bool, to: Mask) {
        let Op::Two(two, a, b) = self.list.ops[v as usize] else { return };
        if two == Two::Or {
            self.compare(a, opposite, to);
            self.compare(b, opposite, to + 1);
            self.to.mask(if opposite { AND_MASKS } else { OR_MASKS }, to, to, to + 1);
            return;
        }
        let (code, immediate, commutes) = instruction(two);
        let (a, b) = if commutes && self.in_memory(a) && !self.in_memory(b) { (b, a) } else { (a, b) };
        let (a, b) = (self.reg(a), self.place(b));
        // The opposite comparison has one bit more.
        self.to.vector(code, to, a, b, immediate.map(|i| i ^ u8::from(opposite) << 2));
    }

    /// A step has read what the operation reads.
    fn read_by(&mut self, step: usize, op: Op) {
        self.read(step, self.list.vectors.reads(self.list.ops, op));
    }

    /// A step has read these: registers of values that nobody reads any more are free.
    fn read(&mut self, step: usize, values: impl IntoIterator<Item = Value>) {
        for v in values {
            let v = v as usize;
            while self.uses[v].last().is_some_and(|&s| s <= step) {
                self.uses[v].pop();
            }
            if self.uses[v].is_empty() && !self.stays(v as Value) {
                if let Some(r) = self.register[v].take() {
                    self.held[r as usize] = None;
                }
                if let Some(slot) = self.put[v].take() {
                    self.free_slots.push(slot);
                }
            }
        }
        self.busy = self.stay;
    }
    /// It has its register in all of the loop.
    fn stays(&self, v: Value) -> bool {
        self.register[v as usize].is_some_and(|r| self.stay >> r & 1 == 1)
    }
    fn dies(&self, v: Value, step: usize) -> bool {
        !self.stays(v) && self.uses[v as usize].iter().all(|&s| s <= step)
    }

    fn operation(&mut self, step: usize, v: Value) {
        let op = self.list.ops[v as usize];
        let r = match op {
            Op::Load(_) | Op::Narrow(..) | Op::Splat(_) | Op::Repeat(_) | Op::Constant(_) | Op::Wide(_) => return,
            Op::One(one, a) => {
                let a_ = if matches!(one, One::Shift(_) | One::ToF16) { Place::Register(self.reg(a)) } else { self.place(a) };
                self.read_by(step, op);
                let r = self.take();
                match (one, a_) {
                    (One::Sqrt, a) => self.to.vector((Map::Plain, 0x51), r, 0, a, None),
                    (One::Floor, a) => self.to.vector((Map::X66F3A, 0x08), r, 0, a, Some(0x09)),
                    (One::FromInt, a) => self.to.vector(OF_INTS, r, 0, a, None),
                    // The operand stands where results do.
                    (One::ToF16, a) => {
                        if let Place::Register(a) = a {
                            self.to.vector(TO_F16, a, 0, Place::Register(r), Some(0));
                            self.to.vector(OF_F16, r, 0, Place::Register(r), None);
                        }
                    }
                    // The number of the operation stands where a register does, the result in the prefix.
                    (One::Shift(n), a) => {
                        self.to.vector(SHIFT, if n < 0 { SIGNED_RIGHT_BY } else { LEFT_BY }, r, a, Some(n.unsigned_abs()))
                    }
                }
                r
            }
            Op::Two(two @ (Two::And | Two::AndNot), mask, x) if self.is_mask(mask) => {
                self.compare(mask, two == Two::AndNot, COMPARED);
                let x = self.place(x);
                self.read_by(step, op);
                let r = self.take();
                self.to.masked(LOAD, r, 0, x, None, COMPARED, true);
                r
            }
            Op::Blend(mask, yes, no) if self.is_mask(mask) => {
                self.compare(mask, false, COMPARED);
                let no = self.reg(no);
                let yes = self.place(yes);
                self.read_by(step, op);
                let r = self.take();
                self.to.masked(BLEND_MASKED, r, no, yes, None, COMPARED, false);
                r
            }
            Op::Two(two, a, b) => {
                let (code, immediate, commutes) = instruction(two);
                let (a, b) = if commutes && self.in_memory(a) && !self.in_memory(b) { (b, a) } else { (a, b) };
                let (a, b) = (self.reg(a), self.place(b));
                self.read_by(step, op);
                let r = self.take();
                self.to.vector(code, r, a, b, immediate);
                r
            }
            Op::Blend(mask, yes, no) => {
                let (mask, no) = (self.reg(mask), self.reg(no));
                let yes = self.place(yes);
                self.read_by(step, op);
                let r = self.take();
                self.to.vector(BLEND, r, no, yes, Some(mask << 4));
                r
            }
            Op::Fma { negative, a, b, c } => self.fma(step, op, negative, (a, b, c)),
        };
        self.keep(v, r);
    }

    /// The result of a fused product lies over one of its operands: over one that nobody reads any more, or over a copy.
    fn fma(&mut self, step: usize, op: Op, negative: bool, (a, b, c): (Value, Value, Value)) -> Vector {
        let over = |s: &Self, v: Value| s.in_register(v) && s.dies(v, step);
        let form = |of: u8| (Map::X66F38, of + if negative { 4 } else { 0 });
        if !over(self, c) {
            for (x, y) in [(a, b), (b, a)] {
                if !over(self, x) || x == c || x == y {
                    continue;
                }
                let x = self.reg(x);
                // The last operand may be in memory: the factor, or else the summand.
                if self.in_memory(y) {
                    let c = self.reg(c);
                    let y = self.place(y);
                    self.to.vector(form(0x98), x, c, y, None);
                } else {
                    let y = self.reg(y);
                    let c = self.place(c);
                    self.to.vector(form(0xa8), x, y, c, None);
                }
                self.read_by(step, op);
                return x;
            }
        }
        let (a, b) = if self.in_memory(a) && !self.in_memory(b) { (b, a) } else { (a, b) };
        let r = if over(self, c) && c != a && c != b {
            self.reg(c)
        } else {
            let from = self.place(c);
            let r = self.take();
            self.to.vector(if matches!(from, Place::Register(_)) { MOVE } else { LOAD }, r, 0, from, None);
            self.busy |= 1 << r;
            r
        };
        let (a, b) = (self.reg(a), self.place(b));
        self.to.vector(form(0xb8), r, a, b, None);
        self.read_by(step, op);
        r
    }

    fn store(&mut self, step: usize, v: Value, id: Id, to: To) {
        let mut r = self.reg(v);
        if let To::Narrow(dtype) = to {
            let to = Place::Indexed(self.address(id), dtype.size() as u8);
            self.narrow(r, to, dtype);
            return self.read(step, [v]);
        }
        let place = Place::Indexed(self.address(id), FLOAT);
        if to == To::Sum {
            let sum = self.take();
            self.load(sum, place);
            self.to.vector(ADD, sum, sum, Place::Register(r), None);
            r = sum;
        }
        let mask = self.list.vectors.mask();
        match (self.part, self.list.vectors.masks) {
            (Part::Whole, _) => self.to.vector(STORE, r, 0, place, None),
            (Part::One, _) => self.to.low(STORE_ONE, r, place, None),
            (Part::Masked, false) => self.to.vector(STORE_SOME, r, mask, place, None),
            (Part::Masked, true) => self.to.masked(STORE, r, 0, place, None, LEFT, false),
        }
        self.read(step, [v]);
    }
}

/// A function of a table of addresses, a number of cells, a number of rows of so many, and a table of the bytes from a row to the next.
/// `double`: its elements are float64, two cells.
pub fn code(simd: Simd, double: bool, ops: &[Op], results: &[Output]) -> Vec<u8> {
    let vectors = Vectors { double, ..if simd == Simd::Avx512 { AVX512 } else { AVX2 } };
    let (lanes, bytes) = (vectors.lanes, vectors.bytes());
    let list = List::new(vectors, ops, results);
    let mut to = Assembler::new(vectors.masks, double);
    let size = if double { 8 } else { 4 };
    for c in &list.constants {
        for _ in 0..bytes as usize / size {
            to.constants.extend(&c.to_le_bytes()[..size]);
        }
    }
    // For the elements that are left: as many ones as there are, then zeros.
    let mask = to.constants.len();
    for byte in [0xff, 0] {
        to.constants.resize(to.constants.len() + bytes as usize, byte);
    }

    let saved: Vec<General> = ADDRESSES[..list.pinned.len()].iter().skip(FREE).copied().collect();
    for &r in &saved {
        to.push(r);
    }
    let frame = to.code.len();
    to.offset(RSP, RSP, 0);
    to.save(RCX, RSP, STEPS);
    to.save(RDX, RSP, ROWS);
    for (k, &id) in list.pinned.iter().enumerate() {
        to.load(ADDRESSES[k], RDI, 8 * i32::from(id));
    }

    let (mut slots, mut most) = (0, 0);
    let mut body = |to: &mut Assembler, part: Part, staying: &[(Value, Vector)]| {
        let none = ops.len();
        let stay = staying.iter().fold(0, |all, (_, r)| all | 1 << r);
        let mut b = Body {
            to,
            list: &list,
            uses: list.uses.clone(),
            register: vec![None; none],
            put: vec![None; none],
            held: vec![None; vectors.values],
            busy: stay,
            stay,
            most: 0,
            slots: 0,
            free_slots: Vec::new(),
            part,
        };
        for &(v, r) in staying {
            b.keep(v, r);
        }
        for (at, step) in list.steps.iter().enumerate() {
            match *step {
                Step::Op(v) => b.operation(at, v),
                Step::Store(v, id, to) => b.store(at, v, id, to),
            }
        }
        slots = slots.max(b.slots);
        most = most.max(b.most);
        most
    };
    let rest = if list.narrow && !vectors.masks { Part::One } else { Part::Masked };
    // What is the same in all of the loop, or of a row, stays in the registers that a body leaves: a level-1 cache gives one vector a cycle.
    body(&mut Assembler::new(vectors.masks, double), Part::Whole, &[]);
    let taken = body(&mut Assembler::new(vectors.masks, double), rest, &[]);
    let staying: Vec<(Value, Vector)> = list.same().into_iter().zip((taken..vectors.values).map(|r| r as Vector)).collect();
    for &(v, r) in &staying {
        if let Some(from) = list.constant(ops[v as usize]) {
            to.vector(LOAD, r, 0, from, None);
        }
    }
    let row = to.code.len();
    for &(v, r) in &staying {
        if let Op::Splat(id) | Op::Repeat(id) = ops[v as usize] {
            let from = Place::At(address(&mut to, &list, id), 0);
            to.vector(if matches!(ops[v as usize], Op::Splat(_)) { LOAD } else { REPEAT }, r, 0, from, None);
        }
    }
    to.clear(RCX);
    // Whole vectors while there are as many elements.
    to.offset(RAX, RCX, lanes);
    to.compare(RAX, RSI);
    let none = to.jump_if_above();
    let first = to.code.len();
    body(&mut to, Part::Whole, &staying);
    to.offset(RCX, RCX, lanes);
    to.offset(RAX, RCX, lanes);
    to.compare(RAX, RSI);
    let again = to.jump_if_below_or_equal();
    to.back(&again, first);
    to.here(&none);
    // Then the rest.
    to.compare(RSI, RCX);
    let whole = to.jump_if_below_or_equal();
    if rest == Part::One {
        // There are no masks of narrow elements.
        let one = to.code.len();
        body(&mut to, rest, &staying);
        to.offset(RCX, RCX, 1);
        to.compare(RSI, RCX);
        let more = to.jump_if_above();
        to.back(&more, one);
    } else {
        to.address(RAX, mask + bytes as usize);
        to.subtract(RSI, RCX);
        // Four bytes back for each: RCX is needed where it stands.
        for _ in 0..4 {
            to.subtract(RAX, RSI);
        }
        to.add_register(RSI, RCX);
        let mask = vectors.mask();
        to.vector(LOAD, mask, 0, Place::At(RAX, 0), None);
        if vectors.masks {
            to.vector(MASK_OF_BITS, LEFT, mask, Place::Register(mask), None);
        }
        body(&mut to, rest, &staying);
    }
    to.here(&whole);
    // The next row: every address goes on by its own step.
    to.decrement(RSP, ROWS);
    let done = to.jump_if_equal();
    to.load(RAX, RSP, STEPS);
    for (k, &id) in list.pinned.iter().enumerate() {
        to.add(ADDRESSES[k], RAX, 8 * i32::from(id));
    }
    for &id in &list.others {
        to.load(RCX, RAX, 8 * i32::from(id));
        to.add(RCX, RDI, 8 * i32::from(id));
        to.save(RCX, RDI, 8 * i32::from(id));
    }
    let next = to.jump();
    to.back(&next, row);
    to.here(&done);
    let size = SLOTS + slots as i32 * bytes;
    to.offset(RSP, RSP, size);
    for &r in saved.iter().rev() {
        to.pop(r);
    }
    to.end();
    // The frame's size is known now.
    let mut enter = Assembler::default();
    enter.offset(RSP, RSP, -size);
    to.code[frame..frame + enter.code.len()].copy_from_slice(&enter.code);
    to.finish()
}
