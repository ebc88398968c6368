// node bench/networks.mjs [NAME...]: a compiled training step of many small networks (adam, cross-entropy), to find what a plan does badly.
// Prints the first step and the median of some more, in milliseconds. BENCH_EAGER=1: without jit.
import * as pax from "paxjs";
import { measure, trainer } from "./measure.mjs";
import { crossEntropy } from "./workloads.mjs";

const { np, nn, optax, random } = pax;
pax.seedRngKey(0);
const key = random.key(1);
const normal = (...shape) => random.normal(key, shape);
const ints = (n, ...shape) => random.randint(key, shape, 0, n);
const net = (...layers) => new nn.Sequential(...layers);
const space = (x) => x.mean([1, 2]);
const flat = (x) => x.reshape([x.shape[0], -1]);
const pool = (x) => nn.maxPool(x, [2, 2, 1], [2, 2, 1], "VALID");
const conv = (...args) => [new nn.Conv2D(...args), nn.relu];
const image = (n, size, channels = 3) => [normal(n, size, size, channels), ints(10, n)];

class Residual extends pax.Module {
  constructor(c, from = c, stride = 1) {
    super();
    const taps = (i, kernel, stride) => [new nn.Conv2D(i, c, kernel, { stride, withBias: false }), new nn.BatchNorm2D(c)];
    this.body = net(...taps(from, 3, stride), nn.relu, ...taps(c, 3, 1));
    this.short = from === c && stride === 1 ? net() : net(...taps(from, 1, stride));
  }
  forward(x) { return nn.relu(this.short.forward(x).add(this.body.forward(x))); }
}

class Block extends pax.Module {
  constructor(d, heads) {
    super();
    this.heads = heads;
    this.qkv = net(new nn.LayerNorm(d), new nn.Linear(d, 3 * d));
    this.out = net(new nn.Linear(d, d), new nn.Dropout(0.1));
    this.mlp = net(new nn.LayerNorm(d), new nn.Linear(d, 4 * d), (x) => nn.gelu(x), new nn.Linear(4 * d, d));
  }
  forward(x) {
    const [b, t, d] = x.shape;
    const parts = this.qkv.forward(x).reshape([b, t, 3, this.heads, d / this.heads]).transpose([2, 0, 3, 1, 4]);
    const [q, k, v] = [0, 1, 2].map((i) => parts.get(i));
    const scores = q.matmul(k.transpose([0, 1, 3, 2])).mul(1 / Math.sqrt(d / this.heads));
    const weights = nn.softmax(np.where(np.tril(np.ones([t, t])).greater(0), scores, -1e9));
    x = x.add(this.out.forward(weights.matmul(v).transpose([0, 2, 1, 3]).reshape([b, t, d])));
    return x.add(this.mlp.forward(x));
  }
}

class Recurrent extends pax.Module {
  constructor(...cells) {
    super();
    this.registerModuleSubtree("cells", cells);
    this.head = new nn.Linear(cells.at(-1).hiddenDim, 10);
  }
  forward(x) {
    const start = this.cells.map((c) => c.initialState(x.shape[0]));
    const [, ys] = pax.scan((states, now) => {
      const next = [];
      for (const [i, c] of this.cells.entries()) [now, next[i]] = c.forward(now, states[i]);
      return [next, now];
    }, start, x.transpose([1, 0, 2]));
    return this.head.forward(ys.get(-1));
  }
}

/** For each a network, its input and its labels. */
const networks = {
  logistic: () => [net(new nn.Linear(10_000, 2)), normal(256, 10_000), ints(2, 256)],
  tiny: () => [net(new nn.Linear(2, 16), np.tanh, new nn.Linear(16, 2)), normal(32, 2), ints(2, 32)],
  wide: () => [net(new nn.Linear(32, 4096), nn.relu, new nn.Linear(4096, 10)), normal(64, 32), ints(10, 64)],
  large: () => [net(new nn.Linear(1024, 2048), nn.relu, new nn.Linear(2048, 2048), nn.relu, new nn.Linear(2048, 10)), normal(512, 1024), ints(10, 512)],
  deep: () => [net(new nn.Linear(64, 128), ...Array.from({ length: 8 }, () => [new nn.LayerNorm(128), new nn.Linear(128, 128), (x) => nn.gelu(x)]).flat(), new nn.Linear(128, 10)), normal(64, 64), ints(10, 64)],
  dropout: () => [net(new nn.Linear(784, 512), nn.relu, new nn.Dropout(0.5), new nn.Linear(512, 512), nn.relu, new nn.Dropout(0.5), new nn.Linear(512, 10)), normal(128, 784), ints(10, 128)],
  lenet: () => [net(...conv(1, 6, 5), pool, ...conv(6, 16, 5, { padding: "VALID" }), pool, flat, new nn.Linear(400, 120), nn.relu, new nn.Linear(120, 10)), ...image(64, 28, 1)],
  residual: () => [net(new nn.Conv2D(3, 64, 3), new Residual(64), new Residual(64), new Residual(64), space, new nn.Linear(64, 10)), ...image(16, 32)],
  resnet18: () => [net(new nn.Conv2D(3, 64, 3, { withBias: false }), new nn.BatchNorm2D(64), nn.relu, ...[64, 128, 256, 512].flatMap((c, i) => [new Residual(c, i ? c / 2 : c, i ? 2 : 1), new Residual(c)]), space, new nn.Linear(512, 10)), ...image(32, 32)],
  depthwise: () => [net(...conv(3, 64, 3), ...conv(64, 64, 3, { featureGroupCount: 64 }), ...conv(64, 64, 1), space, new nn.Linear(64, 10)), ...image(16, 32)],
  grouped: () => [net(...conv(3, 64, 3), ...conv(64, 64, 3, { featureGroupCount: 4 }), space, new nn.Linear(64, 10)), ...image(16, 32)],
  dilated: () => [net(...conv(3, 32, 3), ...conv(32, 32, 3, { rate: 2 }), ...conv(32, 32, 3, { rate: 4 }), space, new nn.Linear(32, 10)), ...image(16, 32)],
  strided: () => [net(...conv(3, 64, 11, { stride: 4 }), ...conv(64, 96, 5), space, new nn.Linear(96, 10)), ...image(8, 96)],
  channelsFirst: () => [net(...conv(3, 32, 3, { dataFormat: "NCHW" }), ...conv(32, 64, 3, { dataFormat: "NCHW", stride: 2 }), flat, new nn.Linear(64 * 256, 10)), normal(32, 3, 32, 32), ints(10, 32)],
  groupNorm: () => [net(new nn.Conv2D(3, 32, 3), new nn.GroupNorm(8, 32), ...conv(32, 32, 3), new nn.GroupNorm(8, 32), nn.relu, space, new nn.Linear(32, 10)), ...image(32, 32)],
  autoencoder: () => [net(...conv(1, 16, 3, { stride: 2 }), ...conv(16, 32, 3, { stride: 2 }), new nn.Conv2DTranspose(32, 16, 3, { stride: 2 }), nn.relu, new nn.Conv2DTranspose(16, 1, 3, { stride: 2 }), space, new nn.Linear(1, 10)), ...image(32, 28, 1)],
  waves: () => [net(new nn.Conv1D(1, 32, 9, { stride: 2 }), nn.relu, new nn.Conv1D(32, 64, 9, { stride: 2 }), nn.relu, (x) => x.mean(1), new nn.Linear(64, 10)), normal(16, 4000, 1), ints(10, 16)],
  gru: () => [new Recurrent(new nn.GRU(32, 64)), normal(64, 50, 32), ints(10, 64)],
  lstm: () => [new Recurrent(new nn.LSTM(32, 96), new nn.LSTM(96, 96)), normal(32, 40, 32), ints(10, 32)],
  attention: () => [net(new Block(256, 8), new Block(256, 8), (x) => x.mean(1), new nn.Linear(256, 10)), normal(4, 256, 256), ints(10, 4)],
  long: () => [net(new Block(64, 2), (x) => x.mean(1), new nn.Linear(64, 10)), normal(2, 1024, 64), ints(10, 2)],
  language: () => [net(new nn.Embed(8192, 128), new nn.Linear(128, 128), (x) => nn.gelu(x), new nn.Linear(128, 8192)), ints(8192, 512), ints(8192, 512)],
  bag: () => [net(new nn.Embed(20_000, 64), (x) => x.mean(1), new nn.Linear(64, 2)), ints(20_000, 256, 20), ints(2, 256)],
};

const loss = (model, { x, y }) => crossEntropy(model.forward(x), y);
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(networks);
for (const name of names) {
  const [model, x, y] = networks[name]();
  const step = trainer(model, optax.adam(1e-3), loss, { x, y }, process.env.BENCH_EAGER === "1");
  const { first, times } = measure(step, { minMs: 500, maxMs: 1500 });
  times.sort((a, b) => a - b);
  console.log(name.padEnd(14), `first ${first.toFixed(0)}`.padStart(10), times[times.length >> 1].toFixed(3).padStart(10));
}
