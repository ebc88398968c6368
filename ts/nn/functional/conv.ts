/** Convolutions as functions of tensors: XLA's padding rules, batches or single examples, channels first or last. */
import { PaxError } from "../../errors.js";
import * as rows from "../../ops/generated/rows.js";
import type { Shape, Tensor } from "../../tensor.js";

export type Pair = readonly [low: number, high: number];
export type Pairs = readonly Pair[];
/** `SAME` and `VALID` are XLA's; a pair is for every axis, a list of pairs is one for each. */
export type Padding = "SAME" | "VALID" | Pair | Pairs;
/** One size for every axis, or one for each. */
export type Sizes = number | readonly number[];

/** What a convolution needs beside its tensors. */
export interface ConvSpec {
  readonly op: string;
  readonly rank: number;
  readonly stride: readonly number[];
  readonly padding: Padding;
  readonly channelsFirst: boolean;
}

/** `v` as `rank` positive integers. @throws PaxError `value` */
export function sizesOf(op: string, name: string, v: Sizes, rank: number): readonly number[] {
  const all = typeof v === "number" ? new Array<number>(rank).fill(v) : [...v];
  if (all.length !== rank || all.some((n) => !Number.isInteger(n) || n < 1)) {
    throw new PaxError("value", `${op}: ${name} must be ${rank} positive integers, got [${all.join(", ")}]`, { op });
  }
  return all;
}

/** True for `NCW`, `NCHW` and `channels_first`. @throws PaxError `value` for an unknown format */
export function isChannelsFirst(op: string, rank: number, format: string): boolean {
  const spatial = "DHW".slice(3 - rank);
  if (format === `NC${spatial}` || format === "channels_first") return true;
  if (format === `N${spatial}C` || format === "channels_last") return false;
  throw new PaxError("value", `${op}: dataFormat is ${JSON.stringify(format)}, not N${spatial}C or NC${spatial}`, { op });
}

const isPair = (padding: Pair | Pairs): padding is Pair => typeof padding[0] === "number";

/** The pair of each axis. @throws PaxError `value` */
function pairsOf(op: string, padding: Pair | Pairs, rank: number): Pairs {
  const pairs = isPair(padding) ? [padding] : padding;
  if (pairs.length !== rank && pairs.length !== 1) throw new PaxError("value", `${op}: padding has ${pairs.length} pairs for ${rank} axes`, { op });
  return Array.from({ length: rank }, (_, i) => pairs[i] ?? pairs[0]!);
}

/** A padding given by name. @throws PaxError `value` for any other name */
export function namedPadding(op: string, padding: string): "SAME" | "VALID" {
  if (padding !== "SAME" && padding !== "VALID") throw new PaxError("value", `${op}: padding is ${JSON.stringify(padding)}, not "SAME" or "VALID"`, { op });
  return padding;
}

/** Padding of a window that slides over each axis (XLA's rules): `SAME` gives ceil(size / stride) places, the odd cell behind. */
export function windowPadding(op: string, padding: Padding, sizes: Shape, windows: Shape, stride: Shape): Pairs {
  if (typeof padding !== "string") return pairsOf(op, padding, sizes.length);
  if (namedPadding(op, padding) === "VALID") return sizes.map(() => [0, 0]);
  return sizes.map((size, i) => {
    const total = Math.max((Math.ceil(size / stride[i]!) - 1) * stride[i]! + windows[i]! - size, 0);
    const low = Math.floor(total / 2);
    return [low, total - low];
  });
}

/** Runs `body` on x as [n, ...spatial, channels]; its result gets x's own form. */
function channelsLast(x: Tensor, { rank, channelsFirst }: ConvSpec, body: (x: Tensor) => Tensor): Tensor {
  const single = x.ndim === rank + 1;
  const batch = single ? rows.reshape(x, [1, ...x.shape]) : x;
  const spatial = Array.from({ length: rank }, (_, i) => i + 1);
  const y = body(channelsFirst ? rows.transpose(batch, [0, ...spatial.map((i) => i + 1), 1]) : batch);
  const out = channelsFirst ? rows.transpose(y, [0, rank + 1, ...spatial]) : y;
  return single ? rows.reshape(out, out.shape.slice(1)) : out;
}

/** The channels of x. @throws PaxError `shape` for another number of axes */
export function channelsOf(x: Tensor, { op, rank, channelsFirst }: ConvSpec): number {
  if (x.ndim !== rank + 1 && x.ndim !== rank + 2) {
    throw new PaxError("shape", `${op} takes ${rank} spatial axes and channels ${channelsFirst ? "first" : "last"}, with or without a batch axis, got shape [${x.shape.join(", ")}]`, { op });
  }
  return x.shape[channelsFirst ? x.ndim - 1 - rank : x.ndim - 1]!;
}

/** `y + b`, where y has its channels last and b one number for each. */
const addBias = (y: Tensor, b: Tensor | null): Tensor => (b === null ? y : rows.add(y, rows.reshape(b, [b.size])));

/** Cross-correlation of x with w [...window, channels / groups, results], as `lax.conv_general_dilated`. */
export function conv(x: Tensor, w: Tensor, b: Tensor | null, spec: ConvSpec & { readonly rate: readonly number[]; readonly groups: number }): Tensor {
  return channelsLast(x, spec, (t) => {
    const windows = spec.rate.map((rate, i) => (w.shape[i]! - 1) * rate + 1);
    const pads = windowPadding(spec.op, spec.padding, t.shape.slice(1, -1), windows, spec.stride);
    return addBias(rows.conv(t, w, spec.stride, pads.map((p) => p[0]), pads.map((p) => p[1]), pads.map(() => 1), spec.rate, spec.groups), b);
  });
}

/** Padding around the input spread by `stride`, as `lax.conv_transpose` chooses it. */
function transposePadding(kernel: number, stride: number, padding: "SAME" | "VALID"): Pair {
  const total = kernel + stride - 2 + (padding === "VALID" ? Math.max(kernel - stride, 0) : 0);
  const low = padding === "VALID" || stride > kernel - 1 ? kernel - 1 : Math.ceil(total / 2);
  return [low, total - low];
}

/** As `transposePadding`, for a wanted output size; Haiku's rule. @throws PaxError `shape` for an input of another size than that needs */
function outputPadding(op: string, input: number, output: number, kernel: number, stride: number, padding: "SAME" | "VALID"): Pair {
  const wanted = padding === "VALID" ? Math.floor((output - kernel + stride) / stride) : Math.ceil(output / stride);
  if (input !== wanted) throw new PaxError("shape", `${op}: an outputShape of ${output} needs an input of ${wanted}, got ${input}`, { op });
  const spread = (input - 1) * stride + 1;
  const before = padding === "VALID" ? 0 : Math.floor(Math.max(0, spread - 1 + kernel - output) / 2);
  const low = kernel - 1 - before;
  return [low, output + kernel - 1 - spread - low];
}

/** Transposed convolution of x with w [...window, results, channels], as `lax.conv_transpose`: the kernel is not flipped. */
export function convTranspose(x: Tensor, w: Tensor, b: Tensor | null, spec: ConvSpec & { readonly outputShape: readonly number[] | null }): Tensor {
  const { op, rank, stride, padding, outputShape } = spec;
  if (typeof padding === "string") namedPadding(op, padding);
  else if (outputShape !== null) throw new PaxError("value", `${op}: with an outputShape, padding is "SAME" or "VALID"`, { op });
  return channelsLast(x, spec, (t) => {
    const kernel = w.shape.slice(0, rank);
    const pads = typeof padding !== "string" ? pairsOf(op, padding, rank) : kernel.map((k, i) => (
      outputShape === null ? transposePadding(k, stride[i]!, padding) : outputPadding(op, t.shape[i + 1]!, outputShape[i]!, k, stride[i]!, padding)));
    const swapped = rows.transpose(w, [...kernel.map((_, i) => i), rank + 1, rank]);
    const ones = kernel.map(() => 1);
    return addBias(rows.conv(t, swapped, ones, pads.map((p) => p[0]), pads.map((p) => p[1]), stride, ones, 1), b);
  });
}
