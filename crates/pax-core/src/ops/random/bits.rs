//! Bits from keys. A key is uint32 `[.., 2]`; axes in front are a batch of keys, and every key is on its own.
use crate::exec::cpu::math::cast;
use crate::exec::cpu::threefry::{threefry2x32, words};
use crate::exec::{Exec, Shared};
use crate::ops::samples::{Domain, Input, Layout, Sample};
use crate::ops::{Arrays, Avals, Batch, Batching, Body, Jvp, Lift, Primitive, Row, Saves, Vjp};
use crate::params::{p, Kind};
use crate::{Array, Aval, Cx, DType, Dims, Error, Params, Result, Tensor, Value};
use smallvec::smallvec;

/// How many counters are a chunk.
const CHUNK: usize = 1 << 14;
const NO_GRADIENT: &str = "keys are integers";

/// The axes in front of a key.
fn keys(x: &Aval) -> Result<Dims> {
    if x.dtype != DType::U32 {
        return Err(Error::dtype(format!("a key is uint32, got {}", x.dtype.name())));
    }
    match x.shape.split_last() {
        Some((2, rest)) => Ok(rest.into()),
        _ => {
            Err(Error::shape(format!("a key's last axis has 2 words, got shape {:?}: make one with random.key(seed)", x.shape.as_slice())))
        }
    }
}

fn result(mut front: Dims, shape: &[usize], dtype: DType) -> Avals {
    front.extend_from_slice(shape);
    smallvec![Aval { shape: front, dtype, weak: false }]
}

fn bits_shape(xs: &[&Aval], p: &Params) -> Result<Avals> {
    let (mut shape, width) = (p.dims("shape")?, p.choice("width")?);
    if width == "64" {
        shape.push(2);
    }
    Ok(result(keys(xs[0])?, &shape, if width == "8" { DType::U8 } else { DType::U32 }))
}

/// 32 bits for each of the counters `0..n` of each key.
fn fill_words(exec: &Exec, keys: &[u32], n: usize) -> Vec<u32> {
    let total = keys.len() / 2 * n;
    let mut out = vec![0u32; total];
    let shared = Shared::new(&mut out);
    exec.chunks(total, CHUNK, &|from, to| {
        let mut at = from;
        while at < to {
            let (k, i) = (at / n, at % n);
            let end = to.min(at + n - i);
            // SAFETY: each counter's word belongs to one chunk.
            words([keys[2 * k], keys[2 * k + 1]], i as u64, unsafe { shared.range(at, end) });
            at = end;
        }
    });
    out
}

/// Both words of each of the counters `0..n` of each key.
fn fill_pairs(exec: &Exec, keys: &[u32], n: usize) -> Vec<u32> {
    let total = keys.len() / 2 * n;
    let mut out = vec![0u32; total * 2];
    let shared = Shared::new(&mut out);
    exec.chunks(total, CHUNK, &|from, to| {
        // SAFETY: each counter's words belong to one chunk.
        let out = unsafe { shared.range(from * 2, to * 2) };
        for (words, at) in out.chunks_exact_mut(2).zip(from..to) {
            let (k, i) = (at / n, (at % n) as u64);
            words.copy_from_slice(&threefry2x32([keys[2 * k], keys[2 * k + 1]], [(i >> 32) as u32, i as u32]));
        }
    });
    out
}

fn bits(exec: &Exec, p: &Params, xs: &[Array]) -> Result<Arrays> {
    let keys = xs[0].to_slice::<u32>()?;
    let mut shape: Dims = xs[0].shape[..xs[0].ndim() - 1].into();
    let own = p.dims("shape")?;
    shape.extend_from_slice(&own);
    let n = own.iter().product();
    let words = || fill_words(exec, &keys, n);
    Ok(smallvec![match p.choice("width")? {
        "8" => exec.array(words().into_iter().map(|w| w as u8).collect(), &shape),
        "16" => exec.array(words().into_iter().map(|w| w & 0xffff).collect(), &shape),
        "32" => exec.array(words(), &shape),
        _ => {
            shape.push(2);
            exec.array(fill_pairs(exec, &keys, n), &shape)
        }
    }])
}

pub static RANDOM_BITS: Row = Row {
    name: "random_bits",
    doc: "Random bits of a key (JAX's partitionable threefry2x32). Width 8 gives uint8, 16 and 32 uint32, 64 uint32 with a \
        last axis of high and low word.",
    operands: &["key"],
    params: &[p("shape", Kind::Ints), p("width", Kind::Choice(&["32", "64", "16", "8"]))],
    many: false,
    lift: Lift::None,
    shape: bits_shape,
    body: Body::Primitive(Primitive { eval: bits }),
    saves: Saves::NONE,
    vjp: Vjp::Zero(NO_GRADIENT),
    jvp: Jvp::None(NO_GRADIENT),
    batch: Batch::Rule(|b| b.cx.bind(b.row, b.params.clone(), b.xs)),
    samples: || {
        let case = |k: &[usize], s: &[i64], w: u8| Sample::new(vec![Input::new(k, Domain::Bits)], vec![s.into(), Value::Choice(w)]).rough();
        let mut out = vec![
            case(&[2], &[], 0),
            case(&[2], &[0], 0),
            case(&[2], &[7], 0),
            case(&[2], &[3, 4], 0),
            case(&[3, 2], &[31], 0),
            case(&[2], &[9], 1),
            case(&[2], &[8], 2),
            case(&[2], &[9], 3),
            case(&[0, 2], &[3], 0),
        ];
        out.push(
            Sample::new(vec![Input::new(&[3, 2], Domain::Bits).laid(Layout::Transposed)], vec![[5i64].into(), Value::Choice(0)]).rough(),
        );
        out
    },
};

pub static RANDOM_SPLIT: Row = Row {
    name: "random_split",
    doc: "`num` new keys of a key: `[.., 2]` gives `[.., num, 2]`.",
    operands: &["key"],
    params: &[p("num", Kind::Int)],
    many: false,
    lift: Lift::None,
    shape: |xs, p| Ok(result(keys(xs[0])?, &[count(p)?, 2], DType::U32)),
    body: Body::Primitive(Primitive {
        eval: |exec, p, xs| {
            let n = count(p)?;
            let mut shape: Dims = xs[0].shape[..xs[0].ndim() - 1].into();
            shape.extend_from_slice(&[n, 2]);
            Ok(smallvec![exec.array(fill_pairs(exec, &xs[0].to_slice::<u32>()?, n), &shape)])
        },
    }),
    saves: Saves::NONE,
    vjp: Vjp::Zero(NO_GRADIENT),
    jvp: Jvp::None(NO_GRADIENT),
    batch: Batch::Rule(|b| b.cx.bind(b.row, b.params.clone(), b.xs)),
    samples: || {
        [(&[2usize][..], 2i64), (&[2], 0), (&[2], 5), (&[3, 2], 7)]
            .map(|(k, n)| Sample::new(vec![Input::new(k, Domain::Bits)], vec![n.into()]).rough())
            .into()
    },
};

fn count(p: &Params) -> Result<usize> {
    crate::params::size("num", p.int("num")?)
}

fn fold_shape(xs: &[&Aval], _: &Params) -> Result<Avals> {
    let front = keys(xs[0])?;
    if !xs[1].dtype.is_int() {
        return Err(Error::dtype(format!("the number to fold in is an integer, got {}", xs[1].dtype.name())));
    }
    if xs[1].shape != front {
        return Err(Error::shape(format!(
            "keys of shape {:?} need numbers of shape {:?}, got {:?}",
            xs[0].shape.as_slice(),
            front.as_slice(),
            xs[1].shape.as_slice()
        )));
    }
    Ok(result(front, &[2], DType::U32))
}

fn fold_in(exec: &Exec, _: &Params, xs: &[Array]) -> Result<Arrays> {
    let (keys, data) = (xs[0].to_slice::<u32>()?, cast(exec, &xs[1], DType::U32)?);
    let out = keys.chunks_exact(2).zip(data.to_slice::<u32>()?.iter()).flat_map(|(k, &d)| threefry2x32([k[0], k[1]], [0, d])).collect();
    Ok(smallvec![exec.array::<u32>(out, &xs[0].shape)])
}

pub static RANDOM_FOLD_IN: Row = Row {
    name: "random_fold_in",
    doc: "A new key from a key and an integer (its low 32 bits).",
    operands: &["key", "data"],
    params: &[],
    many: false,
    lift: Lift::None,
    shape: fold_shape,
    body: Body::Primitive(Primitive { eval: fold_in }),
    saves: Saves::NONE,
    vjp: Vjp::Zero(NO_GRADIENT),
    jvp: Jvp::None(NO_GRADIENT),
    batch: Batch::Rule(|b: &Batching| b.cx.bind(b.row, b.params.clone(), &b.all_mapped()?)),
    samples: || {
        [(&[2usize][..], &[][..]), (&[3, 2], &[3]), (&[0, 2], &[0])]
            .map(|(k, d)| Sample::new(vec![Input::new(k, Domain::Bits), Input::new(d, Domain::Index(0, 100))], vec![]).rough())
            .into()
    },
};

impl Cx {
    /// Random words, 32 bits each.
    pub fn random_bits(&self, key: &Tensor, shape: &[usize]) -> Result<Tensor> {
        self.one(&RANDOM_BITS, [shape.into(), Value::Choice(0)], &[key])
    }
    pub fn random_split(&self, key: &Tensor, num: usize) -> Result<Tensor> {
        self.one(&RANDOM_SPLIT, [num.into()], &[key])
    }
    pub fn random_fold_in(&self, key: &Tensor, data: &Tensor) -> Result<Tensor> {
        self.one(&RANDOM_FOLD_IN, [], &[key, data])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(cx: &Cx, t: &Tensor) -> Vec<u32> {
        cx.array(t).unwrap().to_slice::<u32>().unwrap().into_owned()
    }

    /// jax 0.5, `jax.random` on `key(42)`.
    #[test]
    fn equals_jax() {
        let cx = Cx::default();
        let key = cx.from_f64(DType::U32, &[0.0, 42.0], &[2]);
        assert_eq!(
            words(&cx, &cx.random_bits(&key, &[7]).unwrap()),
            [2098992034, 2919706841, 2646866425, 2409546199, 1935504149, 2516274904, 321304473]
        );
        assert_eq!(
            words(&cx, &cx.random_split(&key, 5).unwrap()),
            [1832780943, 270669613, 64467757, 2916123636, 2465931498, 255383827, 3134548294, 894150801, 2954079971, 3276725750]
        );
        let three = cx.from_f64(DType::I32, &[3.0], &[]);
        assert_eq!(words(&cx, &cx.random_fold_in(&key, &three).unwrap()), [3134548294, 894150801]);
        let keys = cx.from_f64(DType::U32, &[0.0, 0.0, 0.0, 42.0, 0.0, 1234567890.0], &[3, 2]);
        let all = words(&cx, &cx.random_bits(&keys, &[3, 4]).unwrap());
        assert_eq!(
            all[..12],
            [
                4070199207, 4202968722, 1427181096, 2012915765, 2447653815, 710830403, 1332275837, 2961296638, 3207338339, 734502358,
                4232062733, 108588429
            ]
        );
        assert_eq!(all[12..16], [2098992034, 2919706841, 2646866425, 2409546199]);
        assert_eq!(all[24..28], [1515425973, 2582699119, 849462927, 2767889064]);
        let first = f32::from_bits(all[12] >> 9 | 0x3f80_0000) - 1.0;
        assert_eq!(first, 0.488_709_57);
    }
}
