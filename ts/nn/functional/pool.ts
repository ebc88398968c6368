/** Pooling windows as functions of tensors. */
import { opError, shown } from "../../errors.js";
import { axisOf } from "../../ops/axes.js";
import * as rows from "../../ops/generated/rows.js";
import { asTensor, sizeOf, type Shape, type Tensor, type TensorLike } from "../../tensor.js";
import { windowPadding, type Sizes } from "./conv.js";

export type PoolOptions = { readonly channelAxis?: number | null };

/** A size for each axis of x, as Haiku infers it: an integer leaves out the first axis and the channels, a short list is for the last axes. */
function sizesFor(op: string, x: Tensor, size: Sizes, channelAxis: number | null): Shape {
  if (typeof size === "number") {
    const channels = channelAxis === null ? -1 : axisOf(channelAxis, x.ndim);
    return x.shape.map((_, d) => (d === 0 || d === channels ? 1 : size));
  }
  if (size.length > x.ndim) throw opError("shape", op, `${shown(size)} has more axes than the shape ${shown(x.shape)}`);
  return [...new Array<number>(x.ndim - size.length).fill(1), ...size];
}

type Window = readonly [window: Shape, strides: Shape, low: Shape, high: Shape];
function windowOf(op: string, x: Tensor, windowShape: Sizes, strides: Sizes, padding: "SAME" | "VALID", { channelAxis = -1 }: PoolOptions): Window {
  if (padding !== "SAME" && padding !== "VALID") throw opError("value", op, `padding must be "SAME" or "VALID", got ${JSON.stringify(padding)}`);
  const [window, steps] = [sizesFor(op, x, windowShape, channelAxis), sizesFor(op, x, strides, channelAxis)];
  const pads = windowPadding(padding, x.shape, window, steps);
  return [window, steps, pads.map((p) => p[0]), pads.map((p) => p[1])];
}

/** The greatest element of each window, as `hk.max_pool`; outside of x there is -inf. @throws PaxError `value` for another padding */
export function maxPool(x: TensorLike, windowShape: Sizes, strides: Sizes, padding: "SAME" | "VALID", options: PoolOptions = {}): Tensor {
  const t = asTensor(x);
  return rows.windowMax(t, ...windowOf("maxPool", t, windowShape, strides, padding, options));
}

/** The mean of each window over the cells inside of x, as `hk.avg_pool`. @throws PaxError `value` for another padding */
export function avgPool(x: TensorLike, windowShape: Sizes, strides: Sizes, padding: "SAME" | "VALID", options: PoolOptions = {}): Tensor {
  const t = asTensor(x);
  const [window, ...rest] = windowOf("avgPool", t, windowShape, strides, padding, options);
  const total = rows.windowSum(t, window, ...rest);
  if (padding === "VALID") return rows.div(total, sizeOf(window));
  return rows.div(total, rows.windowSum(rows.full(t.shape, total.dtype, 1), window, ...rest));
}
