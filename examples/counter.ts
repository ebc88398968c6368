/** A module with state: prints `null` and `60`. */
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
const [grads] = gradFn(net.parameters(), net, x);
console.log(grads.counter);
console.log(grads.bias.item());
