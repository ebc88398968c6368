/**
 * Every ordered pair and triple of transformations around a function that closes over a tensor of each outer level, and the
 * gradient of each, against central differences. The function is a polynomial of degree 3, for which five points are exact.
 */
import * as pax from "paxjs";
import { stats } from "paxjs/internal";
import { suite } from "uvu";
import * as assert from "uvu/assert";

const { np } = pax;
type T = pax.Tensor;
type V = readonly number[];
const f64 = (v: pax.ArrayData): T => np.array(v, { dtype: "float64" });
const W: V = [0.5, -1.25];
const CT: V = [1, -0.5];
const DIR: V = [-0.75, 0.5];
const SCALES: V = [1, -0.5];
const N = W.length;

/** y³ + Σ_k (½ + k) x_k y² + Σ_k (x_k · y) x_k, with x_k the tensors of the outer levels. */
const base = (outer: readonly T[], y: T): T => outer.reduce((sum, x, k) => sum.add(x.mul(y).mul(y).mul(0.5 + k)).add(x.mul(y).sum().mul(x)), y.mul(y).mul(y));
const baseOf = (outer: readonly V[], y: V): number[] => y.map((a, i) =>
  outer.reduce((sum, x, k) => sum + (0.5 + k) * x[i]! * a * a + x.reduce((s, b, j) => s + b * y[j]!, 0) * x[i]!, a ** 3));

/** df/dx · d. */
function along(f: (x: V) => number[], x: V, d: V): number[] {
  const at = (c: number): number[] => f(x.map((a, i) => a + (c * d[i]!) / 8));
  const [p1, m1, p2, m2] = [at(1), at(-1), at(2), at(-2)];
  return p1.map((_, i) => (8 * (p1[i]! - m1[i]!) - (p2[i]! - m2[i]!)) / 1.5);
}
const inner = (a: V, b: V): number => a.reduce((s, x, i) => s + x * b[i]!, 0);
const unit = (i: number): V => W.map((_, k) => Number(k === i));
const times = (a: V, b: V): number[] => a.map((x, i) => x * b[i]!);
const scaled = (x: T): T => np.stack(SCALES.map((s) => x.mul(s)));
const eachScale = (f: (x: V) => number[], x: V): number[][] => SCALES.map((s) => f(x.map((a) => a * s)));

/** Each transformation, and what it means in numbers. */
const transformations: Record<string, readonly [(f: (y: T) => T, x: T) => T, (f: (y: V) => number[], x: V) => number[]]> = {
  grad: [(f, x) => pax.grad((y: T) => f(y).mul(f64(W)).sum())(x), (f, x) => x.map((_, i) => inner(along(f, x, unit(i)), W))],
  vjp: [(f, x) => pax.vjp(f, x)[1](x.mul(f64(CT)))[0] as T, (f, x) => x.map((_, i) => inner(along(f, x, unit(i)), times(x, CT)))],
  jvp: [(f, x) => pax.jvp(f, [x], [x.mul(f64(DIR))])[1], (f, x) => along(f, x, times(x, DIR))],
  vmap: [(f, x) => pax.vmap(f)(scaled(x)).sum(0), (f, x) => { const all = eachScale(f, x); return x.map((_, i) => all.reduce((s, o) => s + o[i]!, 0)); }],
  jit: [(f, x) => pax.jit(f)(x), (f, x) => f(x)],
  scan: [
    (f, x) => { const [c, ys] = pax.scan((c: T, s: T) => { const y = f(s); return [c.mul(0.5).add(y), y]; }, f64(CT), scaled(x)); return c.add(ys.sum(0)); },
    (f, x) => { const all = eachScale(f, x); return x.map((_, i) => all.reduce((c, o) => 0.5 * c + o[i]!, CT[i]!) + all.reduce((s, o) => s + o[i]!, 0)); },
  ],
  checkpoint: [(f, x) => pax.checkpoint(f)(x), (f, x) => f(x)],
};
const names = Object.keys(transformations);

function run(list: readonly string[], outer: readonly T[], x: T): T {
  const [first, ...rest] = list;
  return first === undefined ? base(outer, x) : transformations[first]![0]((y) => run(rest, [...outer, x], y), x);
}
function runOf(list: readonly string[], outer: readonly V[], x: V): number[] {
  const [first, ...rest] = list;
  return first === undefined ? baseOf(outer, x) : transformations[first]![1]((y) => runOf(rest, [...outer, x], y), x);
}

const test = suite("nesting");
const lists = (n: number): string[][] => (n === 0 ? [[]] : lists(n - 1).flatMap((l) => names.map((name) => [...l, name])));
for (const n of [1, 2, 3]) {
  test(`${names.length ** n} ways to nest ${n}`, () => {
    const x = [0.7, -1.1];
    const failures: string[] = [];
    for (const list of lists(n)) {
      const compare = (what: string, got: T, want: V): void => {
        const values = Array.from(got.dataSync(), Number);
        if (values.length !== N || values.some((v, i) => !(Math.abs(v - want[i]!) <= 1e-7 * (1 + Math.abs(want[i]!))))) failures.push(`${list.join("(")}: ${what} is ${values}, not ${want}`);
      };
      compare("value", run(list, [], f64(x)), runOf(list, [], x));
      compare("gradient", pax.grad((y: T) => run(list, [], y).mul(f64(W)).sum())(f64(x)), x.map((_, i) => inner(along((y) => runOf(list, [], y), x, unit(i)), W)));
      if (stats().depth !== 0) failures.push(`${list.join("(")}: a level is left`);
    }
    assert.is(failures.length, 0, failures.slice(0, 10).join("\n"));
  });
}
test.run();
