/** Functions of single elements, with NumPy's broadcasting. */
import { opError } from "../errors.js";
import { asTensor, type Tensor, type TensorLike } from "../tensor.js";
import { staticInt } from "./axes.js";
import { asFloat, floatFormat, together } from "./dtypes.js";
import * as rows from "./generated/rows.js";
import { castTo, wide } from "./halves.js";

export {
  abs, add, sub, mul, div, pow, neg, sign, square, sqrt, cbrt, hypot, logaddexp, rsqrt, reciprocal, exp, expm1, log, log1p, floorDivide, remainder, maximum, minimum,
  sin, cos, tan, asin as arcsin, acos as arccos, atan as arctan, atan2 as arctan2, sinh, cosh, tanh, asinh as arcsinh, acosh as arccosh, atanh as arctanh,
  erf, erfc, erfinv, floor, ceil, trunc, isnan, isfinite, equal, notEqual, less, lessEqual, greater, greaterEqual,
  logicalAnd, logicalOr, logicalNot, bitAnd as bitwiseAnd, bitOr as bitwiseOr, bitXor as bitwiseXor, bitNot as bitwiseNot, shiftLeft as leftShift, shiftRight as rightShift,
} from "./generated/rows.js";

/** 2 to the power of `x`; integers give float32. */
export const exp2 = (x: TensorLike): Tensor => rows.pow(2, asFloat(x, "exp2"));
/** The logarithm of `x` to base 2. */
export const log2 = (x: TensorLike): Tensor => rows.div(rows.log(x), Math.LN2);
/** The logarithm of `x` to base 10. */
export const log10 = (x: TensorLike): Tensor => rows.div(rows.log(x), Math.LN10);
/** `sin(pi x) / (pi x)`, 1 at 0. */
export function sinc(x: TensorLike): Tensor {
  const angle = rows.mul(asFloat(x, "sinc"), Math.PI);
  const zero = rows.equal(angle, 0);
  const safe = rows.select(zero, 1, angle);
  // The series at 0 has the right first and second derivative.
  return rows.select(zero, rows.sub(1, rows.div(rows.square(angle), 6)), rows.div(rows.sin(safe), safe));
}
/** Degrees as radians. */
export const deg2rad = (x: TensorLike): Tensor => rows.mul(asFloat(x, "deg2rad"), Math.PI / 180);
/** Radians as degrees. */
export const rad2deg = (x: TensorLike): Tensor => rows.mul(asFloat(x, "rad2deg"), 180 / Math.PI);

/** Rounded to `decimals` places, halves to the even digit; integers stay. @throws PaxError `value` for negative places of integers. */
export function round(x: TensorLike, decimals = 0): Tensor {
  if (staticInt(decimals, "decimals", "round") === 0) return rows.round(x);
  const t = asTensor(x, "round");
  if (floatFormat(t.dtype) !== undefined) return castTo(rows.div(rows.round(rows.mul(wide(t), 10 ** decimals)), 10 ** decimals), t.dtype);
  if (decimals < 0) throw opError("value", "round", `${decimals} decimals of ${t.dtype}: cast to float32 first`);
  return t;
}

/** The greater of `a` and `b`; a number wins over NaN, and `b` has the derivative of a tie, as in JAX. */
export const fmax = (a: TensorLike, b: TensorLike): Tensor => rows.select(rows.logicalOr(rows.greater(a, b), rows.isnan(b)), a, b);
/** The lesser of `a` and `b`; a number wins over NaN, and `b` has the derivative of a tie, as in JAX. */
export const fmin = (a: TensorLike, b: TensorLike): Tensor => rows.select(rows.logicalOr(rows.less(a, b), rows.isnan(b)), a, b);

/** `x` between `low` and `high`; null is no bound. The derivative at a bound is half, as `jnp.clip`'s. */
export function clip(x: TensorLike, low: TensorLike | null = null, high: TensorLike | null = null): Tensor {
  const raised = low === null ? asTensor(x, "clip") : rows.maximum(x, low);
  return high === null ? raised : rows.minimum(raised, high);
}

/** True where `x` is infinite. */
export const isinf = (x: TensorLike): Tensor => rows.logicalNot(rows.logicalOr(rows.isfinite(x), rows.isnan(x)));
/** True where `x` is positive infinity. */
export const isposinf = (x: TensorLike): Tensor => rows.logicalAnd(isinf(x), rows.greater(x, 0));
/** True where `x` is negative infinity. */
export const isneginf = (x: TensorLike): Tensor => rows.logicalAnd(isinf(x), rows.less(x, 0));
/** True where the sign bit of `x` is set: below 0, and for -0. */
export function signbit(x: TensorLike): Tensor {
  const t = asTensor(x, "signbit");
  if (floatFormat(t.dtype) === undefined) return rows.less(t, 0);
  return rows.less(t.dtype === "float64" ? rows.bitcast(t, "int64") : rows.bitcast(rows.cast(t, "float32", false), "int32"), 0);
}
/** The magnitude of `a` with the sign of `b`. */
export function copysign(a: TensorLike, b: TensorLike): Tensor {
  const size = rows.abs(asFloat(together("copysign", a, b)[0]));
  return rows.select(signbit(b), rows.neg(size), size);
}

type Replacements = { readonly nan?: number; readonly posinf?: number; readonly neginf?: number };
/** `nan` (0) in the place of NaN, `posinf` and `neginf` (the greatest finite numbers of the dtype) in that of infinities. */
export function nanToNum(x: TensorLike, { nan = 0, posinf, neginf }: Replacements = {}): Tensor {
  const t = asTensor(x, "nanToNum");
  const format = floatFormat(t.dtype);
  if (format === undefined) return t;
  const finite = rows.select(isposinf(t), posinf ?? format.max, rows.select(isneginf(t), neginf ?? -format.max, t));
  return rows.select(rows.isnan(t), nan, finite);
}

/** True where one of both is; numbers are true where they are not 0. */
export const logicalXor = (a: TensorLike, b: TensorLike): Tensor => rows.notEqual(rows.notEqual(a, 0), rows.notEqual(b, 0));

/** `a` where `condition` is true, else `b`; the choice not taken gets a cotangent of 0 (which a function with an infinite derivative there makes NaN, as in JAX). @throws PaxError `value` without `a` and `b`. */
export function where(condition: TensorLike, a: TensorLike, b: TensorLike): Tensor {
  if (a === undefined || b === undefined) {
    throw opError("value", "where", "it needs both choices: the places of the true elements would have a shape that depends on values, and shapes are fixed when a function is traced");
  }
  return rows.select(condition, a, b);
}
