import { buildNode, flattenNode, pathsOf, trainableMask } from "../tree/flatten.js";

let running = false;
/** True while `hkInit` runs a module on dummy data. */
export const inDummyRun = (): boolean => running;

/** Runs `body` on `copy`, a copy of `original`: what it creates stays, but a state that was there before keeps its value. */
export function dummyRun<M extends object>(original: M, copy: M, body: () => void): M {
  const outer = running;
  running = true;
  try {
    body();
  } finally {
    running = outer;
  }
  const [before, after]: [unknown[], unknown[]] = [[], []];
  const [old, node] = [flattenNode(original, before), flattenNode(copy, after)];
  const states = new Map<string, unknown>();
  const [oldMask, mask] = [trainableMask(old), trainableMask(node)];
  pathsOf(old).forEach((path, i) => { if (!oldMask[i]) states.set(path, before[i]); });
  const leaves = pathsOf(node).map((path, i) => (!mask[i] && states.has(path) ? states.get(path) : after[i]));
  return buildNode(node, { leaves, next: 0 }) as M;
}
