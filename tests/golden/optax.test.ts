/** Parameters after each of five steps, and schedules at counts 0 to 24, against optax's. Every golden case has a test of its name. */
import * as pax from "paxjs";
import { suite } from "uvu";
import { near } from "../support/near.js";
import { golden } from "../support/safetensors.js";

type Params = { readonly w: pax.Tensor; readonly b: pax.Tensor; readonly s: pax.Tensor };
const { np, optax } = pax;

const mask = { w: true, b: false, s: false };
const optimizers: Record<string, () => pax.optax.GradientTransformation> = {
  sgd: () => optax.sgd(0.1),
  sgd_momentum: () => optax.sgd(0.1, { momentum: 0.9 }),
  sgd_nesterov: () => optax.sgd(0.1, { momentum: 0.9, nesterov: true }),
  adam: () => optax.adam(1e-2),
  adam_hyper: () => optax.adam(1e-2, { b1: 0.8, b2: 0.95, eps: 1e-3, epsRoot: 1e-4 }),
  adamw: () => optax.adamw(1e-2),
  adamw_mask: () => optax.adamw(1e-2, { weightDecay: 0.1, mask }),
  lion: () => optax.lion(1e-2),
  rmsprop: () => optax.rmsprop(1e-2),
  rmsprop_centered: () => optax.rmsprop(1e-2, { decay: 0.8, centered: true, momentum: 0.5 }),
  adagrad: () => optax.adagrad(1e-1),
  adadelta: () => optax.adadelta(1),
  adamax: () => optax.adamax(1e-2),
  nadam: () => optax.nadam(1e-2),
  radam: () => optax.radam(1e-2),
  amsgrad: () => optax.amsgrad(1e-2),
  adabelief: () => optax.adabelief(1e-2),
  yogi: () => optax.yogi(1e-2),
  lamb: () => optax.lamb(1e-2),
  lars: () => optax.lars(1e-1),
  novograd: () => optax.novograd(1e-2),
  adafactor: () => optax.adafactor(1e-2),
  chain_clip_adam: () => optax.chain(optax.clipByGlobalNorm(1), optax.adam(1e-2)),
  chain_clip_adamw: () => optax.chain(optax.clipByGlobalNorm(1), optax.adamw(1e-4, { weightDecay: 1e-4 })),
  clip: () => optax.chain(optax.clip(0.5), optax.sgd(0.1)),
  masked: () => optax.masked(optax.sgd(0.1), mask),
  multi_transform: () => optax.multiTransform({ a: optax.adam(1e-2), b: optax.setToZero() }, { w: "a", b: "b", s: "b" }),
  multi_steps: () => new optax.MultiSteps(optax.sgd(0.1), 2).gradientTransformation(),
  ema: () => optax.chain(optax.ema(0.9), optax.sgd(0.1)),
  adam_warmup_cosine: () => optax.adam(optax.warmupCosineDecaySchedule(0, 0.1, 2, 5, { endValue: 0.01 })),
};
const { schedules } = optax;
const values: Record<string, pax.optax.Schedule> = {
  schedule_constant: schedules.constant(0.1),
  schedule_linear: schedules.linear(1, 0.1, 10, { transitionBegin: 2 }),
  schedule_polynomial: schedules.polynomial(1, 0.1, 2, 10),
  schedule_exponential: schedules.exponentialDecay(1, 5, 0.5, { staircase: true }),
  schedule_cosine: schedules.cosineDecay(1, 20, { alpha: 0.1 }),
  schedule_warmup_cosine: schedules.warmupCosineDecay(0, 1, 5, 20, { endValue: 0.01 }),
  schedule_piecewise: schedules.piecewiseConstant(1, { 5: 0.5, 10: 0.1 }),
  schedule_onecycle: schedules.onecycle(20, 1),
};

interface Case { readonly case: string; readonly steps: number; readonly rtol?: number }
const data = golden<Case>("optax");
const read = (prefix: string): Params => ({ w: data.get(`${prefix}/w`), b: data.get(`${prefix}/b`), s: data.get(`${prefix}/s`) });
const test = suite("golden optax");

function checkOptimizer({ case: name, steps }: Case, optimizer: pax.optax.GradientTransformation, tolerance: object): void {
  let params = read("params0");
  let state = optimizer.init(params);
  for (let step = 0; step < steps; step++) {
    const [updates, next] = optimizer.update(read(`grads/${step}`), state, params);
    state = next;
    params = optax.applyUpdates(params, updates);
    const expected = read(`${name}/${step}`);
    for (const leaf of ["w", "b", "s"] as const) near(params[leaf], expected[leaf], `${name}: ${leaf} after step ${step}`, tolerance);
  }
}
function checkSchedule({ case: name, steps }: Case, schedule: pax.optax.Schedule, tolerance: object): void {
  const expected = data.get(`${name}/values`);
  const counts = Array.from({ length: steps }, (_, t) => t);
  near(np.stack(counts.map((t) => schedule(t))), expected, `${name} of numbers`, tolerance);
  const jitted = pax.jit((count: pax.Tensor) => schedule(count));
  near(np.stack(counts.map((t) => jitted(np.array(t, { dtype: "int32" })))), expected, `${name} of tensors under jit`, tolerance);
}

for (const found of data.cases) {
  test(found.case, () => {
    const tolerance = found.rtol === undefined ? {} : { rtol: found.rtol };
    const [optimizer, schedule] = [optimizers[found.case], values[found.case]];
    if (optimizer !== undefined) checkOptimizer(found, optimizer(), tolerance);
    else if (schedule !== undefined) checkSchedule(found, schedule, tolerance);
    else throw new Error(`the golden case ${found.case} has no test`);
  });
}
for (const name of [...Object.keys(optimizers), ...Object.keys(values)]) {
  if (!data.cases.some((c) => c.case === name)) test(name, () => { throw new Error(`no golden case ${name}`); });
}
test.run();
