/** What a compiled call does beside its work: crossings, traces, memory; that a known structure is recognised, and a changed one too. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { stats } from "paxjs/internal";
import { fails } from "../support/fails.js";
import { near } from "../support/near.js";

const { np, nn, optax } = pax;
const test = suite("boundary");
type T = pax.Tensor;

/** A training step of a small network, and how often it was traced. */
function training() {
  pax.seedRngKey(0);
  let traces = 0;
  const loss = (params: pax.nn.Sequential, model: pax.nn.Sequential, x: T, y: T) => {
    model = model.update(params);
    return [optax.softmaxCrossEntropyWithIntegerLabels(model.forward(x), y).mean(), model] as const;
  };
  const step = pax.jit((model: pax.nn.Sequential, optimizer: pax.Optimizer, x: T, y: T) => {
    traces += 1;
    const [[value, updated], grads] = pax.valueAndGrad(loss, { hasAux: true })(model.parameters(), model, x, y);
    return [value, optimizer.step(grads, updated), optimizer] as const;
  }, { donateArgnums: [0, 1] });
  let model = new nn.Sequential(new nn.Linear(4, 8), nn.relu, new nn.Linear(8, 3));
  let optimizer: pax.Optimizer = pax.optim.adam(model.parameters(), 1e-2);
  const [x, y] = [pax.random.normal(pax.random.key(1), [5, 4]), np.array([0, 1, 2, 1, 0], { dtype: "int32" })];
  const run = (): T => {
    let value: T;
    [value, model, optimizer] = step(model, optimizer, x, y);
    return value;
  };
  return { run, traces: () => traces };
}

test("a training step crosses once, and once for the loss; it is traced once", () => {
  const { run, traces } = training();
  const first = run().item();
  run().item();
  const before = stats().crossings;
  let last = first;
  for (let i = 0; i < 50; i++) last = run().item();
  assert.is(stats().crossings - before - 1, 100);
  assert.is(traces(), 1);
  assert.ok(last < first, `the loss went from ${first} to ${last}`);
});
test("without jit, too, an optimizer's moments are one call from its second step on", () => {
  const model = new nn.Sequential(new nn.Linear(4, 8), nn.relu, new nn.Linear(8, 3));
  const adam = optax.scaleByAdam();
  const params = model.parameters();
  const grads = pax.tree.map((p) => p.mul(0.5), params);
  let [, state] = adam.update(grads, adam.init(params), params);
  const crossings = (): number => {
    const before = stats().crossings;
    [, state] = adam.update(grads, state, params);
    return stats().crossings - before - 1;
  };
  crossings();
  assert.is(crossings(), 1);
  assert.is(state.count.item(), 3);
  // A transformation that is made anew for each step is not compiled in each.
  const injected = optax.injectHyperparams(optax.adam)((count: T) => count.astype("float32").mul(0.1));
  let inner = injected.init(params);
  const recorded = stats().recorded;
  for (let i = 0; i < 4; i++) [, inner] = injected.update(grads, inner, params);
  assert.is(stats().recorded, recorded);
});
test("10,000 steps leave as many tensors and bytes as ten", () => {
  const { run, traces } = training();
  const steps = (n: number): void => { for (let i = 0; i < n; i++) run().dispose(); };
  steps(10);
  const { handles, bytes, tensors } = stats();
  steps(10_000);
  const after = stats();
  // What the warm-up dropped, the collector may have found since: so there may be less.
  assert.ok(after.handles <= handles && after.tensors <= tensors && after.bytes <= bytes, `${after.handles - handles} handles, ${after.tensors - tensors} tensors, ${after.bytes - bytes} bytes more`);
  assert.is(traces(), 1);
});

/** A call that sums all leaves of its argument, and counts its traces. */
function counted() {
  let traces = 0;
  const f = pax.jit((tree: object) => {
    traces += 1;
    return (pax.tree.leaves<unknown>(tree) as T[]).reduce((sum, x) => sum.add(x.sum()), np.array(0));
  });
  return { sum: (tree: unknown): number => f(tree as object).item(), traces: () => traces };
}
const x = np.array([1, 2]);

class Pair { constructor(readonly a: unknown, readonly b: unknown, readonly tag: unknown) {} }
pax.tree.registerNode(Pair, (p) => [[p.a, p.b], p.tag], (tag, [a, b]) => new Pair(a, b, tag));
class Net extends pax.Module {
  w = pax.parameter(np.array([1, 2]));
  count = pax.state(np.array(0));
  inner = new nn.Linear(2, 2, { wInit: (shape) => np.ones(shape) });
  rate: unknown = 1;
}

test("every kind of node is recognised", () => {
  const trees: (() => unknown)[] = [
    () => np.array([1, 2]), () => [x, [x, null]], () => ({ a: x, b: { c: x, "d e": undefined } }), () => new Map<unknown, unknown>([[1, x], ["b", x]]),
    () => new Pair(x, [x], { n: [1, 2] }), () => Object.assign(Object.create(null) as object, { a: x }), () => [3, 1.5], () => Float32Array.of(1, 2),
    () => new Net(), () => [new Net(), { m: new Net() }], () => Object.assign(new Net(), { rate: { a: [1, 2], b: new Date(0).getTime() } }),
  ];
  for (const make of trees) {
    const { sum, traces } = counted();
    const first = sum(make());
    for (let i = 0; i < 3; i++) assert.is(sum(make()), first);
    assert.is(traces(), 1, `${make}`);
  }
});
test("one that is nearly the same is not", () => {
  const rates = { list: [1] };
  const net = Object.assign(new Net(), { rate: rates });
  const symbol = Symbol("s");
  const pairs: readonly (readonly [unknown, unknown])[] = [
    [[x, x], [x, null]], [{ a: x }, { a: x, b: null }], [{ a: x, b: x }, { a: x, c: x }], [{ a: x }, Object.assign(new Map(), { a: x })],
    [new Map([["a", x]]), new Map([["b", x]])], [new Pair(x, x, 1), new Pair(x, x, 2)], [new Net(), Object.assign(new Net(), { more: 1 })],
    [new Net(), Object.assign(new Net(), { [symbol]: 1 })], [new Net(), new Net().eval()], [new Net(), Object.assign(new Net(), { inner: null })],
    [net, Object.assign(net.copy(), { rate: { list: [1, 2] } })], [[x, 1], [x, true]],
  ];
  for (const [a, b] of pairs) {
    const { sum, traces } = counted();
    sum(a);
    sum(a);
    sum(b);
    assert.is(traces(), 2);
  }
});
test("what is changed in place is seen", () => {
  const rates = { list: [1] };
  const net = Object.assign(new Net(), { rate: rates });
  const { sum, traces } = counted();
  const first = sum(net);
  rates.list.push(2);
  assert.is(sum(net), first);
  assert.is(traces(), 2, "static data");
  net.w = np.array([2, 3]);
  assert.is(sum(net), first + 2);
  assert.is(traces(), 2, "a value is no key");
  (net as unknown as Record<string, unknown>)["more"] = 1;
  assert.is(sum(net), first + 2);
  assert.is(traces(), 3, "an attribute");
});
test("static data that a function changes while it is traced is another key", () => {
  let traces = 0;
  const f = pax.jit((m: Net) => { (m.rate as number[]).push(traces += 1); return m.w.mul((m.rate as number[]).length); });
  const net = Object.assign(new Net(), { rate: [] as number[] });
  assert.equal(f(net).toArray(), [1, 2]);
  assert.equal(f(net).toArray(), [2, 4]);
  assert.is(traces, 2);
});
test("errors of trees are told after the first call too", () => {
  const { sum } = counted();
  const net = new Net();
  sum([net, new Net()]);
  sum([net, net]);
  const list = new nn.Sequential(new nn.Linear(2, 2), new nn.Linear(2, 2));
  sum(list);
  list.modules[1] = list.modules[0]!;
  fails("tree", /are the same Linear/, () => sum(list));
  const twin = new nn.Sequential(new nn.Linear(2, 2), new nn.Linear(2, 2));
  sum(twin);
  (twin.modules[1] as pax.nn.Linear).W = (twin.modules[0] as pax.nn.Linear).W;
  fails("tree", /are the same trainable tensor/, () => sum(twin));
  const hidden = new Net();
  sum(hidden);
  hidden.rate = [x];
  fails("tree", /holds a tensor/, () => sum(hidden));
});
test("thousands of leaves in and out", () => {
  const f = pax.jit((leaves: T[]) => leaves.map((t) => t.add(1)));
  let leaves = Array.from({ length: 1500 }, (_, i) => np.array(i));
  for (let i = 0; i < 3; i++) leaves = f(leaves);
  assert.equal(leaves.map((t) => t.item()), Array.from({ length: 1500 }, (_, i) => i + 3));
});
test("results have the shape, dtype and weakness of the function's", () => {
  const f = (a: T): T[] => [a.mul(2), a.sum(), a.greater(1), a.argmax(), np.array(3), a.astype("float16"), a.reshape([1, 2])];
  const weak = (a: T): T => a.mul(2);
  const compiled = pax.jit(f);
  for (let i = 0; i < 2; i++) {
    assert.equal(compiled(x).map((t) => [t.shape, t.dtype, t.toArray()]), f(x).map((t) => [t.shape, t.dtype, t.toArray()]));
    assert.is(pax.jit(weak)(3).add(np.ones([], { dtype: "float16" })).dtype, "float16", "a weak result takes the dtype of what it meets");
  }
  const shape = compiled(x)[0]!.shape as number[];
  assert.throws(() => { shape[0] = 7; }, /read only|Cannot assign/);
});
test("item() of each dtype", () => {
  for (const dtype of ["float32", "float64", "float16", "bfloat16", "int32", "uint8", "uint32"] as const) assert.is(np.array([[3]], { dtype }).item(), 3, dtype);
  assert.is(np.array(0.1, { dtype: "float64" }).item(), 0.1);
  assert.is(np.array(0.1).item(), Math.fround(0.1));
  assert.is(np.array([4294967295], { dtype: "uint32" }).item(), 4294967295);
  assert.is(np.array(9007199254740993n).item<bigint>(), 9007199254740993n);
  assert.is(np.array(true).item<boolean>(), true);
  assert.ok(Number.isNaN(np.array(NaN).item()));
  assert.is(Object.is(np.array(-0).item(), -0), true);
});

const donated = (t: T): boolean => { try { t.add(0); return false; } catch (e) { assert.match((e as Error).message, /donated to/); return true; } };
test("a leaf that is there twice among donated arguments stays", () => {
  const f = pax.jit((a: { p: T; q: T }, b: T) => [a.p.add(a.q), b.mul(2)], { donateArgnums: 0 });
  for (let i = 0; i < 3; i++) {
    const [twice, both, single, plain] = [x.mul(1), x.mul(10), x.mul(100), x.mul(3)];
    assert.equal(f({ p: twice, q: twice }, plain).map((t) => t.toArray()), [[2, 4], [6, 12]]);
    assert.equal(f({ p: both, q: single }, both).map((t) => t.toArray()), [[110, 220], [20, 40]]);
    assert.equal([twice, both, plain].map((t) => t.toArray()), [[1, 2], [10, 20], [3, 6]], "they are still there, with their values");
    assert.equal([twice, both, plain, single].map(donated), [false, false, false, true]);
  }
});
test("a donated leaf that is a result, a view of another, captured or saved stays right", () => {
  const captured = x.mul(7);
  const f = pax.jit((a: T, b: T) => [a, b.add(captured)], { donateArgnums: [0, 1] });
  for (let i = 0; i < 3; i++) {
    const base = np.arange(4).astype("float32");
    const view = base.reshape([2, 2]).get(0);
    const [same, sum] = f(base, view);
    assert.is(same, base, "an unchanged input comes back");
    assert.equal([base.toArray(), sum!.toArray()], [[0, 1, 2, 3], [7, 15]]);
    assert.equal([donated(base), donated(view)], [false, true]);
  }
  const g = pax.jit((a: T) => a.mul(a), { donateArgnums: 0 });
  const own = captured.mul(1);
  const h = pax.jit((a: T) => a.add(own), { donateArgnums: 0 });
  for (let i = 0; i < 2; i++) assert.equal(h(own).toArray(), [14, 28], "captured by its own program");
  const point = x.mul(1);
  const [value, pull] = pax.vjp((a: T) => g(a), point);
  assert.equal([value.toArray(), pull(np.ones([2]))[0].toArray()], [[1, 4], [2, 4]]);
});
test("a donated operand of a product that is read again behind it", () => {
  const wave = (k: number) => np.sin(np.linspace(0, 128 * 128 * k, 128 * 128).reshape([128, 128]));
  const w = wave(0.7);
  for (const f of [(a: T) => a.matmul(w).add(a), (a: T) => w.matmul(a).mul(a), (a: T) => a.matmul(a).sub(a), (a: T) => a.matmul(a.T).add(a)]) {
    const [compiled, want] = [pax.jit(f, { donateArgnums: 0 }), f(wave(0.3))];
    for (let i = 0; i < 2; i++) {
      const a = wave(0.3);
      near(compiled(a), want, String(f), { atol: 1e-4 });
      assert.is(donated(a), true);
    }
  }
});
test("pax.scope frees results of compiled calls", () => {
  const f = pax.jit((a: T) => [a.add(1), a.add(2)]);
  f(x);
  let first: T | undefined;
  const kept = pax.scope(() => { const [a, b] = f(x); first = a; return b!; });
  assert.equal(kept.toArray(), [3, 4]);
  fails("disposed", /pax\.scope/, () => first!.add(1));
});

test.run();
