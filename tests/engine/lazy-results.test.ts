/** Modules that a jitted function gives make what their attributes hold when someone reads it: nobody can tell. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { fails } from "../support/fails.js";
import { natively } from "../support/where.js";

const { np, nn, optax } = pax;
const { Linear, Sequential } = nn;
type Linear = InstanceType<typeof Linear>;
const test = suite("modules that jit gives");
type T = pax.Tensor;

class Counter extends pax.Module {
  count = pax.state(np.array(0));
  tick(): void { this.count = this.count.add(1); }
}
class Net extends pax.Module {
  layers = new Sequential(new Linear(3, 4), nn.tanh, new Linear(4, 2));
  counter = new Counter();
  settings = { scale: 2 };
  forward(x: T): T {
    this.counter.tick();
    return this.layers.forward(x).mul(this.settings.scale);
  }
}
pax.seedRngKey(1);
const net = new Net();
const x = np.array([[1, 2, 3]]);
const pass = pax.jit((m: Net) => m);
const values = (tree: unknown): number[][] => (pax.tree.leaves<unknown>(tree) as T[]).map((leaf) => leaf.toArray() as number[]);
/** A jitted step that counts its traces. */
function stepper(): { readonly step: (m: Net, o: pax.Optimizer) => [T, Net, pax.Optimizer]; readonly traces: () => number } {
  let n = 0;
  const lossFn = (params: Net, m: Net): [T, Net] => { m = m.update(params); return [np.square(m.forward(x)).sum(), m]; };
  const step = pax.jit((m: Net, o: pax.Optimizer): [T, Net, pax.Optimizer] => {
    n += 1;
    const [[value, updated], grads] = pax.valueAndGrad(lossFn, { hasAux: true })(m.parameters(), m);
    return [value, o.step(grads, updated), o];
  });
  return { step, traces: () => n };
}
const optimizer = (): pax.Optimizer => new (pax.optim.fromOptax(optax.adam(0.1)))(net.parameters());

test("read or unread, a step after the other is the same", () => {
  const [unread, read] = [stepper(), stepper()];
  let [a, o] = [net, optimizer()];
  let [b, p] = [net, optimizer()];
  for (let i = 0; i < 5; i++) {
    let [la, lb]: (T | null)[] = [null, null];
    [la, a, o] = unread.step(a, o);
    [lb, b, p] = read.step(b, p);
    assert.is(b.counter.count.item(), i + 1);
    assert.is(la.item(), lb.item());
    values([b, p]);
  }
  assert.equal(values([a, o]), values([b, p]));
  assert.equal([unread.traces(), read.traces()], [1, 1]);
});

test("an attribute is the same object each time, with its class and its mode", () => {
  const given = pass(net.eval());
  assert.is(given.layers, given.layers);
  assert.is(given.layers.modules[0], given.layers.modules[0]);
  assert.instance(given.layers, Sequential);
  assert.equal([given.training, given.layers.training, given.layers.modules[0]!.training], [false, false, false]);
  assert.equal(Object.keys(given), Object.keys(net));
  assert.equal(pax.tree.paths(given), pax.tree.paths(net));
  assert.is(pax.tree.structure(given).key(), pax.tree.structure(net.eval()).key());
});

test("what is written into an unread attribute's modules counts", () => {
  const f = pax.jit((m: Net) => m.layers.forward(x).sum());
  const given = pass(net);
  const before = f(given).item();
  given.layers.modules[2] = pass(net).layers.modules[2]!.eval();
  const linear = given.layers.modules[0] as Linear;
  linear.W = linear.W.mul(0);
  linear.b = linear.b!.mul(0);
  assert.is.not(before, 0);
  assert.is(f(given).item(), (given.layers.modules[2] as Linear).b!.sum().item());
});

test("the same module at two places is told, also after a call with unread ones", () => {
  const f = pax.jit((m: Net) => m.layers.forward(x).sum());
  f(pass(net));
  const given = pass(net);
  given.layers.modules[2] = given.layers.modules[0]!;
  fails("tree", /are the same Linear/, () => f(given));
});

test("static data that changes in place is read when the function is called", () => {
  class Scaled extends pax.Module {
    bias = pax.parameter(np.array(0));
    settings = { scale: 2 };
    forward(y: T): T { return y.mul(this.settings.scale).add(this.bias); }
  }
  class Outer extends pax.Module { inner = new Scaled(); }
  const outer = new Outer();
  const f = pax.jit((m: Outer) => [m.inner.forward(np.array(1)), m] as [T, Outer]);
  let [y, m] = f(outer);
  for (let i = 0; i < 3; i++) [y, m] = f(m);
  assert.is(y.item(), 2);
  outer.inner.settings.scale = 5; // shared, as copy() shares it
  assert.is(f(m)[0].item(), 5);
});

test("one from outside stays one from outside, when it is read inside first", () => {
  const given = pass(net);
  fails("trace", /`count` of Counter was set inside `grad`, but the module came from outside/, () => pax.grad((y: T) => {
    given.counter.tick();
    return y.sum();
  })(x));
});

test("an unread module is told apart from a tree of axes by its own attributes", () => {
  const axes = pass(pass(net));
  fails("value", /inAxes has an instance of \w+ for `\[0\]\.layers\.modules\[0\]\.W`/, () => pax.vmap((m: Net) => m.forward(x), { inAxes: [axes as never] })(net));
});

test("another structure is traced again, the one before is not", () => {
  let traces = 0;
  const f = pax.jit((m: Net) => { traces += 1; return m; });
  const frozen = pax.jit((m: Net) => m.replace({ layers: m.layers.freeze() }))(net);
  for (let i = 0; i < 3; i++) for (const m of [pass(net), frozen, pass(net.eval()), f(net)]) f(m);
  assert.is(traces, 3);
});

natively(test, "a module that nobody reads does not keep the call's other results", () => {
  const f = pax.jit((m: Net) => [m, np.ones([1024, 1024])] as [Net, T]);
  const kept: Net[] = [];
  const before = pax.memory().bytes;
  // The collector frees them in between: each is 4 MB.
  for (let i = 0; i < 200; i++) kept.push(f(net)[0]);
  const grown = (pax.memory().bytes - before) / 2 ** 20;
  assert.ok(grown < 400, `${grown} MB for ${kept.length} small modules`);
});

test.run();
