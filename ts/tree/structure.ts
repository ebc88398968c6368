import { opError, PaxError, shown } from "../errors.js";
import { className, type Entry } from "../module/instance.js";
import { stepOf, type ModuleNode, type Node } from "./flatten.js";
import { formatPath, quotePath, type Step } from "./path.js";
import { identityId, showStatic, staticKey, staticsEqual } from "./statics.js";

/** A tree's structure; remembers the type of the tree it came from. */
export class Structure<T> {
  declare private readonly _tree: T;
  private cachedKey: string | null = null;
  private constructor(
    /** @internal */ readonly node: Node,
    readonly numLeaves: number,
  ) {}

  /** @internal */
  static of<T>(node: Node, numLeaves: number): Structure<T> {
    return new Structure<T>(node, numLeaves);
  }

  /** A string that is equal for equal structures, static attributes included; an ingredient of `jit`'s key. */
  key(): string {
    return (this.cachedKey ??= nodeKey(this.node));
  }

  /** @internal The structures of a node's children; none for a leaf. */
  children(): Structure<unknown>[] {
    const { node } = this;
    return node.type === "leaf" || node.type === "null" ? [] : node.children.map((child) => Structure.of<unknown>(child, leavesOf(child)));
  }

  toString(): string {
    return describe(this.node);
  }
}

/** How many leaves are under a node. */
export const leavesOf = (node: Node): number =>
  node.type === "leaf" ? 1 : node.type === "null" ? 0 : node.children.reduce((n, child) => n + leavesOf(child), 0);

function nodeKey(node: Node): string {
  if (node.type === "leaf") return "*";
  if (node.type === "null") return "0";
  let text: string;
  switch (node.type) {
    case "array": text = "["; break;
    case "object": text = `{${JSON.stringify(node.keys)}`; break;
    // Keys of a Map are compared by identity.
    case "map": text = `<${node.keys.map((key) => (typeof key === "object" && key !== null ? `#${identityId(key)}` : staticKey(key))).join()}:`; break;
    case "custom": text = `C${identityId(node.custom)}(${staticKey(node.aux)}`; break;
    case "module": text = `M${node.layout.id}${node.training ? "t" : "e"}(${node.statics.map((value, i) => naming(node, i, () => staticKey(value))).join()})`;
  }
  for (const child of node.children) text += `${nodeKey(child)},`;
  return `${text};`;
}

/** Lets an error about static data name the attribute. */
function naming<R>(node: ModuleNode, i: number, f: () => R): R {
  try {
    return f();
  } catch (e) {
    if (!(e instanceof PaxError)) throw e;
    const path = String(node.layout.statics[i]);
    throw new PaxError(e.code, `\`${path}\` of ${className(node.layout.prototype)}: ${e.message}`, { path, cause: e });
  }
}

function describe(node: Node): string {
  if (node.type === "leaf") return "*";
  if (node.type === "null") return "null";
  const parts = node.children.map(describe);
  switch (node.type) {
    case "array": return shown(parts);
    case "object": return `{${parts.map((part, i) => `${node.keys[i]!}: ${part}`).join(", ")}}`;
    case "map": return `Map{${parts.map((part, i) => `${String(node.keys[i])}: ${part}`).join(", ")}}`;
    case "custom": return `${node.custom.name}(${parts.join(", ")})`;
    case "module": return `${className(node.layout.prototype)}(${parts.map((part, i) => `${node.layout.names[i]!}: ${part}`).join(", ")})`;
  }
}

/** A node in the words of an error, without its children. */
export function summarise(node: Node): string {
  switch (node.type) {
    case "leaf": return "a leaf";
    case "null": return "null";
    case "array": return `an array of ${node.children.length}`;
    case "object": return `an object with keys ${JSON.stringify(node.keys)}`;
    case "map": return `a Map with keys ${shown(node.keys.map(showStatic))}`;
    case "custom": return `a ${node.custom.name} of ${node.children.length}`;
    case "module": return `a ${className(node.layout.prototype)} with ${shown(node.layout.names)}`;
  }
}

const showKind = ({ kind, frozen }: Entry): string => (frozen === 0 ? kind : `${kind} (frozen ${kind.replace("state", "parameter")}${frozen > 1 ? `, ${frozen} times` : ""})`);
const kinds = /^(parameter|state|module)(Subtree)?( \(frozen .+\))?$/;
const showMode = (training: boolean): string => (training ? "train" : "eval");

export interface Difference {
  readonly path: string;
  readonly left: string;
  readonly right: string;
}

/** How two nodes differ themselves, their children aside. `statics: false` is for `update`, which keeps the receiver's. */
export function differenceHere(a: Node, b: Node, steps: readonly Step[], statics = true): Difference | null {
  const at = (left: string, right: string, ...more: Step[]): Difference => ({ path: formatPath([...steps, ...more]), left, right });
  const unlike = at(summarise(a), summarise(b));
  if (a.type !== b.type) return unlike;
  if (a.type === "array") return a.children.length === (b as typeof a).children.length ? null : unlike;
  if (a.type === "object" || a.type === "map") {
    const keys: readonly unknown[] = (b as typeof a).keys;
    return a.keys.length === keys.length && a.keys.every((key, i) => Object.is(key, keys[i])) ? null : unlike;
  }
  if (a.type === "custom") {
    const other = b as typeof a;
    if (a.custom !== other.custom || a.children.length !== other.children.length) return unlike;
    return staticsEqual(a.aux, other.aux) ? null : at(`static data ${showStatic(a.aux)}`, `static data ${showStatic(other.aux)}`);
  }
  if (a.type !== "module") return null;
  const other = b as typeof a;
  const [x, y] = [a.layout, other.layout];
  if (x.prototype !== y.prototype) return unlike;
  if (x !== y) {
    if (x.names.length !== y.names.length || x.names.some((name, i) => name !== y.names[i])) return unlike;
    for (const name of x.names) {
      const [p, q] = [x.entries.get(name)!, y.entries.get(name)!];
      if (p.kind !== q.kind || (statics && p.frozen !== q.frozen)) return at(showKind(p), showKind(q), name);
    }
  }
  if (a.training !== other.training) return at(`${showMode(a.training)} mode`, `${showMode(other.training)} mode`);
  if (!statics) return null;
  const values = new Map(y.statics.map((key, i) => [key, other.statics[i]]));
  for (const [i, key] of x.statics.entries()) {
    if (!values.has(key)) return at(`static ${showStatic(a.statics[i])}`, "no such attribute", key);
    if (!naming(a, i, () => staticsEqual(a.statics[i], values.get(key)))) return at(`static ${showStatic(a.statics[i])}`, `static ${showStatic(values.get(key))}`, key);
    values.delete(key);
  }
  for (const [key, value] of values) return at("no such attribute", `static ${showStatic(value)}`, key);
  return null;
}

/** The first place, in the order of the leaves, where two nodes differ. */
export function firstDifference(a: Node, b: Node, steps: Step[] = []): Difference | null {
  const here = differenceHere(a, b, steps);
  if (here !== null || a.type === "leaf" || a.type === "null") return here;
  const others = (b as typeof a).children;
  for (let i = 0; i < a.children.length; i++) {
    steps.push(stepOf(a, i));
    const found = firstDifference(a.children[i]!, others[i]!, steps);
    if (found !== null) return found;
    steps.pop();
  }
  return null;
}

/** What to do about a static attribute that changes; nothing for another difference. */
export const staticCure = ({ left }: Difference): string =>
  left.startsWith("static function") ? "define the function once, outside the constructor" : left.startsWith("static ") ? "an attribute that changes should be a `pax.state`" : "";

/** `sides` say where the left and the right one stand. */
export function differenceError(op: string, found: Difference, sides: readonly [string, string] = ["on one side", "on the other"]): PaxError {
  const fixed = staticCure(found);
  const cure = fixed ? ` (${fixed})`
    : found.left.endsWith(" mode") ? " (call train() or eval() before parameters())"
    : kinds.test(found.left) ? " (call freeze() or unfreeze() before parameters())" : "";
  return opError("tree", op, `the structures differ at ${quotePath(found.path)}: ${found.left} ${sides[0]}, ${found.right} ${sides[1]}${cure}`, { path: found.path });
}
