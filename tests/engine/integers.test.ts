/** Integers wrap at their bounds, as in JAX: eagerly, under jit and under vmap. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";

const { np } = pax;
const test = suite("integers");
type T = pax.Tensor;
type Int = "int32" | "int64" | "uint8" | "uint32";

const wrap: Record<Int, (x: bigint) => bigint> = {
  int32: (x) => BigInt.asIntN(32, x), int64: (x) => BigInt.asIntN(64, x), uint8: (x) => BigInt.asUintN(8, x), uint32: (x) => BigInt.asUintN(32, x),
};
const bounds: Record<Int, readonly [bigint, bigint]> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n], int64: [-(2n ** 63n), 2n ** 63n - 1n], uint8: [0n, 255n], uint32: [0n, 2n ** 32n - 1n],
};
const ARRAYS = { int32: Int32Array, uint8: Uint8Array, uint32: Uint32Array } as const;

function make(values: readonly bigint[], dtype: Int): T {
  return np.array(dtype === "int64" ? BigInt64Array.from(values) : ARRAYS[dtype].from(values.map(Number)));
}
const read = (x: T): bigint[] => Array.from(x.dataSync() as ArrayLike<number | bigint>, BigInt);

const binary: Readonly<Record<string, readonly [(a: T, b: T) => T, (a: bigint, b: bigint) => bigint]>> = {
  add: [(a, b) => a.add(b), (a, b) => a + b],
  sub: [(a, b) => a.sub(b), (a, b) => a - b],
  mul: [(a, b) => a.mul(b), (a, b) => a * b],
};

for (const dtype of Object.keys(wrap) as Int[]) {
  const [low, high] = bounds[dtype];
  const values = [low, low + 1n, 0n, 1n, 2n, 3n, high / 2n, high - 1n, high];
  test(`${dtype}: one above the greatest is the least`, () => {
    const [top, bottom] = [make([high], dtype), make([low], dtype)];
    assert.equal(read(top.add(1)), [low]);
    assert.equal(read(bottom.sub(1)), [high]);
    assert.equal(read(pax.jit((x: T) => x.add(1))(top)), [low]);
    assert.equal(read(pax.vmap((x: T) => x.add(1))(top)), [low]);
    assert.is(top.add(1).dtype, dtype);
  });
  for (const [name, [f, exact]] of Object.entries(binary)) {
    test(`${dtype}: ${name} of all pairs of its edges`, () => {
      const pairs = values.flatMap((a) => values.map((b) => [a, b] as const));
      const [a, b] = [make(pairs.map((p) => p[0]), dtype), make(pairs.map((p) => p[1]), dtype)];
      const expected = pairs.map(([x, y]) => wrap[dtype](exact(x, y)));
      for (const g of [f, pax.jit(f), pax.vmap(f)]) assert.equal(read(g(a, b)), expected);
    });
  }
  test(`${dtype}: neg, square, abs`, () => {
    const x = make(values, dtype);
    assert.equal(read(x.neg()), values.map((v) => wrap[dtype](-v)));
    assert.equal(read(x.square()), values.map((v) => wrap[dtype](v * v)));
    assert.equal(read(x.abs()), values.map((v) => wrap[dtype](v < 0n ? -v : v)));
  });
  test(`${dtype}: sums, products and matrix products`, () => {
    const x = make(values, dtype);
    const result = x.sum().dtype as Int;
    assert.is(result, dtype === "uint8" ? "uint32" : dtype);
    let [sum, product] = [0n, 1n];
    const running = values.map((v) => wrap[result](sum += v));
    assert.equal(read(x.sum()), [wrap[result](sum)]);
    assert.equal(read(x.cumsum()), running);
    for (const v of [high, 3n, 5n]) product *= v;
    assert.equal(read(make([high, 3n, 5n], dtype).prod()), [wrap[result](product)]);
    const dot = values.reduce((total, v) => total + v * v, 0n);
    assert.equal(read(x.reshape([1, -1]).matmul(x.reshape([-1, 1]))), [wrap[dtype](dot)]);
  });
  test(`${dtype}: a number that does not fit is refused, a bigint is int64`, () => {
    const x = make([1n], dtype);
    if (dtype !== "int64") assert.throws(() => x.add(Number(high) + 1), (e: unknown) => e instanceof pax.PaxError && e.code === "dtype" && e.message.includes(dtype));
    assert.throws(() => x.mul(0.5), (e: unknown) => e instanceof pax.PaxError && e.code === "dtype");
    assert.is(x.add(1n).dtype, "int64");
  });
}
test("division by zero gives −1, the remainder is the dividend", () => {
  for (const dtype of ["int32", "int64"] as const) {
    const [a, b] = [make([7n, -7n, 0n, bounds[dtype][0]], dtype), make([0n, 0n, 0n, -1n], dtype)];
    assert.equal(read(a.floorDivide(b)).slice(0, 3), [-1n, -1n, -1n]);
    assert.equal(read(a.remainder(b)).slice(0, 3), [7n, -7n, 0n]);
    assert.equal(read(a.floorDivide(b))[3], bounds[dtype][0], "the least by −1 wraps");
  }
});
test("floats to integers truncate and saturate, NaN gives 0", () => {
  const x = np.array([1.9, -1.9, NaN, Infinity, -Infinity, 1e30, -1e30]);
  for (const dtype of Object.keys(wrap) as Int[]) {
    const [low, high] = bounds[dtype];
    assert.equal(read(x.astype(dtype)), [1n, low < 0n ? -1n : 0n, 0n, high, low, high, low]);
  }
});

test.run();
