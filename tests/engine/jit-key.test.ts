/** jit's key: each ingredient flipped alone, with the exact number of traces. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { stats } from "paxjs/internal";
import { fails } from "../support/fails.js";
import { warningsOf } from "../support/warnings.js";

const { np, nn } = pax;
const test = suite("jit's key");
type T = pax.Tensor;

/** Among them the one about retraces, which these tests cause on purpose. */
const warnings = warningsOf(test);
test.after.each(() => { assert.is(stats().depth, 0); });

/** A jitted sum of all leaves that counts its traces. */
function counted(): { readonly call: (tree: unknown) => T; readonly traces: () => number } {
  let n = 0;
  const f = pax.jit((tree: object) => {
    n += 1;
    return (pax.tree.leaves<unknown>(tree) as T[]).reduce((sum, x) => sum.add(x.sum()), np.array(0));
  });
  return { call: (tree) => f(tree as object), traces: () => n };
}

/** Each input is another key: called twice, in order and again in order, each is traced once. */
function allDiffer(inputs: readonly unknown[]): void {
  const { call, traces } = counted();
  for (let round = 0; round < 2; round++) {
    inputs.forEach((input, i) => {
      call(input);
      assert.is(traces(), round === 0 ? i + 1 : inputs.length, `input ${i} in round ${round}`);
    });
  }
}
/** All inputs have one key. */
function allSame(inputs: readonly unknown[]): void {
  const { call, traces } = counted();
  for (const input of inputs) call(input);
  assert.is(traces(), 1);
}

const x = np.array([1, 2]);

class Net extends pax.Module {
  w = pax.parameter(np.array([1, 2]));
  count = pax.state(np.array(0));
  inner = new nn.Linear(2, 2, { wInit: (shape) => np.ones(shape) });
  rate: unknown = 1;
}
class Other extends Net {}
const net = new Net();
const withRate = (rate: unknown): Net => { const copy = net.copy(); copy.rate = rate; return copy; };

test("values do not matter", () => allSame([x, np.array([5, -1]), x.mul(3), np.zeros([2])]));
test("tree structure", () => allDiffer([x, [x], [x, x], [[x]], [x, null], [null, x], { a: x }, { b: x }, { a: x, b: null }, { a: [x] }, new Map([["a", x]]), new Map([["b", x]])]));
test("an object's keys are sorted, a Map's are not", () => {
  allSame([{ a: x, b: x }, { b: x, a: x }]);
  allDiffer([new Map([["a", x], ["b", x]]), new Map([["b", x], ["a", x]])]);
});
test("a Map's keys that are objects, by identity", () => {
  const [a, b] = [{ id: 1 }, { id: 1 }];
  const f = pax.jit((m: Map<object, T>) => new Map([...m].map(([key, t]) => [key, t.add(1)] as const)));
  f(new Map([[a, np.array(1)], [b, np.array(10)]]));
  const turned = f(new Map([[b, np.array(20)], [a, np.array(2)]]));
  assert.equal([turned.get(a)!.item(), turned.get(b)!.item()], [3, 21]);
});
test("shape", () => allDiffer([np.ones([2]), np.ones([3]), np.ones([1, 2]), np.ones([2, 1]), np.ones([]), np.ones([0])]));
test("dtype", () => allDiffer((["float32", "float64", "float16", "bfloat16", "int32", "int64", "uint8", "uint32", "bool"] as const).map((dtype) => np.ones([2], { dtype }))));
test("weakness", () => {
  allDiffer([np.array(3), 3, 3n, true]);
  allSame([3, 4.5, -0, NaN]);
});
test("a module's class and its names", () => {
  allDiffer([net, new Other(), net.replace({ inner: new nn.Linear(2, 2, { withBias: false }) }), net.inner]);
  allSame([net, net.copy(), new Net(), net.update(net.parameters())]);
});
test("kinds", () => allDiffer([net, net.freeze(), net.replace({ inner: net.inner.freeze() })]));
test("kinds come back", () => allSame([net, net.freeze().unfreeze()]));
test("train mode", () => {
  allDiffer([net, net.eval(), net.replace({ inner: net.inner.eval() })]);
  allSame([net, net.eval().train()]);
});
test("a static attribute, by value", () => {
  allDiffer([0, -0, 1, "1", true, null, undefined, NaN, [1], [1, 2], { a: 1 }, { a: 2 }, { b: 1 }, [[]], {}].map(withRate));
  allSame([withRate({ a: [1, NaN], b: "x" }), withRate({ b: "x", a: [1, NaN] })]);
});
test("a static attribute that is a function or an instance, by identity", () => {
  const f = (): number => 1;
  const date = new Date(0);
  allDiffer([f, () => 1, date, new Date(0)].map(withRate));
  allSame([withRate(f), withRate(f)]);
});
test("static arguments, by value and by identity", () => {
  let traces = 0;
  const f = pax.jit((a: T, _: unknown) => { traces += 1; return a.mul(2); }, { staticArgnums: 1 });
  const statics: unknown[] = [0, -0, 1, 1n, "1", true, null, undefined, NaN, { n: 1 }, { n: [1] }, [1], [1, 2], nn.relu, () => 1, new Date(0), new Date(0), Symbol("s"), Symbol("s")];
  for (let round = 0; round < 2; round++) {
    statics.forEach((s, i) => {
      f(x, s);
      assert.is(traces, round === 0 ? i + 1 : statics.length, `static ${i} in round ${round}`);
    });
  }
});
test("static data that is equal is one key, and what changes in place is another", () => {
  let traces = 0;
  const f = pax.jit((a: T, config: { factor: number; shape: readonly number[] }) => { traces += 1; return a.mul(config.factor).reshape([...config.shape]); }, { staticArgnums: -1 });
  for (let i = 0; i < 3; i++) assert.equal(f(x, { shape: [2, 1], factor: 2 }).shape, [2, 1]);
  assert.is(traces, 1);
  const config = { factor: 2, shape: [2, 1] };
  f(x, config);
  assert.is(traces, 1);
  config.factor = 3;
  assert.equal(f(x, config).toArray(), [[3], [6]]);
  config.shape.reverse();
  assert.equal(f(x, config).toArray(), [[3, 6]]);
  assert.is(traces, 3);
  assert.match(pax.explainRetrace(f)[1]!, /static argument 1 changes between calls/);
  const loop: unknown[] = [];
  loop.push(loop);
  fails("tree", /contains itself/, () => f(x, loop as never));
});
test("the number of arguments", () => {
  let traces = 0;
  const f = pax.jit((...all: T[]) => { traces += 1; return all[0]!; });
  f(x);
  f(x, x);
  f(x);
  assert.is(traces, 2);
});
test("donated inputs", () => {
  let traces = 0;
  const add = (a: T, b: T): T => { traces += 1; return a.add(b); };
  const [plain, first, both] = [pax.jit(add), pax.jit(add, { donateArgnums: 0 }), pax.jit(add, { donateArgnums: [0, 1] })];
  for (let i = 0; i < 2; i++) {
    assert.equal(plain(x.mul(1), x).toArray(), [2, 4]);
    assert.equal(first(x.mul(1), x).toArray(), [2, 4]);
    assert.equal(both(x.mul(1), x.mul(1)).toArray(), [2, 4]);
  }
  assert.is(traces, 3, "once for each function");
  // A leaf that is there twice is not donated, and is no other key.
  const twice = x.mul(1);
  assert.equal(both(twice, twice).toArray(), [2, 4]);
  assert.equal(twice.toArray(), [1, 2]);
  assert.is(traces, 3);
});
test("a captured tensor is fixed when it is traced", () => {
  let captured = np.array([10, 20]);
  let traces = 0;
  const f = pax.jit((a: T) => { traces += 1; return a.add(captured); });
  assert.equal(f(x).toArray(), [11, 22]);
  captured = np.array([0, 0]);
  assert.equal(f(x).toArray(), [11, 22]);
  assert.is(traces, 1);
});
test("a captured tensor of an open level is not kept", () => {
  let traces = 0;
  const g = pax.grad((a: T) => {
    const f = pax.jit((b: T) => { traces += 1; return b.mul(a).sum(); });
    return f(x).add(f(x));
  });
  assert.equal(g(x).toArray(), [2, 4]);
  assert.equal(g(np.array([5, 5])).toArray(), [2, 4]);
});
test("under grad and vmap it is the same program", () => {
  const { call, traces } = counted();
  call(x);
  assert.equal(pax.grad((a: T) => call(a))(x).toArray(), [1, 1]);
  assert.equal(pax.vmap((a: T) => call(a))(np.ones([3, 2])).toArray(), [2, 2, 2]);
  assert.is(traces(), 1);
});
test("64 programs are kept, the least recently used goes first", () => {
  let traces = 0;
  const f = pax.jit((a: T, n: number) => { traces += 1; return a.mul(n); }, { staticArgnums: 1 });
  const call = (n: number): void => assert.equal(f(x, n).toArray(), [n, 2 * n]);
  for (let n = 0; n < 64; n++) call(n);
  assert.is(traces, 64);
  for (let n = 0; n < 64; n++) call(n);
  assert.is(traces, 64, "all are kept");
  call(0); // used again, so that 1 is the oldest
  call(64);
  assert.is(traces, 65);
  call(0);
  assert.is(traces, 65, "0 was used lately");
  call(1);
  assert.is(traces, 66, "1 had gone");
  call(3);
  assert.is(traces, 66, "2 went for 1, and 3 is there");
  call(2);
  assert.is(traces, 67);
});
test("a function that throws while tracing leaves no program behind", () => {
  let [traces, broken] = [0, true];
  const f = pax.jit((a: T) => {
    traces += 1;
    const y = a.mul(2);
    if (broken) throw new Error("on purpose");
    return y;
  });
  const before = stats().handles;
  for (let i = 1; i <= 3; i++) {
    assert.throws(() => f(x), /on purpose/);
    assert.is(traces, i, "it is traced anew");
    assert.ok(stats().handles <= before);
    assert.is(stats().depth, 0);
  }
  broken = false;
  assert.equal(f(x).toArray(), [2, 4]);
  assert.equal(f(x).toArray(), [2, 4]);
  assert.is(traces, 4);
});
test("one that reads a value or returns what it may not leaves none behind", () => {
  for (const wrong of [(a: T) => a.sum().item(), async (a: T) => a, () => "text", () => ({ a: Symbol("s") })]) {
    let traces = 0;
    const f = pax.jit(((a: T) => { traces += 1; return wrong(a); }) as never);
    const before = stats().handles;
    for (let i = 1; i <= 2; i++) {
      assert.throws(() => f(x as never), (e: unknown) => e instanceof pax.PaxError);
      assert.is(traces, i);
      assert.ok(stats().handles <= before);
    }
  }
});
test("a static number that changes is told of once", () => {
  const f = pax.jit(function step(model: Net) { return model.w; });
  for (let i = 0; i < 10; i++) f(withRate(i));
  const told = warnings.filter((text) => text.includes("step"));
  assert.is(told.length, 1);
  assert.match(told[0]!, /state/);
});

test.run();
