import { opError, PaxError, shown } from "./errors.js";
import { eye } from "./ops/diagonal.js";
import { broadcastTo } from "./ops/shape.js";
import * as rows from "./ops/generated/rows.js";
import * as random from "./random.js";
import { sizeOf, type DType, type Shape, type Tensor } from "./tensor.js";

/** Without a key, `nextRngKey()` gives one. */
export type Initializer = (shape: Shape, dtype?: DType, key?: Tensor) => Tensor;
export type FanMode = "fan_in" | "fan_out" | "fan_avg";
export type Distribution = "truncated_normal" | "normal" | "uniform";

export const zeros: Initializer = (shape, dtype = "float32") => rows.full(shape, dtype, 0);
export const ones: Initializer = (shape, dtype = "float32") => rows.full(shape, dtype, 1);
export const constant = (value: number): Initializer => (shape, dtype = "float32") => rows.full(shape, dtype, value);
/** `gain` on the diagonal of the last two axes. @throws PaxError `shape` for fewer than two */
export const identity = (gain = 1): Initializer => (shape, dtype = "float32") => {
  if (shape.length < 2) throw new PaxError("shape", `identity makes matrices, got shape ${shown(shape)}`, { op: "identity" });
  return broadcastTo(rows.mul(eye(shape.at(-2)!, shape.at(-1)!, { dtype }), gain), shape);
};
const affine = (x: Tensor, scale: number, shift: number): Tensor => rows.add(rows.mul(x, scale), shift);

export const randomNormal = (stddev = 1, mean = 0): Initializer => (shape, dtype = "float32", key = random.nextRngKey()) =>
  affine(random.normal(key, shape, { dtype }), stddev, mean);
/** Cut at `lower` and `upper` standard deviations, which is not corrected for. */
export const truncatedNormal = (stddev = 1, mean = 0, lower = -2, upper = 2): Initializer => (shape, dtype = "float32", key = random.nextRngKey()) =>
  affine(random.truncatedNormal(key, lower, upper, shape, { dtype }), stddev, mean);
/** From `minval` up to, but not including, `maxval`. */
export const randomUniform = (minval = 0, maxval = 1): Initializer => (shape, dtype = "float32", key = random.nextRngKey()) =>
  random.uniform(key, shape, { dtype, minval, maxval });

/** Inputs and outputs of a weight `[...window, in, out]`. */
function fans(shape: Shape): readonly [number, number] {
  if (shape.length < 2) return [shape[0] ?? 1, shape[0] ?? 1];
  const window = sizeOf(shape.slice(0, -2));
  return [shape.at(-2)! * window, shape.at(-1)! * window];
}

/** The variance is `scale` by the fan. */
export function varianceScaling(scale = 1, mode: FanMode = "fan_in", distribution: Distribution = "truncated_normal"): Initializer {
  if (!(scale >= 0)) throw opError("value", "varianceScaling", `scale is ${scale}`);
  return (shape, dtype = "float32", key = random.nextRngKey()) => {
    const [fanIn, fanOut] = fans(shape);
    const fan = mode === "fan_in" ? fanIn : mode === "fan_out" ? fanOut : (fanIn + fanOut) / 2;
    const stddev = Math.sqrt(scale / Math.max(1, fan));
    if (distribution === "truncated_normal") return truncatedNormal(stddev / 0.87962566103423978)(shape, dtype, key);
    if (distribution === "normal") return randomNormal(stddev)(shape, dtype, key);
    const limit = Math.sqrt(3) * stddev;
    return randomUniform(-limit, limit)(shape, dtype, key);
  };
}
