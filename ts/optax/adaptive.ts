/** Updates over a root of their own squares: RMSProp, Adagrad, Adadelta, SM3 and Adafactor. */
import { axisOf, otherAxes } from "../ops/axes.js";
import * as rows from "../ops/generated/rows.js";
import { castTo } from "../ops/halves.js";
import { max, mean } from "../ops/reduce.js";
import { expandDims } from "../ops/shape.js";
import type { Shape, Tensor, TensorLike } from "../tensor.js";
import type { TensorTree } from "../tree/index.js";
import { counter, each, needParams, negative, offset, oneMinus, safeIncrement, swept, tensors, times, type GradientTransformation } from "./transform.js";
import * as tree from "./tree.js";

/** `x / sqrt(square + eps)`, 0 where the square is 0. */
const overRoot = (x: Tensor, square: Tensor, eps: TensorLike): Tensor =>
  rows.mul(x, rows.select(rows.greater(square, 0), rows.rsqrt(offset(square, eps)), 0));

/** The sum of the squares of all updates so far. */
export type ScaleByRssState = { readonly sumOfSquares: TensorTree };
/** Updates over the root of the sum of all squares so far (Duchi et al. 2011). */
export const scaleByRss = ({ initialAccumulatorValue = 0.1, eps = 1e-7 }: { readonly initialAccumulatorValue?: TensorLike; readonly eps?: TensorLike } = {}): GradientTransformation<ScaleByRssState> => swept({
  init: (params) => ({ sumOfSquares: tree.fullLike(params, initialAccumulatorValue) }),
  update(updates, state) {
    const sumOfSquares = each((total, g) => rows.add(rows.square(g!), total), state.sumOfSquares, updates);
    return [each((g, s) => overRoot(g, s!, eps), updates, sumOfSquares), { sumOfSquares }];
  },
});

/** Rates and constants of `scaleByRms` and `scaleByStddev`. */
export type RmsOptions = {
  readonly decay?: TensorLike; readonly eps?: TensorLike; readonly initialScale?: TensorLike;
  /** Whether `eps` stands inside the root. */
  readonly epsInSqrt?: boolean; readonly biasCorrection?: boolean;
};
/** `count` is there with `biasCorrection` alone. */
export type ScaleByRmsState = { readonly count?: Tensor; readonly nu: TensorTree };
/** The averages of updates (`mu`) and of their squares (`nu`). */
export type ScaleByStddevState = ScaleByRmsState & { readonly mu: TensorTree };

/** The factor of an update whose square is on average `square`. */
const inverseRoot = (square: Tensor, eps: TensorLike, inside: boolean): Tensor =>
  (inside ? rows.rsqrt(offset(square, eps)) : rows.reciprocal(offset(rows.sqrt(square), eps)));
/** Updates over the root of the average of their squares (Hinton 2012). */
export const scaleByRms = ({ decay = 0.9, eps = 1e-8, initialScale = 0, epsInSqrt = true, biasCorrection = false }: RmsOptions = {}): GradientTransformation<ScaleByRmsState> => swept({
  init: (params) => ({ nu: tree.fullLike(params, initialScale), ...(biasCorrection ? { count: counter() } : {}) }),
  update(updates, state) {
    const nu = tree.castLike(tree.updateMoment(updates, state.nu, decay, 2), state.nu);
    const count = state.count === undefined ? {} : { count: safeIncrement(state.count) };
    const average = count.count === undefined ? nu : tree.biasCorrection(nu, decay, count.count);
    return [each((g, v) => rows.mul(g, inverseRoot(v!, eps, epsInSqrt)), updates, average), { nu, ...count }];
  },
});
/** Updates over their standard deviation: RMSProp centred (Graves 2013). */
export const scaleByStddev = ({ decay = 0.9, eps = 1e-8, initialScale = 0, epsInSqrt = true, biasCorrection = false }: RmsOptions = {}): GradientTransformation<ScaleByStddevState> => swept({
  init: (params) => ({ mu: tree.zerosLike(params), nu: tree.fullLike(params, initialScale), ...(biasCorrection ? { count: counter() } : {}) }),
  update(updates, state) {
    const mu = tree.castLike(tree.updateMoment(updates, state.mu, decay, 1), state.mu);
    const nu = tree.castLike(tree.updateMoment(updates, state.nu, decay, 2), state.nu);
    const count = state.count === undefined ? {} : { count: safeIncrement(state.count) };
    const hat = <P>(moment: P): P => (count.count === undefined ? moment : tree.biasCorrection(moment, decay, count.count));
    return [each((g, m, v) => rows.mul(g, inverseRoot(rows.sub(v!, rows.square(m!)), eps, epsInSqrt)), updates, hat(mu), hat(nu)), { mu, nu, ...count }];
  },
});

/** The averages of the squares of gradients (`eG`) and of steps (`eX`). */
export type ScaleByAdadeltaState = { readonly eG: TensorTree; readonly eX: TensorTree };
/** Updates over the root of the average of their squares, times that of the steps before (Zeiler 2012). */
export const scaleByAdadelta = ({ rho = 0.9, eps = 1e-6 }: { readonly rho?: TensorLike; readonly eps?: TensorLike } = {}): GradientTransformation<ScaleByAdadeltaState> => swept({
  init: (params) => ({ eG: tree.zerosLike(params), eX: tree.zerosLike(params) }),
  update(updates, state) {
    const root = (square: Tensor): Tensor => rows.sqrt(offset(square, eps));
    const eG = tree.castLike(tree.updateMoment(updates, state.eG, rho, 2), state.eG);
    const out = each((g, now, before) => rows.mul(rows.div(root(before!), root(now!)), g), updates, eG, state.eX);
    return [out, { eG, eX: tree.castLike(tree.updateMoment(out, state.eX, rho, 2), state.eX) }];
  },
});

/** See `scaleBySm3`. */
export type ScaleBySm3State = { readonly mu: TensorTree; readonly nu: TensorTree };
/**
 * Squares are kept per row of each axis, not per element (Anil et al. 2019): `mu` has an array of vectors, one an axis, in the place of each leaf
 * (a scalar's has one number); `nu` is the momentum of the updates.
 */
export const scaleBySm3 = ({ b1 = 0.9, b2 = 1, eps = 1e-8 }: { readonly b1?: TensorLike; readonly b2?: number; readonly eps?: TensorLike } = {}): GradientTransformation<ScaleBySm3State> => swept({
  init: (params) => ({
    mu: each((p) => (p.ndim === 0 ? [rows.full([], p.dtype, 0)] : p.shape.map((n) => rows.full([n], p.dtype, 0))), params),
    nu: tree.zerosLike(params),
  }),
  update(updates, state) {
    const kept = tensors(state.mu);
    let at = 0;
    const squares = each((g) => {
      const parts = g.ndim < 2 ? [kept[at]!] : g.shape.map((n, axis) => rows.reshape(kept[at + axis]!, g.shape.map((_, d) => (d === axis ? n : 1))));
      at += Math.max(g.ndim, 1);
      const least = parts.reduce(rows.minimum);
      return rows.add(times(rows.square(g), b2 === 1 ? 1 : 1 - b2), times(least, b2));
    }, updates);
    const nu = tree.updateMoment(each((g, s) => overRoot(g, s!, eps), updates, squares), state.nu, b1, 1);
    const mu = each((s) => (s.ndim < 2 ? [s] : s.shape.map((_, axis) => max(s, otherAxes(s, [axis])))), squares);
    return [nu, { mu, nu }];
  },
});

/** See `scaleByFactoredRms`. */
export type FactoredState = { readonly count: Tensor; readonly vRow: TensorTree; readonly vCol: TensorTree; readonly v: TensorTree };
/** What `scaleByFactoredRms` may be told. */
export type FactoredOptions = {
  readonly factored?: boolean; readonly decayRate?: TensorLike; readonly stepOffset?: number; readonly minDimSizeToFactor?: number; readonly epsilon?: TensorLike;
};
/** The two longest axes, the second longest first; null where squares are kept whole. */
function factoredAxes(shape: Shape, factored: boolean, least: number): readonly [number, number] | null {
  if (!factored || shape.length < 2) return null;
  const [second, first] = shape.map((_, d) => d).sort((a, b) => shape[a]! - shape[b]!).slice(-2);
  return shape[second!]! < least ? null : [second!, first!];
}
const without = (shape: Shape, axis: number): number[] => shape.filter((_, d) => d !== axis);
/**
 * Updates over the root of the average of their squares, which for leaves with two axes of at least `minDimSizeToFactor` is the product of averages
 * over rows and columns (Shazeer and Stern 2018). In the state `vRow`, `vCol` and `v` have one number where a leaf does not need them.
 */
export const scaleByFactoredRms = (
  { factored = true, decayRate = 0.8, stepOffset = 0, minDimSizeToFactor = 128, epsilon = 1e-30 }: FactoredOptions = {},
): GradientTransformation<FactoredState> => {
  const axesOf = (p: Tensor): readonly [number, number] | null => factoredAxes(p.shape, factored, minDimSizeToFactor);
  const none = (p: Tensor): Tensor => rows.full([1], p.dtype, 0);
  const empty = (p: Tensor, axis: 0 | 1): Tensor => {
    const axes = axesOf(p);
    return axes === null ? none(p) : rows.full(without(p.shape, axes[axis]), p.dtype, 0);
  };
  return {
    init: (params) => ({
      count: counter(), vRow: each((p) => empty(p, 1), params), vCol: each((p) => empty(p, 0), params),
      v: each((p) => (axesOf(p) === null ? rows.full(p.shape, p.dtype, 0) : none(p)), params),
    }),
    update(updates, state, params) {
      const t = rows.add(rows.sub(rows.cast(state.count, "float32", false), stepOffset), 1);
      const rate = rows.sub(1, rows.pow(t, negative(decayRate)));
      const rest = oneMinus(rate);
      const step = (g: Tensor, p: Tensor, vRow: Tensor, vCol: Tensor, v: Tensor): readonly Tensor[] => {
        const average = (old: Tensor, now: Tensor): Tensor => castTo(rows.add(times(old, rate), times(now, rest)), p.dtype);
        const square = offset(rows.square(g), epsilon);
        const axes = axesOf(p);
        if (axes === null) {
          const next = average(v, square);
          return [rows.mul(g, rows.rsqrt(next)), vRow, vCol, next];
        }
        const [d1, d0] = axes;
        const row = average(vRow, mean(square, d0));
        const col = average(vCol, mean(square, d1));
        const rowFactor = rows.rsqrt(rows.div(row, mean(row, axisOf(d1 > d0 ? d1 - 1 : d1, row.ndim), { keepdims: true })));
        return [rows.mul(rows.mul(g, expandDims(rowFactor, d0)), expandDims(rows.rsqrt(col), d1)), row, col, v];
      };
      const results: (readonly Tensor[])[] = [];
      each((...leaves) => results.push(step(...(leaves as Parameters<typeof step>))), updates, needParams("scaleByFactoredRms", params), state.vRow, state.vCol, state.v);
      const pick = (i: number): typeof updates => {
        let at = 0;
        return each(() => results[at++]![i], updates);
      };
      return [pick(0), { count: safeIncrement(state.count), vRow: pick(1), vCol: pick(2), v: pick(3) }];
    },
  };
};
