/** `pax.optim`: modules that step as optax says, alone and under `jit`. */
import * as pax from "paxjs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fails } from "../support/fails.js";
import { near, same } from "../support/near.js";

const { np, nn, optax, optim } = pax;
type T = pax.Tensor;
type Net = pax.nn.Sequential;
const test = suite("optim");
test.before.each(() => { pax.seedRngKey(1); });

const x = np.linspace(-1, 1, 16).reshape([16, 1]);
const y = np.sin(x.mul(2)); // an odd function: optimizers that scale by the norm of a bias of 0 can learn it
const net = (): Net => new nn.Sequential(new nn.Linear(1, 16), np.tanh, new nn.Linear(16, 1));
const loss = (params: Net, model: Net): readonly [T, Net] => {
  model = model.update(params);
  return [np.mean(np.square(model.forward(x).sub(y))), model];
};
const gradients = (model: Net): Net => pax.grad(loss, { hasAux: true })(model.parameters(), model)[0];
const weight = (model: Net): T => (model.modules[0] as pax.nn.Linear).W;

// Every shortcut, with a rate that trains this network.
const shortcuts: Record<string, (params: pax.Module) => pax.Optimizer> = {
  adabelief: (p) => optim.adabelief(p, 0.01), adadelta: (p) => optim.adadelta(p, 5), adafactor: (p) => optim.adafactor(p, 0.05), adagrad: (p) => optim.adagrad(p, 0.1),
  adam: (p) => optim.adam(p, 0.01), adamax: (p) => optim.adamax(p, 0.01), adamaxw: (p) => optim.adamaxw(p, 0.01, { weightDecay: 0 }), adamw: (p) => optim.adamw(p, 0.01, { b1: 0.8 }),
  adan: (p) => optim.adan(p, 0.01), amsgrad: (p) => optim.amsgrad(p, 0.01), fromage: (p) => optim.fromage(p, 0.02), lamb: (p) => optim.lamb(p, 0.02), lars: (p) => optim.lars(p, 1),
  lion: (p) => optim.lion(p, 0.005), muon: (p) => optim.muon(p, 0.01), nadam: (p) => optim.nadam(p, 0.01), nadamw: (p) => optim.nadamw(p, 0.01), noisySgd: (p) => optim.noisySgd(p, 0.05, { eta: 1e-6 }),
  novograd: (p) => optim.novograd(p, 0.01), radam: (p) => optim.radam(p, 0.01), rmsprop: (p) => optim.rmsprop(p, 0.01), rprop: (p) => optim.rprop(p, 0.01),
  sgd: (p) => optim.sgd(p, optax.cosineDecaySchedule(0.1, 100), { momentum: 0.9 }), signum: (p) => optim.signum(p, 0.005), sm3: (p) => optim.sm3(p, 0.1), yogi: (p) => optim.yogi(p, 0.01),
};
// States that hold parameters or gradients themselves.
const holders: typeof shortcuts = {
  lbfgs: (p) => new (optim.fromOptax(optax.lbfgs(0.1)))(p), prodigy: (p) => new (optim.fromOptax(optax.contrib.prodigy(1, { estimLr0: 1e-2 })))(p),
  dog: (p) => new (optim.fromOptax(optax.contrib.dog(1, { initStep: ["distance", 0.1] })))(p), sam: (p) => new (optim.fromOptax(optax.contrib.sam(optax.adam(0.02), optax.sgd(0.01))))(p),
  scheduleFree: (p) => new (optim.fromOptax(optax.contrib.scheduleFreeAdamw(0.05)))(p), multiSteps: (p) => new (optim.fromOptax(new optax.MultiSteps(optax.adam(0.05), 3)))(p),
};
for (const [name, make] of Object.entries({ ...shortcuts, ...holders })) {
  test(`${name} trains a network under jit, with donated arguments`, () => {
    let model = net();
    let optimizer = make(model.parameters());
    let traces = 0;
    const step = pax.jit((m: Net, o: pax.Optimizer) => {
      traces += 1;
      const [[value, updated], grads] = pax.valueAndGrad(loss, { hasAux: true })(m.parameters(), m);
      return [value, o.step(grads, updated), o] as const;
    }, { donateArgnums: [0, 1] });
    const values: number[] = [];
    for (let i = 0; i < 60; i++) {
      let value: T;
      [value, model, optimizer] = step(model, optimizer);
      values.push(value.item());
    }
    assert.is(traces, 1);
    assert.ok(values.at(-1)! < 0.7 * values[0]!, `the loss went from ${values[0]} to ${values.at(-1)}`);
  });
}
test("every shortcut is tested", () => {
  const functions = Object.keys(optim).filter((name) => !["Optimizer", "fromOptax"].includes(name));
  assert.equal(functions.sort(), Object.keys(shortcuts).sort());
});

test("a step is optax's: update, then applyUpdates; the optimizer changes, the model does not", () => {
  const model = net();
  const transformation = optax.chain(optax.clipByGlobalNorm(0.1), optax.adamw(0.1));
  const optimizer = new (optim.fromOptax(transformation))(model.parameters());
  const before = weight(model).toArray();
  let [params, state] = [model.parameters(), transformation.init(model.parameters())];
  let moved = model;
  for (let t = 0; t < 3; t++) {
    const grads = gradients(moved);
    moved = optimizer.step(grads, moved);
    const [updates, next] = transformation.update(grads, state, params);
    [params, state] = [optax.applyUpdates(params, updates), next];
    same(weight(moved), weight(params), `step ${t}`);
  }
  assert.equal(weight(model).toArray(), before);
  assert.is(optimizer.state[1][0].count.item(), 3);
});
test("equal settings are one class: optimizers have the same structure, and jit traces once for all", async () => {
  const params = net().parameters();
  const [schedule, mask] = [optax.linearSchedule(1, 0, 10), () => true];
  const same = (a: pax.Optimizer, b: pax.Optimizer): boolean => pax.tree.structure(a).key() === pax.tree.structure(b).key();
  for (const make of [
    () => optim.adam(params), () => optim.adam(params, 1e-4, {}), () => optim.adamw(params, 0.1, { b1: 0.8, mask }), () => optim.sgd(params, schedule, { momentum: 0.9, nesterov: true }),
    () => optim.lars(params, 1, { weightDecay: 0.1 }),
  ]) {
    assert.ok(same(make(), make()));
    pax.tree.map((a: T, b: T) => a.add(b), make(), make());
  }
  assert.ok(same(optim.adam(params), optim.adam(params, 1e-4, {})));
  for (const [a, b] of [
    [optim.adam(params, 0.1), optim.adam(params, 0.2)], [optim.adam(params), optim.adamw(params)], [optim.adam(params, 0.1, { b1: 0.8 }), optim.adam(params, 0.1, { b2: 0.8 })],
    [optim.sgd(params, schedule), optim.sgd(params, optax.linearSchedule(1, 0, 10))], [optim.sgd(params, 1, { nesterov: true }), optim.sgd(params, 1, { nesterov: false })],
  ] as const) assert.not(same(a, b));
  const [one, other] = [optax.adam(0.1), optax.adam(0.1)];
  assert.is(optim.fromOptax(one), optim.fromOptax(one));
  assert.is.not(optim.fromOptax(one), optim.fromOptax(other));
  let traces = 0;
  const step = pax.jit((o: pax.Optimizer, m: Net, g: Net) => { traces += 1; return o.step(g, m); });
  const model = net();
  for (let i = 0; i < 4; i++) {
    step(optim.adam(model.parameters(), 0.1, { b1: 0.8 }), model, model.parameters());
    await new Promise((done) => { setTimeout(done); });
  }
  assert.is(traces, 1);
});
test("settings that are changed in place later are not those of the class", () => {
  const model = new nn.Linear(1, 1);
  const params = model.parameters();
  const zeros = pax.tree.map((t: T) => np.zerosLike(t), params);
  const mask = { W: true, b: false };
  optim.adamw(params, 0.1, { weightDecay: 0.5, mask });
  mask.W = false;
  const decayed = optim.adamw(params, 0.1, { weightDecay: 0.5, mask: { W: true, b: false } }).step(zeros, model);
  near(decayed.W, model.W.mul(0.95), "decayed as the mask says");
});
test("an optimizer takes what parameters() gives", () => {
  const model = new nn.Sequential(new nn.Linear(1, 2), new nn.BatchNorm([null, 2]));
  fails("tree", /`modules\[1\]\.mean` is not trainable: pass model\.parameters\(\)/, () => optim.adam(model), "modules[1].mean");
  fails("tree", /`modules\[0\]\.W` is not trainable/, () => new (optim.fromOptax(optax.sgd(1)))(model.freeze()));
  assert.is(pax.tree.structure(optim.adam(net()).state).key(), pax.tree.structure(optim.adam(net().parameters()).state).key());
});
test("frozen layers and state stay, and have no moments", () => {
  const model = new nn.Sequential(new nn.Linear(1, 4).freeze(), new nn.BatchNorm([null, 4]), nn.relu, new nn.Linear(4, 1));
  const optimizer = optim.adam(model.parameters(), 0.1);
  assert.is(weight(optimizer.state[0].mu as Net), null);
  const trained = optimizer.step(gradients(model), model);
  assert.is(weight(trained), weight(model));
  assert.not(np.allclose((trained.modules[3] as pax.nn.Linear).W, (model.modules[3] as pax.nn.Linear).W));
});
test("the learning rate of a schedule is read by its name", () => {
  const model = net();
  const optimizer = optim.adamw(model.parameters(), optax.linearSchedule(1, 0, 10), { weightDecay: 0.1 });
  for (const expected of [1, 0.9, 0.8]) {
    optimizer.step(gradients(model), model);
    near(optax.tree.get(optimizer.state, "learningRate"), np.array(expected), "learning rate");
  }
});
test("a hyperparameter is changed between jitted steps, without a new trace", () => {
  const model = net();
  const [grads, ones] = [gradients(model), pax.tree.map((p) => np.onesLike(p), model.parameters())];
  let optimizer = new (optim.fromOptax(optax.injectHyperparams(optax.sgd)(0.5)))(model.parameters());
  let traces = 0;
  const step = pax.jit((m: Net, o: typeof optimizer, g: Net) => { traces += 1; return [o.step(g, m), o] as const; });
  let moved: Net;
  [moved, optimizer] = step(model, optimizer, ones);
  near(weight(moved), weight(model).sub(0.5), "0.5");
  optimizer.state.hyperparams.learningRate = np.array(0.25);
  [moved, optimizer] = step(model, optimizer, ones);
  near(weight(moved), weight(model).sub(0.25), "0.25");
  optimizer.state = optax.tree.set(optimizer.state, { learningRate: 1 });
  [moved, optimizer] = step(model, optimizer, grads);
  near(weight(moved), weight(model).sub(weight(grads)), "1");
  assert.is(traces, 1);
});
test("extra arguments reach the transformation", () => {
  const model = net();
  const grads = gradients(model);
  const optimizer = new (optim.fromOptax(optax.polyakSgd(100)))(model.parameters());
  const value = loss(model.parameters(), model)[0];
  const rate = value.item() / optax.globalNorm(grads).item() ** 2;
  near(weight(optimizer.step(grads, model, { value })), weight(model).sub(weight(grads).mul(rate)), "Polyak's step");
});
test("fromOptax takes any pair of init and update", () => {
  const Half = optim.fromOptax({
    init: () => ({ count: np.array(0) }),
    update: (updates, state) => [pax.tree.map((u: T) => u.mul(-0.5), updates), { count: state.count.add(1) }],
  });
  const model = net();
  const optimizer = new Half(model.parameters());
  const grads = gradients(model);
  near(weight(optimizer.step(grads, model)), weight(model).sub(weight(grads).mul(0.5)), "half the gradient");
  assert.is(optimizer.state.count.item(), 1);
});
test.run();
