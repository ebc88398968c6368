/** Losses against their definitions in plain JavaScript, and their gradients against finite differences. */
import * as pax from "paxjs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { near } from "../support/near.js";

const { np, nn, optax } = pax;
const { losses } = optax;
type T = pax.Tensor;
type Row = readonly number[];
const test = suite("optax losses");

const logits: readonly Row[] = [[1, -0.5, 2, 0.3], [0.2, 1.5, -1, 0.7], [-2, 0.4, 0.9, 3]];
const scores: readonly Row[] = [[0.3, 1, -0.4, 2], [1.2, -0.7, 0.1, 0.6], [0.5, 0.9, -1.5, 0.8]];
const labels = [2, 0, 3];
const exps = (row: Row): number[] => row.map((x) => Math.exp(x));
const total = (row: Row): number => row.reduce((a, b) => a + b, 0);
const softmax = (row: Row): number[] => exps(row).map((e) => e / total(exps(row)));
const probs = scores.map(softmax);
const signs = scores.map((row) => row.map((x) => Math.sign(x)));
const bits = scores.map((row) => row.map((x) => (x > 0.5 ? 1 : 0)));
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const log = Math.log;

/** Compares values, and the gradient by the first operand with central differences in float64. */
function check(name: string, f: (x: T) => T, x: readonly Row[], expected: unknown): void {
  test(name, () => {
    const wide = np.array(x, { dtype: "float64" });
    near(f(np.array(x)), np.array(expected as number[]), name, { rtol: 1e-5, atol: 1e-5 });
    const weighted = (a: T): T => { const y = f(a); return np.sum(y.mul(np.cos(np.arange(y.size).reshape(y.shape)))); };
    const gradient = pax.grad(weighted)(wide).toArray() as number[][];
    const h = 1e-5;
    for (const [i, row] of x.entries()) {
      for (const j of row.keys()) {
        const at = (d: number): number => weighted(np.array(x.map((r, k) => r.map((v, l) => (k === i && l === j ? v + d : v))), { dtype: "float64" })).item();
        const slope = (at(h) - at(-h)) / (2 * h);
        assert.ok(Math.abs(gradient[i]![j]! - slope) < 1e-4 * (1 + Math.abs(slope)), `${name}: the derivative at ${i}, ${j} is ${gradient[i]![j]}, differences give ${slope}`);
      }
    }
  });
}
const each = (f: (x: number, y: number) => number, b: readonly Row[] = scores): number[][] => logits.map((row, i) => row.map((x, j) => f(x, b[i]![j]!)));
const byRow = (f: (x: Row, y: Row, i: number) => number, b: readonly Row[] = probs): number[] => logits.map((row, i) => f(row, b[i]!, i));
const pair = (f: (x: number, y: number) => number) => (x: Row, y: Row): number => total(x.map((v, i) => f(v, y[i]!)));
const crossEntropy = (x: Row, y: Row): number => -total(y.map((v, i) => v * log(softmax(x)[i]!)));

check("squaredError", (x) => optax.squaredError(x, np.array(scores)), logits, each((x, y) => (x - y) ** 2));
check("squaredError without targets", (x) => optax.squaredError(x), logits, each((x) => x * x));
check("l2Loss", (x) => optax.l2Loss(x, np.array(scores)), logits, each((x, y) => (x - y) ** 2 / 2));
check("huberLoss", (x) => optax.huberLoss(x, np.array(scores), { delta: 0.7 }), logits, each((x, y) => {
  const e = Math.abs(x - y);
  return e <= 0.7 ? (e * e) / 2 : 0.7 * (e - 0.35);
}));
check("logCosh", (x) => optax.logCosh(x, np.array(scores)), logits, each((x, y) => log(Math.cosh(x - y))));
const norm = (row: Row): number => Math.sqrt(total(row.map((v) => v * v)));
const cosine = (x: Row, y: Row): number => pair((a, b) => a * b)(x, y) / (norm(x) * norm(y));
check("cosineSimilarity", (x) => optax.cosineSimilarity(x, np.array(scores)), logits, byRow(cosine, scores));
check("cosineDistance, the first axis", (x) => optax.cosineDistance(x.T, np.array(scores).T, { axis: 0 }), logits, byRow((x, y) => 1 - cosine(x, y), scores));
check("cosineSimilarity of what counts", (x) => optax.cosineSimilarity(x, np.array(scores), { where: np.array([true, true, false, true]) }), logits,
  byRow((x, y) => cosine(x.filter((_, i) => i !== 2), y.filter((_, i) => i !== 2)), scores));
check("sigmoidBinaryCrossEntropy", (x) => optax.sigmoidBinaryCrossEntropy(x, np.array(bits)), logits, each((x, y) => -y * log(sigmoid(x)) - (1 - y) * log(sigmoid(-x)), bits));
check("sigmoidFocalLoss", (x) => optax.sigmoidFocalLoss(x, np.array(bits), { alpha: 0.3, gamma: 1.5 }), logits, each((x, y) => {
  const p = y === 1 ? sigmoid(x) : sigmoid(-x);
  return -(y === 1 ? 0.3 : 0.7) * (1 - p) ** 1.5 * log(p);
}, bits));
check("softmaxCrossEntropy", (x) => optax.softmaxCrossEntropy(x, np.array(probs)), logits, byRow(crossEntropy));
check("softmaxCrossEntropy, the first axis", (x) => optax.softmaxCrossEntropy(x.T, np.array(probs).T, { axis: 0 }), logits, byRow(crossEntropy));
check("softmaxCrossEntropy over all axes", (x) => optax.softmaxCrossEntropy(x, np.array(probs), { axis: [0, 1] }), logits, crossEntropy(logits.flat(), probs.flat()));
check("softmaxCrossEntropy of what counts", (x) => optax.softmaxCrossEntropy(x, np.array(probs), { where: np.array([[true, false, true, true]]) }), logits,
  byRow((x, y) => crossEntropy(x.filter((_, i) => i !== 1), y.filter((_, i) => i !== 1))));
check("safeSoftmaxCrossEntropy", (x) => optax.safeSoftmaxCrossEntropy(x, np.array(probs)), logits, byRow(crossEntropy));
const byLabel = byRow((x, _, i) => -log(softmax(x)[labels[i]!]!));
check("softmaxCrossEntropyWithIntegerLabels", (x) => optax.softmaxCrossEntropyWithIntegerLabels(x, np.array(labels, { dtype: "int32" })), logits, byLabel);
check("softmaxCrossEntropyWithIntegerLabels, the first axis", (x) => optax.softmaxCrossEntropyWithIntegerLabels(x.T, np.array(labels, { dtype: "int32" }), { axis: 0 }), logits, byLabel);
check("softmaxCrossEntropyWithIntegerLabels over two axes", (x) => optax.softmaxCrossEntropyWithIntegerLabels(x.reshape([3, 2, 2]), np.array(labels, { dtype: "int32" }), { axis: [1, 2] }), logits, byLabel);
check("softmaxCrossEntropyWithIntegerLabels of what counts", (x) => optax.softmaxCrossEntropyWithIntegerLabels(x, np.array(labels, { dtype: "int32" }), { where: np.array([[true, false, true, true], [true, true, true, true], [false, false, false, false]]) }),
  logits, byRow((x, _, i) => (i === 2 ? 0 : -log(Math.exp(x[labels[i]!]!) / total(exps(x.filter((_v, j) => i === 1 || j !== 1)))))));
check("polyLossCrossEntropy", (x) => losses.polyLossCrossEntropy(x, np.array(probs), { epsilon: 1.5 }), logits, byRow((x, y) => crossEntropy(x, y) + 1.5 * total(y.map((v, i) => v * (1 - softmax(x)[i]!)))));
const withZero = probs.map((row, i) => row.map((p, j) => (i === j ? 0 : p)));
check("klDivergence", (x) => optax.klDivergence(nn.logSoftmax(x), np.array(withZero)), logits, byRow((x, y) => total(y.map((v, i) => (v === 0 ? 0 : v * (log(v) - log(softmax(x)[i]!))))), withZero));
check("klDivergenceWithLogTargets", (x) => losses.klDivergenceWithLogTargets(x, np.array(probs).log()), logits, byRow(pair((x, y) => y * (log(y) - x))));
check("generalizedKlDivergence", (x) => optax.generalizedKlDivergence(x, np.array(probs)), logits, byRow(pair((x, y) => y * (log(y) - x) + Math.exp(x) - y)));
check("hingeLoss", (x) => optax.hingeLoss(x, np.array(signs)), logits, each((x, y) => Math.max(0, 1 - x * y), signs));
check("perceptronLoss", (x) => losses.perceptronLoss(x, np.array(signs)), logits, each((x, y) => Math.max(0, -x * y), signs));
check("multiclassHingeLoss", (x) => losses.multiclassHingeLoss(x, np.array(labels)), logits, byRow((x, _, i) => Math.max(...x.map((v, j) => v + (j === labels[i] ? 0 : 1))) - x[labels[i]!]!));
check("multiclassPerceptronLoss", (x) => losses.multiclassPerceptronLoss(x, np.array(labels)), logits, byRow((x, _, i) => Math.max(...x) - x[labels[i]!]!));
check("smoothLabels", (x) => optax.smoothLabels(x, 0.2), logits, each((x) => 0.8 * x + 0.05));
check("tripletMarginLoss", (x) => losses.tripletMarginLoss(x, np.array(scores), np.array(probs)), logits, byRow((x, y, i) => {
  const far = (to: Row): number => Math.sqrt(pair((a, b) => (a - b) ** 2)(x, to) + 1e-6);
  return Math.max(far(scores[i]!) - far(y) + 1, 0);
}));
const classes = [0, 1, 0];
check("ntxent", (x) => losses.ntxent(x, np.array(classes, { dtype: "int32" }), { temperature: 0.3 }), logits, (() => {
  const near = (i: number, j: number): number => Math.exp(cosine(logits[i]!, logits[j]!) / 0.3);
  const others = (i: number): number => total(classes.map((c, j) => (c === classes[i] ? 0 : near(i, j))));
  const pairs = [[0, 2], [2, 0]] as const;
  return -total(pairs.map(([i, j]) => log(near(i, j) / (near(i, j) + others(i))))) / pairs.length;
})());

test("losses do not overflow", () => {
  const [big, y] = [np.array([1000, -1000]), np.array([1, 0])];
  near(optax.sigmoidBinaryCrossEntropy(big, y), np.array([0, 0]), "right");
  near(optax.sigmoidBinaryCrossEntropy(big, np.array([0, 1])), np.array([1000, 1000]), "wrong");
  near(optax.sigmoidFocalLoss(big, y), np.array([0, 0]), "focal");
  near(optax.logCosh(big), np.array([1000 - Math.LN2, 1000 - Math.LN2]), "logCosh");
  near(optax.safeSoftmaxCrossEntropy(np.array([[0, -Infinity]]), np.array([[1, 0]])), np.array([0]), "a probability of 0 that no label asks for");
});
test("losses refuse shapes and dtypes that do not fit", () => {
  const fails = (code: pax.ErrorCode, f: () => unknown): void => assert.throws(f, (e: unknown) => e instanceof pax.PaxError && e.code === code);
  fails("shape", () => optax.squaredError(np.zeros([2, 1]), np.zeros([2])));
  fails("dtype", () => optax.softmaxCrossEntropy(np.array([[1, 2]], { dtype: "int32" }), np.array([[0, 1]])));
  fails("dtype", () => optax.softmaxCrossEntropyWithIntegerLabels(np.zeros([2, 3]), np.zeros([2])));
  fails("shape", () => optax.ctcLoss(np.zeros([2, 3, 4]), np.zeros([2, 3]), np.zeros([2, 2], { dtype: "int32" }), np.zeros([2, 1])));
});

/** Minus the logarithm of the sum over all paths that read as `label`: repeats are merged, then blanks (0) taken away. */
function ctcByPaths(rows: readonly Row[], label: readonly number[]): number {
  let sum = 0;
  const walk = (t: number, path: readonly number[], p: number): void => {
    if (t === rows.length) {
      const read = path.filter((c, i) => c !== path[i - 1]).filter((c) => c !== 0);
      if (read.join() === label.join()) sum += p;
      return;
    }
    softmax(rows[t]!).forEach((q, c) => walk(t + 1, [...path, c], p * q));
  };
  walk(0, [], 1);
  return -log(sum);
}
test("ctcLoss is the sum over all paths", () => {
  const frames = Array.from({ length: 2 }, (_, b) => Array.from({ length: 5 }, (_t, t) => Array.from({ length: 3 }, (_c, c) => Math.sin(3 * b + 2 * t + 5 * c))));
  const padding = [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1]];
  const [x, lengths] = [np.array(frames), np.array(padding)];
  for (const [first, second] of [[[1, 1], [2]], [[2, 1], [1]], [[1, 2], []]] as const) {
    const padded = [first, second].map((l) => [...l, ...Array.from({ length: 2 - l.length }, () => 0)]);
    const labelPadding = [first, second].map((l) => [0, 1].map((i) => (i < l.length ? 0 : 1)));
    const expected = np.array([ctcByPaths(frames[0]!, first), ctcByPaths(frames[1]!.slice(0, 3), second)]);
    const args = [np.array(padded, { dtype: "int32" }), np.array(labelPadding)] as const;
    near(optax.ctcLoss(x, lengths, ...args), expected, `labels ${first} and ${second}`, { rtol: 1e-4 });
    const jitted = pax.jit((a: T) => optax.ctcLoss(a, lengths, ...args));
    near(jitted(x), expected, "under jit", { rtol: 1e-4 });
  }
});
check("ctcLoss's derivative", (x) => optax.ctcLoss(x.reshape([1, 3, 4]), np.zeros([1, 3]), np.array([[1, 2]], { dtype: "int32" }), np.zeros([1, 2])), logits, [ctcByPaths(logits, [1, 2])]);
test("logCosh of what is very negative is its size", () => {
  const x = np.array([-Infinity, -3e38, Infinity, 3e38, -100]);
  near(optax.logCosh(x), np.array([Infinity, 3e38, Infinity, 3e38, 100 - Math.LN2]), "values", { rtol: 1e-6, atol: 0 });
  near(pax.grad((e: T) => np.sum(optax.logCosh(e)))(np.array([-3e38, 0, 3e38])), np.array([-1, 0, 1]), "derivatives");
});
test("safeSoftmaxCrossEntropy has optax's derivative by a label of 0", () => {
  const x = np.array([1, -2, 0.5]);
  const gradient = pax.grad((y: T) => optax.safeSoftmaxCrossEntropy(x, y))(np.array([0, 1, 0]));
  near(gradient, np.array([0.5045969, 3.5045969, 1.0045969]), "by the labels");
  const [impossible, none] = [np.array([1, -Infinity, 0.5]), np.array([1, 0, 0])];
  near(optax.safeSoftmaxCrossEntropy(impossible, none), np.array(log(1 + Math.exp(-0.5))), "a probability of 0");
  const byLogits = pax.grad((l: T) => optax.safeSoftmaxCrossEntropy(l, none))(impossible);
  near(byLogits, np.array([-sigmoid(-0.5), 0, sigmoid(-0.5)]), "by the logits");
});
test("losses of half floats over one-hot labels are float32, as optax's", () => {
  const half = (x: pax.ArrayData): T => np.array(x, { dtype: "bfloat16" });
  const [x, y] = [half([[0.3, -1.2, 2.1], [1.5, 0.25, -3]]), np.array([1, 0], { dtype: "int32" })];
  const hinge = losses.multiclassHingeLoss(x, y);
  const perceptron = losses.multiclassPerceptronLoss(x, y);
  const time = half([[[0.3, -1.2, 2.1], [1.5, 0.25, -3], [0.2, 0.7, 0.1]]]);
  const ctc = optax.ctcLoss(time, np.zeros([1, 3]), np.array([[2, 1]], { dtype: "int32" }), np.zeros([1, 2]));
  assert.equal([hinge, perceptron, ctc].map((t) => t.dtype), ["float32", "float32", "float32"]);
  near(hinge, np.array([4.296875, 0]), "hinge");
  near(perceptron, np.array([3.296875, 0]), "perceptron");
  near(ctc, np.array([0.82525]), "ctc", { rtol: 1e-2 });
});
test("losses of float64 lose no digits of their options", () => {
  const wide = (x: readonly Row[]): T => np.array(x, { dtype: "float64" });
  const [x, y] = [wide([[0.3, -1.2]]), wide([[1, 0]])];
  near(optax.smoothLabels(y, 0.1), wide([[0.95, 0.05]]), "smoothLabels", { rtol: 1e-15, atol: 0 });
  near(optax.sigmoidFocalLoss(x, y, { alpha: 0.1 }), wide([[0.010039327548859708, 0.012696190981896274]]), "sigmoidFocalLoss", { rtol: 1e-14, atol: 0 });
});
test.run();
