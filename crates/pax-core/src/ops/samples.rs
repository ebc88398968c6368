//! Sample inputs: what `tests/table.rs` runs every row on.
use crate::Value;

/// Where an input's values are drawn from.
#[derive(Clone, Copy, Debug)]
pub enum Domain {
    /// Floats, uniform in the range. Integer dtypes take it rounded.
    Range(f64, f64),
    /// int32, uniform in the half-open range.
    Index(i64, i64),
    /// Integers in the half-open range, run in every integer dtype that holds them.
    Integer(i64, i64),
    Bool,
    /// uint32 bits.
    Bits,
}

/// How an input lies in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    Plain,
    Transposed,
    Broadcast,
}

#[derive(Clone, Debug)]
pub struct Input {
    pub shape: Vec<usize>,
    pub domain: Domain,
    pub layout: Layout,
}

#[derive(Clone, Debug)]
pub struct Sample {
    pub inputs: Vec<Input>,
    pub params: Vec<Value>,
    /// False where finite differences do not apply at these values (kinks, ties).
    pub smooth: bool,
}

impl Input {
    pub fn new(shape: &[usize], domain: Domain) -> Input {
        Input { shape: shape.to_vec(), domain, layout: Layout::Plain }
    }
    pub fn laid(mut self, layout: Layout) -> Input {
        self.layout = layout;
        self
    }
}

impl Sample {
    pub fn new(inputs: Vec<Input>, params: Vec<Value>) -> Sample {
        Sample { inputs, params, smooth: true }
    }
    pub fn rough(mut self) -> Sample {
        self.smooth = false;
        self
    }
}

/// The shapes that every element-wise row runs on: empty, scalar, one, around a vector's width, two axes.
pub const SHAPES: &[&[usize]] = &[&[], &[0], &[1], &[7], &[8], &[9], &[31], &[2, 3], &[3, 0]];

/// `n` operands of one domain, over all `SHAPES` and layouts.
pub fn elementwise(domains: &[Domain]) -> Vec<Sample> {
    let mut out: Vec<Sample> = SHAPES.iter().map(|s| Sample::new(domains.iter().map(|&d| Input::new(s, d)).collect(), vec![])).collect();
    for layout in [Layout::Transposed, Layout::Broadcast] {
        out.push(Sample::new(
            domains
                .iter()
                .enumerate()
                .map(|(i, &d)| {
                    let input = Input::new(&[3, 4], d);
                    if i == 0 {
                        input.laid(layout)
                    } else {
                        input
                    }
                })
                .collect(),
            vec![],
        ));
    }
    out
}

/// A recorded program as a parameter: what `f` gives on float64 inputs of these shapes. One that cannot be recorded is
/// empty, which no sample fits.
pub fn program(inputs: &[&[usize]], f: impl Fn(&crate::Cx, &[crate::Tensor]) -> crate::Result<Vec<crate::Tensor>>) -> Value {
    let cx = crate::Cx::default();
    let avals: Vec<crate::Aval> = inputs.iter().map(|s| crate::Aval::new(s, crate::DType::F64)).collect();
    let ts = cx.begin_abstract(&avals);
    Value::Program(std::rc::Rc::new(f(&cx, &ts).and_then(|outs| cx.end_abstract(&outs)).unwrap_or_default()))
}
