//! The few instructions of x86-64 that loops need, on vectors of eight floats or of sixteen, or of half as many float64 (Intel's manual,
//! volume 2: VEX and EVEX prefixes).

/// A general register by its number.
pub type General = u8;
/// A vector register by its number.
pub type Vector = u8;
/// A mask register by its number; 0 is none.
pub type Mask = u8;

pub const RAX: General = 0;
pub const RCX: General = 1;
pub const RDX: General = 2;
pub const RSP: General = 4;
pub const RSI: General = 6;
pub const RDI: General = 7;

/// What may be in a register or in memory.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    Register(Vector),
    /// At a register's address and so many bytes on.
    At(General, i32),
    /// The same, and RCX times elements of so many bytes, a power of two.
    Indexed(General, u8),
    /// So many bytes into the constants.
    Constant(usize),
}

impl Place {
    /// Its register and its index, or 0.
    fn registers(self) -> (u8, u8) {
        match self {
            Place::Register(r) | Place::At(r, _) => (r, 0),
            Place::Indexed(r, _) => (r, RCX),
            Place::Constant(_) => (0, 0),
        }
    }
}

/// The prefix's `pp` and `mmmmm`.
#[derive(Clone, Copy)]
pub enum Map {
    Plain = 0x001,
    X66 = 0x101,
    X66F38 = 0x102,
    X66F3A = 0x103,
    F3 = 0x201,
    F3F38 = 0x202,
}

/// Code, and the constants behind it. `wide`: vectors are of sixteen floats; `double`: of half as many float64.
#[derive(Default)]
pub struct Assembler {
    pub code: Vec<u8>,
    pub constants: Vec<u8>,
    wide: bool,
    double: bool,
    fixes: Vec<(usize, usize)>,
}

/// A jump that does not know yet where to.
pub struct Jump(usize);

impl Assembler {
    pub fn new(wide: bool, double: bool) -> Assembler {
        Assembler { wide, double, ..Assembler::default() }
    }

    /// The form of an instruction on floats for the elements that vectors have, and the prefix's W.
    fn form(&self, code: (Map, u8)) -> ((Map, u8), bool) {
        if !self.double {
            return (code, false);
        }
        match code {
            (Map::Plain, opcode) => ((Map::X66, opcode), self.wide),
            (Map::X66F38, 0x18) => ((Map::X66F38, 0x19), self.wide),
            (Map::X66F3A, opcode @ (0x08 | 0x4a)) => ((Map::X66F3A, opcode + 1), self.wide),
            // Loads and stores of some cells.
            (Map::X66F38, 0x2c | 0x2e) => (code, false),
            _ => (code, true),
        }
    }

    /// `opcode` on a register, the one before it in the prefix (0 where there is none), and the last operand; `immediate` bytes that follow.
    pub fn vector(&mut self, code: (Map, u8), register: Vector, before: Vector, last: Place, immediate: Option<u8>) {
        if self.wide {
            return self.masked(code, register, before, last, immediate, 0, false);
        }
        let (code, w) = self.form(code);
        self.short(code, w, 1, register, before, last, immediate);
    }

    /// The same on the first four floats.
    pub fn low(&mut self, code: (Map, u8), register: Vector, last: Place, immediate: Option<u8>) {
        self.short(code, false, 0, register, 0, last, immediate);
    }
    /// The same on all eight, where pairs of them move.
    pub fn pairs(&mut self, code: (Map, u8), register: Vector, last: Place, immediate: Option<u8>) {
        self.short(code, true, 1, register, 0, last, immediate);
    }

    /// The same on mask registers.
    pub fn mask(&mut self, code: (Map, u8), register: Mask, before: Mask, last: Mask) {
        self.short(code, false, 1, register, before, Place::Register(last), None);
    }

    /// A VEX prefix, with its bits W and L, and what follows.
    #[allow(clippy::too_many_arguments)]
    fn short(&mut self, (map, opcode): (Map, u8), w: bool, l: u8, register: Vector, before: Vector, last: Place, immediate: Option<u8>) {
        let (base, index) = last.registers();
        let (pp, mmmmm) = (map as u16 >> 8, map as u16 & 0xff);
        let high = |r: u8, bit: u8| if r & 8 == 0 { 1 << bit } else { 0 };
        self.code.extend([
            0xc4,
            high(register, 7) | high(index, 6) | high(base, 5) | mmmmm as u8,
            u8::from(w) << 7 | (!before & 15) << 3 | l << 2 | pp as u8,
            opcode,
        ]);
        self.operand(register, last, usize::from(immediate.is_some()));
        self.code.extend(immediate);
    }

    /// The same on sixteen floats, those that `mask` has; the others are left as they are, or are 0 with `zero`.
    #[allow(clippy::too_many_arguments)]
    pub fn masked(
        &mut self,
        code: (Map, u8),
        register: Vector,
        before: Vector,
        last: Place,
        immediate: Option<u8>,
        mask: Mask,
        zero: bool,
    ) {
        let ((map, opcode), w) = self.form(code);
        let (base, index) = last.registers();
        let (pp, mmm) = (map as u16 >> 8, map as u16 & 0xff);
        // A vector register has a fifth bit where an address has its index.
        let index = if matches!(last, Place::Register(_)) { base >> 1 } else { index };
        let clear = |r: u8, of: u8, bit: u8| if r & of == 0 { 1 << bit } else { 0 };
        self.code.extend([
            0x62,
            clear(register, 8, 7) | clear(index, 8, 6) | clear(base, 8, 5) | clear(register, 16, 4) | mmm as u8,
            u8::from(w) << 7 | (!before & 15) << 3 | 1 << 2 | pp as u8,
            u8::from(zero) << 7 | 2 << 5 | clear(before, 16, 3) | mask,
            opcode,
        ]);
        self.operand(register, last, usize::from(immediate.is_some()));
        self.code.extend(immediate);
    }

    /// The ModRM byte and what follows it; `behind`: bytes of the instruction after that.
    fn operand(&mut self, register: u8, last: Place, behind: usize) {
        let register = (register & 7) << 3;
        match last {
            Place::Register(r) => self.code.push(0xc0 | register | r & 7),
            Place::At(base, offset) => {
                self.code.push(0x80 | register | base & 7);
                if base & 7 == RSP {
                    self.code.push(0x24);
                }
                self.code.extend(offset.to_le_bytes());
            }
            Place::Indexed(base, size) => {
                self.code.extend([0x84 | register, (size.trailing_zeros() as u8) << 6 | RCX << 3 | base & 7, 0, 0, 0, 0])
            }
            Place::Constant(at) => {
                self.code.push(register | 5);
                // Where the instruction ends is where the distance counts from.
                self.fixes.push((self.code.len(), at.wrapping_sub(behind)));
                self.code.extend([0; 4]);
            }
        }
    }

    /// `opcode` on a general register and what lies at another's address.
    fn memory(&mut self, opcode: u8, register: General, base: General, offset: i32) {
        self.code.extend([0x48 | register >> 3 << 2 | base >> 3, opcode]);
        self.operand(register, Place::At(base, offset), 0);
    }
    /// `opcode` on two general registers, the first of which it changes.
    fn registers(&mut self, opcode: u8, a: General, b: General) {
        self.code.extend([0x48 | b >> 3 << 2 | a >> 3, opcode, 0xc0 | (b & 7) << 3 | a & 7]);
    }

    /// `register = [base + offset]`.
    pub fn load(&mut self, register: General, base: General, offset: i32) {
        self.memory(0x8b, register, base, offset);
    }
    /// `[base + offset] = register`.
    pub fn save(&mut self, register: General, base: General, offset: i32) {
        self.memory(0x89, register, base, offset);
    }
    /// `register += [base + offset]`.
    pub fn add(&mut self, register: General, base: General, offset: i32) {
        self.memory(0x03, register, base, offset);
    }
    /// `register = base + offset`.
    pub fn offset(&mut self, register: General, base: General, offset: i32) {
        self.memory(0x8d, register, base, offset);
    }
    /// `[base + offset] -= 1`.
    pub fn decrement(&mut self, base: General, offset: i32) {
        self.memory(0xff, 1, base, offset);
    }
    /// `register = &constants[at]`.
    pub fn address(&mut self, register: General, at: usize) {
        self.code.extend([0x48 | register >> 3 << 2, 0x8d]);
        self.operand(register, Place::Constant(at), 0);
    }
    /// `a += b`.
    pub fn add_register(&mut self, a: General, b: General) {
        self.registers(0x01, a, b);
    }
    /// `a -= b`.
    pub fn subtract(&mut self, a: General, b: General) {
        self.registers(0x29, a, b);
    }
    /// Flags of `a - b`.
    pub fn compare(&mut self, a: General, b: General) {
        self.registers(0x39, a, b);
    }
    pub fn clear(&mut self, r: General) {
        self.registers(0x31, r, r);
    }
    pub fn push(&mut self, r: General) {
        self.code.extend([0x40 | r >> 3, 0x50 | r & 7]);
    }
    pub fn pop(&mut self, r: General) {
        self.code.extend([0x40 | r >> 3, 0x58 | r & 7]);
    }

    fn jump_by(&mut self, opcode: &[u8]) -> Jump {
        self.code.extend(opcode);
        self.code.extend([0; 4]);
        Jump(self.code.len())
    }
    pub fn jump_if_above(&mut self) -> Jump {
        self.jump_by(&[0x0f, 0x87])
    }
    pub fn jump_if_below_or_equal(&mut self) -> Jump {
        self.jump_by(&[0x0f, 0x86])
    }
    pub fn jump_if_equal(&mut self) -> Jump {
        self.jump_by(&[0x0f, 0x84])
    }
    pub fn jump(&mut self) -> Jump {
        self.jump_by(&[0xe9])
    }
    /// A jump ends here.
    pub fn here(&mut self, j: &Jump) {
        self.back(j, self.code.len());
    }
    /// A jump goes back to a place.
    pub fn back(&mut self, j: &Jump, to: usize) {
        self.patch(j.0 - 4, to);
    }
    pub fn end(&mut self) {
        self.code.extend([0xc5, 0xf8, 0x77, 0xc3]);
    }

    fn patch(&mut self, at: usize, to: usize) {
        let distance = (to as i64 - at as i64 - 4) as i32;
        self.code[at..at + 4].copy_from_slice(&distance.to_le_bytes());
    }

    /// The code with its constants behind it, each vector in a line of its own.
    pub fn finish(mut self) -> Vec<u8> {
        let start = self.code.len().next_multiple_of(64);
        for (at, constant) in std::mem::take(&mut self.fixes) {
            self.patch(at, start.wrapping_add(constant));
        }
        self.code.resize(start, 0xcc);
        self.code.extend(&self.constants);
        self.code
    }
}
