/** Linear memory only grows: so it must stop to. 10,000 steps, eager with an awaited read each, and compiled. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { verbs } from "paxjs/internal";
import { builds } from "./builds.js";

const { np, nn, optim } = pax;
type T = pax.Tensor;
const test = suite("linear memory");

const loss = (params: pax.nn.Sequential, model: pax.nn.Sequential, x: T) => {
  model = model.update(params);
  return [np.mean(np.square(model.forward(x))), model] as const;
};
const start = (): [pax.nn.Sequential, pax.Optimizer, T] => {
  pax.seedRngKey(1);
  const model = new nn.Sequential(new nn.Linear(64, 64), nn.relu, new nn.Linear(64, 8));
  return [model, optim.sgd(model.parameters(), 1e-3), pax.random.normal(pax.random.key(1), [32, 64])];
};
const update = (model: pax.nn.Sequential, optimizer: pax.Optimizer, x: T) => {
  const [[value, updated], grads] = pax.valueAndGrad(loss, { hasAux: true })(model.parameters(), model, x);
  return [value, optimizer.step(grads, updated), optimizer] as const;
};

/** Pieces of the heap lie differently from step to step; what is kept of 9,000 steps would be more. */
const SLACK = 1 << 20;

/** Bytes by which linear memory grows between step 1,000 and step 10,000. */
async function growth(step: typeof update): Promise<number> {
  let [model, optimizer, x] = start();
  let before = 0;
  for (let i = 0; i < 10_000; i++) {
    let value: T;
    [value, model, optimizer] = step(model, optimizer, x);
    await value.data();
    if (i === 1000) before = verbs.heap();
  }
  assert.ok(before > 0);
  return verbs.heap() - before;
}

for (const { name, path } of builds) {
  test(`eager, ${name}`, async () => {
    await pax.init({ wasm: path });
    assert.ok(await growth(update) <= SLACK);
  });
  test(`compiled, ${name}`, async () => {
    await pax.init({ wasm: path });
    assert.ok(await growth(pax.jit(update, { donateArgnums: [0, 1] }) as typeof update) <= SLACK);
  });
}

test.run();
