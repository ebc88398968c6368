import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { stats } from "paxjs/internal";
import { runScript, type Run } from "../support/processes.js";
import { natively } from "../support/where.js";

const { np, nn } = pax;
const test = suite("memory");

/** Runs the loop of memory-loop.js, which prints what it measured. */
const loop = (mode: string, run: Run = {}): { growth: number; most: number; version: string } => runScript("./memory-loop.js", [mode], run);

const MB = 1 << 20;
for (const mode of ["sync", "throws", "await", "workers"]) {
  natively(test, `5,000 eager steps grow by less than 16 MB (${mode})`, () => {
    const { growth, most } = loop(mode);
    assert.ok(growth < 16 * MB, `resident memory grew by ${(growth / MB).toFixed(1)} MB`);
    assert.ok(most < 4000, `${most} tensors were alive at once`);
  });
}

natively(test, "large results are freed by collections of young objects, not by marking all", async () => {
  const { PerformanceObserver, constants } = await import("node:perf_hooks");
  const kinds: number[] = [];
  const seen = new PerformanceObserver((list) => { for (const e of list.getEntries()) kinds.push((e as unknown as { detail: { kind: number } }).detail.kind); });
  seen.observe({ entryTypes: ["gc"] });
  const x = np.ones([1024, 1024]);
  for (let i = 0; i < 400; i++) x.add(i);
  // Node reports them some turns later.
  for (let i = 0; i < 1000 && kinds.length < 90; i++) await new Promise((done) => { setImmediate(done); });
  seen.disconnect();
  const young = kinds.filter((k) => k === constants.NODE_PERFORMANCE_GC_MINOR).length;
  assert.ok(young >= 90, `${young} collections for 1,600 MB`);
  assert.ok(kinds.length - young < 20, `all objects were marked ${kinds.length - young} times`);
});

for (const version of ["22", "24"]) {
  natively(test, `the same on Node ${version}`, () => {
    const { growth, version: ran } = loop("sync", { version });
    assert.match(ran, new RegExp(`^v${version}\\.`));
    assert.ok(growth < 16 * MB, `resident memory grew by ${(growth / MB).toFixed(1)} MB`);
  });
}

natively(test, "ordinary finalizers keep a loop that awaits flat", () => {
  const { growth } = loop("await", { env: { PAX_FINALIZERS: "ordinary" } });
  assert.ok(growth < 16 * MB, `resident memory grew by ${(growth / MB).toFixed(1)} MB`);
});

test("a throw at each op of a loss leaves depth and live tensors at their baseline", () => {
  const w = np.ones([3, 2]);
  const x = np.ones([4, 3]);
  const ops: ((t: pax.Tensor) => pax.Tensor)[] = [(t) => t.matmul(w), (t) => nn.relu(t), (t) => t.mul(2), (t) => t.sum(0), (t) => nn.logSoftmax(t), (t) => t.mean()];
  const run = (stop: number, wrap: (f: (t: pax.Tensor) => pax.Tensor) => (t: pax.Tensor) => unknown): void => {
    const f = wrap((t) => {
      ops.forEach((op, i) => {
        if (i === stop) throw new Error("stop");
        t = op(t);
      });
      return t;
    });
    try { f(x); } catch (e) { if ((e as Error).message !== "stop") throw e; }
  };
  const wraps: ((f: (t: pax.Tensor) => pax.Tensor) => (t: pax.Tensor) => unknown)[] = [
    (f) => pax.grad(f), (f) => pax.jit(f), (f) => pax.vmap((t: pax.Tensor) => f(t.reshape([1, 3]))), (f) => pax.grad((t: pax.Tensor) => pax.jit(f)(t)), (f) => pax.jit(pax.grad(f)),
  ];
  for (const wrap of wraps) {
    for (let stop = 0; stop < ops.length; stop++) {
      const before = stats().handles;
      run(stop, wrap);
      assert.is(stats().depth, 0);
      // Objects made outside of levels die with the collector; inside them, now.
      assert.ok(stats().handles <= before, `${stats().handles - before} tensors are left after a throw at op ${stop}`);
    }
  }
});

test("the peak of a 20-layer relu network's gradient is what its backward needs", () => {
  const [batch, width, layers] = [512, 64, 20];
  const ws = Array.from({ length: layers }, (_, i) => pax.random.normal(pax.random.key(i), [width, width]).mul(0.1));
  const bs = Array.from({ length: layers }, () => np.zeros([width]));
  const x = np.ones([batch, width]);
  const loss = (p: { ws: pax.Tensor[]; bs: pax.Tensor[] }): pax.Tensor => {
    let h = x;
    p.ws.forEach((w, i) => { h = nn.relu(h.matmul(w).add(p.bs[i]!)); });
    return h.mean();
  };
  const before = pax.memory().bytes;
  pax.memory();
  const grads = pax.grad(loss)({ ws, bs });
  const peak = pax.memory().peakBytes - before;
  const activations = layers * batch * width * 4;
  const parameters = layers * (width * width + width) * 4;
  assert.ok(peak <= 1.2 * (activations + 2 * parameters), `peak ${peak} for ${activations} of activations and ${parameters} of parameters`);
  assert.is(grads.ws.length, layers);
});

test("a chain of a million equations", () => {
  const g = pax.grad((x: pax.Tensor) => {
    for (let i = 0; i < 1_000_000; i++) x = x.add(1);
    return x;
  })(np.array(1));
  assert.is(g.item(), 1);
});

test("counts of one eager step", () => {
  const w = np.ones([3, 2]);
  const x = np.ones([4, 3]);
  const step = (): pax.Tensor => pax.grad((p: pax.Tensor) => x.matmul(p).sum())(w);
  step();
  const a = stats();
  step();
  const b = stats();
  assert.is(b.recorded - a.recorded, 2, "two equations are recorded: the product and the sum");
  assert.is(b.handles - a.handles, 1, "the gradient alone is alive");
  assert.is(b.crossings - a.crossings - 1, 6, "begin, product, sum, end, pull and the release of the loss's object");
});

test.run();
