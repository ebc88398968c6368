/** Trees of labels beside a tree of parameters: masks and the groups of `partition`. */
import { opError, PaxError } from "../errors.js";
import { flattenNode, stepOf, type Node } from "../tree/flatten.js";
import { leaves, map, type TensorTree } from "../tree/index.js";
import { formatPath, MapKey, quotePath, type Step } from "../tree/path.js";
import { customNode } from "../tree/register.js";
import { leavesOf } from "../tree/structure.js";
import type { MaskOrFn } from "./transform.js";

interface Reader<L> {
  readonly op: string;
  /** The labels' kind, for errors: "a mask of booleans". */
  readonly what: string;
  isLabel(x: unknown): x is L;
}

/** What `spec` has at a step of a container, undefined where it has nothing. */
function childOf(spec: unknown, node: Node, step: Step, i: number): unknown {
  if (typeof spec !== "object" || spec === null) return undefined;
  if (node.type === "custom") return node.custom === customNode(Object.getPrototypeOf(spec) as object) ? node.custom.flatten(spec)[0][i] : undefined;
  if (step instanceof MapKey) return spec instanceof Map ? spec.get(step.key) : undefined;
  return (spec as Record<PropertyKey, unknown>)[step as PropertyKey];
}

function read<L>(reader: Reader<L>, spec: unknown, node: Node, steps: Step[], out: L[]): void {
  if (node.type === "null") return;
  if (reader.isLabel(spec)) {
    for (let n = leavesOf(node); n > 0; n--) out.push(spec);
    return;
  }
  const unlike = (why: string): PaxError => {
    const path = formatPath(steps);
    return opError("tree", reader.op, `the tree is ${reader.what} with the parameters' structure, or stops above it, but ${quotePath(path)} ${why}`, { path });
  };
  if (node.type === "leaf" || spec === undefined || spec === null) {
    if (leavesOf(node) > 0) throw unlike(spec === undefined || spec === null ? "is missing" : `is ${typeof spec === "object" ? "a container, where there is one leaf" : `a ${typeof spec}`}`);
    return;
  }
  if (typeof spec !== "object") throw unlike(`is a ${typeof spec}`);
  const extra = node.type === "object" ? Object.keys(spec).find((key) => !node.keys.includes(key)) : undefined;
  if (extra !== undefined) throw unlike(`has \`${extra}\`, which the parameters have not`);
  if (node.type === "array" && (!Array.isArray(spec) || spec.length !== node.children.length)) throw unlike(`is not an array of ${node.children.length}`);
  node.children.forEach((child, i) => {
    const step = stepOf(node, i);
    steps.push(step);
    read(reader, childOf(spec, node, step, i), child, steps, out);
    steps.pop();
  });
}

const readAll = <L>(reader: Reader<L>, spec: unknown, tree: TensorTree): L[] => {
  const out: L[] = [];
  read(reader, typeof spec === "function" ? (spec as (tree: TensorTree) => unknown)(tree) : spec, flattenNode(tree, []), [], out);
  return out;
};
/** The boolean of each leaf. @throws PaxError `tree` where the mask does not fit the tree */
export const flagsOf = (op: string, mask: MaskOrFn, tree: TensorTree): boolean[] =>
  readAll({ op, what: "a mask of booleans", isLabel: (x) => typeof x === "boolean" }, mask, tree);
/** The label of each leaf. @throws PaxError `tree` where the labels do not fit the tree */
export const labelsOf = (op: string, labels: unknown, tree: TensorTree): string[] =>
  readAll({ op, what: "one of strings", isLabel: (x) => typeof x === "string" }, labels, tree);

/** The tree with `null` where the flag is false. */
export function hide<P extends TensorTree>(tree: P, flags: readonly boolean[]): P {
  let i = 0;
  return map((x) => (flags[i++] ? x : null) as never, tree);
}
/** `old` with the leaves of `changed`, which `hide` made of it, where the flag is true. */
export function reveal<P extends TensorTree>(old: P, changed: P, flags: readonly boolean[]): P {
  const next: readonly unknown[] = leaves<unknown>(changed as unknown);
  let [i, at] = [0, 0];
  return map((x) => (flags[i++] ? next[at++] : x) as never, old);
}
