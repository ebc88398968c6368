import { PaxError } from "../errors.js";
import type { Axis, Shape } from "../tensor.js";

/** A non-negative axis of a tensor with `ndim` axes. */
export function axisOf(axis: number, ndim: number): number {
  const at = axis < 0 ? axis + ndim : axis;
  if (!Number.isInteger(axis) || at < 0 || at >= ndim) {
    throw new PaxError("shape", `axis ${axis} is out of range for a tensor of ${ndim} axes`);
  }
  return at;
}

/** Ascending non-negative axes; `null` and `undefined` mean all. */
export function axesOf(axis: Axis | undefined, ndim: number): number[] {
  if (axis === null || axis === undefined) return Array.from({ length: ndim }, (_, i) => i);
  const axes = (typeof axis === "number" ? [axis] : [...axis]).map((a) => axisOf(a, ndim));
  if (new Set(axes).size !== axes.length) throw new PaxError("shape", `an axis appears twice in [${axes.join(", ")}]`);
  return axes.sort((a, b) => a - b);
}

/** The shape with the reduced axes kept as 1. */
export const keptShape = (shape: Shape, axes: readonly number[]): number[] =>
  shape.map((n, i) => (axes.includes(i) ? 1 : n));
