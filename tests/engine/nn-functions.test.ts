/** The functions of `pax.nn` against their definitions in plain JavaScript; subgradients are those of `jax.nn`. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { checkGradient } from "../support/gradient.js";
import { lookUp } from "../support/loose.js";
import { gives, throws } from "../support/near.js";

type T = pax.Tensor;
const { np, nn } = pax;
const test = suite("nn functions");
const close = { rtol: 1e-5, atol: 1e-6 };
const f = (name: string) => lookUp<T>(nn, name);
const xs = [-4, -1.5, -0.25, 0.5, 2, 7];
const between = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const softplus = (x: number): number => Math.log1p(Math.exp(x));
const elu = (x: number, alpha: number): number => (x > 0 ? x : alpha * Math.expm1(x));

const definitions: Record<string, (x: number) => number> = {
  relu: (x) => Math.max(x, 0), relu6: (x) => between(x, 0, 6), sigmoid, silu: (x) => x * sigmoid(x), softplus, logSigmoid: (x) => -softplus(-x), tanh: Math.tanh,
  softSign: (x) => x / (1 + Math.abs(x)), squareplus: (x) => (x + Math.sqrt(x * x + 4)) / 2, mish: (x) => x * Math.tanh(softplus(x)),
  gelu: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  elu: (x) => elu(x, 1), celu: (x) => elu(x, 1), selu: (x) => 1.0507009873554805 * elu(x, 1.6732632423543772), leakyRelu: (x) => (x < 0 ? 0.01 * x : x),
  hardTanh: (x) => between(x, -1, 1), hardSigmoid: (x) => between(x + 3, 0, 6) / 6, hardSilu: (x) => (x * between(x + 3, 0, 6)) / 6,
};
for (const [name, define] of Object.entries(definitions)) {
  test(name, () => {
    gives(f(name)(np.array(xs)), xs.map(define), name, close);
    checkGradient((x) => f(name)(x), xs, name);
    assert.is(f(name)(np.array([1], { dtype: "bfloat16" })).dtype, "bfloat16");
  });
}
test("with other parameters", () => {
  gives(nn.elu(np.array(xs), 0.3), xs.map((x) => elu(x, 0.3)), "elu", close);
  gives(nn.celu(np.array(xs), 0.5), xs.map((x) => (x > 0 ? x : 0.5 * Math.expm1(x / 0.5))), "celu", close);
  gives(nn.leakyRelu(np.array(xs), 0.2), xs.map((x) => (x < 0 ? 0.2 * x : x)), "leakyRelu", close);
  gives(nn.squareplus(np.array(xs), 1), xs.map((x) => (x + Math.sqrt(x * x + 1)) / 2), "squareplus", close);
  gives(nn.gelu(np.array([0, 1]), { approximate: false }), [0, 0.8413447460685429], "gelu by the normal distribution, whose share below 1 is 0.8413…", close);
});
test("other names", () => {
  assert.is(nn.swish, nn.silu);
  assert.is(nn.hardSwish, nn.hardSilu);
});
test("subgradients at the bends", () => {
  const at = (name: string, points: number[]): T => pax.grad((x: T) => f(name)(x).sum())(np.array(points));
  const expected: Record<string, readonly [number[], number[]]> = {
    relu: [[0], [0]], relu6: [[0, 6], [0, 0]], leakyRelu: [[0], [1]], elu: [[0], [1]], celu: [[0], [1]], selu: [[0], [1.0507009873554805 * 1.6732632423543772]],
    hardTanh: [[-1, 1], [1, 1]], hardSigmoid: [[-3, 3], [0, 0]], hardSilu: [[-3, 3], [0, 1]], softSign: [[0], [1]],
  };
  for (const [name, [points, slopes]] of Object.entries(expected)) gives(at(name, points), slopes, name, close);
});
test("without overflow", () => {
  const ends = np.array([-1000, 1000]);
  gives(nn.softplus(ends), [0, 1000], "softplus");
  gives(nn.logSigmoid(ends), [-1000, 0], "logSigmoid");
  gives(nn.mish(ends), [0, 1000], "mish");
  gives(nn.sigmoid(ends), [0, 1], "sigmoid");
  gives(nn.softmax(np.array([1000, 1000, -1000])), [0.5, 0.5, 0], "softmax");
  gives(nn.logSoftmax(np.array([1000, 0])), [0, -1000], "logSoftmax");
});
test("slopes and alphas may be tensors, and have gradients", () => {
  gives(pax.jit((x: T, s: T) => nn.leakyRelu(x, s))(np.array([-1, 2]), np.array(0.5)), [-0.5, 2], "leakyRelu");
  gives(nn.elu(np.array([-1, -2]), np.array([[1], [2]])), [1, 2].map((a) => [-1, -2].map((x) => a * Math.expm1(x))), "elu", close);
  gives(pax.grad((a: T) => nn.leakyRelu(np.array([-1, -2]), a).sum())(0.1), -3, "by the slope");
  assert.throws(() => nn.leakyRelu(np.array([-1]), "0.2" as never), /got string/);
  assert.throws(() => nn.gelu(1, { approximate: null as never }), /a setting is null/);
});
test("softmax, logSoftmax and logsumexp along axes", () => {
  const x = [[1, 2, 3], [-1, 0, 4]];
  const shares = (row: number[]): number[] => { const e = row.map(Math.exp); const sum = e.reduce((a, b) => a + b); return e.map((v) => v / sum); };
  gives(nn.softmax(np.array(x)), x.map(shares), "softmax", close);
  gives(nn.softmax(np.array(x), 0).T, [0, 1, 2].map((c) => shares(x.map((row) => row[c]!))), "softmax along 0", close);
  gives(nn.logSoftmax(np.array(x)), x.map((row) => shares(row).map(Math.log)), "logSoftmax", close);
  gives(nn.logsumexp(np.array(x), 1, { keepdims: true }), x.map((row) => [Math.log(row.map(Math.exp).reduce((a, b) => a + b))]), "logsumexp", close);
  checkGradient((a) => nn.softmax(a, 0), x, "softmax");
  checkGradient((a) => nn.logSoftmax(a), x, "logSoftmax");
});
test("glu", () => {
  const x = [[1, -2, 0.5, 3], [0, 1, -1, 2]];
  gives(nn.glu(np.array(x)), x.map(([a, b, c, d]) => [a! * sigmoid(c!), b! * sigmoid(d!)]), "glu", close);
  gives(nn.glu(np.array(x), 0), [x[0]!.map((v, i) => v * sigmoid(x[1]![i]!))], "glu along 0", close);
  checkGradient((a) => nn.glu(a), x, "glu");
  throws("shape", "glu", /no halves/, () => nn.glu(np.ones([2, 3])));
});
test("standardize", () => {
  const row = [1, 2, 4, 9];
  const standard = (values: number[], mean: number, variance: number, epsilon = 1e-5): number[] => values.map((v) => (v - mean) / Math.sqrt(variance + epsilon));
  gives(nn.standardize(np.array(row)), standard(row, 4, 9.5), "standardize", close);
  gives(nn.standardize(np.array([row, row]), null, { epsilon: 1 }), [standard(row, 4, 9.5, 1), standard(row, 4, 9.5, 1)], "over all axes", close);
  gives(nn.standardize(np.array(row), -1, { mean: 2 }), standard(row, 2, (1 + 0 + 4 + 49) / 4), "with a mean", close);
  gives(nn.standardize(np.array(row), -1, { variance: 4 }), standard(row, 4, 4), "with a variance", close);
  assert.is(nn.standardize(np.arange(3)).dtype, "float32");
  checkGradient((a) => nn.standardize(a), row, "standardize");
});
test("oneHot", () => {
  gives(nn.oneHot(np.array([0, 2], { dtype: "uint8" }), 3), [[1, 0, 0], [0, 0, 1]], "oneHot");
  gives(nn.oneHot(np.array([-1, 3], { dtype: "int32" }), 3), [[0, 0, 0], [0, 0, 0]], "labels outside");
  gives(nn.oneHot(np.arange(2), 3, { axis: 0 }), [[1, 0], [0, 1], [0, 0]], "along axis 0");
  assert.is(nn.oneHot(np.arange(2), 3).dtype, "float32");
  assert.is(nn.oneHot(np.arange(2), 3, { dtype: "int32" }).dtype, "int32");
  throws("trace", "oneHot", /staticArgnums/, () => pax.jit((n: T) => nn.oneHot(np.arange(2), n as never))(3));
});
test("errors name the op", () => {
  throws("shape", "softmax", /axis 2/, () => nn.softmax(np.ones([2, 2]), 2));
  throws("shape", "logSoftmax", /axis -3/, () => nn.logSoftmax(np.ones([2, 2]), -3));
  throws("shape", "standardize", /axis 1/, () => nn.standardize(np.ones([2]), 1));
});

test.run();
