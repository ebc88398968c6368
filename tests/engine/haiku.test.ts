/** Haiku in small: names, runs, random keys, state, loops, transformations of transformed functions, errors. */
import * as pax from "paxjs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fails } from "../support/fails.js";
import { gives, near, same } from "../support/near.js";

const { np, hk, nn, random } = pax;
const test = suite("hk");
type T = pax.Tensor;
const { zeros, ones } = pax.initializers;
const x = np.array([[1, 2, 3], [4, 5, 6]]);
/** The names of a function's parameters. */
const names = (fn: (x: T) => unknown): string[] => Object.entries(hk.transform(fn).init(0, x)).flatMap(([module, bundle]) => Object.keys(bundle).map((name) => `${module}/${name}`));

class Scale extends hk.Module {
  forward(x: T): T { return x.mul(hk.getParameter("s", [], "float32", ones)); }
}
/** Made in its constructor, in its call, and in another method. */
class Nest extends hk.Module {
  first = new Scale();
  readonly list: readonly Scale[];
  readonly chain: pax.hk.Sequential;
  constructor(options: { readonly name?: string } = {}) {
    super(options);
    this.list = [new Scale(), new Scale({ name: "own" })];
    this.chain = new hk.Sequential([new Scale(), (x) => x, new hk.Linear(3)]);
  }
  forward(x: T): T {
    const here = [new Scale(), new Scale()].reduce((y, m) => m.forward(y), x);
    return this.list.reduce((y, m) => m.forward(y), this.chain.forward(this.help(this.first.forward(here))));
  }
  help(x: T): T { return new Scale().forward(x); }
  get offset(): T { return hk.getParameter("offset", [], "float32", zeros); }
}

test("paths: calls, constructors, other methods, accessors, repeats", () => {
  assert.equal(names((x) => { const y = new hk.Linear(2, { name: "head" }).forward(x); return new Scale().forward(new Scale().forward(y)); }).sort(), ["head/b", "head/w", "scale/s", "scale_1/s"]);
  assert.equal(names((x) => new Nest().forward(x)).sort(), [
    "nest/scale/s", "nest/scale_1/s", "nest/~/linear/b", "nest/~/linear/w", "nest/~/own/s", "nest/~/scale/s", "nest/~/scale_1/s", "nest/~/scale_2/s", "nest/~help/scale/s",
  ]);
  assert.equal(names((x) => { const [a, b] = [new Nest(), new Nest({ name: "other" })]; return x.add(a.offset).add(b.offset); }), ["nest/offset", "other/offset"]);
});

test("paths follow the order of making, not that of calling", () => {
  assert.equal(names((x) => { const [a, b] = [new Scale(), new Scale()]; b.forward(x); return a.forward(x); }), ["scale_1/s", "scale/s"]);
  assert.equal(names((x) => { const a = new Scale(); a.forward(x); const b = new Scale(); return b.forward(a.forward(x)); }), ["scale/s", "scale_1/s"]);
});

test("paths of modules in constructors of modules in constructors", () => {
  class Inner extends hk.Module { core = new hk.Linear(2); forward(x: T): T { return this.core.forward(x); } }
  class Outer extends hk.Module {
    readonly parts: Map<string, Inner>;
    constructor() { super(); this.parts = new Map([["a", new Inner()], ["b", new Inner()]]); }
    forward(x: T): T { return this.parts.get("a")!.forward(x).add(this.parts.get("b")!.forward(x)); }
  }
  assert.equal(names((x) => new Outer().forward(x)), ["outer/~/inner/~/linear/w", "outer/~/inner/~/linear/b", "outer/~/inner_1/~/linear/w", "outer/~/inner_1/~/linear/b"]);
  // Its name is found when it is needed: a method that makes nothing may be called before the field is set.
  class Early extends hk.Module {
    readonly state: T;
    readonly core: pax.hk.GRU;
    constructor() { super(); const core = new hk.GRU(3); this.state = core.initialState(2); this.core = core; }
    forward(x: T): T { return this.core.forward(x, this.state)[0]; }
  }
  assert.equal(names((x) => new Early().forward(x)), ["early/~/gru/w_i", "early/~/gru/w_h", "early/~/gru/b"]);
  // A module that was there before is not the constructor's.
  class Wrap extends hk.Module { constructor(readonly inner: Inner) { super(); } forward(x: T): T { return this.inner.forward(x); } }
  assert.equal(names((x) => new Wrap(new Inner()).forward(x)), ["inner/~/linear/w", "inner/~/linear/b"]);
  assert.equal(names((x) => { const m = new hk.Linear(2); return [m.moduleName, m.forward(x)][1]; }), ["linear/w", "linear/b"]);
});

test("a class's name: moduleName, else its own; calls of a method again and of super share parameters", () => {
  const Minified = class e extends hk.Module { static override moduleName = "BatchTool2D"; forward(x: T): T { return x.add(hk.getParameter("b", [], "float32", zeros)); } };
  assert.equal(names((x) => new Minified().forward(x)), ["batch_tool2_d/b"]);
  class HTTPServer2 extends Minified { override forward(x: T): T { return super.forward(new Scale().forward(x)); } }
  assert.equal(names((x) => { const m = new HTTPServer2(); return m.forward(m.forward(x)); }), ["http_server2/scale/s", "http_server2/b"]);
  for (const [cls, name] of [[hk.VanillaRNN, "vanilla_rnn"], [hk.LSTM, "lstm"], [hk.GRU, "gru"]] as const) {
    hk.transform(() => { assert.is(new cls(2).moduleName, name); }).init(null);
  }
  hk.transform(() => { assert.is(new hk.Conv2DTranspose(2, 2).moduleName, "conv2_d_transpose"); assert.is(new hk.LayerNorm(-1, true, true).moduleName, "layer_norm"); }).init(null);
});

test("names that are given win, and repeats are numbered", () => {
  const make = (...given: string[]) => names((x) => given.reduce((y, name) => new Scale({ name }).forward(y), x)).map((name) => name.slice(0, -2));
  assert.equal(make("a", "a", "a"), ["a", "a_1", "a_2"]);
  assert.equal(make("a_1", "a", "a"), ["a_1", "a_2", "a_3"]);
  fails("value", /two modules are named `a_1`/, () => make("a_1", "a_1"), "a_1");
  fails("value", /"a\/b" is no module name/, () => make("a/b"));
  for (const hostile of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    const f = hk.transform((x: T) => new Scale({ name: hostile }).forward(x).add(hk.getParameter(hostile, [], "float32", zeros)));
    const params = f.init(null, x);
    assert.equal(Object.keys(params).sort(), [hostile, "~"].sort());
    assert.equal(Object.keys(params["~"]!), [hostile]);
    same(f.apply(params, null, x), x, hostile);
    const grads = pax.grad((p: pax.hk.Params) => f.apply(p, null, x).sum())(params);
    assert.is(Object.entries(grads).find(([name]) => name === hostile)![1]["s"]!.item(), 21);
  }
});

test("keys of a run are Haiku's PRNGSequence", () => {
  const f = hk.transform((n: T): T[] => [hk.nextRngKey(), ...hk.nextRngKeys(2), hk.getParameter("w", n.shape, "float32", hk.initializers.RandomNormal()), hk.nextRngKey()]);
  let key = random.key(3);
  const want: T[] = [];
  for (const count of [1, 2, 1, 1]) {
    const [next, ...keys] = random.split(key, count + 1);
    key = next!;
    want.push(...keys);
  }
  const params = f.init(3, x);
  same(params["~"]!["w"]!, random.normal(want[3]!, [2, 3]), "drawn with the fourth key");
  const got = f.apply(params, random.key(3), x);
  [0, 1, 2].forEach((i) => same(got[i]!, want[i]!, `key ${i}`));
  same(got[4]!, want[3]!, "a parameter that is there draws no key");
  // pax's own initializers draw from the run too, and not from the global sequence.
  pax.seedRngKey(1);
  const before = hk.transform(() => hk.getParameter("w", [4], "float32", pax.initializers.randomNormal())).init(3);
  pax.seedRngKey(2);
  const after = hk.transform(() => hk.getParameter("w", [4], "float32", pax.initializers.randomNormal())).init(3);
  same(before["~"]!["w"]!, after["~"]!["w"]!, "independent of the global sequence");
});

test("state: init gives the first values, apply the current ones", () => {
  const f = hk.transformWithState((x: T) => {
    const count = hk.getState("count", [], "int32", zeros);
    hk.setState("count", count.add(1));
    hk.setState("last", x.sum());
    hk.setState("last", x.sum().mul(2));
    return count;
  });
  const [params, state] = f.init(null, x);
  assert.equal(params, {});
  assert.is(state["~"]!["count"]!.item(), 0);
  assert.is(state["~"]!["last"]!.item(), 21);
  const [out, next] = f.apply(params, state, null, x);
  assert.is(out.item(), 0);
  assert.equal([next["~"]!["count"]!.item(), next["~"]!["last"]!.item()], [1, 42]);
  assert.is(state["~"]!["count"]!.item(), 0);
  // A batch that init saw is in no average.
  const norm = hk.transformWithState((x: T) => new hk.BatchNorm(true, true, 0.9).forward(x, true));
  for (const ema of Object.values(norm.init(null, x)[1])) assert.equal([ema["average"]!, ema["hidden"]!].map((t) => t.toArray()), [[[0, 0, 0]], [[0, 0, 0]]]);
});

test("runs nest, and an error leaves no run behind", () => {
  const inner = hk.transform((x: T) => new Scale().forward(x));
  const outer = hk.transform((x: T) => new Scale({ name: "outer" }).forward(inner.apply({ scale: { s: np.array(3) } }, null, x)));
  assert.equal(Object.keys(outer.init(null, x)), ["outer"]);
  same(outer.apply({ outer: { s: np.array(2) } }, null, x), x.mul(6), "value");
  assert.throws(() => hk.transform(() => { new Scale(); throw new Error("mine"); }).init(null), /mine/);
  fails("trace", /must be used inside hk\.transform/, () => hk.getParameter("w", []));
});

test("grad, jit, vmap and their nests of a transformed function", () => {
  class Net extends hk.Module {
    forward(x: T): T { return new hk.Linear(2).forward(np.tanh(new hk.Linear(4).forward(new hk.LayerNorm(-1, true, true).forward(x)))); }
  }
  const f = hk.withoutApplyRng(hk.transform((x: T) => new Net().forward(x)));
  const params = f.init(1, x);
  const loss = (p: pax.hk.Params, x: T): T => f.apply(p, x).mul(f.apply(p, x)).sum();
  const grads = pax.grad(loss)(params, x);
  // By central differences, in every element of one of the weights.
  const w = params["net/linear"]!["w"]!;
  const flat = Array.from(w.dataSync(), Number);
  const at = (i: number, h: number): number => loss({ ...params, "net/linear": { ...params["net/linear"], w: np.array(flat.map((v, k) => (k === i ? v + h : v))).reshape(w.shape) } }, x).item();
  near(grads["net/linear"]!["w"]!, np.array(flat.map((_, i) => (at(i, 1e-2) - at(i, -1e-2)) / 2e-2)).reshape(w.shape), "gradient", { rtol: 2e-2, atol: 2e-2 });
  const jitted = pax.jit(pax.grad(loss))(params, x);
  for (const [a, b] of pax.tree.zip(jitted, grads)) near(a, b, "jit", { rtol: 1e-5, atol: 1e-5 });
  near(pax.vmap((x: T) => f.apply(params, x))(x), f.apply(params, x), "vmap");
  near(pax.vmap((p: pax.hk.Params, x: T) => f.apply(p, x), { inAxes: [null, 0] })(params, x), f.apply(params, x), "vmap beside parameters");
  const perExample = pax.jit(pax.vmap(pax.grad((p: pax.hk.Params, x: T) => loss(p, x)), { inAxes: [null, 0] }))(params, x);
  for (const [each, all] of pax.tree.zip(perExample, grads)) near(each.sum(0), all, "sum of gradients", { rtol: 1e-4, atol: 1e-4 });
  // init itself is a pure function of its key.
  const made = pax.jit((key: T) => f.init(key, x))(random.key(1));
  for (const [a, b] of pax.tree.zip(made, params)) near(a, b, "init under jit");
  const ensemble = pax.vmap((key: T) => f.init(key, x))(np.stack(random.split(random.key(5), 3)));
  assert.equal(ensemble["net/linear_1"]!["w"]!.shape, [3, 3, 4]);
});

test("dropout and other keys in apply", () => {
  const f = hk.transform((x: T) => hk.dropout(hk.nextRngKey(), 0.5, x));
  const params = f.init(0, x);
  same(f.apply(params, random.key(9), x), nn.dropout(random.split(random.key(9))[1]!, 0.5, x), "Haiku's key");
});

test("initial values: distribution and spread of each layer", () => {
  const spread = (t: T): number => np.std(t).item();
  const cut = 0.87962566103423978; // the deviation of a normal distribution cut at two deviations
  const init = (fn: (x: T) => unknown, x: T): pax.hk.Params => hk.transform(fn).init(0, x);
  const is = (t: T, deviation: number, bound: number, what: string): void => {
    assert.ok(Math.abs(spread(t) / deviation - 1) < 0.03, `${what}: deviation ${spread(t)} for ${deviation}`);
    assert.ok(Math.abs(np.mean(t).item()) < 0.03 * deviation, `${what}: mean`);
    const greatest = np.max(np.abs(t)).item();
    assert.ok(greatest <= bound && greatest > 0.95 * bound, `${what}: greatest ${greatest} for ${bound}`);
  };
  const all = (params: pax.hk.Params, value: number, module: string, name: string): void => same(params[module]![name]!, np.full(params[module]![name]!.shape, value), `${module}/${name}`);
  const linear = init((x) => new hk.Linear(300).forward(x), np.zeros([1, 100]));
  is(linear["linear"]!["w"]!, cut / 10, 2 / 10, "Linear");
  all(linear, 0, "linear", "b");
  const conv = init((x) => new hk.Conv2D(200, 5, { featureGroupCount: 2 }).forward(x), np.zeros([1, 5, 5, 8]));
  is(conv["conv2_d"]!["w"]!, cut / 10, 2 / 10, "Conv2D");
  all(conv, 0, "conv2_d", "b");
  is(init((x) => new hk.Conv1DTranspose(200, 5).forward(x), np.zeros([1, 5, 20]))["conv1_d_transpose"]!["w"]!, cut / 10, 2 / 10, "Conv1DTranspose");
  const lstm = init((x) => { const m = new hk.LSTM(50); return m.forward(x, m.initialState(1)); }, np.zeros([1, 50]));
  is(lstm["lstm/linear"]!["w"]!, cut / 10, 2 / 10, "LSTM");
  const gru = init((x) => { const m = new hk.GRU(100); return m.forward(x, m.initialState(1)); }, np.zeros([1, 100]));
  for (const name of ["w_i", "w_h"]) is(gru["gru"]![name]!, 1 / 10, 2 / 10 / cut, `GRU ${name}`);
  all(gru, 0, "gru", "b");
  is(init((x) => new hk.Embed(200, 100).forward(x), np.zeros([1], { dtype: "int32" }))["embed"]!["embeddings"]!, cut, 2, "Embed");
  const norms = init((x) => [new hk.LayerNorm(-1, true, true).forward(x)], x);
  all(norms, 1, "layer_norm", "scale");
  all(norms, 0, "layer_norm", "offset");
  const drawn = (initializer: pax.hk.initializers.Initializer): T => hk.transform(() => hk.getParameter("w", [200, 100], "float32", initializer)).init(0)["~"]!["w"]!;
  const { initializers: i } = hk;
  assert.ok(Math.abs(spread(drawn(i.RandomNormal(0.5, 3))) - 0.5) < 0.01 && Math.abs(np.mean(drawn(i.RandomNormal(0.5, 3))).item() - 3) < 0.02);
  is(drawn(i.RandomUniform(-2, 2)), 2 / Math.sqrt(3), 2, "RandomUniform");
  is(drawn(i.VarianceScaling(2, "fan_avg", "uniform")), Math.sqrt(2 / 150), Math.sqrt(6 / 150), "VarianceScaling");
  assert.ok(np.max(drawn(i.TruncatedNormal(1, 0, -1, 0.5))).item() <= 0.5 && np.min(drawn(i.TruncatedNormal(1, 0, -1, 0.5))).item() >= -1);
  same(drawn(i.Constant(3)), np.full([200, 100], 3), "Constant");
  same(drawn(i.Identity(2)), np.eye(200, 100).mul(2), "Identity");
});

test("layers: options that the golden cases leave out", () => {
  const run = (fn: (x: T) => T, x: T): T => { const f = hk.transform(fn); return f.apply(f.init(0, x), null, x); };
  const image = random.normal(random.key(1), [2, 5, 6, 3]);
  const first = (t: T): T => t.transpose([0, 3, 1, 2]);
  // Channels first, masks, single examples and explicit padding are the plain case in another form.
  const plain = run((x) => new hk.Conv2D(4, 3).forward(x), image);
  near(run((x) => new hk.Conv2D(4, 3, { dataFormat: "NCHW" }).forward(x), first(image)), first(plain), "NCHW");
  near(run((x) => new hk.Conv2D(4, 3, { padding: [1, 1] }).forward(x), image), plain, "one pair");
  near(run((x) => new hk.Conv2D(4, 3).forward(x.take(1, 0)), image), plain.take(1, 0), "a single example");
  near(run((x) => new hk.Conv2D(4, 3, { mask: np.zeros([3, 3, 3, 4]) }).forward(x), image), np.zeros([2, 5, 6, 4]), "a mask");
  const spread = run((x) => new hk.Conv2DTranspose(4, 3, { stride: 2 }).forward(x), image);
  near(run((x) => new hk.Conv2DTranspose(4, 3, { stride: 2, dataFormat: "NCHW" }).forward(x), first(image)), first(spread), "transposed NCHW");
  assert.equal(Object.values(hk.transform((x: T) => new hk.Conv2D(4, 3, { dataFormat: "NCHW" }).forward(x)).init(0, first(image)))[0]!["b"]!.shape, [4, 1, 1]);
  // A VanillaRNN by its formula.
  const rnn = hk.transform((x: T) => new hk.VanillaRNN(4).forward(x, np.ones([2, 4]))[0]);
  const p = rnn.init(0, x);
  const [a, b] = [p["vanilla_rnn/linear"]!, p["vanilla_rnn/linear_1"]!];
  near(rnn.apply(p, null, x), nn.relu(x.matmul(a["w"]!).add(a["b"]!).add(np.ones([2, 4]).matmul(b["w"]!)).add(b["b"]!)), "VanillaRNN");
  // Norms whose scale and offset are given at the call, and over other axes.
  near(run((x) => new hk.LayerNorm(-1, false, false).forward(x, { scale: np.array(2), offset: np.array(1) }), x), np.array([[-1.4494714, 1, 3.4494714], [-1.4494714, 1, 3.4494714]]), "LayerNorm", { rtol: 1e-4 });
  assert.equal(hk.transform((x: T) => new hk.LayerNorm([1, 2], true, true, { paramAxis: [2, 3] }).forward(x)).init(0, image)["layer_norm"]!["scale"]!.shape, [1, 1, 6, 3]);
  const norm = hk.transformWithState((x: T, training: boolean) => new hk.BatchNorm(false, false, 0.9, { dataFormat: "channels_first" }).forward(x, training, { testLocalStats: true }));
  const [, state] = norm.init(null, first(image), true);
  const [y, next] = norm.apply({}, state, null, first(image), false);
  near(y.mean([0, 2, 3]), np.zeros([3]), "local statistics", { atol: 1e-5 });
  assert.ok(pax.tree.equal(next, state));
  // An average with a warm-up: the last value of the warm-up, then the usual step.
  const ema = hk.transformWithState((x: T) => new hk.ExponentialMovingAverage(0.75, { zeroDebias: false, warmupLength: 2 }).forward(x));
  let emaState = ema.init(null, np.array(0))[1];
  assert.equal([8, 4, 12].map((v) => { const [out, s] = ema.apply({}, emaState, null, np.array(v)); emaState = s; return out.item(); }), [8, 4, 6]);
});

test("attention, RMSNorm, Flatten and Reshape give dm-haiku 0.0.17's numbers", () => {
  const wave = (shape: readonly number[], step: number): T => np.cos(np.arange(shape.reduce((a, b) => a * b, 1)).astype("float32").mul(step)).reshape(shape);
  /** The names and shapes of the parameters, the sum of squares with those of key 42, and the result with sin(0.7 i). */
  const run = (fn: () => T): readonly [names: Record<string, readonly number[]>, squares: T, result: T] => {
    const f = hk.withoutApplyRng(hk.transform(fn));
    const params = f.init(42);
    const shapes = Object.fromEntries(Object.entries(params).flatMap(([module, own]) => Object.entries(own).map(([name, t]) => [`${module}/${name}`, t.shape])));
    // JAX's order of leaves: sorted by name.
    let next = 0;
    const filled = pax.tree.map((t: T) => {
      next += t.size;
      return np.sin(np.arange(next - t.size, next).astype("float32").mul(0.7)).reshape(t.shape);
    }, params);
    return [shapes, np.square(f.apply(params)).sum(), f.apply(filled)];
  };
  const check = (fn: () => T, names: Record<string, readonly number[]>, squares: number, shape: readonly number[], first: readonly number[], sum: number): void => {
    const [shapes, own, y] = run(fn);
    assert.equal(shapes, names);
    gives(own, squares, "squares");
    assert.equal(y.shape, shape);
    gives(y.ravel().get(np.slice(0, first.length)), first, "first elements", { atol: 5e-6 });
    gives(y.sum(), sum, "sum", { atol: 1e-5 });
  };
  const [q, k] = [wave([2, 3, 4], 0.3), wave([2, 5, 4], 0.5)];
  const mask = np.mod(np.arange(30), 4).notEqual(0).reshape([2, 1, 3, 5]);
  const wInit = hk.initializers.VarianceScaling(1);
  check(() => new hk.MultiHeadAttention(2, 3, { wInit, valueSize: 4, modelSize: 5 }).forward(q, k, k, mask), {
    "multi_head_attention/query/w": [4, 6], "multi_head_attention/query/b": [6], "multi_head_attention/key/w": [4, 6], "multi_head_attention/key/b": [6],
    "multi_head_attention/value/w": [4, 8], "multi_head_attention/value/b": [8], "multi_head_attention/linear/w": [8, 5], "multi_head_attention/linear/b": [5],
  }, 2.655705, [2, 3, 5], [1.68105, 0.5496016, -0.8403333, -1.8350464, -1.9667083, 2.0778339, 0.8005517, -0.853242], -11.461047);
  check(() => new hk.MultiHeadAttention(2, 3, { wInit, withBias: false }).forward(q, k, k), {
    "multi_head_attention/query/w": [4, 6], "multi_head_attention/key/w": [4, 6], "multi_head_attention/value/w": [4, 6], "multi_head_attention/linear/w": [6, 6],
  }, 3.9236395, [2, 3, 6], [-0.0057659, -0.0324161, -0.0438205, -0.0346155, -0.0091302, 0.0206491], -0.2105636);
  check(() => new hk.RMSNorm(-1).forward(q), { "rms_norm/scale": [4] }, 23.9992586, [2, 3, 4], [0, 0.7130008, 0.9422499, 0.6216345, 0, 0.1369583], 1.2909318);
  check(() => new hk.RMSNorm([1, 2], { eps: 1e-3, paramAxis: [1, 2] }).forward(q), { "rms_norm/scale": [1, 3, 4] }, 23.9560566, [2, 3, 4], [0, 0.8205114, 1.0843281, 0.7153683], -0.3208231);
  check(() => new hk.Linear(2).forward(new hk.Flatten().forward(q)), { "linear/w": [12, 2], "linear/b": [2] }, 0.3139412, [2, 2], [0.7258426, 1.3477911, -0.6491768, 0.0652872], 1.4897441);
  const shaped = (x: T, shape: readonly number[], preserveDims?: number): readonly number[] =>
    hk.withoutApplyRng(hk.transform(() => new hk.Reshape(shape, preserveDims === undefined ? {} : { preserveDims }).forward(x))).apply({}).shape;
  assert.equal([shaped(q, [-1, 2]), shaped(q, [2, 2], 2), shaped(q, [3, -1]), shaped(q, [7], 3)], [[2, 6, 2], [2, 3, 2, 2], [2, 3, 4], [2, 3, 4]]);
  assert.equal(shaped(np.zeros([0, 3, 4]), [-1]), [0, 12]);
  fails("shape", /reshape/, () => shaped(q, [5, -1]));
});

test("averages of a constant are the constant, at each step and in each dtype", () => {
  for (const [dtype, decay, value, rtol] of [
    ["float32", 0.9999, 1.2345679, 2e-7], ["float32", 0.999, 1.2345679, 2e-7], ["float64", 0.999, 1.2345678901234567, 2e-15],
    ["float16", 0.99, 1.5, 2e-3], ["bfloat16", 0.99, 1.5, 1e-2], ["bfloat16", 0.999, 1.5, 1e-2],
  ] as const) {
    const x = np.array(value, { dtype });
    const f = hk.transformWithState((x: T) => new hk.ExponentialMovingAverage(decay).forward(x));
    let [, state] = f.init(null, x);
    for (let i = 1; i <= 3; i++) {
      let out: T;
      [out, state] = f.apply({}, state, null, x);
      assert.is(out.dtype, dtype);
      assert.ok(Math.abs(out.item() - value) <= rtol * value, `${dtype}, ${decay}, step ${i}: ${out.item()}`);
    }
  }
  // The sum of the weights is 1 in the end, too.
  const f = hk.transformWithState((x: T) => new hk.ExponentialMovingAverage(0.9999).forward(x));
  const step = pax.jit((s: pax.hk.State) => pax.scan((s: pax.hk.State) => [f.apply({}, s, null, np.array(1.5))[1], null], s, null, { length: 50_000 })[0]);
  const [hidden, counter] = [np.array(1.5), np.array(1_000_000, { dtype: "int32" })];
  near(step({ exponential_moving_average: { hidden, counter, average: hidden } })["exponential_moving_average"]!["average"]!, hidden, "after 50,000 steps", { rtol: 2e-5, atol: 0 });
  const norm = new nn.BatchNorm([null, 1], true, true, 0.9999);
  norm.forward(np.array([[1.2345679], [1.2345679]]));
  near(norm.mean, np.array([[1.2345679]]), "BatchNorm's mean", { rtol: 2e-7, atol: 0 });
});

test("an average that is not to be updated has no state `average`", () => {
  const f = hk.transformWithState((x: T) => new hk.ExponentialMovingAverage(0.9).forward(x, { updateStats: false }));
  assert.equal(Object.keys(f.init(null, x)[1]["exponential_moving_average"]!), ["counter", "hidden"]);
});

test("an arrow field `forward` is refused: nobody knows whose parameters it makes", () => {
  class Arrow extends hk.Module { forward = (x: T): T => x.mul(hk.getParameter("w", [], "float32", pax.initializers.ones)); }
  assert.throws(() => hk.transform((x: T) => new Arrow().forward(x)).init(pax.random.key(0), x), /`forward` of Arrow must be a method/);
});

test("scan carries state and keys, and makes parameters once", () => {
  class Step extends hk.Module {
    forward(carry: T, x: T): [T, T] {
      const count = hk.getState("count", [], "int32", zeros);
      hk.setState("count", count.add(1));
      const y = new hk.Linear(3).forward(x).add(carry).add(random.normal(hk.nextRngKey(), [3])).mul(count.add(1));
      return [y, y];
    }
  }
  const looped = hk.transformWithState((xs: T, reverse: boolean) => { const m = new Step(); return hk.scan((c: T, x: T) => m.forward(c, x), np.zeros([3]), xs, { reverse }); });
  const byHand = hk.transformWithState((xs: T, reverse: boolean) => {
    const m = new Step();
    let carry = np.zeros([3]);
    const ys: T[] = new Array<T>(xs.shape[0]!);
    for (let k = 0; k < ys.length; k++) {
      const i = reverse ? ys.length - 1 - k : k;
      [carry, ys[i]] = m.forward(carry, xs.take(i, 0));
    }
    return [carry, np.stack(ys)] as const;
  });
  const xs = random.normal(random.key(4), [5, 3]);
  for (const reverse of [false, true]) {
    const [params, state] = looped.init(0, xs, reverse);
    assert.ok(pax.tree.equal([params, state], byHand.init(0, xs, reverse)), "init");
    assert.equal(Object.keys(params), ["step/linear"]);
    const [[last, ys], after] = looped.apply(params, state, 7, xs, reverse);
    const [[wanted, all], wantedAfter] = byHand.apply(params, state, 7, xs, reverse);
    near(last, wanted, "carry", { rtol: 1e-5 });
    near(ys, all, "ys", { rtol: 1e-5 });
    assert.equal(after["step"]!["count"]!.item(), 5);
    assert.ok(pax.tree.equal(after, wantedAfter), "state");
    const grads = (f: typeof looped | typeof byHand): pax.hk.Params => pax.grad((p: pax.hk.Params) => f.apply(p, state, 7, xs, reverse)[0][1].sum())(params);
    for (const [a, b] of pax.tree.zip(grads(looped), grads(byHand as never))) near(a, b, "gradient", { rtol: 1e-4, atol: 1e-4 });
  }
  // Modules made in the step have the same names in each, and those made after the loop other ones.
  const inside = hk.transform((xs: T) => new hk.Linear(1).forward(hk.scan((c: T, x: T) => [c, new hk.Linear(2).forward(x)], np.array(0), xs)[1]));
  const params = inside.init(0, xs);
  assert.equal(Object.entries(params).map(([name, p]) => `${name} ${p["w"]!.shape}`), ["linear_1 3,2", "linear 2,1"]);
  assert.equal(inside.apply(params, null, xs).shape, [5, 1]);
  assert.equal(looped.init(0, np.zeros([0, 3]), false)[0]["step/linear"]!["w"]!.shape, [3, 3]);
  fails("tree", /params have no `late`/, () => hk.transform((xs: T) => {
    let first = true;
    return hk.scan((c: T, x: T) => { if (!first) hk.getParameter("late", [], "float32", zeros); first = false; return [c, x]; }, np.array(0), xs);
  }).init(0, xs), "~/late");
});

test("dynamicUnroll: time or batch first, backwards, every state, functions as cores", () => {
  const xs = random.normal(random.key(2), [4, 2, 3]);
  const run = (options: Parameters<typeof hk.dynamicUnroll>[3], given: T) => {
    const f = hk.transform((xs: T) => { const core = new hk.GRU(3); return hk.dynamicUnroll(core, xs, core.initialState(2), options); });
    return f.apply(f.init(0, given), null, given);
  };
  const swap = (t: T): T => t.swapaxes(0, 1);
  const [ys, last] = run({}, xs);
  assert.equal([ys.shape, last.shape], [[4, 2, 3], [2, 3]]);
  same(ys.take(3, 0), last, "the last output is the state");
  const [batch, batchLast] = run({ timeMajor: false }, swap(xs));
  near(swap(batch), ys, "batch first");
  near(batchLast, last, "last");
  const [, states] = run({ timeMajor: false, returnAllStates: true }, swap(xs));
  near(states, batch, "a GRU's states are its outputs");
  const [back] = run({ reverse: true }, xs);
  near(back, run({}, xs.flip(0))[0].flip(0), "reverse");
  // Outside of hk.transform, with a function: running sums.
  const [sums, total] = hk.dynamicUnroll((x: T, s: T) => [s.add(x), s.add(x)] as const, np.array([1, 2, 3]), np.array(0));
  assert.equal([sums.toArray(), total.item()], [[1, 3, 6], 6]);
  // One loop, not its steps: the program is as long for 40 steps as for 4.
  const f = hk.transform((xs: T) => { const core = new hk.LSTM(3); return hk.dynamicUnroll(core, xs, core.initialState(2)); });
  const params = f.init(0, xs);
  const lines = (n: number): number => String(pax.makeProgram((xs: T) => f.apply(params, null, xs))(np.zeros([n, 2, 3]))).split("\n").length;
  assert.is(lines(40), lines(4));
});

test("errors name the module", () => {
  const linear = hk.transform((x: T) => new Nest().forward(x));
  fails("trace", /getParameter must be used inside hk\.transform/, () => hk.getParameter("w", [1]));
  fails("trace", /getState must be used inside hk\.transform/, () => hk.getState("w"));
  fails("trace", /setState must be used inside hk\.transform/, () => hk.setState("w", 1));
  fails("trace", /nextRngKey must be used inside hk\.transform/, () => hk.nextRngKey());
  fails("trace", /new Linear must be used inside hk\.transform/, () => new hk.Linear(3));
  let kept: Scale | null = null;
  hk.transform(() => { kept = new Scale(); }).init(null);
  fails("trace", /`forward` of Scale must be used inside hk\.transform/, () => kept!.forward(x));
  const params = linear.init(0, x);
  fails("tree", /params have no `w` of module `nest\/~\/linear`/, () => linear.apply({ ...params, "nest/~/linear": {} }, null, x), "nest/~/linear/w");
  fails("tree", /params have no `s` of module `nest\/scale`/, () => linear.apply({}, null, x), "nest/scale/s");
  fails("shape", /`nest\/~\/linear\/w` has shape \[3, 3\], but the shape asked for is \[2, 3\]/, () => linear.apply(params, null, x.T), "nest/~/linear/w");
  fails("shape", /`~\/w` has shape \[2\], but the shape asked for is \[3\]/, () => hk.transform(() => { hk.getParameter("w", [2], "float32", zeros); hk.getParameter("w", [3], "float32", zeros); }).init(null), "~/w");
  fails("shape", /`~\/w` has shape \[7\]/, () => hk.transform(() => hk.getParameter("w", [2], "float32", () => np.zeros([7]))).init(null), "~/w");
  fails("value", /`~\/w` needs an initializer/, () => hk.transform(() => hk.getParameter("w", [2])).init(null), "~/w");
  fails("value", /module `linear` needs random numbers, but `init` was given null/, () => hk.transform((x: T) => new hk.Linear(2).forward(x)).init(null, x), "linear");
  fails("value", /module `~` needs random numbers, but `apply` was given null/, () => hk.transform(() => hk.nextRngKey()).apply({}, null), "~");
  fails("tree", /no `average` in the state of module `batch_norm\/~\/mean_ema`/, () => hk.transformWithState((x: T) => new hk.BatchNorm(true, true, 0.9).forward(x, false)).init(null, x), "batch_norm/~/mean_ema/average");
  fails("value", /module `batch_norm\/~\/mean_ema` has state: use hk\.transformWithState/, () => hk.transform((x: T) => new hk.BatchNorm(true, true, 0.9).forward(x, true)).init(null, x), "batch_norm/~/mean_ema");
  fails("value", /init takes an rng.*`init\(rng, \.\.\.args\)`, got float32\[2, 3\]/, () => (linear.init as (x: T) => unknown)(x));
  fails("value", /apply takes an rng.*`apply\(params, rng, \.\.\.args\)`/, () => (linear.apply as (p: unknown, x: T) => unknown)(params, x));
  fails("tree", /params must be objects of objects of tensors, as `init` gives them; linear is not/, () => linear.apply({ linear: 3 } as never, null, x), "linear");
  fails("trace", /hk\.getParameter changes `~\/w` inside `grad`, which began inside hk\.transform/, () => hk.transform((x: T) => pax.grad((x: T) => x.mul(hk.getParameter("w", [2, 3], "float32", ones)).sum())(x)).init(null, x), "~/w");
  fails("trace", /hk\.setState changes `~\/n` inside `vmap`/, () => hk.transformWithState((x: T) => pax.vmap((x: T) => { hk.setState("n", x.sum()); return x; })(x)).apply({}, {}, null, x), "~/n");
  fails("trace", /hk\.nextRngKey changes `rng` inside `jit`/, () => hk.transform((x: T) => pax.jit((x: T) => hk.dropout(hk.nextRngKey(), 0.5, x))(x)).apply({}, 0, x), "rng");
  fails("shape", /the input of `linear` must not be a scalar/, () => hk.transform(() => new hk.Linear(2).forward(1)).init(0), "linear");
  fails("shape", /the input of `lstm` must have 1 or 2 axes, got shape \[2, 3, 4\]/, () => hk.transform((x: T) => { const m = new hk.LSTM(2); return m.forward(x, m.initialState(2)); }).init(0, np.zeros([2, 3, 4])), "lstm");
  fails("shape", /hk\.Conv2D takes \[n, height, width, channels\] or one example \[height, width, channels\], got shape \[2, 3\]/, () => hk.transform((x: T) => new hk.Conv2D(2, 3).forward(x)).init(0, x));
  fails("shape", /3 and 4 channels of `conv1_d` do not divide into 2 groups/, () => hk.transform((x: T) => new hk.Conv1D(4, 3, { featureGroupCount: 2 }).forward(x)).init(0, np.zeros([1, 4, 3])), "conv1_d");
  fails("shape", /the mask of `conv1_d` has shape \[1\]/, () => hk.transform((x: T) => new hk.Conv1D(4, 3, { mask: np.zeros([1]) }).forward(x)).init(0, np.zeros([1, 4, 3])), "conv1_d");
  fails("shape", /an outputShape of 9 needs an input of 5, got 6/, () => hk.transform((x: T) => new hk.Conv1DTranspose(4, 3, { stride: 2, outputShape: 9 }).forward(x)).init(0, np.zeros([1, 6, 3])));
  fails("value", /with an outputShape, padding is "SAME" or "VALID"/, () => hk.transform((x: T) => new hk.Conv1DTranspose(4, 3, { outputShape: 6, padding: [1, 1] }).forward(x)).init(0, np.zeros([1, 6, 3])));
  fails("value", /padding must be "SAME" or "VALID", got "FULL"/, () => hk.maxPool(np.zeros([1, 4, 1]), 2, 2, "FULL" as never));
  fails("value", /`batch_norm` has a scale or offset of its own/, () => hk.transform((x: T) => new hk.BatchNorm(true, true, 0.9).forward(x, true, { scale: x })).init(0, x), "batch_norm");
  fails("value", /an initializer was given for a scale or offset that is not created/, () => hk.transform(() => new hk.LayerNorm(-1, false, true, { scaleInit: ones })).init(0));
  fails("dtype", /index of dtype float32/, () => hk.transform((x: T) => new hk.Embed(4, 2).forward(x)).init(0, x));
});

test("a batch of several replicas is one batch", () => {
  const f = hk.transformWithState((x: T) => new hk.BatchNorm(true, true, 0.9, { crossReplicaAxis: "i" }).forward(x, true));
  const whole = hk.transformWithState((x: T) => new hk.BatchNorm(true, true, 0.9).forward(x, true));
  const xs = random.normal(random.key(1), [3, 4, 2]);
  const [params, state] = f.init(null, xs.take(0, 0));
  const [ys, next] = pax.vmap((x: T) => f.apply(params, state, null, x), { axisName: "i" })(xs);
  const [all, wanted] = whole.apply(params, state, null, xs.reshape(12, 2));
  near(ys.reshape(12, 2), all, "result", { rtol: 1e-4, atol: 1e-5 });
  for (const [a, b] of pax.tree.zip(next, wanted)) near(a.take(2, 0), b, "state", { rtol: 1e-5, atol: 1e-6 });
  fails("trace", /no axis is named "i" here/, () => f.apply(params, state, null, xs.take(0, 0)));
});

test("a frozen Object.prototype", () => {
  Object.freeze(Object.prototype); // the last test of this process
  const f = hk.transformWithState((x: T) => {
    hk.setState("valueOf", x.sum());
    return new Scale({ name: "toString" }).forward(new Scale({ name: "__proto__" }).forward(x)).mul(hk.getParameter("constructor", [], "float32", ones));
  });
  const [params, state] = f.init(null, x);
  assert.equal(Object.keys(params).sort(), ["__proto__", "toString", "~"]);
  const [grads, [y, next]] = pax.jit(pax.grad((p: pax.hk.Params) => { const [y, s] = f.apply(p, state, null, x); return [y.sum(), [y, s]]; }, { hasAux: true }))(params);
  same(y, x, "value");
  assert.is(next["~"]!["valueOf"]!.item(), 21);
  assert.equal(pax.tree.leaves(grads).map((g) => g.item()), [21, 21, 21]);
  const module = pax.fromHaiku(Scale)({ name: "toString" }).hkInit(x);
  same(pax.tree.map((t) => t.mul(3), module).eval().forward(x), x.mul(3), "a module");
});
test.run();
