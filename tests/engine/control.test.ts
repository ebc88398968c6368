/** Rows that own programs, through the facade: values against loops by hand, derivatives against differences, errors. */
import * as pax from "paxjs";
import { stats } from "paxjs/internal";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fails } from "../support/fails.js";
import { near } from "../support/near.js";

const { np, nn } = pax;
const test = suite("control flow");
type T = pax.Tensor;
const f64 = (data: pax.ArrayData): T => np.array(data, { dtype: "float64" });
const close = (a: T, b: pax.ArrayData, what = "value"): void => near(a, f64(b), what, { rtol: 1e-5, atol: 1e-6 });
/** The gradient of a scalar function of a float64 tensor, by central differences. */
function differences(f: (x: T) => T, x: T): number[] {
  const v = Array.from(x.dataSync(), Number);
  return v.map((_, i) => {
    const at = (h: number): number => f(f64(v.map((a, k) => (k === i ? a + h : a))).reshape(x.shape)).item();
    return (8 * (at(1e-3) - at(-1e-3)) - (at(2e-3) - at(-2e-3))) / 12e-3;
  });
}

test("scan carries and stacks, forward and in reverse", () => {
  const xs = np.array([1, 2, 3]);
  const [last, sums] = pax.scan((c: T, x: T) => [c.add(x), c.mul(2)], np.array(10), xs);
  close(last, 16);
  close(sums, [20, 22, 26]);
  const [back, parts] = pax.scan((c: T, x: T) => [c.mul(x), c], np.array(1), xs, { reverse: true });
  close(back, 6);
  close(parts, [6, 3, 1]);
  const [n, none] = pax.scan((c: T) => [c.add(1), null], np.array(0), null, { length: 5 });
  close(n, 5);
  assert.is(none, null);
  const [tree, ys] = pax.scan(({ a, b }: { a: T; b: T }, { x }: { x: T }) => [{ a: b, b: a.add(x) }, { s: [a, x] as const }], { a: np.zeros([2]), b: np.ones([2]) }, { x: np.ones([4, 2]) });
  close(tree.a, [2, 2]);
  assert.equal([...ys.s[0].shape], [4, 2]);
});
/** The steps one by one, as a loop runs them. */
function byHand(step: (carry: T[], i: T) => [T[], T], carry: T[], n: number, reverse: boolean): T[] {
  const ys: T[] = [];
  for (let k = 0; k < n; k++) {
    let y: T;
    [carry, y] = step(carry, np.array(reverse ? n - 1 - k : k, { dtype: "int32" }));
    if (reverse) ys.unshift(y);
    else ys.push(y);
  }
  return [...carry, np.stack(ys)];
}
const written: Record<string, (carry: T[], i: T) => [T[], T]> = {
  "at one place": ([a, b], i) => [[a!.at(i).set(b!.get(0)), b!.at(i).add(2)], i],
  "read behind the update": ([a, b], i) => { const c = a!.at(i).set(4); return [[c, b!.add(a!)], c.sum()]; },
  "stacked as well": ([a, b], i) => { const c = a!.at(i).add(1); return [[c, b!], c]; },
  "two carries of one value": ([a, b], i) => { const c = a!.at(i).add(b!.get(i)).at(0).set(3); return [[c, c], b!.sum()]; },
  "two that change places": ([a, b], i) => [[b!.at(i).set(7), a!], a!.get(i)],
  "updates of itself": ([a, b], i) => [[a!.at(i).set(a!.get(i.neg()).add(1)), b!.at(np.arange(0, 4, 2)).add(b!.get([1, 2]))], i],
  "an operand that a row gives back": ([a], i) => {
    const kept = pax.cond(i.less(2), (x: T) => x, (x: T) => x.mul(1), a!);
    return [[a!.at(i).set(9), kept], np.argmax(kept).add(np.sort(a!).get(0).astype("int32"))];
  },
  "with rows that run by themselves": ([a, b], i) => [[np.sort(a!).at(i).set(-1), np.cumprod(b!.at(i).add(1))], np.argmax(a!)],
};
for (const [name, step] of Object.entries(written)) {
  test(`a carry is changed where it lies: ${name}`, () => {
    for (const [dtype, n, reverse] of [["float32", 5, false], ["float64", 5, true], ["int32", 1, false], ["bfloat16", 4, false]] as const) {
      const carry = [np.arange(6).add(1).astype(dtype), np.array([3, -1, 2, 5, 0, 1]).astype(dtype)];
      const before = carry.map((t) => t.toArray());
      const scan = (c: T[], steps: T): T[] => { const [last, ys] = pax.scan((now: T[], i: T) => step(now, i), c, steps, { reverse }); return [...last, ys]; };
      const want = byHand((c, i) => { const [next, y] = step(c, i); return [next.map((t) => t.astype(dtype)), y]; }, carry, n, reverse);
      for (const run of [scan, pax.jit(scan)]) {
        for (const [i, t] of run(carry, np.arange(n)).entries()) near(t, want[i]!, `${name}, ${dtype}, result ${i}`);
        assert.equal(carry.map((t) => t.toArray()), before, "what the caller has stays");
      }
    }
  });
}

test("a scan is one equation, compiled and differentiated", () => {
  const w = f64([[0.5, -0.3], [0.2, 0.7]]);
  const xs = f64([[1, 2], [0.5, -1], [0.3, 0.1]]);
  const f = (w: T): T => pax.scan((h: T, x: T) => { const n = h.matmul(w).add(x).tanh(); return [n, n.mul(x)]; }, f64([0.1, 0.2]), xs)[1].sum();
  near(pax.grad(f)(w).ravel(), f64(differences(f, w)), "grad of scan", { rtol: 1e-7, atol: 1e-8 });
  near(pax.jit(pax.grad(f))(w), pax.grad(f)(w), "compiled", { rtol: 1e-12 });
  const text = pax.makeProgram(f)(w).toString();
  assert.is(text.match(/= scan\(/g)?.length, 1, text);
  const before = stats().recorded;
  pax.grad(f)(w);
  // Its body is recorded once as it is, once with what backward keeps, and the backward body once, whatever the length.
  const short = stats().recorded - before;
  const long = np.concatenate([xs, xs, xs, xs], 0);
  pax.grad((w: T) => pax.scan((h: T, x: T) => { const n = h.matmul(w).add(x).tanh(); return [n, n.mul(x)]; }, f64([0.1, 0.2]), long)[1].sum())(w);
  assert.is(stats().recorded - before - short, short);
});
test("carries of several types", () => {
  const layer = new nn.Linear(2, 2, { wInit: (shape) => np.ones(shape) });
  const x = np.ones([1, 2]);
  const [[scanned, sum], ys] = pax.scan(([m, n]: [pax.nn.Linear, T], a: T) => [[m, n.add(a.sum())], [m.forward(a), n]], [layer, np.array(0)], np.ones([3, 1, 2]));
  close(sum, 6);
  close(scanned.forward(x), [[2, 2]]);
  close(ys[1], [0, 2, 4]);
  const [looped, i] = pax.whileLoop(([, i]) => i.less(3), ([m, i]) => [m, i.add(1)], [layer, np.array(0)]);
  close(i, 3);
  close(looped.forward(x), [[2, 2]]);
  close(pax.foriLoop(0, 4, (i, [m, { n }]) => [m, { n: n.add(i) }], [layer, { n: np.array(0, { dtype: "int32" }) }])[1].n, 6);
  const chosen = pax.cond(np.array(false), (m, s) => [m, s], (m, s) => [m, s.add(1)], layer, np.array(0));
  close(chosen[0].forward(x), [[2, 2]]);
  close(chosen[1], 1);
});
test("what a step may not change is named with its path", () => {
  const c = { a: np.zeros([2]), n: [np.array(0)] };
  fails("shape", /scan: the carry at `a` is float32\[2\], and float32\[3\] after a step/, () => pax.scan((s: typeof c) => [{ ...s, a: np.zeros([3]) }, null], c, null, { length: 2 }));
  fails("dtype", /`n\[0\]` is float32\[\], and int32\[\] after/, () => pax.scan((s: typeof c) => [{ a: s.a, n: [np.array(0, { dtype: "int32" })] }, null], c, null, { length: 2 }));
  fails("shape", /weak: a JavaScript number/, () => pax.scan((s: T, x: T) => [s.add(x), null], 0, np.ones([2])));
  fails("tree", /scan: the structures differ at the root: .* in the carry, a leaf after a step/, () => pax.scan(((s: typeof c) => [s.a, null]) as never, c, null, { length: 2 }));
  fails("shape", /`b` of shape \[2\] has 2 slices, but the length is 3/, () => pax.scan((s: T) => [s, null], np.array(0), { a: np.ones([3]), b: np.ones([2]) }));
  fails("shape", /no axis to scan over/, () => pax.scan((s: T) => [s, null], np.array(0), np.array(1)));
  fails("value", /length/, () => pax.scan((s: T) => [s, null], np.array(0), null));
  fails("value", /return \[carry, y\]/, () => pax.scan(((s: T) => s) as never, np.array(0), null, { length: 2 }));
  fails("trace", /scan/, () => pax.scan((s: T) => [s.item() > 0 ? s : s.neg(), null], np.array(0), null, { length: 2 }));
  class Net extends pax.Module { count = 0; w = pax.parameter(np.ones([2])); }
  fails("tree", /`count`: static 0 in the carry, static 1 after a step/, () => pax.scan((m: Net) => { m.count += 1; return [m, null]; }, new Net(), null, { length: 2 }));
});
test("cond runs one of two, and has derivatives", () => {
  const f = (x: T): T => pax.cond(x.sum().greater(0), (a: T) => a.mul(a), (a: T) => a.mul(3), x).sum();
  close(f(np.array([1, 2])), 5);
  close(f(np.array([-1, -2])), -9);
  close(pax.grad(f)(np.array([1, 2])), [2, 4]);
  close(pax.jit(pax.grad(f))(np.array([-1, -2])), [3, 3]);
  close(pax.vmap(f)(np.array([[1, 2], [-1, -2]])), [5, -9]);
  close(pax.vmap(pax.grad(f))(np.array([[1, 2], [-1, -2]])), [[2, 4], [3, 3]]);
  close(pax.cond(true, () => np.array(1), () => np.array(2)), 1);
  fails("shape", /cond: the functions give float32\[2\] and float32\[\]/, () => pax.cond(true, (a: T) => a, (a: T) => a.sum(), np.ones([2])));
  fails("tree", /in the result of the first function/, () => pax.cond(true, (a: T) => [a] as T[], (a: T) => [a, a], np.ones([2])));
  fails("shape", /must be a scalar/, () => pax.cond(np.ones([2]), (a: T) => a, (a: T) => a, np.ones([2])));
});
test("whileLoop and foriLoop", () => {
  const collatz = (n: T): T => pax.whileLoop(
    (s: { n: T; steps: T }) => s.n.greater(1),
    (s) => ({ n: np.where(s.n.remainder(2).equal(0), s.n.floorDivide(2), s.n.mul(3).add(1)), steps: s.steps.add(1) }),
    { n, steps: np.array(0, { dtype: "int32" }) },
  ).steps;
  assert.is(collatz(np.array(27, { dtype: "int32" })).item(), 111);
  assert.equal(pax.vmap(collatz)(np.array([1, 2, 3, 27], { dtype: "int32" })).toArray(), [0, 1, 7, 111]);
  assert.is(pax.jit(collatz)(np.array(6, { dtype: "int32" })).item(), 8);
  fails("trace", /use scan/, () => pax.grad((x: T) => pax.whileLoop((a: T) => a.less(10), (a) => a.mul(2), x))(np.array(1)));
  const power = (x: T, n: pax.TensorLike): T => pax.foriLoop(0, n, (_, c: T) => c.mul(x), np.ones([]));
  close(power(np.array(3), 4), 81);
  close(power(np.array(3), np.array(4, { dtype: "int32" })), 81);
  close(pax.grad((x: T) => power(x, 4))(np.array(3)), 108);
  close(pax.foriLoop(2, 5, (i, c: T) => c.add(i), np.array(0, { dtype: "int32" })), 9);
  close(pax.foriLoop(5, 2, (i, c: T) => c.add(i), np.array(7, { dtype: "int32" })), 7);
  for (const wrong of [2.5, NaN, Infinity]) {
    fails("value", /foriLoop: .*whole numbers, not/, () => pax.foriLoop(0, wrong, (_, c: T) => c, np.array(0)));
    fails("value", /foriLoop/, () => pax.foriLoop(wrong, np.array(3, { dtype: "int32" }), (_, c: T) => c, np.array(0)));
  }
});
test("a whileLoop with captured tensors, updates in place, and none or many steps", () => {
  const [limit, w] = [np.array(6, { dtype: "int32" }), np.array([1, -2, 3, 4, 5, 6])];
  type Carry = [i: T, a: T, b: T];
  const goesOn = ([i, , b]: Carry): T => np.logicalAnd(i.less(limit), b.max().less(w.sum().mul(2)));
  const body = ([i, a, b]: Carry): Carry => [i.add(1), a.at(i).set(b.get(i.add(1).remainder(6))), np.sort(b.add(w).sub(a.mean()))];
  const loop = (start: T, x: T): Carry => pax.whileLoop(goesOn, body, [start, x, x.mul(2)] as Carry) as Carry;
  for (const start of [0, 4, 5, 9]) {
    const first = np.array(start, { dtype: "int32" });
    let want: Carry = [first, w, w.mul(2)];
    for (let n = 0; n < 20 && goesOn(want).item<boolean>(); n++) want = body(want);
    for (const run of [loop, pax.jit(loop)]) for (const [k, t] of run(first, w).entries()) near(t, want[k]!, `from ${start}, ${k}`);
  }
  assert.equal(w.toArray(), [1, -2, 3, 4, 5, 6]);
});
test("a whileLoop whose derivative nobody asks for may stand in a differentiated function", () => {
  const grown = (w: T): T => pax.whileLoop(([i]: [T, T]) => i.less(3), ([i, y]: [T, T]) => [i.add(1), y.mul(1.5)] as [T, T], [np.array(0, { dtype: "int32" }), w] as [T, T])[1];
  const w = np.array([1, 2]);
  const f = (x: T): T => pax.stopGradient(grown(x)).mul(x).sum();
  close(pax.grad(f)(w), [3.375, 6.75]);
  close(pax.jit(pax.grad(f))(w), [3.375, 6.75]);
  const [slope, aux] = pax.grad((x: T) => [x.sum(), grown(x)] as const, { hasAux: true })(w);
  close(slope, [1, 1]);
  close(aux, [3.375, 6.75]);
  fails("trace", /whileLoop.*no reverse-mode derivative.*use scan/, () => pax.grad((x: T) => grown(x).sum())(w));
});
test("checkpoint gives the same and keeps only its operands", () => {
  const w = pax.random.normal(pax.random.key(1), [64, 64]).mul(0.1);
  const x = np.ones([512, 64]);
  const block = (w: T, h: T): T => { for (let i = 0; i < 6; i++) h = nn.relu(h.matmul(w)).add(h); return h; };
  const loss = (f: (w: T, h: T) => T) => (w: T): T => f(w, f(w, x)).mean();
  near(pax.grad(loss(pax.checkpoint(block)))(w), pax.grad(loss(block))(w), "grad", { rtol: 1e-5, atol: 1e-7 });
  const peak = (f: (w: T, h: T) => T): number => {
    const before = pax.memory().bytes;
    pax.memory();
    pax.grad(loss(f))(w);
    return pax.memory().peakBytes - before;
  };
  const [plain, again] = [peak(block), peak(pax.checkpoint(block))];
  assert.ok(again < 0.8 * plain, `${again} bytes at the peak with checkpoint, ${plain} without`);
  const compiled = (f: (w: T, h: T) => T): number => {
    const step = pax.jit(pax.grad(loss(f)));
    step(w);
    const before = pax.memory().bytes;
    pax.memory();
    step(w);
    return pax.memory().peakBytes - before;
  };
  const [plainStep, againStep] = [compiled(block), compiled(pax.checkpoint(block))];
  assert.ok(againStep < 0.8 * plainStep, `${againStep} bytes at the peak of the compiled step with checkpoint, ${plainStep} without`);
});
test("customVjp", () => {
  // Gradient clipping: the identity, whose cotangent is clipped.
  const clipped = pax.customVjp((x: T, limit: T) => x.mul(1).add(limit.mul(0)), (x: T, limit: T) => [x, limit], (limit: T, g: T) => [g.clip(limit.neg(), limit), null]);
  const f = (x: T): T => clipped(x, 0.5).mul(np.array([0.1, 3])).sum();
  close(f(np.array([1, 2])), 6.1);
  close(pax.grad(f)(np.array([1, 2])), [0.1, 0.5]);
  close(pax.jit(pax.grad(f))(np.array([1, 2])), [0.1, 0.5]);
  close(pax.grad((x: T) => pax.jit(f)(x))(np.array([1, 2])), [0.1, 0.5]);
  close(pax.grad((x: T) => pax.vmap((a: T) => clipped(a, 0.5).mul(3))(x).sum())(np.array([1, 2])), [0.5, 0.5]);
  close(pax.vmap(pax.grad((a: T) => clipped(a, 0.5).mul(3)))(np.array([1, 2])), [0.5, 0.5]);
  // log(1 + e^x) with a safe derivative, twice differentiated.
  const softplus = pax.customVjp((x: T) => x.exp().add(1).log(), (x: T) => [x.exp().add(1).log(), x], (x: T, g: T) => [g.mul(nn.sigmoid(x))]);
  const s = 1 / (1 + Math.exp(-0.7));
  close(pax.grad(softplus)(0.7), s);
  close(pax.grad(pax.grad(softplus))(0.7), s * (1 - s));
  const tree = pax.customVjp((p: { a: T; n: T }) => p.a.mul(2), (p: { a: T; n: T }) => [p.a.mul(2), null], (_: null, g: T) => [{ a: g.mul(10), n: null as never }]);
  const grads = pax.grad((p: { a: T; n: T }) => tree(p).sum())({ a: np.ones([2]), n: np.ones([]) });
  close(grads.a, [10, 10]);
  close(grads.n, 0);
  fails("trace", /being differentiated: pass it as an argument/, () => pax.grad((y: T) => pax.customVjp((x: T) => x.mul(y), (x: T) => [x.mul(y), null], (_: null, g: T) => [g])(1))(2));
  fails("value", /array of 1 gradients/, () => pax.customVjp((x: T) => x, (x: T) => [x, null], ((_: null, g: T) => g) as never)(1));
  fails("shape", /another shape or dtype for leaf 0/, () => pax.customVjp((x: T) => x, (x: T) => [x, null], (_: null, g: T) => [g.sum()])(np.ones([2])));
  fails("value", /\[value, residuals\]/, () => pax.customVjp((x: T) => x, ((x: T) => x) as never, (_: null, g: T) => [g])(np.ones([2])));
});
test("collectives by axis name", () => {
  const x = np.array([1, 4, 7]);
  close(pax.vmap((a: T) => a.sub(pax.pmean(a, "i")), { axisName: "i" })(x), [-3, 0, 3]);
  close(pax.vmap((a: T) => pax.psum(a, "i"), { axisName: "i", outAxes: null })(x), 12);
  close(pax.vmap((a: T) => pax.pmax(a, "i").sub(a), { axisName: "i" })(x), [6, 3, 0]);
  assert.equal(pax.vmap((a: T) => pax.axisIndex("i").add(a.astype("int32")), { axisName: "i" })(x).toArray(), [1, 5, 9]);
  const both = pax.vmap((r: T) => pax.vmap((a: T) => [pax.psum(a, "i"), pax.psum(a, "j")], { axisName: "j" })(r), { axisName: "i" })(np.array([[1, 2], [3, 4]]));
  close(both[0], [[4, 6], [4, 6]]);
  close(both[1], [[3, 3], [7, 7]]);
  const tree = pax.vmap((a: T) => pax.pmean({ a, b: [a.mul(2)] }, "i"), { axisName: "i" })(x);
  close(tree.b[0]!, [8, 8, 8]);
  close(pax.jit(pax.vmap((a: T) => pax.jit((b: T) => pax.psum(b, "i"))(a), { axisName: "i" }))(x), [12, 12, 12]);
  fails("trace", /psum: no axis is named "k" here \(there is "i"\)/, () => pax.vmap((a: T) => pax.psum(a, "k"), { axisName: "i" })(x));
  fails("trace", /no axis is named "i" here: map/, () => pax.psum(x, "i"));
  fails("trace", /`b` of the result depends on a mapped argument.*crossReplicaAxis.*eval/, () => pax.vmap((a: T) => ({ a: pax.psum(a, "i"), b: a }), { axisName: "i", outAxes: null })(x.mul(2)));
});
test("pmap runs over the devices", () => {
  const step = pax.pmap((w: T, x: T) => pax.pmean(pax.grad((w: T) => w.mul(x).sum())(w), "i"), { axisName: "i" });
  close(step(np.ones([1, 2]), np.array([[3, 4]])), [[3, 4]]);
  fails("shape", /pmap: axis 0 of argument 1 has size 2 .*there is 1 device/, () => step(np.ones([1, 2]), np.ones([2, 2])));
  const sums = pax.pmap((c: T, xs: T) => pax.scan((c: T, x: T) => [c.add(pax.pmean(x, "i")), c], c, xs)[0], { axisName: "i" });
  close(sums(np.zeros([1]), np.array([[1, 2, 3]])), [6]);
});
test("a jitted function may be used inside other transformations, again and again", () => {
  const f = pax.jit((x: T) => x.mul(x));
  for (let i = 0; i < 3; i++) assert.is(pax.grad((x: T) => f(x))(np.array(3)).item(), 6);
  assert.is(f(np.array(4)).item(), 16);
});

test("a plan can be read: a product with what comes behind it, and where things lie", () => {
  const f = (x: T, w: T, b: T): T => pax.nn.relu(x.matmul(w).add(b));
  const { plan } = pax.makeProgram(f)(np.ones([64, 100]), np.ones([100, 50]), np.ones([50]));
  assert.match(plan, /^plan: 1 phases, arena/);
  assert.match(plan, /product 64×100×50 add relu/);
  assert.match(plan, /3 inputs/);
});

test("the gradient of a mapped gradient of a condition", () => {
  const f = (a: T): T => pax.cond(a.greater(0), (b: T) => b.mul(2), (b: T) => np.log(b.mul(b).add(1)), a);
  close(pax.grad((q: T) => np.sum(pax.vmap(pax.grad(f))(q)))(f64([1, -2])), [0, differences((x) => pax.grad(f)(x), f64(-2))[0]!]);
  const penalty = (w: T, q: T): T => np.mean(np.square(pax.vmap((a: T) => pax.grad((z: T) => f(z.mul(w)))(a))(q)));
  const q = f64([1, -1]);
  close(pax.grad(penalty)(f64(1), q), differences((w) => penalty(w, q), f64(1))[0]!, "a penalty");
  close(pax.jit(pax.grad(penalty))(f64(1), q), pax.grad(penalty)(f64(1), q), "compiled");
  // The condition is mapped by the outer map, the operand by both.
  const g = (c: T, a: T): T => pax.cond(c.greater(0), (b: T) => b.mul(2), (b: T) => np.log(b.mul(b).add(1)), a);
  const nested = (a: T): T => np.sum(np.square(pax.vmap((c: T, row: T) => pax.vmap((z: T) => pax.grad((y: T) => g(c, y))(z))(row))(f64([1, -1]), a)));
  close(pax.grad(nested)(f64([[1, -2], [0.5, 1.5]])), [[0, 0], pax.grad((a: T) => np.sum(np.square(pax.vmap((z: T) => pax.grad((y: T) => np.log(y.mul(y).add(1)))(z))(a))))(f64([0.5, 1.5])).toArray()] as pax.ArrayData, "nested maps");
});

test.run();
