/** The functions of np that are methods of `Tensor`: installed from one list of names, their types follow from the functions. */
import { PaxError } from "../errors.js";
import type { DType, Shape, Tensor } from "../tensor.js";
import * as rows from "./generated/rows.js";
import { At, get, type IndexPart } from "./indexing.js";
import * as np from "./np.js";

const names = [
  "abs", "add", "sub", "mul", "div", "pow", "neg", "sign", "square", "sqrt", "rsqrt", "reciprocal", "cbrt", "hypot",
  "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp", "floorDivide", "remainder", "maximum", "minimum", "fmax", "fmin",
  "sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "sinc", "deg2rad", "rad2deg",
  "erf", "erfc", "erfinv", "floor", "ceil", "trunc", "round", "clip", "copysign", "signbit", "nanToNum", "isnan", "isfinite", "isinf", "isposinf", "isneginf",
  "equal", "notEqual", "less", "lessEqual", "greater", "greaterEqual", "logicalAnd", "logicalOr", "logicalXor", "logicalNot",
  "bitwiseAnd", "bitwiseOr", "bitwiseXor", "bitwiseNot", "leftShift", "rightShift", "isclose", "allclose", "arrayEqual",
  "sum", "prod", "max", "min", "mean", "var", "std", "median", "average", "ptp", "any", "all", "countNonzero", "logsumexp", "norm", "argmax", "argmin",
  "nansum", "nanmean", "nanmax", "nanmin", "cumsum", "cumprod", "cummax", "cummin", "diff", "sort", "argsort", "searchsorted",
  "ravel", "matrixTranspose", "moveaxis", "swapaxes", "squeeze", "expandDims", "broadcastTo", "flip", "fliplr", "flipud", "rot90",
  "split", "arraySplit", "unstack", "append", "repeat", "tile", "roll", "pad", "take", "takeAlongAxis", "diag", "diagonal", "trace", "tril", "triu",
  "matmul", "dot", "vdot", "inner", "outer", "tensordot", "kron", "cross",
] as const satisfies readonly (keyof typeof np)[];

type Named = Pick<typeof np, (typeof names)[number]>;
type Method<F> = F extends (x: Tensor, ...rest: infer A) => infer R ? (...rest: A) => R : never;
type FunctionMethods = { [K in keyof Named]: Method<Named[K]> };

/** What `Tensor` has beside its own members; its class merges with this. */
export interface TensorMethods extends FunctionMethods {
  /** The same values in another dtype. Floats to integers truncate and saturate (NaN gives 0), integers wrap. */
  astype(dtype: DType): Tensor;
  /** The same elements in row-major order under `shape`, in which one -1 stands for what is left. */
  reshape(shape: Shape): Tensor;
  reshape(...shape: number[]): Tensor;
  /** Axis i of the result is axis `axes[i]`; without `axes` they are back to front. */
  transpose(axes?: Shape | null): Tensor;
  transpose(...axes: number[]): Tensor;
  /** The axes back to front. */
  readonly T: Tensor;
  /** The last two axes exchanged. */
  readonly mT: Tensor;
  /** The elements at an index, NumPy's `x[…]`: `x.get(0)`, `x.get(np.slice(1, 3), -1)`, `x.get("...", null)`, `x.get([0, 2])`. */
  get(...index: readonly IndexPart[]): Tensor;
  /** The place of an index, to be written out of place: `x.at(0).set(1)`, `x.at(rows).add(y)`, as JAX's `x.at[…]`. */
  at(...index: readonly IndexPart[]): At;
  /** The slices along the first axis. @throws PaxError `shape` for a scalar. */
  [Symbol.iterator](): Generator<Tensor, void, undefined>;
}

function* slices(x: Tensor): Generator<Tensor, void, undefined> {
  if (x.ndim === 0) throw new PaxError("shape", "a scalar has no axis to iterate over");
  for (let i = 0; i < x.shape[0]!; i++) yield get(x, i);
}

export function installMethods(prototype: object): void {
  const define = (name: string | symbol, value: (this: Tensor, ...args: never[]) => unknown): void => {
    Object.defineProperty(prototype, name, { value, configurable: true, writable: true });
  };
  for (const name of names) {
    const f = np[name] as (x: Tensor, ...rest: unknown[]) => unknown;
    define(name, function (...rest: unknown[]) { return f(this, ...rest); });
  }
  define("astype", function (dtype: DType) { return rows.cast(this, dtype, false); });
  define("reshape", function (...shape: [Shape] | number[]) { return np.reshape(this, shape.flat() as number[]); });
  define("transpose", function (...axes: [Shape?] | number[]) { return np.transpose(this, typeof axes[0] === "number" ? axes as number[] : axes[0]); });
  define("get", function (...index: IndexPart[]) { return get(this, ...index); });
  define("at", function (...index: IndexPart[]) { return new At(this, index); });
  define(Symbol.iterator, function () { return slices(this); });
  Object.defineProperty(prototype, "T", { get(this: Tensor) { return np.transpose(this); }, configurable: true });
  Object.defineProperty(prototype, "mT", { get(this: Tensor) { return np.matrixTranspose(this); }, configurable: true });
}
