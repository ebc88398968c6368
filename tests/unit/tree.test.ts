import assert from "node:assert/strict";
import { test } from "uvu";
import * as tree from "../../ts/tree/index.js";
import { t, throws, val } from "./tree-fake.js";

test("order and paths", () => {
  const value = { b: [t(1), null, 2], a: new Map([["z", t(3)], ["y/x", t(4)]]), "q/r": { w: true } };
  assert.deepEqual(tree.paths(value), ['a["z"]', 'a["y/x"]'].concat(["b[0]", "b[2]", '["q/r"].w']));
  assert.deepEqual(tree.leaves({ B: 1, a: 2, _: 3, 10: 4, 9: 5 }), [4, 5, 1, 3, 2]);
});

test("round trip", () => {
  const value = { a: [1, null, [2n, true]], m: new Map<unknown, unknown>([[1, t(1)]]), e: {}, u: undefined, f: new Float32Array(2) };
  const [leaves, structure] = tree.flatten(value);
  assert.equal(structure.numLeaves, 5);
  const back = tree.unflatten(structure, leaves);
  assert.deepEqual(back as unknown, { ...value, u: null });
  assert.notEqual(back.a, value.a);
  throws(() => tree.unflatten(structure, []), "tree", "5 leaves");
});

test("hostile keys", () => {
  const value = JSON.parse('{"__proto__": 1, "constructor": {"a.b": 2}, "toString": 3}') as Record<string, unknown>;
  const back = tree.map((x: unknown) => x, value as never) as Record<string, unknown>;
  assert.deepEqual(Object.keys(back).sort(), ["__proto__", "constructor", "toString"]);
  assert.equal(Object.getOwnPropertyDescriptor(back, "__proto__")!.value, 1);
  assert.equal(Object.getPrototypeOf(back), Object.prototype);
  const bare = Object.assign(Object.create(null) as object, { x: 1 });
  assert.equal(Object.getPrototypeOf(tree.map((x: number) => x, bare as { x: number })), null);
});

test("what is no tree", () => {
  throws(() => tree.leaves({ a: ["text"] }), "tree", "`a[0]`", "string");
  throws(() => tree.leaves([() => 1]), "tree", "`[0]`", "function");
  throws(() => tree.leaves({ d: new Date(0) }), "tree", "`d`", "Date");
  throws(() => tree.leaves([new Set()]), "tree", "Set");
});

test("depth and cycles", () => {
  const nest = (n: number): unknown => { let x: unknown = 1; for (let i = 0; i < n; i++) x = [x]; return x; };
  assert.equal(tree.leaves(nest(400)).length, 1);
  throws(() => tree.leaves(nest(401)), "tree", "400");
  const cycle: { a: unknown[] } = { a: [] };
  cycle.a.push(cycle);
  throws(() => tree.leaves(cycle), "tree", "cycle");
});

test("map, reduce, all, zip, equal", () => {
  assert.deepEqual(tree.map((a: number, b: number) => a + b, { x: 1, y: [2, null] }, { x: 10, y: [20, null] }), { x: 11, y: [22, null] });
  assert.equal(tree.reduce((a, b) => a + b, [1, [2, 3]], 0), 6);
  assert.equal(tree.all((x) => x > 1, [1, 2]), false);
  assert.deepEqual(tree.zip([1, 2], [3, 4]), [[1, 3], [2, 4]]);
  assert.ok(tree.equal({ a: t(1), b: new Float32Array([1]) }, { b: new Float32Array([1]), a: t(1) }));
  assert.ok(!tree.equal([t(1)], [t(2)]));
  assert.ok(!tree.equal([t(1)], { 0: t(1) }));
  const mapped = tree.map((x) => t(val(x) * 2), { w: t(4) });
  assert.equal(val(mapped.w), 8);
  throws(() => tree.map((a: number) => a, { w: [1] }, { w: { v: 1 } }), "tree", "`w`", "array of 1", '"v"');
  throws(() => tree.map((a: number) => a, [1, 2], [1, null]), "tree", "`[1]`", "null");
});

test("keys of structures", () => {
  const key = (value: unknown): string => tree.structure(value).key();
  assert.equal(key({ a: 1, b: 2 }), key({ b: t(1), a: 5 }));
  const all = [1, null, [1], [[1]], [1, 1], { a: 1 }, { a: null }, { b: 1 }, new Map([["a", 1]]), new Map([["b", 1]]), {}, []];
  assert.equal(new Set(all.map(key)).size, all.length);
});

test("registerNode", () => {
  class Pair { constructor(readonly l: unknown, readonly r: unknown, readonly tag = "") {} }
  class Sub extends Pair {}
  tree.registerNode(Pair, (p) => [[p.l, p.r], p.tag], (tag, [l, r]) => new Pair(l, r, tag));
  const out = tree.map((x: number) => x + 1, new Pair(1, [2], "k") as never) as Pair;
  assert.ok(out instanceof Pair);
  assert.deepEqual([out.l, out.r, out.tag], [2, [3], "k"]);
  throws(() => tree.registerNode(Pair, () => [[], 0], () => new Pair(0, 0)), "tree", "already");
  throws(() => tree.leaves(new Sub(1, 2)), "tree", "Sub");
  throws(() => tree.map((x) => x, new Pair(1, 2, "a") as never, new Pair(1, 2, "b")), "tree", '"a"', '"b"');
});

test.run();
