/** Products of vectors and matrices. */
import { opError, shown } from "../errors.js";
import { asIndex, asTensor, type Shape, type Tensor, type TensorLike } from "../tensor.js";
import { axisOf, staticInt } from "./axes.js";
import { beside } from "./dtypes.js";
import * as rows from "./generated/rows.js";
import { ravel } from "./shape.js";

export { matmul } from "./generated/rows.js";

/** The sum of products over the last axis of `a` and the second to last (or only) one of `b`; with a scalar the product. */
export function dot(a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = [asTensor(a, "dot"), asTensor(b, "dot")];
  if (x.ndim === 0 || y.ndim === 0) return rows.mul(a, b);
  return rows.dot(x, y, [], [], [x.ndim - 1], [Math.max(y.ndim - 2, 0)]);
}
/** The sum of the products of all elements, in one row each. */
export const vdot = (a: TensorLike, b: TensorLike): Tensor => rows.dot(ravel(a), ravel(b), [], [], [0], [0]);
/** The sum of products over the last axes; with a scalar the product. */
export function inner(a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = [asTensor(a, "inner"), asTensor(b, "inner")];
  return x.ndim === 0 || y.ndim === 0 ? rows.mul(a, b) : rows.dot(x, y, [], [], [x.ndim - 1], [y.ndim - 1]);
}
/** All products of an element of `a` and one of `b`, both raveled: `[size of a, size of b]`. */
export function outer(a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = [ravel(beside("outer", a, b)), ravel(beside("outer", b, a))];
  return rows.mul(rows.reshape(x, [x.size, 1]), rows.reshape(y, [1, y.size]));
}
/** Einstein's summation as `numpy.einsum`: `np.einsum("bij,bjk->bik", a, b)`; products from left to right. */
export const einsum = (spec: string, ...operands: readonly TensorLike[]): Tensor => rows.einsum(operands, spec);

/** The sum of products over the last `axes` of `a` and the first of `b`, or over the axes named for each. */
export function tensordot(a: TensorLike, b: TensorLike, axes: number | readonly [number | Shape, number | Shape] = 2): Tensor {
  const [x, y] = [asTensor(a, "tensordot"), asTensor(b, "tensordot")];
  if (typeof axes === "object") {
    const [p, q] = [[axes[0]].flat().map((i) => axisOf(i, x.ndim, "tensordot")), [axes[1]].flat().map((i) => axisOf(i, y.ndim, "tensordot"))];
    return rows.dot(x, y, [], [], p, q);
  }
  const n = staticInt(axes, "the number of axes", "tensordot");
  if (n < 0 || n > Math.min(x.ndim, y.ndim)) throw opError("shape", "tensordot", `${n} axes of ${shown(x.shape)} and ${shown(y.shape)}`);
  const range = Array.from({ length: n }, (_, i) => i);
  return rows.dot(x, y, [], [], range.map((i) => x.ndim - n + i), range);
}

/** Kronecker's product: every element of `a` times all of `b`, side by side. */
export function kron(a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = [asTensor(beside("kron", a, b)), asTensor(beside("kron", b, a))];
  const ndim = Math.max(x.ndim, y.ndim);
  const aligned = (t: Tensor): number[] => [...new Array<number>(ndim - t.ndim).fill(1), ...t.shape];
  const [p, q] = [aligned(x), aligned(y)];
  const product = rows.mul(rows.reshape(x, p.flatMap((n) => [n, 1])), rows.reshape(y, q.flatMap((n) => [1, n])));
  return rows.reshape(product, p.map((n, i) => n * q[i]!));
}

/** The cross product of vectors of three elements along `axis`. @throws PaxError `shape` for other numbers. */
export function cross(a: TensorLike, b: TensorLike, axis = -1): Tensor {
  const turned = (x: TensorLike, order: readonly number[]): Tensor => {
    const t = asTensor(x, "cross");
    const at = axisOf(axis, t.ndim, "cross");
    if (t.shape[at] !== 3) throw opError("shape", "cross", `axis ${at} of shape ${shown(t.shape)} is not 3`);
    return rows.gather(t, asIndex(order), at, 0, "clamp");
  };
  return rows.sub(rows.mul(turned(a, [1, 2, 0]), turned(b, [2, 0, 1])), rows.mul(turned(a, [2, 0, 1]), turned(b, [1, 2, 0])));
}
