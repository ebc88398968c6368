//! Conversions between dtypes.
use crate::exec::cpu::math;
use crate::ops::samples::{Domain, Input, Sample};
use crate::ops::{Avals, Batch, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Aval, Cx, DType, Params, Result, Tensor, Value};
use smallvec::smallvec;

fn shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    Ok(smallvec![Aval { shape: xs[0].shape.clone(), dtype: p.dtype("dtype")?, weak: p.bool("weak")? }])
}

pub static CAST: Row = Row {
    name: "cast",
    doc: "The same values in another dtype. Floats to integers truncate and saturate (NaN gives 0), integers wrap.",
    operands: &["x"],
    params: &[p("dtype", Kind::DType), p("weak", Kind::Bool)],
    many: false,
    lift: Lift::None,
    shape,
    body: Body::Primitive(Primitive { eval: |exec, p, xs| Ok(smallvec![math::cast(exec, &xs[0], p.dtype("dtype")?)?]) }),
    saves: Saves::NONE,
    vjp: Vjp::Rule(|p| Ok(vec![p.want(0, || p.cx.cast_weak(p.g()?, p.x_avals[0].dtype, p.x_avals[0].weak))?])),
    jvp: Jvp::Linear,
    batch: Batch::Elementwise,
    samples: || {
        let mut out = Vec::new();
        for d in DType::ALL {
            out.push(Sample::new(vec![Input::new(&[7], Domain::Range(-3.0, 300.0))], vec![Value::DType(d), Value::Bool(false)]).rough());
        }
        out.push(Sample::new(vec![Input::new(&[2, 3], Domain::Range(-3.0, 3.0))], vec![Value::DType(DType::F64), Value::Bool(false)]));
        out
    },
};

impl Cx {
    pub fn cast(&self, x: &Tensor, dtype: DType) -> Result<Tensor> {
        self.cast_weak(x, dtype, false)
    }
    /// As `cast`; nothing is done where dtype and weakness are right already.
    pub fn cast_weak(&self, x: &Tensor, dtype: DType, weak: bool) -> Result<Tensor> {
        if x.dtype() == dtype && x.weak() == weak {
            return Ok(x.clone());
        }
        self.one(&CAST, [Value::DType(dtype), Value::Bool(weak)], &[x])
    }
}
