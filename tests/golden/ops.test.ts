/** Values and gradients of functions against JAX's, with ties, zeros and extremes. */
import * as pax from "paxjs";
import { suite } from "uvu";
import { lookUp } from "../support/loose.js";
import { near } from "../support/near.js";
import { golden } from "../support/safetensors.js";

type T = pax.Tensor;
type Op = (...xs: T[]) => T;

const np = (name: string) => lookUp<T>(pax.np, name);
const nn = (name: string) => lookUp<T>(pax.nn, name);
const plain = (name: string): Op => (...xs) => np(name)(...xs);
const activation = (name: string): Op => (x) => nn(name)(x!);
const reduction = (f: (x: T, axis?: number) => T): [Op, Op, Op] => [(x) => f(x!), (x) => f(x!, 0), (x) => f(x!, -1)];

const ops = new Map<string, Op>();
for (const name of ["neg", "abs", "exp", "sin", "cos", "tanh", "square", "sign", "expm1", "floor", "round", "log", "sqrt", "log1p", "where"]) ops.set(name, plain(name));
for (const [name, f] of [["sigmoid", "sigmoid"], ["relu", "relu"], ["silu", "silu"], ["softplus", "softplus"], ["elu", "elu"], ["leaky_relu", "leakyRelu"], ["log_sigmoid", "logSigmoid"], ["relu6", "relu6"], ["hard_tanh", "hardTanh"], ["softmax", "softmax"], ["log_softmax_extreme", "logSoftmax"]] as const) ops.set(name, activation(f));
ops.set("gelu_tanh", (x) => nn("gelu")(x, { approximate: true }));
ops.set("gelu_erf", (x) => nn("gelu")(x, { approximate: false }));
for (const [name, f] of [["add", "add"], ["subtract", "sub"], ["multiply", "mul"], ["divide", "div"], ["maximum", "maximum"], ["minimum", "minimum"]] as const) {
  for (const suffix of ["broadcast", "scalar", "ties"]) ops.set(`${name}_${suffix}`, plain(f));
}
ops.set("power", plain("pow"));
ops.set("where", (c, a, b) => np("where")(pax.np.greater(c!, 0), a, b));
const reductions: [string, (x: T, axis?: number) => T][] = [
  ...["sum", "mean", "max", "min", "prod", "var"].map((name): [string, (x: T, axis?: number) => T] => [name, (x, axis) => np(name)(x, axis)]),
  ["std", (x, axis) => np("sqrt")(np("var")(x, axis).add(1e-6))],
  ["logsumexp", (x, axis) => nn("logsumexp")(x, axis)],
];
for (const [name, f] of reductions) reduction(f).forEach((op, i) => ops.set(`${name}_${["all", "axis0", "axis-1"][i]}`, op));
const more: Record<string, Op> = {
  erf: (x) => np("erf")(x),
  rsqrt: (x) => np("rsqrt")(x),
  reciprocal: (x) => np("reciprocal")(x),
  "argmax_axis1": (x) => np("argmax")(x, 1),
  "argmin_axis0": (x) => np("argmin")(x, 0),
  "cumsum_axis1": (x) => np("cumsum")(x, 1),
  "one_hot": (x) => pax.nn.oneHot(x!, 5),
  "sort_axis-1": (x) => np("sort")(x, -1),
  argsort: (x) => np("argsort")(x),
  "matmul_2d": plain("matmul"),
  "matmul_batched": plain("matmul"),
  "matmul_vec": plain("matmul"),
  "dot_vec": plain("dot"),
  "einsum_bhqd_bhkd": (a, b) => np("einsum")("bhqd,bhkd->bhqk", a, b),
  "einsum_ij_jk_ik": (a, b) => np("einsum")("ij,kj->ik", a, b),
  "transpose_201": (x) => np("transpose")(x, [2, 0, 1]),
  reshape: (x) => np("reshape")(x, [4, -1]),
  "concat_axis1": (a, b) => np("concatenate")([a, b], 1),
  "stack_axis1": (a, b) => np("stack")([a, b], 1),
  pad: (x) => np("pad")(x, [[1, 2], [0, 3]]),
  flip: (x) => np("flip")(x, 1),
  tile: (x) => np("tile")(x, [2, 3]),
  "slice_strided": (x) => np("flip")(np("take")(x, [1, 3], 0), 1),
  "take_axis0_repeated": (x, i) => np("take")(x, i, 0),
  "take_along_axis": (x, i) => np("takeAlongAxis")(x, i, 1),
  tril: (x) => np("tril")(x),
  clip: (x) => np("clip")(x, -0.5, 0.5),
  outer: plain("outer"),
  "hessian_diag_like": (x) => {
    const inner = pax.grad((q: T) => np("sum")(np("pow")(np("tanh")(q), 3)));
    return pax.grad((z: T) => np("sum")(np("square")(inner(z))))(x!);
  },
  "where_sqrt_safe": (x) => {
    const positive = pax.np.greater(x!, 0);
    return np("where")(positive, np("sqrt")(np("where")(positive, x, 1)), 0);
  },
};
for (const [name, op] of Object.entries(more)) ops.set(name, op);

interface Case { readonly case: string; readonly diff: readonly number[]; readonly rtol?: number }
const data = golden<Case>("ops");
const test = suite("golden ops");

for (const { case: name, diff, rtol } of data.cases) {
  const tolerance = rtol === undefined ? {} : { rtol };
  test(name, () => {
    const op = ops.get(name);
    if (op === undefined) throw new Error(`no op for the golden case ${name}`);
    const xs = data.list(`${name}/x`);
    near(op(...xs), data.get(`${name}/y`), `${name}: value`, tolerance);
    if (!data.has(`${name}/cot/0`)) return;
    const cotangent = data.get(`${name}/cot/0`);
    const loss = (parts: T[]): T => {
      const all = [...xs];
      diff.forEach((at, i) => { all[at] = parts[i]!; });
      return np("sum")(op(...all).mul(cotangent));
    };
    const gradients = pax.grad(loss)(diff.map((at) => xs[at]!)) as T[];
    diff.forEach((at, i) => near(gradients[i]!, data.get(`${name}/dx/${at}`), `${name}: gradient of argument ${at}`, tolerance));
  });
}
test.run();
