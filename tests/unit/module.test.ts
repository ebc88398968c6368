import assert from "node:assert/strict";
import { inspect } from "node:util";
import { test } from "uvu";
import { enterFrame, leaveFrame, Module, parameter, state, type Params, type State } from "../../ts/module/index.js";
import * as tree from "../../ts/tree/index.js";
import type { Tensor } from "../../ts/tensor.js";
import { t, throws, val } from "./tree-fake.js";

class Counter extends Module {
  declare counter: State<Tensor>;
  declare bias: Tensor;
  constructor(start = 0) {
    super();
    this.registerState("counter", t(start));
    this.registerParameter("bias", t(0));
  }
  tick(): void { this.counter = t(val(this.counter) + 1); }
}
class Fields extends Module {
  static override moduleName = "Fielded";
  bias = parameter(1);
  count = state(t(2));
  velocity = state({ w: t(3) });
  inner = new Counter(4);
  label: unknown = "x";
}
class Linear extends Module {
  W = parameter(t(1, [2, 3]));
  b = parameter(t(2, [3]));
}
class Seq extends Module {
  declare modules: Module[];
  constructor(...modules: Module[]) { super(); this.registerModuleSubtree("modules", modules); }
}
const loose = (value: unknown): { [key: string]: any } => value as { [key: string]: any };

test("parameters and update have no side effects", () => {
  const net = new Counter(3);
  const params = net.parameters();
  assert.ok(params instanceof Counter);
  assert.equal(params.counter, null);
  assert.equal(params.bias, net.bias);
  const model = net.update(tree.map(() => t(9), params));
  model.tick();
  assert.deepEqual([val(model.counter), val(model.bias), val(net.counter), val(net.bias)], [4, 9, 3, 0]);
});

test("marks, fields, order and paths", () => {
  const net = new Fields();
  assert.deepEqual(tree.paths(net), ["bias", "count", "velocity.w", "inner.counter", "inner.bias"]);
  const params = net.parameters() as unknown as Params<Fields>;
  assert.equal(params.count, null);
  assert.deepEqual(params.velocity as unknown, { w: null });
  assert.deepEqual(tree.paths(params), ["bias", "inner.bias"]);
  assert.deepEqual(Object.keys(net.copy()), Object.keys(net));
});

test("freeze, unfreeze, a module subtree", () => {
  const net = new Seq(new Linear(), new Counter(), new Linear());
  net.modules[2] = new Linear();
  net.modules[0] = net.modules[0]!.freeze();
  assert.deepEqual(tree.paths(net.parameters()), ["modules[1].bias", "modules[2].W", "modules[2].b"]);
  const frozen = net.freeze();
  assert.equal(tree.leaves(frozen.parameters()).length, 0);
  // What was frozen before stays frozen; freezing what is frozen adds nothing.
  for (const back of [frozen.unfreeze(), frozen.freeze().unfreeze(), frozen.freeze().eval().train().unfreeze()]) {
    assert.equal(tree.structure(back).key(), tree.structure(net).key());
    assert.equal(tree.leaves(back.unfreeze().parameters()).length, 5);
  }
  assert.equal(tree.leaves(net.parameters()).length, 3);
  assert.equal(tree.structure(new Linear().freeze().unfreeze()).key(), tree.structure(new Linear()).key());
});

test("the outer kind wins", () => {
  class Outer extends Module {
    a = state(new Linear());
    b = parameter([new Counter()]);
  }
  assert.deepEqual(tree.paths(new Outer().parameters()), ["b[0].counter", "b[0].bias"]);
});

test("train and eval recurse", () => {
  const net = new Seq(new Linear());
  const test = net.eval();
  assert.deepEqual([net.training, test.training, test.modules[0]!.training, test.train().modules[0]!.training], [true, false, false, true]);
  throws(() => test.update(net.parameters()), "tree", "eval mode", "train mode");
});

test("update names what differs", () => {
  const net = new Seq(new Linear(), new Linear());
  throws(() => net.update(new Seq(new Linear(), new Counter()) as never), "tree", "`modules[1]`", "Linear", "Counter");
  throws(() => net.update(new Seq(new Linear()) as never), "tree", "`modules`", "array of 2", "array of 1");
  throws(() => net.update(net.freeze()), "tree", "`modules[0].W`", "parameter", "state");
  throws(() => net.update(3 as never), "tree");
  const a = new Fields();
  a.label = "other";
  assert.equal(new Fields().update(a).label, "x");
});

test("undeclared, hidden and shared things", () => {
  class Bare extends Module { w = t(1); }
  throws(() => tree.leaves(new Bare()), "tree", "`w` of Bare");
  throws(() => tree.leaves([new Seq(new Bare())]), "tree", "`[0].modules[0].w`");
  class Hidden extends Module { list = [{ x: new Linear() }]; }
  throws(() => tree.leaves(new Hidden()), "tree", "`list[0].x`", "Linear");
  class Later extends Module { list: unknown[] = []; }
  const later = new Later();
  tree.leaves(later);
  later.list.push(t(1));
  throws(() => later.copy(), "tree", "`list[0]`");
  const one = new Linear();
  throws(() => tree.leaves(new Seq(one, one)), "tree", "`modules[0]`", "`modules[1]`");
  const two = new Linear();
  two.b = one.b;
  throws(() => tree.leaves(new Seq(one, two)), "tree", "`modules[0].b`", "`modules[1].b`");
  // gradients may well be the same tensor
  const g = t(7);
  const grads = tree.map(() => g, new Seq(new Linear()));
  assert.equal(tree.leaves(grads).length, 2);
  const cycle = new Seq();
  cycle.modules.push(cycle);
  throws(() => tree.leaves(cycle), "tree", "cycle");
  throws(() => tree.leaves(Object.assign(new Linear(), { forward: () => 1 })), "tree", "`forward`", "method");
});

test("statics are part of the structure", () => {
  const key = (label: unknown): string => { const f = new Fields(); f.label = label; return tree.structure(f).key(); };
  const f = (): void => {};
  assert.equal(key({ a: [1, -0] }), key({ a: [1, -0] }));
  assert.notEqual(key({ a: [1, -0] }), key({ a: [1, 0] }));
  assert.equal(key(f), key(f));
  assert.notEqual(key(f), key(() => {}));
  assert.notEqual(key(new Date(0)), key(new Date(0)));
  const [a, b] = [new Fields(), new Fields()];
  b.label = 5;
  throws(() => tree.map((x) => x, a, b), "tree", "`label`", '"x"', "5");
  assert.equal((tree.map((x) => x, b) as Fields).label, 5);
});

test("writes inside a transformation", () => {
  const [net, fresh] = [new Counter(1), new Fields()];
  const frame = enterFrame("grad");
  try {
    throws(() => net.tick(), "trace", "`counter` of Counter was set inside `grad`, but the module came from outside");
    throws(() => { fresh.count = t(1); }, "trace", "`count` of Fielded");
    const copy = net.copy();
    copy.tick();
    assert.equal(val(copy.counter), 2);
    const inner = enterFrame("jit");
    throws(() => copy.tick(), "trace", "`jit`");
    const made = new Counter(5);
    made.tick();
    leaveFrame(inner);
    made.tick();
    assert.equal(val(made.counter), 7);
  } finally {
    leaveFrame(frame);
  }
  assert.equal(val(net.counter), 1);
  net.tick();
});

test("class fields, replace, summary, printing", () => {
  class Redefined extends Counter {}
  const bad = new Redefined();
  Object.defineProperty(bad, "bias", { value: undefined, writable: true, enumerable: true, configurable: true });
  throws(() => tree.leaves(bad), "tree", "declare bias");
  const net = new Counter(1);
  const other = net.replace({ bias: t(8) });
  assert.deepEqual([val(other.bias), val(net.bias)], [8, 0]);
  throws(() => loose(net)["replace"]({ nothing: 1 }), "tree", "nothing");
  assert.equal(new Seq(new Linear(), new Counter()).summary(), [
    "Seq (10 trainable, 1 other)",
    "├── modules[0]: Linear (9 trainable, 0 other)",
    "│   ├── W: float32[2, 3] parameter",
    "│   └── b: float32[3] parameter",
    "└── modules[1]: Counter (1 trainable, 1 other)",
    "    ├── counter: float32[] state",
    "    └── bias: float32[] parameter",
  ].join("\n"));
  assert.match(inspect(net), /^Counter \{\s+counter: Fake/);
  throws(() => loose(net)["registerState"]("counter", { a: t(1) }), "tree", "Subtree");
});

test.run();
