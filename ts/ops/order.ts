/** What runs along an axis or orders it: cumulative functions, differences, sorting and searching. */
import { opError } from "../errors.js";
import { asTensor, isFloatDType, type Tensor, type TensorLike } from "../tensor.js";
import { axisOf, flatUnless, staticInt } from "./axes.js";
import * as rows from "./generated/rows.js";
import { part } from "./join.js";

type Running = (x: TensorLike, axis?: number | null) => Tensor;
const running = (op: string, row: (x: Tensor, axis: number, reverse: boolean) => Tensor): Running => (x, axis) => row(...flatUnless(x, axis, op), false);

/** Sum so far along `axis`, in `sum`'s dtypes; without an axis along the raveled tensor. */
export const cumsum: Running = running("cumsum", rows.cumsum);
/** Product so far along `axis`, in `sum`'s dtypes; without an axis along the raveled tensor. */
export const cumprod: Running = running("cumprod", rows.cumprod);
/** Greatest element so far along `axis` (`jax.lax.cummax`); NaN wins; without an axis along the raveled tensor. */
export const cummax: Running = running("cummax", rows.cummax);
/** Least element so far along `axis` (`jax.lax.cummin`); NaN wins; without an axis along the raveled tensor. */
export const cummin: Running = running("cummin", rows.cummin);

/** Each element less the one before it along `axis`, `n` times over: every time one element fewer. */
export function diff(x: TensorLike, n = 1, axis = -1): Tensor {
  let t = asTensor(x, "diff");
  const at = axisOf(axis, t.ndim, "diff");
  if (staticInt(n, "n", "diff") < 0) throw opError("value", "diff", `n is ${n}: it is not negative`);
  for (let i = 0; i < n && t.shape[at]! > 0; i++) {
    const [next, before] = [part(t, at, 1, t.shape[at]!), part(t, at, 0, t.shape[at]! - 1)];
    t = t.dtype === "bool" ? rows.notEqual(next, before) : rows.sub(next, before);
  }
  return t;
}

type Order = { readonly descending?: boolean };
/** The elements along `axis`, the last one if not given, in ascending order; NaN last. Null ravels first; `descending` turns the order. */
export function sort(x: TensorLike, axis: number | null = -1, { descending = false }: Order = {}): Tensor {
  const [t, at] = flatUnless(x, axis, "sort");
  const y = rows.sort([t], at, 1)[0]!;
  return descending ? rows.reverse(y, [at]) : y;
}
/** The int32 indices that `sort` takes the elements in; equal ones keep their order, also with `descending`. */
export function argsort(x: TensorLike, axis: number | null = -1, { descending = false }: Order = {}): Tensor {
  const [t, at] = flatUnless(x, axis, "argsort");
  if (!descending) return rows.argsort([t], at);
  return rows.sub(t.shape[at]! - 1, rows.reverse(rows.argsort([rows.reverse(t, [at])], at), [at]));
}

/** Where `values` would go into the ascending one-axis tensor `sorted`, as int32: in front of equal elements, or behind them with `side` "right". */
export const searchsorted = (sorted: Tensor, values: TensorLike, { side = "left" }: { readonly side?: "left" | "right" } = {}): Tensor => rows.searchsorted(sorted, isFloatDType(sorted.dtype) || Number.isInteger(values) ? values : asTensor(values, "searchsorted"), side === "right");
