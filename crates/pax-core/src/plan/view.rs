//! How values lie in buffers, and how they divide into units.
pub use pax_kernels::gcd;
use pax_kernels::turn::Turned;
use smallvec::SmallVec;

use crate::array::{axes, merge, row_major};
use crate::{DType, Dims};
pub use pax_kernels::chunk::Slot;

pub type Strides = SmallVec<[isize; 6]>;

/// How a value lies in a slot; strides and offset in elements.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    pub slot: Slot,
    pub shape: Dims,
    pub strides: Strides,
    pub offset: isize,
}

impl View {
    pub fn whole(slot: Slot, shape: &[usize]) -> View {
        View { slot, shape: shape.into(), strides: row_major(shape), offset: 0 }
    }
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1isize;
        self.shape.iter().zip(&self.strides).rev().all(|(&n, &s)| {
            let fits = n == 1 || s == expected;
            expected *= n as isize;
            fits
        }) || self.shape.contains(&0)
    }
    /// One element, repeated.
    pub fn is_splat(&self) -> bool {
        self.strides.iter().zip(&self.shape).all(|(&s, &n)| s == 0 || n == 1)
    }
    /// True if its rows lie across memory, as a transposed matrix's.
    pub fn is_turned(&self) -> bool {
        Turned::of(&axes(&merge(&self.shape, [&self.strides]))).is_some()
    }
    /// The same value with its axes in another order.
    pub fn permuted(&self, order: &[usize]) -> View {
        View {
            slot: self.slot,
            shape: order.iter().map(|&d| self.shape[d]).collect(),
            strides: order.iter().map(|&d| self.strides[d]).collect(),
            offset: self.offset,
        }
    }
    /// The stride of these axes taken as one, if they lie so.
    pub fn merged(&self, axes: &[usize]) -> Option<isize> {
        let dims: SmallVec<[(usize, isize); 6]> = axes.iter().map(|&d| (self.shape[d], self.strides[d])).filter(|d| d.0 != 1).collect();
        dims.windows(2).all(|w| w[0].1 == w[1].1 * w[1].0 as isize).then(|| dims.last().map_or(0, |d| d.1))
    }
    /// Into how many units the value divides, so that each lies in its own equal part of the slot of `size` elements: a
    /// divisor of the result serves too. `fixed` axes at the end must stay together.
    pub fn units(&self, size: usize, fixed: usize) -> usize {
        let mut best = 1;
        let (mut count, mut stride) = (1usize, 0isize);
        let dims: SmallVec<[(usize, isize); 6]> = self.shape.iter().copied().zip(self.strides.iter().copied()).collect();
        if self.size() == 0 || self.offset < 0 || dims.iter().any(|d| d.1 < 0) {
            return 1;
        }
        let extent = |from: usize| dims[from..].iter().map(|&(n, s)| (n - 1) as isize * s).sum::<isize>();
        for (i, &(n, s)) in dims.iter().enumerate().take(dims.len() - fixed.min(dims.len())) {
            if n != 1 {
                if count != 1 && stride != s * n as isize {
                    break;
                }
                (count, stride) = (count * n, s);
            }
            if stride * count as isize == size as isize && count > best && self.offset + extent(i + 1) < stride {
                best = count;
            }
        }
        best
    }
}

/// Where a step finds a value.
#[derive(Clone, Debug)]
pub enum Place {
    View(View),
    Constant { value: f64, dtype: DType, shape: Dims },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_views() {
        let v = |shape: &[usize], strides: &[isize], offset| View { slot: 0, shape: shape.into(), strides: strides.into(), offset };
        assert_eq!(View::whole(0, &[16, 4, 3]).units(192, 0), 192);
        assert_eq!(View::whole(0, &[16, 4, 3]).units(192, 1), 64);
        // Rows of numbers, each repeated along a last axis.
        assert_eq!(v(&[16, 8, 5], &[8, 1, 0], 0).units(128, 0), 128);
        // Heads of a projection: only the first axis divides the slot.
        assert_eq!(v(&[16, 4, 32, 128], &[128 * 384, 32, 1, 384], 128).units(16 * 128 * 384, 0), 16);
        // A row repeated over all units, and a transposed matrix, do not divide.
        assert_eq!(v(&[16, 8], &[0, 1], 0).units(8, 0), 1);
        assert_eq!(v(&[16, 8], &[1, 16], 0).units(128, 0), 1);
    }
}
