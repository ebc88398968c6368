/** Trains a 784-64-10 network eagerly and prints how much memory grew: `memory-loop.js sync|throws|await|workers [steps]`. */
import { readFileSync } from "node:fs";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import * as pax from "paxjs";
import { stats } from "paxjs/internal";

const { np, nn } = pax;

export interface Measured {
  readonly growth: number;
  readonly most: number;
  readonly version: string;
  /** The last loss: the same bits whatever the collector does. */
  readonly loss: number;
}

/** Waits until all workers are here: what one of them begins with is no growth of another. */
function meet({ arrived, workers }: { arrived: Int32Array; workers: number }): void {
  if (Atomics.add(arrived, 0, 1) + 1 === workers) Atomics.notify(arrived, 0);
  for (let n = Atomics.load(arrived, 0); n < workers; n = Atomics.load(arrived, 0)) Atomics.wait(arrived, 0, n);
}

/** The process's resident memory, in bytes, without pages of files: what Node first runs of its own code is no growth. */
function resident(): number {
  return 1024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))![1]);
}

async function train(mode: string, steps: number): Promise<Measured> {
  const key = pax.random.key(0);
  let params = { w0: pax.random.normal(key, [784, 64]).mul(0.05), b0: np.zeros([64]), w1: pax.random.normal(key, [64, 10]).mul(0.1), b1: np.zeros([10]) };
  const x = pax.random.normal(key, [32, 784]);
  const labels = nn.oneHot(np.arange(32).remainder(10), 10);
  let step = 0;
  const loss = (p: typeof params): pax.Tensor => {
    const h = nn.relu(x.matmul(p.w0).add(p.b0));
    // Any step may throw in the middle of the recording.
    if (mode === "throws" && (step * 2654435761) % 7 === 0) throw new Error("a random step");
    return nn.logSoftmax(h.matmul(p.w1).add(p.b1)).mul(labels).sum(-1).mean().neg();
  };
  let [base, most] = [0, 0];
  for (step = 0; step < steps; step++) {
    if (step === 100) {
      if (!isMainThread) meet(workerData as Parameters<typeof meet>[0]);
      base = resident();
    }
    try {
      const grads = pax.grad(loss)(params);
      params = pax.tree.map((p: pax.Tensor, g: pax.Tensor) => p.sub(g.mul(0.01)), params, grads);
    } catch (e) {
      if ((e as Error).message !== "a random step") throw e;
    }
    if (step % 50 === 0) most = Math.max(most, stats().handles);
    if (mode === "await" && step % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const growth = resident() - base;
  step = 1; // a step that never throws
  return { growth, most, version: process.version, loss: loss(params).item() };
}

const [mode = "sync", steps = "5000"] = process.argv.slice(2);
if (mode === "workers") {
  const arrived = new Int32Array(new SharedArrayBuffer(4));
  const run = (): Promise<Measured> => new Promise((resolve, reject) => {
    new Worker(new URL(import.meta.url), { argv: ["sync", steps], workerData: { arrived, workers: 2 } }).once("message", resolve).once("error", reject);
  });
  const results = await Promise.all([run(), run()]);
  // What is measured is the process's memory, which both make grow: a worker's share is half of it.
  console.log(JSON.stringify({ ...results[0], growth: Math.max(...results.map((r) => r.growth)) / results.length, most: Math.max(...results.map((r) => r.most)) }));
} else {
  const result = await train(mode, Number(steps));
  if (isMainThread) console.log(JSON.stringify(result));
  else parentPort!.postMessage(result);
}
