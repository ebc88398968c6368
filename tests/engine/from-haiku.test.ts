/** Haiku modules as modules of Pax: `fromHaiku`, `hkInit`, `pax.haiku`. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pax from "paxjs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fails } from "../support/fails.js";
import { near, same } from "../support/near.js";
import { onMachine } from "../support/where.js";

const { np, hk, nn, haiku, random, tree } = pax;
const test = suite("fromHaiku");
type T = pax.Tensor;
const { zeros, ones } = pax.initializers;
const x = np.array([[1, 2, 3], [4, 5, 6]]);
pax.seedRngKey(42);

/** Runs `f` and gives what it warned of. */
function warnings(f: () => unknown): string[] {
  const [told, warn] = [[] as string[], console.warn];
  console.warn = (text: string) => { told.push(text); };
  try { f(); } finally { console.warn = warn; }
  return told;
}
/** A user's own module: a parameter, a counter, and noise while training. */
class Noisy extends hk.Module {
  static override moduleName = "Noisy";
  constructor(readonly size: number, readonly scale = 1) { super(); }
  forward(x: T, isTraining: boolean): T {
    const count = hk.getState("count", [], "int32", zeros);
    hk.setState("count", count.add(1));
    const y = x.mul(hk.getParameter("w", [this.size], "float32", ones)).mul(this.scale);
    return isTraining ? y.add(random.normal(hk.nextRngKey(), x.shape)) : y;
  }
}
const noisy = () => pax.fromHaiku(Noisy, { useRng: true, passIsTraining: true })(3).hkInit(x);

test("the LSTM of docs/API.md", () => {
  const dummyX = np.zeros([1, 32]);
  let lstm = pax.fromHaiku(hk.LSTM)(32);
  assert.equal(lstm.params, {});
  assert.equal(warnings(() => { lstm = lstm.hkInit(dummyX, { hidden: dummyX, cell: dummyX }); }), []);
  assert.equal(Object.keys(lstm.params), ["lstm/linear"]);
  assert.equal(tree.leaves(lstm.parameters()).map((t) => t.shape), [[128], [64, 128]]);
  const [y, state] = lstm.forward(dummyX, { hidden: dummyX, cell: dummyX });
  assert.equal([y.shape, state.cell.shape], [[1, 32], [1, 32]]);
});

test("two instances draw their own parameters, by the global seed", () => {
  pax.seedRngKey(1);
  const [a, b] = [haiku.linear(3, 4), haiku.linear(3, 4)];
  pax.seedRngKey(1);
  const again = haiku.linear(3, 4);
  const w = (m: pax.HaikuModule<[T], T> | typeof a): T => m.params["linear"]!["w"]!;
  assert.not(tree.equal(w(a), w(b)));
  same(w(again), w(a), "the same seed");
  // They are alike in structure, so they average, stack and update.
  near(w(tree.map((p, q) => p.add(q).div(2), a, b)), w(a).add(w(b)).div(2), "average");
  same(w(a.update(b.parameters())), w(b), "update");
  const stacked = tree.map((p: T, q: T) => np.stack([p, q]), a, b);
  near(pax.vmap((m: typeof a) => m.forward(x))(stacked), np.stack([a.forward(x), b.forward(x)]), "an ensemble");
});

test("a user's own module: state and key move on in train mode only", () => {
  const module = noisy();
  const count = (m: typeof module): number => m.state["noisy"]!["count"]!.item();
  assert.is(count(module), 0);
  assert.equal(tree.leaves(module.parameters()).length, 1);
  const before = module.copy();
  const [first, second] = [module.forward(x), module.forward(x)];
  assert.not(tree.equal(first, second));
  assert.is(count(module), 2);
  assert.not(tree.equal(module.rngKey, before.rngKey));
  const evaluated = module.eval();
  same(evaluated.forward(x), x, "no noise");
  assert.is(count(evaluated), 2);
  assert.ok(tree.equal(evaluated.rngKey, module.rngKey));
  // The key of a call is the second of a split; the first is kept.
  const [next, used] = random.split(before.rngKey);
  near(before.forward(x), x.add(random.normal(random.split(used!)[1]!, x.shape)), "the call's key");
  same(before.rngKey, next!, "the next key");
});

test("dummy data enters no state, with delay and with passIsTraining", () => {
  const data = x.mul(100);
  const norm = pax.fromHaiku(hk.BatchNorm, { passIsTraining: true })(true, true, 0.9).hkInit(data);
  for (const t of Object.values(norm.state).flatMap((bundle) => Object.values(bundle))) assert.is(np.max(np.abs(t)).item(), 0);
  near(norm.eval().forward(data), data.div(Math.sqrt(1e-5)), "an average of 0", { rtol: 1e-4 });
  const Norm = pax.fromHaiku(hk.BatchNorm, { passIsTraining: true, delay: false })(true, true, 0.9);
  const made = new Norm(data);
  assert.ok(made instanceof Norm && made instanceof pax.HaikuModule);
  assert.ok(tree.equal(made.state, norm.state));
  same(made.forward(data), norm.copy().forward(data), "delay: false");
  // In eval mode too, and for modules that were initialized before.
  const late = pax.fromHaiku(hk.BatchNorm, { passIsTraining: true })(true, true, 0.9).eval().hkInit(data);
  assert.ok(tree.equal(late.state, norm.state));
  assert.ok(tree.equal(made.hkInit(data.add(5)).state, made.state));
});

test("hkInit of a module that holds converted ones", () => {
  class Net extends pax.Module {
    norm = new nn.BatchNorm([null, 4]);
    drop = new nn.Dropout(0.5);
    first = pax.fromHaiku(hk.Linear)(4);
    layers = new nn.Sequential(pax.fromHaiku(hk.BatchNorm, { passIsTraining: true })(true, true, 0.9), nn.relu, pax.fromHaiku(hk.Linear)(2));
    calls = pax.state(np.array(0));
    forward(x: T): T {
      this.calls = this.calls.add(1);
      return this.layers.forward(this.drop.forward(this.norm.forward(this.first.forward(x))));
    }
  }
  const net = new Net();
  let made = net;
  assert.equal(warnings(() => { made = net.hkInit(x); }), []);
  assert.equal(net.first.params, {});
  assert.equal(tree.leaves(made.parameters()).map((t) => t.shape), [[1, 4], [1, 4], [4], [3, 4], [1, 4], [1, 4], [2], [4, 2]]);
  assert.is(made.calls.item(), 0);
  assert.ok(tree.equal([made.norm, made.drop], [net.norm, net.drop]));
  const state = (made.layers.modules[0] as unknown as pax.HaikuModule).state;
  for (const bundle of Object.values(state)) assert.is(np.max(np.abs(bundle["average"]!)).item(), 0);
  made.forward(x);
  assert.is(made.calls.item(), 1);
});

test("a first call without hkInit makes the parameters, with a warning", () => {
  const module = pax.fromHaiku(Noisy, { useRng: true, passIsTraining: true })(3);
  const [told, ...more] = warnings(() => { module.forward(x); module.forward(x); });
  assert.match(told!, /class Noisy made its parameters when it was first called: call hkInit/);
  assert.equal(more, []);
  assert.is(module.state["noisy"]!["count"]!.item(), 2);
  // Under a transformation it is a change of a module from outside.
  const outside = pax.fromHaiku(hk.Linear)(2);
  warnings(() => fails("trace", /`params` of HaikuModule was set inside `grad`, but the module came from outside/, () => pax.grad((x: T) => outside.forward(x).sum())(x)));
});

test("grad, jit and scan: params are parameters, state and key come back with the module", () => {
  const step = (params: ReturnType<typeof noisy>, model: ReturnType<typeof noisy>, x: T) => {
    model = model.update(params);
    const y = model.forward(x);
    return [y.mul(y).mean(), [y, model]] as const;
  };
  const module = noisy();
  const hand = module.copy();
  const y = hand.forward(x);
  const [grads, [out, updated]] = pax.grad(step, { hasAux: true })(module.parameters(), module, x);
  near(out, y, "result");
  assert.ok(tree.equal([updated.state, updated.rngKey], [hand.state, hand.rngKey]));
  assert.is(module.state["noisy"]!["count"]!.item(), 0);
  near(grads.params["noisy"]!["w"]!, y.mul(x).mul(2 / 6).sum(0), "gradient", { rtol: 1e-5 });
  assert.equal([grads.state["noisy"]!["count"], grads.rngKey], [null, null]);
  const [jitGrads, [jitOut, jitted]] = pax.jit((m: typeof module, x: T) => pax.grad(step, { hasAux: true })(m.parameters(), m, x))(module, x);
  near(jitOut, y, "jit", { rtol: 1e-5 });
  near(jitGrads.params["noisy"]!["w"]!, grads.params["noisy"]!["w"]!, "jit gradient", { rtol: 1e-5 });
  assert.ok(tree.equal([jitted.state, jitted.rngKey], [hand.state, hand.rngKey]));
  // In a carry; two steps by hand.
  const [last, ys] = pax.scan((m: typeof module, x: T) => { const y = m.forward(x); return [m, y]; }, module, np.stack([x, x.mul(2)]));
  near(ys, np.stack([y, hand.forward(x.mul(2))]), "scan", { rtol: 1e-5 });
  assert.ok(tree.equal([last.state, last.rngKey], [hand.state, hand.rngKey]));
  // Evaluation writes nothing, so the module may be captured.
  const fixed = module.eval();
  const [told] = warnings(() => near(pax.jit((x: T) => fixed.forward(x))(x), x, "captured"));
  assert.match(told!, /`rngKey` of HaikuModule came from outside of a jitted function/);
  near(pax.vmap((x: T) => fixed.forward(x))(x), x, "captured by vmap");
});

onMachine(test, "freeze, unfreeze, optimizers, summary and checkpoints", async () => {
  const net = new nn.Sequential(haiku.conv1d(3, 4, 2), haiku.layerNorm(4), nn.relu, haiku.linear(4, 2));
  net.modules[0] = net.modules[0]!.freeze();
  assert.equal(tree.leaves(net.parameters()).map((t) => t.shape), [[4], [4], [2], [4, 2]]);
  net.modules[0] = net.modules[0]!.unfreeze();
  assert.is(tree.leaves(net.parameters()).length, 6);
  assert.match(net.summary(), /params\.conv1_d\.w: float32\[2, 3, 4\] parameter/);
  const image = random.normal(random.key(1), [2, 5, 3]);
  const loss = (params: typeof net, model: typeof net, x: T) => { model = model.update(params); return [np.square(model.forward(x).sub(1)).mean(), model] as const; };
  let [model, optimizer]: [typeof net, pax.Optimizer] = [net, pax.optim.adam(net.parameters(), 1e-2)];
  const train = pax.jit((m: typeof net, o: pax.Optimizer, x: T) => {
    const [[l, next], grads] = pax.valueAndGrad(loss, { hasAux: true })(m.parameters(), m, x);
    return [l, o.step(grads, next), o] as const;
  });
  const losses: number[] = [];
  for (let i = 0; i < 30; i++) {
    let l: T;
    [l, model, optimizer] = train(model, optimizer, image);
    losses.push(l.item());
  }
  assert.ok(losses.at(-1)! < 0.5 * losses[0]!, `${losses[0]} to ${losses.at(-1)}`);
  const folder = mkdtempSync(join(tmpdir(), "pax-haiku-"));
  try {
    const module = noisy();
    module.forward(x);
    const path = join(folder, "net.safetensors");
    await pax.io.saveSafetensors(path, { model, module });
    const back = await pax.io.loadSafetensors(path, { model: net, module: noisy() });
    assert.ok(tree.equal(back, { model, module }));
    same(back.module.forward(x), module.forward(x), "goes on with the same key");
    assert.ok([...(await pax.io.loadSafetensors(path)).keys()].includes("model.modules[3].params.linear.w"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("arguments of a class: initializers and tensors", () => {
  const same3 = pax.fromHaiku(hk.Linear)(3, { wInit: pax.initializers.identity(2), bInit: ones }).hkInit(x);
  near(same3.forward(x), x.mul(2).add(1), "initializers");
  const mask = np.ones([3, 3, 3]);
  const masked = haiku.conv1d(3, 3, 3, { mask, withBias: false });
  near(masked.forward(x), haiku.conv1d(3, 3, 3, { withBias: false }).replace({ params: masked.params }).forward(x), "a mask of ones");
  assert.ok(tree.equal(masked.copy(), masked));
});

test("pax.haiku: shapes, defaults, initial states", () => {
  const [sequence, image] = [np.ones([3, 5, 3]), np.ones([3, 5, 6, 3])];
  const shapes: readonly (readonly [T, readonly number[]])[] = [
    [haiku.conv1d(3, 4, 2).forward(sequence), [3, 5, 4]],
    [haiku.conv2d(3, 4, 2).forward(image), [3, 5, 6, 4]],
    [haiku.conv1d(3, 4, 3, { padding: "VALID" }).forward(sequence), [3, 3, 4]],
    [haiku.conv2d(3, 4, [2, 3], { stride: [1, 2], rate: [2, 1], padding: [[0, 0], [1, 2]] }).forward(image), [3, 3, 4, 4]],
    [haiku.conv2d(3, 4, 2, { dataFormat: "NCHW", padding: "VALID" }).forward(np.ones([1, 3, 5, 6])), [1, 4, 4, 5]],
    [haiku.conv1dTranspose(3, 4, 2).forward(sequence), [3, 5, 4]],
    [haiku.conv2dTranspose(3, 4, 2).forward(image), [3, 5, 6, 4]],
    [haiku.conv2dTranspose(3, 4, 3, { stride: 2, outputShape: [9, 12] }).forward(image), [3, 9, 12, 4]],
    [haiku.conv1dTranspose(3, 4, 3, { stride: 2, outputShape: 11, padding: "VALID" }).forward(sequence), [3, 11, 4]],
    [haiku.avgPool(2, 2, "SAME")(sequence), [3, 3, 3]],
    [haiku.avgPool(2, 3, "SAME")(sequence), [3, 2, 3]],
    [haiku.maxPool([2, 2, 1], [2, 2, 1], "VALID")(image), [3, 2, 3, 3]],
    [haiku.maxPool(2, 2, "SAME", { channelAxis: 1 })(np.ones([3, 4, 5, 6])), [3, 4, 3, 3]],
    [haiku.linear(3, 7, { withBias: false }).forward(image), [3, 5, 6, 7]],
    [haiku.batchNorm2d(3).forward(image), [3, 5, 6, 3]],
    [haiku.batchNorm2d(5, { axis: 1 }).forward(image), [3, 5, 6, 3]],
    [haiku.layerNorm(3, { axis: 1 }).forward(image), [3, 5, 6, 3]],
    [haiku.embed(7, 2).forward(np.array([[1, 6]], { dtype: "int32" })), [1, 2, 2]],
    [haiku.embed(7, 2).forward([1, 6, 0]), [3, 2]],
  ];
  for (const [t, shape] of shapes) assert.equal(t.shape, shape);
  assert.equal(Object.keys(haiku.linear(3, 7, { withBias: false }).params["linear"]!), ["w"]);
  const channels = haiku.batchNorm2d(5, { axis: 1 });
  near(channels.forward(random.normal(random.key(2), [4, 5, 3, 2])).mean([0, 2, 3]), np.zeros([5]), "channels at axis 1", { atol: 1e-5 });
  fails("value", /the channels are at axis 1 or -1, not 0/, () => haiku.batchNorm2d(3, { axis: 0 }));
  const lstm = haiku.lstm(4);
  assert.equal(tree.map((t) => t.shape, lstm.initialState(2)), { hidden: [2, 4], cell: [2, 4] });
  const gru = haiku.gru(4).eval();
  assert.equal(gru.initialState(2).toArray(), [[0, 0, 0, 0], [0, 0, 0, 0]]);
  const [ys, last] = haiku.dynamicUnroll(lstm, np.ones([5, 2, 4]), lstm.initialState(2));
  assert.equal([ys.shape, last.hidden.shape], [[5, 2, 4], [2, 4]]);
  fails("shape", /`lstm\/linear\/w` has shape \[8, 16\]/, () => lstm.forward(np.ones([2, 3]), lstm.initialState(2)), "lstm/linear/w");
});

test("batch norm over replicas", () => {
  const norm = haiku.batchNorm2d(2, { crossReplicaAxis: "i" });
  const xs = random.normal(random.key(1), [3, 4, 2, 2, 2]);
  const run = (m: typeof norm, x: T) => { const y = m.forward(x); return [y, m] as const; };
  const [ys, next] = pax.vmap(run, { inAxes: [null, 0], outAxes: [0, null], axisName: "i" })(norm, xs);
  const whole = haiku.batchNorm2d(2);
  near(ys.reshape(12, 2, 2, 2), whole.forward(xs.reshape(12, 2, 2, 2)), "result", { rtol: 1e-4, atol: 1e-5 });
  for (const [a, b] of tree.zip(next.state, whole.state)) near(a as T, b as T, "state", { rtol: 1e-5, atol: 1e-6 });
});
test.run();
