/** What a transformation is, and what the families share. */
import { PaxError } from "../errors.js";
import type { Module } from "../module/index.js";
import { inDType } from "../ops/dtypes.js";
import * as rows from "../ops/generated/rows.js";
import { wide } from "../ops/halves.js";
import { sum } from "../ops/reduce.js";
import { array, asTensor, isFloatDType, Tensor, type ArrayData, type DType, type TensorLike } from "../tensor.js";
import { compiled } from "../transforms/jit.js";
import { leaves, map, type TensorTree } from "../tree/index.js";

/** What an update may take beside the parameters, as `{ value: loss }`; each transformation reads the names it knows. */
export type ExtraArgs = { readonly [name: string]: unknown };
/** optax's pair. `S` is the transformation's state, any tree. */
export interface GradientTransformation<S = TensorTree> {
  init<P extends TensorTree>(params: P): S;
  update<P extends TensorTree>(updates: P, state: S, params?: P, extra?: ExtraArgs): readonly [updates: P, state: S];
}
/** A transformation whose state only it knows. */
export interface AnyTransformation {
  init<P extends TensorTree>(params: P): unknown;
  update<P extends TensorTree>(updates: P, state: never, params?: P, extra?: ExtraArgs): readonly [updates: P, state: unknown];
}
/** The state of a transformation. */
export type StateOf<T extends AnyTransformation> = ReturnType<T["init"]>;
/** The state of a transformation without any. */
export type EmptyState = readonly [];
/** The value at a count of steps, which begins at 0. */
export type Schedule = (count: TensorLike) => Tensor;
/** A schedule as users write it. */
export type AnySchedule = (count: Tensor) => TensorLike;
/** A number, a scalar tensor or a schedule. */
export type ScalarOrSchedule = TensorLike | AnySchedule;
/**
 * Booleans at the places of the parameters' leaves, one for all that is below it, or a function of the parameters that gives them:
 * `(params) => pax.tree.map((p) => p.ndim > 1, params)`. Where they are no module, annotate their type.
 */
export type MaskOrFn = boolean | object | ((params: Module) => boolean | object);

/** Whether it is a function of the count. */
export const isSchedule = (x: unknown): x is AnySchedule => typeof x === "function";
/** The value of what may be a schedule. */
export const at = (x: ScalarOrSchedule, count: Tensor): TensorLike => (isSchedule(x) ? x(count) : x);
/** Numbers and typed arrays are leaves, too. */
const leaf = (x: unknown): Tensor => (x instanceof Tensor ? x : array(x as ArrayData));
/** `f` of the leaves at the same place, as tensors; the result has the first tree's type. */
export const each = <P>(f: (x: Tensor, ...rest: Tensor[]) => unknown, tree: P, ...rest: unknown[]): P =>
  map((...all: unknown[]) => f(...(all.map((x) => leaf(x)) as [Tensor])) as never, tree as never, ...(rest as never[])) as P;

/** The sum of one tensor's squares; half floats in float32. */
export const sumOfSquares = (x: Tensor): Tensor => sum(rows.square(wide(x)));
/** The leaves of any tree, as tensors. */
export const tensors = (tree: unknown): Tensor[] => (leaves(tree) as unknown[]).map((x) => leaf(x));
/** The dtype in which scalars for leaves of a dtype are computed. */
export const real = (dtype: DType): DType => (dtype === "float64" ? dtype : "float32");
/** The dtype in which scalars for all leaves are computed. */
export const realOf = (tree: unknown): DType => (tensors(tree).some((x) => x.dtype === "float64") ? "float64" : "float32");
/** A scalar for a leaf: in its dtype, if that is one of floats. */
export const like = (x: TensorLike, { dtype }: Tensor): TensorLike => {
  if (!isFloatDType(dtype)) return asTensor(x);
  return typeof x === "number" ? x : inDType(x, dtype);
};
/** A leaf times a scalar, in the leaf's dtype. */
export const times = (leaf: Tensor, x: TensorLike): Tensor => rows.mul(leaf, like(x, leaf));
/** A leaf plus a scalar, in the leaf's dtype. */
export const offset = (leaf: Tensor, x: TensorLike): Tensor => rows.add(leaf, like(x, leaf));
/** `f` of numbers, in float64; `g` where one is a tensor. */
export const known = <A extends readonly TensorLike[]>(f: (...x: { readonly [K in keyof A]: number }) => number, g: (...x: A) => Tensor) => (...x: A): TensorLike =>
  (x.every((v) => typeof v === "number") ? f(...(x as never)) : g(...x));
/** `a - b`. */
export const minus = /* @__PURE__ */ known((a, b) => a - b, rows.sub);
/** `1 - x`. */
export const oneMinus = (x: TensorLike): TensorLike => minus(1, x);
/** `-x`. */
export const negative = /* @__PURE__ */ known((x) => -x, rows.neg);
/** `a + b`. */
export const plus = /* @__PURE__ */ known((a, b) => a + b, rows.add);
/** `a / b`. */
export const quotient = /* @__PURE__ */ known((a, b) => a / b, rows.div);

/** A counter of steps at 0: int32. */
export const counter = (): Tensor => rows.full([], "int32", 0);
/** A counter plus 1; it stays at the greatest number of its dtype, as the sum wraps there. */
export const safeIncrement = (count: Tensor): Tensor => rows.maximum(count, rows.add(count, 1));
/** `1 - decay ** count`: what an average that began at 0 is divided by. */
export const biasCorrectionFactor = (decay: TensorLike, count: Tensor, dtype: DType): Tensor =>
  rows.sub(1, rows.pow(decay, rows.cast(count, real(dtype), false)));

/** The parameters. @throws PaxError `value` if `update` was called without them. */
export function needParams<P>(op: string, params: P | undefined): P {
  if (params === undefined) {
    throw new PaxError("value", `${op} needs the parameters: call update(updates, state, params)`, { op });
  }
  return params;
}
/** A number or tensor among the extra arguments. @throws PaxError `value` if it is not there. */
export function needExtra(op: string, extra: ExtraArgs | undefined, name: string): TensorLike {
  const found = extra?.[name];
  if (typeof found === "number" || found instanceof Tensor) return found;
  throw new PaxError("value", `${op} needs \`${name}\`: call update(updates, state, params, { ${name} }) or step(grads, model, { ${name} })`, { op });
}

/** The transformation with an update that is compiled, so that outside of `jit`, too, it is one sweep over the leaves. It calls no function of users. */
export function swept<S>({ init, update }: GradientTransformation<S>): GradientTransformation<S> {
  const sweep = compiled(<P extends TensorTree>(updates: P, state: S) => update(updates, state));
  return { init, update: (updates, state) => sweep(updates, state) };
}

/** A transformation without state from a function of updates and parameters. */
export const stateless = (f: <P extends TensorTree>(updates: P, params: P | undefined) => P): GradientTransformation<EmptyState> =>
  ({ init: () => [], update: (updates, state, params) => [f(updates, params), state] });
/** As `stateless`, for each leaf; the parameter is `null` where `update` has none. */
export const statelessWithTreeMap = (f: (update: Tensor, param: Tensor | null) => Tensor): GradientTransformation<EmptyState> =>
  stateless((updates, params) => (params === undefined ? each((g) => f(g, null), updates) : each((g, p) => f(g, p!), updates, params)));
/** As `statelessWithTreeMap`, where the parameters must be given. */
export const withParams = (op: string, f: (update: Tensor, param: Tensor) => Tensor): GradientTransformation<EmptyState> =>
  stateless((updates, params) => each((g, p) => f(g, p!), updates, needParams(op, params)));
/** The updates as they are. */
export const identity = (): GradientTransformation<EmptyState> => stateless((updates) => updates);
/** Zeros: the parameters stay. */
export const setToZero = (): GradientTransformation<EmptyState> => stateless((updates) => each((g) => rows.full(g.shape, g.dtype, 0), updates));
