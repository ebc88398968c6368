/** What is nested deeply, or is long, works or says why not: it never overflows a stack. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { fails } from "../support/fails.js";

const { np } = pax;
const test = suite("deep");
type T = pax.Tensor;
type F = (x: T) => T;

/** What programs and transformations within one another may be; the same as in the engine. */
const LIMIT = 200;
const x = np.array([1, 2]);
const ones = np.ones([2, 2]);

/** Ways to make a function out of another that gives the same; each records a program that owns the other's. */
const wraps: Record<string, (f: F) => F> = {
  jit: (f) => f,
  checkpoint: (f) => pax.checkpoint((x: T) => f(x)),
  scan: (f) => (x) => pax.scan((c: T) => [f(c), null] as const, x, null, { length: 1 })[0],
  cond: (f) => (x) => pax.cond(x.sum().greater(-100), f, (x: T) => x, x),
  whileLoop: (f) => (x) => pax.whileLoop(([i]: [T, T]) => i.less(1), ([i, y]: [T, T]) => [i.add(1), f(y)] as [T, T], [np.array(0), x] as [T, T])[1],
  customVjp: (f) => pax.customVjp((x: T) => f(x), (x: T) => [f(x), x] as const, (_: T, ct: T) => [ct.mul(2)]),
};

/** `f` wrapped again and again; each is jitted and recorded before the next, so that no function of ours is deep on the stack. */
function nested(wrap: (f: F) => F, times: number): F {
  let f: F = (x) => x.mul(2);
  for (let i = 0; i < times; i++) {
    f = pax.jit(wrap(f));
    pax.makeProgram(f)(x);
  }
  return f;
}

for (const [name, wrap] of Object.entries(wraps)) {
  const each = name === "jit" ? 1 : 2;
  test(`${name} within one another`, () => {
    const f = nested(wrap, LIMIT / each - 1);
    assert.equal(f(x).toArray(), [2, 4]);
    assert.equal(pax.vmap(f)(ones).toArray(), [[2, 2], [2, 2]]);
    if (name === "whileLoop") return;
    const slope = pax.grad((x: T) => f(x).mul(x).sum());
    assert.equal(slope(x).toArray(), [4, 8]);
    assert.equal(pax.grad((x: T) => slope(x).sum())(x).toArray(), [4, 4]);
    if (name !== "customVjp") assert.equal(pax.jvp((x: T) => f(x).mul(x), [x], [x])[1].toArray(), [4, 16]);
  });
  test(`${name} within one another, more than the limit`, () => {
    fails("trace", /more than 200 recorded functions lie within one another/, () => nested(wrap, LIMIT + 2));
    assert.equal(nested(wrap, 2)(x).toArray(), [2, 4]);
  });
}
test("a chain of jitted functions is no nesting", () => {
  let f: F = (x) => x.add(1);
  const g = pax.jit(f);
  f = pax.jit((x: T) => { let y = x; for (let i = 0; i < 2000; i++) y = g(y); return y; });
  assert.equal(pax.grad((x: T) => f(x).sum())(x).toArray(), [1, 1]);
});

const transformations: Record<string, (f: F) => F> = {
  jit: (f) => pax.jit((x: T) => f(x)),
  grad: (f) => pax.grad((x: T) => f(x).sum()),
  vmap: (f) => (x) => pax.vmap((y: T) => f(y.add(x)))(np.zeros([1])).reshape([2]),
  jvp: (f) => (x) => pax.jvp((y: T) => f(y), [x], [x])[0],
};
for (const [name, transformed] of Object.entries(transformations)) {
  test(`${name} in ${name} in ${name}`, () => {
    const deep = (times: number): F => { let f: F = (x) => x.mul(2); for (let i = 0; i < times; i++) f = transformed(f); return f; };
    assert.equal(deep(LIMIT / 2)(x).shape, [2]);
    fails("trace", /more than 200/, () => deep(LIMIT + 1)(x));
  });
}
test("a function that calls itself without end", () => {
  const f: F = pax.jit((x: T) => f(x).add(1));
  fails("trace", /more than 200 transformations run within one another/, () => f(x));
  const g: F = (x) => pax.grad((y: T) => g(y).sum())(x);
  fails("trace", /more than 200 transformations run within one another/, () => g(x));
});

test("long functions", () => {
  const chain = (n: number): F => (x) => { let y = x; for (let i = 0; i < n; i++) y = y.mul(1); return y; };
  assert.equal(pax.grad((x: T) => chain(100_000)(x).sum())(x).toArray(), [1, 1]);
  assert.equal(pax.jit(chain(30_000))(x).toArray(), [1, 2]);
  assert.equal(pax.jit(pax.grad((x: T) => chain(30_000)(x).sum()))(x).toArray(), [1, 1]);
  assert.equal(pax.vmap(chain(30_000))(ones).toArray(), [[1, 1], [1, 1]]);
});
test("long sums of padded tensors", () => {
  const f = pax.jit((x: T) => { let y = np.pad(x, [[0, 2]]); for (let i = 0; i < 20_000; i++) y = y.add(np.pad(x, [[1, 1]])); return y; });
  assert.equal(f(x).toArray(), [1, 20_002, 40_000, 0]);
});
test("long bodies of scans", () => {
  const body = (f: (carry: T, y: T) => readonly [T, T | null]): T => pax.jit((x: T) => pax.scan((c: T, y: T) => f(c, y), x, np.ones([3, 2])) as readonly [T, T | null])(x)[0];
  assert.equal(body((c, y) => { let z = c; for (let i = 0; i < 20_000; i++) z = z.add(y); return [z, null]; }).toArray(), [60_001, 60_002]);
  assert.equal(body((c, y) => { let z = y; for (let i = 0; i < 20_000; i++) z = z.neg(); return [c.add(z), null]; }).toArray(), [4, 5]);
  assert.equal(body((c, y) => { let z = y.sub(1); for (let i = 0; i < 20_000; i++) z = z.sin(); return [c.add(1), z]; }).toArray(), [4, 5]);
});

const nestedIn = (wrap: (v: unknown) => unknown, times: number): unknown => { let v: unknown = x; for (let i = 0; i < times; i++) v = wrap(v); return v; };
const cyclic: unknown[] = [];
cyclic.push(cyclic);
test("trees", () => {
  for (const wrap of [(v: unknown) => [v], (v: unknown) => ({ a: v }), (v: unknown) => new Map([["a", v]])]) {
    const tree = nestedIn(wrap, 900) as never;
    assert.is(pax.tree.leaves(pax.jit((t: never) => t)(tree)).length, 1);
    assert.ok(pax.tree.equal(pax.tree.map((x: T) => x, tree), tree));
    for (const times of [1001, 100_000]) {
      const deeper = nestedIn(wrap, times) as never;
      fails("tree", /nested deeper than 1000 levels/, () => pax.tree.leaves(deeper));
      fails("tree", /nested deeper than 1000 levels/, () => pax.jit((t: never) => t)(deeper));
      fails("tree", /nested deeper than 1000 levels/, () => pax.jit(() => deeper)());
    }
  }
  fails("tree", /cycle/, () => pax.tree.leaves(cyclic as never));
});
test("static data", () => {
  class Configured extends pax.Module { constructor(readonly config: unknown) { super(); } forward(x: T): T { return x; } }
  for (const config of [nestedIn((v) => (v === x ? [1] : [v]), 100_000), cyclic]) fails("tree", /nested too deeply or contains itself/, () => pax.jit((m: Configured, x: T) => m.forward(x))(new Configured(config), x));
});
test("arrays of numbers", () => {
  const numbers = (times: number): pax.ArrayData => nestedIn((v) => (v === x ? [1] : [v]), times) as pax.ArrayData;
  assert.is(np.array(numbers(64)).ndim, 64);
  for (const data of [numbers(65), numbers(100_000), cyclic as pax.ArrayData]) {
    fails("shape", /more than 64 deep, or contain themselves/, () => np.array(data));
    fails("shape", /more than 64 deep, or contain themselves/, () => np.take(x, data as never));
  }
});
test.run();
