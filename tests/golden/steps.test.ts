/** Three training steps of the seed's two networks against JAX, Haiku and optax. */
import * as pax from "paxjs";
import { suite } from "uvu";
import { near } from "../support/near.js";
import { golden } from "../support/safetensors.js";

const { haiku, nn, np, optax, optim } = pax;
const data = golden<{ readonly case: string; readonly rtol: number }>("steps");
const test = suite("golden steps");
const CONVS = 6;
const suffix = (i: number): string => (i === 0 ? "" : `_${i}`);
type Net = pax.nn.Sequential;

/** Leaves by Haiku's names; a convolution's bias before a batch norm has a true gradient of 0 and is left out. */
function named(net: Net): Map<string, pax.Tensor> {
  const out = new Map<string, pax.Tensor>();
  const convs = net.modules.filter((m) => m instanceof nn.Conv2D);
  const norms = net.modules.filter((m) => m instanceof nn.BatchNorm);
  convs.forEach((m, i) => {
    out.set(`conv2_d${suffix(i)}/w`, m.w);
    if (i === CONVS - 1) out.set(`conv2_d${suffix(i)}/b`, m.b!);
  });
  norms.forEach((m, i) => {
    out.set(`batch_norm${suffix(i)}/scale`, m.scale!);
    out.set(`batch_norm${suffix(i)}/offset`, m.offset!);
  });
  return out;
}

test("mnist", () => {
  const { rtol } = data.cases.find((c) => c.case === "mnist")!;
  const at = (path: string): pax.Tensor => data.get(`mnist/${path}`);
  const layers: (pax.nn.Layer | ((x: pax.Tensor) => pax.Tensor))[] = [(x) => x.astype("float32").div(255)];
  for (let i = 0; i < CONVS - 1; i++) {
    const conv = new nn.Conv2D(i === 0 ? 1 : 32, 32, 6, { padding: "VALID" });
    conv.w = at(`params0/conv2_d${suffix(i)}/w`);
    conv.b = at(`params0/conv2_d${suffix(i)}/b`);
    layers.push(conv, new nn.BatchNorm([null, null, null, 32], true, true, 0.99), nn.relu);
  }
  const last = new nn.Conv2D(32, 10, 3, { padding: "VALID" });
  last.w = at("params0/conv2_d_5/w");
  last.b = at("params0/conv2_d_5/b");
  let net = new nn.Sequential(...layers, last, (x) => x.reshape([-1, 10]));
  let optimizer: pax.Optimizer = new (optim.fromOptax(optax.chain(optax.clipByGlobalNorm(1), optax.adamw(1e-4, { weightDecay: 1e-4 }))))(net.parameters());

  const loss = (params: Net, model: Net, images: pax.Tensor, labels: pax.Tensor) => {
    model = model.update(params);
    return [nn.logSoftmax(model.forward(images)).mul(nn.oneHot(labels, 10)).sum(-1).mean().neg(), model] as const;
  };
  const step = pax.jit((model: Net, opt: pax.Optimizer, images: pax.Tensor, labels: pax.Tensor) => {
    const [[value, updated], grads] = pax.valueAndGrad(loss, { hasAux: true })(model.parameters(), model, images, labels);
    return [value, grads, opt.step(grads, updated), opt] as const;
  });
  const expected = at("losses").toArray() as number[];
  for (let t = 0; t < 3; t++) {
    const [images, labels] = [at("images").take([t], 0).reshape([8, 28, 28, 1]), at("labels").take([t], 0).reshape([8])];
    const [value, grads, model, opt] = step(net, optimizer, images, labels);
    near(value, pax.np.array(expected[t]!), `loss ${t}`, { rtol });
    if (t === 0) for (const [name, g] of named(grads)) {
      const want = at(`grads0/${name}`);
      near(g.reshape(want.shape), want, `gradient of ${name}`, { rtol, atol: 1e-3 * pax.np.max(pax.np.abs(want)).item() });
    }
    [net, optimizer] = [model, opt];
  }
  for (const [name, p] of named(net)) near(p.reshape(at(`params3/${name}`).shape), at(`params3/${name}`), name, { rtol, atol: 1e-5 });
  net.modules.filter((m) => m instanceof nn.BatchNorm).forEach((m, i) => {
    const [mean, variance] = [at(`state3/batch_norm${suffix(i)}/~/mean_ema/average`), at(`state3/batch_norm${suffix(i)}/~/var_ema/average`)];
    near(m.mean.reshape(mean.shape), mean, `mean ${i}`, { rtol, atol: 1e-4 });
    near(m.var.reshape(variance.shape), variance, `var ${i}`, { rtol, atol: 1e-4 });
  });
});
class LM extends pax.Module {
  embed = haiku.embed(256, 32);
  lstm = haiku.lstm(32);
  linear = haiku.linear(32, 256);
  forward(tokens: pax.Tensor): pax.Tensor {
    const [outputs] = haiku.dynamicUnroll(this.lstm, this.embed.forward(tokens), this.lstm.initialState(tokens.shape[0]!), { timeMajor: false });
    return this.linear.forward(outputs);
  }
}
/** Parameters by Haiku's names, which ours are. */
const byName = (model: LM): [string, pax.Tensor][] => [model.embed, model.lstm, model.linear].flatMap((part) =>
  Object.entries(part.params).flatMap(([module, leaves]) => Object.entries(leaves as Record<string, pax.Tensor>).map(([name, t]): [string, pax.Tensor] => [`${module}/${name}`, t])));

const rnn = data.cases.find((c) => c.case === "char_rnn")!;
const rnnAt = (path: string): pax.Tensor => data.get(`char_rnn/${path}`);
function languageModel(): readonly [LM, pax.Optimizer] {
  const model = new LM();
  for (const part of [model.embed, model.lstm, model.linear]) {
    part.params = Object.fromEntries(Object.entries(part.params).map(([module, leaves]) => [module, Object.fromEntries(Object.keys(leaves as object).map((name) => [name, rnnAt(`params0/${module}/${name}`)]))])) as typeof part.params;
  }
  return [model, new (optim.fromOptax(optax.chain(optax.clipByGlobalNorm(1), optax.adam(1e-4))))(model.parameters())];
}
const rnnLoss = (params: LM, model: LM, tokens: pax.Tensor) => {
  model = model.update(params);
  const [inputs, targets] = [tokens.take(np.arange(16), 1), tokens.take(np.arange(1, 17), 1)];
  return [nn.logSoftmax(model.forward(inputs)).mul(nn.oneHot(targets, 256)).sum(-1).mean().neg(), model] as const;
};
function compare(model: LM, losses: pax.Tensor): void {
  near(losses, rnnAt("losses"), "losses", { rtol: rnn.rtol });
  const named = byName(model);
  if (named.length !== 5) throw new Error(`${named.length} parameters`);
  for (const [name, p] of named) near(p, rnnAt(`params3/${name}`), name, { rtol: rnn.rtol, atol: 1e-5 });
}

test("char_rnn", () => {
  let [model, optimizer] = languageModel();
  const step = pax.jit((model: LM, optimizer: pax.Optimizer, tokens: pax.Tensor) => {
    const [[loss, updated], grads] = pax.valueAndGrad(rnnLoss, { hasAux: true })(model.parameters(), model, tokens);
    return [loss, grads, optimizer.step(grads, updated), optimizer] as const;
  });
  const losses: pax.Tensor[] = [];
  for (let t = 0; t < 3; t++) {
    const [loss, grads, next, opt] = step(model, optimizer, rnnAt("tokens").take(t, 0));
    if (t === 0) for (const [name, g] of byName(grads)) {
      const want = rnnAt(`grads0/${name}`);
      near(g, want, `gradient of ${name}`, { rtol: rnn.rtol, atol: 1e-4 * np.max(np.abs(want)).item() });
    }
    losses.push(loss);
    [model, optimizer] = [next, opt];
  }
  compare(model, np.stack(losses));
});

test("char_rnn through pmap, scan and pmean", () => {
  const [model, optimizer] = languageModel();
  const update = ([model, optimizer]: readonly [LM, pax.Optimizer], tokens: pax.Tensor) => {
    const [[loss, updated], grads] = pax.valueAndGrad(rnnLoss, { hasAux: true })(model.parameters(), model, tokens);
    return [[optimizer.step(pax.pmean(grads, "i"), updated), optimizer], loss] as const;
  };
  const train = pax.pmap((model: LM, optimizer: pax.Optimizer, batches: pax.Tensor) => pax.scan(update, [model, optimizer] as const, batches), { axisName: "i" });
  const replicated = pax.tree.map((x: pax.Tensor) => x.expandDims(0), [model, optimizer] as const);
  const [[trained], losses] = train(...replicated, rnnAt("tokens").expandDims(0));
  compare(pax.tree.map((x: pax.Tensor) => x.take(0, 0), trained), losses.take(0, 0));
});
test.run();
