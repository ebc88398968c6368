/** `explainRetrace` names what changed; a function that is traced often says so once. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { fails } from "../support/fails.js";
import { warningsOf } from "../support/warnings.js";

const { np, nn } = pax;
const test = suite("why jit traced again");
type T = pax.Tensor;

const warnings = warningsOf(test);
test.after.each(() => { delete process.env["PAX_EXPLAIN_RETRACE"]; });

class Net extends pax.Module {
  w = pax.parameter(np.ones([2]));
  inner = new nn.Dropout(0.5);
  rate: unknown = 1;
}
const x = np.ones([2, 3]);
const any = (...args: unknown[]): T => (pax.tree.leaves(args[0]) as T[])[0] ?? x;

/** The reasons of calls with each of these lists of arguments. */
function reasons(calls: readonly (readonly unknown[])[], staticArgnums: number[] = []): readonly string[] {
  const f = pax.jit(any as (...args: never[]) => T, { staticArgnums: staticArgnums as never }) as (...args: unknown[]) => unknown;
  for (const args of calls) f(...args);
  return pax.explainRetrace(f as never);
}
/** The reason why `b` is traced after `a`; none for a second call of either. */
function reason(a: readonly unknown[], b: readonly unknown[], staticArgnums: number[] = []): string {
  const found = reasons([a, a, b, b, a], staticArgnums);
  assert.is(found.length, 1, found.join("\n"));
  assert.ok(found[0]!.startsWith("trace 2: "), found[0]);
  return found[0]!.slice("trace 2: ".length);
}

test("nothing is said of a function that is traced once", () => assert.equal(reasons([[x], [x.mul(2)], [np.zeros([2, 3])]]), []));
test("a leaf's shape, dtype or weakness", () => {
  assert.is(reason([x], [np.ones([2, 4])]), "argument 0 changes between calls (float32[2, 3], then float32[2, 4])");
  assert.is(reason([x, { a: [x, x] }], [x, { a: [x, x.astype("int32")] }]), "`a[1]` of argument 1 changes between calls (float32[2, 3], then int32[2, 3])");
  assert.is(reason([np.array(3)], [3]), "argument 0 changes between calls (float32[], then weak float32[])");
});
test("the tree's structure and the number of arguments", () => {
  assert.is(reason([x], [[x]]), "argument 0 changes between calls (a leaf, then an array of 1)");
  assert.is(reason([x, { a: x }], [x, { a: x, b: x }]), 'argument 1 changes between calls (an object with keys ["a"], then an object with keys ["a","b"])');
  assert.is(reason([{ a: x, b: null }], [{ a: x, b: x }]), "`b` of argument 0 changes between calls (null, then a leaf)");
  assert.is(reason([x], [x, x]), "the number of arguments changes between calls (1, then 2)");
});
test("a static argument", () => {
  assert.match(reason([x, 3], [x, 4], [1]), /^static argument 1 changes between calls \(3, then 4\); make it a tensor/);
  function first(): void {}
  assert.match(reason([x, first], [x, () => x], [1]), /\(function first, then function \(anonymous\)\)/);
  assert.match(reason([x, () => 1], [x, () => 2], [1]), /\(function \(anonymous\), then another, function \(anonymous\)\)/);
  assert.match(reason([x, { shape: [2, 3] }], [x, { shape: [2, 4] }], [1]), /\(\{"shape":\[2,3\]\}, then \{"shape":\[2,4\]\}\)/);
});
test("a module's mode, kinds and static attributes", () => {
  const net = new Net();
  assert.is(reason([net], [net.eval()]), "argument 0 changes between calls (train mode, then eval mode)");
  assert.is(reason([net], [net.replace({ inner: net.inner.eval() })]), "`inner` of argument 0 changes between calls (train mode, then eval mode)");
  assert.is(reason([net], [net.freeze()]), "`w` of argument 0 changes between calls (parameter, then state (frozen parameter))");
  assert.is(reason([net], [net.replace({ rate: 2 })]), "`rate` of argument 0 changes between calls (static 1, then static 2); an attribute that changes should be a `pax.state`");
  assert.match(reason([net.replace({ rate: (() => 1) as never })], [net.replace({ rate: (() => 1) as never })]), /; define the function once, outside the constructor$/);
});
test("plain data that changed in place", () => {
  const rates = [1, 2];
  const net = new Net().replace({ rate: rates });
  const f = pax.jit((m: Net) => m.w);
  f(net);
  rates.push(3);
  f(net);
  assert.match(pax.explainRetrace(f)[0]!, /`rate` of argument 0 changes between calls \(static \[1,2\], then static \[1,2,3\]\)/);
});
test("a program that was dropped, and one that cannot be kept", () => {
  const found = reasons([...Array.from({ length: 65 }, (_, n) => [x, n]), [x, 0]], [1]);
  assert.is(found.length, 64, "the last 64 are kept");
  assert.is(found.at(-1), "trace 66: its program was dropped: a jitted function keeps the 64 that it used last");
  const inner: { f?: (t: T) => T } = {};
  pax.grad((a: T) => {
    const f = (inner.f = pax.jit((b: T) => b.mul(a).sum()));
    return f(x).add(f(x));
  })(x);
  assert.match(pax.explainRetrace(inner.f!).at(-1)!, /uses a tensor of `grad`, inside which it is called, so its program is not kept/);
});
test("many traces are told of once, whatever the reason", () => {
  const f = pax.jit(function step(a: T) { return a; });
  for (let n = 1; n <= 8; n++) f(np.ones([n]));
  assert.equal(warnings, []);
  for (let n = 9; n <= 20; n++) f(np.ones([n]));
  assert.is(warnings.length, 1);
  assert.match(warnings[0]!, /step was traced 9 times: argument 0 changes between calls \(float32\[8\], then float32\[9\]\)/);
});
test("the environment variable prints each", () => {
  process.env["PAX_EXPLAIN_RETRACE"] = "1";
  const f = pax.jit(function step(a: T) { return a; });
  for (const n of [2, 3, 2, 4]) f(np.ones([n]));
  assert.equal(warnings, [
    "paxjs: step, trace 2: argument 0 changes between calls (float32[2], then float32[3])",
    "paxjs: step, trace 3: argument 0 changes between calls (float32[2], then float32[4])",
  ]);
});
test("only of functions that jit gave", () => fails("value", /pass a function that pax.jit gave/, () => pax.explainRetrace(any)));

test.run();
