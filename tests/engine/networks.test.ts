/** Networks of many kinds, large enough for what plans do to large values: compiled and donated steps give what eager ones give. */
import * as pax from "paxjs";
import { suite } from "uvu";
import { near } from "../support/near.js";

const { np, nn, optax, random } = pax;
const test = suite("networks");
type T = pax.Tensor;

const net = (...layers: (pax.nn.Layer | ((x: T) => T))[]) => new nn.Sequential(...layers);
const space = (x: T): T => x.mean([1, 2]);
const flat = (x: T): T => x.reshape([x.shape[0]!, -1]);

class Residual extends pax.Module {
  body: pax.nn.Sequential;
  constructor(c: number) {
    super();
    this.body = net(new nn.Conv2D(c, c, 3, { withBias: false }), new nn.BatchNorm2D(c), nn.relu, new nn.Conv2D(c, c, 3), new nn.BatchNorm2D(c));
  }
  forward(x: T): T { return nn.relu(x.add(this.body.forward(x))); }
}

class Attention extends pax.Module {
  qkv: pax.nn.Sequential;
  out: pax.nn.Sequential;
  constructor(readonly width: number, readonly heads: number) {
    super();
    this.qkv = net(new nn.LayerNorm(width), new nn.Linear(width, 3 * width));
    this.out = net(new nn.Linear(width, width), new nn.Dropout(0.1));
  }
  forward(x: T): T {
    const [b, t] = x.shape as [number, number];
    const parts = this.qkv.forward(x).reshape([b, t, 3, this.heads, -1]).transpose([2, 0, 3, 1, 4]);
    const [q, k, v] = [0, 1, 2].map((i) => parts.get(i)) as [T, T, T];
    const scores = np.where(np.tril(np.ones([t, t])).greater(0), q.matmul(k.transpose([0, 1, 3, 2])).mul(0.25), -1e9);
    return x.add(this.out.forward(nn.softmax(scores).matmul(v).transpose([0, 2, 1, 3]).reshape([b, t, this.width])));
  }
}

class Recurrent extends pax.Module {
  cell: pax.nn.LSTM;
  constructor(input: number, hidden: number) {
    super();
    this.cell = new nn.LSTM(input, hidden);
  }
  forward(x: T): T {
    const [, ys] = pax.scan((state: ReturnType<pax.nn.LSTM["initialState"]>, now: T) => {
      const [y, next] = this.cell.forward(now, state);
      return [next, y] as const;
    }, this.cell.initialState(x.shape[0]!), x.transpose([1, 0, 2]));
    return ys.get(-1);
  }
}

class Highway extends pax.Module {
  norm: pax.nn.LayerNorm;
  gate: pax.nn.Linear;
  constructor(width: number) {
    super();
    this.norm = new nn.LayerNorm(width);
    this.gate = new nn.Linear(width, width);
  }
  forward(x: T): T {
    const h = this.norm.forward(x);
    const gate = nn.sigmoid(this.gate.forward(h));
    return gate.mul(h).add(np.sub(1, gate).mul(np.tanh(h)));
  }
}

const image = [8, 16, 16, 3];
/** Layers before the last one, the width that they end with, and the shape of the input. */
const networks: Record<string, () => [pax.nn.Sequential, number, readonly number[]]> = {
  residual: () => [net(new nn.Conv2D(3, 24, 3), new Residual(24), space), 24, image],
  "of each channel by itself": () => [net(new nn.Conv2D(3, 24, 3), nn.relu, new nn.Conv2D(24, 24, 3, { featureGroupCount: 24, stride: 2 }), nn.relu, new nn.Conv2D(24, 16, 1), space), 16, image],
  "of gates": () => [net(new Highway(64)), 64, [64, 64]],
  transposed: () => [net(new nn.Conv2D(3, 12, 3, { stride: 2 }), nn.relu, new nn.Conv2DTranspose(12, 8, 3, { stride: 2 }), nn.relu, space), 8, image],
  pools: () => [net(new nn.Conv2D(3, 12, 5), (x) => nn.maxPool(x, [3, 3, 1], [2, 2, 1], "SAME"), (x) => nn.avgPool(x, [2, 2, 1], [2, 2, 1], "VALID"), flat), 192, image],
  "group norm": () => [net(new nn.Conv2D(3, 16, 3), new nn.GroupNorm(4, 16), nn.relu, space), 16, image],
  "channels first": () => [net(new nn.Conv2D(3, 16, 3, { dataFormat: "NCHW" }), nn.relu, new nn.GroupNorm(4, 16, true, true, { dataFormat: "channels_first" }), flat), 16 * 256, [8, 3, 16, 16]],
  attention: () => [net(new Attention(32, 2), new nn.LayerNorm(32), (x) => nn.gelu(x), (x) => x.mean(1)), 32, [6, 64, 32]],
  recurrent: () => [net(new Recurrent(12, 40)), 40, [24, 20, 12]],
  deep: () => [net(...[0, 1, 2].flatMap(() => [new nn.Linear(96, 96), new nn.LayerNorm(96), nn.silu])), 96, [200, 96]],
};

type Net = pax.nn.Sequential;
const lossFn = (params: Net, model: Net, x: T, y: T) => {
  model = model.update(params);
  return [optax.softmaxCrossEntropyWithIntegerLabels(model.forward(x), y).mean(), model] as const;
};
const train = (model: Net, optimizer: pax.Optimizer, x: T, y: T) => {
  const [[loss, updated], grads] = pax.valueAndGrad(lossFn, { hasAux: true })(model.parameters(), model, x, y);
  return [loss, optimizer.step(grads, updated), optimizer] as const;
};

for (const [name, make] of Object.entries(networks)) {
  test(name, () => {
    const runs = [pax.jit(train, { donateArgnums: [0, 1] }), (model: Net, optimizer: pax.Optimizer, x: T, y: T) => train(model, optimizer.copy(), x, y)].map((step) => {
      pax.seedRngKey(7);
      const [body, width, shape] = make();
      let model = net(...body.modules, new nn.Linear(width, 5));
      const [x, y] = [random.normal(random.key(1), shape), random.randint(random.key(2), [shape[0]!], 0, 5)];
      let optimizer: pax.Optimizer = new (pax.optim.fromOptax(optax.sgd(0.05, { momentum: 0.9 })))(model.parameters());
      const losses: T[] = [];
      for (let i = 0; i < 3; i++) {
        let loss: T;
        [loss, model, optimizer] = step(model, optimizer, x, y);
        losses.push(loss);
      }
      return [np.stack(losses), ...(pax.tree.leaves(model) as T[])];
    }) as [T[], T[]];
    for (const [i, t] of runs[0].entries()) if (t.dtype === "float32") near(t, runs[1][i]!, `${name}, ${i === 0 ? "losses" : `leaf ${i - 1}`}`, { rtol: 1e-3, atol: 2e-5 });
  });
}

test("gradients are added up in a scan", () => {
  const w = { w1: random.normal(random.key(1), [64, 64]).mul(0.1), b1: np.zeros([64]), w2: random.normal(random.key(2), [64, 64]).mul(0.1) };
  const sum = (p: typeof w, xs: T) => pax.scan(([key, acc], x: T) => {
    const [next, now] = random.split(key) as [T, T];
    const loss = (q: typeof w): T => nn.dropout(now, 0.1, nn.gelu(x.matmul(q.w1).add(q.b1)).matmul(q.w2)).square().mean();
    const [l, grads] = pax.valueAndGrad(loss)(p);
    return [[next, pax.tree.map((a, b) => a.add(b), acc, grads)] as [T, typeof w], l];
  }, [random.key(5), pax.tree.map((t: T) => np.zerosLike(t), p)] as [T, typeof w], xs);
  const xs = random.normal(random.key(9), [2, 64, 64]);
  const [got, want] = [pax.jit(sum)(w, xs), sum(w, xs)].map((r) => pax.tree.leaves(r) as T[]) as [T[], T[]];
  for (const [i, t] of got.entries()) if (t.dtype === "float32") near(t, want[i]!, `leaf ${i}`, { rtol: 1e-4, atol: 1e-6 });
});

test.run();
