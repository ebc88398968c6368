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

/**
 * Between collections there is what V8 has yet to find, and it looks less often where its own heap is large: so much more at one
 * time than at another. 9,000 eager steps make 900 MB.
 */
const SLACK = 8 << 20;

/** Bytes by which linear memory grows between step 1,000 and step 10,000. */
async function growth(step: typeof update): Promise<number> {
  const [first, initial, x] = start();
  let [model, optimizer] = [first, initial];
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
    const grown = await growth(update);
    assert.ok(grown <= SLACK, `${grown} bytes`);
  });
  // V8 looks often enough by itself; Firefox does so only where an array buffer tells it of memory.
  test(`new tensors call the collector without a read, ${name}`, async () => {
    await pax.init({ wasm: path });
    const Real = ArrayBuffer;
    let called = 0;
    globalThis.ArrayBuffer = new Proxy(Real, { construct: (_, [bytes]: number[]) => { called += Number(bytes! >= 64 << 20); return new Real(1); } });
    try {
      for (let i = 0; i < 100; i++) np.zeros([1 << 18]).dispose();
    } finally {
      globalThis.ArrayBuffer = Real;
    }
    assert.ok(called >= 5 && called <= 7, `${called} calls for 100 MiB`);
  });
  test(`compiled, ${name}`, async () => {
    await pax.init({ wasm: path });
    const grown = await growth(pax.jit(update, { donateArgnums: [0, 1] }) as typeof update);
    assert.ok(grown <= SLACK, `${grown} bytes`);
  });
}

test.run();
