/** Optimizers that the golden numbers leave out, against their definitions in plain JavaScript. */
import * as pax from "paxjs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { near } from "../support/near.js";

const { np, optax } = pax;
const { contrib } = optax;
type Transformation = pax.optax.GradientTransformation;
const test = suite("optax optimizers");
const STEPS = 6;

// One matrix [2, 3] of parameters and its gradients at each step.
const start = [0.5, -1.2, 0.3, 2, -0.7, 1.1];
const gradients = Array.from({ length: STEPS }, (_, t) => start.map((_, i) => Math.sin(1.7 * i + 2.3 * t + 0.4) * (1 + 0.3 * t)));
const losses = [3, 2.5, 2.5, 2.6, 1, 1.2];
const matrix = (x: readonly number[]): pax.Tensor => np.array(x).reshape([2, 3]);
const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);
const dot = (a: readonly number[], b: readonly number[]): number => sum(a.map((x, i) => x * b[i]!));
const norm = (x: readonly number[]): number => Math.sqrt(dot(x, x));
const minus = (a: readonly number[], b: readonly number[]): number[] => a.map((x, i) => x - b[i]!);
const zeros = (): number[] => start.map(() => 0);

/** The update of the parameters in step `t`, from 0 on. */
type Step = (g: readonly number[], p: readonly number[], t: number) => readonly number[];
/** An update of each element by itself. */
const elementwise = <S>(begin: () => S, f: (s: S, g: number, p: number, t: number) => number): (() => Step) => () => {
  const states = start.map(begin);
  return (g, p, t) => g.map((x, i) => f(states[i]!, x, p[i]!, t));
};

/** The steps of the transformation under `jit` and those of the definition; `jit` traces once. */
function check(name: string, make: () => Transformation, reference: () => Step, tolerance: { rtol?: number; atol?: number } = {}): void {
  test(name, () => {
    const optimizer = make();
    let traces = 0;
    const update = pax.jit((g: pax.Tensor, s: pax.TensorTree, p: pax.Tensor, value: pax.Tensor) => {
      traces += 1;
      const [updates, next] = optimizer.update(g, s, p, { value });
      return [optax.applyUpdates(p, updates), next] as const;
    });
    let params: pax.Tensor = matrix(start);
    let state = optimizer.init(params);
    const step = reference();
    let expected: number[] = [...start];
    for (let t = 0; t < STEPS; t++) {
      [params, state] = update(matrix(gradients[t]!), state, params, np.array(losses[t]!));
      const delta = step(gradients[t]!, expected, t);
      expected = expected.map((p, i) => p + delta[i]!);
      near(params, matrix(expected), `${name}, step ${t}`, { rtol: 1e-4, atol: 1e-5, ...tolerance });
    }
    assert.is(traces, 1, `${name} was traced again: its state changed its dtypes or structure`);
  });
}

const rate = 0.1;
/** `linearSchedule(0.1, 0.02, 4)`. */
const falling = (t: number): number => 0.1 - 0.08 * Math.min(t / 4, 1);
const moments = (): { m: number; v: number } => ({ m: 0, v: 0 });

check("sgd with a schedule", () => optax.sgd(optax.linearSchedule(0.1, 0.02, 4)), elementwise(() => null, (_, g, _p, t) => -falling(t) * g));
check("adamw with a schedule of its decay", () => optax.adamw(rate, { weightDecay: optax.linearSchedule(0.1, 0.02, 4) }), elementwise(moments, (s, g, p, t) => {
  s.m = 0.9 * s.m + 0.1 * g;
  s.v = 0.999 * s.v + 0.001 * g * g;
  return -rate * (s.m / (1 - 0.9 ** (t + 1)) / (Math.sqrt(s.v / (1 - 0.999 ** (t + 1))) + 1e-8) + falling(t) * p);
}));
check("nadamw", () => optax.nadamw(rate, { weightDecay: 0.1 }), elementwise(moments, (s, g, p, t) => {
  s.m = 0.9 * s.m + 0.1 * g;
  s.v = 0.999 * s.v + 0.001 * g * g;
  const m = (0.9 * s.m) / (1 - 0.9 ** (t + 2)) + (0.1 * g) / (1 - 0.9 ** (t + 1));
  return -rate * (m / (Math.sqrt(s.v / (1 - 0.999 ** (t + 1))) + 1e-8) + 0.1 * p);
}));
check("adamaxw", () => optax.adamaxw(rate, { weightDecay: 0.1 }), elementwise(moments, (s, g, p, t) => {
  s.m = 0.9 * s.m + 0.1 * g;
  s.v = Math.max(0.999 * s.v, Math.abs(g) + 1e-8);
  return -rate * (s.m / (1 - 0.9 ** (t + 1)) / s.v + 0.1 * p);
}));
check("radam rectifies from a length on", () => optax.radam(rate, { b2: 0.9, threshold: 3 }), elementwise(moments, (s, g, _p, t) => {
  const n = t + 1;
  s.m = 0.9 * s.m + 0.1 * g;
  s.v = 0.9 * s.v + 0.1 * g * g;
  const m = s.m / (1 - 0.9 ** n);
  const most = 2 / (1 - 0.9) - 1;
  const length = most - (2 * n * 0.9 ** n) / (1 - 0.9 ** n);
  if (length < 3) return -rate * m;
  const r = Math.sqrt(((length - 4) * (length - 2) * most) / ((most - 4) * (most - 2) * length));
  return (-rate * r * m) / (Math.sqrt(s.v / (1 - 0.9 ** n)) + 1e-8);
}));
check("adan", () => optax.adan(rate, { weightDecay: 0.02 }), elementwise(() => ({ m: 0, v: 0, n: 0, g: 0 }), (s, g, p, t) => {
  const diff = t === 0 ? 0 : g - s.g;
  s.m = 0.98 * s.m + 0.02 * g;
  s.v = 0.92 * s.v + 0.08 * diff;
  s.n = 0.99 * s.n + 0.01 * (g + 0.08 * diff) ** 2;
  s.g = g;
  const hat = (x: number, b: number): number => x / (1 - b ** (t + 1));
  return -rate * ((hat(s.m, 0.98) + 0.08 * hat(s.v, 0.92)) / (Math.sqrt(hat(s.n, 0.99) + 1e-8) + 1e-8) + 0.02 * p);
}));
check("rmsprop with bias correction, eps outside of the root and Nesterov", () => optax.rmsprop(rate, { biasCorrection: true, epsInSqrt: false, momentum: 0.5, nesterov: true }),
  elementwise(() => ({ v: 0, trace: 0 }), (s, g, _p, t) => {
    s.v = 0.9 * s.v + 0.1 * g * g;
    const u = (-rate * g) / (Math.sqrt(s.v / (1 - 0.9 ** (t + 1))) + 1e-8);
    s.trace = u + 0.5 * s.trace;
    return u + 0.5 * s.trace;
  }));
for (const [mode, shape] of Object.entries({ smooth: (x: number) => Math.tanh(2 * x), refined: (x: number) => (Math.abs(x) < 1 ? x : Math.sign(x)) })) {
  check(`lion, ${mode}`, () => optax.lion(rate, { mode: mode as "smooth" | "refined", smoothBeta: 2 }), elementwise(() => ({ m: 0 }), (s, g, p) => {
    const x = 0.9 * s.m + 0.1 * g;
    s.m = 0.99 * s.m + 0.01 * g;
    return -rate * (shape(x) + 1e-3 * p);
  }));
}
check("signSgd", () => optax.signSgd(rate), elementwise(() => null, (_, g) => -rate * Math.sign(g)));
check("signum", () => optax.signum(rate, { beta: 0.5 }), elementwise(() => ({ m: 0 }), (s, g) => -rate * Math.sign(s.m = 0.5 * s.m + 0.5 * g)));
check("rprop", () => optax.rprop(rate), elementwise(() => ({ size: rate, before: 0 }), (s, g) => {
  const turn = g * s.before;
  if (turn !== 0) s.size = Math.min(Math.max(s.size * (turn > 0 ? 1.2 : 0.5), 1e-6), 50);
  const out = turn < 0 ? 0 : s.before;
  s.before = turn < 0 ? 0 : s.size * Math.sign(g);
  return -out;
}));
check("optimisticGradientDescent", () => optax.optimisticGradientDescent(rate, { alpha: 0.7, beta: 0.3 }), elementwise(() => ({ before: NaN }), (s, g) => {
  const before = Number.isNaN(s.before) ? g : s.before;
  s.before = g;
  return -rate * (g - 0.3 * before);
}));
check("polyakSgd by the loss", () => optax.polyakSgd(0.5, { fMin: 0.1, scaling: 0.7 }), () => (g, _p, t) => {
  const u = g.map((x) => -0.7 * x);
  const step = Math.min((losses[t]! - 0.1) / dot(u, u), 0.5);
  return u.map((x) => step * x);
});
check("fromage", () => optax.fromage(rate), () => (g, p) => {
  const shrink = 1 / Math.sqrt(1 + rate * rate);
  const ratio = norm(p) / norm(g);
  return g.map((x, i) => -rate * shrink * ratio * x + (shrink - 1) * p[i]!);
});
check("sm3 of a matrix", () => optax.sm3(rate), () => {
  const [rows, columns, m] = [[0, 0], [0, 0, 0], zeros()];
  return (g) => {
    const squares = g.map((x, i) => x * x + Math.min(rows[Math.floor(i / 3)]!, columns[i % 3]!));
    rows.forEach((_, r) => { rows[r] = Math.max(...squares.filter((_s, i) => Math.floor(i / 3) === r)); });
    columns.forEach((_, c) => { columns[c] = Math.max(...squares.filter((_s, i) => i % 3 === c)); });
    return g.map((x, i) => -rate * (m[i] = 0.9 * m[i]! + (0.1 * x) / Math.sqrt(squares[i]! + 1e-8)));
  };
});
check("adafactor with factors, momentum and decay", () => optax.adafactor(rate, { minDimSizeToFactor: 2, clippingThreshold: 0.5, momentum: 0.9, weightDecayRate: 0.01 }), () => {
  const [rows, columns, m] = [[0, 0], [0, 0, 0], zeros()];
  return (g, p, t) => {
    const keep = 1 - (t + 1) ** -0.8;
    const square = g.map((x) => x * x + 1e-30);
    rows.forEach((v, r) => { rows[r] = keep * v + ((1 - keep) * sum(square.slice(3 * r, 3 * r + 3))) / 3; });
    columns.forEach((v, c) => { columns[c] = keep * v + ((1 - keep) * (square[c]! + square[3 + c]!)) / 2; });
    // The longest axis is that of the columns: the mean along it gives the rows.
    const u = g.map((x, i) => x / Math.sqrt((rows[Math.floor(i / 3)]! / (sum(rows) / 2)) * columns[i % 3]!));
    const clip = Math.max(1, Math.sqrt(dot(u, u) / 6) / 0.5);
    const size = Math.max(Math.sqrt(dot(p, p) / 6), 1e-3);
    return u.map((x, i) => -((m[i] = 0.9 * m[i]! + 0.1 * (x / clip) * rate * size) + 0.01 * p[i]!));
  };
});
check("lamb with a mask", () => optax.lamb(rate, { weightDecay: 0.1, mask: false }), () => {
  const states = start.map(moments);
  return (g, p, t) => {
    const u = g.map((x, i) => {
      const s = states[i]!;
      s.m = 0.9 * s.m + 0.1 * x;
      s.v = 0.999 * s.v + 0.001 * x * x;
      return s.m / (1 - 0.9 ** (t + 1)) / (Math.sqrt(s.v / (1 - 0.999 ** (t + 1))) + 1e-6);
    });
    return u.map((x) => (-rate * norm(p) * x) / norm(u));
  };
});
check("lbfgs, the two loops", () => optax.lbfgs(rate, { memorySize: 3 }), () => {
  const memory: { s: number[]; y: number[] }[] = [];
  let before: { p: readonly number[]; g: readonly number[] } | null = null;
  return (g, p) => {
    if (before !== null) memory.push({ s: minus(p, before.p), y: minus(g, before.g) });
    before = { p, g };
    const kept = memory.slice(-3);
    let q = [...g];
    const alphas = kept.map(() => 0);
    for (let i = kept.length - 1; i >= 0; i--) {
      const { s, y } = kept[i]!;
      alphas[i] = dot(s, q) / dot(y, s);
      q = q.map((x, k) => x - alphas[i]! * y[k]!);
    }
    const last = kept.at(-1);
    const scale = last === undefined ? Math.min(1, 1 / norm(g)) : dot(last.y, last.s) / dot(last.y, last.y);
    q = q.map((x) => scale * x);
    kept.forEach(({ s, y }, i) => { const beta = dot(y, q) / dot(y, s); q = q.map((x, k) => x + (alphas[i]! - beta) * s[k]!); });
    return q.map((x) => -rate * x);
  };
}, { rtol: 1e-3, atol: 1e-4 });

// contrib
check("ademamix with schedules", () => contrib.ademamix(rate, { b3: optax.linearSchedule(0.1, 0.02, 4), alpha: 3, weightDecay: 0.1 }), elementwise(() => ({ m1: 0, m2: 0, v: 0 }), (s, g, p, t) => {
  s.m1 = 0.9 * s.m1 + 0.1 * g;
  s.m2 = falling(t) * s.m2 + (1 - falling(t)) * g;
  s.v = 0.999 * s.v + 0.001 * g * g;
  return -rate * ((s.m1 / (1 - 0.9 ** (t + 1)) + 3 * s.m2) / (Math.sqrt(s.v / (1 - 0.999 ** (t + 1))) + 1e-8) + 0.1 * p);
}));
check("simplifiedAdemamix", () => contrib.simplifiedAdemamix(0.01, { alpha: 2 }), elementwise(() => ({ m: 0, n: 0 }), (s, g, _p, t) => {
  s.m = g + 0.99 * s.m;
  s.n = 0.95 * s.n + 0.05 * g * g;
  return (-0.01 * (s.m + 2 * g)) / (Math.sqrt(s.n / (1 - 0.95 ** (t + 1))) + 1e-8);
}));
check("scheduleFreeSgd with warm-up", () => contrib.scheduleFreeSgd(0.5, { warmupSteps: 3 }), () => {
  let [z, x, total, most]: [number[], number[], number, number] = [[...start], [...start], 0, 0];
  return (g, y, t) => {
    // The base optimizer counts from 0, the averaging from 1.
    const lr = (n: number): number => 0.5 * Math.min(n / 3, 1);
    most = Math.max(most, lr(t + 1));
    total += most ** 2;
    z = z.map((v, i) => v - lr(t) * g[i]!);
    x = x.map((v, i) => v + (most ** 2 / total) * (z[i]! - v));
    return y.map((v, i) => 0.9 * x[i]! + 0.1 * z[i]! - v);
  };
});
check("prodigy", () => contrib.prodigy(1, { estimLr0: 1e-3, weightDecay: 0.1 }), () => {
  let [d, numerator] = [1e-3, 0];
  const [m, v, s] = [zeros(), zeros(), zeros()];
  const beta3 = Math.sqrt(0.999);
  return (g, p, t) => {
    const step = (d * Math.sqrt(1 - 0.999 ** (t + 1))) / (1 - 0.9 ** (t + 1));
    numerator = beta3 * numerator + (d / 1e-3) * step * dot(g, minus(start, p));
    g.forEach((x, i) => {
      m[i] = 0.9 * m[i]! + 0.1 * d * x;
      v[i] = 0.999 * v[i]! + 0.001 * (d * x) ** 2;
      s[i] = beta3 * s[i]! + (step * d * x) / 1e-3;
    });
    d = Math.max(d, numerator / sum(s.map(Math.abs)));
    return p.map((x, i) => -step * (0.1 * x + m[i]! / (Math.sqrt(v[i]!) + d * 1e-8)));
  };
});
check("dog", () => contrib.dog(0.5, { initStep: ["heuristic", 0.1] }), () => {
  let [most, squares] = [0.1 * (1 + norm(start)), 0];
  return (g, p) => {
    most = Math.max(most, norm(minus(start, p)));
    squares += dot(g, g);
    return g.map((x) => (-0.5 * most * x) / Math.sqrt(squares + 1e-8));
  };
});
check("dowg", () => contrib.dowg(1, { initEstimSqDist: 0.1 }), () => {
  let [most, weighted] = [0.1, 0];
  return (g, p) => {
    most = Math.max(most, norm(minus(start, p)) ** 2);
    weighted += most * dot(g, g);
    return g.map((x) => (-most * x) / (Math.sqrt(weighted) + 1e-4));
  };
});
check("sam goes up, and down from where it was", () => contrib.sam(optax.sgd(rate), optax.chain(contrib.normalize(), optax.sgd(0.05))), () => {
  let from: readonly number[] = start;
  return (g, p, t) => {
    if (t % 2 === 1) return g.map((x, i) => from[i]! - p[i]! - rate * x);
    from = p;
    return g.map((x) => (0.05 * x) / norm(g));
  };
});
check("reduceOnPlateau", () => optax.chain(optax.sgd(rate), contrib.reduceOnPlateau({ factor: 0.5, patience: 1, cooldown: 1 })), () => {
  // Losses 3, 2.5, 2.5, 2.6, 1, 1.2: the third is a plateau, the fourth rests, the fifth is better, the sixth is a plateau.
  const scales = [1, 1, 0.5, 0.5, 0.5, 0.25];
  return (g, _p, t) => g.map((x) => -rate * scales[t]! * x);
});

test("adam of float64 is as precise as float64", () => {
  const optimizer = optax.adam(0.1);
  const wide = (x: readonly number[]): pax.Tensor => np.array(x, { dtype: "float64" });
  let params = wide(start);
  let state = optimizer.init(params);
  const states = start.map(moments);
  let expected = [...start];
  for (let t = 0; t < STEPS; t++) {
    const [updates, next] = optimizer.update(wide(gradients[t]!), state, params);
    [params, state] = [optax.applyUpdates(params, updates), next];
    expected = expected.map((p, i) => {
      const [s, g] = [states[i]!, gradients[t]![i]!];
      s.m = 0.9 * s.m + 0.1 * g;
      s.v = 0.999 * s.v + 0.001 * g * g;
      return p - 0.1 * (s.m / (1 - 0.9 ** (t + 1)) / (Math.sqrt(s.v / (1 - 0.999 ** (t + 1))) + 1e-8));
    });
    near(params, wide(expected), `step ${t}`, { rtol: 1e-11, atol: 1e-12 });
  }
});
test("reduceOnPlateau counts anew after a rest", () => {
  const optimizer = contrib.reduceOnPlateau({ factor: 0.5, patience: 2, cooldown: 1 });
  let state = optimizer.init(np.array(1));
  const scales: number[] = [];
  for (let t = 0; t < 7; t++) {
    const [u, next] = optimizer.update(np.array(1), state, undefined, { value: 3 });
    state = next;
    scales.push(u.item());
  }
  assert.equal(scales, [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]);
});
test("adafactor's factors do not depend on which axis is the longer one", () => {
  const optimizer = optax.adafactor(0.1, { minDimSizeToFactor: 2 });
  const [wide, tall] = [matrix(start), matrix(start).T];
  let [a, b] = [optimizer.init(wide), optimizer.init(tall)];
  for (let t = 0; t < 3; t++) {
    const g = matrix(gradients[t]!);
    const [u, nextA] = optimizer.update(g, a, wide);
    const [v, nextB] = optimizer.update(g.T, b, tall);
    near(v.T, u, `step ${t}`);
    [a, b] = [nextA, nextB];
  }
});
test("muon's updates have nearly orthonormal rows, whatever the gradient's scale", () => {
  const muon = contrib.muon(1);
  for (const factor of [1e-3, 1, 1e3]) {
    const g = matrix(gradients[0]!).mul(factor);
    const [u] = muon.update(g, muon.init(g), g);
    // The factor of shape [2, 3] is the root of 3 / 2.
    const gram = u.matmul(u.T).div(1.5).toArray() as number[][];
    for (const [i, row] of gram.entries()) for (const [j, x] of row.entries()) assert.ok(Math.abs(x - (i === j ? 1 : 0)) < 0.35, `the product of rows ${i} and ${j} is ${x}`);
  }
  const params = { w: matrix(start), b: np.array([1, 2]) };
  const state = muon.init(params);
  assert.is(pax.tree.leaves<unknown>(state.innerStates.muon).length, 2, "a count and the moment of w");
  assert.is(pax.tree.leaves<unknown>(state.innerStates.adam).length, 3, "a count and two moments of b");
});
test("scheduleFreeEvalParams gives the average", () => {
  const optimizer = contrib.scheduleFree(optax.sgd(0.5), 0.5, { b1: 0.8 });
  let params: pax.Tensor = matrix(start);
  let state = optimizer.init(params);
  let [z, x] = [[...start], [...start]];
  for (let t = 0; t < 3; t++) {
    const [u, next] = optimizer.update(matrix(gradients[t]!), state, params);
    [params, state] = [optax.applyUpdates(params, u), next];
    z = z.map((v, i) => v - 0.5 * gradients[t]![i]!);
    x = x.map((v, i) => v + (z[i]! - v) / (t + 1));
  }
  near(contrib.scheduleFreeEvalParams(state, params), matrix(x), "the average", { rtol: 1e-5, atol: 1e-5 });
});
test("noisySgd's noise has the deviation it says and a key that goes on", () => {
  const optimizer = optax.noisySgd(1, { eta: 4, gamma: 1, key: 3 });
  const zero = np.zeros([4000]);
  let state = optimizer.init(zero);
  const seen: pax.Tensor[] = [];
  for (const count of [1, 2, 3]) {
    const [u, next] = optimizer.update(zero, state, zero);
    const deviation = np.std(u).item();
    const wanted = Math.sqrt(4 / count);
    assert.ok(Math.abs(deviation - wanted) < 0.05 * wanted, `${deviation} is not ${wanted}`);
    seen.push(u);
    state = next;
  }
  assert.not(np.allclose(seen[0]!, seen[1]!));
});
test("an option that is undefined is as one that is not there", () => {
  type Make = (rate: number, options?: never) => Transformation;
  const makers: Record<string, readonly [Make, readonly string[]]> = {
    nadam: [optax.nadam as Make, ["nesterov"]], nadamw: [optax.nadamw as Make, ["nesterov", "weightDecay"]], novograd: [optax.novograd as Make, ["eps"]],
    adan: [optax.adan as Make, ["epsRoot", "weightDecay"]], lamb: [optax.lamb as Make, ["eps"]], optimisticAdamV2: [optax.optimisticAdamV2 as Make, ["nesterov"]],
    ademamix: [contrib.ademamix as Make, ["alpha", "b3"]], simplifiedAdemamix: [contrib.simplifiedAdemamix as Make, ["alpha"]],
  };
  for (const [name, [make, options]] of Object.entries(makers)) {
    const [plain, given] = [undefined, Object.fromEntries(options.map((option) => [option, undefined])) as never].map((o) => {
      const optimizer = make(rate, o);
      let [params, state] = [matrix(start), optimizer.init(matrix(start))];
      for (let t = 0; t < 3; t++) {
        const [u, next] = optimizer.update(matrix(gradients[t]!.map((g) => 1e-4 * g)), state, params);
        [params, state] = [optax.applyUpdates(params, u), next];
      }
      return params.toArray();
    });
    assert.equal(given, plain, name);
  }
});
/** After six steps with x64, by optax 0.2.8. */
const precise: Record<string, readonly [() => Transformation, readonly [number, number]]> = {
  radam: [() => optax.radam(0.1, { b2: 0.9 }) as Transformation, [0.40476830948333026, -1.3606882841247807]],
  clipByGlobalNorm: [() => optax.chain(optax.clipByGlobalNorm(0.1), optax.sgd(0.3)) as Transformation, [0.4814923818075577, -1.2186638619523147]],
  injectHyperparams: [() => optax.injectHyperparams(optax.sgd)(0.1, { momentum: 0.9 }) as unknown as Transformation, [0.336759729714027, -1.490730293886165]],
  optimisticGradientDescent: [() => optax.optimisticGradientDescent(0.1, { alpha: 0.7, beta: 0.1 }) as Transformation, [0.5159662872921043, -1.2224603260183615]],
  polyakSgd: [() => optax.polyakSgd(0.3, { fMin: 0.1 }) as Transformation, [0.49362761106379716, -1.320059961407432]],
  prodigy: [() => contrib.prodigy() as Transformation, [0.49999783703659484, -1.200001901611527]],
  dog: [() => contrib.dog(0.3, { initStep: ["distance", 0.1] }) as Transformation, [0.4917146778951848, -1.2182521605840926]],
};
const wide = (x: readonly number[]): pax.Tensor => np.array(x, { dtype: "float64" });
const gradientAt = (t: number): pax.Tensor => wide([Math.sin(0.4 + 2.3 * t), Math.cos(1.7 * t)]);
for (const [name, [make, expected]] of Object.entries(precise)) {
  test(`${name} of float64 loses no digits`, () => {
    const optimizer = make();
    let params = wide([0.5, -1.2]);
    let state = optimizer.init(params);
    for (let t = 0; t < 6; t++) {
      const [u, next] = optimizer.update(gradientAt(t), state, params, { value: 0.3 + 0.1 * t });
      [params, state] = [optax.applyUpdates(params, u), next];
    }
    assert.is(params.dtype, "float64");
    near(params, wide(expected), name, { rtol: 1e-13, atol: 0 });
  });
}
test("lookahead of float64 loses no digits", () => {
  const optimizer = optax.lookahead(optax.sgd(0.1), 2, 0.3);
  let params = optax.LookaheadParams.initSynced(wide([0.5, -1.2]));
  let state = optimizer.init(params);
  for (let t = 0; t < 6; t++) {
    const [u, next] = optimizer.update(gradientAt(t), state, params);
    [params, state] = [optax.applyUpdates(params, u), next];
  }
  near(params.slow, wide([0.5025245997485632, -1.2164916193050899]), "slow", { rtol: 1e-13, atol: 0 });
});
test("numbers in a float64 state have all digits", () => {
  const params = wide([0.5, -1.2]);
  const free = contrib.scheduleFreeAdamw(0.1);
  assert.is(free.update(gradientAt(0), free.init(params), params)[1].maxLr.item(), 0.1);
  const plateau = contrib.reduceOnPlateau();
  assert.is(plateau.update(gradientAt(0), plateau.init(params), params, { value: 0.3 })[1].bestValue.item(), 0.3);
});
test("noise of float64 has all digits of its deviation", () => {
  const [a, b] = [0.01, 0.04].map((eta) => optax.addNoise(eta, 0.55, 3)).map((t) => t.update(wide([0, 0]), t.init(wide([0, 0])))[0]);
  const key = pax.random.split(pax.random.key(3))[1]!;
  near(a!, optax.tree.randomLike(key, wide([0, 0])).mul(0.1), "0.01", { rtol: 1e-14, atol: 0 });
  near(b!, a!.mul(2), "0.04", { rtol: 1e-14, atol: 0 });
});
test.run();
