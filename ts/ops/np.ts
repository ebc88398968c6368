import { asTensor, type DType, type Shape, type Tensor, type TensorLike } from "../tensor.js";
import * as rows from "./generated/rows.js";

type WithDType = { readonly dtype?: DType };
const shapeOf = (shape: number | Shape): Shape => (typeof shape === "number" ? [shape] : shape);

export { array } from "../tensor.js";
export * from "./create.js";
export * from "./linalg.js";
export * from "./reduce.js";
export * from "./shape.js";
export {
  abs, add, ceil, cos, div, equal, exp, floor, floorDivide, greater, greaterEqual, isnan, less, lessEqual, log,
  logicalAnd, logicalNot, logicalOr, matmul, maximum, minimum, mul, neg, notEqual, pow, remainder, round, sign, sin, sqrt,
  square, sub, tan, tanh, asin as arcsin, acos as arccos, atan as arctan, atan2 as arctan2, sinh, cosh, expm1, log1p, trunc, isfinite,
  erf, erfinv, rsqrt, reciprocal, select as where,
} from "./generated/rows.js";
export const zeros = (shape: number | Shape, { dtype = "float32" }: WithDType = {}): Tensor => rows.full(shapeOf(shape), dtype, 0);
export const ones = (shape: number | Shape, { dtype = "float32" }: WithDType = {}): Tensor => rows.full(shapeOf(shape), dtype, 1);
export function zerosLike(x: TensorLike, options: WithDType = {}): Tensor {
  const t = asTensor(x);
  return zeros(t.shape, { dtype: options.dtype ?? t.dtype });
}
export function onesLike(x: TensorLike, options: WithDType = {}): Tensor {
  const t = asTensor(x);
  return ones(t.shape, { dtype: options.dtype ?? t.dtype });
}
