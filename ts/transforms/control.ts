/** Control flow as rows that own programs: the functions are recorded when they are called. */
import { opError, shown } from "../errors.js";
import * as rows from "../ops/generated/rows.js";
import type { Module } from "../module/index.js";
import { asTensor, type Scalar, type Tensor, type TensorLike, type TypedArray } from "../tensor.js";
import { quotePath } from "../tree/path.js";
import type { TensorTree, Traced } from "../tree/types.js";
import { firstDifference, differenceError } from "../tree/structure.js";
import { flattenTensors, pathOf, unflattenTree, type Flat, type Spec } from "./frame.js";
import { sameSpec } from "./retrace.js";
import { rebuilder, specOf, subProgram, type AnyFn, type Part, type SubProgram } from "./trace.js";
import type { Args, Loose, TreeOfTensors } from "./types.js";

const show = (s: Spec): string => `${s.dtype}${shown(s.shape)}${s.weak ? " (weak: a JavaScript number)" : ""}`;

/** Demands that a step leaves structure, shapes, dtypes and weakness as they were. */
function assertCarry(op: string, before: Flat, after: Part): void {
  const found = firstDifference(before.structure.node, after.structure.node);
  if (found !== null) throw differenceError(op, found, ["in the carry", "after a step"]);
  before.leaves.forEach((t, i) => {
    if (sameSpec(t, after.specs[i]!)) return;
    const path = pathOf(before.structure, i);
    const cure = t.weak && !after.specs[i]!.weak ? ": begin with np.array(…)" : "; cast it, or begin with what a step gives";
    throw opError(t.dtype === after.specs[i]!.dtype ? "shape" : "dtype", op, `the carry${path === "" ? "" : ` at ${quotePath(path)}`} is ${show(specOf(t))}, and ${show(after.specs[i]!)} after a step${cure}`, { path });
  });
}

/** The common size of the leading axes. */
function lengthOf(xs: Flat, given: number | undefined): number {
  let length = given;
  xs.leaves.forEach((t, i) => {
    const path = quotePath(pathOf(xs.structure, i) || "xs");
    if (t.ndim === 0) throw opError("shape", "scan", `${path} is a scalar, it has no axis to scan over`);
    length ??= t.shape[0]!;
    if (t.shape[0] !== length) throw opError("shape", "scan", `${path} of shape ${shown(t.shape)} has ${t.shape[0]} slices, but the length is ${length}`);
  });
  if (length === undefined || !Number.isInteger(length) || length < 0) throw opError("value", "scan", `without xs it needs { length }, a number of steps${length === undefined ? "" : `, not ${length}`}`);
  return length;
}

/** What a step sees of a carry or of xs: scalars are tensors, and no array is readonly. Both types stop at `TensorTree`, whose type is recursive. */
type Carried<C> = [TensorTree] extends [C] ? C : C extends Tensor | Scalar | TypedArray | Module | ReadonlyMap<unknown, unknown> | null | undefined ? Traced<C> : { -readonly [K in keyof C]: Carried<C[K]> };
/** What it gives back: the same; arrays may be readonly, and of any length where their elements are of one type. */
type After<T> =
  [TensorTree] extends [T] ? T
  : T extends Tensor | Module | ReadonlyMap<unknown, unknown> | null ? T
  : T extends readonly unknown[] ? ([T[number]] extends [T[0]] ? readonly After<T[number]>[] : { readonly [K in keyof T]: After<T[K]> })
  : { readonly [K in keyof T]: After<T[K]> };
/** The step may declare less of a carry than there is. */
type Fits<C, P> = [Carried<C>] extends [P] ? unknown : P;

/**
 * Carries a value along the leading axis of `xs`: `step(carry, x)` gives `[carry, y]`; the result is the last carry and the stacked `y`s, as `jax.lax.scan`.
 * `xs` may be any tree, or null with `{ length }`; with `reverse` it begins at the end. The step is recorded once.
 * @throws PaxError `tree`, `shape` or `dtype`, with the path, if a step changes the carry's structure, shapes, dtypes or weakness
 */
export function scan<const C, const X, const Y, P = Carried<C>, const N extends After<P> = After<P>>(
  step: (carry: P, x: NoInfer<Carried<X>>) => readonly [carry: N, y: Y],
  carry: C & Fits<C, NoInfer<P>>, xs: X, options: { readonly length?: number; readonly reverse?: boolean } = {},
): [carry: Carried<C>, ys: Y] {
  const [init, scanned] = [flattenTensors(carry), flattenTensors(xs)];
  const length = lengthOf(scanned, options.length);
  const slices = scanned.leaves.map((t) => ({ ...specOf(t), shape: t.shape.slice(1) }));
  const program = subProgram("scan", step as AnyFn, [...init.leaves.map(specOf), ...slices], rebuilder([init, scanned]));
  const [after, ys] = program.pair("scan: the step must return [carry, y]; y may be null");
  assertCarry("scan", init, after);
  const out = rows.scan([...init.leaves, ...scanned.leaves], program, init.leaves.length, scanned.leaves.length, length, options.reverse ?? false);
  return [unflattenTree(after.structure, out.slice(0, init.leaves.length)), unflattenTree(ys.structure, out.slice(init.leaves.length))] as [Carried<C>, Y];
}

/** True where it holds, as a bool scalar. */
function condition(op: string, value: TensorLike): Tensor {
  const t = asTensor(value);
  if (t.ndim !== 0) throw opError("shape", op, `the condition must be a scalar, it has shape ${shown(t.shape)}: use all() or any()`);
  return t.dtype === "bool" ? t : rows.notEqual(t, 0);
}

/**
 * The result of `whenTrue(...operands)` where the condition holds, else of `whenFalse(...operands)`, as `jax.lax.cond`. Both are recorded, one runs.
 * @throws PaxError `tree`, `shape` or `dtype`, with the path, if the two give different results
 */
export function cond<A extends Args, const R extends TreeOfTensors>(
  predicate: TensorLike, whenTrue: (...args: A) => R, whenFalse: (...args: A) => NoInfer<After<R>>, ...operands: Loose<A>
): R {
  const test = condition("cond", predicate);
  const flats = (operands as readonly unknown[]).map((a) => flattenTensors(a));
  const leaves = flats.flatMap((f) => f.leaves);
  const [then, otherwise] = [whenTrue, whenFalse].map((f) => subProgram("cond", f as AnyFn, leaves.map(specOf), rebuilder(flats))) as [SubProgram, SubProgram];
  const found = firstDifference(then.structure.node, otherwise.structure.node);
  if (found !== null) throw differenceError("cond", found, ["in the result of the first function", "in that of the second"]);
  then.specs.forEach((a, i) => {
    const [b, path] = [otherwise.specs[i]!, pathOf(then.structure, i)];
    if (!sameSpec({ ...a, weak: b.weak }, b)) throw opError(a.dtype === b.dtype ? "shape" : "dtype", "cond", `the functions give ${show(a)} and ${show(b)}${path === "" ? "" : ` at ${quotePath(path)}`}: both must give the same`, { path });
  });
  return unflattenTree(then.structure, rows.cond(test, leaves, then, otherwise)) as R;
}

/**
 * Repeats `body(carry)` as long as `test(carry)` gives true, as `jax.lax.while_loop`. It has no reverse-mode derivative: use `scan` for that.
 * @throws PaxError `tree`, `shape` or `dtype`, with the path, if the body changes the carry's structure, shapes, dtypes or weakness
 */
export function whileLoop<const C, P = Carried<C>, const N extends After<P> = After<P>>(test: (carry: NoInfer<P>) => TensorLike, body: (carry: P) => N, carry: C & Fits<C, NoInfer<P>>): Carried<C> {
  const init = flattenTensors(carry);
  const specs = init.leaves.map(specOf);
  const tested = subProgram("whileLoop", ((c: P) => condition("whileLoop", test(c))) as AnyFn, specs, rebuilder([init]));
  const program = subProgram("whileLoop", body as AnyFn, specs, rebuilder([init]));
  assertCarry("whileLoop", init, program);
  return unflattenTree(init.structure, rows.whileLoop(init.leaves, tested, program)) as Carried<C>;
}

/**
 * `carry = body(i, carry)` for i from `lower` up to, but not including, `upper`, as `jax.lax.fori_loop`; i is int32.
 * Bounds that are numbers make it a `scan`, which has derivatives; bounds that are tensors a `whileLoop`.
 * @throws PaxError `value` for a bound that is no whole number, and as `scan`
 */
export function foriLoop<const C, P = Carried<C>, const N extends After<P> = After<P>>(lower: TensorLike, upper: TensorLike, body: (i: Tensor, carry: P) => N, carry: C & Fits<C, NoInfer<P>>): Carried<C> {
  for (const bound of [lower, upper]) if (typeof bound === "number" && !Number.isInteger(bound)) throw opError("value", "foriLoop", `its bounds are whole numbers, not ${bound}: round it`);
  if (typeof lower === "number" && typeof upper === "number") {
    const length = Math.max(0, upper - lower);
    return scan(((c: P, i: Tensor) => [body(i, c), null]) as never, carry, rows.add(rows.iota([length], "int32", 0), lower))[0] as Carried<C>;
  }
  interface Counted { readonly i: Tensor; readonly carry: P }
  const end = rows.cast(asTensor(upper), "int32", false);
  const done = whileLoop(
    (({ i }: Counted) => rows.less(i, end)) as never, (({ i, carry }: Counted) => ({ i: rows.add(i, 1), carry: body(i, carry) })) as never,
    { i: rows.cast(asTensor(lower), "int32", false), carry },
  );
  return (done as unknown as Counted).carry as unknown as Carried<C>;
}
