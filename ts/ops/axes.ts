/** Axes and shapes as users give them, and the errors about them. */
import { opError, shown } from "../errors.js";
import { asTensor, Tensor, type Axis, type Shape, type TensorLike } from "../tensor.js";
import * as rows from "./generated/rows.js";

/** A number that must be known when a function is traced. @throws PaxError `trace` for a tensor, with the cure. */
export function staticNumber(x: unknown, what: string, op?: string, cure = "pass it in staticArgnums"): number {
  if (typeof x === "number") return x;
  if (!(x instanceof Tensor)) throw opError("value", op, `${what} is ${String(x)}, not a number`);
  throw opError("trace", op, `${what} is a tensor, but must be a number: ${cure}, or read it outside with item()`);
}

/** As `staticNumber`, and whole. @throws PaxError `value` for a fraction. */
export function staticInt(x: unknown, what: string, op?: string, cure?: string): number {
  const n = staticNumber(x, what, op, cure);
  if (!Number.isInteger(n)) throw opError("value", op, `${what} is ${n}, not an integer`);
  return n;
}

/** A non-negative axis of a tensor with `ndim` axes. @throws PaxError `shape` where there is no such axis. */
export function axisOf(axis: number, ndim: number, op?: string): number {
  const given = staticInt(axis, "the axis", op);
  const at = given < 0 ? given + ndim : given;
  if (at < 0 || at >= ndim) throw opError("shape", op, `axis ${given} is out of range for a tensor of ${ndim} axes`);
  return at;
}

/** Ascending non-negative axes; `null` and `undefined` mean all. @throws PaxError `shape` as `axisOf`, and for an axis that appears twice. */
export function axesOf(axis: Axis | undefined, ndim: number, op?: string): number[] {
  if (axis === null || axis === undefined) return Array.from({ length: ndim }, (_, i) => i);
  const axes = (Array.isArray(axis) ? (axis as readonly number[]) : [axis as number]).map((a) => axisOf(a, ndim, op));
  if (new Set(axes).size !== axes.length) throw opError("shape", op, `an axis appears twice in ${shown(axes)}`);
  return axes.sort((a, b) => a - b);
}

/** The axes of `x` that are not among `axes`. */
export const otherAxes = (x: Tensor, axes: readonly number[]): number[] => x.shape.map((_, i) => i).filter((i) => !axes.includes(i));

/** The shape with the reduced axes kept as 1. */
export const keptShape = (shape: Shape, axes: readonly number[]): number[] =>
  shape.map((n, i) => (axes.includes(i) ? 1 : n));

/** A shape from what may be one size. @throws PaxError `value` for sizes that are no natural numbers. */
export function shapeOf(shape: number | Shape, op: string): number[] {
  return (Array.isArray(shape) ? (shape as Shape) : [shape as number]).map((n) => {
    if (staticInt(n, "a size", op) < 0) throw opError("value", op, `a size is ${n}: sizes are not negative`);
    return n;
  });
}

/** A tensor and its axis; without an axis its elements in one row, and 0. */
export function flatUnless(x: TensorLike, axis: number | null | undefined, op: string): [Tensor, number] {
  const t = asTensor(x, op);
  return axis === undefined || axis === null ? [rows.reshape(t, [t.size]), 0] : [t, axisOf(axis, t.ndim, op)];
}

/** NumPy's broadcast of shapes. @throws PaxError `shape` where sizes are neither equal nor 1. */
export function commonShape(shapes: readonly Shape[], op: string): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, d) => {
    const sizes = shapes.map((s) => s[d - rank + s.length] ?? 1);
    const size = sizes.find((n) => n !== 1) ?? 1;
    if (sizes.some((n) => n !== 1 && n !== size)) {
      throw opError("shape", op, `shapes ${shapes.map(shown).join(" and ")} do not broadcast: axes must be equal or 1 from the right`);
    }
    return size;
  });
}

/** `t` broadcast to `shape`. @throws PaxError `shape` where it does not fit. */
export function stretched(t: Tensor, shape: Shape, op: string): Tensor {
  const offset = shape.length - t.ndim;
  if (offset < 0 || t.shape.some((n, d) => n !== 1 && n !== shape[d + offset])) {
    throw opError("shape", op, `${shown(t.shape)} does not broadcast to ${shown(shape)}: from the right, axes must be equal or 1`);
  }
  if (t.shape.join() === shape.join()) return t;
  const kept = t.shape.flatMap((n, d) => (n === shape[d + offset] ? [d] : []));
  return rows.broadcast(rows.reshape(t, kept.map((d) => t.shape[d]!)), shape, kept.map((d) => d + offset));
}
