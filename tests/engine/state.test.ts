/** State and random keys under each transformation, as API.md's table says: the state after is that of the loop written by hand. */
import * as pax from "paxjs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { near } from "../support/near.js";

const { np, nn, tree } = pax;
const test = suite("state under transformations");
type T = pax.Tensor;
type Layer = pax.nn.Layer;

const layers: Record<string, () => Layer> = {
  BatchNorm: () => new nn.BatchNorm([null, 3]),
  Dropout: () => { pax.seedRngKey(7); return new nn.Dropout(0.5); },
};
const batches = [0, 1, 2].map((i) => pax.random.normal(pax.random.key(i), [4, 3]));

/** Every leaf of two modules alike; a compiled program may round otherwise than a loop. */
function alike(a: pax.Module, b: pax.Module, what: string): void {
  const paths = tree.paths(a);
  tree.zip(a, b).forEach(([x, y], i) => near(x as T, y as T, `${what}: ${paths[i]!}`, { rtol: 1e-6, atol: 1e-7 }));
}
/** A layer's results and states over the batches, one by one. */
function byHand(make: () => Layer): { readonly ys: T[]; readonly states: Layer[] } {
  const [ys, states]: [T[], Layer[]] = [[], []];
  let model = make();
  for (const x of batches) {
    model = model.copy();
    ys.push(model.forward(x));
    states.push(model);
  }
  return { ys, states };
}
const run = (model: Layer, x: T) => { const y = model.forward(x); return [y, model] as const; };

for (const [name, make] of Object.entries(layers)) {
  const hand = byHand(make);
  const follow = (what: string, step: (model: Layer, x: T) => readonly [T, Layer]): void => test(`${name} under ${what}`, () => {
    let model = make();
    const before = make();
    batches.forEach((x, i) => {
      const given = model;
      const [y, next] = step(model, x);
      near(y, hand.ys[i]!, `result ${i}`, { rtol: 1e-5, atol: 1e-6 });
      alike(next, hand.states[i]!, `state ${i}`);
      // What was passed in is as it was.
      alike(given, i === 0 ? before : hand.states[i - 1]!, `the argument of step ${i}`);
      model = next;
    });
  });
  follow("grad", (model, x) => pax.grad((p: Layer, m: Layer, x: T) => { m = m.update(p); const y = m.forward(x); return [y.sum(), [y, m]] as const; }, { hasAux: true })(model.parameters(), model, x)[1]);
  follow("valueAndGrad", (model, x) => pax.valueAndGrad((p: Layer, m: Layer, x: T) => { m = m.update(p); const y = m.forward(x); return [y.sum(), [y, m]] as const; }, { hasAux: true })(model.parameters(), model, x)[0][1]);
  follow("jit", (() => { const step = pax.jit(run); return (model: Layer, x: T) => step(model, x); })());
  follow("checkpoint", pax.checkpoint(run));
  follow("grad of checkpoint", (model, x) => pax.grad((x: T, m: Layer) => { const [y, next] = pax.checkpoint(run)(m, x); return [y.sum(), [y, next]] as const; }, { hasAux: true })(x, model)[1]);

  test(`${name} in the carry of scan`, () => {
    const [last, ys] = pax.scan((m: Layer, x: T) => { const y = m.forward(x); return [m, y]; }, make(), np.stack(batches));
    near(ys, np.stack(hand.ys), "results", { rtol: 1e-5, atol: 1e-6 });
    alike(last, hand.states.at(-1)!, "state");
  });

  test(`${name} in an ensemble: vmap with the module mapped`, () => {
    const models = [make(), hand.states[0]!];
    const stacked = tree.map((a: T, b: T) => np.stack([a, b]), models[0]!, models[1]!);
    const [ys, next] = pax.vmap(run, { inAxes: [0, null] })(stacked, batches[1]!);
    models.forEach((m, i) => {
      const own = m.copy();
      near(ys.take(i, 0), own.forward(batches[1]!), `result ${i}`, { rtol: 1e-5, atol: 1e-6 });
      alike(tree.map((a: T) => a.take(i, 0), next), own, `state ${i}`);
    });
  });
}

test("BatchNorm under vmap with the module not mapped: its state depends on the mapped input, and is named", () => {
  const model = make("BatchNorm");
  let error: unknown;
  try { pax.vmap(run, { inAxes: [null, 0], outAxes: [0, null] })(model, np.stack(batches)); } catch (e) { error = e; }
  assert.instance(error, pax.PaxError);
  assert.is((error as pax.PaxError).code, "trace");
  assert.match((error as Error).message, /`\[1\]\.mean(Hidden)?`.*crossReplicaAxis.*eval\(\)/);
  const [ys] = pax.vmap(run, { inAxes: [null, 0], outAxes: [0, null] })(model.eval(), np.stack(batches));
  assert.equal([...ys.shape], [3, 4, 3]);
});
test("Dropout under vmap with the module not mapped: every example sees the same key, and the state is one", () => {
  const model = make("Dropout");
  const x = np.ones([5, 4, 3]);
  const [ys, next] = pax.vmap(run, { inAxes: [null, 0], outAxes: [0, null] })(model, x);
  const own = model.copy();
  const y = own.forward(np.ones([4, 3]));
  for (let i = 0; i < 5; i++) near(ys.take(i, 0), y, `example ${i}`);
  alike(next, own, "state");
});
test("the recomputation of a checkpoint sees the same mask", () => {
  const model = make("Dropout");
  const [x, w] = [np.ones([8, 3]), np.array([1, 2, 3])];
  const f = (model: Layer, w: T): T => model.forward(x).mul(w).exp().sum();
  near(pax.grad((w: T, m: Layer) => pax.checkpoint(f)(m, w))(w, model), pax.grad((w: T, m: Layer) => f(m, w))(w, model), "gradient", { rtol: 1e-6 });
});

function make(name: string): Layer { return layers[name]!(); }
test.run();
