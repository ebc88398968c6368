/** Arithmetic of trees, as `optax.tree`, and values of optimizer states by name. */
import { opError } from "../errors.js";
import { full } from "../ops/create.js";
import { clip as clamp } from "../ops/elementwise.js";
import * as rows from "../ops/generated/rows.js";
import { castTo, wide } from "../ops/halves.js";
import * as reduce from "../ops/reduce.js";
import * as random from "../random.js";
import { asTensor, isFloatDType, Tensor, type DType, type Shape, type TensorLike } from "../tensor.js";
import { formatPath, MapKey, type Step } from "../tree/path.js";
import { isPlainObject } from "../tree/statics.js";
import { biasCorrectionFactor, each, like, offset, oneMinus, real, realOf, sumOfSquares, tensors, times } from "./transform.js";

const total = (parts: readonly Tensor[]): Tensor => (parts.length === 0 ? rows.full([], "float32", 0) : parts.reduce(rows.add));

/** The sum of trees, leaf by leaf. */
export const add = <P>(a: P, ...rest: unknown[]): P => each((x, ...more) => more.reduce(rows.add, x), a, ...rest);
/** `a - b`, leaf by leaf. */
export const sub = <P>(a: P, b: unknown): P => each(rows.sub, a, b);
/** `a * b`, leaf by leaf. */
export const mul = <P>(a: P, b: unknown): P => each(rows.mul, a, b);
/** `a / b`, leaf by leaf. */
export const div = <P>(a: P, b: unknown): P => each(rows.div, a, b);
/** Every leaf times a scalar. */
export const scale = <P>(factor: TensorLike, tree: P): P => each((x) => times(x, factor), tree);
/** `a + factor * b`. */
export const addScale = <P>(a: P, factor: TensorLike, b: unknown): P => each((x, y) => rows.add(x, times(y!, factor)), a, b);
/** The sum of the products of all elements. */
export const vdot = (a: unknown, b: unknown): Tensor => total(tensors(each((x, y) => reduce.sum(rows.mul(wide(x), wide(y!))), a, b)));
/** The sum of all elements. */
export const sum = (tree: unknown): Tensor => total(tensors(tree).map((x) => reduce.sum(x)));
const extreme = (tree: unknown, of: (x: Tensor) => Tensor, join: (a: TensorLike, b: TensorLike) => Tensor, start: number): Tensor =>
  tensors(tree).filter((x) => x.size > 0).map((x) => of(x)).reduce(join, asTensor(start));
/** The greatest of all elements; minus infinity if there are none. */
export const max = (tree: unknown): Tensor => extreme(tree, reduce.max, rows.maximum, -Infinity);
/** The least of all elements; infinity if there are none. */
export const min = (tree: unknown): Tensor => extreme(tree, reduce.min, rows.minimum, Infinity);
/** The number of elements. */
export const size = (tree: unknown): number => tensors(tree).reduce((n, x) => n + x.size, 0);
/**
 * The norm of all elements together: `ord` 1, 2 or Infinity, `squared` for its square. Half floats are summed in float32.
 * @throws PaxError `value` for another `ord`
 */
export function norm(tree: unknown, { ord = 2, squared = false }: { readonly ord?: number; readonly squared?: boolean } = {}): Tensor {
  if (ord === 2) {
    const squares = total(tensors(tree).map(sumOfSquares));
    return squared ? squares : rows.sqrt(squares);
  }
  if (ord !== 1 && ord !== Infinity) throw opError("value", "norm", `ord is 1, 2 or Infinity, not ${ord}`);
  const sizes = tensors(tree).map((x) => rows.abs(wide(x)));
  const value = ord === 1 ? sum(sizes) : max(sizes);
  return squared ? rows.square(value) : value;
}
/** As `norm(tree)`: optax's older name. */
export const globalNorm = (updates: unknown): Tensor => norm(updates);

/** `value` in the leaves' shapes, and their dtypes unless one is given. */
export const fullLike = <P>(tree: P, value: TensorLike, { dtype }: { readonly dtype?: DType } = {}): P => each((x) => full(x.shape, value, { dtype: dtype ?? x.dtype }), tree);
/** Zeros in the leaves' shapes, and their dtypes unless one is given. */
export const zerosLike = <P>(tree: P, options: { readonly dtype?: DType } = {}): P => each((x) => rows.full(x.shape, options.dtype ?? x.dtype, 0), tree);
/** Ones in the leaves' shapes, and their dtypes unless one is given. */
export const onesLike = <P>(tree: P, options: { readonly dtype?: DType } = {}): P => each((x) => rows.full(x.shape, options.dtype ?? x.dtype, 1), tree);
/** The widest or the narrowest float dtype of the leaves; float16 and bfloat16 together are float32 at the widest. */
export function dtype(tree: unknown, which: "highest" | "lowest" = "highest"): DType {
  const found = new Set(tensors(tree).map((x) => x.dtype).filter(isFloatDType));
  const half = [...found].find((d) => real(d) !== d);
  if (half !== undefined && (which === "lowest" || found.size === 1)) return half;
  return found.has("float64") && (which === "highest" || found.size === 1) ? "float64" : "float32";
}
/** The leaves in another dtype. */
export const cast = <P>(tree: P, dtype: DType): P => each((x) => castTo(x, dtype), tree);
/** The leaves in the dtypes of `targets`' leaves. */
export const castLike = <P>(tree: P, targets: unknown): P => each((x, y) => castTo(x, y!.dtype), tree, targets);
/** Every element between `low` and `high`, of which null is no bound; NaN stays NaN. */
export const clip = <P>(tree: P, low: TensorLike | null = null, high: TensorLike | null = null): P =>
  each((x) => clamp(x, low === null ? null : like(low, x), high === null ? null : like(high, x)), tree);
/** The leaves of `a` where the scalar `condition` is true, else those of `b`. */
export const where = <P>(condition: TensorLike, a: P, b: P): P => each((x, y) => (x === y ? x : rows.select(condition, x, y!)), a, b);

/** `(1 - decay) * updates ** order + decay * moments`. */
export function updateMoment<P>(updates: P, moments: unknown, decay: TensorLike, order: number): P {
  const take = oneMinus(decay);
  return each((g, m) => rows.add(times(order === 1 ? g : order === 2 ? rows.square(g) : rows.pow(g, order), take), times(m!, decay)), updates, moments);
}
/** `max(|updates| + eps, decay * moments)`. */
export const updateInfinityMoment = <P>(updates: P, moments: unknown, decay: TensorLike, eps: TensorLike): P =>
  each((g, m) => rows.maximum(offset(rows.abs(g), eps), times(m!, decay)), updates, moments);
/** `moment / (1 - decay ** count)` (Kingma and Ba 2014). */
export function biasCorrection<P>(moment: P, decay: TensorLike, count: Tensor): P {
  const factor = biasCorrectionFactor(decay, count, realOf(moment));
  return each((m) => rows.div(m, like(factor, m)), moment);
}
type Sampler = (key: Tensor, shape: Shape, options: { readonly dtype: DType }) => Tensor;
/** Random tensors of the leaves' shapes and dtypes, each from a key of its own. */
export function randomLike<P>(key: Tensor, tree: P, sampler: Sampler = random.normal): P {
  let keys: Tensor[] | undefined;
  let at = 0;
  return each((x) => sampler((keys ??= random.split(key, tensors(tree).length))[at++]!, x.shape, { dtype: x.dtype }), tree);
}

/** The tree's containers anew, with what `visit` gives in the places of their values; where that is undefined, what is below is visited. */
function walk(tree: unknown, visit: (steps: readonly Step[], value: unknown) => unknown, steps: readonly Step[] = []): unknown {
  const at = (step: Step, value: unknown): unknown => {
    const found = visit([...steps, step], value);
    return found === undefined ? walk(value, visit, [...steps, step]) : found;
  };
  if (Array.isArray(tree)) return tree.map((value, i) => at(i, value));
  if (tree instanceof Map) return new Map([...tree].map(([k, value]: [unknown, unknown]) => [k, at(typeof k === "string" ? k : new MapKey(k), value)]));
  if (typeof tree !== "object" || tree === null || !isPlainObject(tree)) return tree;
  return Object.fromEntries(Object.keys(tree).map((k) => [k, at(k, tree[k])]));
}
type Found = readonly [path: string, value: unknown];
/** Every value that an optimizer's state holds under a name, with its path. Modules in the state, as the moments of a network, are not searched. */
export function getAllWithPath(state: unknown, key: string): Found[] {
  const out: Found[] = [];
  walk(state, (steps, value) => { if (steps.at(-1) === key) out.push([formatPath(steps), value]); });
  return out;
}
/** What stands under a name; tensors win over containers of the same name. */
function named(state: unknown, key: string): Found[] {
  const found = getAllWithPath(state, key);
  const leaves = found.filter(([, value]) => value instanceof Tensor);
  return leaves.length > 0 ? leaves : found;
}
/**
 * The value that an optimizer's state holds under a name, wherever it is: `get(optimizer.state, "learningRate")`.
 * @throws PaxError `value` if there are several, or none and no `otherwise`
 */
export function get<T = Tensor>(state: unknown, key: string, otherwise?: T): T {
  const found = named(state, key);
  if (found.length === 1) return found[0]![1] as T;
  if (found.length === 0 && otherwise !== undefined) return otherwise;
  const [what, cure] = found.length === 0 ? ["nothing", "give a default"] : [`${found.length} values (${found.map(([path]) => path).join(", ")})`, "take one of getAllWithPath"];
  throw opError("value", "get", `the state has ${what} of the name \`${key}\`: ${cure}`, { path: key });
}
/**
 * The state with other values under some names, wherever they are: `set(optimizer.state, { learningRate: 1e-4 })`. A number takes the dtype of what was there.
 * @throws PaxError `value` if a name is nowhere
 */
export function set<S>(state: S, values: { readonly [key: string]: unknown }): S {
  const places = new Map<string, unknown>();
  for (const key of Object.keys(values)) {
    const found = named(state, key);
    if (found.length === 0) throw opError("value", "set", `the state has nothing of the name \`${key}\``, { path: key });
    for (const [path, old] of found) places.set(path, typeof values[key] === "number" && old instanceof Tensor ? rows.full(old.shape, old.dtype, values[key]) : values[key]);
  }
  return walk(state, (steps) => places.get(formatPath(steps))) as S;
}
