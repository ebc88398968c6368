import type { Axis, DType, Index, Shape, Tensor, TensorLike } from "../tensor.js";
import * as rows from "./generated/rows.js";
import * as reduce from "./reduce.js";
import { clip } from "./create.js";
import * as shape from "./shape.js";

const { reshape, transpose } = shape;

type Keep = { readonly keepdims?: boolean };
type Binary = "add" | "sub" | "mul" | "div" | "pow" | "floorDivide" | "remainder" | "maximum" | "minimum"
  | "equal" | "notEqual" | "less" | "lessEqual" | "greater" | "greaterEqual";
type Unary = "neg" | "abs" | "sign" | "exp" | "log" | "sqrt" | "square" | "tanh" | "sin" | "cos" | "floor" | "ceil" | "round";
type Reduce = "sum" | "mean" | "prod" | "max" | "min" | "all" | "any";

/** What `Tensor` has beside its own members; its class merges with this. */
export interface TensorMethods extends Record<Binary, (b: TensorLike) => Tensor>, Record<Unary, () => Tensor>,
  Record<Reduce, (axis?: Axis, options?: Keep) => Tensor> {
  argmax(axis?: number): Tensor;
  argmin(axis?: number): Tensor;
  matmul(b: Tensor): Tensor;
  reshape(shape: Shape): Tensor;
  reshape(...shape: number[]): Tensor;
  transpose(axes?: readonly number[]): Tensor;
  astype(dtype: DType): Tensor;
  ravel(): Tensor;
  squeeze(axis?: Axis): Tensor;
  expandDims(axis: number): Tensor;
  swapaxes(a: number, b: number): Tensor;
  flip(axis?: Axis): Tensor;
  take(indices: Index, axis?: number): Tensor;
  clip(low: TensorLike | null, high: TensorLike | null): Tensor;
  cumsum(axis?: number): Tensor;
  sort(axis?: number): Tensor;
  argsort(axis?: number): Tensor;
  readonly T: Tensor;
}

const binaries: readonly Binary[] = ["add", "sub", "mul", "div", "pow", "floorDivide", "remainder", "maximum", "minimum",
  "equal", "notEqual", "less", "lessEqual", "greater", "greaterEqual"];
const unaries: readonly Unary[] = ["neg", "abs", "sign", "exp", "log", "sqrt", "square", "tanh", "sin", "cos", "floor", "ceil", "round"];
const reductions: readonly Reduce[] = ["sum", "mean", "prod", "max", "min", "all", "any"];

export function installMethods(prototype: object): void {
  const define = (name: string, value: unknown): void => {
    Object.defineProperty(prototype, name, { value, configurable: true, writable: true });
  };
  for (const name of binaries) define(name, function (this: Tensor, b: TensorLike) { return rows[name](this, b); });
  for (const name of unaries) define(name, function (this: Tensor) { return rows[name](this); });
  for (const name of reductions) define(name, function (this: Tensor, axis?: Axis, options?: Keep) { return reduce[name](this, axis, options); });
  define("argmax", function (this: Tensor, axis?: number) { return reduce.argmax(this, axis); });
  define("argmin", function (this: Tensor, axis?: number) { return reduce.argmin(this, axis); });
  define("matmul", function (this: Tensor, b: Tensor) { return rows.matmul(this, b); });
  define("reshape", function (this: Tensor, ...shape: [Shape] | number[]) { return reshape(this, shape.flat() as number[]); });
  define("transpose", function (this: Tensor, axes?: readonly number[]) { return transpose(this, axes); });
  for (const name of ["ravel", "squeeze", "expandDims", "swapaxes", "flip", "take", "cumsum", "sort", "argsort"] as const) {
    const f = shape[name] as (x: Tensor, ...rest: unknown[]) => Tensor;
    define(name, function (this: Tensor, ...rest: unknown[]) { return f(this, ...rest); });
  }
  define("clip", function (this: Tensor, low: TensorLike | null, high: TensorLike | null) { return clip(this, low, high); });
  define("astype", function (this: Tensor, dtype: DType) { return rows.cast(this, dtype, false); });
  Object.defineProperty(prototype, "T", { get(this: Tensor) { return transpose(this); }, configurable: true });
}
