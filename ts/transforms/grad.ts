/** Derivatives: the function runs once on a recording level, and the recording is walked. */
import { checked, collect, epoch, freeHandles, reserve, sameEpoch, scratch, use, verbs, writeHandles } from "../engine.js";
import { opError, PaxError, shown } from "../errors.js";
import { isFloatDType, Tensor } from "../tensor.js";
import { assertSameStructure, call, flattenTensors, inFrame, pathOf, promote, readInputs, unflattenTree, type Flat } from "./frame.js";
import { noteWritten } from "../module/index.js";
import { leaves } from "../tree/index.js";
import { trainableMask } from "../tree/flatten.js";
import { warnOfDropped } from "./dropped.js";
import { argumentNumbers, assertFunction } from "./given.js";
import type { Args, Argnums, Grads, Loose, TreeOfTensors, Grad } from "./types.js";

type AnyFn = (...args: never[]) => unknown;

interface Recorded {
  /** The recording's handle. */
  readonly tape: number;
  readonly out: Flat;
  readonly flats: readonly Flat[];
  /** Which leaves of each argument are active; null if none is. */
  readonly masks: readonly (readonly boolean[] | null)[];
  /** How many are. */
  readonly active: number;
}

const isFloat = (t: Tensor): boolean => isFloatDType(t.dtype);

/** Runs `fn` on a recording level. `differentiated(flat)` says how many leading results are. */
function record(name: string, fn: AnyFn, args: readonly unknown[], argnums: readonly number[], strict: boolean, split: (out: unknown) => [unknown, unknown]): Recorded & { readonly rest: Flat } {
  const flats = args.map((a) => flattenTensors(a));
  const masks = flats.map((f, i) => (argnums.includes(i) ? f.leaves.map((t, k) => {
    if (!isFloat(t) && strict) {
      const path = pathOf(f.structure, k);
      const cure = trainableMask(f.structure.node)[k] ? "cast it, make it a state, or leave the argument out of argnums" : "it is a state: differentiate with respect to `model.parameters()`, and call `model.update(params)` in the function";
      throw new PaxError("dtype", `${name}: leaf ${path || k} of argument ${i} is ${t.dtype}: only floats have gradients; ${cure}`, { path });
    }
    return isFloat(t);
  }) : null));
  const originals = flats.flatMap((f, i) => f.leaves.filter((_, k) => masks[i]?.[k]));
  writeHandles(originals);
  let inputs: Tensor[] = [];
  let tape = 0;
  let kept: ReadonlyMap<string, readonly Tensor[]> = new Map();
  const result = inFrame(name, false, () => { checked(verbs.beginDiff()); }, () => {
    inputs = readInputs(originals.length);
    let next = 0;
    const copies = flats.map((f, i) => unflattenTree(f.structure, f.leaves.map((t, k) => (masks[i]?.[k] ? inputs[next++]! : t))));
    const [value, aux] = split(call(name, fn, copies));
    const out = flattenTensors(value);
    const rest = flattenTensors(aux);
    const all = [...out.leaves, ...rest.leaves];
    kept = warnOfDropped(name, all);
    const at = writeHandles(all);
    scratch[at] = out.leaves.length;
    tape = checked(verbs.endDiff());
    return { out, rest };
  });
  // An unchanged input comes back as the caller's own tensor.
  const original = new Map(inputs.map((t, i) => [t, originals[i]!]));
  const give = (f: Flat): Flat => ({ structure: f.structure, leaves: f.leaves.map((t) => original.get(t) ?? t) });
  const [out, rest] = [give(result.out), give(result.rest)];
  // The level kept the inputs among its results; the caller's own tensors stand for them.
  const returned = new Set([...result.out.leaves, ...result.rest.leaves]);
  freeHandles(inputs.filter((t) => returned.has(t)).map((t) => t.id));
  promote([...out.leaves, ...rest.leaves]);
  // What came out may still be lost by the function around it.
  for (const [label, tensors] of kept) noteWritten(label, tensors);
  return { tape, out, rest, flats, masks, active: originals.length };
}

/** Gradients as trees of the arguments; leaves that are no floats give null. */
function rebuild({ flats, masks }: Recorded, grads: readonly Tensor[]): unknown[] {
  let next = 0;
  return flats.map(({ structure }, i) => masks[i] && unflattenTree(structure, masks[i].map((m) => (m ? grads[next++]! : null))));
}

function scalarLoss(name: string, out: Flat): void {
  const t = out.leaves[0];
  if (out.leaves.length !== 1 || t === undefined) throw new PaxError("value", `${name}: the function must return one tensor, the loss`);
  if (t.size !== 1 || t.ndim !== 0) throw new PaxError("shape", `${name}: the loss must be a scalar, it has shape ${shown(t.shape)}: sum or average it`);
  if (!isFloat(t)) throw new PaxError("dtype", `${name}: the loss must be a float, it is ${t.dtype}`);
}

function derive(name: string, fn: AnyFn, options: { readonly argnums?: number | readonly number[]; readonly hasAux?: boolean } = {}) {
  assertFunction(name, fn);
  const { argnums = 0 } = options;
  const numbers = [argnums].flat() as number[];
  return (args: readonly unknown[]): { value: Tensor; aux: unknown; grads: unknown; rest: readonly Tensor[] } => {
    const split = (out: unknown): [unknown, unknown] => {
      if (options.hasAux !== true) {
        if (Array.isArray(out)) throw new PaxError("value", `${name}: the function returned an array: return the loss alone, or [loss, aux] with { hasAux: true }`);
        return [out, null];
      }
      if (!Array.isArray(out) || out.length !== 2) throw new PaxError("value", `${name} with hasAux: the function must return [loss, aux]`);
      return [out[0], out[1]];
    };
    const given = argumentNumbers(name, "argnums", numbers, args.length);
    const recorded = record(name, fn, args, given, true, (out) => {
      const parts = split(out);
      scalarLoss(name, flattenTensors(parts[0]));
      return parts;
    });
    scratch[0] = 1;
    scratch[1] = -1;
    const grads = collect(recorded.active, (targets) => verbs.pull(recorded.tape, 1, ...targets));
    const trees = rebuild(recorded, grads);
    return { value: recorded.out.leaves[0]!, aux: unflattenTree(recorded.rest.structure, recorded.rest.leaves), grads: Array.isArray(argnums) ? given.map((i) => trees[i]) : trees[given[0]!], rest: recorded.rest.leaves };
  };
}

/**
 * The gradient of a scalar function in the arguments that `argnums` names (the first); negative numbers count from the end.
 * With `hasAux` the function returns `[loss, aux]`, and the result is `[grads, aux]`.
 * @throws PaxError `shape` for a loss that is no scalar, `dtype` for a leaf that is no float, `value` for a number that names no argument
 */
// The aux overload must come first: a fully annotated arrow keeps the return type of the first overload that looks at it.
export function grad<A extends Args = Tensor[], const Aux = unknown, const I extends number | readonly number[] = 0>(
  fn: (...args: A) => readonly [value: Tensor, aux: Aux],
  options: { readonly argnums?: I & Argnums<A>; readonly hasAux: true },
): (...args: Loose<A>) => [grads: Grads<A, I>, aux: Aux];
export function grad<A extends Args = Tensor[], const I extends number | readonly number[] = 0>(
  fn: (...args: A) => Tensor,
  options?: { readonly argnums?: I & Argnums<A>; readonly hasAux?: false },
): (...args: Loose<A>) => Grads<A, I>;
export function grad(fn: AnyFn, options: { readonly argnums?: number | readonly number[]; readonly hasAux?: boolean } = {}): (...args: never[]) => unknown {
  const run = derive("grad", fn, options);
  return (...args: never[]) => {
    const { value, grads, aux, rest } = run(args);
    // The loss is not handed out: it need not wait for the collector.
    if (value.tracked && !rest.includes(value) && !(leaves(args) as readonly unknown[]).includes(value)) value.dispose();
    return options.hasAux === true ? [grads, aux] : grads;
  };
}

/** As `grad`, and the loss too: `[loss, grads]`, or `[[loss, aux], grads]` with `hasAux`. */
export function valueAndGrad<A extends Args = Tensor[], const Aux = unknown, const I extends number | readonly number[] = 0>(
  fn: (...args: A) => readonly [value: Tensor, aux: Aux],
  options: { readonly argnums?: I & Argnums<A>; readonly hasAux: true },
): (...args: Loose<A>) => [value: [value: Tensor, aux: Aux], grads: Grads<A, I>];
export function valueAndGrad<A extends Args = Tensor[], const I extends number | readonly number[] = 0>(
  fn: (...args: A) => Tensor,
  options?: { readonly argnums?: I & Argnums<A>; readonly hasAux?: false },
): (...args: Loose<A>) => [value: Tensor, grads: Grads<A, I>];
export function valueAndGrad(fn: AnyFn, options: { readonly argnums?: number | readonly number[]; readonly hasAux?: boolean } = {}): (...args: never[]) => unknown {
  const run = derive("valueAndGrad", fn, options);
  return (...args: never[]) => {
    const { value, grads, aux } = run(args);
    return [options.hasAux === true ? [value, aux] : value, grads];
  };
}

/** A recording that the collector frees with its pull-back. */
class TapeRef { constructor(readonly id: number, readonly epoch: number) {} }

/** `fn(...primals)` and the pull-back, which maps a cotangent of the result to one of each primal and may be called many times. */
export function vjp<A extends Args = Tensor[], const R extends TreeOfTensors = TreeOfTensors>(
  fn: (...args: A) => R, ...primals: Loose<A>
): [value: R, pullback: (cotangent: R) => { -readonly [K in keyof A]: Grad<A[K]> }] {
  const recorded = record("vjp", fn as AnyFn, primals, [...primals.keys()], false, (out) => [out, null]);
  const ref = new TapeRef(recorded.tape, epoch);
  checked(verbs.track(recorded.tape, 256, ref));
  const structure = recorded.out.structure;
  const floats = recorded.out.leaves.map(isFloat);
  const pullback = (cotangent: R) => {
    sameEpoch(ref.epoch, "this pull-back");
    const ct = flattenTensors(cotangent);
    assertSameStructure("vjp", structure, ct.structure, ["in the result", "in the cotangent"]);
    reserve(1 + ct.leaves.length);
    scratch[0] = ct.leaves.length;
    ct.leaves.forEach((t, i) => { scratch[1 + i] = floats[i] ? use(t) : 0; });
    return rebuild(recorded, collect(recorded.active, (targets) => verbs.pull(ref.id, 0, ...targets)));
  };
  return [unflattenTree(structure, recorded.out.leaves) as R, pullback as never];
}

/**
 * `fn(...primals)` and its derivative along `tangents`, in forward mode.
 * @throws PaxError `value`, `tree`, `shape` or `dtype` if there is not a tangent like it for each primal
 */
export function jvp<A extends Args = Tensor[], const R extends TreeOfTensors = TreeOfTensors>(
  fn: (...args: A) => R, primals: Loose<A>, tangents: Loose<A>,
): [value: R, tangent: R] {
  const [values, along] = [primals, tangents] as readonly (readonly unknown[])[] as [readonly unknown[], readonly unknown[]];
  if (!Array.isArray(values) || !Array.isArray(along) || values.length !== along.length) throw opError("value", "jvp", `there are ${values?.length} primals and ${along?.length} tangents: give two arrays, with a tangent for each primal`);
  const recorded = record("jvp", fn as AnyFn, values, [...values.keys()], false, (out) => [out, null]);
  const handles: number[] = [];
  recorded.flats.forEach(({ structure }, i) => {
    const t = flattenTensors(along[i]);
    assertSameStructure("jvp", structure, t.structure, [`in primal ${i}`, "in its tangent"]);
    t.leaves.forEach((leaf, k) => { if (recorded.masks[i]![k]) handles.push(use(leaf)); });
  });
  reserve(1 + handles.length);
  scratch[0] = handles.length;
  handles.forEach((h, i) => { scratch[1 + i] = h; });
  const out = collect(recorded.out.leaves.length, (targets) => verbs.push(recorded.tape, ...targets));
  return [unflattenTree(recorded.out.structure, recorded.out.leaves) as R, unflattenTree(recorded.out.structure, out) as R];
}

