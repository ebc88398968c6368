//! Sums and extremes inside plans.
use smallvec::SmallVec;

use super::{part, Bases, Slot};
use crate::fold::{Accumulate, Fold, Pairwise};
use crate::rows::fold_in_pairs;

/// Kept and reduced axes as `(size, stride)`, merged where they lie together; the last kept axis may lie together with the
/// result's, and is then reduced row by row. `double`: elements are float64.
pub struct Reduce {
    pub fold: Fold,
    pub slot: Slot,
    pub offset: isize,
    pub kept: SmallVec<[(usize, isize); 4]>,
    pub over: SmallVec<[(usize, isize); 4]>,
    pub out: Slot,
    pub across: bool,
    pub double: bool,
}

/// Elements that lie apart and are folded one after the other.
const APART: usize = 64;

fn offset(axes: &[(usize, isize)], mut index: usize) -> isize {
    let mut at = 0;
    for &(n, s) in axes.iter().rev() {
        at += (index % n) as isize * s;
        index /= n;
    }
    at
}

impl Reduce {
    /// # Safety
    /// As `Kernel::run`. `across`: the units divide what is summed, and each chunk has a result of its own, to which it adds when
    /// it comes `again`.
    pub unsafe fn run(&self, bases: Bases, units: (usize, usize, usize), chunk: (usize, bool)) {
        // SAFETY: the caller's.
        unsafe {
            if self.double {
                self.run_of::<f64>(bases, units, chunk)
            } else {
                self.run_of::<f32>(bases, units, chunk)
            }
        }
    }

    unsafe fn run_of<T: Accumulate>(&self, bases: Bases, (from, to, of): (usize, usize, usize), (chunk, again): (usize, bool)) {
        let x = bases.at::<T>(self.slot).cast_const().wrapping_offset(self.offset);
        let out = bases.at::<T>(self.out);
        let (total, count): (usize, usize) = (self.kept.iter().map(|d| d.0).product(), self.over.iter().map(|d| d.0).product());
        // SAFETY: the source lies as its strides say; the results are this call's.
        unsafe {
            if self.across {
                let (first, last) = (part(count, from, of), part(count, to, of));
                return self.some(x, out.wrapping_add(chunk * total), (0, total), (first, last), again);
            }
            self.some(x, out, (part(total, from, of), part(total, to, of)), (0, count), false);
        }
    }

    /// Results `from..to`, each of the elements `first..last` of what it is made of; added to what is there when `again`.
    unsafe fn some<T: Accumulate>(&self, x: *const T, out: *mut T, (from, to): (usize, usize), (first, last): (usize, usize), again: bool) {
        // SAFETY: a result of this call's.
        let begin = |out: *mut T| if again { unsafe { *out } } else { T::start(self.fold) };
        // SAFETY: the caller's.
        unsafe {
            match (self.kept.split_last(), self.over.split_last()) {
                // The results lie together as their sources do: whole rows are added.
                (Some((&(inner, 1), outer)), Some((_, _))) if inner > 1 => {
                    let mut at = from;
                    while at < to {
                        let (row, column) = (at / inner, at % inner);
                        let n = (inner - column).min(to - at);
                        let src = x.wrapping_offset(offset(outer, row) + column as isize);
                        self.columns(src, first, last, n, out.wrapping_add(at), again);
                        at += n;
                    }
                }
                (None | Some((_, [])), Some((&(len, 1), []))) if (first, last) == (0, len) && !again => {
                    let stride = self.kept.first().map_or(0, |d| d.1);
                    T::rows(self.fold)(x.wrapping_offset(from as isize * stride), to - from, len, stride, out.wrapping_add(from));
                }
                (_, last_axis) => {
                    let (&(len, stride), more) = last_axis.unwrap_or((&(1, 1), &[]));
                    for i in from..to {
                        let (src, mut parts, mut at) = (x.wrapping_offset(offset(&self.kept, i)), Pairwise::new(self.fold), first);
                        while at < last {
                            let n = (len - at % len).min(last - at);
                            self.line(src.wrapping_offset(offset(more, at / len) + (at % len) as isize * stride), n, stride, &mut parts);
                            at += n;
                        }
                        let out = out.wrapping_add(i);
                        *out = parts.behind(begin(out));
                    }
                }
            }
        }
    }

    /// `n` elements, `stride` apart, to some parts.
    unsafe fn line<T: Accumulate>(&self, x: *const T, n: usize, stride: isize, parts: &mut Pairwise<T>) {
        // SAFETY: the caller's.
        unsafe {
            if stride == 1 {
                let mut part = T::start(self.fold);
                T::rows(self.fold)(x, 1, n, 0, &mut part);
                return parts.push(part);
            }
            for from in (0..n).step_by(APART) {
                parts.push(
                    (from..n.min(from + APART))
                        .fold(T::start(self.fold), |acc, i| T::join(self.fold, acc, *x.wrapping_offset(i as isize * stride))),
                );
            }
        }
    }

    /// `n` results that lie together, of rows `first..last`.
    unsafe fn columns<T: Accumulate>(&self, x: *const T, first: usize, last: usize, n: usize, out: *mut T, again: bool) {
        let (inner, outer) = self.over.split_last().map_or(((1, 0), &[][..]), |(i, o)| (*i, o));
        // SAFETY: the caller's.
        unsafe {
            if !again {
                std::slice::from_raw_parts_mut(out, n).fill(T::start(self.fold));
            }
            fold_in_pairs(self.fold, (first, last), n, out, &|(mut at, last), (column, n), out| {
                while at < last {
                    let rows = (inner.0 - at % inner.0).min(last - at);
                    T::columns(self.fold)(
                        x.wrapping_offset(offset(outer, at / inner.0) + (at % inner.0) as isize * inner.1 + column as isize),
                        rows,
                        n,
                        inner.1,
                        out,
                    );
                    at += rows;
                }
            });
        }
    }
}
