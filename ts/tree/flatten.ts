import { PaxError } from "../errors.js";
import { birth } from "../module/frame.js";
import { className, isModule, Later, prepare, slotOf, valueOf, type Kind, type Layout, build as buildModule } from "../module/instance.js";
import { describeLeaf, isLeaf, isTensor } from "./leaf.js";
import { formatPath, MapKey, quotePath, type Step } from "./path.js";
import { customNode, type CustomNode } from "./register.js";
import { isPlainObject, MAX_DEPTH } from "./statics.js";

export interface ModuleNode {
  readonly type: "module";
  readonly layout: Layout;
  readonly training: boolean;
  readonly statics: readonly unknown[];
  readonly children: readonly Node[];
}
export type Node =
  | { readonly type: "leaf" }
  | { readonly type: "null" }
  | { readonly type: "array"; readonly children: readonly Node[] }
  | { readonly type: "object"; readonly keys: readonly string[]; readonly bare: boolean; readonly children: readonly Node[] }
  | { readonly type: "map"; readonly keys: readonly unknown[]; readonly children: readonly Node[] }
  | { readonly type: "custom"; readonly custom: CustomNode; readonly aux: unknown; readonly children: readonly Node[] }
  | ModuleNode;

const LEAF: Node = { type: "leaf" };
const NULL: Node = { type: "null" };

/** The modules of one outermost module: none may be there twice. */
interface Scope {
  readonly modules: Map<object, Step[]>;
  distinct: boolean;
}

class Walk {
  readonly leaves: unknown[] = [];
  readonly steps: Step[] = [];
  readonly containers: object[] = [];
  scope: Scope | null = null;
  inState = false;
  modulesOnly = false;

  fail(message: string): PaxError {
    const path = formatPath(this.steps);
    return new PaxError("tree", `${quotePath(path)} ${message}`, { path });
  }

  child(step: Step, value: unknown): Node {
    this.steps.push(step);
    const node = this.node(value);
    this.steps.pop();
    return node;
  }

  node(value: unknown): Node {
    if (value === null || value === undefined) return NULL;
    if (isLeaf(value)) {
      if (this.modulesOnly) throw this.fail(`is ${describeLeaf(value)} in a module subtree: register it as a parameter or state subtree`);
      this.leaves.push(value);
      return LEAF;
    }
    if (typeof value !== "object") {
      throw this.fail(`is a ${typeof value}, which is no leaf of a tree: make it a static argument or attribute`);
    }
    if (this.containers.length >= MAX_DEPTH) {
      if (new Set(this.containers).size < this.containers.length) throw this.fail("is in a cycle: a tree cannot contain itself");
      throw this.fail(`is nested deeper than ${MAX_DEPTH} levels`);
    }
    this.containers.push(value);
    const node = this.container(value);
    this.containers.pop();
    return node;
  }

  // Loops, not maps with a function: a tree may be as deep as the stack holds.
  container(value: object): Node {
    const children: Node[] = [];
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) children.push(this.child(i, value[i]));
      return { type: "array", children };
    }
    if (isModule(value)) return this.module(value);
    if (value instanceof Map) {
      const keys = [...value.keys()];
      for (const key of keys) children.push(this.child(new MapKey(key), value.get(key)));
      return { type: "map", keys, children };
    }
    const custom = customNode(Object.getPrototypeOf(value) as object);
    if (custom !== undefined) {
      const [items, aux] = custom.flatten(value);
      for (let i = 0; i < items.length; i++) children.push(this.child(i, items[i]));
      return { type: "custom", custom, aux, children };
    }
    if (!isPlainObject(value)) {
      const name = (value.constructor as { name?: string } | undefined)?.name ?? "an unknown class";
      throw this.fail(`is an instance of ${name}, which is no node of a tree: keep it in a static attribute or argument, or say with pax.tree.registerNode how it flattens`);
    }
    const keys = Object.keys(value).sort();
    for (const key of keys) children.push(this.child(key, value[key]));
    return { type: "object", keys, bare: Object.getPrototypeOf(value) === null, children };
  }

  module(value: object): Node {
    const outermost = this.scope === null;
    this.scope ??= { modules: new Map(), distinct: true };
    const scope = this.scope;
    if (this.containers.indexOf(value) < this.containers.length - 1) throw this.fail(`is in a cycle: ${className(value)} contains itself, which no tree can`);
    if (!this.inState) {
      const first = scope.modules.get(value);
      if (first !== undefined) throw this.fail(`and ${quotePath(formatPath(first))} are the same ${className(value)}: use copy() for one of them`);
      scope.modules.set(value, this.steps.slice());
    }
    const { inState, modulesOnly } = this;
    const layout = prepare(value, this.steps);
    const slot = slotOf(value);
    if (!slot.distinct) scope.distinct = false;
    const begin = this.leaves.length;
    const children = layout.names.map((name) => {
      const kind = layout.entries.get(name)!.kind;
      const child = valueOf(slot, name);
      if (kind === "module" && child !== null && child !== undefined && !isModule(child)) {
        this.steps.push(name);
        throw this.fail(`of ${className(value)} is registered as a module, but is now none: set a Module or null`);
      }
      this.inState = inState || isState(kind);
      this.modulesOnly = kind === "moduleSubtree";
      return this.child(name, child);
    });
    this.inState = inState;
    this.modulesOnly = modulesOnly;
    const statics = layout.statics.map((key) => (value as Record<PropertyKey, unknown>)[key]);
    const node: ModuleNode = { type: "module", layout, training: slot.training, statics, children };
    if (outermost) {
      if (!scope.distinct) this.checkShared(node, begin);
      for (const module of scope.modules.keys()) slotOf(module).distinct = true;
      this.scope = null;
    }
    return node;
  }

  checkShared(node: ModuleNode, begin: number): void {
    const mask = trainableMask(node);
    const seen = new Map<unknown, number>();
    mask.forEach((trainable, i) => {
      const leaf = this.leaves[begin + i];
      if (!trainable || !isTensor(leaf)) return;
      const first = seen.get(leaf);
      if (first === undefined) {
        seen.set(leaf, i);
        return;
      }
      const paths = pathsOf(node, this.steps);
      throw new PaxError("tree", `\`${paths[first]!}\` and \`${paths[i]!}\` are the same trainable tensor: use pax.clone for one of them`, { path: paths[i]! });
    });
  }
}

export const isState = (kind: Kind): boolean => kind === "state" || kind === "stateSubtree";
export const isParameter = (kind: Kind): boolean => kind === "parameter" || kind === "parameterSubtree";

/** Which leaves of a node are trainable: the outermost kind wins over what is inside it. */
export function trainableMask(node: Node, fixed: boolean | null = null, mask: boolean[] = []): boolean[] {
  if (node.type === "leaf") mask.push(fixed ?? true);
  else if (node.type === "module") {
    node.children.forEach((child, i) => {
      const kind = node.layout.entries.get(node.layout.names[i]!)!.kind;
      trainableMask(child, fixed ?? (isState(kind) ? false : isParameter(kind) ? true : null), mask);
    });
  } else if (node.type !== "null") for (const child of node.children) trainableMask(child, fixed, mask);
  return mask;
}

/** The step from a node to its child. */
export function stepOf(node: Exclude<Node, { type: "leaf" } | { type: "null" }>, i: number): Step {
  if (node.type === "module") return node.layout.names[i]!;
  if (node.type === "object") return node.keys[i]!;
  return node.type === "map" ? new MapKey(node.keys[i]) : i;
}

export function pathsOf(node: Node, steps: Step[] = [], out: string[] = []): string[] {
  if (node.type === "leaf") out.push(formatPath(steps));
  else if (node.type !== "null") node.children.forEach((child, i) => pathsOf(child, [...steps, stepOf(node, i)], out));
  return out;
}

/** The node of a tree; its leaves are added to `leaves`. */
export function flattenNode(tree: unknown, leaves: unknown[]): Node {
  const walk = new Walk();
  const node = walk.node(tree);
  for (const leaf of walk.leaves) leaves.push(leaf);
  return node;
}

export interface Cursor {
  readonly leaves: readonly unknown[];
  next: number;
  /** Trees in attributes of the outermost modules are made when someone reads them. */
  readonly lazy?: boolean;
  /** The modules' time of birth: now, if there is none. */
  readonly born?: number;
}

const counts = new WeakMap<Node, number>();
/** How many leaves are under a node; NaN if what it builds depends on the time: on static data that may change, on others' code. */
function lasting(node: Node): number {
  if (node.type === "leaf" || node.type === "null") return node.type === "leaf" ? 1 : 0;
  let count = counts.get(node);
  if (count === undefined) {
    const changes = node.type === "custom" || (node.type === "module" && node.statics.some((value) => typeof value === "object" && value !== null));
    counts.set(node, (count = node.children.reduce((n, child) => n + lasting(child), changes ? NaN : 0)));
  }
  return count;
}

/** The tree of a node, with the next leaves of the cursor. */
export function buildNode(node: Node, cursor: Cursor, attribute = false): unknown {
  const { leaves, next, lazy, born } = cursor;
  if (node.type === "leaf") return leaves[cursor.next++];
  if (node.type === "null") return null;
  const count = attribute && lazy ? lasting(node) : 0;
  if (count > 0) return new Later(node, leaves.slice(next, (cursor.next += count)));
  const children: unknown[] = [];
  for (const child of node.children) children.push(buildNode(child, cursor, node.type === "module"));
  return assemble(node, children, born);
}

/** A node's value of its children's values; an array is `children` itself. */
export function assemble(node: Exclude<Node, { type: "leaf" } | { type: "null" }>, children: unknown[], born = birth()): unknown {
  switch (node.type) {
    case "array": return children;
    case "map": return new Map(node.keys.map((key, i) => [key, children[i]]));
    case "custom": return node.custom.unflatten(node.aux, children);
    case "module": return buildModule(node.layout, node.training, children, node.statics, born);
    case "object": {
      const object = (node.bare ? Object.create(null) : {}) as Record<string, unknown>;
      node.keys.forEach((key, i) => {
        // An assignment to `__proto__` or to a name of a frozen prototype would not make a property.
        if (key in Object.prototype) Object.defineProperty(object, key, { value: children[i], writable: true, enumerable: true, configurable: true });
        else object[key] = children[i];
      });
      return object;
    }
  }
}

/** The same node with every module changed, children first. */
export function mapModules(node: Node, change: (node: ModuleNode) => ModuleNode): Node {
  if (node.type === "leaf" || node.type === "null") return node;
  const children = node.children.map((child) => mapModules(child, change));
  return node.type === "module" ? change({ ...node, children }) : { ...node, children };
}
