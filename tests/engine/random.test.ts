/** Draws that the golden file does not have: other dtypes, integers, choice. Numbers named JAX's are those of jax 0.10.2 for the key of seed 7. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { lookUp } from "../support/loose.js";
import { gives, near, same, throws } from "../support/near.js";

type T = pax.Tensor;
const { np, random } = pax;
const test = suite("random");
const key = random.key(7);

/** JAX's first four numbers. */
const floats: Record<string, Record<string, readonly number[]>> = {
  uniform: {
    float32: [0.67408991, 0.97461689, 0.30284357, 0.44395852],
    float64: [0.8441069450823528, 0.04541258512665647, 0.22498462569285382, 0.06438560513366842],
    float16: [0.16015625, 0.4921875, 0.16210938, 0.26953125],
    bfloat16: [0.0390625, 0.0, 0.6640625, 0.1875],
  },
  normal: {
    float32: [0.45123515, 1.9534509, -0.51623946, -0.14094029],
    float64: [1.0114813355590866, -1.6910609087906374, -0.7554662899926428, -1.5189653807511148],
    float16: [-0.99267578, -0.018966675, -0.984375, -0.61328125],
    bfloat16: [-1.734375, -2.890625, 0.42773438, -0.87890625],
  },
  laplace: {
    float32: [-0.42798662, -2.980525, 0.50139159, 0.1188769],
    float64: [-1.1654378716660514, 2.3988188263562535, 0.7985760288063726, 2.0497180130659443],
    float16: [1.1367188, 0.01525116, 1.125, 0.6171875],
    bfloat16: [2.5, 5.53125, -0.40429688, 0.96875],
  },
  exponential: {
    float32: [1.1211338, 3.673671, 0.36074546, 0.58691239],
    float64: [1.8585850522259963, 0.04647605816229587, 0.2548724120098844, 0.06655185868468777],
    float16: [0.17456055, 0.67773438, 0.17687988, 0.31396484],
    bfloat16: [0.039794922, 0.0, 1.09375, 0.20800781],
  },
  gumbel: {
    float32: [0.9304105, 3.6608431, -0.17776018, 0.20822525],
    float64: [1.7750434817033711, -1.12880713678253, -0.3999319680607421, -1.0090030651502209],
    float16: [-0.60546875, 0.34399414, -0.59863281, -0.27124023],
    bfloat16: [-1.1796875, -4.46875, 0.890625, -0.515625],
  },
};
/** JAX's first six integers: dtype, minval, maxval. */
const integers: readonly (readonly [pax.DType, number, number, readonly number[]])[] = [
  ["int32", -5, 9, [2, 5, 1, -4, 3, 1]],
  ["uint8", 3, 40, [23, 32, 31, 32, 33, 24]],
  ["uint8", 0, 256, [31, 102, 124, 237, 222, 102]],
  ["uint32", 0, 4294967296, [2899676959, 3548400998, 1692160380, 1822441453, 900059358, 2247291750]],
  ["uint32", 1, 2147483655, [752193306, 1400917345, 1692160381, 1822441454, 900059359, 99808097]],
  ["int64", -5, 1000000000, [25199757, 81496879, 402931596, 319853044, 350806401, 22087102]],
  ["int64", 0, 2147483648, [1643395269, 209526717, 659394946, 1896692931, 1591043267, 1322674730]],
  ["int32", -2147483648, 2147483648, [752193311, 1400917350, -455323268, -325042195, -1247424290, 99808102]],
  ["int32", 0, 2147483648, [752193311, 1400917350, 1692160380, 1822441453, 900059358, 99808102]],
  ["uint8", 0, 300, [31, 102, 124, 237, 222, 102]],
  ["int32", 5, 5, [5, 5, 5, 5, 5, 5]],
];

for (const [name, dtypes] of Object.entries(floats)) {
  test(`${name} in every float dtype`, () => {
    for (const [dtype, expected] of Object.entries(dtypes)) {
      const drawn = lookUp<T>(random, name)(key, [4], { dtype });
      assert.is(drawn.dtype, dtype);
      near(drawn.astype("float64"), np.array([...expected], { dtype: "float64" }), `${name} ${dtype}`, { rtol: dtype === "float64" ? 1e-14 : 2e-6, atol: 0 });
    }
  });
}
test("normal, gumbel, laplace and exponential follow from uniform numbers", () => {
  const u = random.uniform(key, [64]);
  const x = Array.from(u.dataSync() as Float32Array);
  gives(random.exponential(key, [64]), x.map((v) => -Math.log1p(-v)), "exponential", { rtol: 1e-5, atol: 1e-7 });
  // The mean and the variance of many draws.
  const many = (name: string): T => lookUp<T>(random, name)(key, [100_000]);
  for (const [name, mean, variance] of [["normal", 0, 1], ["laplace", 0, 2], ["exponential", 1, 1], ["gumbel", 0.5772156649, Math.PI ** 2 / 6]] as const) {
    gives(np.mean(many(name)), mean, `mean of ${name}`, { atol: 0.02, rtol: 0 });
    gives(np.var(many(name)), variance, `variance of ${name}`, { atol: 0.05, rtol: 0 });
  }
});
test("uniform stays in its range", () => {
  for (const dtype of ["float32", "float64", "float16", "bfloat16"] as const) {
    const u = random.uniform(key, [2000], { dtype, minval: -2, maxval: 3 });
    assert.ok(np.min(u).item() >= -2 && np.max(u).item() <= 3, dtype);
  }
  const broadcast = random.uniform(key, [2, 3], { minval: np.array([0, 10, 20]), maxval: np.array([1, 11, 21]) });
  gives(np.floor(broadcast), [[0, 10, 20], [0, 10, 20]], "bounds broadcast");
});
test("truncatedNormal lies between its bounds", () => {
  for (const dtype of ["float32", "float64", "bfloat16"] as const) {
    const drawn = random.truncatedNormal(key, -1, 2, [500], { dtype }).astype("float64");
    assert.ok(np.min(drawn).item() > -1 && np.max(drawn).item() < 2, dtype);
  }
});
test("randint in every integer dtype", () => {
  for (const [dtype, minval, maxval, expected] of integers) {
    const drawn = random.randint(key, [6], minval, maxval, { dtype });
    assert.is(drawn.dtype, dtype);
    assert.equal(Array.from(drawn.dataSync() as ArrayLike<number | bigint>, Number), [...expected], `${dtype} from ${minval} to ${maxval}`);
  }
  throws("dtype", "randint", /float32/, () => random.randint(key, [2], 0, 3, { dtype: "float32" }));
  throws("value", "randint", /2\^31/, () => random.randint(key, [2], 0, 2 ** 40, { dtype: "int64" }));
  throws("value", "randint", /0\.5/, () => random.randint(key, [2], 0, 0.5));
});
test("split, foldIn and bits", () => {
  const keys = random.split(key, [2, 3]);
  assert.equal(keys.shape, [2, 3, 2]);
  same(keys.reshape(6, 2), np.stack(random.split(key, 6)), "a shape of keys is its number of keys");
  gives(pax.vmap((k: T) => random.bits(k, []))(random.split(key, [3])), random.split(key, 3).map((k) => random.bits(k).item()), "keys are mapped");
  gives(random.bits(key, [5], { dtype: "uint8" }), [11, 0, 170, 48, 134], "JAX's uint8 bits");
  same(random.foldIn(key, -1), random.foldIn(key, 2 ** 32 - 1), "foldIn takes the low 32 bits");
  same(random.key(-1n), random.key(2n ** 64n - 1n), "so does key, with 64");
  throws("dtype", "bits", /int32/, () => random.bits(key, [2], { dtype: "int32" }));
  throws("value", "foldIn", /0\.5/, () => random.foldIn(key, 0.5));
  throws("value", "key", /0\.5/, () => random.key(0.5));
});
test("choice", () => {
  const p = np.array([0.1, 0.2, 0.3, 0.4]);
  const x = np.arange(12).reshape(3, 4);
  gives(random.choice(key, 10, [5]), [9, 2, 0, 7, 2], "JAX's, with replacement");
  gives(random.choice(key, 10, [2, 3], { replace: false }), [[9, 4, 2], [3, 5, 0]], "JAX's, without");
  gives(random.choice(key, 4, [8], { p }), [2, 0, 3, 2, 1, 2, 2, 2], "JAX's, with probabilities");
  gives(random.choice(key, 4, [3], { p, replace: false }), [1, 3, 0], "JAX's, with probabilities and without replacement");
  gives(random.choice(key, x, [2], { axis: 1, replace: false }), [[2, 3], [6, 7], [10, 11]], "JAX's slices along an axis");
  gives(random.choice(key, x, [2, 2], { axis: 1 }).get(0), [[3, 2], [0, 1]], "JAX's slices in a shape");
  gives(np.mean(random.choice(key, 4, [20_000], { p }).equal(3)), 0.4, "the share of the likeliest", { atol: 0.02, rtol: 0 });
  gives(np.sort(random.choice(key, 4, [4], { p, replace: false })), [0, 1, 2, 3], "all of them, once each");
  assert.equal(random.choice(key, x, [0]).shape, [0, 4]);
  throws("value", "choice", /4 of 3/, () => random.choice(key, 3, [4], { replace: false }));
  throws("shape", "choice", /\[4\] for 3/, () => random.choice(key, 3, [], { p }));
  throws("value", "choice", /nothing/, () => random.choice(key, 0, [1]));
});
test("permutation and categorical", () => {
  gives(random.permutation(key, np.arange(12).reshape(3, 4), 1), [[2, 3, 0, 1], [6, 7, 4, 5], [10, 11, 8, 9]], "JAX's permutation of columns");
  gives(np.sort(random.permutation(key, 100)), Array.from({ length: 100 }, (_, i) => i), "every number once");
  const logits = np.log(np.array([[0.1, 0.6, 0.3]]));
  const drawn = random.categorical(key, logits, -1, [20_000, 1]);
  gives(np.mean(drawn.equal(np.arange(3)), 0), [0.1, 0.6, 0.3], "categorical's shares", { atol: 0.02, rtol: 0 });
  throws("shape", "categorical", /axis 2/, () => random.categorical(key, logits, 2));
  throws("shape", "permutation", /axis 1/, () => random.permutation(key, np.arange(3), 1));
});
test("bernoulli", () => {
  gives(np.mean(random.bernoulli(key, np.array([0.2, 0.9]), [20_000, 2]), 0), [0.2, 0.9], "shares", { atol: 0.02, rtol: 0 });
  assert.is(random.bernoulli(key).dtype, "bool");
});
test("a shape is a number or an array, and fits what is drawn from", () => {
  for (const draw of ["normal", "uniform", "laplace", "exponential", "gumbel", "bits"] as const) {
    assert.equal(random[draw](key, 3).toArray(), random[draw](key, [3]).toArray(), draw);
    throws("trace", draw, /a size is a tensor/, () => random[draw](key, np.array([2, 3]) as never));
  }
  assert.equal([random.randint(key, 4, 0, 2).shape, random.choice(key, 5, 3).shape, random.bernoulli(key, 0.5, 2).shape, random.truncatedNormal(key, -1, 1, 2).shape], [[4], [3], [2], [2]]);
  throws("shape", "categorical", /\[5, 7\] does not end with \[2\]/, () => random.categorical(key, np.zeros([2, 3]), -1, [5, 7]));
  throws("shape", "bernoulli", /\[2, 3\]/, () => random.bernoulli(key, np.array([[0.1], [0.2]]), [3]));
  throws("shape", "uniform", /\[3, 2\]/, () => random.uniform(key, [2], { minval: np.zeros([3, 1]) }));
  throws("value", "key", /undefined/, () => random.key(undefined as never));
  throws("value", "einsum", /spec/, () => np.einsum(3 as never, np.ones([2])));
});
test("errors name the op", () => {
  throws("dtype", "normal", /int32/, () => random.normal(key, [2], { dtype: "int32" }));
  throws("dtype", "laplace", /int32/, () => random.laplace(key, [2], { dtype: "int32" }));
  throws("dtype", "bits", /uint32/, () => random.normal(np.arange(2), [2]));
  throws("trace", "split", /staticArgnums/, () => pax.jit((n: T) => np.stack(random.split(key, n as never)))(3));
});

test.run();
