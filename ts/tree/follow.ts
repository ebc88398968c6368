/** Flattening along a structure that is known: what almost every call of a jitted function needs, without making nodes. */
import { isModule, Later, settled, slotOf, valueOf } from "../module/instance.js";
import { peekMark } from "../module/marks.js";
import type { ModuleNode, Node } from "./flatten.js";
import { isLeaf } from "./leaf.js";
import { customNode } from "./register.js";
import { isPlainObject } from "./statics.js";

const isData = (x: unknown): boolean => typeof x === "object" && x !== null && (Array.isArray(x) || isPlainObject(x));

/** Plain data as it is now: its owner may change it in place. */
export function copyOf(x: unknown): unknown {
  if (!isData(x)) return x;
  return Array.isArray(x) ? x.map(copyOf) : Object.fromEntries(Object.entries(x as object).map(([key, value]) => [key, copyOf(value)]));
}

/** The same node, whose static data does not change with the tree that it came from. */
export function snapshot(node: Node): Node {
  if (node.type === "leaf" || node.type === "null") return node;
  const children = node.children.map(snapshot);
  if (node.type === "module") return { ...node, children, statics: node.statics.map(copyOf) };
  return node.type === "custom" ? { ...node, children, aux: copyOf(node.aux) } : { ...node, children };
}

/** True for static data that surely is what `before`, of a snapshot, was; what holds more than it shows is not. */
export function sameStatic(before: unknown, now: unknown): boolean {
  if (typeof now !== "object" || now === null) return Object.is(before, now);
  if (!isData(now)) return before === now && !(now instanceof Map) && !(now instanceof Set);
  if (!isData(before) || Array.isArray(before) !== Array.isArray(now) || peekMark(now) !== undefined) return false;
  const [old, keys] = [before as Record<string, unknown>, Object.keys(now)];
  return keys.length === Object.keys(old).length && keys.every((key) => Object.hasOwn(old, key) && sameStatic(old[key], (now as Record<string, unknown>)[key]));
}

/** The node of a `Later` that had the structure of a snapshot's node. */
const alike = new WeakMap<Node, Node>();

/** Calls of `follow` so far that began outside of all modules; the modules of one outermost module bear its number. */
let visits = 0;
let visit = 0;

/** Adds the leaves of a tree that has the structure of a snapshot, and gives true. False if it may have another one: flatten it. */
export function follow(node: Node, tree: unknown, leaves: unknown[]): boolean {
  visit = 0;
  return walk(node, tree, leaves);
}

function walk(node: Node, value: unknown, leaves: unknown[]): boolean {
  if (node.type === "leaf") {
    leaves.push(value);
    return isLeaf(value);
  }
  if (node.type === "null") return value === null || value === undefined;
  if (typeof value !== "object" || value === null) return false;
  const { children } = node;
  switch (node.type) {
    case "array": {
      if (!Array.isArray(value) || value.length !== children.length) return false;
      for (let i = 0; i < children.length; i++) if (!walk(children[i]!, value[i], leaves)) return false;
      return true;
    }
    case "object": {
      if (!isPlainObject(value)) return false;
      let more = node.keys.length;
      for (const _ in value) more -= 1;
      if (more !== 0) return false;
      for (let i = 0; i < children.length; i++) {
        const key = node.keys[i]!;
        if (!Object.hasOwn(value, key) || !walk(children[i]!, value[key], leaves)) return false;
      }
      return true;
    }
    case "map": {
      if (!(value instanceof Map) || value.size !== node.keys.length) return false;
      let i = 0;
      for (const [key, item] of value) {
        if (!Object.is(key, node.keys[i]) || !walk(children[i]!, item, leaves)) return false;
        i += 1;
      }
      return true;
    }
    case "custom": {
      if (customNode(Object.getPrototypeOf(value) as object) !== node.custom) return false;
      const [items, aux] = node.custom.flatten(value);
      return items.length === children.length && sameStatic(node.aux, aux) && children.every((child, i) => walk(child, items[i], leaves));
    }
    case "module": return walkModule(node, value, leaves);
  }
}

function walkModule(node: ModuleNode, module: object, leaves: unknown[]): boolean {
  if (!isModule(module) || !settled(module, node.layout)) return false;
  const slot = slotOf(module);
  const outermost = visit === 0;
  if (outermost) visit = ++visits;
  // That no module and no trainable tensor is there twice, a real flatten has to find out.
  if (slot.training !== node.training || !slot.distinct || slot.visit === visit) return false;
  slot.visit = visit;
  const { statics, names } = node.layout;
  for (let i = 0; i < statics.length; i++) {
    if (!sameStatic(node.statics[i], (module as unknown as Record<PropertyKey, unknown>)[statics[i]!])) return false;
  }
  for (let i = 0; i < names.length; i++) {
    const [child, value] = [node.children[i]!, slot.values.get(names[i]!)];
    const later = value instanceof Later;
    if (later && alike.get(child) === value.node) for (const leaf of value.leaves) leaves.push(leaf);
    else if (!walk(child, later ? valueOf(slot, names[i]!) : value, leaves)) return false;
    else if (later) alike.set(child, value.node);
  }
  if (outermost) visit = 0;
  return true;
}
