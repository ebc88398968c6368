/** Diagonals and triangles of matrices. */
import { opError, shown } from "../errors.js";
import { asTensor, type Tensor, type TensorLike } from "../tensor.js";
import { axisOf, shapeOf, staticInt } from "./axes.js";
import type { WithDType } from "./dtypes.js";
import * as rows from "./generated/rows.js";
import { sum } from "./reduce.js";
import { moveaxis } from "./shape.js";

/** Column minus row of every place. */
function offsets(n: number, m: number, op: string): Tensor {
  const shape = shapeOf([n, m], op);
  return rows.sub(rows.iota(shape, "int32", 1), rows.iota(shape, "int32", 0));
}
function matrix(x: TensorLike, op: string): Tensor {
  const t = asTensor(x, op);
  if (t.ndim < 2) throw opError("shape", op, `a matrix has at least two axes, ${shown(t.shape)} has ${t.ndim}`);
  return t;
}
const zero = (x: Tensor): Tensor => rows.full([], x.dtype, 0);

/** Ones on diagonal `k` (above the main one if positive) of an `n` by `m` matrix, else zeros. */
export const eye = (n: number, m = n, { dtype = "float32", k = 0 }: WithDType & { readonly k?: number } = {}): Tensor =>
  rows.cast(rows.equal(offsets(n, m, "eye"), staticInt(k, "k", "eye")), dtype, false);
/** The `n` by `n` matrix with ones on the main diagonal. */
export const identity = (n: number, options: WithDType = {}): Tensor => eye(n, n, options);
/** Ones on and below diagonal `k` of an `n` by `m` matrix, else zeros. */
export const tri = (n: number, m = n, k = 0, { dtype = "float32" }: WithDType = {}): Tensor =>
  rows.cast(rows.lessEqual(offsets(n, m, "tri"), staticInt(k, "k", "tri")), dtype, false);
/** `x` on and below diagonal `k` of its last two axes, 0 above. */
export function tril(x: TensorLike, k = 0): Tensor {
  const t = matrix(x, "tril");
  return rows.select(rows.lessEqual(offsets(t.shape.at(-2)!, t.shape.at(-1)!, "tril"), staticInt(k, "k", "tril")), t, zero(t));
}
/** `x` on and above diagonal `k` of its last two axes, 0 below. */
export function triu(x: TensorLike, k = 0): Tensor {
  const t = matrix(x, "triu");
  return rows.select(rows.greaterEqual(offsets(t.shape.at(-2)!, t.shape.at(-1)!, "triu"), staticInt(k, "k", "triu")), t, zero(t));
}

/** Diagonal `offset` of the plane of `axis1` and `axis2`, as the last axis. */
export function diagonal(x: TensorLike, offset = 0, axis1 = 0, axis2 = 1): Tensor {
  const t = matrix(x, "diagonal");
  const axes = [axisOf(axis1, t.ndim, "diagonal"), axisOf(axis2, t.ndim, "diagonal")];
  const k = staticInt(offset, "the offset", "diagonal");
  const y = moveaxis(t, axes, [-2, -1]);
  const [n, m] = [y.shape.at(-2)!, y.shape.at(-1)!];
  const batch = y.shape.slice(0, -2);
  const length = Math.max(0, Math.min(n + Math.min(k, 0), m - Math.max(k, 0)));
  const start = length === 0 ? 0 : Math.max(k, 0) + Math.max(-k, 0) * m;
  const limit = length === 0 ? 0 : start + (length - 1) * (m + 1) + 1;
  return rows.slice(rows.reshape(y, [...batch, n * m]), [...batch.map(() => 0), start], [...batch, limit], [...batch.map(() => 1), m + 1]);
}

/** Diagonal `k` of a matrix, or the matrix with a one-axis tensor on diagonal `k`. */
export function diag(x: TensorLike, k = 0): Tensor {
  const t = asTensor(x, "diag");
  if (t.ndim === 2) return diagonal(t, k);
  if (t.ndim !== 1) throw opError("shape", "diag", `it takes one or two axes, ${shown(t.shape)} has ${t.ndim}`);
  const count = t.size;
  const n = count + Math.abs(staticInt(k, "k", "diag"));
  if (count === 0) return rows.full([n, n], t.dtype, 0);
  const start = Math.max(k, 0) + Math.max(-k, 0) * n;
  return rows.reshape(rows.pad(t, 0, [start], [n * n - start - (count - 1) * (n + 1) - 1], [n]), [n, n]);
}

/** The sum of `diagonal(x, offset, axis1, axis2)`. */
export const trace = (x: TensorLike, offset = 0, axis1 = 0, axis2 = 1): Tensor => sum(diagonal(x, offset, axis1, axis2), -1);
