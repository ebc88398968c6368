// The workloads as plain modules: what a user would write. Each gives a model, an optimizer and a step's loss.
import * as pax from "paxjs";

const { np, nn, optax } = pax;

/** Sets `fields` of a module from tensors by name. */
function withWeights(module, fields) {
  for (const [name, tensor] of Object.entries(fields)) module[name] = tensor;
  return module;
}
const linear = (w, b) => withWeights(new nn.Linear(w.shape[0], w.shape[1]), { W: w, b });
/** Mean cross-entropy of integer labels. */
export const crossEntropy = (logits, labels) => optax.softmaxCrossEntropyWithIntegerLabels(logits, labels).mean();

function mlp(p, layers) {
  const parts = Array.from({ length: layers }, (_, i) => [linear(p[`w${i}`], p[`b${i}`]), ...(i < layers - 1 ? [nn.relu] : [])]);
  return new nn.Sequential(...parts.flat());
}

/** Batch norm whose running averages start from given values: `s = 0.9 s + 0.1 batch`. */
class BatchNorm extends pax.Module {
  constructor(scale, bias, mean, variance) {
    super();
    this.registerParameter("scale", scale);
    this.registerParameter("bias", bias);
    this.registerState("mean", mean);
    this.registerState("variance", variance);
  }
  forward(x) {
    const [mean, variance] = [x.mean([0, 1, 2]), np.var(x, [0, 1, 2])];
    this.mean = this.mean.mul(0.9).add(pax.stopGradient(mean).mul(0.1));
    this.variance = this.variance.mul(0.9).add(pax.stopGradient(variance).mul(0.1));
    return x.sub(mean).mul(np.rsqrt(variance.add(1e-5)).mul(this.scale)).add(this.bias);
  }
}
function cnn(p, s) {
  const conv = (w, stride) => withWeights(new nn.Conv2D(w.shape[2], w.shape[3], 3, { stride, withBias: false }), { w });
  const norm = (i) => new BatchNorm(p[`bn${i}.scale`], p[`bn${i}.bias`], s[`bn${i}.mean`], s[`bn${i}.var`]);
  const layers = [1, 2, 2].flatMap((stride, i) => [conv(p[`conv${i}`], stride), norm(i), nn.relu]);
  return new nn.Sequential(...layers, (x) => x.mean([1, 2]), linear(p.w, p.b));
}

class CharRnn extends pax.Module {
  constructor(p) {
    super();
    for (const name of ["embed", "wx", "wh", "bl"]) this.registerParameter(name, p[name]);
    this.head = linear(p.w, p.b);
  }
  /** Logits [time, batch, vocabulary] of tokens [batch, time]. */
  forward(tokens) {
    const inputs = np.take(this.embed, tokens.T, 0).matmul(this.wx).add(this.bl);
    const zeros = np.zeros([tokens.shape[0], this.wh.shape[0]], { dtype: this.wh.dtype });
    const cell = ({ h, c }, x) => {
      const [i, f, g, o] = np.split(x.add(h.matmul(this.wh)), 4, -1);
      c = nn.sigmoid(f).mul(c).add(nn.sigmoid(i).mul(g.tanh()));
      h = nn.sigmoid(o).mul(c.tanh());
      return [{ h, c }, h];
    };
    return this.head.forward(pax.scan(cell, { h: zeros, c: zeros }, inputs)[1]);
  }
}

class Norm extends pax.Module {
  constructor(scale, bias) {
    super();
    this.registerParameter("scale", scale);
    this.registerParameter("bias", bias);
  }
  forward(x) {
    const centred = x.sub(x.mean(-1, { keepdims: true }));
    return centred.mul(np.rsqrt(np.square(centred).mean(-1, { keepdims: true }).add(1e-5))).mul(this.scale).add(this.bias);
  }
}
class Block extends pax.Module {
  constructor(p, prefix, heads) {
    super();
    const at = (name) => p[`${prefix}${name}`];
    this.heads = heads;
    this.ln1 = new Norm(at("ln1.scale"), at("ln1.bias"));
    this.qkv = linear(at("wqkv"), at("bqkv"));
    this.out = linear(at("wo"), at("bo"));
    this.ln2 = new Norm(at("ln2.scale"), at("ln2.bias"));
    this.up = linear(at("w1"), at("b1"));
    this.down = linear(at("w2"), at("b2"));
  }
  forward(x) {
    const [batch, time, width] = x.shape;
    const size = width / this.heads;
    const [q, k, v] = np.split(this.qkv.forward(this.ln1.forward(x)), 3, -1).map((a) => a.reshape([batch, time, this.heads, size]));
    const scores = np.einsum("bqhd,bkhd->bhqk", q, k).mul(size ** -0.5);
    const causal = np.tril(np.ones([time, time], { dtype: "bool" }));
    const weights = nn.softmax(np.where(causal, scores, -1e30), -1);
    x = x.add(this.out.forward(np.einsum("bhqk,bkhd->bqhd", weights, v).reshape([batch, time, width])));
    return x.add(this.down.forward(nn.gelu(this.up.forward(this.ln2.forward(x)))));
  }
}
class Transformer extends pax.Module {
  constructor(p) {
    super();
    this.registerParameter("tok", p.tok);
    this.registerParameter("pos", p.pos);
    this.registerModuleSubtree("blocks", [0, 1, 2, 3].map((i) => new Block(p, `h${i}.`, 4)));
    this.norm = new Norm(p["lnf.scale"], p["lnf.bias"]);
    this.head = linear(p.w, p.b);
  }
  forward(tokens) {
    const x = this.blocks.reduce((y, block) => block.forward(y), np.take(this.tok, tokens, 0).add(this.pos));
    return this.head.forward(this.norm.forward(x));
  }
}

/** Inputs and targets of tokens [batch, time + 1]. */
const shifted = (tokens) => {
  const time = tokens.shape[1] - 1;
  return [tokens.take(np.arange(time), 1), tokens.take(np.arange(1, time + 1), 1)];
};

/** Model, optax transformation and `loss(model, batch)` of a workload, from the tensors of its file. */
export const workloads = {
  W1: (p) => ({ model: mlp(p, 3), optimizer: optax.adam(1e-3), loss: (model, { x, y }) => crossEntropy(model.forward(x), y) }),
  W1s: (p) => ({ model: mlp(p, 2), optimizer: optax.sgd(0.01, { momentum: 0.9 }), loss: (model, { x, y }) => crossEntropy(model.forward(x), y) }),
  W2: (p, s) => ({ model: cnn(p, s), optimizer: optax.adam(1e-3), loss: (model, { x, y }) => crossEntropy(model.forward(x), y) }),
  W3: (p) => ({
    model: new CharRnn(p), optimizer: optax.chain(optax.clipByGlobalNorm(1), optax.adam(1e-3)),
    loss: (model, { tokens }) => { const [x, y] = shifted(tokens); return crossEntropy(model.forward(x), y.T); },
  }),
  W4: (p) => ({
    model: new Transformer(p), optimizer: optax.adamw(1e-3, { weightDecay: 0.01 }),
    loss: (model, { tokens }) => { const [x, y] = shifted(tokens); return crossEntropy(model.forward(x), y); },
  }),
};

pax.seedRngKey(0);
const conv = new nn.Conv2D(64, 64, 3, { withBias: false });
/** The kernels of K1: function, inputs, work of one call and its unit. */
export const kernels = {
  "K1.matmul": [(a, b) => a.matmul(b), ["a", "b"], 2 * 1024 ** 3, "GFLOP/s"],
  "K1.gelu_chain": [(x, scale, shift) => nn.gelu(x.mul(scale).add(shift)), ["x", "scale", "shift"], 4 * (2 * 4096 * 1024 + 2 * 1024), "GB/s"],
  "K1.rowsum": [(x) => x.sum(-1), ["x"], 4 * (4096 * 1024 + 4096), "GB/s"],
  "K1.softmax": [(x) => nn.softmax(x, -1), ["x"], 4 * 2 * 4096 * 1024, "GB/s"],
  "K1.conv2d": [(x, w) => conv.replace({ w }).forward(x), ["img", "kernel"], 2 * 32 * 28 * 28 * 64 * 64 * 9, "GFLOP/s"],
};
