/** Schedules, combinators, guards, clipping and hyperparameters of `pax.optax`, by their definitions. */
import * as pax from "paxjs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { near, same } from "../support/near.js";

const { np, nn, optax, tree } = pax;
type T = pax.Tensor;
type Transformation = pax.optax.GradientTransformation;
const test = suite("optax");
const throws = (code: pax.ErrorCode, text: RegExp, f: () => unknown): void => {
  assert.throws(f, (e: unknown) => e instanceof pax.PaxError && e.code === code && text.test(e.message));
};
const ints = (x: number): T => np.array(x, { dtype: "int32" });
const params = { b: np.array([1, -2]), w: np.array([[1, 2, 3], [4, 5, 6]]) };
const grads = { b: np.array([0.5, -1]), w: np.array([[1, 0, -1], [2, -2, 3]]) };

// schedules
const line = (a: number, b: number, n: number) => (t: number): number => a + (b - a) * Math.min(t / n, 1);
const cosine = (a: number, n: number, alpha: number) => (t: number): number => a * ((1 - alpha) * 0.5 * (1 + Math.cos((Math.PI * Math.min(t, n)) / n)) + alpha);
const halfway = (a: number, b: number, f: number): number => b + ((a - b) / 2) * (1 + Math.cos(Math.PI * f));
const definitions: Record<string, [pax.optax.Schedule, (t: number) => number]> = {
  "polynomial with a begin": [optax.polynomialSchedule(1, 0.1, 3, 10, { transitionBegin: 4 }), (t) => 0.9 * (1 - Math.min(Math.max(t - 4, 0), 10) / 10) ** 3 + 0.1],
  "linear without steps": [optax.linearSchedule(1, 2, 0), () => 1],
  "exponential with begin and end": [optax.exponentialDecay(1, 5, 0.5, { transitionBegin: 2, endValue: 0.3 }), (t) => Math.max(t <= 2 ? 1 : 0.5 ** ((t - 2) / 5), 0.3)],
  "exponential that grows in a staircase": [optax.exponentialDecay(0.1, 4, 1.5, { staircase: true, endValue: 0.3 }), (t) => Math.min(0.1 * 1.5 ** Math.floor(t / 4), 0.3)],
  "cosine with an exponent": [optax.cosineDecaySchedule(1, 10, { exponent: 2 }), (t) => (0.5 * (1 + Math.cos((Math.PI * Math.min(t, 10)) / 10))) ** 2],
  "piecewise constant": [optax.piecewiseConstantSchedule(0.1, { 6: 0.5, 3: 2 }), (t) => (t < 3 ? 0.1 : t < 6 ? 0.2 : 0.1)],
  "piecewise linear": [optax.piecewiseInterpolateSchedule("linear", 1, { 4: 0.5, 10: 3 }), (t) => (t < 4 ? 1 - t / 8 : t < 10 ? 0.5 + (t - 4) / 6 : 1.5)],
  "piecewise cosine": [optax.piecewiseInterpolateSchedule("cosine", 1, { 4: 0.5, 10: 3 }), (t) => (t < 4 ? halfway(1, 0.5, t / 4) : t < 10 ? halfway(0.5, 1.5, (t - 4) / 6) : 1.5)],
  "warm-up, then constant": [optax.warmupConstantSchedule(0.1, 1, 4), line(0.1, 1, 4)],
  "warm-up, then exponential": [optax.warmupExponentialDecaySchedule(0, 1, 4, 5, 0.6), (t) => (t < 4 ? t / 4 : 0.6 ** ((t - 4) / 5))],
  "linear onecycle": [optax.linearOnecycleSchedule(20, 1), (t) => {
    if (t < 6) return line(0.04, 1, 6)(t);
    return t < 17 ? line(1, 0.04, 11)(t - 6) : line(0.04, 4e-6, 3)(t - 17);
  }],
  "sgdr": [optax.sgdrSchedule([{ initValue: 0, peakValue: 1, warmupSteps: 2, decaySteps: 8 }, { initValue: 0.1, peakValue: 0.5, warmupSteps: 3, decaySteps: 10, endValue: 0.05 }]), (t) => {
    if (t < 8) return t < 2 ? t / 2 : cosine(1, 6, 0)(t - 2);
    return t < 11 ? line(0.1, 0.5, 3)(t - 8) : cosine(0.5, 7, 0.1)(t - 11);
  }],
  "joined, with a boundary between counts and a user's schedule": [optax.joinSchedules([optax.constantSchedule(1), (count) => count.mul(2)], [3.5]), (t) => (t < 3.5 ? 1 : 2 * (t - 3.5))],
};
for (const [name, [schedule, definition]] of Object.entries(definitions)) {
  test(`schedule: ${name}`, () => {
    const jitted = pax.jit((count: T) => schedule(count));
    for (let t = 0; t < 25; t++) {
      const expected = np.array(definition(t));
      for (const value of [schedule(t), schedule(ints(t)), jitted(ints(t))]) {
        assert.is(value.dtype, "float32");
        near(value, expected, `${name} at ${t}`, { rtol: 1e-5, atol: 1e-6 });
      }
    }
  });
}
test("the short names are the same functions", () => {
  const { schedules } = optax;
  assert.is(schedules.onecycle, optax.cosineOnecycleSchedule);
  assert.is(schedules.warmupCosineDecay, optax.warmupCosineDecaySchedule);
  assert.is(schedules.joinSchedules, optax.joinSchedules);
});
test("schedules refuse what makes no sense", () => {
  throws("value", /decaySteps is 0/, () => optax.cosineDecaySchedule(1, 0));
  throws("value", /must not be negative/, () => optax.piecewiseConstantSchedule(1, { 3: -1 }));
  throws("value", /one boundary less/, () => optax.joinSchedules([optax.constantSchedule(1)], [3]));
});

// the state
test("the state has optax's names, and counters saturate", () => {
  const optimizer = optax.adam(1e-3);
  const [adam] = optimizer.init(params);
  assert.equal(Object.keys(adam).sort(), ["count", "mu", "nu"]);
  assert.is(adam.count.dtype, "int32");
  same((adam.mu as typeof params).w, np.zeros([2, 3]), "mu");
  const last = { ...adam, count: ints(2 ** 31 - 1) };
  const [, [next]] = optimizer.update(grads, [last, []], params);
  assert.is(next.count.item(), 2 ** 31 - 1);
});
test("the current learning rate is found by its name", () => {
  const optimizer = optax.chain(optax.clipByGlobalNorm(1), optax.adamw(optax.linearSchedule(1, 0, 4)));
  let state = optimizer.init(params);
  const rate = (): number => optax.tree.get(state, "learningRate").item();
  assert.is(rate(), 1);
  for (const expected of [1, 0.75, 0.5]) {
    state = optimizer.update(grads, state, params)[1];
    assert.is(rate(), expected);
  }
});
test("a chain refuses the state of another, and a name is there once", () => {
  const state = optax.chain(optax.identity()).init(params);
  throws("value", /1 parts, the chain 2/, () => optax.chain(optax.identity(), optax.identity()).update(grads, state as never, params));
  throws("value", /`a` is there twice/, () => optax.namedChain(["a", optax.identity()], ["a", optax.identity()]));
  const named = optax.namedChain(["moments", optax.scaleByAdam()], ["rate", optax.scale(-1)]);
  const [updates, { moments }] = named.update(grads, named.init(params), params);
  assert.is(moments.count.item(), 1);
  near(updates.b, grads.b.sign().neg(), "the first step of Adam", { atol: 1e-4 });
});
test("transformations that need the parameters or the loss say so", () => {
  throws("value", /needs the parameters/, () => optax.adamw(1).update(grads, optax.adamw(1).init(params)));
  throws("value", /needs `value`/, () => optax.polyakSgd().update(grads, optax.polyakSgd().init(params), params));
});

// properties of every optimizer
const everyOptimizer: Record<string, () => Transformation> = {
  adabelief: () => optax.adabelief(0.1), adadelta: () => optax.adadelta(5), adafactor: () => optax.adafactor(0.1), adagrad: () => optax.adagrad(0.5), adam: () => optax.adam(0.1),
  adamax: () => optax.adamax(0.1), adamaxw: () => optax.adamaxw(0.1), adamw: () => optax.adamw(0.1), adan: () => optax.adan(0.1), amsgrad: () => optax.amsgrad(0.1),
  fromage: () => optax.fromage(0.1), lamb: () => optax.lamb(0.1), lars: () => optax.lars(10), lion: () => optax.lion(0.1), nadam: () => optax.nadam(0.1), nadamw: () => optax.nadamw(0.1),
  noisySgd: () => optax.noisySgd(0.1), novograd: () => optax.novograd(0.1), optimisticAdamV2: () => optax.optimisticAdamV2(0.1), radam: () => optax.radam(0.1),
  rmsprop: () => optax.rmsprop(0.1), rprop: () => optax.rprop(0.1), sgd: () => optax.sgd(0.1, { momentum: 0.5 }), signSgd: () => optax.signSgd(0.1), signum: () => optax.signum(0.1),
  sm3: () => optax.sm3(0.5), yogi: () => optax.yogi(0.1), lbfgs: () => optax.lbfgs(0.5), muon: () => optax.contrib.muon(0.1), prodigy: () => optax.contrib.prodigy(1, { estimLr0: 0.1 }),
  scheduleFreeAdamw: () => optax.contrib.scheduleFreeAdamw(0.2), dog: () => optax.contrib.dog(1, { initStep: ["distance", 0.1] }), multiSteps: () => new optax.MultiSteps(optax.adam(0.2), 2),
};
for (const [name, make] of Object.entries(everyOptimizer)) {
  test(`${name} goes down, keeps dtypes, passes null, and is traced once`, () => {
    const optimizer = make();
    const target = { w: np.array([[1, -2], [0.5, 3]]), s: np.array(-1), none: null, half: np.array([1, 2], { dtype: "bfloat16" }) };
    const loss = (p: typeof target): T => tree.zip(p, target).reduce((sum: T, [a, b]) => sum.add(np.sum(np.square((a as T).sub(b as T).astype("float32")))), np.array(0));
    let p: typeof target = tree.map((x) => x.mul(0).add(0.5), target);
    let state = optimizer.init(p);
    let traces = 0;
    const step = pax.jit((now: typeof target, s: pax.TensorTree) => {
      traces += 1;
      const [updates, next] = optimizer.update(pax.grad(loss)(now), s, now);
      return [optax.applyUpdates(now, updates), next] as const;
    });
    const before = loss(p).item();
    for (let i = 0; i < 40; i++) [p, state] = step(p, state);
    assert.is(traces, 1);
    assert.is(p.none, null);
    assert.is(p.half.dtype, "bfloat16");
    assert.ok(loss(p).item() < 0.7 * before, `the loss went from ${before} to ${loss(p).item()}`);
  });
}
test("moments may have a dtype of their own", () => {
  const half = { dtype: "bfloat16" } as const;
  const optimizers = [optax.adam(0.1, { muDtype: half.dtype }), optax.sgd(0.1, { momentum: 0.9, accumulatorDtype: half.dtype }), optax.signum(0.1, { accumulatorDtype: half.dtype })];
  for (const [optimizer, at] of optimizers.map((o, i) => [o, ["mu", "trace", "ema"][i]!] as const)) {
    const [updates, state] = (optimizer as Transformation).update(grads, optimizer.init(params), params);
    assert.is((optax.tree.get(state, at) as unknown as typeof params).w.dtype, "bfloat16");
    assert.is(updates.w.dtype, "float32");
  }
});

// masks and groups
test("a mask is a tree of booleans, its beginning, or a function", () => {
  const nested = { net: params, scale: np.array(2) };
  const nestedGrads = { net: grads, scale: np.array(1) };
  for (const mask of [{ net: { b: true, w: true }, scale: false }, { net: true, scale: false }, (p: typeof nested) => ({ net: p.net.b.ndim === 1, scale: false })]) {
    const optimizer = optax.masked(optax.sgd(1), mask);
    const [updates] = optimizer.update(nestedGrads, optimizer.init(nested), nested);
    same(updates.net.w, grads.w.neg(), "inside");
    same(updates.scale, nestedGrads.scale, "outside");
  }
});
test("a mask that does not fit says where", () => {
  const masked = (mask: object): unknown => optax.masked(optax.sgd(1), mask).init({ net: params, list: [params.b] });
  throws("tree", /`net\.w` is missing/, () => masked({ net: { b: true }, list: true }));
  throws("tree", /`net` has `W`, which the parameters have not/, () => masked({ net: { b: true, w: true, W: true }, list: true }));
  throws("tree", /`net\.b` is a number/, () => masked({ net: { b: 1, w: true }, list: true }));
  throws("tree", /`list` is not an array of 1/, () => masked({ net: true, list: [true, false] }));
});
test("masks by shape of a module with frozen and state leaves", () => {
  pax.seedRngKey(0);
  const net = new nn.Sequential(new nn.Linear(2, 3), new nn.BatchNorm([null, 3]), nn.relu, new nn.Linear(3, 1).freeze());
  const p = net.parameters();
  const ones = tree.map((x) => np.onesLike(x), p);
  const optimizer = optax.adamw(0, { weightDecay: 1, mask: (q) => tree.map((x) => x.ndim > 1 && x.shape[0] === 2, q) });
  const summed = optax.chain(optax.addDecayedWeights(1, { mask: tree.map((x) => x.ndim > 1 && x.shape[0] === 2, p) }));
  assert.is(optax.tree.size(optimizer.init(p)[0].mu), optax.tree.size(p));
  const [updates] = summed.update(ones, summed.init(p), p);
  const first = updates.modules[0] as pax.nn.Linear;
  near(first.W, (p.modules[0] as pax.nn.Linear).W.add(1), "decayed");
  same(first.b!, np.ones([3]), "not decayed");
  assert.is((updates.modules[3] as pax.nn.Linear).W, null);
});
test("partition gives each group its transformation, and keeps state for it alone", () => {
  const labels = (p: typeof params) => tree.map((x) => (x.ndim > 1 ? "matrix" : "vector"), p);
  const optimizer = optax.partition({ matrix: optax.adam(1), vector: optax.scale(2), rest: optax.setToZero() }, labels);
  const state = optimizer.init(params);
  const mu = state.innerStates.matrix.innerState[0].mu as typeof params;
  assert.is(mu.b, null);
  assert.equal(mu.w.shape, [2, 3]);
  const [updates] = optimizer.update(grads, state, params);
  same(updates.b, grads.b.mul(2), "vector");
  near(updates.w, grads.w.sign().neg(), "matrix", { atol: 1e-4 });
  throws("value", /label "typo": there are "a"/, () => optax.partition({ a: optax.sgd(1) }, "typo").init(params));
});
test("freeze and selectiveTransform keep parameters", () => {
  const frozen = optax.chain(optax.sgd(1), optax.freeze({ b: true, w: false }));
  const [a] = frozen.update(grads, frozen.init(params), params);
  same(a.b, np.zeros([2]), "frozen");
  same(a.w, grads.w.neg(), "trained");
  const selective = optax.selectiveTransform(optax.adam(1), { freezeMask: { b: true, w: false } });
  const state = selective.init(params);
  assert.is((state.innerStates.train.innerState[0].mu as typeof params).b, null);
  const [b] = selective.update(grads, state, params);
  same(b.b, np.zeros([2]), "frozen");
  near(b.w, grads.w.sign().neg(), "trained", { atol: 1e-4 });
});

// clipping
const apply = (t: Transformation, g: pax.TensorTree, p?: pax.TensorTree): pax.TensorTree => t.update(g, t.init(p ?? g), p)[0];
test("clipByGlobalNorm leaves gradients below the norm alone, bit for bit", () => {
  const g = { a: np.array([0.1, -0, 1e-30]), h: np.array([0.3, 0.1], { dtype: "float16" }) };
  const out = apply(optax.clipByGlobalNorm(1), g) as typeof g;
  assert.equal(out.a.bytes(), g.a.bytes());
  assert.equal(out.h.bytes(), g.h.bytes());
  near((apply(optax.clipByGlobalNorm(1), { a: np.array([3, 4]) }) as { a: T }).a, np.array([0.6, 0.8]), "above");
});
test("clipByGlobalNorm squares half floats in float32", () => {
  for (const dtype of ["float16", "bfloat16"] as const) {
    const g = { h: np.array([300, 400], { dtype }) }; // the squares are above the greatest float16
    near((apply(optax.clipByGlobalNorm(1), g) as typeof g).h, np.array([0.6, 0.8]), dtype, { rtol: 1e-2 });
    assert.is(optax.globalNorm(g).dtype, "float32");
    near(optax.globalNorm(g), np.array(500), dtype, { rtol: 1e-2 });
  }
});
test("a gradient that is NaN makes all NaN by the norm, itself alone by the element", () => {
  const g = { a: np.array([NaN, 1]), b: np.array([2]) };
  const byNorm = apply(optax.clipByGlobalNorm(1), g) as typeof g;
  same(byNorm.b, np.array([NaN]), "by the norm");
  const byElement = apply(optax.clip(0.5), g) as typeof g;
  same(byElement.a, np.array([NaN, 0.5]), "by the element");
});
test("clipByBlockRms and adaptiveGradClip", () => {
  near(apply(optax.clipByBlockRms(0.5), np.array([3, 4])) as T, np.array([3, 4]).mul(0.5 / Math.sqrt(12.5)), "rms");
  same(apply(optax.clipByBlockRms(5), np.array([3, 4])) as T, np.array([3, 4]), "below");
  // Units are the columns of a matrix [inputs, outputs].
  const [g, p] = [np.array([[3, 0.1], [4, 0.1]]), np.array([[0.6, 3], [0.8, 4]])];
  near(apply(optax.adaptiveGradClip(0.5), g, p) as T, np.array([[0.3, 0.1], [0.4, 0.1]]), "columns");
  near(apply(optax.adaptiveGradClip(1, { axis: -1 }), g, p) as T, g, "rows below");
});

// guards
test("applyIfFinite leaves bad steps out, but not for ever", () => {
  const optimizer = optax.applyIfFinite(optax.sgd(1, { momentum: 1 }), 2);
  let state = optimizer.init(params.b);
  const step = (g: readonly number[]): T => { const [u, next] = optimizer.update(np.array(g), state, params.b); state = next; return u; };
  same(step([1, 2]), np.array([-1, -2]), "finite");
  same(step([NaN, 2]), np.zeros([2]), "not finite");
  assert.is(state.lastFinite.item<boolean>(), false);
  same(step([1, 0]), np.array([-2, -2]), "the momentum did not see it");
  assert.is(state.notfiniteCount.item(), 0);
  assert.is(state.totalNotfinite.item(), 1);
  for (let i = 0; i < 2; i++) same(step([Infinity, 0]), np.zeros([2]), "not finite");
  same(step([Infinity, 0]), np.array([-Infinity, -2]), "the third in a row");
});
test("zeroNans, keepParamsNonnegative, conditions", () => {
  const nans = optax.zeroNans();
  const [u, state] = nans.update(np.array([NaN, 1]), nans.init(params.b));
  same(u, np.array([0, 1]), "zeroNans");
  assert.is((state.foundNan as T).item<boolean>(), true);
  same(apply(optax.keepParamsNonnegative(), np.array([-2, -0.5]), np.array([1, 1])) as T, np.array([-1, -0.5]), "keepParamsNonnegative");
  const even = (step: T): T => step.remainder(2).equal(0);
  for (const [optimizer, skipped] of [[optax.conditionallyTransform(optax.sgd(1, { momentum: 1 }), even), [1, 2]], [optax.conditionallyMask(optax.sgd(1, { momentum: 1 }), even), [0, 0]]] as const) {
    let s = optimizer.init(params.b);
    for (const expected of [[-1, -2], skipped, [-2, -4]]) {
      const [out, next] = optimizer.update(np.array([1, 2]), s, params.b);
      same(out, np.array(expected), "in turn");
      s = next;
    }
  }
  const byLoss = optax.conditionallyMask(optax.sgd(1), (_, extra) => (extra["value"] as T).less(1), { forwardExtraArgs: true });
  same(byLoss.update(np.array([1, 2]), byLoss.init(params.b), params.b, { value: np.array(3) })[0], np.zeros([2]), "by the loss");
});

// accumulation
test("MultiSteps steps with the mean of k gradients", () => {
  const optimizer = new optax.MultiSteps(optax.sgd(1), 3);
  let state = optimizer.init(params.b);
  for (let t = 0; t < 6; t++) {
    const [u, next] = optimizer.update(np.array([t, 1]), state, params.b);
    state = next;
    near(u, t % 3 === 2 ? np.array([-(t - 1), -1]) : np.zeros([2]), `call ${t}`);
    assert.is(optimizer.hasUpdated(state).item<boolean>(), t % 3 === 2);
  }
  assert.is(state.gradientStep.item(), 2);
});
test("MultiSteps with sums, k by the step, and gradients left out", () => {
  const optimizer = new optax.MultiSteps(optax.sgd(1), (step) => step.add(1), { useGradMean: false, shouldSkipUpdateFn: optax.skipNotFinite }).gradientTransformation();
  let state = optimizer.init(np.array([0]));
  const seen: unknown[] = [];
  for (const g of [1, 2, NaN, 4, 8]) {
    const [u, next] = optimizer.update(np.array([g]), state, np.array([0]));
    state = next;
    seen.push(u.item());
  }
  // One step of one gradient, one of two; the NaN does not count.
  assert.equal(seen.map((x) => (x as number) + 0), [-1, 0, 0, -6, 0]);
  const large = new optax.MultiSteps(optax.sgd(1), 1, { shouldSkipUpdateFn: optax.skipLargeUpdates(10) });
  same(large.update(np.array([4]), large.init(np.array([0])), np.array([0]))[0], np.zeros([1]), "too large");
});
test("applyEvery, flatten", () => {
  const optimizer = optax.applyEvery(2);
  let state = optimizer.init(params.b);
  for (const [g, expected] of [[1, 0], [2, 3], [5, 0], [7, 12]] as const) {
    const [u, next] = optimizer.update(np.array([g, g]), state);
    state = next;
    same(u, np.array([expected, expected]), "applyEvery");
  }
  const [flat, plain] = [optax.flatten(optax.adam(0.1)), optax.adam(0.1)];
  assert.equal((flat.init(params)[0].mu as T).shape, [8]);
  const [a] = flat.update(grads, flat.init(params), params);
  const [b] = plain.update(grads, plain.init(params), params);
  near(a.w, b.w, "flatten");
});
test("lookahead brings slow and fast weights together", () => {
  const optimizer = optax.lookahead(optax.sgd(1), 2, 0.5);
  let p = optax.LookaheadParams.initSynced(np.array([10]));
  let state = optimizer.init(p);
  for (const [fast, slow] of [[9, 10], [9, 9], [8, 9], [8, 8]]) {
    const [u, next] = optimizer.update(np.array([1]), state, p);
    [p, state] = [optax.applyUpdates(p, u), next];
    assert.equal([p.fast.item(), p.slow.item()], [fast, slow]);
  }
  throws("value", /at least 1/, () => optax.lookahead(optax.sgd(1), 0, 0.5));
});
test("incrementalUpdate and periodicUpdate", () => {
  near(optax.incrementalUpdate({ a: np.array(2), none: null }, { a: np.array(1), none: null }, 0.25).a, np.array(1.25), "incremental");
  for (const [steps, expected] of [[0, 2], [1, 1], [3, 2]] as const) assert.is(optax.periodicUpdate(np.array(2), np.array(1), ints(steps), 3).item(), expected);
});

// hyperparameters
test("injectHyperparams shows hyperparameters, and takes what is set", () => {
  const optimizer = optax.injectHyperparams(optax.sgd)(0.1, { momentum: 0.5, nesterov: false });
  let state = optimizer.init(params);
  assert.equal(Object.keys(state.hyperparams).sort(), ["learningRate", "momentum"]);
  near(optimizer.update(grads, state, params)[0].b, grads.b.mul(-0.1), "0.1");
  state.hyperparams.learningRate = np.array(2);
  near(optimizer.update(grads, state, params)[0].b, grads.b.mul(-2), "2");
  state = optax.tree.set(state, { learningRate: 3 });
  assert.is(optax.tree.get(state, "learningRate").item(), 3);
  near(optimizer.update(grads, state, params)[0].b, grads.b.mul(-3), "3");
});
test("injectHyperparams with schedules equals the optimizer under jit, and is traced once", () => {
  const schedule = optax.linearSchedule(1, 0, 4);
  const [injected, plain] = [optax.injectHyperparams(optax.adamw)(schedule, { b2: 0.99, weightDecay: schedule }), optax.adamw(schedule, { b2: 0.99, weightDecay: schedule })];
  let traces = 0;
  const step = pax.jit((g: typeof grads, s: ReturnType<typeof injected.init>, p: typeof params) => { traces += 1; return injected.update(g, s, p); });
  let [a, b] = [injected.init(params), plain.init(params)];
  for (let t = 0; t < 3; t++) {
    const [u, next] = step(grads, a, params);
    const [v, after] = plain.update(grads, b, params);
    near(u.w, v.w, `step ${t}`, { rtol: 1e-4 });
    assert.is(optax.tree.get(next, "learningRate").item(), 1 - t / 4);
    [a, b] = [next, after];
  }
  assert.is(traces, 1);
});
test("injectHyperparams: own factories, names, dtypes, static arguments, stateful schedules", () => {
  const clip = optax.injectHyperparams(optax.clipByGlobalNorm, { argNames: ["maxNorm"] })(1);
  assert.equal(Object.keys(clip.init(params).hyperparams), ["maxNorm"]);
  const own = optax.injectHyperparams(({ rate, decay }: { rate: pax.TensorLike; decay: pax.TensorLike }) => optax.chain(optax.addDecayedWeights(decay), optax.scale(rate)))({ rate: 2, decay: 0.5 });
  near(own.update(grads, own.init(params), params)[0].b, grads.b.add(params.b.mul(0.5)).mul(2), "own factory");
  assert.is(own.init({ a: np.zeros([1], { dtype: "bfloat16" }) }).hyperparams["rate"]!.dtype, "bfloat16");
  assert.is(optax.injectHyperparams(optax.sgd, { hyperparamDtype: "float64" })(1).init(params).hyperparams.learningRate.dtype, "float64");
  const wrapped = optax.injectHyperparams((inner: Transformation, { factor }: { readonly factor: pax.TensorLike }) => optax.chain(inner, optax.scale(factor)), { argNames: ["inner"] })(optax.sgd(1), { factor: 2 });
  assert.equal(Object.keys(wrapped.init(params).hyperparams), ["factor"]);
  const mask = (p: typeof params): object => tree.map((x) => x.ndim > 1, p);
  throws("value", /`mask` is a function.*staticArgs/, () => optax.injectHyperparams(optax.adamw)(1, { mask: mask as never }).init(params));
  const fixed = optax.injectHyperparams(optax.adamw, { staticArgs: ["mask", "b1"] })(1, { mask: mask as never, b1: 0.5, weightDecay: 0.1 });
  assert.equal(Object.keys(fixed.init(params).hyperparams).sort(), ["learningRate", "weightDecay"]);
  const total = { init: () => np.array(0), update: (s: T, extra: pax.optax.ExtraArgs) => s.add(extra["loss"] as T), value: (s: T) => s };
  const stateful = optax.injectHyperparams(optax.sgd)(total as pax.optax.StatefulSchedule);
  let state = stateful.init(params);
  for (const rate of [0, 0.5, 1]) {
    const [u, next] = stateful.update(grads, state, params, { loss: np.array(0.5) });
    near(u.b, grads.b.mul(-rate), `rate ${rate}`);
    state = next;
  }
});

// trees
test("optax.tree", () => {
  const t = optax.tree;
  const [x, y] = [{ a: np.array([3, 4]), n: null, b: np.array(-12) }, { a: np.array([1, 2]), n: null, b: np.array(3) }];
  assert.is(t.norm(x).item(), 13);
  assert.is(t.norm(x, { squared: true }).item(), 169);
  assert.is(t.norm(x, { ord: 1 }).item(), 19);
  assert.is(t.norm(x, { ord: Infinity }).item(), 12);
  throws("value", /ord is/, () => t.norm(x, { ord: 3 }));
  assert.is(t.norm({}).item(), 0);
  assert.equal([t.vdot(x, y).item(), t.sum(x).item(), t.max(x).item(), t.min(x).item(), t.size(x)], [-25, -5, 4, -12, 3]);
  same(t.add(x, y, y).a, np.array([5, 8]), "add");
  same(t.sub(x, y).b, np.array(-15), "sub");
  same(t.addScale(x, 2, y).a, np.array([5, 8]), "addScale");
  same(t.scale(0.5, t.mul(x, y)).a, np.array([1.5, 4]), "scale, mul");
  same(t.div(x, y).b, np.array(-4), "div");
  same(t.clip(x, -1, 3.5).a, np.array([3, 3.5]), "clip");
  same(t.where(np.array(false), x, y).b, y.b, "where");
  assert.is(t.castLike(x, t.cast(y, "float16")).a.dtype, "float16");
  same(t.fullLike(x, 7).a, np.array([7, 7]), "fullLike");
  same(t.onesLike(x).b, np.array(1), "onesLike");
  assert.is(t.dtype([np.zeros([1], { dtype: "float16" }), np.zeros([1])], "lowest"), "float16");
  assert.is(t.dtype([np.zeros([1], { dtype: "float16" }), np.zeros([1], { dtype: "bfloat16" })]), "float32");
  same(t.updateMoment(y, x, 0.5, 2).a, np.array([2, 4]), "updateMoment");
  near(t.biasCorrection(x, 0.5, ints(2)).b, np.array(-16), "biasCorrection");
  assert.equal(t.randomLike(pax.random.key(0), x).a.shape, [2]);
});
test("values of a state by name", () => {
  const t = optax.tree;
  const state = [{ count: ints(1) }, { inner: new Map([["count", ints(2)]]), rate: np.array(0.5) }];
  throws("value", /2 values \(\[0\]\.count, \[1\]\.inner\.count\)/, () => t.get(state, "count"));
  assert.equal(t.getAllWithPath(state, "count").map(([, x]) => (x as T).item()), [1, 2]);
  throws("value", /nothing of the name `lr`/, () => t.get(state, "lr"));
  assert.is(t.get(state, "lr", 3), 3);
  const next = t.set(state, { rate: 0.25 });
  assert.is(t.get(next, "rate").item(), 0.25);
  assert.is(t.getAllWithPath(t.set(state, { rate: null }), "rate")[0]![1], null);
  assert.is(t.get(state, "rate").item(), 0.5);
  throws("value", /nothing of the name `lr`/, () => t.set(state, { lr: 1 }));
});
test("safeIncrement stays at the greatest number of every dtype", () => {
  const greatest = { uint8: 255, int32: 2 ** 31 - 1, uint32: 2 ** 32 - 1 } as const;
  for (const [dtype, most] of Object.entries(greatest)) {
    const next = optax.safeIncrement(np.array([7, most - 1, most], { dtype: dtype as pax.DType }));
    assert.is(next.dtype, dtype);
    assert.equal(next.toArray(), [8, most, most]);
  }
  const most = 2n ** 63n - 1n;
  assert.equal(optax.safeIncrement(np.array([2n ** 31n, most - 1n, most])).toArray(), [2n ** 31n + 1n, most, most]);
  assert.is(optax.safeIncrement(np.array(2.5)).item(), 3.5);
});
test("tree.clip without a bound, and moments of other orders", () => {
  const t = optax.tree;
  const x = { a: np.array([3, -4, NaN]) };
  same(t.clip(x, null, 1).a, np.array([1, -4, NaN]), "from above");
  same(t.clip(x, -1, null).a, np.array([3, -1, NaN]), "from below");
  same(t.clip(x).a, x.a, "not at all");
  same(t.updateMoment(np.array([2, -1]), np.array([1, 1]), 0.5, 3), np.array([4.5, 0]), "order 3");
  near(t.updateMoment(np.array([2, 1]), np.array([1, 1]), 0.5, 0.5), np.array([(1 + Math.SQRT2) / 2, 1]), "order 1/2");
});
test("numbers and typed arrays are leaves", () => {
  const plain = (x: number | readonly number[]): T => (typeof x === "number" ? x : Float32Array.from(x)) as unknown as T;
  const { contrib } = optax;
  const made: Record<string, Transformation> = Object.fromEntries(Object.entries({
    adam: optax.adam(0.1), yogi: optax.yogi(0.1), radam: optax.radam(0.1), novograd: optax.novograd(0.1), lamb: optax.lamb(0.1), lars: optax.lars(0.1),
    fromage: optax.fromage(0.1), sm3: optax.sm3(0.1), adafactor: optax.adafactor(0.1), rmsprop: optax.rmsprop(0.1, { centered: true }), lion: optax.lion(0.1),
    rprop: optax.rprop(0.1), sgd: optax.sgd(optax.constantSchedule(0.1), { momentum: 0.9 }), noisySgd: optax.noisySgd(0.1), clip: optax.clipByGlobalNorm(0.1),
    agc: optax.adaptiveGradClip(0.1), block: optax.clipByBlockRms(0.1), centralize: optax.centralize(), zeroNans: optax.zeroNans(), sign: optax.signSgd(0.1),
    keep: optax.keepParamsNonnegative(), flat: optax.flatten(optax.adam(0.1)), masked: optax.masked(optax.adam(0.1), { a: true, b: false }),
    finite: optax.applyIfFinite(optax.adam(0.1), 1), steps: new optax.MultiSteps(optax.adam(0.1), 2), inject: optax.injectHyperparams(optax.adam)(0.1),
    lbfgs: optax.lbfgs(0.1), prodigy: contrib.prodigy(), dog: contrib.dog(), muon: contrib.muon(0.1), free: contrib.scheduleFreeSgd(0.1),
    ademamix: contrib.ademamix(0.1), sam: contrib.sam(optax.sgd(0.1), optax.chain(contrib.normalize(), optax.sgd(0.1))),
  })) as unknown as Record<string, Transformation>;
  for (const [name, optimizer] of Object.entries(made)) {
    const [tensors, others] = [(x: number | readonly number[]): T => np.array(x), plain].map((make) => {
      let p = { a: make(0.5), b: make([1, 2]) };
      let state = optimizer.init(p);
      for (let t = 1; t < 4; t++) {
        const [u, next] = optimizer.update({ a: make(0.25 * t), b: make([1, -2]) }, state, p);
        [p, state] = [optax.applyUpdates(p, u), next];
      }
      return [p.a.dtype, p.b.dtype, p.a.item(), p.b.toArray()];
    });
    assert.equal(others, tensors, name);
  }
  const numbers = { a: plain(3), b: plain([4, 0]) };
  assert.equal([optax.tree.norm(numbers).item(), optax.tree.size(numbers), optax.tree.sum(numbers).item()], [5, 3, 7]);
  assert.equal(optax.tree.randomLike(pax.random.key(0), numbers).b.shape, [2]);
});
test("flatten takes a tree without leaves", () => {
  const optimizer = optax.flatten(optax.adam(0.1));
  assert.equal(optimizer.update({}, optimizer.init({}), {})[0], {});
});
test.run();
