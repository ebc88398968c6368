import { asTensor, type DType, type Shape, type Tensor, type TensorLike } from "../tensor.js";
import * as rows from "./generated/rows.js";
import { broadcastTo } from "./shape.js";

type WithDType = { readonly dtype?: DType };
export function full(shape: number | Shape, value: TensorLike, { dtype }: WithDType = {}): Tensor {
  const t = asTensor(value);
  return broadcastTo(rows.cast(t, dtype ?? t.dtype, false), typeof shape === "number" ? [shape] : shape);
}
export function arange(stop: number, options?: WithDType): Tensor;
export function arange(start: number, stop: number, step?: number, options?: WithDType): Tensor;
export function arange(a: number, b?: number | WithDType, step = 1, options: WithDType = {}): Tensor {
  const [start, stop] = typeof b === "number" ? [a, b] : [0, a];
  const whole = [start, stop, step].every((n) => Number.isInteger(n));
  const dtype = (typeof b === "object" ? b.dtype : options.dtype) ?? (whole ? "int32" : "float32");
  const count = Math.max(0, Math.ceil((stop - start) / step));
  const at = rows.iota([count], whole ? "int32" : "float64", 0);
  return rows.cast(rows.add(rows.mul(at, step), start), dtype, false);
}
export function linspace(start: TensorLike, stop: TensorLike, num = 50, { dtype = "float32", endpoint = true }: WithDType & { readonly endpoint?: boolean } = {}): Tensor {
  const f = rows.div(rows.iota([num], dtype, 0), Math.max(1, endpoint ? num - 1 : num));
  return rows.cast(rows.add(rows.mul(start, rows.sub(1, f)), rows.mul(stop, f)), dtype, false);
}
/** Column minus row of every place. */
const diagonal = (n: number, m: number): Tensor => rows.sub(rows.iota([n, m], "int32", 1), rows.iota([n, m], "int32", 0));
export const eye = (n: number, m = n, { dtype = "float32" }: WithDType = {}): Tensor => rows.cast(rows.equal(diagonal(n, m), 0), dtype, false);
const zero = (x: Tensor): Tensor => rows.full([], x.dtype, 0);
export const tril = (x: Tensor, k = 0): Tensor => rows.select(rows.lessEqual(diagonal(x.shape.at(-2)!, x.shape.at(-1)!), k), x, zero(x));
export const triu = (x: Tensor, k = 0): Tensor => rows.select(rows.greaterEqual(diagonal(x.shape.at(-2)!, x.shape.at(-1)!), k), x, zero(x));
export function clip(x: TensorLike, low: TensorLike | null, high: TensorLike | null): Tensor {
  const raised = low === null ? asTensor(x) : rows.maximum(x, low);
  return high === null ? raised : rows.minimum(raised, high);
}
/** Reads the values. */
export function allclose(a: TensorLike, b: TensorLike, { rtol = 1e-5, atol = 1e-8 }: { readonly rtol?: number; readonly atol?: number } = {}): boolean {
  const near = rows.lessEqual(rows.abs(rows.sub(a, b)), rows.add(rows.mul(rows.abs(b), rtol), atol));
  return rows.logicalOr(rows.equal(a, b), near).dataSync().every((v: number | bigint) => v !== 0);
}
