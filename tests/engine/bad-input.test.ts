/** Each bad input gets a typed error that says what and where, loses nothing, and the next call works. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { stats, verbs } from "paxjs/internal";
import { natively } from "../support/where.js";

const { np, nn, optim } = pax;
const test = suite("bad input");
type T = pax.Tensor;
pax.seedRngKey(0);

const x = np.ones([2, 3]);
/** Transformations of a function of one tensor. */
const transforms: Readonly<Record<string, (f: (a: T) => T) => (a: T) => unknown>> = { grad: (f) => pax.grad(f), vmap: (f) => pax.vmap(f), jit: (f) => pax.jit(f) };
const wrong = (value: unknown): never => value as never;

/** Asserts the code, one fact of the sentence and the place; then that nothing is lost and the engine still works. */
function fails(code: pax.ErrorCode, fact: RegExp, f: () => unknown, place: { readonly op?: string; readonly path?: string } = {}): void {
  let error: unknown;
  try { f(); } catch (e) { error = e; }
  assert.instance(error, pax.PaxError, `no PaxError from ${f}: ${String(error)}`);
  const { code: found, message, op, path } = error as pax.PaxError;
  assert.is(found, code, message);
  assert.match(message, fact);
  if (place.op !== undefined) assert.is(op, place.op);
  if (place.path !== undefined) assert.is(path, place.path);
  assert.is(stats().depth, 0, "a level is open");
  assert.equal(x.add(1).toArray(), [[2, 2, 2], [2, 2, 2]], "the input is still there");
  assert.equal(pax.grad((a: T) => a.mul(a).sum())(x).toArray(), [[2, 2, 2], [2, 2, 2]]);
  assert.is(pax.jit((a: T) => a.sum())(x).item(), 6);
}

test("shapes that do not fit name the op and both shapes", () => {
  fails("shape", /add.*\[2, 3\].*\[4\]/, () => x.add(np.ones([4])), { op: "add" });
  fails("shape", /\[2, 3\].*\[2, 3\]/, () => x.matmul(x), { op: "matmul" });
  fails("shape", /6 elements.*\[4\]/, () => x.reshape([4]), { op: "reshape" });
  fails("shape", /\[2, 3\].*\[2, 4\]/, () => np.concatenate([x, np.ones([2, 4])]), { op: "concatenate" });
  for (const transform of Object.values(transforms)) fails("shape", /add.*\[7\]/, () => transform((a: T) => a.add(np.ones([7])).sum())(x), { op: "add" });
});
test("dtypes", () => {
  fails("dtype", /float99 is no dtype/, () => np.array(1, { dtype: wrong("float99") }));
  fails("dtype", /float99/, () => x.astype(wrong("float99")));
  fails("dtype", /index of dtype float32/, () => np.take(x, np.array([0.0]), 0));
  fails("dtype", /bool/, () => np.array(true).neg(), { op: "neg" });
  fails("dtype", /uint32/, () => pax.random.bits(x));
  fails("dtype", /bigint/, () => np.array([1n, 2]));
  fails("value", /string/, () => x.add(wrong("1")), { op: "add" });
  fails("value", /null/, () => x.add(wrong(null)), { op: "add" });
});
for (const op of ["add", "sub", "mul", "pow", "floorDivide", "remainder", "maximum", "minimum", "equal", "notEqual", "less", "lessEqual", "greater", "greaterEqual"] as const) {
  test(`0.5 with an integer tensor: ${op}`, () => {
    for (const dtype of ["int32", "int64", "uint8", "uint32"] as const) {
      const i = np.array([1, 2], { dtype });
      const fact = new RegExp(`0\\.5 with ${dtype}.*astype`);
      fails("dtype", fact, () => i[op](0.5), { op });
      fails("dtype", fact, () => np[op](0.5, i), { op });
      fails("dtype", fact, () => pax.jit((a: T) => a[op](0.5))(i), { op });
    }
  });
}
test("0.5 with an integer tensor elsewhere", () => {
  const i = np.arange(3);
  fails("dtype", /0\.5 with int32/, () => np.where(np.array(true), i, 0.5));
  fails("dtype", /0\.5 with int32/, () => np.clip(i, 0.5, 1));
  fails("dtype", /0\.5 with int32/, () => np.pad(i, 1, "constant", { constantValues: 0.5 }));
  fails("dtype", /NaN with int32/, () => i.add(NaN));
  fails("dtype", /300 with uint8/, () => np.array([1], { dtype: "uint8" }).add(300));
  assert.equal(i.div(0.5).toArray(), [0, 2, 4], "a quotient of integers is a float");
});
test("ragged arrays", () => {
  fails("shape", /ragged.*\[1\]/, () => np.array([[1, 2], [3]]), { path: "[1]" });
  fails("shape", /ragged/, () => np.array([[1], 2]), { path: "[1]" });
  fails("shape", /ragged/, () => np.array([[[1]], [[wrong([2])]]]), { path: "[1][0][0]" });
  fails("value", /null/, () => np.array([[1, wrong(null)]]), { path: "[0][1]" });
});
test("NaN as an index", () => {
  fails("value", /index\[0\] is NaN/, () => np.take(x, [NaN], 0));
  fails("value", /index is NaN/, () => np.take(x, NaN, 0));
  fails("value", /1\.5/, () => np.take(x, [1.5], 0));
});
test("an integer leaf under grad names its path", () => {
  const ints = np.arange(3);
  fails("dtype", /int32/, () => pax.grad((a: T) => a.sum())(ints));
  fails("dtype", /b\[1\] of argument 0 is int32/, () => pax.grad((t: { a: T; b: T[] }) => t.a.sum())({ a: x, b: [x, ints] }), { path: "b[1]" });
  fails("dtype", /argument 1 is bool/, () => pax.valueAndGrad((a: T, b: T) => a.mul(b).sum(), { argnums: [0, 1] })(x, np.array(true)));
  class Table extends pax.Module {
    w = pax.parameter(x);
    ids = pax.parameter(ints);
  }
  fails("dtype", /ids of argument 0 is int32/, () => pax.grad((m: Table) => m.w.sum())(new Table()), { path: "ids" });
});
test("trees that differ name the path and both sides", () => {
  const add = (a: T, b: T): T => a.add(b);
  fails("tree", /"a","b".*"a","c"/, () => pax.tree.map(add, { a: x, b: x }, wrong({ a: x, c: x })), { path: "" });
  fails("tree", /`m\.w`: a leaf.*array of 1/, () => pax.tree.map(add, { m: { w: x } }, wrong({ m: { w: [x] } })), { path: "m.w" });
  fails("tree", /`\[1\]`: a leaf.*null/, () => pax.tree.map(add, [x, x], wrong([x, null])), { path: "[1]" });
  fails("tree", /a leaf.*"a"/, () => pax.vjp((a: T) => a.sum(), x)[1](wrong({ a: x })));
  fails("tree", /array of 1/, () => pax.jvp((a: T) => a.sum(), [x], wrong([[x]])));
  fails("shape", /cotangent.*\[2, 3\]/, () => pax.vjp((a: T) => a.sum(), x)[1](x));
  fails("shape", /tangent.*\[2\].*\[2, 3\]/, () => pax.jvp((a: T) => a.sum(), [x], [np.ones([2])]));
  fails("tree", /`a\[0\]` is a string/, () => pax.jit((t: object) => t as never)({ a: ["text"] }), { path: "a[0]" });
});
test("update with other parameters names the path", () => {
  const net = new nn.Sequential(new nn.Linear(3, 2), nn.relu, new nn.Linear(2, 2));
  const kept = net.modules[0] as pax.nn.Linear;
  fails("tree", /Sequential.*Linear/, () => net.update(wrong(new nn.Linear(3, 2))), { op: "update", path: "" });
  fails("tree", /Linear.*LayerNorm/, () => net.update(wrong(new nn.Sequential(new nn.Linear(3, 2), nn.relu, new nn.LayerNorm(2)))), { path: "modules[2]" });
  fails("tree", /array of 3.*array of 1/, () => net.update(wrong(new nn.Sequential(nn.relu))), { path: "modules" });
  fails("tree", /train.*eval/, () => net.update(net.eval().parameters()), { path: "" });
  fails("tree", /train.*eval/, () => net.update(net.replace({ modules: [net.modules[0]!, net.modules[1]!, net.modules[2]!.eval()] })), { path: "modules[2]" });
  fails("tree", /parameter.*state/, () => net.update(net.freeze().parameters()), { path: "modules[0].W" });
  fails("tree", /number/, () => net.update(wrong(3)), { op: "update" });
  assert.is(net.modules[0], kept);
  assert.equal(net.update(net.parameters()).forward(x).shape, [2, 2]);
});
test("optimizer.step after a plain attribute changed or after a freeze", () => {
  class Net extends pax.Module {
    linear = new nn.Linear(3, 2);
    count = 0;
    forward(a: T): T { return this.linear.forward(a); }
  }
  const net = new Net();
  const gradients = (model: Net): Net => pax.grad((p: Net, m: Net) => m.update(p).forward(x).sum())(model.parameters(), model);
  const grads = gradients(net);
  for (const make of [() => optim.sgd(net.parameters(), 0.1), () => optim.adam(net.parameters(), 0.1)]) {
    const optimizer = make();
    optimizer.step(grads, net);
    net.count = 1;
    fails("tree", /count.*0.*1.*state/, () => optimizer.step(grads, net), { path: "count" });
    net.count = 0;
    fails("tree", /parameter.*frozen/, () => optimizer.step(grads, net.freeze()), { path: "linear.W" });
    fails("tree", /linear/, () => optimizer.step(gradients(net.freeze()), net), { path: "linear.W" });
    assert.instance(optimizer.step(grads, net), Net);
  }
});
test("one module or trainable tensor at two places", () => {
  class Twice extends pax.Module {
    a = new nn.Linear(2, 2);
    b = this.a;
  }
  fails("tree", /`b` and `a` are the same Linear.*copy/, () => pax.tree.leaves(new Twice()), { path: "b" });
  class Shared extends pax.Module {
    a = pax.parameter(np.ones([2]));
    b = pax.parameter(this.a);
  }
  fails("tree", /`a` and `b` are the same trainable tensor.*clone/, () => pax.tree.leaves(new Shared()), { path: "b" });
  fails("tree", /copy/, () => pax.jit((m: Twice) => m.a.W)(new Twice()));
});
test("a tensor attribute that is no parameter and no state, a module in a plain array", () => {
  class Loose extends pax.Module { w = np.ones([2]); }
  fails("tree", /`w` of Loose.*registerParameter/, () => pax.tree.leaves(new Loose()), { path: "w" });
  fails("tree", /`w` of Loose/, () => new Loose().parameters(), { path: "w" });
  class Hidden extends pax.Module { layers = [new nn.Linear(2, 2)]; }
  fails("tree", /Linear.*registerModuleSubtree/, () => pax.tree.leaves({ net: new Hidden() }), { path: "net.layers[0]" });
});
test("abstract values cannot be read", () => {
  for (const read of [(a: T) => a.sum().item(), (a: T) => a.toArray(), (a: T) => a.bytes(), (a: T) => a.dataSync()]) {
    fails("trace", /`jit`.*np\.where/, () => pax.jit((a: T) => { read(a); return a; })(x));
    fails("trace", /`vmap`/, () => pax.vmap((a: T) => { read(a); return a; })(x));
    fails("trace", /`jit`/, () => pax.grad((a: T) => pax.jit((b: T) => { read(b); return b.sum(); })(a))(x));
    fails("trace", /`jit`/, () => pax.jit(pax.grad((a: T) => { read(a); return a.sum(); }))(x));
  }
});
test("escaped tensors cannot be used", () => {
  let kept = x;
  for (const [name, transform] of Object.entries(transforms)) {
    transform((a: T) => { kept = a.mul(2); return a.sum(); })(x);
    const fact = new RegExp(`inside \`${name}\`.*return it`);
    fails("trace", fact, () => kept.add(1));
    fails("trace", fact, () => kept.toArray());
    fails("trace", fact, () => pax.jit((a: T) => a.add(kept))(x));
    fails("trace", fact, () => pax.grad((a: T) => a.add(kept).sum())(x));
    fails("trace", fact, () => pax.grad((a: T) => a.sum())(kept));
  }
});
test("a module from outside is not written to inside a transformation", () => {
  class Count extends pax.Module {
    count = pax.state(np.array(0));
    forward(a: T): T { this.count = this.count.add(1); return a.mul(this.count).sum(); }
  }
  const outside = new Count();
  outside.forward(x);
  for (const [name, transform] of Object.entries(transforms)) {
    fails("trace", new RegExp(`\`count\` of Count was set inside \`${name}\``), () => transform((a: T) => outside.forward(a))(x), { path: "count" });
  }
  assert.is(outside.count.item(), 1);
});
test("nextRngKey where values are abstract", () => {
  const draw = (a: T): T => a.add(pax.random.normal(pax.nextRngKey(), [3]));
  fails("trace", /nextRngKey.*`jit`.*pass a key/, () => pax.jit(draw)(x), { op: "nextRngKey" });
  fails("trace", /nextRngKey.*`vmap`/, () => pax.vmap(draw)(x));
  fails("trace", /nextRngKey.*`jit`/, () => pax.jit((a: T) => pax.grad((b: T) => draw(b).sum())(a))(x));
  pax.seedRngKey(1);
  const first = pax.nextRngKey().toArray();
  pax.seedRngKey(1);
  fails("trace", /nextRngKey/, () => pax.jit(draw)(x));
  assert.equal(pax.nextRngKey().toArray(), first, "the failed call used no key");
});
test("a wrong rank in each layer names the layer and the shape", () => {
  const layers: readonly (readonly [pax.nn.Layer, readonly (readonly number[])[], RegExp])[] = [
    [new nn.Linear(3, 2), [[], [2], [2, 4]], /Linear\(3, 2\)/],
    [new nn.Conv1D(1, 2, 3), [[], [1], [2, 3], [2, 3, 4], [2, 3, 4, 1]], /Conv1D\(1, 2\)/],
    [new nn.Conv2D(1, 2, 3), [[], [2, 3], [2, 3, 4], [2, 3, 4, 5, 1]], /Conv2D\(1, 2\)/],
    [new nn.Conv1D(1, 2, 3, { dataFormat: "NCW" }), [[2, 3], [2, 3, 1]], /Conv1D\(1, 2\)/],
    [new nn.Conv2D(1, 2, 3, { dataFormat: "NCHW" }), [[2, 3, 1], [2, 3, 4, 1]], /Conv2D\(1, 2\)/],
    [new nn.BatchNorm([null, 3]), [[], [3], [2, 4], [2, 3, 3]], /BatchNorm/],
    [new nn.LayerNorm(3), [[], [4], [3, 4]], /LayerNorm\(3\)/],
    [new nn.Sequential(new nn.Linear(3, 2), nn.relu, new nn.Linear(3, 2)), [[2, 3]], /Linear\(3, 2\)/],
  ];
  for (const [layer, shapes, fact] of layers) {
    for (const shape of shapes) {
      const got = new RegExp(`${fact.source}.*\\[${layer instanceof nn.Sequential ? "2, 2" : shape.join(", ")}\\]`);
      fails("shape", got, () => layer.forward(np.ones(shape)));
      fails("shape", got, () => pax.jit((m: pax.nn.Layer, a: T) => m.forward(a))(layer, np.ones(shape)));
    }
  }
});
test("layers that cannot be", () => {
  fails("value", /Linear\(-1, 2\)/, () => new nn.Linear(-1, 2));
  fails("value", /Conv1D: stride.*\[0\]/, () => new nn.Conv1D(1, 2, 3, { stride: 0 }));
  fails("value", /Conv2D: padding.*"same"/, () => new nn.Conv2D(1, 2, 3, { padding: wrong("same") }));
  fails("value", /Conv1D: dataFormat/, () => new nn.Conv1D(1, 2, 3, { dataFormat: wrong("NHWC") }));
  fails("shape", /Conv1D: 3 and 2.*2 groups/, () => new nn.Conv1D(3, 2, 3, { featureGroupCount: 2 }));
  fails("shape", /BatchNorm\(\[null, null\]\)/, () => new nn.BatchNorm([null, null]));
  fails("value", /got 1/, () => new nn.Dropout(1));
});
test("an empty batch", () => {
  const norm = new nn.BatchNorm([null, 3]);
  fails("value", /BatchNorm.*\[0, 3\].*empty/, () => norm.forward(np.zeros([0, 3])), { op: "BatchNorm" });
  assert.is(norm.counter.item(), 0, "its state is as it was");
  fails("value", /empty/, () => np.zeros([0, 3]).max());
  assert.equal(new nn.Linear(3, 2).forward(np.zeros([0, 3])).shape, [0, 2], "other layers have nothing to refuse");
  assert.equal(norm.eval().forward(np.zeros([0, 3])).shape, [0, 3]);
});
test("a Promise returned to each transformation", () => {
  const later = wrong(async (a: T) => a.sum());
  const calls: Readonly<Record<string, () => unknown>> = {
    grad: () => pax.grad(later)(x), valueAndGrad: () => pax.valueAndGrad(later)(x), vjp: () => pax.vjp(later, x), jvp: () => pax.jvp(later, [x], [x]),
    vmap: () => pax.vmap(later)(x), jit: () => pax.jit(later)(x), makeProgram: () => pax.makeProgram(later)(x),
  };
  for (const [name, call] of Object.entries(calls)) fails("trace", new RegExp(`\`${name}\` returned a Promise`), call);
  fails("trace", /`jit` returned a Promise/, () => pax.grad((a: T): T => pax.jit<[T], T>(later)(a))(x));
});
test("a loss that is none", () => {
  fails("shape", /scalar.*\[2, 3\]/, () => pax.grad((a: T) => a)(x));
  fails("dtype", /float.*int32/, () => pax.grad((a: T) => a.argmax())(x));
  fails("value", /hasAux/, () => pax.grad(wrong((a: T) => [a.sum(), a]))(x));
  fails("value", /\[loss, aux\]/, () => pax.grad(wrong((a: T) => a.sum()), { hasAux: true })(x));
  fails("value", /argument 1/, () => pax.grad((a: T) => a.sum(), { argnums: wrong(1) })(x));
});
test("donated, disposed and scoped tensors", () => {
  const donated = np.ones([3]);
  const f = pax.jit(function trainStep(p: { w: T }, stop: boolean) { if (stop) throw new Error("on purpose"); return p.w.add(1); }, { donateArgnums: 0, staticArgnums: 1 });
  assert.throws(() => f({ w: donated }, true), /on purpose/);
  assert.equal(donated.toArray(), [1, 1, 1], "a call that throws consumes nothing");
  f({ w: donated }, false);
  fails("disposed", /donated to trainStep, argument 0, `w`.*clone/, () => donated.add(1));
  const gone = np.ones([3]);
  gone.dispose();
  fails("disposed", /disposed/, () => gone.add(1));
  fails("disposed", /disposed/, () => pax.grad((a: T) => a.sum())(gone));
  let kept = x;
  pax.scope(() => { kept = x.mul(2); });
  fails("disposed", /pax\.scope/, () => kept.add(1));
});
test("a tensor as a number or a string", () => {
  fails("value", /a\.add\(b\)/, () => `${wrong(x)}`);
  fails("value", /a\.greater\(b\)/, () => wrong(x) > 1);
  fails("shape", /toArray/, () => x.item());
});
// In WebAssembly it is one that the instance does not survive: tests/wasm/traps.test.ts.
natively(test, "a panic in the engine is an error", () => {
  assert.is(verbs.panicForTest(), -1);
  assert.match(verbs.lastError(), /^internal\n\n.*panicked/);
});

test.run();
