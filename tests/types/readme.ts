// Written by scripts/extract-api.mjs from README.md. Do not edit.
import * as pax from "paxjs";
const { np } = pax;

class Counter extends pax.Module {
  declare counter: pax.State<pax.Tensor>;
  declare bias: pax.Tensor;

  constructor(startValue = 0) {
    super();
    this.registerState("counter", np.array(startValue));
    this.registerParameter("bias", np.array(0.0));
  }

  forward(x: pax.Tensor): pax.Tensor {
    this.counter = this.counter.add(1);
    return this.counter.mul(x).add(this.bias);
  }
}

function lossFn(params: Counter, model: Counter, x: pax.Tensor) {
  model = model.update(params);
  const loss = np.mean(np.square(x.sub(model.forward(x))));
  return [loss, [loss, model]] as const;
}

const net = new Counter(3);
const [grads, [loss, updated]] = pax.grad(lossFn, { hasAux: true })(net.parameters(), net, np.array(10.0));
console.log(grads.counter);      // null: a state has no gradient
console.log(grads.bias.item());  // 60

const { nn, optim } = pax;
let model = new nn.Sequential(new nn.Linear(784, 128), nn.relu, new nn.Linear(128, 10));
let optimizer: pax.Optimizer = optim.adam(model.parameters(), 1e-3);

const crossEntropy = (params: pax.nn.Sequential, model: pax.nn.Sequential, images: pax.Tensor, labels: pax.Tensor) => {
  model = model.update(params);
  const logProbs = nn.logSoftmax(model.forward(images));
  return [logProbs.mul(nn.oneHot(labels, 10)).sum(-1).mean().neg(), model] as const;
};
const trainStep = pax.jit(
  (model: pax.nn.Sequential, optimizer: pax.Optimizer, images: pax.Tensor, labels: pax.Tensor) => {
    const [[loss, updated], grads] = pax.valueAndGrad(crossEntropy, { hasAux: true })(model.parameters(), model, images, labels);
    return [loss, optimizer.step(grads, updated), optimizer];
  },
  { donateArgnums: [0, 1] },
);

const { hk } = pax;
const dummyX = np.zeros([1, 32]);
let lstm = pax.fromHaiku(hk.LSTM)(32);
lstm = lstm.hkInit(dummyX, { hidden: dummyX, cell: dummyX });
const [output, state] = lstm.forward(dummyX, { hidden: dummyX, cell: dummyX });

class SGD extends pax.Optimizer {
  declare velocity: pax.Module;
  constructor(params: pax.Module, readonly learningRate = 1e-2, readonly momentum = 0.9) {
    super();
    this.registerStateSubtree("velocity", pax.tree.map((x) => np.zerosLike(x), params));
  }
  step<M extends pax.Module>(grads: M, model: M): M {
    this.velocity = pax.tree.map((v, g) => v.mul(this.momentum).add(g.mul(this.learningRate)), this.velocity, grads);
    return model.update(pax.tree.map((p, v) => p.sub(v), model.parameters(), this.velocity));
  }
}

const { optax } = pax;
const schedule = optax.schedules.warmupCosineDecay(0, 1e-3, 100, 10_000);
const Chained = pax.optim.fromOptax(optax.chain(optax.clipByGlobalNorm(1), optax.adamw(schedule)));
optimizer = new Chained(model.parameters());

const net2 = new nn.Sequential(new nn.Linear(28 * 28, 64), nn.relu, new nn.Linear(64, 10));
net2.modules[2] = new nn.Linear(64, 2);            // we only predict two classes
net2.modules[0] = net2.modules[0]!.freeze();       // the first layer stays as it is
console.log(pax.tree.leaves(net2.parameters()).length); // 2: the last layer's W and b

await pax.init();

const [total, running] = pax.scan((sum: pax.Tensor, x: pax.Tensor) => [sum.add(x), sum], np.array(0), np.arange(5).astype("float32"));
console.log(total.item(), running.toArray()); // 10 [ 0, 0, 1, 3, 6 ]

class Scale extends pax.Module {
  scale = pax.parameter(np.ones([3]));
  forward(x: pax.Tensor): pax.Tensor { return x.mul(this.scale); }
}

class Tower extends pax.Module {
  declare layers: pax.nn.Linear[];
  constructor(depth: number) {
    super();
    this.registerModuleSubtree("layers", Array.from({ length: depth }, () => new pax.nn.Linear(8, 8)));
  }
  forward(x: pax.Tensor): pax.Tensor { return this.layers.reduce((h, layer) => pax.nn.relu(layer.forward(h)), x); }
}
