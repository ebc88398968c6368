/** `x.get`, `x.at`, `take` and iteration against an index worked out place by place. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { checkGradient } from "../support/gradient.js";
import { gives, same, throws } from "../support/near.js";

type T = pax.Tensor;
type Part = pax.np.IndexPart;
const { np } = pax;
const test = suite("indexing");
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** The coordinates of every place of a shape, in order. */
const coordinates = (shape: readonly number[]): number[][] =>
  shape.reduce<number[][]>((all, n) => all.flatMap((c) => range(n).map((i) => [...c, i])), [[]]);

/** An index tensor of the fuzz: its shape and numbers. */
interface Places { readonly shape: readonly number[]; readonly values: readonly number[] }
type Item = number | null | "..." | readonly [number | null, number | null, number] | Places;
const isPlaces = (x: Item): x is Places => typeof x === "object" && x !== null && "shape" in x;

/** NumPy's rules by coordinates: the result's shape, and for each of its elements the coordinates in `x`, which may lie outside. */
function reference(shape: readonly number[], items: readonly Item[]): { readonly shape: number[]; readonly from: number[][] } {
  const missing = shape.length - items.filter((i) => i !== null && i !== "...").length;
  const all: (readonly [number | null, number | null, number])[] = range(missing).map(() => [null, null, 1]);
  const dots = items.indexOf("...");
  const full: Item[] = dots < 0 ? [...items, ...all] : missing === 0 ? [...items] : items.toSpliced(dots, 1, ...all);
  const advanced = full.some(isPlaces);
  const lookups = full.flatMap((i, n) => (isPlaces(i) || (advanced && typeof i === "number") ? [n] : []));
  const inFront = lookups.some((n, i) => n !== lookups[0]! + i);
  const rank = Math.max(0, ...full.map((i) => (isPlaces(i) ? i.shape.length : 0)));
  const block = range(rank).map((d) => Math.max(...full.map((i) => (isPlaces(i) ? (i.shape[d - rank + i.shape.length] ?? 1) : 1))));
  // Which element of the axis each step along a slice takes, by Python's rules.
  const steps = ([start, stop, step]: readonly [number | null, number | null, number], n: number): number[] => {
    const inside = range(n).filter((i) => {
      const low = start === null ? -Infinity : start < 0 ? start + n : start;
      const high = stop === null ? Infinity : stop < 0 ? stop + n : stop;
      return step > 0 ? i >= low && i < high : (start === null || i <= low) && (stop === null || i > high);
    });
    return (step > 0 ? inside : inside.reverse()).filter((_, i) => i % Math.abs(step) === 0);
  };
  let axis = 0;
  const dims: { readonly count: number; readonly set: (c: number[], i: number) => void }[] = [];
  const found: ((c: number[], at: readonly number[]) => void)[] = [];
  let blockAt = 0;
  full.forEach((item, n) => {
    if (item === "...") return;
    if (item === null) { dims.push({ count: 1, set: () => {} }); return; }
    const d = axis++;
    const wrapped = (i: number): number => (i < 0 ? i + shape[d]! : i);
    if (!inFront && n === lookups[0]) blockAt = dims.length;
    if (typeof item === "number") found.push((c) => { c[d] = wrapped(item); });
    else if (isPlaces(item)) {
      found.push((c, at) => {
        const own = item.shape.map((s, k) => (s === 1 ? 0 : at[k + rank - item.shape.length]!));
        c[d] = wrapped(item.values[own.reduce((sum, i, k) => sum * item.shape[k]! + i, 0)]!);
      });
    } else {
      const taken = steps(item, shape[d]!);
      dims.push({ count: taken.length, set: (c, i) => { c[d] = taken[i]!; } });
    }
  });
  const counts = dims.map((d) => d.count);
  const result = [...counts.slice(0, blockAt), ...block, ...counts.slice(blockAt)];
  const from = coordinates(result).map((place) => {
    const c: number[] = [];
    const rest = [...place.slice(0, blockAt), ...place.slice(blockAt + rank)];
    dims.forEach((dim, k) => dim.set(c, rest[k]!));
    for (const f of found) f(c, place.slice(blockAt, blockAt + rank));
    return c;
  });
  return { shape: result, from };
}

/** Deterministic choices. */
function chooser(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}
const PLACE_SHAPES = [[2], [3], [1], [], [2, 3], [2, 1]] as const;

function randomCase(pick: (n: number) => number): { readonly shape: number[]; readonly items: Item[] } {
  const shape = range(1 + pick(4)).map(() => 1 + pick(4));
  const named = pick(shape.length + 1);
  const dots = pick(3) === 0 ? pick(named + 1) : -1;
  const wide = PLACE_SHAPES[pick(PLACE_SHAPES.length)]!;
  const items: Item[] = [];
  for (let i = 0; i <= named; i++) {
    if (i === dots) items.push("...");
    if (i === named) break;
    const n = shape[dots >= 0 && dots <= i ? shape.length - named + i : i]!;
    const end = (): number | null => (pick(3) === 0 ? null : pick(2 * n + 5) - n - 2);
    const kind = pick(5);
    if (kind === 0) items.push(pick(2 * n) - n);
    else if (kind < 3) items.push([end(), end(), [1, 1, 2, -1, -2, 3][pick(6)]!]);
    else {
      const own = pick(2) === 0 ? wide : wide.slice(1);
      items.push({ shape: own, values: range(size(own)).map(() => pick(2 * n + 3) - n - 2) });
    }
    if (pick(7) === 0) items.push(null);
  }
  return { shape, items };
}
const asParts = (items: readonly Item[]): Part[] => items.map((i) =>
  (i === null || i === "..." || typeof i === "number" ? i : isPlaces(i) ? np.array([...i.values], { dtype: "int32" }).reshape(i.shape) : np.slice(...i)));

test("get and at against places worked out one by one", () => {
  const pick = chooser(1);
  for (let n = 0; n < 400; n++) {
    const { shape, items } = randomCase(pick);
    const what = `shape [${shape}], index ${JSON.stringify(items)}`;
    const { shape: expected, from } = reference(shape, items);
    const flat = (c: readonly number[]): number => c.reduce((sum, i, d) => sum * shape[d]! + i, 0);
    const outside = from.map((c) => c.some((i, d) => i < 0 || i >= shape[d]!));
    const places = from.map((c) => flat(c.map((i, d) => Math.min(Math.max(i, 0), shape[d]! - 1))));
    const values = range(size(shape)).map((i) => ((i * 7) % 11) - 4);
    const given = range(places.length).map((i) => ((i * 5) % 13) - 6);
    const weights = range(size(shape)).map((i) => ((i * 3) % 7) - 2.5);
    const x = np.array(values).reshape(shape);
    const v = np.array(given).reshape(expected);
    const w = np.array(weights).reshape(shape);
    const index = asParts(items);
    const is = (y: T, shapeOf: readonly number[], all: readonly number[], which: string): void => same(y, np.array([...all]).reshape(shapeOf), `${which}: ${what}`);

    is(x.get(...index), expected, places.map((p) => values[p]!), "get");
    is(pax.grad((a: T) => a.get(...index).mul(v).sum())(x), shape, values.map((_, i) => places.reduce((sum, p, k) => sum + (p === i ? given[k]! : 0), 0)), "gradient of get");

    const written = (f: (old: number, value: number) => number): number[] => {
      const out = [...values];
      places.forEach((p, k) => { if (!outside[k]) out[p] = f(out[p]!, given[k]!); });
      return out;
    };
    const at = x.at(...index);
    is(at.get(), expected, places.map((p) => values[p]!), "at.get");
    is(at.set(v), shape, written((_, b) => b), "set");
    is(at.add(v), shape, written((a, b) => a + b), "add");
    is(at.min(v), shape, written(Math.min), "min");
    is(at.max(v), shape, written(Math.max), "max");

    const gradients = (op: "set" | "add"): readonly [T, T] => pax.grad((a: T, b: T) => a.at(...index)[op](b).mul(w).sum(), { argnums: [0, 1] })(x, v) as readonly [T, T];
    const [setX, setV] = gradients("set");
    const hit = new Set(places.filter((_, k) => !outside[k]));
    const last = (k: number): boolean => !outside[k] && !places.some((p, j) => j > k && p === places[k] && !outside[j]);
    is(setX, shape, weights.map((g, i) => (hit.has(i) ? 0 : g)), "gradient of set by x");
    is(setV, expected, places.map((p, k) => (last(k) ? weights[p]! : 0)), "gradient of set by the values");
    const [addX, addV] = gradients("add");
    is(addX, shape, weights, "gradient of add by x");
    is(addV, expected, places.map((p, k) => (outside[k] ? 0 : weights[p]!)), "gradient of add by the values");
  }
});

const x = np.arange(12).reshape(3, 4);
test("the forms of an index", () => {
  gives(x.get(1), [4, 5, 6, 7], "an integer drops its axis");
  gives(x.get(-1, -1), 11, "negative integers");
  gives(x.get(np.slice(1), np.slice(null, null, -2)), [[7, 5], [11, 9]], "slices");
  gives(x.get("...", 0), [0, 4, 8], "an ellipsis");
  assert.equal(x.get(null, "...", np.newaxis, 0).shape, [1, 3, 1]);
  gives(x.get([2, 0]), [[8, 9, 10, 11], [0, 1, 2, 3]], "an array of integers");
  gives(x.get([[0, 1], [2, 2]], [0, 3]), [[0, 7], [8, 11]], "two arrays, broadcast");
  gives(x.get(np.array(1, { dtype: "int32" }), 2), 6, "a scalar tensor");
  gives(x.get(np.array([-1, 0], { dtype: "int64" })).get(0), [8, 9, 10, 11], "int64 indices");
  gives(np.arange(300).get(np.array([255], { dtype: "uint8" })), [255], "uint8 indices");
  gives(np.arange(400).reshape(20, 20).get(np.array([19], { dtype: "uint8" }), np.array([18], { dtype: "uint8" })), [398], "two uint8 indices do not wrap");
  gives(x.get([9, -9], np.slice(0, 1)), [[8], [0]], "places outside are moved to the edge");
  assert.equal(x.get(np.slice(2, 1)).shape, [0, 4]);
  assert.equal(x.get([]).shape, [0, 4]);
  gives(np.array(5).get(), 5, "a scalar");
  gives(np.array(5).get(null), [5], "a new axis of a scalar");
  assert.is(x.get(0).dtype, "int32");
});
test("writing", () => {
  const z = np.zeros([3]);
  gives(z.at(1).set(5), [0, 5, 0], "set");
  gives(z, [0, 0, 0], "x stays as it was");
  gives(z.at([0, 0, 7, -1]).add(np.array([1, 2, 3, 4])), [3, 0, 4], "add: duplicates add up, places outside are left out");
  gives(z.at([1, 1]).set(np.array([7, 8])), [0, 8, 0], "the last value stays");
  gives(z.at([0, 0]).max(np.array([-1, 3])), [3, 0, 0], "max");
  gives(z.at(np.slice()).min(np.array([-1, 1, 0])), [-1, 0, 0], "min");
  gives(np.array(5).at().add(1), 6, "all of a scalar");
  gives(z.at(np.slice(1, 1)).set(9), [0, 0, 0], "nowhere");
  gives(x.at("...", 0).set(np.array([1, 2, 3], { dtype: "int32" })).get("...", 0), [1, 2, 3], "a column");
  gives(np.array([true, false, false]).at(1).set(true), [true, true, false], "bool");
  assert.is(np.ones([2], { dtype: "bfloat16" }).at(0).add(0.5).dtype, "bfloat16");
  assert.is(np.ones([2]).at(0).set(np.array(3, { dtype: "int32" })).dtype, "float32");
});
test("derivatives of min and max", () => {
  checkGradient((a) => a.at([0, 0, 2]).max(np.array([0.3, 2.5, -1], { dtype: "float64" })), [1, 2, 3], "max by x");
  checkGradient((v) => np.array([1, 2, 3], { dtype: "float64" }).at([0, 0, 2]).min(v), [0.3, 2.5, 1], "min by the values");
  const tie = pax.grad((a: T, v: T) => a.at([0, 0]).max(v).sum(), { argnums: [0, 1] })(np.array([4]), np.array([4, 4])) as readonly [T, T];
  gives(tie[0], [1 / 3], "a tie of three by x");
  gives(tie[1], [1 / 3, 1 / 3], "a tie of three by the values");
});
test("under vmap and jit, with indices that are traced", () => {
  const i = np.array([0, 2, 1], { dtype: "int32" });
  gives(pax.vmap((a: T, j: T) => a.at(j).set(9))(x, i), [[9, 1, 2, 3], [4, 5, 9, 7], [8, 9, 10, 11]], "vmap of at.set");
  gives(pax.vmap((a: T, j: T) => a.get(j))(x, i), [0, 6, 9], "vmap of get");
  gives(pax.vmap((j: T) => x.get(j, np.slice(0, 2)))(i), [[0, 1], [8, 9], [4, 5]], "vmap over the index only");
  gives(pax.jit((a: T, j: T) => a.get(j, np.slice(1, 3)).add(a.at(0).add(1).get(0, np.slice(0, 2))))(x, np.array(1, { dtype: "int32" })), [6, 8], "jit");
  checkGradient((a) => pax.grad((b: T) => b.at([0, 1]).set(b.get([1, 0]).square()).square().sum())(a), [0.5, -1, 2], "a second derivative");
});
test("iteration over the first axis", () => {
  assert.equal([...x].map((row) => row.toArray()), x.toArray() as unknown[]);
  assert.equal([...np.zeros([0, 2])].length, 0);
  gives(pax.jit((a: T) => { let s = np.zeros([4]); for (const row of a) s = s.add(row); return s; })(x), [12, 15, 18, 21], "inside jit");
  assert.throws(() => [...np.array(1)], /scalar/);
});
test("take and takeAlongAxis", () => {
  gives(np.take(x, [1, -1, 50]), [1, 11, 11], "of the raveled tensor, clamped");
  gives(np.take(x, [[0, 1], [2, 0]], 1).get(0), [[0, 1], [2, 0]], "an axis becomes two");
  gives(np.take(x, 1, -1), [1, 5, 9], "a number drops the axis");
  gives(np.take(x, [4, -5, 6], 1, { mode: "wrap" }).get(0), [0, 3, 2], "wrap");
  gives(np.take(np.arange(300), np.array([255], { dtype: "uint8" }), 0, { mode: "wrap" }), [255], "wrap with uint8");
  gives(np.takeAlongAxis(x, np.argsort(x, 1, { descending: true }), 1), [[3, 2, 1, 0], [7, 6, 5, 4], [11, 10, 9, 8]], "takeAlongAxis");
  gives(np.takeAlongAxis(x, [[2, 0]], 1), [[2, 0], [6, 4], [10, 8]], "indices broadcast");
  gives(np.takeAlongAxis(x, [5, 3]), [5, 3], "raveled");
  checkGradient((a) => np.takeAlongAxis(a, [[0, 0], [2, 1]], 1), [[1, 2, 3], [4, 5, 6]], "takeAlongAxis");
  checkGradient((a) => np.take(a, [[0, 0], [1, 9]]), [1, 2, 3], "take");
});
test("where", () => {
  gives(np.where(np.array([true, false]), np.array([1, 2]), 9), [1, 9], "where");
  const [da, db] = pax.grad((a: T, b: T) => np.where(np.array([true, false]), a, b).sum(), { argnums: [0, 1] })(np.array([1, NaN]), np.array([NaN, 2])) as readonly [T, T];
  gives(da, [1, 0], "the derivative by the first choice");
  gives(db, [0, 1], "the derivative by the second choice");
  throws("value", "where", /shape/, () => (np.where as (c: T) => T)(x));
});
test("errors", () => {
  throws("value", "get", /index 3 is out of range for axis 0 of shape \[3, 4\]/, () => x.get(3));
  throws("value", "at", /index -4/, () => x.at(-4).set(0));
  throws("shape", "get", /3 indices/, () => x.get(0, 0, 0));
  throws("value", "get", /one "\.\.\."/, () => x.get("...", "..."));
  throws("value", "get", /0\.5/, () => x.get(0.5));
  throws("value", "get", /1:2/, () => x.get("1:2" as never));
  throws("dtype", "get", /np\.where/, () => x.get(np.array([true, false, true])));
  throws("dtype", "get", /float32/, () => x.get(np.array(0)));
  throws("shape", "get", /\[2\] and \[3\]/, () => x.get([0, 1], [0, 1, 2]));
  throws("dtype", "at.set", /0\.5 with int32/, () => x.at(0).set(0.5));
  throws("dtype", "at.add", /float32.*int32/, () => x.at(0).add(np.ones([4])));
  throws("shape", "at.set", /\[2\].*\[4\]/, () => x.at(0).set(np.ones([2], { dtype: "int32" })));
  throws("value", "slice", /step is 0/, () => np.slice(0, 1, 0));
  throws("trace", "slice", /x\.take\(np\.arange/, () => pax.jit((a: T) => x.get(np.slice(a as never)))(1));
  throws("shape", "takeAlongAxis", /number of axes/, () => np.takeAlongAxis(x, [0], 1));
});

test.run();
