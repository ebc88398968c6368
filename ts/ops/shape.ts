/** The same elements under another shape or in another order of axes. */
import { opError, shown } from "../errors.js";
import { asTensor, type Axis, type Shape, type Tensor, type TensorLike } from "../tensor.js";
import { axesOf, axisOf, commonShape, otherAxes, shapeOf, staticInt, stretched } from "./axes.js";
import * as rows from "./generated/rows.js";

/** The same elements in row-major order under `shape`, in which one -1 stands for what is left. @throws PaxError `shape` if their number differs. */
export function reshape(x: TensorLike, shape: number | Shape): Tensor {
  const t = asTensor(x, "reshape");
  const wanted = (Array.isArray(shape) ? (shape as Shape) : [shape as number]).map((n) => staticInt(n, "a size", "reshape"));
  const known = wanted.reduce((n, d) => (d === -1 ? n : n * d), 1);
  const rest = t.size / known;
  if (wanted.includes(-1) && (wanted.indexOf(-1) !== wanted.lastIndexOf(-1) || !Number.isInteger(rest))) {
    throw opError("shape", "reshape", `${shown(t.shape)} has ${t.size} elements and cannot become ${shown(wanted)}: one -1 stands for a whole number`);
  }
  return rows.reshape(t, wanted.map((d) => (d === -1 ? rest : d)));
}

/** The elements in one row. */
export const ravel = (x: TensorLike): Tensor => reshape(x, -1);

/** Axis i of the result is axis `axes[i]` of `x`; without `axes` they are back to front. */
export function transpose(x: TensorLike, axes?: Shape | null): Tensor {
  const t = asTensor(x, "transpose");
  return rows.transpose(t, axes === undefined || axes === null ? t.shape.map((_, i) => t.ndim - 1 - i) : [axes].flat().map((a) => axisOf(a, t.ndim, "transpose")));
}

/** The last two axes exchanged. */
export function matrixTranspose(x: TensorLike): Tensor {
  const t = asTensor(x, "matrixTranspose");
  if (t.ndim < 2) throw opError("shape", "matrixTranspose", `a matrix has at least two axes, ${shown(t.shape)} has ${t.ndim}`);
  return swapaxes(t, -2, -1);
}

/** The axes `source` moved to `destination`, the others in their order. */
export function moveaxis(x: TensorLike, source: number | readonly number[], destination: number | readonly number[]): Tensor {
  const t = asTensor(x, "moveaxis");
  const list = (a: number | readonly number[]): number[] => (typeof a === "number" ? [a] : [...a]).map((n) => axisOf(n, t.ndim, "moveaxis"));
  const [from, to] = [list(source), list(destination)];
  if (from.length !== to.length || new Set(from).size !== from.length || new Set(to).size !== to.length) {
    throw opError("shape", "moveaxis", `axes ${shown(from)} to ${shown(to)}: each axis needs one place of its own`);
  }
  const order = otherAxes(t, from);
  for (const [place, axis] of to.map((p, i): [number, number] => [p, from[i]!]).sort((a, b) => a[0] - b[0])) order.splice(place, 0, axis);
  return rows.transpose(t, order);
}

/** Axes `a` and `b` exchanged. */
export function swapaxes(x: TensorLike, a: number, b: number): Tensor {
  const t = asTensor(x, "swapaxes");
  const [p, q] = [axisOf(a, t.ndim, "swapaxes"), axisOf(b, t.ndim, "swapaxes")];
  return rows.transpose(t, t.shape.map((_, i) => (i === p ? q : i === q ? p : i)));
}

/** Without `axis`, or without all axes of size 1. @throws PaxError `shape` if a named axis has another size. */
export function squeeze(x: TensorLike, axis?: Axis): Tensor {
  const t = asTensor(x, "squeeze");
  const axes = axis === undefined || axis === null ? t.shape.flatMap((n, i) => (n === 1 ? [i] : [])) : axesOf(axis, t.ndim, "squeeze");
  const long = axes.find((a) => t.shape[a] !== 1);
  if (long !== undefined) throw opError("shape", "squeeze", `axis ${long} of shape ${shown(t.shape)} is not 1`);
  return rows.reshape(t, t.shape.filter((_, i) => !axes.includes(i)));
}

/** New axes of size 1 at these places of the result. */
export function expandDims(x: TensorLike, axis: number | readonly number[]): Tensor {
  const t = asTensor(x, "expandDims");
  const ndim = t.ndim + (typeof axis === "object" ? axis.length : 1);
  const added = axesOf(axis, ndim, "expandDims");
  let next = 0;
  return rows.reshape(t, Array.from({ length: ndim }, (_, i) => (added.includes(i) ? 1 : t.shape[next++]!)));
}

/** At least one axis: a scalar gets shape `[1]`. */
export const atleast1d = (x: TensorLike): Tensor => atLeast(x, 1, "atleast1d");
/** At least two axes: new ones stand in front. */
export const atleast2d = (x: TensorLike): Tensor => atLeast(x, 2, "atleast2d");
function atLeast(x: TensorLike, ndim: number, op: string): Tensor {
  const t = asTensor(x, op);
  return t.ndim >= ndim ? t : rows.reshape(t, [...new Array<number>(ndim - t.ndim).fill(1), ...t.shape]);
}

/** The shape that they broadcast to. @throws PaxError `shape` where sizes are neither equal nor 1. */
export const broadcastShapes = (...shapes: readonly Shape[]): number[] => commonShape(shapes, "broadcastShapes");
/** Repeated to `shape`: axes of size 1 grow, and new ones stand in front. @throws PaxError `shape` where they do not fit. */
export const broadcastTo = (x: TensorLike, shape: number | Shape): Tensor => stretched(asTensor(x, "broadcastTo"), shapeOf(shape, "broadcastTo"), "broadcastTo");
/** All of them under the shape that they broadcast to. @throws PaxError `shape` where they do not fit. */
export function broadcastArrays(...xs: readonly TensorLike[]): Tensor[] {
  const all = xs.map((x) => asTensor(x, "broadcastArrays"));
  const shape = commonShape(all.map((t) => t.shape), "broadcastArrays");
  return all.map((t) => stretched(t, shape, "broadcastArrays"));
}

/** The elements along `axis` back to front; along all axes without one. */
export function flip(x: TensorLike, axis?: Axis): Tensor {
  const t = asTensor(x, "flip");
  return rows.reverse(t, axesOf(axis, t.ndim, "flip"));
}
/** The columns (axis 1) back to front. */
export const fliplr = (x: TensorLike): Tensor => flip(x, 1);
/** The rows (axis 0) back to front. */
export const flipud = (x: TensorLike): Tensor => flip(x, 0);

/** Turned `k` times by 90° from the first of `axes` towards the second. */
export function rot90(x: TensorLike, k = 1, axes: readonly [number, number] = [0, 1]): Tensor {
  const t = asTensor(x, "rot90");
  const [from, to] = axes.map((a) => axisOf(a, t.ndim, "rot90")) as [number, number];
  if (from === to) throw opError("shape", "rot90", `the plane ${shown(axes)} needs two different axes`);
  switch (((staticInt(k, "k", "rot90") % 4) + 4) % 4) {
    case 0: return t;
    case 1: return swapaxes(flip(t, to), from, to);
    case 2: return flip(t, [from, to]);
    default: return flip(swapaxes(t, from, to), to);
  }
}

type MeshOptions = { readonly indexing?: "xy" | "ij" };

/** Coordinates on a grid: for axes of sizes n, m (and more) each result has shape `[m, n, …]` with `indexing` "xy", the default, and `[n, m, …]` with "ij". */
export function meshgrid(...xs: readonly TensorLike[]): Tensor[];
export function meshgrid(...args: readonly [...xs: TensorLike[], options: MeshOptions]): Tensor[];
export function meshgrid(...args: readonly (TensorLike | MeshOptions)[]): Tensor[] {
  const last = args.at(-1);
  const options = typeof last === "object" && "indexing" in last ? last : undefined;
  const flat = (options === undefined ? args : args.slice(0, -1)).map((x) => ravel(x as TensorLike));
  const shape = flat.map((x) => x.size);
  const out = flat.map((x, i) => rows.broadcast(x, shape, [i]));
  return out.length < 2 || options?.indexing === "ij" ? out : out.map((x) => swapaxes(x, 0, 1));
}
