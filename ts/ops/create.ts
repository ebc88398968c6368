/** Tensors from numbers and shapes. */
import { opError } from "../errors.js";
import { calledAs } from "../engine.js";
import { array, asTensor, type DType, type Shape, type Tensor, type TensorLike } from "../tensor.js";
import { shapeOf, staticInt, staticNumber, stretched } from "./axes.js";
import { floatFormat, type WithDType } from "./dtypes.js";
import * as rows from "./generated/rows.js";

const filled = (op: string, shape: number | Shape, dtype: DType, value: number): Tensor => calledAs(op, () => rows.full(shapeOf(shape, op), dtype, value));

/** A tensor of zeros, float32 unless `dtype` says otherwise; a number is the size of the one axis. */
export const zeros = (shape: number | Shape, { dtype = "float32" }: WithDType = {}): Tensor => filled("zeros", shape, dtype, 0);

/** A tensor of ones, float32 unless `dtype` says otherwise. */
export const ones = (shape: number | Shape, { dtype = "float32" }: WithDType = {}): Tensor => filled("ones", shape, dtype, 1);

/** `value`, broadcast to `shape`: a number gives float32, a boolean bool, a bigint int64, a tensor its dtype, unless `dtype` says otherwise. */
export function full(shape: number | Shape, value: TensorLike, { dtype }: WithDType = {}): Tensor {
  if (typeof value === "number") return filled("full", shape, dtype ?? "float32", value);
  const t = asTensor(value, "full");
  return stretched(rows.cast(t, dtype ?? t.dtype, false), shapeOf(shape, "full"), "full");
}

/** Zeros of `x`'s shape and, unless `dtype` says otherwise, dtype. */
export function zerosLike(x: TensorLike, { dtype }: WithDType = {}): Tensor {
  const t = asTensor(x, "zerosLike");
  return filled("zerosLike", t.shape, dtype ?? t.dtype, 0);
}

/** Ones of `x`'s shape and, unless `dtype` says otherwise, dtype. */
export function onesLike(x: TensorLike, { dtype }: WithDType = {}): Tensor {
  const t = asTensor(x, "onesLike");
  return filled("onesLike", t.shape, dtype ?? t.dtype, 1);
}

/** `value` in every place of `x`'s shape, in `x`'s dtype unless `dtype` says otherwise. */
export function fullLike(x: TensorLike, value: TensorLike, { dtype }: WithDType = {}): Tensor {
  const t = asTensor(x, "fullLike");
  return full(t.shape, value, { dtype: dtype ?? t.dtype });
}

/** `start`, `start + step`, … below `stop` (above it for a negative step): int32 if all are integers, else float32. @throws PaxError `value` for a step of 0 or numbers without an end. */
export function arange(stop: number, options?: WithDType): Tensor;
export function arange(start: number, stop: number, step?: number, options?: WithDType): Tensor;
export function arange(a: number, b?: number | WithDType, step = 1, options: WithDType = {}): Tensor {
  const [start, stop] = typeof b === "object" || b === undefined ? [0, staticNumber(a, "stop", "arange")] : [staticNumber(a, "start", "arange"), staticNumber(b, "stop", "arange")];
  const whole = [start, stop, step].every((n) => Number.isInteger(n));
  const dtype = (typeof b === "object" ? b.dtype : options.dtype) ?? (whole ? "int32" : "float32");
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (!Number.isFinite(count)) throw opError("value", "arange", `from ${String(start)} to ${String(stop)} by ${String(step)} has no end: give finite numbers and a step that is not 0`);
  const small = whole && [step, start, start + (count - 1) * step].every((n) => n === (n | 0));
  if (!small && dtype === "int32" && count < 2 ** 31) throw opError("value", "arange", `from ${start} to ${stop} is more than int32 holds: ask for another dtype`);
  const at = rows.iota([count], small ? "int32" : "float64", 0);
  return rows.cast(rows.add(rows.mul(at, step), start), dtype, false);
}

type Spaced = WithDType & { readonly endpoint?: boolean };

/** `num` numbers evenly from `start` to `stop`, which is the last one unless `endpoint` is false. Integer dtypes round down, as in JAX. */
export function linspace(start: TensorLike, stop: TensorLike, num = 50, { dtype = "float32", endpoint = true }: Spaced = {}): Tensor {
  const [count] = shapeOf(num, "linspace") as [number];
  const wide: DType = dtype === "float64" ? "float64" : "float32";
  const rank = Math.max(asTensor(start, "linspace").ndim, asTensor(stop, "linspace").ndim);
  const share = rows.div(rows.iota([count], wide, 0), Math.max(1, endpoint ? count - 1 : count));
  const f = rows.reshape(share, [count, ...new Array<number>(rank).fill(1)]);
  const y = rows.add(rows.mul(start, rows.sub(1, f)), rows.mul(stop, f));
  return rows.cast(floatFormat(dtype) === undefined ? rows.floor(y) : y, dtype, false);
}

/** The numbers that `linspace` gives, computed in double precision. */
function spaced(start: number, stop: number, num: number, endpoint: boolean): Float64Array {
  const parts = Math.max(1, endpoint ? num - 1 : num);
  return Float64Array.from({ length: num }, (_, i) => start * (1 - i / parts) + stop * (i / parts));
}

/** `base` to the powers that `linspace(start, stop, num)` gives. */
export function logspace(start: number, stop: number, num = 50, { dtype = "float32", endpoint = true, base = 10 }: Spaced & { readonly base?: number } = {}): Tensor {
  return array(spaced(start, stop, staticInt(num, "num", "logspace"), endpoint).map((p) => base ** p), { dtype });
}

/** `num` numbers from `start` to `stop`, each the same multiple of the one before. @throws PaxError `value` where an end is 0 or the signs differ. */
export function geomspace(start: number, stop: number, num = 50, { dtype = "float32", endpoint = true }: Spaced = {}): Tensor {
  if (!(start * stop > 0)) throw opError("value", "geomspace", `from ${start} to ${stop}: neither may be 0, and both need one sign`);
  const values = spaced(0, 1, staticInt(num, "num", "geomspace"), endpoint).map((p) => Math.sign(start) * Math.abs(start) ** (1 - p) * Math.abs(stop) ** p);
  if (endpoint && num > 1) values[num - 1] = stop;
  return array(values, { dtype });
}
