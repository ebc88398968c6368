// An instance's life in a worker: what traps is an error, a new one starts, and memory stops growing. Gives what it found.
import * as pax from "/dist/web/index.js";
import { verbs } from "/dist/web/internal.js";

const { np, nn } = pax;
const errorOf = (f) => { try { f(); } catch (e) { return `${e.code}: ${e.message}`; } return "no error"; };

class Net extends pax.Module {
  hidden = new nn.Linear(64, 64);
  out = new nn.Linear(64, 8);
  forward(x) { return this.out.forward(nn.relu(this.hidden.forward(x))); }
}
const loss = (params, model, x) => {
  model = model.update(params);
  return [np.mean(np.square(model.forward(x))), model];
};
const eager = (model, optimizer, x) => {
  const [[value, updated], grads] = pax.valueAndGrad(loss, { hasAux: true })(model.parameters(), model, x);
  return [value, optimizer.step(grads, updated), optimizer];
};
const compiled = pax.jit(eager, { donateArgnums: [0, 1] });

/** Trains, and gives losses and the bytes of memory after a tenth of the steps and at the end. */
async function train(step, steps) {
  pax.seedRngKey(1);
  let model = new Net();
  let optimizer = pax.optim.sgd(model.parameters(), 1e-2);
  const x = pax.random.normal(pax.random.key(2), [32, 64]);
  let [value, first, early] = [null, 0, 0];
  for (let i = 0; i < steps; i++) {
    [value, model, optimizer] = step(model, optimizer, x);
    const [now] = await value.data();
    if (i === 0) first = now;
    if (i === Math.floor(steps / 10)) early = verbs.heap();
  }
  return { first, last: value.item(), early, late: verbs.heap() };
}

onmessage = async ({ data: steps }) => {
  try {
    // Two parts of a page that start the library each get the same instance.
    const [shared] = await Promise.all([pax.init().then(() => np.array([5])), pax.init()]);
    const fetched = performance.getEntriesByType("resource").filter((e) => e.name.endsWith(".wasm")).length;
    const together = [shared.item(), fetched];
    const before = await train(compiled, 20);
    const old = np.array([1, 2]);
    const errors = [errorOf(() => pax.grad((x) => { verbs.panicForTest(); return x; })(1)), errorOf(() => np.ones([2])), errorOf(() => compiled(old))];
    await pax.init({ restart: true });
    const stale = errorOf(() => old.add(1));
    const after = await train(compiled, 20);
    // A stack of its own depth: it ends in JavaScript or in the instance.
    const dive = () => { np.ones([1]); dive(); };
    let overflow = "";
    try { dive(); } catch (e) { overflow = e.code ?? e.name; }
    await pax.init({ restart: true });
    // Six times 1 GiB, each read so that it is there.
    const huge = errorOf(() => Array.from({ length: 6 }, () => { const t = np.arange(2 ** 28); t.sum().item(); return t; }));
    await pax.init({ restart: true });
    const again = await train(compiled, 20);
    const flat = { compiled: await train(compiled, steps) };
    await pax.init({ restart: true });
    flat.eager = await train(eager, steps);
    postMessage({ together, before, errors, stale, after, overflow, huge, again, ...flat, isolated: crossOriginIsolated });
  } catch (e) {
    postMessage({ failure: String(e.stack ?? e) });
  }
};
