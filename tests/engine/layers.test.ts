/** Native layers by their definitions in plain JavaScript, `RngSeq` and `EMA`; `golden/haiku` has their values and gradients beside Haiku's. */
import * as pax from "paxjs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fails } from "../support/fails.js";
import { near, same } from "../support/near.js";

const { np, nn, random, tree } = pax;
const test = suite("layers");
type T = pax.Tensor;
pax.seedRngKey(42);
const normal = (...shape: number[]): T => random.normal(random.key(shape.length), shape);
/** The element of [n, h, w, c] data at a place, or nothing outside. */
const reader = (t: T) => {
  const [flat, [n, h, w, c]] = [t.dataSync() as Float32Array, t.shape as [number, number, number, number]];
  return (b: number, i: number, j: number, k: number): number | undefined => (b < n && i >= 0 && i < h && j >= 0 && j < w && k < c ? flat[((b * h + i) * w + j) * c + k] : undefined);
};

test("pools by the definition: SAME and VALID, a window for each axis, ties of padding", () => {
  const x = normal(2, 5, 7, 3);
  const at = reader(x);
  for (const padding of ["SAME", "VALID"] as const) {
    for (const [window, stride] of [[[2, 3], [1, 2]], [[3, 3], [2, 2]], [[1, 4], [3, 1]]] as const) {
      const sizes = [5, 7].map((n, d) => (padding === "SAME" ? Math.ceil(n / stride[d]!) : Math.floor((n - window[d]!) / stride[d]!) + 1));
      const low = [5, 7].map((n, d) => (padding === "SAME" ? Math.floor(Math.max((sizes[d]! - 1) * stride[d]! + window[d]! - n, 0) / 2) : 0));
      const windows = (f: (values: number[]) => number): T => {
        const out: number[] = [];
        for (let b = 0; b < 2; b++) for (let i = 0; i < sizes[0]!; i++) for (let j = 0; j < sizes[1]!; j++) for (let c = 0; c < 3; c++) {
          const values: number[] = [];
          for (let p = 0; p < window[0]; p++) for (let q = 0; q < window[1]; q++) {
            const v = at(b, i * stride[0] - low[0]! + p, j * stride[1] - low[1]! + q, c);
            if (v !== undefined) values.push(v);
          }
          out.push(f(values));
        }
        return np.array(out).reshape(2, sizes[0]!, sizes[1]!, 3);
      };
      near(nn.maxPool(x, [...window, 1], [...stride, 1], padding), windows((v) => Math.max(...v)), `max ${padding} ${window}`);
      near(nn.avgPool(x, [...window, 1], [...stride, 1], padding), windows((v) => v.reduce((a, b) => a + b) / v.length), `avg ${padding} ${window}`);
    }
  }
  // An integer leaves out the first axis and the channels; with no channels, the first only.
  same(nn.maxPool(x, 2, 2, "SAME"), nn.maxPool(x, [2, 2, 1], [2, 2, 1], "SAME"), "an integer");
  same(nn.maxPool(x, 2, 2, "SAME", { channelAxis: 1 }), nn.maxPool(x, [1, 1, 2, 2], [1, 1, 2, 2], "SAME"), "channels at axis 1");
  same(nn.avgPool(x, 2, 2, "SAME", { channelAxis: null }), nn.avgPool(x, [1, 2, 2, 2], [1, 2, 2, 2], "SAME"), "no channels");
  fails("value", /avgPool: padding must be "SAME" or "VALID", got "full"/, () => nn.avgPool(x, 2, 2, "full" as never));
  fails("shape", /has more axes than the shape/, () => nn.maxPool(np.zeros([2]), [1, 2], 1, "SAME"));
});

test("transposed convolutions are the input gradient of a convolution with the flipped kernel", () => {
  // conv_transpose does not flip, so with w reversed in space it is the transpose of a convolution with strides.
  const layer = new nn.Conv2DTranspose(3, 2, [3, 2], { stride: [2, 3], padding: "VALID", withBias: false });
  const x = normal(2, 4, 3, 3);
  const y = layer.forward(x);
  assert.equal(y.shape, [2, 9, 9, 2]);
  const forward = new nn.Conv2D(2, 3, [3, 2], { stride: [2, 3], padding: "VALID", withBias: false });
  forward.w = layer.w.flip([0, 1]);
  const [, pull] = pax.vjp((z: T) => forward.forward(z), np.zeros([2, 9, 8, 2]));
  near(y.take(np.arange(8), 2), pull(x)[0], "transpose", { rtol: 1e-4, atol: 1e-5 });
  near(y.take([8], 2), np.zeros([2, 9, 1, 2]), "what no window reaches");
  const first = new nn.Conv1DTranspose(3, 2, 3, { stride: 2, outputShape: 9, dataFormat: "NCW" });
  const last = new nn.Conv1DTranspose(3, 2, 3, { stride: 2, outputShape: 9 });
  [last.w, last.b] = [first.w, first.b];
  const s = normal(2, 5, 3);
  near(first.forward(s.swapaxes(1, 2)).swapaxes(1, 2), last.forward(s), "NCW");
  near(first.forward(s.take(0, 0).T).T, last.forward(s).take(0, 0), "a single example");
  const spread = (t: T): number => np.std(t).item();
  assert.ok(Math.abs(spread(new nn.Conv1DTranspose(20, 200, 5).w) * 10 / 0.8796 - 1) < 0.03);
  fails("shape", /Conv1DTranspose\(3, 2\) takes \[n, width, 3\] or one example \[width, 3\], got shape \[1, 4, 2\]/, () => last.forward(np.zeros([1, 4, 2])));
  fails("shape", /an outputShape of 9 needs an input of 5, got 4/, () => last.forward(np.zeros([1, 4, 3])));
  fails("value", /dataFormat must be "NWC" or "NCW", got "HWC"/, () => new nn.Conv1DTranspose(3, 2, 3, { dataFormat: "HWC" as never }));
  fails("value", /padding must be "SAME", "VALID" or a pair \[low, high\] for each axis, got \[\[0,0\],/, () => new nn.Conv2D(1, 1, 2, { padding: [[0, 0], [0, 0], [0, 0]] }));
});

test("transposed convolutions of nothing, and to nothing", () => {
  const shapeOf = (x: readonly number[], padding: ConstructorParameters<typeof nn.Conv2DTranspose>[3]) => new nn.Conv2DTranspose(3, 4, 3, padding).forward(np.zeros(x)).shape;
  assert.equal(shapeOf([0, 5, 5, 3], { stride: 2 }), [0, 10, 10, 4]);
  assert.equal(shapeOf([1, 0, 5, 3], { stride: 2, padding: "VALID" }), [1, 2, 11, 4]);
  assert.equal(shapeOf([2, 1, 1, 3], { stride: 2, padding: [[0, 0], [0, 0]] }), [2, 0, 0, 4]);
});
test("recurrent cells by their formulas", () => {
  const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));
  const x = normal(2, 3);
  for (const forgetGateBias of [0, 1]) {
    const lstm = new nn.LSTM(3, 4, { forgetGateBias });
    const state = { hidden: normal(2, 4), cell: normal(2, 4).mul(0.5) };
    const gates = np.concatenate([x, state.hidden], 1).matmul(lstm.w).add(lstm.b).toArray() as number[][];
    const cell = state.cell.toArray() as number[][];
    const next = gates.map((g, b) => cell[b]!.map((c, k) => sigmoid(g[8 + k]! + forgetGateBias) * c + sigmoid(g[k]!) * Math.tanh(g[4 + k]!)));
    const [y, after] = lstm.forward(x, state);
    near(after.cell, np.array(next), "cell");
    near(y, np.array(next.map((row, b) => row.map((c, k) => sigmoid(gates[b]![12 + k]!) * Math.tanh(c)))), "output");
    same(y, after.hidden, "hidden");
    const [ys, last] = pax.hk.dynamicUnroll(lstm, np.stack([x, x]), state);
    near(ys.take(1, 0), lstm.forward(x, after)[0], "along a sequence");
    near(last.cell, lstm.forward(x, after)[1].cell, "the last state");
  }
  const rnn = new nn.VanillaRNN(3, 4);
  near(rnn.forward(x, np.ones([2, 4]))[0], np.tanh(np.concatenate([x, np.ones([2, 4])], 1).matmul(rnn.w).add(rnn.b)), "VanillaRNN");
  const gru = new nn.GRU(3, 4);
  near(gru.forward(x.take(0, 0), gru.initialState(null))[0], gru.forward(x, gru.initialState(2))[0].take(0, 0), "a single example");
  assert.equal([new nn.LSTM(3, 4).initialState(2).cell.shape, rnn.initialState(null).shape], [[2, 4], [4]]);
  assert.ok(Math.abs(np.std(new nn.GRU(100, 100).wI).item() * 10 - 1) < 0.03);
  fails("shape", /GRU\(3, 4\) takes \[3\] or \[batch, 3\], got shape \[2, 4\]/, () => gru.forward(np.zeros([2, 4]), gru.initialState(2)));
});

test("Embed and Identity", () => {
  const embed = new nn.Embed(5, 2);
  same(embed.forward([[0, 4], [1, 1]]), np.stack([embed.embeddings.take([0, 4], 0), embed.embeddings.take([1, 1], 0)]), "rows");
  near(pax.grad((m: typeof embed) => m.forward([3, 3, 1]).sum())(embed).embeddings, np.array([[0, 0], [1, 1], [0, 0], [2, 2], [0, 0]]), "gradient");
  fails("dtype", /an index of dtype float32/, () => embed.forward(np.zeros([2])));
  same(new nn.Sequential(new nn.Identity(), nn.relu).forward(np.array([-1, 2])), np.array([0, 2]), "Identity");
});

test("GroupNorm by the definition, channels last and first", () => {
  const x = normal(2, 3, 5, 6).mul(3).add(1);
  const at = reader(x);
  const layer = new nn.GroupNorm(2, 6);
  [layer.scale, layer.offset] = [np.arange(6).astype("float32"), np.ones([6])];
  const out: number[] = [];
  for (let b = 0; b < 2; b++) for (let i = 0; i < 3; i++) for (let j = 0; j < 5; j++) for (let c = 0; c < 6; c++) {
    const values: number[] = [];
    for (let p = 0; p < 3; p++) for (let q = 0; q < 5; q++) for (let k = 0; k < 3; k++) values.push(at(b, p, q, 3 * Math.floor(c / 3) + k)!);
    const mean = values.reduce((s, v) => s + v) / values.length;
    const variance = values.reduce((s, v) => s + (v - mean) ** 2, 0) / values.length;
    out.push(((at(b, i, j, c)! - mean) / Math.sqrt(variance + 1e-5)) * c + 1);
  }
  const want = np.array(out).reshape(2, 3, 5, 6);
  near(layer.forward(x), want, "channels last", { rtol: 1e-4, atol: 1e-5 });
  const first = new nn.GroupNorm(2, 6, true, true, { dataFormat: "channels_first" });
  [first.scale, first.offset] = [layer.scale, layer.offset];
  near(first.forward(x.transpose([0, 3, 1, 2])), want.transpose([0, 3, 1, 2]), "channels first", { rtol: 1e-4, atol: 1e-5 });
  assert.equal(tree.leaves(new nn.GroupNorm(2, 6, false, true).parameters()).length, 1);
  fails("shape", /6 channels do not divide into 4 groups/, () => new nn.GroupNorm(4, 6));
  fails("shape", /GroupNorm\(2, 6\) takes a batch with 6 channels last, got shape \[2, 5\]/, () => layer.forward(np.zeros([2, 5])));
});

test("BatchNorm1D and BatchNorm2D are BatchNorm; over replicas it is one batch", () => {
  const image = normal(4, 3, 2, 5);
  const [fixed, free] = [new nn.BatchNorm2D(5), new nn.BatchNorm([null, null, null, 5], true, true, 0.9)];
  same(fixed.forward(image), free.forward(image), "2D");
  same(fixed.var, free.var, "variance");
  const first = new nn.BatchNorm2D(5, true, true, 0.9, { dataFormat: "NCHW" });
  near(first.forward(image.transpose([0, 3, 1, 2])), free.copy().forward(image).transpose([0, 3, 1, 2]), "NCHW");
  assert.equal([first.mean.shape, new nn.BatchNorm1D(3).mean.shape, new nn.BatchNorm1D(3, false).scale], [[1, 5, 1, 1], [1, 1, 3], null]);
  assert.equal(new nn.BatchNorm1D(3, true, true, 0.9, { dataFormat: "NCW" }).forward(np.ones([2, 3, 4])).shape, [2, 3, 4]);
  const xs = normal(3, 4, 2);
  const norm = new nn.BatchNorm([null, 2], true, true, 0.9, { crossReplicaAxis: "i" });
  const [ys, next] = pax.vmap((m: typeof norm, x: T) => { const y = m.forward(x); return [y, m]; }, { inAxes: [null, 0], outAxes: [0, null], axisName: "i" })(norm, xs);
  const whole = new nn.BatchNorm([null, 2], true, true, 0.9);
  near(ys.reshape(12, 2), whole.forward(xs.reshape(12, 2)), "result", { rtol: 1e-4, atol: 1e-5 });
  near(next.mean, whole.mean, "mean", { rtol: 1e-5 });
  near(next.var, whole.var, "variance", { rtol: 1e-4 });
  fails("trace", /no axis is named "i" here/, () => norm.copy().forward(xs.take(0, 0)));
});

test("RngSeq splits and stores", () => {
  const seq = new pax.RngSeq(3);
  const [next, key] = random.split(random.key(3));
  same(seq.nextRngKey(), key!, "one key");
  same(seq.rngKey, next!, "what is kept");
  const [after, ...keys] = random.split(next!, 4);
  const got = seq.nextRngKey(3);
  assert.is(got.length, 3);
  got.forEach((k, i) => same(k, keys[i]!, `key ${i}`));
  same(seq.rngKey, after!, "what is kept");
  same(new pax.RngSeq(null, { rngKey: key! }).nextRngKey(), random.split(key!)[1]!, "from a key");
  assert.not(tree.equal(new pax.RngSeq().nextRngKey(), new pax.RngSeq().nextRngKey()));
  // It is state: it comes back from a transformation, and the original stays.
  const [drawn, moved] = pax.jit((m: pax.RngSeq) => [m.nextRngKey(), m] as const)(seq);
  same(drawn, random.split(after!)[1]!, "under jit");
  same(moved.rngKey, random.split(after!)[0]!, "returned");
  same(seq.rngKey, after!, "the argument");
  assert.is(tree.leaves(seq.parameters()).length, 0);
});

test("EMA of a tree", () => {
  const values = [1, 4, -2];
  const run = (ema: pax.EMA<{ a: T }>): number[] => values.map((v) => ema.forward({ a: np.array(v) }).a.item());
  const by = (start: number, debias: boolean): number[] => {
    let average = start;
    return values.map((v, i) => (average = (debias && i === 0 ? v : average) * 0.75 + v * 0.25));
  };
  assert.equal(run(new pax.EMA({ a: np.array(8) }, 0.75)), by(8, false));
  const debiased = new pax.EMA({ a: np.array(8) }, 0.75, { debias: true });
  assert.equal(run(debiased), by(8, true));
  const evaluated = debiased.eval();
  assert.is(evaluated.forward({ a: np.array(100) }).a.item(), by(8, true).at(-1));
  assert.is(tree.leaves(debiased.parameters()).length, 0);
  // Of a module's parameters, under jit.
  const model = new nn.Linear(2, 2);
  let ema = new pax.EMA<pax.nn.Linear>(model.parameters(), 0.5);
  [, ema] = pax.jit((m: typeof ema, p: pax.nn.Linear) => [m.forward(p), m] as const)(ema, tree.map((p) => p.add(2), model.parameters()));
  near(model.update(ema.averages).W, model.W.add(1), "parameters");
  // Integers: the last value, or an error.
  const counts = new pax.EMA({ n: np.array(1, { dtype: "int32" }), a: np.array(1) }, 0.5, { allowInt: true });
  assert.equal(tree.map((t) => t.item(), counts.forward({ n: np.array(7, { dtype: "int32" }), a: np.array(2) })), { n: 7, a: 1.5 });
  fails("dtype", /EMA averages floats, got int32/, () => new pax.EMA({ n: np.array(1, { dtype: "int32" }) }, 0.5));
  fails("tree", /structures differ/, () => debiased.forward({ b: np.array(1) } as never));
});
test.run();
