// Written by scripts/extract-api.mjs from docs/API.md. Do not edit.
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
  const y = model.forward(x);
  const loss = np.mean(np.square(x.sub(y)));
  return [loss, [loss, model]] as const;
}

const gradFn = pax.grad(lossFn, { hasAux: true });
const net = new Counter(3);
const x = np.array(10.0);
const [grads, [loss, updated]] = gradFn(net.parameters(), net, x);
console.log(grads.counter);      // null
console.log(grads.bias.item());  // 60
// loss.item() is 900, updated.counter.item() is 4, net.counter.item() is still 3

const { nn } = pax;
const mlp = new nn.Sequential(new nn.Linear(28 * 28, 64), nn.relu, new nn.Linear(64, 10));
mlp.modules[2] = new nn.Linear(64, 2);            // we only predict two classes
mlp.modules[0] = mlp.modules[0]!.freeze();        // freeze the first layer
pax.tree.leaves(mlp.parameters()).length;         // 2: only the last layer's W and b

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

const FromOptax = pax.optim.fromOptax(pax.optax.sgd(1e-2, { momentum: 0.9 }));
const sgd = new FromOptax(mlp.parameters());

const { hk } = pax;
const dummyX = np.zeros([1, 32]);
let lstm = pax.fromHaiku(hk.LSTM)(32);
lstm = lstm.hkInit(dummyX, { hidden: dummyX, cell: dummyX });

type Net = pax.nn.Sequential;
const crossEntropy = (params: Net, model: Net, images: pax.Tensor, labels: pax.Tensor) => {
  model = model.update(params);
  const logProbs = nn.logSoftmax(model.forward(images));
  const loss = logProbs.mul(nn.oneHot(labels, 10)).sum(-1).mean().neg();
  return [loss, model] as const;
};
const trainStep = pax.jit(
  (model: Net, optimizer: pax.Optimizer, images: pax.Tensor, labels: pax.Tensor) => {
    const [[loss, updated], grads] = pax.valueAndGrad(crossEntropy, { hasAux: true })(model.parameters(), model, images, labels);
    return [loss, optimizer.step(grads, updated), optimizer];
  },
  { donateArgnums: [0, 1] },
);

async function train(model: Net, optimizer: pax.Optimizer, loader: pax.data.Loader<{ images: pax.Tensor; labels: pax.Tensor }>) {
  let loss = np.array(0);
  for await (const { images, labels } of loader) {
    [loss, model, optimizer] = trainStep(model, optimizer, images, labels);
  }
  return [loss, model, optimizer] as const;
}
