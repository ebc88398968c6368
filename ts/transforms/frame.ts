/** Running a user's function inside a level: copies in, results out, and a clean stack whatever it throws. */
import { adopt, describe, dtypeNumber, frame, frameDepth, reserve, scratch, setFrame, verbs, type Frame } from "../engine.js";
import { PaxError } from "../errors.js";
import { enterFrame, leaveFrame } from "../module/frame.js";
import { array, asTensor, Tensor, type DType, type Scalar, type Shape, type TypedArray } from "../tensor.js";
import { pathsOf } from "../tree/flatten.js";
import { flatten, unflatten, type Structure } from "../tree/index.js";
import { differenceError, firstDifference } from "../tree/structure.js";
import { assertFunction } from "./given.js";

export type AnyStructure = Structure<unknown>;

/** A flattened argument list: leaves as tensors, one structure for all. */
export interface Flat { readonly leaves: Tensor[]; readonly structure: AnyStructure }

/** A leaf of a tree as a tensor. */
export const leafTensor = (x: unknown): Tensor => (x instanceof Tensor ? x : ArrayBuffer.isView(x) ? array(x as TypedArray) : asTensor(x as Scalar));

export function flattenTensors(tree: unknown): Flat {
  const [leaves, structure] = flatten<unknown>(tree);
  return { leaves: leaves.map(leafTensor), structure };
}

/** The path of a leaf. */
export const pathOf = (structure: AnyStructure, leaf: number): string => pathsOf(structure.node)[leaf] ?? "";

/** The tree of a structure with these leaves; null takes a leaf away. */
export const unflattenTree = (structure: AnyStructure, leaves: readonly (Tensor | null)[]): unknown => unflatten(structure, leaves as never);

export function assertSameStructure(op: string, a: AnyStructure, b: AnyStructure, sides: readonly [string, string]): void {
  const found = firstDifference(a.node, b.node);
  if (found !== null) throw differenceError(op, found, sides);
}

export interface Spec { readonly shape: Shape; readonly dtype: DType; readonly weak: boolean }

/** Opens a level, runs `body` and closes it; a throw leaves depth and live tensors as they were. */
export function inFrame<R>(name: string, abstract: boolean, begin: () => void, body: (here: Frame) => R, axis: string | null = null): R {
  const depth = frameDepth();
  begin();
  const foreign = frame?.foreign ?? (abstract ? new Set<Tensor>() : null);
  const here: Frame = { name, abstract: abstract || (frame !== null && frame.abstract), parent: frame, axis, foreign, ended: false };
  const parent = frame;
  setFrame(here);
  enterFrame(name, abstract);
  try {
    return body(here);
  } catch (e) {
    verbs.cancel(depth);
    throw e;
  } finally {
    leaveFrame();
    here.ended = true;
    setFrame(parent);
  }
}

/** Reads the descriptions of a level's inputs. They belong to the frame, which frees them. */
export function readInputs(count: number): Tensor[] {
  const out: Tensor[] = [];
  for (let i = 0, at = 0; i < count; i++) {
    const t = new Tensor();
    t.tracked = false;
    at = describe(t, at);
    out.push(t);
  }
  return out;
}

export function writeSpecs(specs: readonly Spec[]): void {
  reserve(1 + specs.reduce((n, s) => n + 5 + s.shape.length, 0));
  scratch[0] = specs.length;
  let at = 1;
  for (const s of specs) {
    scratch[at++] = dtypeNumber(s.dtype);
    scratch[at++] = s.weak ? 1 : 0;
    scratch[at++] = s.shape.length;
    for (const n of s.shape) scratch[at++] = n;
  }
}

/** Calls a user's function. */
export function call(name: string, fn: unknown, args: readonly unknown[]): unknown {
  assertFunction(name, fn);
  const out: unknown = fn(...args);
  if (typeof out === "object" && out !== null && typeof (out as { then?: unknown }).then === "function") {
    throw new PaxError("trace", `the function given to \`${name}\` returned a Promise: make it synchronous (load data before, and pass it as an argument)`);
  }
  return out;
}

/** Hands the results of a level to the frame around it. */
export function promote(results: readonly Tensor[]): void {
  for (const t of results) {
    if (t.frame !== frame && t.frame?.ended === true) t.frame = frame;
    adopt(t);
  }
}

