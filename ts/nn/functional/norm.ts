/** Normalization and running averages as functions of tensors. */
import { opError, shown } from "../../errors.js";
import * as rows from "../../ops/generated/rows.js";
import { otherAxes } from "../../ops/axes.js";
import { inDType } from "../../ops/dtypes.js";
import { castTo, wide } from "../../ops/halves.js";
import { mean } from "../../ops/reduce.js";
import type { Tensor, TensorLike } from "../../tensor.js";
import { pmean } from "../../transforms/collectives.js";

/** `x` by scale, plus offset, where they are there. */
export function affine(x: Tensor, scale: Tensor | null, offset: Tensor | null): Tensor {
  const scaled = scale === null ? x : rows.mul(x, scale);
  return offset === null ? scaled : rows.add(scaled, offset);
}

/**
 * Mean and biased variance of a batch over `axes`, which stay as 1: E[x²] − E[x]², as Haiku's; with `replicas`, over the mapped axis of that name too.
 * @throws PaxError `value` for an empty batch, `trace` where no axis has that name
 */
export function batchMoments(op: string, x: Tensor, axes: readonly number[], replicas: string | null): readonly [mean: Tensor, variance: Tensor] {
  if (axes.some((a) => x.shape[a] === 0)) throw opError("value", op, `the batch of shape ${shown(x.shape)} is empty, and has no mean: leave it out, or use eval()`);
  const over = (t: Tensor): Tensor => {
    const here = mean(t, axes, { keepdims: true });
    return replicas === null ? here : pmean(here, replicas);
  };
  const average = over(x);
  return [average, rows.sub(over(rows.square(x)), rows.square(average))];
}

/** `(x − mean) · scale / √(variance + eps) + offset`. */
export function normalize(x: Tensor, average: Tensor, variance: Tensor, scale: Tensor | null, offset: Tensor | null, eps: number): Tensor {
  const inverse = rows.rsqrt(rows.add(variance, eps));
  return affine(rows.mul(rows.sub(x, average), affine(inverse, scale, null)), null, offset);
}

/** A step of an exponential average: `hidden · decay + value · (1 − decay)`, with weights that are together 1 in the dtype, of half floats in float32. */
export function emaStep(hidden: Tensor, value: Tensor, decay: TensorLike): Tensor {
  const old = wide(hidden);
  const keep = inDType(decay, old.dtype);
  return castTo(rows.add(rows.mul(old, keep), rows.mul(rows.cast(value, old.dtype, false), rows.sub(1, keep))), hidden.dtype);
}

/** An average that began at 0, without its bias after `count` steps (Adam's correction): over `1 − decay ** count`, without cancellation. */
export function zeroDebias(hidden: Tensor, decay: TensorLike, count: Tensor): Tensor {
  const less = rows.log1p(rows.sub(inDType(decay, wide(hidden).dtype), 1));
  return castTo(rows.div(hidden, rows.neg(rows.expm1(rows.mul(rows.cast(count, less.dtype, false), less)))), hidden.dtype);
}

/**
 * `(x − mean) / √(variance + eps)` of each example over space and the channels, on axis `at`, of each of `groups` groups. Means are made of
 * each channel first: channels that come last lie together.
 */
export function groupNormalize(x: Tensor, groups: number, at: number, eps: number): Tensor {
  const t = wide(x);
  const space = otherAxes(t, [0, at]);
  const parts = [t.shape[0]!, groups, t.shape[at]! / groups];
  const average = (z: Tensor): Tensor => {
    const means = mean(z, space, { keepdims: true });
    return rows.reshape(rows.broadcast(mean(rows.reshape(means, parts), 2), parts, [0, 1]), means.shape);
  };
  const centred = rows.sub(t, average(t));
  return castTo(rows.mul(centred, rows.rsqrt(rows.add(average(rows.square(centred)), eps))), x.dtype);
}
