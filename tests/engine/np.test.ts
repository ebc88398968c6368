/** `pax.np` against definitions in plain JavaScript and results of NumPy. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { checkGradient } from "../support/gradient.js";
import { lookUp } from "../support/loose.js";
import { gives, throws } from "../support/near.js";

type T = pax.Tensor;
const { np } = pax;
const test = suite("np");
const close = { rtol: 1e-5, atol: 1e-6 };
const f = (name: string) => lookUp<T>(np, name);

test("functions of one number: value, derivative, integers", () => {
  const unary: Record<string, (x: number) => number> = {
    neg: (x) => -x, abs: Math.abs, square: (x) => x * x, sqrt: Math.sqrt, rsqrt: (x) => 1 / Math.sqrt(x), reciprocal: (x) => 1 / x, cbrt: Math.cbrt,
    exp: Math.exp, exp2: (x) => 2 ** x, expm1: Math.expm1, log: Math.log, log2: Math.log2, log10: Math.log10, log1p: Math.log1p,
    sin: Math.sin, cos: Math.cos, tan: Math.tan, sinh: Math.sinh, cosh: Math.cosh, tanh: Math.tanh, arcsinh: Math.asinh, arctan: Math.atan,
    sinc: (x) => Math.sin(Math.PI * x) / (Math.PI * x), deg2rad: (x) => (x * Math.PI) / 180, rad2deg: (x) => (x * 180) / Math.PI,
  };
  const xs = [0.3, 1.25, 2.5];
  for (const [name, define] of Object.entries(unary)) {
    gives(f(name)(np.array(xs)), xs.map(define), name, close);
    checkGradient((x) => f(name)(x), xs, name);
    if (!["neg", "abs", "square"].includes(name)) assert.is(f(name)(np.array([1, 2], { dtype: "int32" })).dtype, "float32", name);
  }
  for (const [name, define] of [["arcsin", Math.asin], ["arccos", Math.acos], ["arctanh", Math.atanh]] as const) {
    gives(f(name)(np.array([-0.5, 0.25])), [-0.5, 0.25].map(define), name, close);
    checkGradient((x) => f(name)(x), [-0.5, 0.25], name);
  }
  gives(np.arccosh(np.array([1.5, 3])), [1.5, 3].map(Math.acosh), "arccosh", close);
  gives(np.cbrt(np.array([-27, 0, 8])), [-3, 0, 2], "cbrt", close);
  gives(np.sinc(np.array([0])), [1], "sinc at 0");
  gives(pax.grad(pax.grad((x: T) => np.sinc(x)))(0), -(Math.PI ** 2) / 3, "second derivative of sinc at 0", close);
  gives(np.erf(np.array([0, 0.5])).add(np.erfc(np.array([0, 0.5]))), [1, 1], "erf and erfc");
  gives(np.erfinv(np.erf(np.array([0.1, 0.9]))), [0.1, 0.9], "erfinv", close);
});
test("ends of functions", () => {
  gives(np.sin(np.array([-0])), [-0], "sin keeps the sign of 0");
  gives(pax.grad(pax.grad((x: T) => np.cbrt(x)))(0), -Infinity, "the second derivative of cbrt at 0");
  assert.is(Object.is(np.sin(-0).item(), -0) && Object.is(np.cbrt(np.array(-0)).item(), -0), true, "-0");
  for (const dtype of ["float32", "float64"] as const) {
    gives(np.arccosh(np.array([-1e4, 0.5], { dtype })), [NaN, NaN], `arccosh below 1 in ${dtype}`);
    gives(np.floorDivide(np.array([5, -5, 0], { dtype }), 0), [Infinity, -Infinity, NaN], `over 0 in ${dtype}`);
  }
  gives(np.cbrt(np.array([1000]).astype("float16")), [10], "cbrt of half floats");
  gives(np.round(np.array([700, 1234.5]).astype("float16"), 2), [700, 1234], "round does not overflow");
  gives(np.hypot(np.array([Infinity, NaN]), np.array([NaN, 1])), [Infinity, NaN], "hypot of infinity");
  gives(np.stack(pax.grad(np.hypot, { argnums: [0, 1] })(np.array(0), np.array(0))), [0.5, 0.5], "derivatives of hypot at 0");
  gives(np.logsumexp(np.zeros([0, 2]), 0), [-Infinity, -Infinity], "logsumexp of nothing");
  gives(np.var(np.array([1, 2, 3]), null, { ddof: 3 }), NaN, "no degree of freedom");
  const [a, b] = [np.array(2), np.array(0)];
  const mixed = [pax.grad(pax.grad(np.pow), { argnums: 1 })(a, b), pax.grad(pax.grad(np.pow, { argnums: 1 }))(a, b)];
  gives(np.stack(mixed), [0.5, 0.5], "the mixed derivative of pow where the exponent is 0");
  gives(np.stack([0, 1, 2].map((b) => pax.grad((a: T) => np.pow(a, np.array(b)))(0))), [0, 1, 0], "derivative of pow at 0");
});
test("numbers keep their digits and take the dtype of what they meet", () => {
  gives(np.full([1], 16_777_217, { dtype: "int32" }), [16_777_217], "full of int32");
  const [wide, whole] = [np.array([0.1], { dtype: "float64" }), np.array([123_456_789], { dtype: "int32" })];
  assert.is(np.fullLike(wide, 0.1).get(0).item(), 0.1);
  assert.ok(np.allclose(whole, 123_456_789, { rtol: 0, atol: 0 }) && np.allclose(wide, 0.1, { rtol: 0, atol: 1e-12 }) && np.arrayEqual(wide.get(0), 0.1));
  for (const t of [np.append(whole, 5), np.stack([whole.get(0), 5]), np.outer(whole, 3), np.kron(whole, 3), np.inner(whole, 3), np.dot(3, whole)]) assert.is(t.dtype, "int32");
  for (const t of [np.outer(0.1, wide), np.dot(wide, 0.1), np.kron(wide, 0.1), np.copysign(0.1, wide).mul(0.1)]) assert.is(t.dtype, "float64");
  assert.is(np.outer(1, wide).get(0, 0).sub(0.1).item(), 0);
  const half = np.array([1]).astype("float16");
  assert.equal([np.logaddexp(half, whole).dtype, np.copysign(half, np.array(1)).dtype, np.pad(np.array([true]), 1).dtype], ["float16", "float32", "bool"]);
  assert.equal(np.geomspace(1, 256, 9, { dtype: "int32" }).toArray(), [1, 2, 4, 8, 16, 32, 64, 128, 256]);
  assert.equal(np.arange(2 ** 31 - 2, 2 ** 31).toArray(), [2 ** 31 - 2, 2 ** 31 - 1]);
  assert.is(np.searchsorted(np.array([0.1, 0.2], { dtype: "float64" }), 0.1).item(), 0);
  throws("shape", "isclose", /do not broadcast/, () => np.isclose(np.ones([2]), np.ones([3])));
  throws("value", "arange", /more than int32/, () => np.arange(0, 4e9, 1e9));
  assert.equal(np.arange(0, 4e9, 2e9, { dtype: "int64" }).toArray(), [0n, 2_000_000_000n]);
});
test("long sums keep their digits, compiled or not, wherever the elements lie", () => {
  const mean = (name: string, f: (x: T) => T, x: T): void => { for (const g of [f, pax.jit(f)]) gives(g(x), 0.1, name, { rtol: 3e-6, atol: 0 }); };
  mean("rows", (x) => np.mean(x), np.full([3_000_000], 0.1));
  mean("columns", (x) => np.mean(x, 0).get(1), np.full([1_000_000, 3], 0.1));
  mean("images", (x) => np.mean(x, [0, 1, 2]).get(5), np.full([16, 64, 64, 32], 0.1));
  mean("a transpose", (x) => np.mean(x.T), np.full([2048, 1024], 0.1));
  mean("axes swapped", (x) => np.mean(np.swapaxes(x, 1, 2)), np.full([4, 512, 512], 0.1));
  mean("every second", (x) => np.mean(x.reshape([-1, 2]).T.get(0)), np.full([2_000_000], 0.1));
  mean("repeated", (x) => np.mean(np.broadcastTo(x, [1_000_000, 3]), 0).get(0), np.full([3], 0.1));
  mean("of a computed value", (x) => np.mean(np.exp(np.log(x)), 0).get(0), np.full([300_000, 4], 0.1));
  mean("axes that do not lie together", (x) => np.mean(np.transpose(x, [1, 0, 2]).get(np.slice(0, 100_000)), [0, 1]).get(3), np.full([3, 100_001, 16], 0.1));
  mean("so far", (x) => np.cumsum(x).get(-1).div(2_000_000), np.full([2_000_000], 0.1));
});
test("columns of many rows, of each fold and dtype", () => {
  for (const dtype of ["float32", "float64"] as const) {
    // Memory that was used before, and what is left of it, must not matter.
    const noise = pax.random.normal(pax.random.key(1), [700, 600]).astype(dtype);
    for (const rows of [512, 513, 600, 1025, 5000]) {
      np.sort(noise.mul(1e30), 0);
      const x = np.full([rows, 519], 1, { dtype });
      for (const f of [(t: T) => np.prod(t, 0), (t: T) => np.sum(t, 0).div(rows), (t: T) => np.max(t, 0), (t: T) => np.min(t.reshape([rows, 3, 173]), [0, 1])]) {
        for (const g of [f, pax.jit(f)]) assert.ok(np.allclose(g(x), 1, { rtol: 1e-6 }), `${f}, ${rows} rows of ${dtype}`);
      }
    }
  }
});
test("whole numbers and signs", () => {
  const xs = np.array([-2.5, -0.5, 0.5, 1.5, 2.7]);
  gives(np.floor(xs), [-3, -1, 0, 1, 2], "floor");
  gives(np.ceil(xs), [-2, 0, 1, 2, 3], "ceil");
  gives(np.trunc(xs), [-2, 0, 0, 1, 2], "trunc");
  gives(np.round(xs), [-2, 0, 0, 2, 3], "round is half to even");
  gives(np.round(np.array([1.234, -5.678]), 2), [1.23, -5.68], "round to two places");
  gives(np.round(np.array([1234]), -2), [1200], "round to hundreds");
  gives(np.round(np.array([5], { dtype: "int32" }), 1), [5], "integers stay");
  gives(np.sign(xs), [-1, -1, 1, 1, 1], "sign");
  gives(np.signbit(np.array([-0, 0, -1, NaN])), [true, false, true, false], "signbit");
  gives(np.signbit(np.array([-0, 2], { dtype: "float64" })), [true, false], "signbit of float64");
  gives(np.signbit(np.array([-1, 2], { dtype: "int32" })), [true, false], "signbit of integers");
  throws("value", "round", /int32/, () => np.round(np.arange(3), -1));
});
test("functions of two numbers", () => {
  const [a, b] = [[-2.5, -1, 0.5, 3], [1.5, -2, 2, 2]];
  const binary: Record<string, (x: number, y: number) => number> = {
    add: (x, y) => x + y, sub: (x, y) => x - y, mul: (x, y) => x * y, div: (x, y) => x / y, hypot: Math.hypot, arctan2: Math.atan2, maximum: Math.max, minimum: Math.min,
    logaddexp: (x, y) => Math.log(Math.exp(x) + Math.exp(y)), floorDivide: (x, y) => Math.floor(x / y), remainder: (x, y) => x - y * Math.floor(x / y),
    copysign: (x, y) => Math.abs(x) * Math.sign(y), fmax: Math.max, fmin: Math.min,
  };
  for (const [name, define] of Object.entries(binary)) {
    gives(f(name)(np.array(a), np.array(b)), a.map((x, i) => define(x, b[i]!)), name, close);
    if (name === "floorDivide" || name === "remainder") continue;
    checkGradient((x) => f(name)(x, np.array(b, { dtype: "float64" })), a, `${name} by the first`);
    checkGradient((y) => f(name)(np.array(a, { dtype: "float64" }), y), b, `${name} by the second`);
  }
  gives(np.pow(np.array([2, 9]), np.array([3, 0.5])), [8, 3], "pow", close);
  gives(np.hypot(1e30, np.array([1e30, Infinity])), [Math.SQRT2 * 1e30, Infinity], "hypot does not overflow", close);
  gives(np.logaddexp(np.array([-Infinity, Infinity, 1000, -20]), np.array([-Infinity, 1, 1000, 0])), [-Infinity, Infinity, 1000 + Math.LN2, Math.log1p(Math.exp(-20))], "logaddexp at the ends", { rtol: 1e-6, atol: 0 });
  gives(pax.grad((x: T) => np.logaddexp(x, 1))(1), 0.5, "derivative of logaddexp at a tie", close);
  gives(np.fmax(np.array([NaN, 1, NaN]), np.array([2, NaN, NaN])), [2, 1, NaN], "fmax");
  gives(np.fmin(np.array([NaN, 1]), np.array([2, NaN])), [2, 1], "fmin");
  gives(pax.grad((x: T) => np.maximum(x, 1))(1), 0.5, "a tie of maximum");
});
test("integers, bits and truth", () => {
  const [a, b] = [np.array([12, -7], { dtype: "int32" }), np.array([10, 3], { dtype: "int32" })];
  const pairs = [[12, 10], [-7, 3]] as const;
  const bits: Record<string, (x: number, y: number) => number> = { bitwiseAnd: (x, y) => x & y, bitwiseOr: (x, y) => x | y, bitwiseXor: (x, y) => x ^ y, leftShift: (x, y) => x << y, rightShift: (x, y) => x >> y };
  for (const [name, define] of Object.entries(bits)) gives(f(name)(a, b), pairs.map(([x, y]) => define(x, y)), name);
  gives(np.bitwiseNot(a), [~12, ~-7], "bitwiseNot");
  gives(np.logicalXor(np.array([0, 2, 3]), np.array([1, 0, 5])), [true, true, false], "logicalXor");
  gives(np.logicalAnd(np.array([0, 2]), 1), [false, true], "logicalAnd");
  gives(np.logicalOr(np.array([0, 2]), 0), [false, true], "logicalOr");
  gives(np.logicalNot(np.array([0, 2])), [true, false], "logicalNot");
  gives(np.less(a, b), [false, true], "less");
  gives(np.greaterEqual(a, np.array([12, 0], { dtype: "int32" })), [true, false], "greaterEqual");
});
test("NaN and infinities", () => {
  const xs = np.array([1, NaN, Infinity, -Infinity]);
  gives(np.isnan(xs), [false, true, false, false], "isnan");
  gives(np.isfinite(xs), [true, false, false, false], "isfinite");
  gives(np.isinf(xs), [false, false, true, true], "isinf");
  gives(np.isposinf(xs), [false, false, true, false], "isposinf");
  gives(np.isneginf(xs), [false, false, false, true], "isneginf");
  gives(np.isinf(np.arange(2)), [false, false], "isinf of integers");
  const most = (2 - 2 ** -23) * 2 ** 127;
  gives(np.nanToNum(xs), [1, 0, most, -most], "nanToNum");
  gives(np.nanToNum(xs, { nan: 7, posinf: 8, neginf: 9 }), [1, 7, 8, 9], "nanToNum's options");
  gives(np.nanToNum(np.array([Infinity], { dtype: "float16" })), [65504], "nanToNum of float16");
  gives(np.nanToNum(np.arange(2)), [0, 1], "nanToNum of integers");
  gives(np.clip(np.array([-2, 0.5, 3]), -1, null), [-1, 0.5, 3], "clip below");
  gives(pax.grad((x: T) => np.clip(x, 0, 1).sum())(np.array([0, 0.5, 1, 2])), [0.5, 1, 0.5, 0], "derivative of clip at its bounds");
});
test("aliases are the same functions", () => {
  const pairs = { subtract: "sub", multiply: "mul", divide: "div", trueDivide: "div", power: "pow", negative: "neg", absolute: "abs", mod: "remainder", fix: "trunc", invert: "bitwiseNot", amax: "max", amin: "min" } as const;
  for (const [alias, name] of Object.entries(pairs)) assert.is(Reflect.get(np, alias), np[name], alias);
});

const m = np.array([[3, 1, 2], [0, 5, 4]]);
test("reductions over axes", () => {
  gives(np.sum(m, [0, -1]), 15, "sum over both");
  gives(np.sum(m, -1, { keepdims: true }), [[6], [9]], "sum, kept");
  gives(np.prod(m, 0), [0, 5, 8], "prod");
  gives(np.mean(m, 1), [2, 3], "mean");
  gives(np.max(m, 0), [3, 5, 4], "max");
  gives(np.min(m), 0, "min");
  gives(np.ptp(m, 1), [2, 5], "ptp");
  gives(np.var(m), 17.5 / 6, "var", close);
  gives(np.var(m, 1, { ddof: 1 }), [1, 7], "var with ddof", close);
  gives(np.std(m, 1, { ddof: 1, keepdims: true }), [[1], [Math.sqrt(7)]], "std", close);
  gives(np.var(np.array([3]), null, { ddof: 1 }), NaN, "var of one element with ddof");
  gives(np.any(m, 1), [true, true], "any");
  gives(np.all(m, 1), [true, false], "all");
  gives(np.any(np.zeros([0])), false, "any of nothing");
  gives(np.all(np.zeros([2, 0]), 1), [true, true], "all of nothing");
  gives(np.countNonzero(m, 0), [1, 2, 2], "countNonzero");
  gives(np.logsumexp(m, 1), [Math.log(Math.exp(3) + Math.exp(1) + Math.exp(2)), Math.log(1 + Math.exp(5) + Math.exp(4))], "logsumexp", close);
  gives(np.median(m), 2.5, "median of six");
  gives(np.median(m, 1, { keepdims: true }), [[2], [4]], "median of three");
  gives(np.median(m.reshape(1, 2, 3), [0, 1]), [1.5, 3, 3], "median over two axes");
  gives(np.median(np.array([1, NaN])), NaN, "median with NaN");
  gives(np.average(m, 1, { weights: np.array([1, 0, 3]) }), [9 / 4, 3], "average with weights of an axis", close);
  gives(np.average(m, null, { weights: m }), 55 / 15, "average with weights of all", close);
  gives(np.average(m), 2.5, "average without weights");
  gives(np.argmax(m), 4, "argmax of all");
  gives(np.argmin(m, 1, { keepdims: true }), [[1], [0]], "argmin, kept");
  gives(np.argmax(np.array([1, 3, 3])), 1, "argmax: the first of equals");
  gives(np.sum(5), 5, "a scalar");
  assert.equal([np.sum(np.array([true])).dtype, np.sum(np.zeros([1], { dtype: "uint8" })).dtype, np.mean(np.arange(2)).dtype, np.argmax(m).dtype, np.countNonzero(m).dtype], ["int32", "uint32", "float32", "int32", "int32"]);
  for (const name of ["ptp", "median", "var", "std", "average"]) checkGradient((x) => f(name)(x, 1), [[3, 1, 2.5, 7], [0, 5, 4, 0.5]], name);
});
test("reductions without NaN", () => {
  const holes = np.array([[1, NaN], [NaN, NaN]]);
  gives(np.nansum(holes, 1), [1, 0], "nansum");
  gives(np.nanmean(holes, 1), [1, NaN], "nanmean");
  gives(np.nanmax(holes, 1), [1, NaN], "nanmax");
  gives(np.nanmin(holes), 1, "nanmin");
  gives(np.nanmax(np.arange(3)), 2, "nanmax of integers");
  gives(pax.grad((x: T) => np.nanmax(x))(np.array([3, NaN, 1])), [1, 0, 0], "derivative of nanmax");
  gives(pax.grad((x: T) => np.nanmean(x))(np.array([3, NaN, 1])), [0.5, 0, 0.5], "derivative of nanmean");
});
test("norms", () => {
  const v = np.array([[3, -4, 0], [1, 2, 2]]);
  gives(np.norm(v), Math.sqrt(34), "of all elements", close);
  gives(np.norm(v, null, -1), [5, 3], "2-norms of rows");
  gives(np.norm(v, 1, 1, { keepdims: true }), [[7], [5]], "1-norms");
  gives(np.norm(v, Infinity, 1), [4, 2], "greatest magnitude");
  gives(np.norm(v, -Infinity, 1), [0, 1], "least magnitude");
  gives(np.norm(v, 0, 1), [2, 3], "numbers that are not 0");
  gives(np.norm(v, 3, 1), [91 ** (1 / 3), 17 ** (1 / 3)], "3-norms", close);
  gives(np.norm(v, "fro"), Math.sqrt(34), "Frobenius", close);
  gives(np.norm(v, 1, [0, 1]), 6, "greatest sum of a column");
  gives(np.norm(v, 1, [1, 0]), 7, "greatest sum of a row, axes exchanged");
  gives(np.norm(v, -Infinity, [0, 1], { keepdims: true }), [[5]], "least sum of a row");
  gives(np.norm(np.arange(3)), Math.sqrt(5), "of integers", close);
  for (const ord of [1, 2, 3, Infinity]) checkGradient((x) => np.norm(x, ord, 1), [[3, -4, 0.5], [1, 2, 2.5]], `norm ${ord}`);
  throws("value", "norm", /singular/, () => np.norm(v, 2));
  throws("value", "norm", /two axes/, () => np.norm(np.ones([3]), "fro"));
});
test("along an axis", () => {
  gives(np.cumsum(m), [3, 4, 6, 6, 11, 15], "cumsum of the raveled tensor");
  gives(np.cumsum(m, 0), [[3, 1, 2], [3, 6, 6]], "cumsum");
  gives(np.cumprod(m, -1), [[3, 3, 6], [0, 0, 0]], "cumprod");
  gives(np.cummax(m, 1), [[3, 3, 3], [0, 5, 5]], "cummax");
  gives(np.cummin(m, 1), [[3, 1, 1], [0, 0, 0]], "cummin");
  gives(np.diff(m), [[-2, 1], [5, -1]], "diff");
  gives(np.diff(m, 2), [[3], [-6]], "diff of diff");
  assert.equal(np.diff(m, 4).shape, [2, 0]);
  gives(np.diff(np.array([true, false, false])), [true, false], "diff of bool");
  for (const name of ["cumsum", "cumprod", "diff"]) checkGradient((x) => f(name)(x), [1, 0, 2.5], name);
});
test("order", () => {
  const ties = np.array([2, NaN, 1, 2]);
  gives(np.sort(ties), [1, 2, 2, NaN], "sort: NaN last");
  gives(np.sort(ties, -1, { descending: true }), [NaN, 2, 2, 1], "descending");
  gives(np.argsort(ties), [2, 0, 3, 1], "argsort is stable");
  gives(np.argsort(ties, -1, { descending: true }), [1, 0, 3, 2], "descending argsort is stable");
  gives(np.sort(m, 0), [[0, 1, 2], [3, 5, 4]], "sort along 0");
  gives(np.sort(m, null), [0, 1, 2, 3, 4, 5], "sort of the raveled tensor");
  assert.equal(np.sort(np.zeros([0])).shape, [0]);
  checkGradient((x) => np.sort(x, -1, { descending: true }), [[3, 1, 2], [0, 5, 4]], "sort");
  const sorted = [1, 2, 2, 3, NaN];
  for (const v of [0, 1, 1.5, 2, 3, 9]) {
    gives(np.searchsorted(np.array(sorted), v), sorted.filter((s) => s < v).length, `searchsorted left of ${v}`);
    gives(np.searchsorted(np.array(sorted), v, { side: "right" }), sorted.filter((s) => s <= v).length, `searchsorted right of ${v}`);
  }
  gives(np.searchsorted(np.array(sorted), np.array([[NaN, -1]])), [[4, 0]], "searchsorted with NaN");
  gives(np.searchsorted(np.zeros([0]), 1), 0, "searchsorted in nothing");
  throws("shape", "searchsorted", /\[2, 3\]/, () => np.searchsorted(m, 1));
});
test("linear algebra", () => {
  const [a, b] = [np.array([1, 2, 3]), np.array([4, 5, 6])];
  gives(np.dot(a, b), 32, "dot");
  gives(np.vdot(m, m), 55, "vdot");
  gives(np.inner(m, a), [11, 22], "inner");
  gives(np.outer(a, np.array([1, 10])), [[1, 10], [2, 20], [3, 30]], "outer");
  gives(np.matmul(m, a), [11, 22], "matmul");
  gives(np.einsum("ij,kj->ik", m, m), [[14, 13], [13, 41]], "einsum");
  gives(np.tensordot(m, m), 55, "tensordot over two axes");
  gives(np.tensordot(m, m, [[0], [0]]), [[9, 3, 6], [3, 26, 22], [6, 22, 20]], "tensordot over named axes");
  gives(np.tensordot(m, m, [0, 0]), [[9, 3, 6], [3, 26, 22], [6, 22, 20]], "tensordot, one axis each");
  gives(np.tensordot(a, b, 0), [[4, 5, 6], [8, 10, 12], [12, 15, 18]], "tensordot over none");
  gives(np.kron(np.array([[1, 2]]), np.array([[1], [10]])), [[1, 2], [10, 20]], "kron");
  gives(np.kron(np.array([1, 2]), np.eye(2)), [[1, 0, 2, 0], [0, 1, 0, 2]], "kron of different ranks");
  gives(np.cross(a, b), [-3, 6, -3], "cross");
  gives(np.cross(a.reshape(3, 1), b.reshape(3, 1), 0), [[-3], [6], [-3]], "cross along axis 0");
  checkGradient((x) => np.cross(x, b.astype("float64")), [1, 2, 3], "cross");
  checkGradient((x) => np.kron(x, x), [1, 2, 3], "kron");
});
test("comparisons of whole tensors", () => {
  gives(np.isclose(np.array([1, 1, Infinity, 1, NaN]), np.array([1.000001, 1.1, Infinity, Infinity, NaN])), [true, false, true, false, false], "isclose");
  gives(np.isclose(np.array([NaN]), NaN, { equalNan: true }), [true], "equalNan");
  gives(np.isclose(np.array([1], { dtype: "uint8" }), np.array([2], { dtype: "uint8" })), [false], "unsigned integers do not wrap");
  gives(np.isclose(1, np.array([1.5]), { atol: 1 }), [true], "atol");
  assert.is(np.allclose(m, m.mul(1 + 1e-6)), true);
  assert.is(np.allclose(m, m.add(1)), false);
  assert.is(np.allclose(np.zeros([0]), 1), true);
  assert.is(np.arrayEqual(m, m), true);
  assert.is(np.arrayEqual(m, m.get(0)), false);
  assert.is(np.arrayEqual(np.array([NaN]), np.array([NaN])), false);
  assert.is(np.arrayEqual(np.array([NaN]), np.array([NaN]), { equalNan: true }), true);
});
test("errors name the op", () => {
  throws("shape", "sum", /axis 2 .* 2 axes/, () => np.sum(m, 2));
  throws("shape", "mean", /twice/, () => np.mean(m, [0, -2]));
  throws("value", "var", /0\.5/, () => np.var(m, 0.5));
  throws("trace", "max", /staticArgnums/, () => pax.jit((a: T) => np.max(m, a as never))(1));
  throws("value", "sum", /np\.array/, () => np.sum([1, 2] as never));
  throws("shape", "sort", /axis 3/, () => np.sort(m, 3));
  throws("value", "median", /no element/, () => np.median(np.zeros([0])));
  throws("shape", "average", /\[4, 1\]/, () => np.average(m, 0, { weights: np.ones([4]) }));
  throws("shape", "cross", /not 3/, () => np.cross(m, m, 0));
  throws("shape", "tensordot", /3 axes/, () => np.tensordot(m, m, 3));
});

test("JSON has the values of a tensor", () => {
  assert.is(JSON.stringify({ a: np.array([[1, 2], [3, 4]]), b: np.array(0.5), c: np.array([true]) }), '{"a":[[1,2],[3,4]],"b":0.5,"c":[true]}');
  throws("trace", undefined as never, /read inside `jit`/, () => pax.jit((x: T) => { JSON.stringify(x); return x; })(1));
});

test.run();
