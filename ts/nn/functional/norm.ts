/** Normalization and running averages as functions of tensors. */
import { opError, shown } from "../../errors.js";
import * as rows from "../../ops/generated/rows.js";
import { otherAxes } from "../../ops/axes.js";
import { mean } from "../../ops/reduce.js";
import type { Tensor } from "../../tensor.js";
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

/** A step of an exponential average: `hidden · decay + value · (1 − decay)`. */
export const emaStep = (hidden: Tensor, value: Tensor, decay: number | Tensor): Tensor =>
  rows.add(rows.mul(hidden, decay), rows.mul(rows.cast(value, hidden.dtype, false), typeof decay === "number" ? 1 - decay : rows.sub(1, decay)));

/** An average that began at 0, without its bias after `count` steps (Adam's correction). */
export const zeroDebias = (hidden: Tensor, decay: number | Tensor, count: Tensor): Tensor =>
  rows.div(hidden, rows.sub(1, rows.pow(decay, rows.cast(count, "float32", true))));

/**
 * `(x − mean) / √(variance + eps)` of each example over space and the channels of each of `groups` groups, which come last. Sums are made
 * for each channel first: these lie together.
 */
export function groupNormalize(x: Tensor, groups: number, eps: number): Tensor {
  const half = x.dtype === "float16" || x.dtype === "bfloat16";
  const t = half ? rows.cast(x, "float32", false) : x;
  const [n, c] = [t.shape[0]!, t.shape.at(-1)!];
  const [space, parts] = [otherAxes(t, [0, t.ndim - 1]), [n, groups, c / groups]];
  const average = (z: Tensor): Tensor => {
    const sums = rows.reduceSum(rows.reshape(rows.reduceSum(z, space), parts), [2]);
    const means = rows.div(sums, t.size / (n * groups));
    return rows.reshape(rows.broadcast(means, parts, [0, 1]), [n, ...space.map(() => 1), c]);
  };
  const centred = rows.sub(t, average(t));
  const y = rows.mul(centred, rows.rsqrt(rows.add(average(rows.square(centred)), eps)));
  return half ? rows.cast(y, x.dtype, x.weak) : y;
}
