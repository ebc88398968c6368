/** Why a jitted function is traced again, in words. */
import { opError, PaxError, shown } from "../errors.js";
import { pathsOf, type Node } from "../tree/flatten.js";
import { quotePath } from "../tree/path.js";
import { showStatic, staticsEqual } from "../tree/statics.js";
import { firstDifference, staticCure } from "../tree/structure.js";
import type { Spec } from "./frame.js";

/** What a program is kept under: the structure of each argument, static ones as they are, and what is known of each leaf. */
export interface Key {
  /** Null for a static argument. */
  readonly nodes: readonly (Node | null)[];
  readonly statics: readonly unknown[];
  readonly specs: readonly Spec[];
}

/** The argument of a leaf, and its path there. */
export function placeOf({ nodes }: Pick<Key, "nodes">, leaf: number): { readonly argument: number; readonly path: string } {
  let left = leaf;
  for (const [argument, node] of nodes.entries()) {
    const paths = node === null ? [] : pathsOf(node);
    if (left < paths.length) return { argument, path: paths[left]! };
    left -= paths.length;
  }
  throw new PaxError("internal", `no argument has leaf ${leaf}`);
}

export const sameSpec = (a: Spec, b: Spec): boolean => {
  const [x, y] = [a.shape, b.shape];
  if (a.dtype !== b.dtype || a.weak !== b.weak || x.length !== y.length) return false;
  for (let d = 0; d < x.length; d++) if (x[d] !== y[d]) return false;
  return true;
};

const showSpec = ({ shape, dtype, weak }: Spec): string => `${weak ? "weak " : ""}${dtype}${shown(shape)}`;
const at = (argument: number, path: string): string => (path === "" ? `argument ${argument}` : `${quotePath(path)} of argument ${argument}`);

/** The first difference of two calls, in the order of their arguments; null if their programs have one key. */
export function difference(before: Key, now: Key): string | null {
  const [m, n] = [before.nodes.length, now.nodes.length];
  const changes = (what: string, x: string, y: string, cure = ""): string => `${what} changes between calls (${x}, then ${y})${cure && `; ${cure}`}`;
  if (m !== n) return changes("the number of arguments", String(m), String(n));
  for (let i = 0; i < n; i++) {
    const [a, b] = [before.nodes[i]!, now.nodes[i]!];
    if (a === null || b === null) {
      const [x, y] = [before.statics[i], now.statics[i]];
      const [was, is] = [showStatic(x), showStatic(y)];
      if (!staticsEqual(x, y)) return changes(`static argument ${i}`, was, was === is ? `another, ${is}` : is, "make it a tensor if its value is not needed while tracing");
      continue;
    }
    const found = firstDifference(a, b);
    if (found === null) continue;
    return changes(at(i, found.path), found.left, found.right, staticCure(found));
  }
  const leaf = now.specs.findIndex((spec, i) => !sameSpec(before.specs[i]!, spec));
  if (leaf < 0) return null;
  const { argument, path } = placeOf(now, leaf);
  return changes(at(argument, path), showSpec(before.specs[leaf]!), showSpec(now.specs[leaf]!));
}

/** Traces of one function after which a warning says so. */
const MANY = 8;
/** Traces for the same shapes after which a warning says so. */
const SAME = 3;
const KEPT = 64;

const logs = new WeakMap<object, TraceLog>();

/** What `explainRetrace` tells of one function, and the warning about too many traces. */
export class TraceLog {
  readonly reasons: string[] = [];
  private traces = 0;
  private same = 0;
  private warned = false;

  constructor(private readonly name: string) {}

  of(jitted: object): void { logs.set(jitted, this); }

  /** Notes a trace; `reason` is null for the first one. */
  add(reason: string | null, sameShapes: boolean): void {
    this.traces += 1;
    if (reason === null) return;
    this.reasons.push(`trace ${this.traces}: ${reason}`);
    if (this.reasons.length > KEPT) this.reasons.shift();
    if (typeof process !== "undefined" && process.env["PAX_EXPLAIN_RETRACE"] === "1") console.warn(`paxjs: ${this.name}, ${this.reasons.at(-1)!}`);
    if (sameShapes) this.same += 1;
    if (this.warned || (this.same < SAME && this.traces <= MANY)) return;
    this.warned = true;
    console.warn(`paxjs: ${this.name} was traced ${this.traces} times${this.same < SAME ? "" : " for the same shapes"}: ${reason} (pax.explainRetrace gives the reason of each)`);
  }
}

/**
 * Why a jitted function was traced again: a sentence for each trace after the first one (the last 64), which compares the
 * call with the one before. With the environment variable `PAX_EXPLAIN_RETRACE=1` they are printed to stderr as they happen,
 * as `jax_explain_cache_misses` does.
 * @throws PaxError `value` if `jitted` is no function that `jit` gave
 */
export function explainRetrace(jitted: (...args: never[]) => unknown): readonly string[] {
  const log = logs.get(jitted);
  if (log === undefined) throw opError("value", "explainRetrace", "pass a function that pax.jit gave");
  return [...log.reasons];
}
