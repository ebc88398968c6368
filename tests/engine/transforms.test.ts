import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { stats } from "paxjs/internal";
import { fails } from "../support/fails.js";

const { np, nn } = pax;
const test = suite("transforms");
type T = pax.Tensor;
const near = (a: T, b: number[], tolerance = 1e-5): void => {
  const flat = Array.from(a.dataSync() as Float32Array);
  assert.is(flat.length, b.length);
  flat.forEach((v, i) => assert.ok(Math.abs(v - b[i]!) <= tolerance * (1 + Math.abs(b[i]!)), `${flat} is not ${b}`));
};

test("API.md's Counter prints null and 60", () => {
  class Counter extends pax.Module {
    declare counter: pax.State<T>;
    declare bias: T;
    constructor(start = 0) {
      super();
      this.registerState("counter", np.array(start));
      this.registerParameter("bias", np.array(0.0));
    }
    forward(x: T): T {
      this.counter = this.counter.add(1);
      return this.counter.mul(x).add(this.bias);
    }
  }
  const lossFn = (params: Counter, model: Counter, x: T) => {
    model = model.update(params);
    const loss = np.mean(np.square(x.sub(model.forward(x))));
    return [loss, [loss, model]] as const;
  };
  const net = new Counter(3);
  const [grads, [loss, updated]] = pax.grad(lossFn, { hasAux: true })(net.parameters(), net, np.array(10.0));
  assert.is(grads.counter, null);
  assert.is(grads.bias.item(), 60);
  assert.is(loss.item(), 900);
  assert.is(updated.counter.item(), 4);
  assert.is(net.counter.item(), 3);
});
test("values are concrete inside grad", () => {
  const f = (x: T): T => (x.item() > 0 ? x.mul(x) : x.neg());
  assert.is(pax.grad(f)(3).item(), 6);
  assert.is(pax.grad(f)(-3).item(), -1);
});
test("grad of grad, vmap of grad, grad of vmap", () => {
  const cube = (x: T): T => x.mul(x).mul(x);
  assert.is(pax.grad(pax.grad(cube))(2).item(), 12);
  near(pax.vmap(pax.grad(cube))(np.array([1, 2, 3])), [3, 12, 27]);
  near(pax.grad((x: T) => pax.vmap(cube)(x).sum())(np.array([1, 2, 3])), [3, 12, 27]);
});
test("captured tensors of outer levels are differentiated", () => {
  const g = pax.grad((x: T) => pax.grad((y: T) => y.mul(y).mul(x))(3))(2);
  assert.is(g.item(), 6);
  const h = pax.grad((x: T) => pax.jit((y: T) => y.mul(x))(np.array(4)).mul(x))(3);
  assert.is(h.item(), 24);
  near(pax.vmap((x: T) => pax.grad((y: T) => y.mul(x).mul(y))(x))(np.array([1, 2])), [2, 8]);
});
test("vjp may be called many times, jvp goes forward", () => {
  const [y, pull] = pax.vjp((a: T, b: T) => a.mul(b), np.array([1, 2]), np.array([3, 4]));
  near(y, [3, 8]);
  for (let i = 0; i < 2; i++) {
    const [da, db] = pull(np.array([1, 10]));
    near(da as T, [3, 40]);
    near(db as T, [1, 20]);
  }
  const [value, tangent] = pax.jvp((a: T) => a.mul(a).sum(), [np.array([1, 2])], [np.array([1, 1])]);
  near(value, [5]);
  near(tangent, [6]);
});
test("jit traces once a key", () => {
  let traces = 0;
  const f = pax.jit((x: T, n: number) => { traces += 1; return x.mul(n); }, { staticArgnums: 1 });
  near(f(np.array([1, 2]), 3), [3, 6]);
  near(f(np.array([5, 6]), 3), [15, 18]);
  assert.is(traces, 1);
  f(np.array([1, 2]), 4);
  assert.is(traces, 2);
  f(np.array([1, 2, 3]), 3);
  assert.is(traces, 3);
  f(np.array([1, 2], { dtype: "float64" }), 3);
  assert.is(traces, 4);
  f(np.array([7, 8]), 3);
  assert.is(traces, 4);
});
test("an unchanged input comes back as the same tensor", () => {
  const x = np.ones([2]);
  const [same, other] = pax.jit((a: T) => [a, a.add(1)])(x) as readonly T[];
  assert.is(same, x);
  near(other!, [2, 2]);
});
test("vmap's axes", () => {
  const x = np.array([[1, 2, 3], [4, 5, 6]]);
  near(pax.vmap((a: T) => a.sum(), { inAxes: 1 })(x), [5, 7, 9]);
  near(pax.vmap((a: T) => a.sum(), { inAxes: -2 })(x), [6, 15]);
  const out = pax.vmap((a: T, b: T) => a.add(b), { inAxes: [0, null], outAxes: -1 })(x, np.array([10, 20, 30]));
  assert.equal(out.shape, [3, 2]);
  near(out, [11, 14, 22, 25, 33, 36]);
  const [mapped, shared] = pax.vmap((a: T, b: T) => [a.mul(2), b.mul(3)], { inAxes: [0, null], outAxes: [0, null] })(x, np.array(2)) as readonly T[];
  assert.equal(mapped!.shape, [2, 3]);
  assert.is(shared!.item(), 6);
});
test("vmap matches axes with arguments by key", () => {
  class Affine extends pax.Module {
    weight = pax.parameter(np.array([[1, 2], [3, 4], [5, 6]]));
    bias = pax.parameter(np.array([10, 20, 30]));
    constructor(readonly size = 7) { super(); }
    forward(x: T): T { return this.weight.mul(x).sum().add(this.bias.sum()); }
  }
  const m = new Affine();
  const forward = (n: Affine, x: T): T => n.forward(x);
  const x = np.array([1, 1]);
  const mixed = [63, 67, 71];
  near(pax.vmap(forward, { inAxes: [{ weight: 0, bias: null }, null] })(m, x), mixed);
  near(pax.vmap(forward, { inAxes: [{ bias: null, weight: 0 }, null] })(m, x), mixed);
  near(pax.vmap(forward, { inAxes: [new Map([["bias", null], ["weight", 0]]), null] })(m, x), mixed);
  near(pax.vmap(forward, { inAxes: [pax.tree.map(() => 0, m), null] })(m, x), [13, 27, 41]);
  near(pax.vmap(forward, { inAxes: [m.replace({ bias: null as never, weight: 0 as never }), null] })(m, x), mixed);
  const [out, map] = pax.vmap((n: Affine) => [n, new Map([["w", n.weight], ["b", n.bias]])], { outAxes: [{ bias: 0, weight: 1 }, { b: -1, w: 1 }] })(m);
  assert.equal([out.weight, map.get("w")!, map.get("b")!].map((t) => t.shape), [[2, 3], [2, 3], [3]]);
  near(pax.vmap((t: Map<unknown, T>) => t.get(0)!.add(t.get("a")!), { inAxes: [new Map<unknown, number | null>([["a", null], [0, 0]])] })(new Map<unknown, T>([[0, x], ["a", np.array(1)]])), [2, 2]);
  near(pax.vmap(([a, b]: T[]) => a!.add(b!), { inAxes: [[0, null]] })([x, np.array(1)]), [2, 2]);
  near(pax.vmap((t: { a: T; b: null }) => t.a, { inAxes: [{ a: 0, b: 0 }] })({ a: x, b: null }), [1, 1]);
  const wrong = (inAxes: unknown, fact: RegExp, path: string, code: pax.ErrorCode = "tree"): void =>
    fails(code, fact, () => pax.vmap(forward, { inAxes: inAxes as never })(m, x), path);
  wrong([{ weight: 0 }, null], /^vmap: inAxes has no axis for `\[0\]\.bias`/, "[0].bias");
  wrong([{ weight: 0, bias: 0, scale: 0 }, null], /^vmap: inAxes has an axis for `\[0\]\.scale`, which is not there/, "[0].scale");
  wrong([[0, null], null], /no axis for `\[0\]\.weight`/, "[0].weight");
  wrong([{ weight: { a: 0 }, bias: 0 }, null], /inAxes has \{"a":0\} for `\[0\]\.weight`: an axis is a whole number/, "[0].weight", "value");
  wrong([0, []], /inAxes has \[\] for `\[1\]`/, "[1]", "value");
  wrong([0, undefined], /inAxes has undefined for `\[1\]`/, "[1]", "value");
  wrong([0, "0"], /inAxes has "0" for `\[1\]`/, "[1]", "value");
  wrong([0, np.array(0)], /for `\[1\]`/, "[1]", "value");
  wrong(0.5, /^vmap: inAxes has 0\.5 for the root/, "", "value");
  wrong([0], /no axis for `\[1\]`/, "[1]");
  wrong({ a: 0 }, /no axis for `\[0\]`/, "[0]");
  const outWrong = (outAxes: unknown, fact: RegExp, code: pax.ErrorCode = "tree"): void => fails(code, fact, () => pax.vmap((n: Affine) => ({ n }), { outAxes: outAxes as never })(m));
  outWrong({ n: { weight: 0 } }, /^vmap: outAxes has no axis for `n\.bias`/);
  outWrong({ n: 0, k: 0 }, /outAxes has an axis for `k`/);
  outWrong([0], /outAxes has no axis for `n`/);
  outWrong(NaN, /outAxes has NaN/, "value");
});
test("vmap matches axes with nodes of a user's class", () => {
  class Pair { constructor(readonly a: T, readonly b: T) {} }
  pax.tree.registerNode(Pair, (p) => [[p.a, p.b], null], (_, [a, b]) => new Pair(a as T, b as T));
  const pair = new Pair(np.array([1, 2]), np.array(10));
  const sum = (p: Pair): T => p.a.add(p.b);
  near(pax.vmap(sum, { inAxes: [[0, null]] })(pair), [11, 12]);
  near(pax.vmap(sum, { inAxes: [new Pair(0 as never, null as never) as never] })(pair), [11, 12]);
});
test("vmap repeats what it returns and does not depend on the mapped argument", () => {
  const [a, b] = [np.array([1, 2, 3]), np.array([[4, 5]])];
  const [same, repeated] = pax.vmap((a, b) => [a, b], { inAxes: [0, null] })(a, b);
  assert.is(same, a);
  assert.equal(repeated.toArray(), [[[4, 5]], [[4, 5]], [[4, 5]]]);
  assert.equal(pax.vmap((_, b) => b, { inAxes: [0, null], outAxes: -1 })(a, b).shape, [1, 2, 3]);
  assert.is(pax.vmap((_, b) => b, { inAxes: [0, null], outAxes: null })(a, b), b);
  near(pax.grad((b: T) => pax.vmap((_, b) => b, { inAxes: [0, null] })(a, b).sum())(b), [3, 3]);
  near(pax.jit((a: T, b: T) => pax.vmap((_, b) => b, { inAxes: [0, null] })(a, b))(a, np.array(2)), [2, 2, 2]);
  fails("shape", /outAxes|axis 3/, () => pax.vmap((_, b) => b, { inAxes: [0, null], outAxes: 3 })(a, b));
});
test("numbers of arguments count from the end if they are negative, and are never ignored", () => {
  const f = (a: T, b: T, c: T): T => a.mul(2).add(b.mul(3)).add(c.mul(5));
  const read = (grads: readonly T[]): number[] => grads.map((g) => g.item());
  assert.equal(read(pax.grad(f, { argnums: [2, 0] })(1, 1, 1)), [5, 2], "in the order of argnums");
  assert.equal(read(pax.grad(f, { argnums: [-1, -3, 1] })(1, 1, 1)), [5, 2, 3]);
  assert.equal(read(pax.grad(f, { argnums: [0, 0, -3] })(1, 1, 1)), [2, 2, 2]);
  assert.is(pax.valueAndGrad(f, { argnums: -2 })(1, 1, 1)[1].item(), 3);
  const consumed = np.ones([2]);
  const donating = pax.jit((a: T, n: number) => a.mul(n), { staticArgnums: -1, donateArgnums: -2 });
  near(donating(consumed, 3), [3, 3]);
  fails("disposed", /argument 0/, () => consumed.add(1));
  const defaulting = pax.jit((a: T, n: number = 2) => a.mul(n), { staticArgnums: 1 });
  assert.equal([defaulting(3).item(), defaulting(3, 5).item()], [6, 15]);
  for (const wrong of [3, -4, 0.5, NaN, "0", null, undefined, [0]]) {
    if (wrong !== undefined) fails("value", /grad: argnums names argument .*, but there are 3/, () => pax.grad(f, { argnums: [wrong] as never })(1, 1, 1));
    fails("value", /valueAndGrad: argnums names/, () => pax.valueAndGrad(f, { argnums: [0, wrong] as never })(1, 1, 1));
    // An argument may have a default, and be left out.
    if (wrong === 3) continue;
    fails("value", /jit: staticArgnums names/, () => pax.jit(f, { staticArgnums: [wrong] as never })(1, 1, 1));
    fails("value", /jit: donateArgnums names/, () => pax.jit(f, { donateArgnums: [0, wrong] as never })(1, 1, 1));
  }
  fails("value", /grad: argnums names argument "0"/, () => pax.grad(f, { argnums: "0" as never })(1, 1, 1));
  fails("value", /jit: staticArgnums names argument -3 again/, () => pax.jit(f, { staticArgnums: [0, -3] as never })(1, 1, 1));
  fails("value", /jit: donateArgnums names argument 1 again/, () => pax.jit(f, { staticArgnums: 1, donateArgnums: 1 as never })(1, 1 as never, 1));
});
test("jvp takes a tangent for each primal", () => {
  const f = (a: T, b: T): T => a.mul(b);
  near(pax.jvp(f, [2, 3], [1, 10])[1], [23]);
  const wrong = (primals: unknown, tangents: unknown, code: pax.ErrorCode, fact: RegExp): void => fails(code, fact, () => pax.jvp(f, primals as never, tangents as never));
  wrong([2, 3], [1], "value", /jvp: there are 2 primals and 1 tangents/);
  wrong([2, 3], [1, 1, 1], "value", /2 primals and 3 tangents/);
  wrong([2, 3], undefined, "value", /2 primals and undefined tangents/);
  wrong(np.ones(2), np.ones(2), "value", /give two arrays/);
  wrong([2, 3], [1, [1]], "tree", /in primal 1/);
  wrong([2, 3], [1, np.ones(2)], "shape", /the tangent is float32\[2\], its value float32\[\]/);
  wrong([np.ones(2), 3], [np.ones(2, { dtype: "float64" }), 1], "dtype", /the tangent is float64\[2\]/);
});
test("a transformation demands a function", () => {
  const model = new nn.Linear(1, 1);
  for (const [name, transform] of Object.entries({ jit: pax.jit, grad: pax.grad, valueAndGrad: pax.valueAndGrad, vmap: pax.vmap })) {
    const given = transform as (f: unknown) => unknown;
    fails("value", new RegExp(`^${name}: it takes a function, not a Linear: pass \\(m, x\\) => m.forward\\(x\\)`), () => given(model));
    for (const wrong of [undefined, null, 3, {}, np.ones(1)]) fails("value", new RegExp(`^${name}: it takes a function, not`), () => given(wrong));
  }
  fails("value", /^vjp: it takes a function/, () => pax.vjp(model as never, 1 as never));
  fails("value", /^jvp: it takes a function/, () => pax.jvp(model as never, [1] as never, [1] as never));
  fails("value", /^checkpoint: it takes a function/, () => pax.checkpoint(model as never)(1 as never));
  fails("value", /^scan: it takes a function/, () => pax.scan(model as never, np.ones(1), np.ones(1)));
});
test("the gradient of a module with state that is no float says how to leave it out", () => {
  class Count extends pax.Module {
    w = pax.parameter(np.array(2));
    count = pax.state(np.array(0, { dtype: "int32" }));
    forward(): T { return this.w.mul(this.w); }
  }
  const model = new Count();
  fails("dtype", /leaf count of argument 0 is int32: .*it is a state: differentiate with respect to `model\.parameters\(\)`.*update\(params\)/, () => pax.grad((m: Count) => m.forward())(model), "count");
  fails("dtype", /make it a state/, () => pax.grad((t: { w: T }) => t.w.sum())({ w: np.arange(3) }), "w");
  assert.is(pax.grad((p: Count, m: Count) => m.update(p).forward())(model.parameters(), model).w.item(), 4);
});
test("weak numbers take the dtype of what they meet", () => {
  assert.is(np.arange(3).add(1).dtype, "int32");
  assert.is(np.array([1], { dtype: "bfloat16" }).mul(0.5).dtype, "bfloat16");
  assert.is(pax.grad((x: T) => x.mul(x))(3).dtype, "float32");
  assert.is(pax.jit((x: T, y: T) => x.mul(y))(np.array(1, { dtype: "float64" }), 2).dtype, "float64");
});
const collect = (): void => {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
};
test("nothing is left of a transformation but its results", () => {
  const x = np.ones([4]);
  const f = (): T => pax.grad((a: T) => a.mul(a).mul(a).sum())(x);
  // A collection in between would free what earlier tests left.
  collect();
  f().dispose();
  const before = stats().handles;
  const g = f();
  assert.is(stats().handles, before + 1);
  g.dispose();
  assert.is(stats().handles, before);
});
test("a donated tensor that is kept holds no result of its call", async () => {
  const f = pax.jit((a: T) => a.mul(2), { donateArgnums: 0 });
  const kept = np.ones([3]);
  const result = (() => new WeakRef(f(kept)))();
  // A WeakRef holds its object until the turn ends.
  await new Promise((done) => { setTimeout(done); });
  collect();
  assert.is(result.deref(), undefined);
  fails("disposed", /donated/, () => kept.add(1));
});

test.run();
