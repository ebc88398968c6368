/** threefry2x32: its known answers, odd sizes, and the same bits eagerly, under jit, and under vmap. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { same } from "../support/near.js";

const { np, random } = pax;
const test = suite("threefry");
type T = pax.Tensor;
type Words = readonly [number, number];

/** Threefry-2x32 with 20 rounds, written from Salmon et al. 2011, section 3.3. */
function threefry(key: Words, counter: Words): Words {
  const schedule = [key[0], key[1], 0x1bd11bda ^ key[0] ^ key[1]];
  const rotations = [13, 15, 26, 6, 17, 29, 16, 24];
  let [a, b] = [(counter[0] + schedule[0]!) | 0, (counter[1] + schedule[1]!) | 0];
  for (let round = 0; round < 20; round++) {
    const r = rotations[round % 8]!;
    a = (a + b) | 0;
    b = ((b << r) | (b >>> (32 - r))) ^ a;
    if (round % 4 !== 3) continue;
    const s = (round + 1) / 4;
    a = (a + schedule[s % 3]!) | 0;
    b = (b + schedule[(s + 1) % 3]! + s) | 0;
  }
  return [a >>> 0, b >>> 0];
}

const ONES = 0xffffffff;
/** `kat_vectors` of Random123: key, counter, answer. */
const KNOWN: readonly (readonly [Words, Words, Words])[] = [
  [[0, 0], [0, 0], [0x6b200159, 0x99ba4efe]],
  [[ONES, ONES], [ONES, ONES], [0x1cb996fc, 0xbb002be7]],
  [[0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3], [0xc4923a9c, 0x483df7a0]],
];
const KEYS = KNOWN.map(([key]) => key);
const SIZES = [1, 2, 3, 5, 7, 31, 33];

const words = (x: T): number[] => Array.from(x.dataSync() as Uint32Array);
const keyOf = (key: Words): T => np.array(Uint32Array.from(key));
const keys = (n: number): T => np.stack(random.split(random.key(7), n));

test("the reference of this test gives the known answers", () => {
  for (const [key, counter, answer] of KNOWN) assert.equal(threefry(key, counter), answer);
});
test("the engine gives the first of them, and the reference's words for all their keys", () => {
  assert.equal(words(random.split(keyOf([0, 0]), 1)[0]!), KNOWN[0]![2]);
  for (const key of KEYS) {
    for (const n of SIZES) {
      const expected = Array.from({ length: n }, (_, i) => threefry(key, [0, i]));
      assert.equal(random.split(keyOf(key), n).map(words), expected);
      assert.equal(words(random.bits(keyOf(key), [n])), expected.map(([a, b]) => (a ^ b) >>> 0));
    }
    // Only the low word of a counter is data: a high one would take 2^32 numbers.
    for (const data of [0, 1, 0x85a308d3, ONES, -1]) assert.equal(words(random.foldIn(keyOf(key), data)), threefry(key, [0, data >>> 0]));
  }
});
test("a shape is only a shape: bits count in row-major order", () => {
  for (const shape of [[33], [3, 11], [11, 3], [1, 33, 1]]) assert.equal(words(random.bits(random.key(3), shape)), words(random.bits(random.key(3), [33])));
});
test("a longer draw begins with the shorter one", () => {
  const long = words(random.bits(random.key(5), [33]));
  for (const n of SIZES) assert.equal(words(random.bits(random.key(5), [n])), long.slice(0, n));
});

/** Everything that draws, by the number of elements. */
const draws: Readonly<Record<string, (key: T, n: number) => T>> = {
  split: (key, n) => np.stack(random.split(key, n)),
  foldIn: (key, n) => random.foldIn(key, n),
  bits: (key, n) => random.bits(key, [n]),
  "uniform float32": (key, n) => random.uniform(key, [n]),
  "uniform float64": (key, n) => random.uniform(key, [n], { dtype: "float64" }),
  "uniform float16": (key, n) => random.uniform(key, [n], { dtype: "float16" }),
  "uniform bfloat16": (key, n) => random.uniform(key, [n], { dtype: "bfloat16" }),
  normal: (key, n) => random.normal(key, [n]),
  randint: (key, n) => random.randint(key, [n], -3, 1000),
  bernoulli: (key, n) => random.bernoulli(key, 0.3, [n]),
  permutation: (key, n) => random.permutation(key, n),
  "permutation of rows": (key, n) => random.permutation(key, np.arange(2 * n).reshape([n, 2])),
  categorical: (key, n) => random.categorical(key, np.arange(n).astype("float32")),
};
for (const [name, draw] of Object.entries(draws)) {
  test(`${name} under jit and vmap equals eager`, () => {
    for (const n of SIZES) {
      const many = keys(3);
      const one = random.key(n);
      const stacked = np.stack(random.split(random.key(7), 3).map((key) => draw(key, n)));
      same(pax.jit((key: T) => draw(key, n))(one), draw(one, n), `${name} ${n} under jit`);
      same(pax.vmap((key: T) => draw(key, n))(many), stacked, `${name} ${n} under vmap`);
      same(pax.jit(pax.vmap((key: T) => draw(key, n)))(many), stacked, `${name} ${n} under jit of vmap`);
      same(pax.vmap(pax.jit((key: T) => draw(key, n)))(many), stacked, `${name} ${n} under vmap of jit`);
      same(pax.vmap((key: T) => draw(key, n), { inAxes: 1, outAxes: -1 })(many.transpose()), np.moveaxis(stacked, 0, -1), `${name} ${n} along the last axis`);
      same(pax.vmap((_: T) => draw(one, n))(np.zeros([3])), np.stack([one, one, one].map((key) => draw(key, n))), `${name} ${n} of a key that is not mapped`);
    }
  });
}
test("foldIn with mapped data and one key, and with both mapped", () => {
  for (const n of SIZES) {
    const data = np.arange(n);
    const key = random.key(1);
    const expected = np.stack(Array.from({ length: n }, (_, i) => random.foldIn(key, i)));
    same(pax.vmap((i: T) => random.foldIn(key, i))(data), expected, `${n} numbers`);
    same(pax.jit(pax.vmap((i: T) => random.foldIn(key, i)))(data), expected, `${n} numbers under jit`);
    const each = random.split(key, n);
    same(pax.vmap((k: T, i: T) => random.foldIn(k, i))(np.stack(each), data), np.stack(each.map((k, i) => random.foldIn(k, i))), `${n} keys and numbers`);
  }
});
test("under grad the bits are the same, and have no gradient", () => {
  const x = np.ones([5]);
  const mask = random.bernoulli(random.key(2), 0.5, [5]).astype("float32");
  same(pax.grad((a: T) => a.mul(random.bernoulli(random.key(2), 0.5, [5])).sum())(x), mask, "the gradient is the mask");
});
test("permutations hold every element once", () => {
  for (const n of SIZES) assert.equal(words(random.permutation(random.key(n), n)).sort((a, b) => a - b), Array.from({ length: n }, (_, i) => i));
});

test.run();
