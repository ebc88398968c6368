//! Sources of loops in any layout, and their elements as a tile has them.
use half::slice::HalfFloatSliceExt;
use smallvec::SmallVec;

use super::loops::TILE;
use super::Slot;
use crate::dtype::{bf16, f16};
use crate::tile::copy_few;
use crate::turn::Turned;
use crate::DType;

/// An axis of a strided source; outside `low..low + size` it has the padding's value.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub n: usize,
    pub stride: isize,
    pub low: usize,
    pub size: usize,
}

impl Axis {
    pub fn whole(n: usize, stride: isize) -> Axis {
        Axis { n, stride, low: 0, size: n }
    }
    fn padded(&self) -> bool {
        self.low != 0 || self.size != self.n
    }
    fn outside(&self, i: usize) -> bool {
        i.wrapping_sub(self.low) >= self.size
    }
    /// Elements from the first to the one at `i`.
    fn at(&self, i: usize) -> isize {
        (i.wrapping_sub(self.low) as isize).wrapping_mul(self.stride)
    }
}

/// Bools and half floats are narrow: they have four bytes in a tile and fewer in memory.
pub fn is_narrow(dtype: DType) -> bool {
    dtype == DType::Bool || dtype.is_half()
}

/// A source in any layout, with one value around it where it is padded. Its axes count elements, of which each has `cells` in the loop:
/// other dtypes become float64 where these are two. Places in the loop are in cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Walk {
    pub slot: Slot,
    pub offset: isize,
    axes: SmallVec<[Axis; 4]>,
    pub dtype: DType,
    fill: u32,
    cells: usize,
}

impl Walk {
    /// Around float64 is 0.
    pub fn new(slot: Slot, offset: isize, axes: impl Iterator<Item = Axis>, dtype: DType, fill: u32, cells: usize) -> Walk {
        let mut merged: SmallVec<[Axis; 4]> = SmallVec::new();
        for a in axes.filter(|a| a.n != 1 || a.padded()) {
            match merged.last_mut() {
                Some(m) if !m.padded() && !a.padded() && m.stride == a.stride * a.n as isize => *m = Axis::whole(m.n * a.n, a.stride),
                _ => merged.push(a),
            }
        }
        Walk { slot, offset, axes: merged, dtype, fill, cells }
    }

    /// True if its elements lie in memory as they are in a tile.
    fn is_plain(&self) -> bool {
        !is_narrow(self.dtype) && self.cells == self.scale()
    }
    /// Cells of an element in memory, of one that is not narrow.
    fn scale(&self) -> usize {
        if self.dtype == DType::F64 {
            2
        } else {
            1
        }
    }

    /// True if its elements lie together, or are one, within rows of so many cells; together, of those that are `narrow`, if these count.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn is_of_rows(&self, row: usize, narrow: bool) -> bool {
        let Some((inner, outer)) = self.axes.split_last() else { return false };
        let plain = self.is_plain() || narrow && is_narrow(self.dtype) && self.cells == 1 && inner.stride == 1;
        plain
            && matches!(inner.stride, 0 | 1)
            && row > 0
            && (inner.n * self.cells).is_multiple_of(row)
            && !inner.padded()
            && outer.iter().all(|a| !a.padded())
    }

    /// The cells of its last axis, and whether its elements are one.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn inner(&self) -> (usize, bool) {
        self.axes.last().map_or((0, false), |a| (a.n * self.cells, a.stride == 0))
    }

    /// True if it is the same in each of its last axis.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn is_same(&self) -> bool {
        self.axes.iter().rev().skip(1).all(|a| a.stride == 0)
    }

    /// Of rows of `row` cells: where the one at `start` lies, the bytes to the next row, and for how many rows that holds.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn row_at(&self, base: *mut u8, start: usize, row: usize) -> (*mut u8, isize, usize) {
        let Some((inner, outer)) = self.axes.split_last() else { return (base, 0, 1) };
        let (start, row, size) = (start / self.cells, row / self.cells, self.dtype.size() as isize);
        let (at, mut rest) = (start % inner.n, start / inner.n);
        let mut offset = self.offset + at as isize * inner.stride;
        let (mut step, mut rows) = (row as isize * inner.stride, (inner.n - at).div_ceil(row));
        for (k, a) in outer.iter().rev().enumerate() {
            let i = rest % a.n;
            rest /= a.n;
            offset += i as isize * a.stride;
            if k == 0 && inner.n == row {
                (step, rows) = (a.stride, a.n - i);
            }
        }
        (base.wrapping_offset(offset * size), step * size, rows)
    }

    /// True if every tile from `start` on is the same.
    pub(super) fn repeats(&self, start: usize) -> bool {
        let Some((inner, outer)) = self.axes.split_last() else { return false };
        let n = inner.n * self.cells;
        !inner.padded() && TILE.is_multiple_of(n) && start.is_multiple_of(n) && outer.iter().all(|a| a.stride == 0 && !a.padded())
    }

    /// Where `n` cells from the linear index `start` on lie, if they lie together.
    #[inline]
    pub(super) fn there(&self, base: *mut u8, start: usize, n: usize) -> Option<*mut f32> {
        let (inner, outer) = self.axes.split_last()?;
        let (start, n) = (start / self.cells, n / self.cells);
        let at = start % inner.n;
        if !self.is_plain() || inner.stride != 1 || inner.padded() || at + n > inner.n {
            return None;
        }
        let (mut rest, mut offset) = (start / inner.n, self.offset + at as isize);
        for a in outer.iter().rev() {
            if a.padded() {
                return None;
            }
            offset += (rest % a.n) as isize * a.stride;
            rest /= a.n;
        }
        Some(base.cast::<f32>().wrapping_offset(offset * self.cells as isize))
    }

    /// Copies `n` cells from the linear index `start` on.
    /// # Safety
    /// They lie in the source, and `dst` has room for them.
    pub unsafe fn copy(&self, base: *const u8, start: usize, n: usize, dst: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            self.elements(base, start / self.cells, n / self.cells, dst);
            if self.cells == self.scale() {
                return;
            }
            // From the last on, so that none is written over before it is read.
            let wide = |x: f32| match self.dtype {
                DType::I32 => f64::from(x.to_bits() as i32),
                DType::U32 => f64::from(x.to_bits()),
                _ => f64::from(x),
            };
            for i in (0..n / 2).rev() {
                *dst.cast::<f64>().add(i) = wide(*dst.add(i));
            }
        }
    }

    /// Copies `n` elements, one behind the other.
    /// # Safety
    /// As `copy`.
    unsafe fn elements(&self, base: *const u8, start: usize, n: usize, dst: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            let Some((inner, outer)) = self.axes.split_last() else { return self.run(base, self.offset, 0, n, dst) };
            if n > inner.n && self.is_plain() && self.axes.iter().all(|a| !a.padded()) {
                let (axes, size): (SmallVec<[(usize, isize); 4]>, _) =
                    (self.axes.iter().map(|a| (a.n, a.stride)).collect(), self.dtype.size());
                if let Some(turned) = Turned::of(&axes) {
                    return turned.copy(size, base.wrapping_offset(self.offset * size as isize), start, n, dst.cast());
                }
            }
            let (mut row, mut at, mut done) = (Row::new(outer, start / inner.n), start % inner.n, 0);
            while done < n {
                let len = (inner.n - at).min(n - done);
                let cells = self.scale();
                let (offset, dst) = (self.offset.wrapping_add(row.offset), dst.add(done * cells));
                if inner.padded() || row.outside > 0 {
                    let (low, high) = if row.outside > 0 {
                        (at, at)
                    } else {
                        (inner.low.clamp(at, at + len), (inner.low + inner.size).clamp(at, at + len))
                    };
                    let fill = |from: usize, to: usize| {
                        std::slice::from_raw_parts_mut(dst.add((from - at) * cells), (to - from) * cells).fill(f32::from_bits(self.fill))
                    };
                    fill(at, low);
                    if low < high {
                        self.run(
                            base,
                            offset + (low - inner.low) as isize * inner.stride,
                            inner.stride,
                            high - low,
                            dst.add((low - at) * cells),
                        );
                    }
                    fill(high, at + len);
                } else {
                    self.run(base, offset + at as isize * inner.stride, inner.stride, len, dst);
                }
                row.step(outer);
                (at, done) = (0, done + len);
            }
        }
    }

    /// Copies `rows` pieces of `n` cells, whose linear indices begin `step` apart, one behind the other.
    /// # Safety
    /// As `copy`.
    pub(super) unsafe fn pieces(&self, base: *const u8, start: usize, step: usize, (rows, n): (usize, usize), dst: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            if let Some((inner, outer)) =
                self.axes.split_last().filter(|(inner, _)| inner.n * self.cells == step && !inner.padded() && self.cells == self.scale())
            {
                let (mut row, at) = (Row::new(outer, start / step), (start % step / self.cells) as isize * inner.stride);
                // Columns of a product's block do not reach into the next row.
                if row.outside == 0 && outer.iter().all(|a| !a.padded()) {
                    for i in 0..rows {
                        self.run(base, self.offset + row.offset + at, inner.stride, n / self.cells, dst.add(i * n));
                        row.step(outer);
                    }
                    return;
                }
            }
            for i in 0..rows {
                self.copy(base, start + i * step, n, dst.add(i * n));
            }
        }
    }

    /// # Safety
    /// As `copy`.
    #[inline]
    unsafe fn run(&self, base: *const u8, offset: isize, stride: isize, n: usize, dst: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            match self.dtype {
                DType::Bool => return widen(base, offset, stride, n, dst, |x: u8| f32::from(x)),
                // Many at once: one by one they take four times as long.
                DType::F16 if stride == 1 => {
                    return std::slice::from_raw_parts(base.cast::<f16>().wrapping_offset(offset), n)
                        .convert_to_f32_slice(std::slice::from_raw_parts_mut(dst, n))
                }
                DType::F16 => return widen(base, offset, stride, n, dst, f16::to_f32),
                DType::BF16 => return widen(base, offset, stride, n, dst, bf16::to_f32),
                DType::F64 => return widen(base, offset, stride, n, dst.cast(), |x: f64| x),
                _ => {}
            }
            let src = base.cast::<f32>().wrapping_offset(offset);
            match stride {
                1 => copy_few(src, dst, n),
                0 => std::slice::from_raw_parts_mut(dst, n).fill(*src),
                s => {
                    for i in 0..n {
                        *dst.add(i) = *src.offset(i as isize * s)
                    }
                }
            }
        }
    }
}

/// # Safety
/// `n` elements lie there, `stride` apart, and `dst` has room for them.
#[inline(always)]
unsafe fn widen<T: Copy, U>(base: *const u8, offset: isize, stride: isize, n: usize, dst: *mut U, f: impl Fn(T) -> U) {
    // SAFETY: the caller's.
    unsafe {
        let src = base.cast::<T>().wrapping_offset(offset);
        let dst = std::slice::from_raw_parts_mut(dst, n);
        if stride == 1 {
            for (y, &x) in dst.iter_mut().zip(std::slice::from_raw_parts(src, n)) {
                *y = f(x);
            }
            return;
        }
        for (i, y) in dst.iter_mut().enumerate() {
            *y = f(*src.offset(i as isize * stride));
        }
    }
}

/// A place on the outer axes of a walk, which goes on without divisions: they take as long as a row of few elements. `offset`:
/// from the walk's own; `outside`: axes on which it lies in the padding.
struct Row {
    index: SmallVec<[usize; 4]>,
    offset: isize,
    outside: usize,
}

impl Row {
    fn new(outer: &[Axis], mut row: usize) -> Row {
        let mut at = Row { index: SmallVec::from_elem(0, outer.len()), offset: 0, outside: 0 };
        for (i, a) in at.index.iter_mut().zip(outer).rev() {
            *i = row % a.n;
            row /= a.n;
            at.offset = at.offset.wrapping_add(a.at(*i));
            at.outside += usize::from(a.outside(*i));
        }
        at
    }

    #[inline]
    fn step(&mut self, outer: &[Axis]) {
        for (i, a) in self.index.iter_mut().zip(outer).rev() {
            let next = if *i + 1 < a.n { *i + 1 } else { 0 };
            self.offset = self.offset.wrapping_add(a.at(next)).wrapping_sub(a.at(*i));
            self.outside = self.outside + usize::from(a.outside(next)) - usize::from(a.outside(*i));
            *i = next;
            if next > 0 {
                break;
            }
        }
    }
}
