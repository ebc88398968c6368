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

class Scale extends pax.Module {
  scale = pax.parameter(np.ones([3]));
  forward(x: pax.Tensor): pax.Tensor { return x.mul(this.scale); }
}
