//! The table. A row is an op: name, doc, parameters, shape rule, eval, derivative and batch rules, samples.
//! To add an op, write a row in its family's file and put it in that family's `ROWS`.
mod build;
pub mod collective;
pub mod composite;
pub mod contract;
pub mod conv;
pub mod elementwise;
pub mod index;
pub mod lift;
pub mod movement;
pub mod programs;
pub mod random;
pub mod reduce;
pub mod samples;
pub mod window;

use std::sync::OnceLock;

use smallvec::{smallvec, SmallVec};

use crate::bind::Tensors;
use crate::exec::Exec;
use crate::params::Param;
use crate::program::Source;
use crate::{Array, Aval, Cx, Error, Params, Result, Tensor};
pub use lift::Lift;
pub use samples::{Domain, Input, Sample};

pub type Avals = SmallVec<[Aval; 1]>;
pub type Arrays = SmallVec<[Array; 1]>;
pub type Eval = fn(&Exec, &Params, &[Array]) -> Result<Arrays>;

pub struct Row {
    pub name: &'static str,
    pub doc: &'static str,
    /// Operand names; a last name that begins with `...` takes any number.
    pub operands: &'static [&'static str],
    pub params: &'static [Param],
    /// True if it may have another number of results than one.
    pub many: bool,
    /// How operands of user code are brought to the shapes and dtypes the row demands.
    pub lift: Lift,
    pub shape: fn(&[&Aval], &Params) -> Result<Avals>,
    pub body: Body,
    /// What the vjp and jvp read of operands and results; nothing else is kept.
    pub saves: Saves,
    pub vjp: Vjp,
    pub jvp: Jvp,
    pub batch: Batch,
    pub samples: fn() -> Vec<Sample>,
}

pub enum Body {
    Primitive(Primitive),
    Composite(Composite),
    /// Owns the programs in its parameters; what they captured is passed as its last operands.
    Program(Owner),
}
pub struct Primitive {
    pub eval: Eval,
}
pub struct Composite {
    pub expand: fn(&Cx, &Params, &[Tensor]) -> Result<Tensors>,
    /// What computes it at once where nothing is recorded.
    pub fused: Option<Eval>,
}

/// A row that owns programs.
pub struct Owner {
    pub eval: fn(&Cx, &Params, Vec<Array>) -> Result<Arrays>,
    /// The parameters of its differentiable form for these active operands: their program has a `Back`, and what
    /// that reads follows the results.
    pub forward: fn(&Cx, &Params, &[bool]) -> Result<Params>,
}

#[derive(Clone, Copy)]
pub struct Saves {
    pub inputs: Which,
    pub outputs: bool,
}
#[derive(Clone, Copy)]
pub enum Which {
    None,
    All,
    Some(&'static [usize]),
    /// Operands and results that the `Back` of the row's program names.
    Back,
}

impl Saves {
    pub const NONE: Saves = Saves { inputs: Which::None, outputs: false };
    pub const INPUTS: Saves = Saves { inputs: Which::All, outputs: false };
    pub const OUTPUTS: Saves = Saves { inputs: Which::None, outputs: true };
    pub const BOTH: Saves = Saves { inputs: Which::All, outputs: true };
    pub const BACK: Saves = Saves { inputs: Which::Back, outputs: false };
    pub const fn input_at(which: &'static [usize]) -> Saves {
        Saves { inputs: Which::Some(which), outputs: false }
    }
    pub fn input(&self, i: usize, params: &Params) -> bool {
        match self.inputs {
            Which::None => false,
            Which::All => true,
            Which::Some(w) => w.contains(&i),
            Which::Back => reads(params, Source::Operand(i)),
        }
    }
    pub fn output(&self, i: usize, params: &Params) -> bool {
        self.outputs || (matches!(self.inputs, Which::Back) && reads(params, Source::Result(i)))
    }
}

fn reads(params: &Params, what: Source) -> bool {
    params.programs().any(|p| p.back.as_ref().is_some_and(|b| b.reads.contains(&what)))
}

pub enum Vjp {
    Rule(fn(&Pull) -> Result<Grads>),
    /// The derivative is zero everywhere it exists; the reason.
    Zero(&'static str),
    /// There is none; the reason.
    None(&'static str),
}
pub enum Jvp {
    /// The row applied to the tangents.
    Linear,
    /// Linear in each operand by itself: the sum over operands.
    Multilinear,
    /// Element-wise: the vjp with the tangent in the cotangent's place.
    Diagonal,
    /// The vjp of the vjp in its cotangent.
    Derived,
    None(&'static str),
}
pub enum Batch {
    /// Element-wise: every operand gets the axis in front.
    Elementwise,
    /// Gives results with the axis in front.
    Rule(fn(&Batching) -> Result<Tensors>),
    /// Gives results and whether each is mapped.
    Flags(fn(&Batching) -> Result<Flagged>),
    /// As `Flags`; also called where no operand is mapped, since the row speaks of the axis itself.
    Axis(fn(&Batching) -> Result<Flagged>),
    None(&'static str),
}

/// Results and whether each is mapped.
pub type Flagged = Vec<(Tensor, bool)>;

/// Cotangents of the operands; `None` is zero.
pub type Grads = Vec<Option<Tensor>>;

/// What a vjp rule sees.
pub struct Pull<'a> {
    pub cx: &'a Cx,
    pub params: &'a Params,
    /// Which operands' cotangents are wanted.
    pub needs: &'a [bool],
    pub cotangents: &'a [Option<Tensor>],
    pub(crate) xs: SmallVec<[Option<Tensor>; 3]>,
    pub(crate) ys: SmallVec<[Option<Tensor>; 1]>,
    pub x_avals: SmallVec<[&'a Aval; 3]>,
    pub y_avals: SmallVec<[&'a Aval; 1]>,
}

impl Pull<'_> {
    /// A saved operand.
    pub fn x(&self, i: usize) -> Result<&Tensor> {
        self.xs.get(i).and_then(Option::as_ref).ok_or_else(|| Error::internal(format!("operand {i} was not saved")))
    }
    /// A saved result.
    pub fn y(&self, i: usize) -> Result<&Tensor> {
        self.ys.get(i).and_then(Option::as_ref).ok_or_else(|| Error::internal(format!("result {i} was not saved")))
    }
    /// The cotangent of the only result.
    pub fn g(&self) -> Result<&Tensor> {
        self.cotangents.first().and_then(Option::as_ref).ok_or_else(|| Error::internal("no cotangent"))
    }
    /// The cotangent of result `i`, zeros where it has none.
    pub fn g_or_zeros(&self, i: usize) -> Result<Tensor> {
        match self.cotangents.get(i).and_then(Option::as_ref) {
            Some(g) => Ok(g.clone()),
            None => self.cx.zeros(&self.y_avals[i].shape, self.y_avals[i].dtype),
        }
    }
    /// `f()` where operand `i`'s cotangent is wanted.
    pub fn want(&self, i: usize, f: impl FnOnce() -> Result<Tensor>) -> Result<Option<Tensor>> {
        if self.needs.get(i).copied().unwrap_or(false) {
            f().map(Some)
        } else {
            Ok(None)
        }
    }
}

/// What a batch rule sees. Mapped operands have the axis in front.
pub struct Batching<'a> {
    pub cx: &'a Cx,
    pub row: &'static Row,
    pub params: &'a Params,
    pub mapped: &'a [bool],
    pub size: usize,
    /// The axis's name, for collectives.
    pub axis: &'a str,
    pub xs: &'a [Tensor],
}

/// A mapped axis: its size, and its name for collectives.
#[derive(Clone, Copy)]
pub struct Axis<'a> {
    pub size: usize,
    pub name: &'a str,
}
impl From<usize> for Axis<'_> {
    fn from(size: usize) -> Self {
        Axis { size, name: "" }
    }
}

impl Batching<'_> {
    /// Operand `i` with the axis in front, repeated if it was not mapped.
    pub fn mapped(&self, i: usize) -> Result<Tensor> {
        let x = &self.xs[i];
        if self.mapped[i] {
            return Ok(x.clone());
        }
        self.cx.repeated(x, self.size)
    }
    pub fn axis(&self) -> Axis<'_> {
        Axis { size: self.size, name: self.axis }
    }
    pub fn all_mapped(&self) -> Result<Tensors> {
        (0..self.xs.len()).map(|i| self.mapped(i)).collect()
    }
    /// Binds the row itself with other parameters.
    pub fn bind(&self, params: impl IntoIterator<Item = crate::Value>, xs: &[Tensor]) -> Result<Tensors> {
        self.cx.bind(self.row, Params::new(self.row.params, params)?, xs)
    }
    /// A rank-preserving axis list of the example, as axes of the batch.
    pub fn shift(&self, name: &str) -> Result<Vec<usize>> {
        Ok(self.params.dims(name)?.iter().map(|a| a + 1).collect())
    }
}

impl Row {
    /// Shapes and dtypes of the results. Every abstract value is made here.
    pub fn results(&self, xs: &[&Aval], p: &Params) -> Result<Avals> {
        let made = (self.shape)(xs, p).and_then(|out| out.iter().try_for_each(Aval::check).map(|()| out));
        made.map_err(|e| e.at(self.name))
    }
    /// False if the row's derivative is zero everywhere, so that recordings for derivatives leave it out.
    pub fn differentiable(&self) -> bool {
        !matches!(self.vjp, Vjp::Zero(_))
    }
    /// True if it speaks of a mapped axis by name, itself or in a program that it owns.
    pub fn collective(&self, params: &Params) -> bool {
        matches!(self.batch, Batch::Axis(_)) || params.programs().any(|p| p.collective)
    }
    pub fn variadic(&self) -> bool {
        self.operands.last().is_some_and(|o| o.starts_with("..."))
    }
}

/// Every row; a row's index is its id in the bindings.
pub fn table() -> &'static [&'static Row] {
    static ALL: OnceLock<Vec<&'static Row>> = OnceLock::new();
    ALL.get_or_init(|| FAMILIES.iter().flat_map(|f| f.iter().copied()).collect())
}

/// The families in the order of their ids.
const FAMILIES: &[&[&Row]] = &[
    elementwise::ROWS,
    movement::ROWS,
    reduce::ROWS,
    contract::ROWS,
    index::ROWS,
    conv::ROWS,
    window::ROWS,
    random::ROWS,
    composite::ROWS,
    programs::ROWS,
    collective::ROWS,
];

pub struct Table;
impl Table {
    pub fn iter(&self) -> impl Iterator<Item = &'static Row> {
        table().iter().copied()
    }
}
pub const TABLE: Table = Table;

/// The row of that name.
pub fn row(name: &str) -> Option<&'static Row> {
    table().iter().copied().find(|r| r.name == name)
}

// ---- what shape rules share
pub(crate) fn same(xs: &[&Aval], _: &Params) -> Result<Avals> {
    same_shapes(xs)?;
    if let Some(x) = xs.iter().find(|x| x.dtype != xs[0].dtype) {
        return Err(Error::dtype(format!("operands have dtypes {} and {}", xs[0].dtype.name(), x.dtype.name())));
    }
    Ok(smallvec![Aval { shape: xs[0].shape.clone(), dtype: xs[0].dtype, weak: xs.iter().all(|x| x.weak) }])
}

pub(crate) fn same_shapes(xs: &[&Aval]) -> Result<()> {
    match xs.iter().find(|x| x.shape != xs[0].shape) {
        Some(x) => Err(Error::shape(format!("operands have shapes {:?} and {:?}", xs[0].shape.as_slice(), x.shape.as_slice()))),
        None => Ok(()),
    }
}

/// Why a composite has no rules.
pub(crate) const EXPANDED: &str = "it is expanded into rows that have their own";

pub(crate) fn no_samples() -> Vec<Sample> {
    Vec::new()
}
