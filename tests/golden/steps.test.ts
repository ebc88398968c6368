/** Three training steps of the seed's MNIST network against JAX, Haiku and optax. */
import * as pax from "paxjs";
import { suite } from "uvu";
import { near } from "../support/near.js";
import { golden } from "../support/safetensors.js";

const { nn, optax, optim } = pax;
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
test.run();
