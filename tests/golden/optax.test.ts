/** Parameters after each of five steps against optax's. */
import * as pax from "paxjs";
import { suite } from "uvu";
import { near } from "../support/near.js";
import { golden } from "../support/safetensors.js";

type Params = { readonly w: pax.Tensor; readonly b: pax.Tensor; readonly s: pax.Tensor };
const { optax } = pax;

const optimizers: Record<string, () => pax.optax.GradientTransformation> = {
  sgd: () => optax.sgd(0.1),
  sgd_momentum: () => optax.sgd(0.1, { momentum: 0.9 }),
  sgd_nesterov: () => optax.sgd(0.1, { momentum: 0.9, nesterov: true }),
  adam: () => optax.adam(1e-2),
  adam_hyper: () => optax.adam(1e-2, { b1: 0.8, b2: 0.95, eps: 1e-3, epsRoot: 1e-4 }),
  adamw: () => optax.adamw(1e-2),
  chain_clip_adam: () => optax.chain(optax.clipByGlobalNorm(1), optax.adam(1e-2)),
  chain_clip_adamw: () => optax.chain(optax.clipByGlobalNorm(1), optax.adamw(1e-4, { weightDecay: 1e-4 })),
};

const data = golden<{ readonly case: string; readonly steps: number; readonly rtol?: number }>("optax");
const read = (prefix: string): Params => ({ w: data.get(`${prefix}/w`), b: data.get(`${prefix}/b`), s: data.get(`${prefix}/s`) });
const test = suite("golden optax");

for (const [name, make] of Object.entries(optimizers)) {
  test(name, () => {
    const found = data.cases.find((c) => c.case === name);
    if (found === undefined) throw new Error(`no golden case ${name}`);
    const tolerance = found.rtol === undefined ? {} : { rtol: found.rtol };
    const optimizer = make();
    let params = read("params0");
    let state = optimizer.init(params);
    for (let step = 0; step < found.steps; step++) {
      const [updates, next] = optimizer.update(read(`grads/${step}`), state, params);
      state = next;
      params = optax.applyUpdates(params, updates);
      const expected = read(`${name}/${step}`);
      for (const leaf of ["w", "b", "s"] as const) near(params[leaf], expected[leaf], `${name}: ${leaf} after step ${step}`, tolerance);
    }
  });
}
test.run();
