import { asTensor, type Axis, type Tensor, type TensorLike } from "../tensor.js";
import { axesOf, axisOf, keptShape } from "./axes.js";
import * as rows from "./generated/rows.js";

type Keep = { readonly keepdims?: boolean };

const reducer = (row: (x: TensorLike, axes: readonly number[]) => Tensor) =>
  (x: TensorLike, axis?: Axis, options: Keep = {}): Tensor => {
    const t = asTensor(x);
    const axes = axesOf(axis, t.ndim);
    const y = row(t, axes);
    return options.keepdims ? rows.reshape(y, keptShape(t.shape, axes)) : y;
  };

export const sum = reducer(rows.reduceSum);
export const max = reducer(rows.reduceMax);
export const min = reducer(rows.reduceMin);
export const prod = reducer(rows.reduceProd);
export const mean = reducer(rows.mean);
/** log of the sum of exponentials, without overflow. */
export const logsumexp = reducer(rows.logsumexp);
export const any = reducer((x, axes) => rows.reduceMax(rows.notEqual(x, 0), axes));
export const all = reducer((x, axes) => rows.reduceMin(rows.notEqual(x, 0), axes));

/** Biased, like NumPy's. */
const variance = (x: TensorLike, axis?: Axis, options: Keep = {}): Tensor => {
  const t = asTensor(x);
  return mean(rows.square(rows.sub(t, mean(t, axis, { keepdims: true }))), axis, options);
};
export { variance as var };
export const std = (x: TensorLike, axis?: Axis, options: Keep = {}): Tensor => rows.sqrt(variance(x, axis, options));

const arg = (row: (x: TensorLike, axis: number) => Tensor) => (x: TensorLike, axis?: number): Tensor => {
  const t = asTensor(x);
  return axis === undefined ? row(rows.reshape(t, [t.size]), 0) : row(t, axisOf(axis, t.ndim));
};
export const argmax = arg(rows.argmax);
export const argmin = arg(rows.argmin);
