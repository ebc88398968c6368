/** `jax.nn`'s functions, with its values and subgradients. */
import { opError, shown } from "../errors.js";
import { asTensor, type Axis, type DType, type Tensor, type TensorLike } from "../tensor.js";
import { axesOf, axisOf, staticInt } from "./axes.js";
import { asFloat } from "./dtypes.js";
import * as rows from "./generated/rows.js";
import { split } from "./join.js";
import { mean as average } from "./reduce.js";

export { logsumexp } from "./reduce.js";

/** A function with a name that holds after minifying: `Lambda` shows it. */
const named = <F extends object>(name: string, f: F): F => Object.defineProperty(f, "name", { value: name, configurable: true });

/** `x` where it is positive, else 0; the derivative at 0 is 0. */
export const relu = /* @__PURE__ */ named("relu", (x: TensorLike): Tensor => rows.relu(x));
/** `x` between 0 and 6, else the nearer of them; the derivative is 0 at both. */
export const relu6 = /* @__PURE__ */ named("relu6", (x: TensorLike): Tensor => rows.relu6(x));
/** The logistic function `1 / (1 + exp(-x))`, without overflow. */
export const sigmoid = /* @__PURE__ */ named("sigmoid", (x: TensorLike): Tensor => rows.sigmoid(x));
/** `log(sigmoid(x))`, without overflow. */
export const logSigmoid = /* @__PURE__ */ named("logSigmoid", (x: TensorLike): Tensor => rows.logSigmoid(x));
/** `x * sigmoid(x)` (Elfwing et al. 2017). */
export const silu = /* @__PURE__ */ named("silu", (x: TensorLike): Tensor => rows.silu(x));
/** `log(1 + exp(x))`, without overflow. */
export const softplus = /* @__PURE__ */ named("softplus", (x: TensorLike): Tensor => rows.softplus(x));
/** `x / (1 + |x|)`. */
export const softSign = /* @__PURE__ */ named("softSign", (x: TensorLike): Tensor => rows.div(x, rows.add(rows.abs(x), 1)));
/** `(x + sqrt(x^2 + b)) / 2` (Barron 2021). */
export const squareplus = /* @__PURE__ */ named("squareplus", (x: TensorLike, b: TensorLike = 4): Tensor => rows.div(rows.add(x, rows.sqrt(rows.add(rows.square(x), b))), 2));
/** `x * tanh(softplus(x))` (Misra 2019). */
export const mish = /* @__PURE__ */ named("mish", (x: TensorLike): Tensor => rows.mul(x, rows.tanh(rows.softplus(x))));
/** `x` times the normal distribution's share below `x`; by tanh's formula unless `approximate` is false (Hendrycks and Gimpel 2016). */
export const gelu = /* @__PURE__ */ named("gelu", (x: TensorLike, { approximate = true }: { readonly approximate?: boolean } = {}): Tensor => rows.gelu(x, approximate));
/** `x` where it is positive, else `alpha * (exp(x) - 1)` (Clevert et al. 2015). */
export const elu = /* @__PURE__ */ named("elu", (x: TensorLike, alpha: TensorLike = 1): Tensor => rows.elu(x, alpha));
/** `max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)` (Barron 2017). */
export const celu = /* @__PURE__ */ named("celu", (x: TensorLike, alpha: TensorLike = 1): Tensor =>
  rows.add(rows.maximum(x, 0), rows.mul(alpha, rows.expm1(rows.div(rows.minimum(x, 0), alpha)))));
/** `elu` with the `alpha` and the factor that keep mean 0 and variance 1 from layer to layer (Klambauer et al. 2017). */
export const selu = /* @__PURE__ */ named("selu", (x: TensorLike): Tensor => rows.mul(rows.elu(x, 1.6732632423543772), 1.0507009873554805));
/** `x` where it is not negative, else `negativeSlope * x`. */
export const leakyRelu = /* @__PURE__ */ named("leakyRelu", (x: TensorLike, negativeSlope: TensorLike = 0.01): Tensor => rows.leakyRelu(x, negativeSlope));
/** The hyperbolic tangent. */
export const tanh = /* @__PURE__ */ named("tanh", (x: TensorLike): Tensor => rows.tanh(x));
/** `x` between -1 and 1, else the nearer of them. */
export const hardTanh = /* @__PURE__ */ named("hardTanh", (x: TensorLike): Tensor => rows.hardTanh(x));
/** `relu6(x + 3) / 6`. */
export const hardSigmoid = /* @__PURE__ */ named("hardSigmoid", (x: TensorLike): Tensor => rows.div(rows.relu6(rows.add(x, 3)), 6));
/** `x * hardSigmoid(x)` (Howard et al. 2019). */
export const hardSilu = /* @__PURE__ */ named("hardSilu", (x: TensorLike): Tensor => rows.mul(x, hardSigmoid(x)));
/** The same function as `silu`. */
export { silu as swish };
/** The same function as `hardSilu`. */
export { hardSilu as hardSwish };

/** The first half along `axis` times the sigmoid of the second (Dauphin et al. 2016). @throws PaxError `shape` for an odd size. */
export const glu = /* @__PURE__ */ named("glu", (x: TensorLike, axis = -1): Tensor => {
  const t = asTensor(x, "glu");
  const at = axisOf(axis, t.ndim, "glu");
  if (t.shape[at]! % 2 !== 0) throw opError("shape", "glu", `axis ${at} of shape ${shown(t.shape)} has no halves`);
  const [value, gate] = split(t, 2, at);
  return rows.mul(value!, rows.sigmoid(gate!));
});

/** `exp(x)` divided by its sum along `axis`. */
export const softmax = /* @__PURE__ */ named("softmax", (x: TensorLike, axis = -1): Tensor => {
  const t = asTensor(x, "softmax");
  return rows.softmax(t, axisOf(axis, t.ndim, "softmax"));
});
/** The logarithm of `softmax` along `axis`, without its rounding. */
export const logSoftmax = /* @__PURE__ */ named("logSoftmax", (x: TensorLike, axis = -1): Tensor => {
  const t = asTensor(x, "logSoftmax");
  return rows.logSoftmax(t, axisOf(axis, t.ndim, "logSoftmax"));
});

type Moments = { readonly mean?: TensorLike; readonly variance?: TensorLike; readonly epsilon?: number };
/** `(x - mean) / sqrt(variance + epsilon)`, with the moments over `axis` (in two passes, JAX's "stable" way) unless they are given. */
export function standardize(x: TensorLike, axis: Axis = -1, { mean, variance, epsilon = 1e-5 }: Moments = {}): Tensor {
  const t = asFloat(x, "standardize");
  const axes = axesOf(axis, t.ndim, "standardize");
  if (mean === undefined && variance === undefined) return rows.layerNorm(t, axes, epsilon);
  const centre = mean ?? average(t, axes, { keepdims: true });
  const spread = variance ?? average(rows.square(rows.sub(t, centre)), axes, { keepdims: true });
  return rows.mul(rows.sub(t, centre), rows.rsqrt(rows.add(spread, epsilon)));
}

type OneHot = { readonly dtype?: DType; readonly axis?: number };
/** For each label `numClasses` numbers along the new `axis`, 1 at the label and 0 elsewhere (everywhere for a label outside); float32 unless `dtype` says otherwise. */
export function oneHot(labels: TensorLike, numClasses: number, { dtype = "float32", axis = -1 }: OneHot = {}): Tensor {
  const t = asTensor(labels, "oneHot");
  const at = axisOf(axis, t.ndim + 1, "oneHot");
  if (staticInt(numClasses, "numClasses", "oneHot") < 0) throw opError("value", "oneHot", `numClasses is ${numClasses}`);
  const classes = rows.iota(t.shape.toSpliced(at, 0, numClasses), "int32", at);
  return rows.cast(rows.equal(rows.reshape(t, t.shape.toSpliced(at, 0, 1)), classes), dtype, false);
}
