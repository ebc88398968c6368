/** The functions of np are methods of `Tensor`, save those of one list; the types follow from the functions. */
import { PaxError } from "../errors.js";
import type { DType, Shape, Tensor } from "../tensor.js";
import * as rows from "./generated/rows.js";
import { At, get, type IndexPart } from "./indexing.js";
import * as np from "./np.js";

/** What is no method, or a method of another form: functions that make tensors or take several, aliases, and what stands below. */
const others = [
  "arange", "array", "eye", "full", "fullLike", "geomspace", "identity", "linspace", "logspace", "meshgrid", "ones", "onesLike", "tri", "zeros", "zerosLike",
  "atleast1d", "atleast2d", "broadcastArrays", "broadcastShapes", "concatenate", "dstack", "einsum", "hstack", "newaxis", "slice", "stack", "vstack", "where",
  "absolute", "amax", "amin", "divide", "fix", "invert", "mod", "multiply", "negative", "power", "subtract", "trueDivide", "reshape", "transpose",
] as const satisfies readonly (keyof typeof np)[];

type Named = Pick<typeof np, Exclude<keyof typeof np, (typeof others)[number]>>;
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
  for (const [name, f] of Object.entries(np) as [string, (x: Tensor, ...rest: unknown[]) => unknown][]) {
    if (!(others as readonly string[]).includes(name)) define(name, function (...rest: unknown[]) { return f(this, ...rest); });
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
