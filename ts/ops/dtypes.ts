/** Dtypes of floats, and the option that asks for a dtype. */
import { asTensor, Tensor, type DType, type TensorLike } from "../tensor.js";
import { calledAs } from "../engine.js";
import * as rows from "./generated/rows.js";
import { castTo } from "./halves.js";

/** The options of functions that make a tensor. */
export type WithDType = { readonly dtype?: DType };

/** `mantissa` is its bits, `max` the greatest finite number. */
type FloatFormat = { readonly mantissa: number; readonly max: number };
const FLOATS: { readonly [K in DType]?: FloatFormat } = {
  float32: { mantissa: 23, max: (2 - 2 ** -23) * 2 ** 127 },
  float64: { mantissa: 52, max: Number.MAX_VALUE },
  float16: { mantissa: 10, max: 65504 },
  bfloat16: { mantissa: 7, max: (2 - 2 ** -7) * 2 ** 127 },
};
/** How floats of a dtype are made up; undefined for integers and bool. */
export const floatFormat = (dtype: DType): FloatFormat | undefined => FLOATS[dtype];

/** A scalar in a dtype: a number keeps its digits, and arithmetic rounds as JAX's. */
export const inDType = (x: TensorLike, dtype: DType): Tensor => (typeof x === "number" ? rows.full([], dtype, x) : castTo(asTensor(x), dtype));
/** Both in the dtype and shape that they take together. */
export const together = (op: string, a: TensorLike, b: TensorLike): [Tensor, Tensor] => calledAs(op, () => [rows.select(true, a, b), rows.select(false, a, b)]);
/** A number in the dtype that it takes beside `other`. */
export const beside = (op: string, x: TensorLike, other: TensorLike | undefined): TensorLike => (typeof x === "number" && other instanceof Tensor ? together(op, x, rows.full([], other.dtype, 0))[0] : x);

/** Integers and bool become float32, as in `np.exp`. */
export function asFloat(x: TensorLike, op?: string): Tensor {
  const t = asTensor(x, op);
  return floatFormat(t.dtype) === undefined ? rows.cast(t, "float32", t.weak) : t;
}
