/** Each bad input gets a typed error that says what and where, loses nothing, and the next call works. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { stats, verbs } from "paxjs/internal";

const { np, nn, optim } = pax;
const test = suite("bad input");

/** Asserts the code and one fact of the sentence; then that the engine still works. */
function fails(code: pax.PaxErrorCode, fact: RegExp, f: () => unknown): void {
  let error: unknown;
  try { f(); } catch (e) { error = e; }
  assert.instance(error, pax.PaxError, `no PaxError: ${String(error)}`);
  assert.is((error as pax.PaxError).code, code, String(error));
  assert.match((error as Error).message, fact);
  assert.is(stats().depth, 0);
  assert.is(np.array(2).add(1).item(), 3);
}

const x = np.ones([2, 3]);

test("shapes that do not fit name the op and both shapes", () => {
  fails("shape", /add.*\[2, 3\].*\[4\]/, () => x.add(np.ones([4])));
  fails("shape", /\[2, 3\].*\[2, 3\]/, () => x.matmul(x));
  fails("shape", /6 elements.*\[4\]/, () => x.reshape([4]));
});
test("dtypes", () => {
  fails("dtype", /no dtype/, () => np.array(1, { dtype: "float99" as pax.DType }));
  fails("dtype", /0\.5 with int32/, () => np.arange(3).add(0.5));
  fails("dtype", /int32/, () => pax.grad((a: pax.Tensor) => a.sum())(np.arange(3)));
  fails("dtype", /index of dtype float32/, () => np.take(x, np.array([0.0]), 0));
});
test("ragged arrays and NaN as an index", () => {
  fails("shape", /ragged.*\[1\]/, () => np.array([[1, 2], [3]]));
  fails("value", /index\[0\] is NaN/, () => np.take(x, [NaN], 0));
});
test("trees that differ name the path and both sides", () => {
  fails("tree", /b/, () => pax.tree.map((a: pax.Tensor, b: pax.Tensor) => a.add(b), { a: x, b: x } as never, { a: x, c: x } as never));
});
test("update with other parameters", () => {
  const net = new nn.Sequential(new nn.Linear(3, 2), nn.relu);
  fails("tree", /./, () => net.update(new nn.Linear(3, 2) as never));
  fails("tree", /training|mode|eval/, () => net.update(net.eval().parameters()));
  fails("tree", /./, () => net.update(net.freeze().parameters()));
});
test("optimizer.step after a plain attribute changed or after a freeze", () => {
  class Net extends pax.Module {
    linear = new nn.Linear(3, 2);
    count = 0;
    forward(a: pax.Tensor): pax.Tensor { return this.linear.forward(a); }
  }
  const net = new Net();
  const optimizer = optim.sgd(net.parameters(), 0.1);
  const gradFn = (model: Net): Net => pax.grad((p: Net, m: Net) => m.update(p).forward(x).sum())(model.parameters(), model);
  const grads = gradFn(net);
  optimizer.step(grads, net);
  net.count = 1;
  fails("tree", /count/, () => optimizer.step(grads, net));
  net.count = 0;
  fails("tree", /./, () => optimizer.step(grads, net.freeze()));
});
test("one module or trainable tensor at two places", () => {
  class Twice extends pax.Module {
    a = new nn.Linear(2, 2);
    b = this.a;
  }
  fails("tree", /a.*b|b.*a/, () => pax.tree.leaves(new Twice()));
  class Shared extends pax.Module {
    a = pax.parameter(np.ones([2]));
    b = pax.parameter(this.a);
  }
  fails("tree", /a.*b|b.*a/, () => pax.tree.leaves(new Shared()));
});
test("a tensor attribute that is no parameter and no state, a module in a plain array", () => {
  class Loose extends pax.Module { w = np.ones([2]); }
  fails("tree", /`?w`?/, () => pax.tree.leaves(new Loose()));
  class Hidden extends pax.Module { layers = [new nn.Linear(2, 2)]; }
  fails("tree", /layers/, () => pax.tree.leaves(new Hidden()));
});
test("abstract values cannot be read, escaped tensors cannot be used", () => {
  fails("trace", /jit/, () => pax.jit((a: pax.Tensor) => { a.sum().item(); return a; })(x));
  fails("trace", /vmap/, () => pax.vmap((a: pax.Tensor) => { a.sum().item(); return a; })(x));
  let kept = x;
  pax.jit((a: pax.Tensor) => { kept = a.mul(2); return a; })(x);
  fails("trace", /jit/, () => kept.add(1));
  pax.grad((a: pax.Tensor) => { kept = a.mul(2); return a.sum(); })(x);
  fails("trace", /grad/, () => kept.add(1));
});
test("a module from outside is not written to inside a transformation", () => {
  class Count extends pax.Module {
    count = pax.state(np.array(0));
    forward(a: pax.Tensor): pax.Tensor { this.count = this.count.add(1); return a.mul(this.count); }
  }
  const outside = new Count();
  outside.forward(x);
  fails("trace", /count.*grad/, () => pax.grad((a: pax.Tensor) => outside.forward(a).sum())(x));
  assert.is(outside.count.item(), 1);
});
test("nextRngKey under jit", () => {
  fails("trace", /nextRngKey|RngSeq|key/, () => pax.jit((a: pax.Tensor) => a.add(pax.random.normal(pax.nextRngKey(), [3])))(x));
});
test("wrong ranks and empty batches in layers", () => {
  fails("shape", /Linear/, () => new nn.Linear(3, 2).forward(np.array(1)));
  fails("shape", /Linear/, () => new nn.Linear(4, 2).forward(x));
  fails("shape", /Conv2D/, () => new nn.Conv2D(1, 2, 3).forward(x));
  fails("shape", /Conv1D/, () => new nn.Conv1D(1, 2, 3).forward(x));
  fails("value", /empty/, () => new nn.BatchNorm([null, 3]).forward(np.zeros([0, 3])));
});
test("promises, losses that are no scalars, donated and disposed tensors", () => {
  fails("trace", /Promise/, () => pax.grad((async (a: pax.Tensor) => a.sum()) as never)(x));
  fails("shape", /scalar/, () => pax.grad((a: pax.Tensor) => a)(x));
  const donated = np.ones([3]);
  const f = pax.jit(function trainStep(a: pax.Tensor) { return a.add(1); }, { donateArgnums: 0 });
  f(donated);
  fails("disposed", /donated to trainStep, argument 0/, () => donated.add(1));
  const gone = np.ones([3]);
  gone.dispose();
  fails("disposed", /disposed/, () => gone.add(1));
  fails("value", /a\.add\(b\)/, () => `${x as never}`);
});
test("a panic in the engine is an error", () => {
  assert.is(verbs.panicForTest(), -1);
  assert.match(verbs.lastError(), /^internal\n\n.*panicked/);
});

test.run();
