/** Loaders: batches, shuffling, and going on from a state. */
import * as pax from "paxjs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fails } from "../support/fails.js";

const { np, data } = pax;
const test = suite("data");
const key = np.array(Uint32Array.of(0, 7));
const make = () => data.fromArrays({ x: Float32Array.from({ length: 10 }, (_, i) => i), y: np.array(Int32Array.from({ length: 10 }, (_, i) => i * i)) });
const rows = (loader: Iterable<{ x: pax.Tensor }>): number[][] => [...loader].map(({ x }) => Array.from(x.dataSync(), Number));

test("batches in order, the last one smaller or dropped", () => {
  assert.equal(rows(make().batch(4)), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]);
  assert.is(make().batch(4).length, 3);
  assert.equal(rows(make().batch(4, { dropLast: true })), [[0, 1, 2, 3], [4, 5, 6, 7]]);
});

test("a shuffled pass has every row once, its columns together, each pass another order", async () => {
  const loader = make().shuffle(key).batch(4);
  const first = rows(loader).flat();
  const second: number[] = [];
  for await (const { x, y } of loader) {
    const [a, b] = [await x.data(), await y.data()];
    a.forEach((v: number | bigint, i: number) => { second.push(Number(v)); assert.is(Number(b[i]), Number(v) ** 2); });
  }
  assert.not.equal(first, second);
  for (const pass of [first, second]) assert.equal(pass.sort((p, q) => p - q), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("a restored state goes on where it was, also through a file", () => {
  const loader = make().shuffle(key).batch(4);
  rows(loader);
  for (const _ of loader) break;
  const saved = pax.io.toSafetensors(loader.state());
  const rest = [rows(loader), rows(loader)];
  const other = make().shuffle(np.array(Uint32Array.of(1, 1))).batch(4);
  other.restore(pax.io.fromSafetensors(saved, other.state()));
  assert.equal([rows(other), rows(other)], rest);
});

test("a state behind the last batch goes on with the next pass, and dropLast gives whole batches from wherever it begins", () => {
  const loader = pax.data.fromArrays({ x: np.arange(10) });
  const sizes = (given: Iterable<{ x: pax.Tensor }>): number[] => [...given].map((b) => b.x.shape[0]!);
  const dropping = loader.batch(3, { dropLast: true });
  for (const cursor of [9, 10]) {
    dropping.restore({ epoch: 0, cursor, key: null });
    assert.equal([sizes(dropping), dropping.state().epoch], [[3, 3, 3], 2]);
  }
  dropping.restore({ epoch: 0, cursor: 4, key: null });
  assert.equal(sizes(dropping), [3, 3]);
  for (const key of [undefined, 5, np.array(1)]) fails("value", /restore takes a key/, () => dropping.restore({ epoch: 0, cursor: 0, key: key as never }));
});
test("bad input", () => {
  const code = (f: () => unknown, expected: string): void => assert.throws(f, (e: unknown) => e instanceof pax.PaxError && e.code === expected);
  code(() => data.fromArrays({}), "tree");
  code(() => data.fromArrays({ a: new Float32Array(3), b: new Float32Array(2) }), "shape");
  code(() => data.fromArrays([np.array(1)]), "shape");
  code(() => make().batch(0), "value");
  code(() => make().batch(11, { dropLast: true }), "value");
  code(() => make().shuffle(np.array(1)), "value");
});

test.run();
