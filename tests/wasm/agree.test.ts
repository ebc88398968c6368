/** The native binary and each WebAssembly build give the same numbers: integers and random bits exactly, floats within rounding. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { verbs } from "paxjs/internal";
import { builds } from "./builds.js";

const { np, nn, optax, random } = pax;
type T = pax.Tensor;
const test = suite("native and WebAssembly agree");

interface Numbers { readonly losses: readonly number[]; readonly floats: ReadonlyMap<string, ArrayLike<number>>; readonly exact: ReadonlyMap<string, string>; readonly doubles: readonly ArrayLike<number>[] }

/** 100 steps of the small perceptron of the benchmark, draws of every random function, and a network in float64. */
function compute(): Numbers {
  pax.seedRngKey(5);
  const key = random.key(3);
  const [x, y] = [random.normal(key, [32, 784]), random.randint(random.foldIn(key, 1), [32], 0, 10)];
  let model = new nn.Sequential(new nn.Linear(784, 64), nn.relu, new nn.Linear(64, 10));
  let optimizer: pax.Optimizer = new (pax.optim.fromOptax(optax.sgd(0.01, { momentum: 0.9 })))(model.parameters());
  const loss = (params: pax.nn.Sequential, now: pax.nn.Sequential) => {
    now = now.update(params);
    return [optax.softmaxCrossEntropyWithIntegerLabels(now.forward(x), y).mean(), now] as const;
  };
  const step = pax.jit((now: pax.nn.Sequential, opt: pax.Optimizer) => {
    const [[value, updated], grads] = pax.valueAndGrad(loss, { hasAux: true })(now.parameters(), now);
    return [value, opt.step(grads, updated), opt] as const;
  }, { donateArgnums: [0, 1] });
  const losses: number[] = [];
  for (let i = 0; i < 100; i++) {
    const [value, next, opt] = step(model, optimizer);
    losses.push(value.item());
    [model, optimizer] = [next, opt];
  }
  const floats = new Map(pax.tree.leaves(model.parameters()).map((p, i) => [`parameter ${i}`, (p as T).dataSync() as Float32Array]));
  const bits = (t: T): string => Array.from(t.bytes()).join();
  const many = np.arange(1000).mul(2654435761n).astype("int32");
  const exact = new Map<string, string>([
    ["bits", bits(random.bits(key, [1001]))], ["uniform", bits(random.uniform(key, [1001]))], ["randint", bits(random.randint(key, [1001], -7, 1000))],
    ["key", bits(random.key(2n ** 40n + 7n))], ["nextRngKey", bits(random.nextRngKey())], ["permutation", bits(random.permutation(key, 257))], ["choice", bits(random.choice(key, 99, [40], { replace: false }))],
    ["categorical", bits(random.categorical(key, np.arange(7).astype("float32").mul(0.3), -1, [300]))], ["bernoulli", bits(random.bernoulli(key, 0.3, [1001]))], ["split", bits(random.split(key, 5)[4]!)], ["foldIn", bits(random.foldIn(key, 77))],
    ["integer sums", bits(np.cumsum(many.mul(many)))], ["integer products", bits(many.reshape([10, 100]).matmul(many.reshape([100, 10])))],
    ["int64", bits(np.arange(100).astype("int64").mul(1n << 40n).sum())], ["sort", bits(np.argsort(random.uniform(key, [500])))],
  ]);
  const wide = random.normal(key, [20, 30], { dtype: "float64" });
  const net = (w: T): T => np.tanh(wide.matmul(w)).exp().sum().log();
  const doubles = [pax.jit(net)(wide.reshape([30, 20])), pax.grad(net)(wide.reshape([30, 20])), nn.softmax(wide)].map((t) => t.dataSync() as Float64Array);
  return { losses, floats, exact, doubles };
}

/** Most difference over the largest magnitude. */
function relative(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [most, size] = [0, 0];
  for (let i = 0; i < a.length; i++) [most, size] = [Math.max(most, Math.abs(a[i]! - b[i]!)), Math.max(size, Math.abs(a[i]!))];
  return most / size;
}

assert.is(verbs.binary, "native");
const native = compute();
for (const { name, path } of builds) {
  test(`the build ${name}`, async () => {
    await pax.init({ wasm: path });
    assert.is(verbs.binary, "wasm");
    const here = compute();
    assert.ok(here.losses.at(-1)! < 0.2 * here.losses[0]!, "it learns");
    here.losses.forEach((l, i) => assert.ok(Math.abs(l - native.losses[i]!) <= 1e-5 * native.losses[i]!, `loss ${i} is ${l}, natively ${native.losses[i]}`));
    for (const [which, p] of native.floats) assert.ok(relative(p, here.floats.get(which)!) <= 1e-5, `${which}: ${relative(p, here.floats.get(which)!)}`);
    for (const [which, text] of native.exact) assert.is(here.exact.get(which), text, which);
    native.doubles.forEach((d, i) => assert.ok(relative(d, here.doubles[i]!) <= 1e-12, `float64 ${i}: ${relative(d, here.doubles[i]!)}`));
  });
}

test.run();
