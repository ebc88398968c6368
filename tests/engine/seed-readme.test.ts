/** What the README of NTT123/pax shows, section by section; each has a section of our README. */
import * as pax from "paxjs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { near } from "../support/near.js";

const { hk, nn, np, optax } = pax;
const test = suite("the seed's README");
type T = pax.Tensor;

class Counter extends pax.Module {
  declare counter: pax.State<T>;
  declare bias: T;
  constructor(startValue = 0) {
    super();
    this.registerState("counter", np.array(startValue));
    this.registerParameter("bias", np.array(0.0));
  }
  forward(x: T): T {
    this.counter = this.counter.add(1);
    return this.counter.mul(x).add(this.bias);
  }
}

test("Getting started: the Counter", () => {
  const lossFn = (params: Counter, model: Counter, x: T) => {
    model = model.update(params);
    const loss = np.mean(np.square(x.sub(model.forward(x))));
    return [loss, [loss, model]] as const;
  };
  const net = new Counter(3);
  const [grads, [loss, updated]] = pax.grad(lossFn, { hasAux: true })(net.parameters(), net.copy(), np.array(10));
  assert.is(grads.counter, null);
  assert.is(grads.bias.item(), 60);
  assert.is(loss.item(), 900);
  assert.is(updated.counter.item(), 4);
  assert.is(net.counter.item(), 3);
});

test("Modules: a Haiku LSTM converts, and hkInit makes its parameters", () => {
  const dummyX = np.zeros([1, 32]);
  let lstm = pax.fromHaiku(hk.LSTM)(32);
  lstm = lstm.hkInit(dummyX, { hidden: dummyX, cell: dummyX });
  assert.equal(pax.tree.paths(lstm.parameters()), ['params["lstm/linear"].b', 'params["lstm/linear"].w']);
  const [output, state] = lstm.forward(np.ones([1, 32]), { hidden: dummyX, cell: dummyX });
  assert.equal([...output.shape], [1, 32]);
  near(output, state.hidden, "the output is the hidden state");
});
test("Modules: functions that avoid dummy inputs", () => {
  const { haiku } = pax;
  const shape = (layer: { forward(x: T): T }, ...sizes: number[]): readonly number[] => layer.forward(np.ones(sizes)).shape;
  assert.equal(shape(haiku.linear(3, 4), 2, 3), [2, 4]);
  assert.equal(shape(haiku.layerNorm(3), 2, 3), [2, 3]);
  assert.equal(shape(haiku.batchNorm2d(3), 2, 4, 4, 3), [2, 4, 4, 3]);
  assert.equal(shape(haiku.conv1d(3, 4, 2), 3, 5, 3), [3, 5, 4]);
  assert.equal(shape(haiku.conv2d(3, 4, 2), 3, 5, 6, 3), [3, 5, 6, 4]);
  assert.equal(shape(haiku.conv1dTranspose(3, 4, 2), 3, 5, 3), [3, 5, 4]);
  assert.equal(shape(haiku.conv2dTranspose(3, 4, 2), 3, 5, 6, 3), [3, 5, 6, 4]);
  assert.equal([...haiku.avgPool(2, 2, "SAME")(np.ones([3, 5, 3])).shape], [3, 3, 3]);
  assert.equal([...haiku.maxPool(2, 3, "SAME")(np.ones([3, 5, 3])).shape], [3, 2, 3]);
  assert.equal([...haiku.embed(5, 4).forward(np.array([[1, 2]], { dtype: "int32" })).shape], [1, 2, 4]);
  const lstm = haiku.lstm(4);
  assert.equal([...haiku.dynamicUnroll(lstm, np.ones([6, 2, 4]), lstm.initialState(2))[0].shape], [6, 2, 4]);
  const gru = haiku.gru(4);
  assert.equal([...gru.forward(np.ones([2, 4]), gru.initialState(2))[0].shape], [2, 4]);
});

class SGD extends pax.Optimizer {
  declare velocity: pax.Module;
  learningRate: number;
  momentum: number;
  constructor(params: pax.Module, learningRate = 1e-2, momentum = 0.9) {
    super();
    this.learningRate = learningRate;
    this.momentum = momentum;
    this.registerStateSubtree("velocity", pax.tree.map((x) => np.zerosLike(x), params));
  }
  step<M extends pax.Module>(grads: M, model: M): M {
    this.velocity = pax.tree.map((v, g) => v.mul(this.momentum).add(g.mul(this.learningRate)), this.velocity, grads);
    const newParams = pax.tree.map((p, v) => p.sub(v), model.parameters(), this.velocity);
    return model.update(newParams);
  }
}
test("Optimizers: SGD with momentum, and the same from optax", () => {
  const start = new nn.Linear(3, 2);
  const grads = pax.tree.map((x: T) => np.onesLike(x), start.parameters());
  const FromOptax = pax.optim.fromOptax(optax.sgd(1e-2, { momentum: 0.9 }));
  let [a, b] = [start, start];
  const [mine, theirs] = [new SGD(start.parameters()), new FromOptax(start.parameters())];
  for (let i = 0; i < 3; i++) [a, b] = [mine.step(grads, a), theirs.step(grads, b)];
  // 0.01 · (1 + 1.9 + 2.71)
  near(start.W.sub(a.W), np.full([3, 2], 0.0561), "three steps", { rtol: 1e-4 });
  near(a.W, b.W, "optax's", { rtol: 1e-6 });
});

test("Fine-tuning models: freeze", () => {
  const net = new nn.Sequential(new nn.Linear(28 * 28, 64), nn.relu, new nn.Linear(64, 10));
  net.modules[2] = new nn.Linear(64, 2);
  net.modules[0] = net.modules[0]!.freeze();
  assert.equal(pax.tree.paths(net.parameters()), ["modules[2].W", "modules[2].b"]);
  assert.is(pax.tree.leaves(net).length, 4);
});

test.run();
