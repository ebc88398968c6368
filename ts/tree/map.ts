import { opError } from "../errors.js";
import { buildNode, flattenNode, pathsOf } from "./flatten.js";
import { leavesEqual } from "./leaf.js";
import { differenceError, firstDifference, Structure } from "./structure.js";
import type { Tensor } from "../tensor.js";
import type { LeafOf, MapLeaves, TensorTree } from "./types.js";

type Leaves<R extends readonly unknown[]> = { [K in keyof R]: LeafOf<R[K]> };

/** A tree's leaves, in order, and its structure. */
export function flatten<T>(tree: T): [leaves: LeafOf<T>[], structure: Structure<T>] {
  const leaves: unknown[] = [];
  const node = flattenNode(tree, leaves);
  return [leaves as LeafOf<T>[], Structure.of<T>(node, leaves.length)];
}

/** The tree of a structure with these leaves. */
export function unflatten<T>(structure: Structure<T>, leaves: readonly LeafOf<T>[]): T {
  if (leaves.length !== structure.numLeaves) {
    throw opError("tree", "unflatten", `the structure has ${structure.numLeaves} leaves, but ${leaves.length} were given`);
  }
  return buildNode(structure.node, { leaves, next: 0 }) as T;
}

export function leaves<T>(tree: T): LeafOf<T>[] {
  return flatten(tree)[0];
}

export function structure<T>(tree: T): Structure<T> {
  return flatten(tree)[1];
}

/** The path of each leaf, as `modules[2].W`. */
export function paths(tree: unknown): string[] {
  return pathsOf(flattenNode(tree, []));
}

function flattenAll(op: string, trees: readonly unknown[]): [Structure<unknown>, unknown[][]] {
  const [first, structure] = flatten(trees[0]);
  const all: unknown[][] = [first];
  for (const [i, tree] of trees.slice(1).entries()) {
    const [more, other] = flatten(tree);
    const found = firstDifference(structure.node, other.node);
    if (found !== null) throw differenceError(op, found, ["in the first tree", `in tree ${i + 2}`]);
    all.push(more);
  }
  return [structure, all];
}

/** Calls `f` with the leaves at the same place of trees of equal structure; `null` is no leaf. */
export function map<T extends TensorTree, R extends readonly TensorTree[]>(f: (leaf: Tensor, ...rest: { [K in keyof R]: Tensor }) => Tensor, tree: T, ...rest: R): T;
export function map<T extends TensorTree, R extends readonly unknown[]>(f: (leaf: Tensor, ...rest: Leaves<R>) => Tensor, tree: T, ...rest: R): T;
export function map<T, R extends readonly unknown[], U>(f: (leaf: LeafOf<T>, ...rest: Leaves<R>) => U, tree: T, ...rest: R): MapLeaves<T, U>;
export function map(f: (...leaves: never[]) => unknown, ...trees: readonly unknown[]): unknown {
  const [structure, all] = flattenAll("tree.map", trees);
  const results = all[0]!.map((_, i) => f(...(all.map((column) => column[i]) as never[])));
  return buildNode(structure.node, { leaves: results, next: 0 });
}

export function reduce<T, R>(f: (acc: R, leaf: LeafOf<T>) => R, tree: T, init: R): R {
  let acc = init;
  for (const leaf of leaves(tree)) acc = f(acc, leaf);
  return acc;
}

export function all<T>(f: (leaf: LeafOf<T>) => boolean, tree: T): boolean {
  return leaves(tree).every((leaf) => f(leaf));
}

/** For each place, the leaves of all trees there. */
export function zip<T extends readonly unknown[]>(...trees: T): Leaves<T>[] {
  if (trees.length === 0) return [];
  const [, columns] = flattenAll("tree.zip", trees);
  return columns[0]!.map((_, i) => columns.map((column) => column[i]) as unknown as Leaves<T>);
}

/** Equal structures and equal leaves. */
export function equal(a: unknown, b: unknown): boolean {
  const [x, s] = flatten(a);
  const [y, t] = flatten(b);
  return firstDifference(s.node, t.node) === null && x.every((leaf, i) => leavesEqual(leaf, y[i]));
}
