// Measures our steps as the protocol of the workloads says, wherever the library runs: in Node (ours.mjs) or in a page (browser.mjs).
import * as pax from "paxjs";
import { makeData } from "./data.mjs";
import { kernels, workloads } from "./workloads.mjs";

const { np } = pax;
const now = () => performance.now();
const part = (tensors, prefix) => Object.fromEntries([...tensors].filter(([k]) => k.startsWith(prefix)).map(([k, t]) => [k.slice(prefix.length), t]));

/** Times steps as the protocol of the workloads says. */
export function measure(step, { minMs, maxMs }) {
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

/** Training steps on one batch, compiled and donated unless `eager`: each gives the loss. `loss(model, batch)` is differentiated. */
export function trainer(model, transformation, loss, batch, eager) {
  const lossFn = (params, m, data) => { m = m.update(params); return [loss(m, data), m]; };
  const step = (m, optimizer, data) => {
    const [[value, updated], grads] = pax.valueAndGrad(lossFn, { hasAux: true })(m.parameters(), m, data);
    return [value, optimizer.step(grads, updated), optimizer];
  };
  const run = eager ? (m, optimizer, data) => step(m, optimizer.copy(), data) : pax.jit(step, { donateArgnums: [0, 1] });
  let optimizer = new (pax.optim.fromOptax(transformation))(model.parameters());
  return () => {
    let value;
    [value, model, optimizer] = run(model, optimizer, batch);
    return value.item();
  };
}

function train(name, tensors, options) {
  const { model, optimizer, loss } = workloads[name](part(tensors, "p."), part(tensors, "s."));
  return [report(name, measure(trainer(model, optimizer, loss, part(tensors, "in."), options.eager), options))];
}

const meanSquare = pax.jit((t) => np.square(t).mean());

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
    measured.lossFirst = measured.lossLast = meanSquare(out).item();
    const median = [...measured.times].sort((a, b) => a - b)[measured.times.length >> 1];
    return report(name, measured, { rate: work / median / 1e6, rate_unit: unit });
  });
}

/** The rows of a workload. `loaded`: the tensors of the peers' data; without them the same shapes are made. `options`: minMs, maxMs, eager, dispose, dtype of floats. */
export function bench(name, loaded, options) {
  if (name !== "K1" && !(name in workloads)) throw new Error(`no workload ${name}: one of ${Object.keys(workloads).join(", ")}, K1`);
  const cast = (t) => (options.dtype !== undefined && t.dtype === "float32" ? t.astype(options.dtype) : t);
  const tensors = new Map([...(loaded ?? makeData(name))].map(([k, t]) => [k, cast(t)]));
  return name === "K1" ? micro(tensors, options) : train(name, tensors, options);
}
