// Measures our steps as the protocol of the workloads says, wherever the library runs: in Node (ours.mjs) or in a page (browser.mjs).
import * as pax from "paxjs";
import { makeData } from "./data.mjs";
import { kernels, workloads } from "./workloads.mjs";

const { np } = pax;
const now = () => performance.now();
const part = (tensors, prefix) => Object.fromEntries([...tensors].filter(([k]) => k.startsWith(prefix)).map(([k, t]) => [k.slice(prefix.length), t]));

/** Times steps as the protocol of the workloads says. */
function measure(step, { minMs, maxMs }) {
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
  return {
    workload, median_us: quantile(0.5), p10_us: quantile(0.1), p90_us: quantile(0.9), steps: times.length,
    first_step_ms: first, loss_first: lossFirst, loss_last: lossLast, ...more,
  };
}

function train(name, tensors, options) {
  const { model: start, optimizer: transformation, loss } = workloads[name](part(tensors, "p."), part(tensors, "s."));
  const lossFn = (params, model, batch) => { model = model.update(params); return [loss(model, batch), model]; };
  const step = (model, optimizer, batch) => {
    const [[value, updated], grads] = pax.valueAndGrad(lossFn, { hasAux: true })(model.parameters(), model, batch);
    return [value, optimizer.step(grads, updated), optimizer];
  };
  const run = options.eager ? (model, optimizer, batch) => step(model, optimizer.copy(), batch) : pax.jit(step, { donateArgnums: [0, 1] });
  const batch = part(tensors, "in.");
  let model = start;
  let optimizer = new (pax.optim.fromOptax(transformation))(model.parameters());
  return [report(name, measure(() => {
    let value;
    [value, model, optimizer] = run(model, optimizer, batch);
    return value.item();
  }, options))];
}

function micro(all, options) {
  const tensors = part(all, "in.");
  return Object.entries(kernels).map(([name, [fn, names, work, unit]]) => {
    const args = names.map((n) => tensors[n]);
    const run = options.eager ? fn : pax.jit(fn);
    let out = np.array(0);
    const measured = measure(() => {
      // In a page a loop that never yields keeps what it dropped.
      if (options.dispose) out.dispose();
      out = run(...args);
      return 0;
    }, options);
    const values = out.dataSync();
    let sum = 0;
    for (const v of values) sum += v * v;
    [measured.lossFirst, measured.lossLast] = [sum / values.length, sum / values.length];
    const median = [...measured.times].sort((a, b) => a - b)[measured.times.length >> 1];
    return report(name, measured, { rate: work / median / 1e6, rate_unit: unit });
  });
}

/** The rows of a workload. `file`: bytes of the peers' data; without them the same shapes are made. `options`: minMs, maxMs, eager, dispose, dtype of floats. */
export function bench(name, file, options) {
  if (name !== "K1" && !(name in workloads)) throw new Error(`no workload ${name}: one of ${Object.keys(workloads).join(", ")}, K1`);
  const loaded = file === undefined ? makeData(name) : pax.io.fromSafetensors(file);
  const cast = (t) => (options.dtype !== undefined && t.dtype === "float32" ? t.astype(options.dtype) : t);
  const tensors = new Map([...loaded].map(([k, t]) => [k, cast(t)]));
  return name === "K1" ? micro(tensors, options) : train(name, tensors, options);
}
