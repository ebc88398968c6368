//! Tensors: an abstract value (shape, dtype, weakness) and, where it is concrete, an array.
use std::cell::RefCell;
use std::rc::Rc;

use crate::{Array, DType, Error, Meter, Result};

pub use pax_kernels::Dims;

/// Most axes of a tensor: arrays in arrays are made of it.
const AXES: usize = 1000;

/// What is known of a tensor without computing it.
#[derive(Debug, PartialEq, Eq)]
pub struct Aval {
    pub shape: Dims,
    pub dtype: DType,
    pub weak: bool,
}

impl Clone for Aval {
    /// By slices, as `Array::clone`.
    fn clone(&self) -> Aval {
        Aval { shape: Dims::from_slice(&self.shape), ..*self }
    }
}

impl Aval {
    pub fn new(shape: &[usize], dtype: DType) -> Aval {
        Aval { shape: shape.into(), dtype, weak: false }
    }
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }
    pub fn ndim(&self) -> usize {
        self.shape.len()
    }

    /// An error where it has more axes than any tensor, or is larger than what can be addressed. Sizes of 0 count as 1, so that
    /// the product of any of its axes, every stride and every offset can be computed without a thought of overflow.
    pub fn check(&self) -> Result<()> {
        if self.shape.len() > AXES {
            return Err(Error::shape(format!("a tensor has at most {AXES} axes, not {}", self.shape.len())));
        }
        let bytes = self.shape.iter().try_fold(self.dtype.size(), |n, &d| n.checked_mul(d.max(1)));
        if bytes.is_some_and(|n| n <= isize::MAX as usize) {
            return Ok(());
        }
        Err(Error::shape(format!(
            "a {} tensor of shape {:?} has more elements than can be counted",
            self.dtype.name(),
            self.shape.as_slice()
        )))
    }
}

impl std::fmt::Display for Aval {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}{:?}{}", self.dtype.name(), self.shape.as_slice(), if self.weak { "*" } else { "" })
    }
}

/// Where a tensor's value is.
pub enum Slot {
    Ready(Array),
    /// Queued: computed when a value is read or the level ends.
    Pending,
    /// Known by shape only; the serial number is that of the level which made it.
    Abstract(u32),
    /// Its queued computation failed.
    Failed,
}

pub struct Inner {
    pub id: u64,
    pub aval: Aval,
    pub slot: RefCell<Slot>,
    meter: Rc<Meter>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.meter.tensors.set(self.meter.tensors.get() - 1);
    }
}

/// A tensor. Cloning shares it; it never crosses threads.
#[derive(Clone)]
pub struct Tensor(pub(crate) Rc<Inner>);

impl Tensor {
    pub(crate) fn new(meter: &Rc<Meter>, id: u64, aval: Aval, slot: Slot) -> Tensor {
        meter.tensors.set(meter.tensors.get() + 1);
        Tensor(Rc::new(Inner { id, aval, slot: RefCell::new(slot), meter: meter.clone() }))
    }
    pub fn id(&self) -> u64 {
        self.0.id
    }
    pub fn aval(&self) -> &Aval {
        &self.0.aval
    }
    pub fn shape(&self) -> &[usize] {
        &self.0.aval.shape
    }
    pub fn ndim(&self) -> usize {
        self.0.aval.shape.len()
    }
    pub fn size(&self) -> usize {
        self.0.aval.size()
    }
    pub fn dtype(&self) -> DType {
        self.0.aval.dtype
    }
    pub fn weak(&self) -> bool {
        self.0.aval.weak
    }
    /// True if this is the only hold on it.
    pub fn is_unshared(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }
    /// The serial number of the level that made it, if it is abstract.
    pub fn abstract_level(&self) -> Option<u32> {
        if let Slot::Abstract(l) = &*self.0.slot.borrow() {
            Some(*l)
        } else {
            None
        }
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "#{}:{}", self.0.id, self.0.aval)
    }
}
