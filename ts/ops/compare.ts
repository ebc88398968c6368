/** Comparisons of whole tensors. */
import { asTensor, type Tensor, type TensorLike } from "../tensor.js";
import { floatFormat, together } from "./dtypes.js";
import * as rows from "./generated/rows.js";
import { all } from "./reduce.js";

export type Closeness = { readonly rtol?: number; readonly atol?: number; readonly equalNan?: boolean };

/** True where `|a - b| <= atol + rtol |b|`, and where both are the same infinity; NaN only with `equalNan`. */
export function isclose(a: TensorLike, b: TensorLike, { rtol = 1e-5, atol = 1e-8, equalNan = false }: Closeness = {}): Tensor {
  // Integers would wrap in the difference.
  const [x, y] = together("isclose", a, b).map((t) => (floatFormat(t.dtype) === undefined ? rows.cast(t, "float64", false) : t)) as [Tensor, Tensor];
  const near = rows.lessEqual(rows.abs(rows.sub(x, y)), rows.add(rows.mul(rows.abs(y), rtol), atol));
  const close = rows.logicalOr(rows.equal(x, y), rows.logicalAnd(near, rows.isfinite(y)));
  return equalNan ? rows.logicalOr(close, rows.logicalAnd(rows.isnan(x), rows.isnan(y))) : close;
}
/** Whether `isclose` is true everywhere. Reads the values. */
export const allclose = (a: TensorLike, b: TensorLike, options: Closeness = {}): boolean => all(isclose(a, b, options)).item<boolean>();
/** Whether the shapes and all elements are equal. Reads the values. */
export function arrayEqual(a: TensorLike, b: TensorLike, { equalNan = false }: { readonly equalNan?: boolean } = {}): boolean {
  const [x, y] = [asTensor(a, "arrayEqual"), asTensor(b, "arrayEqual")];
  if (x.shape.join() !== y.shape.join()) return false;
  const equal = rows.equal(a, b);
  return all(equalNan ? rows.logicalOr(equal, rows.logicalAnd(rows.isnan(x), rows.isnan(y))) : equal).item<boolean>();
}
