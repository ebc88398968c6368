/** Reductions over axes: `axis` is a number, several, or null for all; negative ones count from the end. */
import { opError, shown } from "../errors.js";
import { asTensor, type Axis, type Tensor, type TensorLike } from "../tensor.js";
import { axesOf, axisOf, flatUnless, keptShape, otherAxes, stretched } from "./axes.js";
import { asFloat, floatFormat } from "./dtypes.js";
import * as rows from "./generated/rows.js";
import { part } from "./join.js";

export type Keep = { readonly keepdims?: boolean };
export type Reduction = (x: TensorLike, axis?: Axis, options?: Keep) => Tensor;

const reducer = (op: string, row: (x: Tensor, axes: readonly number[]) => Tensor): Reduction => (x, axis, options = {}) => {
  const t = asTensor(x, op);
  const axes = axesOf(axis, t.ndim, op);
  const y = row(t, axes);
  return options.keepdims ? rows.reshape(y, keptShape(t.shape, axes)) : y;
};

/** Sum over `axis`: of bool int32, of uint8 uint32, else `x`'s dtype. */
export const sum: Reduction = reducer("sum", rows.reduceSum);
/** Product over `axis`, in `sum`'s dtypes. */
export const prod: Reduction = reducer("prod", rows.reduceProd);
/** Greatest element over `axis`; NaN wins, ties share the gradient. @throws PaxError `value` where there is none. */
export const max: Reduction = reducer("max", rows.reduceMax);
/** Least element over `axis`; NaN wins, ties share the gradient. @throws PaxError `value` where there is none. */
export const min: Reduction = reducer("min", rows.reduceMin);
/** Mean over `axis`; integers give float32. */
export const mean: Reduction = reducer("mean", rows.mean);
/** `log(sum(exp(x)))` over `axis`, without overflow. */
export const logsumexp: Reduction = reducer("logsumexp", rows.logsumexp);
/** Greatest less least element over `axis`. */
export const ptp: Reduction = reducer("ptp", (x, axes) => rows.sub(rows.reduceMax(x, axes), rows.reduceMin(x, axes)));
/** How many elements are not 0, as int32. */
export const countNonzero: Reduction = reducer("countNonzero", (x, axes) => rows.reduceSum(rows.notEqual(x, 0), axes));
/** True where an element over `axis` is not 0; false for none. */
export const any: Reduction = reducer("any", (x, axes) => rows.greater(rows.reduceSum(rows.notEqual(x, 0), axes), 0));
/** True where no element over `axis` is 0; true for none. */
export const all: Reduction = reducer("all", (x, axes) => rows.equal(rows.reduceSum(rows.equal(x, 0), axes), 0));

type Spread = Keep & { readonly ddof?: number };
/** How many elements each result of a reduction is made of. */
const count = (x: Tensor, axes: readonly number[]): number => axes.reduce((n, a) => n * x.shape[a]!, 1);
const spread = (op: string, x: TensorLike, axis: Axis | undefined, { ddof = 0, ...keep }: Spread): Tensor => reducer(op, (t, axes) => {
  const [y, n] = [rows.variance(t, axes), count(t, axes)];
  return ddof === 0 ? y : rows.mul(y, n > ddof ? n / (n - ddof) : NaN);
})(x, axis, keep);
/** Variance over `axis`: squared distances from the mean, summed and divided by n - `ddof` (0, as in NumPy). */
const variance = (x: TensorLike, axis?: Axis, options: Spread = {}): Tensor => spread("var", x, axis, options);
export { variance as var };
/** Standard deviation over `axis`, the root of `var`. */
export const std = (x: TensorLike, axis?: Axis, options: Spread = {}): Tensor => rows.sqrt(spread("std", x, axis, options));

/** `x` with the reduced axes as one last axis. */
function together(x: Tensor, axes: readonly number[]): Tensor {
  const rest = otherAxes(x, axes);
  return rows.reshape(rows.transpose(x, [...rest, ...axes]), [...rest.map((i) => x.shape[i]!), count(x, axes)]);
}
/** The middle element over `axis`, or the mean of the two in the middle; NaN wins. */
export const median: Reduction = reducer("median", (x, axes) => {
  const t = together(asFloat(x), axes);
  const [last, n] = [t.ndim - 1, t.shape.at(-1)!];
  if (n === 0) throw opError("value", "median", `there is no element over axes ${shown(axes)} of shape ${shown(x.shape)}`);
  const sorted = rows.sort([t], last, 1)[0]!;
  const at = (i: number): Tensor => rows.reshape(part(sorted, last, i, i + 1), t.shape.slice(0, -1));
  const middle = rows.mul(rows.add(at(Math.floor((n - 1) / 2)), at(Math.floor(n / 2))), 0.5);
  return rows.select(rows.isnan(at(n - 1)), NaN, middle);
});

/** Mean over `axis`, each element counted with its weight: `weights` has `x`'s shape, or one axis for one `axis`. */
export function average(x: TensorLike, axis?: Axis, { weights, keepdims = false }: Keep & { readonly weights?: Tensor } = {}): Tensor {
  if (weights === undefined) return mean(x, axis, { keepdims });
  const t = asTensor(x, "average");
  let w = asTensor(weights, "average");
  if (w.ndim === 1 && t.ndim !== 1 && typeof axis === "number") w = rows.reshape(w, keptShape(t.shape, axesOf(null, t.ndim)).with(axisOf(axis, t.ndim, "average"), w.size));
  if (w.ndim !== t.ndim) throw opError("shape", "average", `weights of shape ${shown(weights.shape)} for ${shown(t.shape)}: give ${shown(t.shape)}, or one axis and its number`);
  w = stretched(w, t.shape, "average");
  return rows.div(sum(rows.mul(t, w), axis, { keepdims }), sum(w, axis, { keepdims }));
}

const present = (x: Tensor, instead: number): Tensor => (floatFormat(x.dtype) === undefined ? x : rows.select(rows.isnan(x), instead, x));
/** As `sum`, NaN left out. */
export const nansum: Reduction = reducer("nansum", (x, axes) => rows.reduceSum(present(x, 0), axes));
/** As `mean`, NaN left out; NaN where nothing is left. */
export const nanmean: Reduction = reducer("nanmean", (x, axes) => rows.div(rows.reduceSum(present(x, 0), axes), rows.reduceSum(rows.logicalNot(rows.isnan(x)), axes)));
const nanExtreme = (row: (x: Tensor, axes: readonly number[]) => Tensor, instead: number) => (x: Tensor, axes: readonly number[]): Tensor => {
  const y = row(present(x, instead), axes);
  return floatFormat(x.dtype) === undefined ? y : rows.select(rows.reduceMin(rows.isnan(x), axes), NaN, y);
};
/** As `max`, NaN left out; NaN where nothing is left. */
export const nanmax: Reduction = reducer("nanmax", nanExtreme(rows.reduceMax, -Infinity));
/** As `min`, NaN left out; NaN where nothing is left. */
export const nanmin: Reduction = reducer("nanmin", nanExtreme(rows.reduceMin, Infinity));

type Where = (x: TensorLike, axis?: number | null, options?: Keep) => Tensor;
const where = (op: string, row: (x: Tensor, axis: number) => Tensor): Where => (x, axis, options = {}) => {
  const [t, at] = flatUnless(x, axis, op);
  const y = row(t, at);
  return options.keepdims ? rows.reshape(y, keptShape(asTensor(x).shape, axesOf(axis, asTensor(x).ndim))) : y;
};
/** Where the greatest element is, as int32: the first of equals, NaN is the greatest; without an axis in the raveled tensor. */
export const argmax: Where = where("argmax", rows.argmax);
/** Where the least element is, as int32: the first of equals, NaN is the least; without an axis in the raveled tensor. */
export const argmin: Where = where("argmin", rows.argmin);

/**
 * Norms as `numpy.linalg.norm`: of vectors along one `axis` (2 by default; any number, or ±Infinity), of matrices in two axes
 * ("fro" by default; 1, -1, ±Infinity: greatest or least sum of magnitudes in a column or row); without an axis and `ord`, the 2-norm of all elements.
 * @throws PaxError `value` for the matrix norms that need singular values, `shape` for other numbers of axes.
 */
export function norm(x: TensorLike, ord?: number | "fro" | null, axis?: Axis, options: Keep = {}): Tensor {
  const t = asFloat(x, "norm");
  const axes = axis === undefined || axis === null || typeof axis === "number" ? axesOf(axis, t.ndim, "norm") : axis.map((a) => axisOf(a, t.ndim, "norm"));
  const size = rows.abs(t);
  const given = ord ?? null;
  if (given === null && (axes.length <= 2 || axis === undefined || axis === null)) return rows.sqrt(sum(rows.square(t), axes, options));
  if (axes.length === 1) {
    if (typeof given !== "number") throw opError("value", "norm", `"${String(given)}" is a norm of matrices: give two axes`);
    if (given === Infinity) return max(size, axes, options);
    if (given === -Infinity) return min(size, axes, options);
    if (given === 0) return rows.cast(countNonzero(t, axes, options), t.dtype, false);
    if (given === 1) return sum(size, axes, options);
    if (given === 2) return rows.sqrt(sum(rows.square(t), axes, options));
    return rows.pow(sum(rows.pow(size, given), axes, options), 1 / given);
  }
  if (axes.length !== 2) throw opError("shape", "norm", `ord ${String(given)} needs one axis or two, got ${axes.length}`);
  if (given === "fro") return rows.sqrt(sum(rows.square(t), axes, options));
  if (given === null || ![1, -1, Infinity, -Infinity].includes(given)) throw opError("value", "norm", `ord ${String(given)} of matrices needs singular values, which are not here: "fro", 1, -1 or ±Infinity`);
  const [row, column] = axes as [number, number];
  const sums = sum(size, Math.abs(given) === 1 ? row : column, { keepdims: true });
  return (given > 0 ? max : min)(sums, axes, options);
}
