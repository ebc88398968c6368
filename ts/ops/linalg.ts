import { asTensor, type Shape, type Tensor, type TensorLike } from "../tensor.js";
import { axisOf } from "./axes.js";
import * as rows from "./generated/rows.js";

export function dot(a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = [asTensor(a), asTensor(b)];
  if (x.ndim === 0 || y.ndim === 0) return rows.mul(x, y);
  return rows.dot(x, y, [], [], [x.ndim - 1], [Math.max(y.ndim - 2, 0)]);
}
export const einsum = (spec: string, ...operands: TensorLike[]): Tensor => rows.einsum(operands, spec);
export function tensordot(a: Tensor, b: Tensor, axes: number | readonly [Shape, Shape] = 2): Tensor {
  if (typeof axes !== "number") return rows.dot(a, b, [], [], axes[0].map((i) => axisOf(i, a.ndim)), axes[1].map((i) => axisOf(i, b.ndim)));
  const range = Array.from({ length: axes }, (_, i) => i);
  return rows.dot(a, b, [], [], range.map((i) => a.ndim - axes + i), range);
}
export const outer = (a: TensorLike, b: TensorLike): Tensor =>
  rows.mul(rows.reshape(a, [asTensor(a).size, 1]), rows.reshape(b, [1, asTensor(b).size]));
