/** Indices out of range, repeated and wrong, as JAX has them: gather clamps, scatter drops, a negative index counts from the end. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import * as internal from "paxjs/internal";

const { np } = pax;
const test = suite("indices");
type T = pax.Tensor;
type Mode = "set" | "add" | "min" | "max";
const MODES: readonly Mode[] = ["set", "add", "min", "max"];

const flat = (x: T): number[] => Array.from(x.dataSync() as ArrayLike<number>);
const ints = (x: readonly number[]): T => np.array(x, { dtype: "int32" });
const N = 4;
/** In range, negative, at the bounds and beyond them, repeated, and the ends of int32. */
const INDICES: readonly (readonly number[])[] = [
  [0, 1, 2, 3], [3, 3, 3], [-1, -4], [4, -5], [100, -100, 0, 0], [2147483647, -2147483648], [1, 1, 4, 1, -3, -5], [],
];

/** Where an index points; `null` outside. */
const place = (i: number): number | null => {
  const at = i < 0 ? i + N : i;
  return at >= 0 && at < N ? at : null;
};
const clamped = (i: number): number => Math.min(Math.max(i < 0 ? i + N : i, 0), N - 1);

function scattered(x: readonly number[], indices: readonly number[], updates: readonly number[], mode: Mode): number[] {
  const out = [...x];
  indices.forEach((i, k) => {
    const at = place(i);
    if (at === null) return;
    const [old, u] = [out[at]!, updates[k]!];
    out[at] = mode === "set" ? u : mode === "add" ? old + u : mode === "min" ? Math.min(old, u) : Math.max(old, u);
  });
  return out;
}
const scatter = (x: T, indices: T, updates: T, mode: Mode, axis = 0): T =>
  mode === "set" || mode === "add" ? internal.scatter(x, indices, updates, axis, 0, "drop", mode) : internal.scatterExtreme(x, indices, updates, axis, 0, "drop", mode);

const X = [10, 20, 30, 40];
const updatesFor = (indices: readonly number[]): number[] => indices.map((_, k) => 15 + 10 * (k % 3) - k);

for (const indices of INDICES) {
  const name = JSON.stringify(indices);
  test(`gather clamps ${name}`, () => {
    const x = np.array(X);
    const expected = indices.map((i) => X[clamped(i)]!);
    assert.equal(flat(np.take(x, ints(indices), 0)), expected);
    assert.equal(flat(pax.jit((a: T, i: T) => np.take(a, i, 0))(x, ints(indices))), expected);
    assert.equal(flat(np.take(np.stack([x, x.neg()], 1), ints(indices), 0)), expected.flatMap((v) => [v, -v]));
    assert.equal(flat(np.take(np.stack([x, x.neg()]), ints(indices), 1)), [...expected, ...expected.map((v) => -v)]);
    assert.equal(flat(pax.vmap((a: T) => np.take(a, ints(indices), 0))(np.stack([x, x.neg()]))), [...expected, ...expected.map((v) => -v)]);
    if (indices.length > 0) assert.equal(flat(pax.vmap((i: T) => np.take(x, i, 0))(ints(indices))), expected);
  });
  test(`gather's gradient adds up where it clamped ${name}`, () => {
    const weights = indices.map((_, k) => k + 1);
    const expected = X.map((_, at) => indices.reduce((sum, i, k) => sum + (clamped(i) === at ? weights[k]! : 0), 0));
    assert.equal(flat(pax.grad((a: T) => np.take(a, ints(indices), 0).mul(np.array(weights)).sum())(np.array(X))), expected);
  });
  for (const mode of MODES) {
    test(`scatter ${mode} drops ${name}`, () => {
      const [x, updates] = [np.array(X), updatesFor(indices)];
      const expected = scattered(X, indices, updates, mode);
      assert.equal(flat(scatter(x, ints(indices), np.array(updates), mode)), expected);
      assert.equal(flat(pax.jit((a: T, i: T, u: T) => scatter(a, i, u, mode))(x, ints(indices), np.array(updates))), expected);
      assert.equal(flat(scatter(np.stack([x, x]), ints(indices), np.stack([np.array(updates), np.array(updates)]), mode, 1)), [...expected, ...expected]);
      const other = indices.map((i) => -1 - i);
      assert.equal(
        flat(pax.vmap((a: T, i: T, u: T) => scatter(a, i, u, mode))(np.stack([x, x]), np.stack([ints(indices), ints(other)]), np.stack([np.array(updates), np.array(updates)]))),
        [...expected, ...scattered(X, other, updates, mode)]);
      assert.equal(flat(x), X, "the operand stays");
    });
  }
}
test("the index dtypes", () => {
  for (const dtype of ["int32", "int64", "uint8", "uint32"] as const) {
    assert.equal(flat(np.take(np.array(X), np.array([3, 0, 200], { dtype }), 0)), [40, 10, 40]);
    assert.equal(flat(scatter(np.array(X), np.array([3, 0, 200], { dtype }), np.array([1, 2, 3]), "set")), [2, 20, 30, 1]);
  }
});
test("scatter's gradients: what was overwritten or dropped gets none", () => {
  const indices = [1, 1, 9, -1];
  const [gx, gu] = pax.grad((x: T, u: T) => scatter(x, ints(indices), u, "set").mul(np.array([1, 2, 3, 4])).sum(), { argnums: [0, 1] })(np.array(X), np.array([5, 6, 7, 8]));
  assert.equal(flat(gx), [1, 0, 3, 0]);
  assert.equal(flat(gu), [0, 2, 0, 4]);
  const [ax, au] = pax.grad((x: T, u: T) => scatter(x, ints(indices), u, "add").mul(np.array([1, 2, 3, 4])).sum(), { argnums: [0, 1] })(np.array(X), np.array([5, 6, 7, 8]));
  assert.equal(flat(ax), [1, 2, 3, 4]);
  assert.equal(flat(au), [2, 2, 0, 4]);
});
test("scatter-add is gather's transpose", () => {
  for (const indices of INDICES.filter((all) => all.every((i) => place(i) !== null))) {
    const [v, u] = [np.array(X), np.array(updatesFor(indices))];
    const left = scatter(np.zeros([N]), ints(indices), u, "add").mul(v).sum().item();
    assert.is(left, u.mul(np.take(v, ints(indices), 0)).sum().item());
  }
});
test("wrong indices", () => {
  const is = (code: pax.ErrorCode, fact: RegExp, f: () => unknown): void => assert.throws(f, (e: unknown) => e instanceof pax.PaxError && e.code === code && fact.test(e.message));
  const x = np.array(X);
  is("value", /NaN/, () => np.take(x, [0, NaN], 0));
  is("value", /NaN/, () => np.take(x, NaN, 0));
  is("value", /1\.5/, () => np.take(x, [1.5], 0));
  is("value", /Infinity/, () => np.take(x, [Infinity], 0));
  is("dtype", /float32/, () => np.take(x, np.array([NaN]), 0));
  is("dtype", /bool/, () => np.take(x, np.array([true]), 0));
  is("dtype", /float32/, () => scatter(x, np.array([0]), np.array([1]), "set"));
  is("shape", /\[2\].*\[1\]/, () => scatter(x, ints([0]), np.array([1, 2]), "set"));
  is("value", /axis 0 of size 0/, () => np.take(np.zeros([0]), [0], 0));
  assert.equal(flat(scatter(np.zeros([0]), ints([0]), np.array([1]), "set")), [], "nothing is there to be written");
});

test.run();
