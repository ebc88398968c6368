import { PaxError } from "../errors.js";
import { asIndex, asTensor, type Axis, type Index, type Shape, type Tensor, type TensorLike } from "../tensor.js";
import { axesOf, axisOf } from "./axes.js";
import * as rows from "./generated/rows.js";

/** A -1 in a shape stands for what is left. */
export function reshape(x: TensorLike, shape: number | Shape): Tensor {
  const t = asTensor(x);
  const wanted = typeof shape === "number" ? [shape] : shape;
  const rest = wanted.reduce((n, d) => (d === -1 ? n : n * d), 1);
  return rows.reshape(t, wanted.map((d) => (d === -1 && rest > 0 ? t.size / rest : d)));
}
export function transpose(x: TensorLike, axes?: Shape): Tensor {
  const t = asTensor(x);
  return rows.transpose(t, axes?.map((a) => axisOf(a, t.ndim)) ?? t.shape.map((_, i) => t.ndim - 1 - i));
}
export const ravel = (x: TensorLike): Tensor => reshape(x, [-1]);
export function squeeze(x: TensorLike, axis?: Axis): Tensor {
  const t = asTensor(x);
  const axes = axis === undefined || axis === null ? t.shape.flatMap((n, i) => (n === 1 ? [i] : [])) : axesOf(axis, t.ndim);
  const long = axes.find((a) => t.shape[a] !== 1);
  if (long !== undefined) throw new PaxError("shape", `squeeze: axis ${long} of shape [${t.shape.join(", ")}] is not 1`, { op: "squeeze" });
  return rows.reshape(t, t.shape.filter((_, i) => !axes.includes(i)));
}
export function expandDims(x: TensorLike, axis: number | readonly number[]): Tensor {
  const t = asTensor(x);
  const axes = typeof axis === "number" ? [axis] : axis;
  const ndim = t.ndim + axes.length;
  const added = axesOf(axes, ndim);
  let next = 0;
  return rows.reshape(t, Array.from({ length: ndim }, (_, i) => (added.includes(i) ? 1 : t.shape[next++]!)));
}
export function moveaxis(x: TensorLike, source: number, destination: number): Tensor {
  const t = asTensor(x);
  const from = axisOf(source, t.ndim);
  const order = t.shape.map((_, i) => i).filter((i) => i !== from);
  order.splice(axisOf(destination, t.ndim), 0, from);
  return rows.transpose(t, order);
}
export function swapaxes(x: TensorLike, a: number, b: number): Tensor {
  const t = asTensor(x);
  const [p, q] = [axisOf(a, t.ndim), axisOf(b, t.ndim)];
  return rows.transpose(t, t.shape.map((_, i) => (i === p ? q : i === q ? p : i)));
}
export function broadcastTo(x: TensorLike, shape: Shape): Tensor {
  const t = asTensor(x);
  return rows.broadcast(t, shape, t.shape.map((_, i) => shape.length - t.ndim + i));
}
export function flip(x: TensorLike, axis?: Axis): Tensor {
  const t = asTensor(x);
  return rows.reverse(t, axesOf(axis, t.ndim));
}
export const concatenate = (xs: readonly Tensor[], axis = 0): Tensor => rows.concatenate(xs, axisOf(axis, xs[0]?.ndim ?? 1));
export function stack(xs: readonly TensorLike[], axis = 0): Tensor {
  return rows.concatenate(xs.map((x) => expandDims(x, axis)), axisOf(axis, (xs[0] === undefined ? 0 : asTensor(xs[0]).ndim) + 1));
}
/** Equal parts, or parts that end at the given places. */
export function split(x: Tensor, sections: number | readonly number[], axis = 0): Tensor[] {
  const at = axisOf(axis, x.ndim);
  const size = x.shape[at]!;
  if (typeof sections === "number" && size % sections !== 0) throw new PaxError("shape", `split: ${size} does not divide into ${sections} equal parts`, { op: "split" });
  const inner = typeof sections === "number" ? Array.from({ length: sections - 1 }, (_, i) => ((i + 1) * size) / sections) : sections;
  const ends = [...inner.map((n) => Math.min(Math.max(n < 0 ? n + size : n, 0), size)), size];
  return ends.map((end, i) => {
    const start = ends[i - 1] ?? 0;
    return rows.slice(x, x.shape.map((_, d) => (d === at ? start : 0)), x.shape.map((n, d) => (d === at ? Math.max(start, end) : n)), x.shape.map(() => 1));
  });
}
export function take(x: TensorLike, indices: Index, axis?: number): Tensor {
  const t = asTensor(x);
  return axis === undefined ? rows.gather(ravel(t), asIndex(indices), 0, 0, "clamp") : rows.gather(t, asIndex(indices), axisOf(axis, t.ndim), 0, "clamp");
}
export function takeAlongAxis(x: TensorLike, indices: Tensor, axis: number): Tensor {
  const t = asTensor(x);
  return rows.takeAlongAxis(t, asIndex(indices), axisOf(axis, t.ndim));
}
type PadWidth = number | readonly [number, number] | readonly (readonly [number, number])[];
/** A constant around; one width for all, one pair for all, or a pair per axis. */
export function pad(x: TensorLike, width: PadWidth, { value = 0 }: { readonly value?: TensorLike } = {}): Tensor {
  const t = asTensor(x);
  const pairs = t.shape.map((_, i): readonly [number, number] => {
    if (typeof width === "number") return [width, width];
    const [first, second] = width;
    if (typeof first === "number" && typeof second === "number") return [first, second];
    const own = width[i];
    if (!Array.isArray(own)) throw new PaxError("shape", `pad: no width for axis ${i} of shape [${t.shape.join(", ")}]`, { op: "pad" });
    return [own[0] as number, own[1] as number];
  });
  return rows.pad(t, value, pairs.map((p) => p[0]), pairs.map((p) => p[1]), pairs.map(() => 0));
}
export function tile(x: TensorLike, repeats: number | readonly number[]): Tensor {
  const given = typeof repeats === "number" ? [repeats] : repeats;
  let t = asTensor(x);
  const ndim = Math.max(given.length, t.ndim);
  t = rows.reshape(t, [...new Array<number>(ndim - t.ndim).fill(1), ...t.shape]);
  const times = [...new Array<number>(ndim - given.length).fill(1), ...given];
  const wide = rows.broadcast(t, t.shape.flatMap((n, i) => [times[i]!, n]), t.shape.map((_, i) => 2 * i + 1));
  return rows.reshape(wide, t.shape.map((n, i) => n * times[i]!));
}
export function sort(x: TensorLike, axis = -1): Tensor {
  const t = asTensor(x);
  return rows.sort([t], axisOf(axis, t.ndim), 1)[0]!;
}
export function argsort(x: TensorLike, axis = -1): Tensor {
  const t = asTensor(x);
  return rows.argsort([t], axisOf(axis, t.ndim));
}
export function cumsum(x: TensorLike, axis?: number): Tensor {
  const t = asTensor(x);
  return axis === undefined ? rows.cumsum(ravel(t), 0, false) : rows.cumsum(t, axisOf(axis, t.ndim), false);
}
export function meshgrid(...xs: readonly TensorLike[]): Tensor[] {
  const flat = xs.map((x) => ravel(x));
  const shape = flat.map((x) => x.size);
  const out = flat.map((x, i) => rows.broadcast(x, shape, [i]));
  return out.length < 2 ? out : out.map((x) => swapaxes(x, 0, 1));
}
