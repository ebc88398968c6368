//! Products of float matrices: tiles of a few rows and columns, whose sums stay in registers, compiled for each level of vector
//! instructions. The right operand is read in panels of a tile's width, packed or where its rows lie; the left one is read
//! element by element, with any strides. An element is one chain of multiply-adds, whatever tile it falls into.
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(not(target_feature = "simd128"))]
mod base;
#[cfg(target_feature = "simd128")]
pub(crate) mod simd128;
#[cfg(test)]
mod tests;

use crate::tile::Simd;

/// Where a matrix lies: first element, row and column strides.
#[derive(Clone, Copy)]
pub struct Matrix<T = f32> {
    pub data: *const T,
    pub rows: isize,
    pub cols: isize,
}

impl<T: Copy> Matrix<T> {
    /// The address of element `[i, j]`.
    #[inline(always)]
    pub fn at(self, i: usize, j: usize) -> *const T {
        self.data.wrapping_offset(i as isize * self.rows + j as isize * self.cols)
    }
    /// The part that begins at `[i, j]`.
    pub fn from(self, i: usize, j: usize) -> Matrix<T> {
        Matrix { data: self.at(i, j), ..self }
    }
    pub fn transposed(self) -> Matrix<T> {
        Matrix { data: self.data, rows: self.cols, cols: self.rows }
    }
}

/// A part of a product: rows `from..to` of one panel, whose `width` columns begin at `column` of the result; `depth` is the length of the sums.
#[derive(Clone, Copy)]
pub struct Piece {
    pub from: usize,
    pub to: usize,
    pub column: usize,
    pub width: usize,
    pub depth: usize,
}

/// Lines that come into the second cache while tiles multiply: a tile asks for one with each term of its sums, and those are a column.
pub struct Ahead<T = f32> {
    parts: [Columns<T>; 2],
}

#[derive(Clone, Copy)]
struct Columns<T> {
    first: *const T,
    count: usize,
    /// Elements from column to column, and from line to line of one.
    across: isize,
    along: isize,
}

impl<T> Default for Ahead<T> {
    fn default() -> Self {
        let none = || Columns { first: std::ptr::null(), count: 0, across: 0, along: 0 };
        Ahead { parts: [none(), none()] }
    }
}

impl<T> Ahead<T> {
    const LINE: usize = LINE / size_of::<T>();

    /// Two operands, of each rows of so many elements, and the elements from row to row.
    pub fn rows(operands: [(*const T, usize, isize); 2]) -> Ahead<T> {
        let parts = operands.map(|(first, n, along)| Columns { first, count: n.div_ceil(Self::LINE), across: Self::LINE as isize, along });
        Ahead { parts }
    }

    /// Elements that lie together, for sums of `depth` terms.
    pub fn all(first: *const T, elements: usize, depth: usize) -> Ahead<T> {
        let [mut all, none] = Self::default().parts;
        let column = (depth * Self::LINE).max(1);
        (all.first, all.count, all.across, all.along) = (first, elements.div_ceil(column), column as isize, Self::LINE as isize);
        Ahead { parts: [all, none] }
    }

    /// The next column: its first line, and the elements from line to line.
    fn next(&mut self) -> Option<(*const T, isize)> {
        let part = self.parts.iter_mut().find(|p| p.count > 0)?;
        let column = part.first;
        (part.first, part.count) = (column.wrapping_offset(part.across), part.count - 1);
        Some((column, part.along))
    }
}

/// Bytes of a line of the caches.
const LINE: usize = 64;

/// Longer sums are made in parts, so that a part of a panel stays in the second cache.
pub const DEPTH: usize = 512;
/// Fewer rows have no more sums than multiply-adds are under way at once, so that each waits for its own.
const FEW: usize = 5;
/// Rows that are read again for each strip of a panel.
const ROWS: usize = 48;
/// Rows so many bytes apart want the same places in the first cache, which has eight at least: of as many rows all lines stay there,
/// beside those of the panel.
const PAGE: isize = 4096;
const WAYS: usize = 6;

/// The distance of rows of a packed panel, which is the kernel's own matter.
pub const PACKED: usize = usize::MAX;
/// The same of a packed left operand: `[depth, rows]` for each tile's rows, whose elements are then read one after the other.
pub const TILED: isize = isize::MAX;

type Run<T> = unsafe fn(Piece, Matrix<T>, *const T, usize, *mut T, usize, bool, &mut Ahead<T>);

/// A micro-kernel: tiles of `rows` rows whose sums are in registers, over panels of `width` columns.
#[derive(Clone, Copy)]
pub struct Micro<T = f32> {
    pub rows: usize,
    pub width: usize,
    run: Run<T>,
    pack: unsafe fn(Matrix<T>, usize, usize, *mut T),
}

macro_rules! choose {
    ($simd:expr, $f:ident) => {
        match $simd {
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512 => avx512::$f::MICRO,
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2 => avx2::$f::MICRO,
            #[cfg(target_feature = "simd128")]
            _ => simd128::$f::MICRO,
            #[cfg(not(target_feature = "simd128"))]
            _ => base::$f::MICRO,
        }
    };
}

/// The micro-kernel of a product's element type.
#[derive(Clone, Copy)]
pub enum Micros {
    Single(Micro),
    Double(Micro<f64>),
}

/// An expression of the micro-kernel, whichever it is.
macro_rules! with_micro {
    ($micros:expr, $m:ident => $e:expr) => {
        match $micros {
            $crate::panel::Micros::Single($m) => $e,
            $crate::panel::Micros::Double($m) => $e,
        }
    };
}
pub(crate) use with_micro;

impl Micros {
    pub fn rows(self) -> usize {
        with_micro!(self, m => m.rows)
    }
    pub fn width(self) -> usize {
        with_micro!(self, m => m.width)
    }
    /// Cells of four bytes that an element has.
    pub fn cells(self) -> usize {
        match self {
            Micros::Single(_) => 1,
            Micros::Double(_) => 2,
        }
    }
    pub fn packed(self, k: usize, n: usize) -> usize {
        with_micro!(self, m => m.packed(k, n))
    }
    pub fn tiled(self, m: usize, k: usize) -> usize {
        with_micro!(self, x => x.tiled(m, k))
    }
    pub fn packs_left(self, strides: (isize, isize), m: usize, k: usize, n: usize) -> bool {
        with_micro!(self, x => x.packs_left(strides, m, k, n))
    }
}

impl Micro<f32> {
    pub fn f32(simd: Simd) -> Micro<f32> {
        choose!(simd, single)
    }
}
impl Micro<f64> {
    pub fn f64(simd: Simd) -> Micro<f64> {
        choose!(simd, double)
    }
}

impl<T: Copy> Micro<T> {
    /// Elements of a packed right operand `[k, n]`: `ceil(n / width)` panels of `k * width`.
    pub fn packed(&self, k: usize, n: usize) -> usize {
        (n.div_ceil(self.width) * k).saturating_mul(self.width)
    }

    /// Packs panels `from..to` of `b [k, n]`; panel `p` lies at `out + p * k * width`.
    ///
    /// # Safety
    /// `b` holds `k` × `n` elements and `out` room for the panels `0..to`; nobody else uses what is written.
    pub unsafe fn pack(&self, b: Matrix<T>, k: usize, n: usize, from: usize, to: usize, out: *mut T) {
        for p in from..to {
            let column = p * self.width;
            // SAFETY: the caller's.
            unsafe { (self.pack)(b.from(0, column), k, self.width.min(n - column), out.add(column * k)) };
        }
    }

    /// True if a left operand `[m, k]` with these strides is better packed before it meets `n` columns: its columns lie together, and
    /// its lines would be read again from beyond the first cache for each of more than a few panels.
    pub fn packs_left(&self, (rows, cols): (isize, isize), m: usize, k: usize, n: usize) -> bool {
        rows == 1 && cols > 1 && m > 1 && n.div_ceil(self.width) > 3 && cols.unsigned_abs() * k >= 1 << 14
    }

    /// Elements of a packed left operand `[m, k]`.
    pub fn tiled(&self, m: usize, k: usize) -> usize {
        m.next_multiple_of(self.rows).saturating_mul(k)
    }

    /// Packs columns `from..to` of `a [m, k]`, whose columns lie together.
    ///
    /// # Safety
    /// `a` holds `m` × `k` elements, and `out` has room for them; nobody else uses what is written.
    pub unsafe fn pack_left(&self, a: Matrix<T>, m: usize, k: usize, from: usize, to: usize, out: *mut T) {
        // SAFETY: the caller's.
        unsafe {
            match self.rows {
                12 => tiles::<T, 12>(a, m, k, from, to, out),
                6 => tiles::<T, 6>(a, m, k, from, to, out),
                _ => tiles::<T, 4>(a, m, k, from, to, out),
            }
        }
    }

    /// `out[i, column + j] = Σ a[i, l] b[l, j]` for the piece, added to what is there with `add`. `panel` is the first element of the
    /// packed panel (`ldb` is then `PACKED`) or of the first row of its columns where they lie, `ldb` apart; `out` is the result's
    /// first element, `stride` that of its rows. A left operand of `TILED` rows is packed, and `from` a multiple of a tile's. It allocates nothing, and with no `depth` it writes zeros.
    ///
    /// # Safety
    /// The machine has the instructions that `self` was made for; the matrices hold what the piece names, and nobody else uses its
    /// elements of `out`.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn run(&self, p: Piece, a: Matrix<T>, panel: *const T, ldb: usize, out: *mut T, stride: usize, add: bool) {
        // SAFETY: the caller's.
        unsafe { (self.run)(p, a, panel, ldb, out, stride, add, &mut Ahead::default()) }
    }

    /// The same, while memory that is read next is on its way.
    ///
    /// # Safety
    /// As `run`.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn run_ahead(
        &self,
        p: Piece,
        a: Matrix<T>,
        panel: *const T,
        ldb: usize,
        out: *mut T,
        stride: usize,
        add: bool,
        ahead: &mut Ahead<T>,
    ) {
        // SAFETY: the caller's.
        unsafe { (self.run)(p, a, panel, ldb, out, stride, add, ahead) }
    }
}

/// Columns `from..to` of `a`, a tile of `R` rows at a time.
///
/// # Safety
/// As `Micro::pack_left`.
unsafe fn tiles<T: Copy, const R: usize>(a: Matrix<T>, m: usize, k: usize, from: usize, to: usize, out: *mut T) {
    // SAFETY: the caller's.
    unsafe {
        // Some columns at a time, so that a line is written whole and read while it is in the first cache.
        for first in (from..to).step_by(8) {
            let columns = first..to.min(first + 8);
            for i in (0..m / R * R).step_by(R) {
                for l in columns.clone() {
                    *out.add(i * k + l * R).cast::<[T; R]>() = *a.at(i, l).cast::<[T; R]>();
                }
            }
            let rest = m % R;
            for l in columns {
                std::ptr::copy_nonoverlapping(a.at(m - rest, l), out.add((m - rest) * k + l * R), rest);
            }
        }
    }
}

/// Copies `depth` rows of `width` columns into a panel of `W` columns, zeros beyond. `block` moves a square of `B` columns of `B`
/// elements that lie together, for panels whose columns do.
///
/// # Safety
/// As `Micro::pack`.
#[inline(always)]
unsafe fn pack<T: Copy, const W: usize, const B: usize>(
    b: Matrix<T>,
    depth: usize,
    width: usize,
    to: *mut T,
    zero: T,
    block: impl Fn(*const T, isize, *mut T),
) {
    // SAFETY: the caller's.
    unsafe {
        if b.cols == 1 && width == W {
            for l in 0..depth {
                std::ptr::copy_nonoverlapping(b.at(l, 0), to.add(l * W), W);
            }
            return;
        }
        let mut l = 0;
        if b.rows == 1 && width == W {
            while l + B <= depth {
                for j in (0..W).step_by(B) {
                    block(b.at(l, j), b.cols, to.add(l * W + j));
                }
                l += B;
            }
        }
        for l in l..depth {
            for j in 0..width {
                *to.add(l * W + j) = *b.at(l, j);
            }
            for j in width..W {
                *to.add(l * W + j) = zero;
            }
        }
    }
}

/// The kernel of one element type and level, from the operations on its vectors: `V`, `LANES`, `Mask`, `mask`, `zero`, `splat`, `load`,
/// `load_part`, `store`, `store_part`, `fma`, `sum`, `block` and `BLOCK`. A panel is `strips` tiles wide, which lie one behind the other
/// when it is packed, and a tile two vectors.
macro_rules! kernel {
    ($t:ty, $([$attribute:meta])? strips $strips:literal, rows $last:literal: $($r:literal)*) => {
        const WIDTH: usize = 2 * LANES;

        pub const MICRO: Micro<$t> = Micro { rows: $last, width: $strips * WIDTH, run, pack };

        $(#[$attribute])?
        unsafe fn pack(b: Matrix<$t>, depth: usize, width: usize, to: *mut $t) {
            for column in (0..width).step_by(WIDTH) {
                // SAFETY: the caller's.
                unsafe { super::super::pack::<$t, WIDTH, BLOCK>(b.from(0, column), depth, WIDTH.min(width - column), to.add(column * depth), 0.0, |src, stride, to| block(src, stride, to)) }
            }
        }

        $(#[$attribute])?
        #[allow(clippy::too_many_arguments)]
        unsafe fn run(p: Piece, a: Matrix<$t>, panel: *const $t, ldb: usize, out: *mut $t, stride: usize, add: bool, ahead: &mut Ahead<$t>) {
            // SAFETY: the caller's.
            unsafe {
                let (packed, out) = (ldb == PACKED, out.wrapping_add(p.column));
                let (ldb, apart) = if packed { (WIDTH, p.depth * WIDTH) } else { (ldb, WIDTH) };
                let tiled = a.rows == TILED;
                let (rows, cols) = if tiled { (1, $last) } else { (a.rows, a.cols) };
                let most = if rows.wrapping_mul(size_of::<$t>() as isize) % PAGE == 0 { $last.min(WAYS) } else { $last };
                let mut l = 0;
                loop {
                    let depth = DEPTH.min(p.depth - l);
                    let add = add || l > 0;
                    let mut from = p.from;
                    while from < p.to {
                        // Rows that stay in the second cache for all strips.
                        let to = if $strips == 1 { p.to } else { p.to.min(from + ROWS) };
                        for strip in 0..$strips {
                            let column = strip * WIDTH;
                            if column >= p.width { break; }
                            let width = WIDTH.min(p.width - column);
                            let (panel, out) = (panel.wrapping_add(strip * apart + l * ldb), out.wrapping_add(column));
                            let mut i = from;
                            while i < to {
                                // A tile of few rows waits for its own sums: the last two share what is left.
                                let rest = to - i;
                                let n = if rest > most && rest < most + FEW && !tiled { rest.div_ceil(2) } else { most.min(rest) };
                                let left = if tiled { a.data.wrapping_add(i * p.depth + l * $last) } else { a.at(i, l) };
                                let to = out.wrapping_add(i * stride);
                                let ahead = ahead.next().unwrap_or((panel, 0));
                                macro_rules! by_rows { ($nv:literal, $part:literal) => { match n {
                                    $($r => tile::<$r, $nv, $part>(depth, left, rows, cols, panel, ldb, to, stride, width, add, ahead),)*
                                    _ => tile::<$last, $nv, $part>(depth, left, rows, cols, panel, ldb, to, stride, width, add, ahead),
                                } } }
                                // Packed panels have zeros beyond their columns; rows where they lie may end there.
                                match (width > LANES, width % LANES != 0 && !packed) {
                                    (true, false) => by_rows!(2, false),
                                    (true, true) => by_rows!(2, true),
                                    (false, false) => by_rows!(1, false),
                                    (false, true) => by_rows!(1, true),
                                }
                                i += n;
                            }
                        }
                        from = to;
                    }
                    l += depth;
                    if l == p.depth { break; }
                }
            }
        }

        /// `R` rows of `NV` vectors; with `PART` the last vector of a row of the panel is not whole.
        #[inline(never)]
        #[allow(clippy::too_many_arguments)]
        $(#[$attribute])?
        unsafe fn tile<const R: usize, const NV: usize, const PART: bool>(depth: usize, a: *const $t, rows: isize, cols: isize, b: *const $t, ldb: usize, out: *mut $t, stride: usize, width: usize, add: bool, (mut ahead, step): (*const $t, isize)) {
            // SAFETY: the caller's.
            unsafe {
                let last = width - (NV - 1) * LANES;
                let ends = mask(last);
                let mut sums = [[zero(); NV]; R];
                // Groups of three rows keep the addresses in few registers; unrolled by hand, since the compiler keeps longer loops in memory.
                let (mut q0, mut q1, mut q2, mut q3) = (a, a.wrapping_offset(3 * rows), a.wrapping_offset(6 * rows), a.wrapping_offset(9 * rows));
                let mut panel = b;
                for _ in 0..depth {
                    let mut right = [zero(); NV];
                    for j in 0..NV { right[j] = if PART && j + 1 == NV { load_part(panel.add(j * LANES), ends) } else { load(panel.add(j * LANES)) }; }
                    macro_rules! rows { ($i0:literal $q:ident $o:literal) => { if $i0 < R {
                        let x = splat(*$q.wrapping_offset($o * rows));
                        let s = sums.get_unchecked_mut($i0);
                        for j in 0..NV { s[j] = fma(x, right[j], s[j]); }
                    } } }
                    rows!(0 q0 0); rows!(1 q0 1); rows!(2 q0 2); rows!(3 q1 0); rows!(4 q1 1); rows!(5 q1 2);
                    rows!(6 q2 0); rows!(7 q2 1); rows!(8 q2 2); rows!(9 q3 0); rows!(10 q3 1); rows!(11 q3 2);
                    (q0, q1, q2, q3) = (q0.wrapping_offset(cols), q1.wrapping_offset(cols), q2.wrapping_offset(cols), q3.wrapping_offset(cols));
                    panel = panel.wrapping_add(ldb);
                    crate::ask_later(ahead);
                    ahead = ahead.wrapping_offset(step);
                }
                for (i, s) in sums.iter().enumerate() {
                    for j in 0..NV {
                        let to = out.wrapping_add(i * stride + j * LANES);
                        if j + 1 < NV || last == LANES {
                            store(to, if add { sum(load(to), s[j]) } else { s[j] });
                        } else {
                            store_part(to, ends, if add { sum(load_part(to, ends), s[j]) } else { s[j] });
                        }
                    }
                }
            }
        }
    };
}
use kernel;

/// Squares of columns for `pack` where no vector operations move them.
macro_rules! blocks {
    ($t:ty) => {
        const BLOCK: usize = LANES;
        #[inline(always)]
        unsafe fn block(src: *const $t, stride: isize, to: *mut $t) {
            // SAFETY: the caller's.
            for i in 0..BLOCK {
                for j in 0..BLOCK {
                    unsafe { *to.add(i * WIDTH + j) = *src.offset(i as isize + j as isize * stride) }
                }
            }
        }
    };
}
use blocks;
