// node bench/ours.mjs WORKLOAD...: measures our steps in the contract of the peers (one JSON line a workload).
// Env: BENCH_DATA (folder of the peers' .safetensors files; without it bench/data.mjs makes the same shapes), BENCH_MIN_S, BENCH_MAX_S, BENCH_THREADS, BENCH_EAGER=1 (without jit).
import { readFileSync } from "node:fs";
import { join } from "node:path";

const now = () => performance.now();
const began = now();
const pax = await import("paxjs");
const importMs = now() - began;
const { workloads, kernels } = await import("./workloads.mjs");
const { makeData } = await import("./data.mjs");
const { np } = pax;
if (process.env.BENCH_THREADS !== undefined) pax.setThreads(Number(process.env.BENCH_THREADS));
const [minMs, maxMs] = [1e3 * Number(process.env.BENCH_MIN_S ?? 1), 1e3 * Number(process.env.BENCH_MAX_S ?? 3)];
const eager = process.env.BENCH_EAGER === "1";

const folder = process.env.BENCH_DATA;
const load = (name) => (folder ? pax.io.fromSafetensors(readFileSync(join(folder, `${name}.safetensors`))) : makeData(name));
const part = (tensors, prefix) => Object.fromEntries([...tensors].filter(([k]) => k.startsWith(prefix)).map(([k, t]) => [k.slice(prefix.length), t]));

/** Times steps as the protocol of the workloads says. */
function measure(step) {
  let t = now();
  const lossFirst = step();
  const first = now() - t;
  let lossLast = lossFirst;
  const start = now();
  for (let i = 0; i < 9; i++) lossLast = step();
  const [times, from] = [[], now()];
  for (;;) {
    t = now();
    step();
    const end = now();
    times.push(end - t);
    if ((end - from >= maxMs && times.length >= 5) || (end - from >= minMs && times.length >= 50) || end - start > 12e3) break;
  }
  return { first, lossFirst, lossLast, times };
}

function report(workload, { first, lossFirst, lossLast, times }, more = {}) {
  const sorted = [...times].sort((a, b) => a - b);
  const quantile = (p) => {
    const [at, i] = [p * (sorted.length - 1), Math.floor(p * (sorted.length - 1))];
    return 1e3 * (sorted[i] + ((sorted[i + 1] ?? sorted[i]) - sorted[i]) * (at - i));
  };
  console.log(JSON.stringify({
    workload, median_us: quantile(0.5), p10_us: quantile(0.1), p90_us: quantile(0.9), steps: times.length,
    first_step_ms: first, import_ms: importMs, peak_rss_mb: process.resourceUsage().maxRSS / 1024, loss_first: lossFirst, loss_last: lossLast, ...more,
  }));
}

function train(name) {
  const tensors = load(name);
  const { model: start, optimizer: transformation, loss } = workloads[name](part(tensors, "p."), part(tensors, "s."));
  const lossFn = (params, model, batch) => { model = model.update(params); return [loss(model, batch), model]; };
  const step = (model, optimizer, batch) => {
    const [[value, updated], grads] = pax.valueAndGrad(lossFn, { hasAux: true })(model.parameters(), model, batch);
    return [value, optimizer.step(grads, updated), optimizer];
  };
  const run = eager ? (model, optimizer, batch) => step(model, optimizer.copy(), batch) : pax.jit(step, { donateArgnums: [0, 1] });
  const batch = part(tensors, "in.");
  let model = start;
  let optimizer = new (pax.optim.fromOptax(transformation))(model.parameters());
  report(name, measure(() => {
    let value;
    [value, model, optimizer] = run(model, optimizer, batch);
    return value.item();
  }));
}

function micro() {
  const tensors = part(load("K1"), "in.");
  for (const [name, [fn, names, work, unit]] of Object.entries(kernels)) {
    const args = names.map((n) => tensors[n]);
    const run = eager ? fn : pax.jit(fn);
    let out = np.array(0);
    const measured = measure(() => { out = run(...args); return 0; });
    const values = out.dataSync();
    let sum = 0;
    for (const v of values) sum += v * v;
    [measured.lossFirst, measured.lossLast] = [sum / values.length, sum / values.length];
    const median = [...measured.times].sort((a, b) => a - b)[measured.times.length >> 1];
    report(name, measured, { rate: work / median / 1e6, rate_unit: unit });
  }
}

for (const name of process.argv.slice(2)) {
  if (name === "K1") micro();
  else if (name in workloads) train(name);
  else throw new Error(`no workload ${name}: one of ${Object.keys(workloads).join(", ")}, K1`);
}
