import { opError } from "../errors.js";
import { TensorBase } from "./leaf.js";
import { SLOT } from "../module/slot.js";

export interface CustomNode {
  readonly name: string;
  readonly prototype: object;
  flatten(node: unknown): readonly [children: readonly unknown[], aux: unknown];
  unflatten(aux: unknown, children: readonly unknown[]): unknown;
}

const nodes = new Map<object, CustomNode>();

/** How the class of exactly this prototype flattens, if it was registered. */
export const customNode = (prototype: object): CustomNode | undefined => nodes.get(prototype);

/**
 * Makes instances of a class nodes of trees. `flatten` gives the children and static data (compared as static attributes
 * are), `unflatten` makes the instance again. Instances of subclasses need a registration of their own.
 */
export function registerNode<N, A>(
  cls: abstract new (...args: never[]) => N,
  flatten: (node: N) => readonly [children: readonly unknown[], aux: A],
  unflatten: (aux: A, children: readonly unknown[]) => N,
): void {
  const prototype = cls.prototype as object;
  const name = (cls as { moduleName?: string }).moduleName ?? cls.name;
  const known = prototype === Object.prototype || prototype === Array.prototype || prototype === Map.prototype
    || prototype instanceof TensorBase || SLOT in prototype || nodes.has(prototype);
  if (known) throw opError("tree", "registerNode", `${name} is already a node or a leaf of trees`);
  nodes.set(prototype, {
    name,
    prototype,
    flatten: (node) => flatten(node as N),
    unflatten: (aux, children) => unflatten(aux as A, children),
  });
}
