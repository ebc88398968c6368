/** Bounds on updates. */
import { opError, shown } from "../errors.js";
import { inDType } from "../ops/dtypes.js";
import * as rows from "../ops/generated/rows.js";
import { castTo, wide } from "../ops/halves.js";
import { mean, sum } from "../ops/reduce.js";
import type { Axis, Tensor, TensorLike } from "../tensor.js";
import { each, like, negative, stateless, statelessWithTreeMap, times, withParams, type EmptyState, type GradientTransformation } from "./transform.js";
import * as tree from "./tree.js";

/** Each element between `-maxDelta` and `maxDelta`. */
export const clip = (maxDelta: TensorLike): GradientTransformation<EmptyState> =>
  stateless((updates) => tree.clip(updates, negative(maxDelta), maxDelta));

/**
 * Unchanged if the norm of all updates together is below `maxNorm`, else scaled to it (Pascanu et al. 2012). A norm that is NaN makes all updates NaN,
 * as in optax; half floats are squared and scaled in float32.
 */
export const clipByGlobalNorm = (maxNorm: TensorLike): GradientTransformation<EmptyState> => stateless((updates) => {
  const norm = tree.norm(updates);
  const below = rows.less(norm, maxNorm);
  // One choice a step and not one a leaf: x / 1 * 1 is x, bit for bit.
  const [over, by] = [norm, inDType(maxNorm, norm.dtype)].map((x) => rows.select(below, 1, x));
  return each((g) => {
    const x = wide(g);
    return castTo(times(rows.div(x, like(over!, x)), by!), g.dtype);
  }, updates);
});

/** Each leaf over its root mean square by `threshold`, where that is above 1 (Shazeer and Stern 2018). */
export const clipByBlockRms = (threshold: TensorLike): GradientTransformation<EmptyState> => statelessWithTreeMap((g) => {
  const rms = rows.sqrt(mean(rows.square(wide(g))));
  return rows.div(g, castTo(rows.maximum(rows.div(rms, threshold), 1), g.dtype));
});

/** The norm of each unit of a leaf: over `axis`, or all of a vector, the first axis of two or three, all axes but the last of four or five. */
function unitwiseNorm(x: Tensor, axis: Axis | undefined): Tensor {
  let over: Axis = null;
  if (axis !== undefined) over = axis;
  else if (x.shape.filter((n) => n !== 1).length > 1) {
    if (x.ndim > 5) throw opError("shape", "adaptiveGradClip", `a leaf of shape ${shown(x.shape)} has more than 5 axes: give axis`);
    over = x.ndim < 4 ? [0] : Array.from({ length: x.ndim - 1 }, (_, d) => d);
  }
  return rows.sqrt(sum(rows.square(wide(x)), over, { keepdims: true }));
}
/**
 * Each unit's updates scaled so that their norm is at most `clipping` times that of its parameters, which counts as `eps` at least (Brock et al. 2021).
 * @throws PaxError `shape` for a leaf of more than 5 axes without `axis`
 */
export const adaptiveGradClip = (clipping: TensorLike, { eps = 1e-3, axis }: { readonly eps?: TensorLike; readonly axis?: Axis } = {}): GradientTransformation<EmptyState> =>
  withParams("adaptiveGradClip", (g, p) => {
    const most = rows.mul(rows.maximum(unitwiseNorm(p, axis), eps), clipping);
    const norm = unitwiseNorm(g, axis);
    const factor = rows.select(rows.less(norm, most), 1, rows.div(most, rows.maximum(norm, 1e-6)));
    return rows.mul(g, castTo(factor, g.dtype));
  });
