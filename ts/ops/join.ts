/** Tensors put together, taken apart and repeated. */
import { opError, shown } from "../errors.js";
import { asIndex, asTensor, Tensor, type TensorLike } from "../tensor.js";
import { axisOf, flatUnless, staticInt } from "./axes.js";
import { beside } from "./dtypes.js";
import * as rows from "./generated/rows.js";
import { atleast1d, atleast2d, expandDims, ravel } from "./shape.js";

/** The tensors behind one another along `axis`; on the other axes they agree. With `axis` null they are raveled first. */
export function concatenate(xs: readonly TensorLike[], axis: number | null = 0): Tensor {
  const all = axis === null ? xs.map(ravel) : xs;
  const ndim = all[0] === undefined ? 1 : asTensor(all[0], "concatenate").ndim;
  if (ndim === 0) throw opError("shape", "concatenate", "scalars have no axis to stand along: use stack");
  return rows.concatenate(all, axisOf(axis ?? 0, ndim, "concatenate"));
}

/** The tensors, of one shape, along a new axis at place `axis` of the result. */
export function stack(xs: readonly TensorLike[], axis = 0): Tensor {
  const tensor = xs.find((x) => x instanceof Tensor);
  const all = xs.map((x) => asTensor(beside("stack", x, tensor), "stack"));
  const [first] = all;
  if (first === undefined) throw opError("value", "stack", "it needs at least one tensor");
  const other = all.find((t) => t.shape.join() !== first.shape.join());
  if (other !== undefined) throw opError("shape", "stack", `the shapes differ: ${shown(first.shape)} and ${shown(other.shape)}`);
  return rows.concatenate(all.map((t) => expandDims(t, axis)), axisOf(axis, first.ndim + 1, "stack"));
}
/** Along axis 0; one-axis tensors are rows. */
export const vstack = (xs: readonly TensorLike[]): Tensor => concatenate(xs.map(atleast2d), 0);
/** Along axis 1; one-axis tensors along their only one. */
export function hstack(xs: readonly TensorLike[]): Tensor {
  const all = xs.map(atleast1d);
  return concatenate(all, all[0]?.ndim === 1 ? 0 : 1);
}
/** Along axis 2; `[n]` counts as `[1, n, 1]` and `[n, m]` as `[n, m, 1]`. */
export const dstack = (xs: readonly TensorLike[]): Tensor => concatenate(xs.map((x) => {
  const t = atleast2d(x);
  return t.ndim > 2 ? t : expandDims(t, 2);
}), 2);

/** `values` behind `x` along `axis`; without an axis both are raveled. */
export const append = (x: TensorLike, values: TensorLike, axis: number | null = null): Tensor => concatenate([beside("append", x, values), beside("append", values, x)], axis);

/** Places `start` to `end` of `axis`. */
export const part = (x: Tensor, axis: number, start: number, end: number): Tensor =>
  rows.slice(x, x.shape.map((_, d) => (d === axis ? start : 0)), x.shape.map((n, d) => (d === axis ? end : n)), x.shape.map(() => 1));

function cut(x: TensorLike, sections: number | readonly number[], axis: number, op: string, even: boolean): Tensor[] {
  const t = asTensor(x, op);
  const at = axisOf(axis, t.ndim, op);
  const size = t.shape[at]!;
  let ends: number[];
  if (typeof sections === "object" && Array.isArray(sections)) {
    ends = [...(sections as readonly number[]).map((n) => Math.min(Math.max(n < 0 ? n + size : n, 0), size)), size];
  } else {
    const count = staticInt(sections, "the number of parts", op);
    if (count < 1) throw opError("value", op, `${count} parts: at least one`);
    if (even && size % count !== 0) throw opError("shape", op, `${size} does not divide into ${count} equal parts: arraySplit allows it`);
    ends = Array.from({ length: count }, (_, i) => (i + 1) * Math.floor(size / count) + Math.min(i + 1, size % count));
  }
  return ends.map((end, i) => part(t, at, ends[i - 1] ?? 0, Math.max(ends[i - 1] ?? 0, end)));
}
/** Equal parts along `axis`, or parts that end at the given places. @throws PaxError `shape` if it does not divide. */
export const split = (x: TensorLike, sections: number | readonly number[], axis = 0): Tensor[] => cut(x, sections, axis, "split", true);
/** As `split`; where it does not divide, the first parts are longer by one. */
export const arraySplit = (x: TensorLike, sections: number | readonly number[], axis = 0): Tensor[] => cut(x, sections, axis, "arraySplit", false);
/** The slices along `axis`, without that axis. */
export function unstack(x: TensorLike, axis = 0): Tensor[] {
  const t = asTensor(x, "unstack");
  const at = axisOf(axis, t.ndim, "unstack");
  const shape = t.shape.filter((_, d) => d !== at);
  return Array.from({ length: t.shape[at]! }, (_, i) => rows.reshape(part(t, at, i, i + 1), shape));
}

/** Each element `repeats` times, or as often as its number says, along `axis`; without an axis `x` is raveled. */
export function repeat(x: TensorLike, repeats: number | readonly number[], axis?: number | null): Tensor {
  const [t, at] = flatUnless(x, axis, "repeat");
  const size = t.shape[at]!;
  const times = (typeof repeats === "object" && Array.isArray(repeats) ? (repeats as readonly number[]) : [repeats]).map((n) => staticInt(n, "a number of repeats", "repeat"));
  if (times.length !== 1 && times.length !== size) throw opError("shape", "repeat", `${times.length} numbers of repeats for ${size} elements along axis ${at}`);
  if (times.some((n) => n < 0)) throw opError("value", "repeat", "a number of repeats is negative");
  if (times.length > 1) return rows.gather(t, asIndex(times.flatMap((n, i) => new Array<number>(n).fill(i))), at, 0, "clamp");
  const wide = rows.broadcast(t, t.shape.toSpliced(at + 1, 0, times[0]!), t.shape.map((_, d) => (d > at ? d + 1 : d)));
  return rows.reshape(wide, t.shape.with(at, size * times[0]!));
}

/** `x` repeated as a whole, along each axis as often as its number says. */
export function tile(x: TensorLike, repeats: number | readonly number[]): Tensor {
  const t = asTensor(x, "tile");
  const given = (typeof repeats === "object" && Array.isArray(repeats) ? (repeats as readonly number[]) : [repeats]).map((n) => staticInt(n, "a number of repeats", "tile"));
  const ndim = Math.max(given.length, t.ndim);
  const aligned = (row: readonly number[]): number[] => [...new Array<number>(ndim - row.length).fill(1), ...row];
  const [shape, times] = [aligned(t.shape), aligned(given)];
  const wide = rows.broadcast(rows.reshape(t, shape), shape.flatMap((n, i) => [times[i]!, n]), shape.map((_, i) => 2 * i + 1));
  return rows.reshape(wide, shape.map((n, i) => n * times[i]!));
}

/** The elements moved on by `shift` along `axis`, those that leave at its end coming in at its beginning; without an axis along the raveled tensor. */
export function roll(x: TensorLike, shift: number | readonly number[], axis?: number | readonly number[] | null): Tensor {
  const t = asTensor(x, "roll");
  if (axis === undefined || axis === null) return rows.reshape(roll(ravel(t), [shift].flat().reduce((a, b) => a + b, 0), 0), t.shape);
  const axes = [axis].flat().map((a) => axisOf(a, t.ndim, "roll"));
  const shifts = [shift].flat().map((n) => staticInt(n, "a shift", "roll"));
  if (shifts.length !== axes.length && shifts.length !== 1) throw opError("shape", "roll", `${shifts.length} shifts for ${axes.length} axes`);
  return axes.reduce((y, a, i) => {
    const n = y.shape[a]!;
    const by = n === 0 ? 0 : (((shifts[i] ?? shifts[0]!) % n) + n) % n;
    return by === 0 ? y : rows.concatenate([part(y, a, n - by, n), part(y, a, 0, n - by)], a);
  }, t);
}
