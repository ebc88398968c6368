import { asTensor, type Tensor, type TensorLike } from "../tensor.js";
import { axisOf } from "./axes.js";
import * as rows from "./generated/rows.js";

export const relu = (x: TensorLike): Tensor => rows.relu(x);
export const sigmoid = (x: TensorLike): Tensor => rows.sigmoid(x);
export const silu = (x: TensorLike): Tensor => rows.silu(x);
export const softplus = (x: TensorLike): Tensor => rows.softplus(x);
export const logSigmoid = (x: TensorLike): Tensor => rows.logSigmoid(x);
export const relu6 = (x: TensorLike): Tensor => rows.relu6(x);
export const hardTanh = (x: TensorLike): Tensor => rows.hardTanh(x);
export const elu = (x: TensorLike, alpha = 1): Tensor => rows.elu(x, alpha);
export const leakyRelu = (x: TensorLike, negativeSlope = 0.01): Tensor => rows.leakyRelu(x, negativeSlope);
export const gelu = (x: TensorLike, options: { readonly approximate?: boolean } = {}): Tensor =>
  rows.gelu(x, options.approximate ?? true);

export function softmax(x: TensorLike, axis = -1): Tensor {
  const t = asTensor(x);
  return rows.softmax(t, axisOf(axis, t.ndim));
}
export function logSoftmax(x: TensorLike, axis = -1): Tensor {
  const t = asTensor(x);
  return rows.logSoftmax(t, axisOf(axis, t.ndim));
}
export { logsumexp } from "./reduce.js";
/** float32 rows of 0 and 1; a label outside the range gives zeros. */
export function oneHot(labels: TensorLike, numClasses: number): Tensor {
  const t = asTensor(labels);
  const classes = rows.iota([numClasses], t.dtype, 0);
  return rows.cast(rows.equal(rows.reshape(t, [...t.shape, 1]), classes), "float32", false);
}
