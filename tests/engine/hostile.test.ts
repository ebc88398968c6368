/** Keys that mean something to JavaScript or to paths are keys as any other, and frozen prototypes are no hindrance. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { runScript } from "../support/processes.js";
import { onMachine } from "../support/where.js";

const { np, io } = pax;
const test = suite("hostile keys");
type T = pax.Tensor;
type Tree = Record<string, T>;

const KEYS = ["__proto__", "constructor", "toString", "hasOwnProperty", "then", "a.b", "a/b", "[0]", "0", "", " ", "\"", "\\", "\u0000", "é", "e\u0301", "😀", "length", "__metadata", "x]"];

/** An object with every key as its own property. */
function hostile<V>(value: (i: number) => V): Record<string, V> {
  const out: Record<string, V> = {};
  KEYS.forEach((key, i) => Object.defineProperty(out, key, { value: value(i), writable: true, enumerable: true, configurable: true }));
  return out;
}
const own = (tree: object, key: string): T => Object.getOwnPropertyDescriptor(tree, key)!.value as T;
const tree = (): Tree => hostile((i) => np.array([i, i + 1]));

function check(found: object, value: (i: number) => readonly number[]): void {
  assert.equal(Object.keys(found).sort(), [...KEYS].sort());
  assert.is(Object.getPrototypeOf(found), Object.prototype);
  KEYS.forEach((key, i) => assert.equal(own(found, key).toArray(), value(i), JSON.stringify(key)));
}
test.after.each(() => {
  assert.is(Reflect.get({}, "shape"), undefined, "nothing was written to Object.prototype");
});

test("tree.map, flatten, unflatten and paths", () => {
  check(pax.tree.map((x: T) => x.mul(2), tree()), (i) => [2 * i, 2 * i + 2]);
  const [leaves, structure] = pax.tree.flatten(tree());
  check(pax.tree.unflatten(structure, leaves), (i) => [i, i + 1]);
  assert.is(new Set(pax.tree.paths(tree())).size, KEYS.length, "every path is another");
  assert.is(new Set(KEYS.map((key) => pax.tree.structure({ [key]: 1 }).key())).size, KEYS.length, "every structure is another");
});
test("nested, the paths are still all different", () => {
  const nested = { a: tree(), "a.b": tree(), "a[0]": tree(), b: [tree(), new Map(Object.entries(tree()))] };
  assert.is(new Set(pax.tree.paths(nested)).size, 5 * KEYS.length);
});
test("grad, jit, vmap", () => {
  const sum = (t: Tree): T => KEYS.reduce((total, key) => total.add(own(t, key).mul(own(t, key)).sum()), np.array(0));
  check(pax.grad(sum)(tree()), (i) => [2 * i, 2 * i + 2]);
  check(pax.jit((t: Tree) => pax.tree.map((x: T) => x.add(1), t))(tree()), (i) => [i + 1, i + 2]);
  check(pax.jit(pax.grad(sum))(tree()), (i) => [2 * i, 2 * i + 2]);
  check(pax.vmap((t: Tree) => pax.tree.map((x: T) => x.mul(3), t), { inAxes: [hostile(() => 0)], outAxes: hostile(() => 0) })(tree()), (i) => [3 * i, 3 * i + 3]);
});
test("safetensors", () => {
  const saved = io.toSafetensors(tree());
  check(io.fromSafetensors(saved, tree()), (i) => [i, i + 1]);
  assert.is(io.fromSafetensors(saved).size, KEYS.length);
  const nested = { a: tree(), list: [tree()] };
  assert.ok(pax.tree.equal(io.fromSafetensors(io.toSafetensors(nested), nested), nested));
});
test("data", () => {
  const batches = [...pax.data.fromArrays(tree()).batch(1)];
  assert.is(batches.length, 2);
  check(batches[1]!, (i) => [i + 1]);
});
test("a module with these names", () => {
  class Strange extends pax.Module {
    constructor() {
      super();
      KEYS.forEach((key, i) => this.registerParameter(key as never, np.array([i, i + 1]) as never));
    }
  }
  const net = new Strange();
  assert.equal(Object.keys(net.copy()).sort(), [...KEYS].sort());
  const doubled = net.update(pax.tree.map((x) => x.mul(2), net.parameters()));
  assert.is(Object.getPrototypeOf(doubled), Strange.prototype);
  KEYS.forEach((key, i) => assert.equal((Reflect.get(doubled, key) as T).toArray(), [2 * i, 2 * i + 2]));
  assert.match(net.parameters().summary(), /^Strange/);
  assert.throws(() => net.update(3 as never), /Strange/);
  assert.ok(pax.tree.equal(io.fromSafetensors(io.toSafetensors(net), net), net));
});
test("static data with these keys is compared by value", () => {
  class Configured extends pax.Module {
    w = pax.parameter(np.array(1));
    constructor(readonly options: object) { super(); }
  }
  const key = (value: number): string => pax.tree.structure(new Configured(hostile(() => value))).key();
  assert.is(key(1), key(1));
  assert.is.not(key(1), key(2));
});
onMachine(test, "with frozen prototypes", () => {
  assert.is(runScript<boolean>("./frozen.js"), true);
});

test.run();
