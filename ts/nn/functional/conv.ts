/** Convolutions as functions of tensors: XLA's padding rules, batches or single examples, channels first or last. */
import { opError, PaxError, shown } from "../../errors.js";
import * as rows from "../../ops/generated/rows.js";
import type { Shape, Tensor } from "../../tensor.js";

export type Pair = readonly [low: number, high: number];
export type Pairs = readonly Pair[];
type Named = "SAME" | "VALID";
/** `SAME` and `VALID` are XLA's; a pair is for every axis, a list of pairs is one for each. */
export type Padding = Named | Pair | Pairs;
/** One size for every axis, or one for each. */
export type Sizes = number | readonly number[];

/** What a convolution needs beside its tensors. */
export interface ConvSpec {
  readonly op: string;
  readonly rank: number;
  readonly stride: readonly number[];
  readonly padding: Named | Pairs;
  readonly channelsFirst: boolean;
}

/** `v` as `rank` positive integers. @throws PaxError `value` */
export function sizesOf(op: string, name: string, v: Sizes, rank: number): readonly number[] {
  const all = typeof v === "number" ? new Array<number>(rank).fill(v) : [...v];
  if (all.length !== rank || all.some((n) => !Number.isInteger(n) || n < 1)) {
    throw opError("value", op, `${name} must be a positive integer${rank > 1 ? `, or ${rank} of them` : ""}, got ${shown(all)}`);
  }
  return all;
}

/** True for `NCW`, `NCHW` and `channels_first`. @throws PaxError `value` for an unknown format */
export function isChannelsFirst(op: string, rank: number, format: string): boolean {
  const [last, first] = rank === 1 ? ["NWC", "NCW"] : ["NHWC", "NCHW"];
  if (format === first || format === "channels_first") return true;
  if (format === last || format === "channels_last") return false;
  throw opError("value", op, `dataFormat must be "${last}" or "${first}", got ${JSON.stringify(format)}`);
}

const isPair = (padding: Pair | Pairs): padding is Pair => typeof padding[0] === "number";

/** A padding with a pair for each axis, or one of XLA's. @throws PaxError `value` */
export function paddingOf(op: string, padding: Padding, rank: number): Named | Pairs {
  if (padding === "SAME" || padding === "VALID") return padding;
  const pairs: Pairs = !Array.isArray(padding) ? [] : isPair(padding) ? [padding] : padding;
  if (pairs.length !== rank && pairs.length !== 1) {
    throw opError("value", op, `padding must be "SAME", "VALID" or a pair [low, high] for each axis, got ${JSON.stringify(padding)}`);
  }
  return Array.from({ length: rank }, (_, i) => pairs[i] ?? pairs[0]!);
}

/** What the options of a layer say. @throws PaxError `value` */
export const specOf = (
  op: string, rank: number, { stride = 1, padding = "SAME", dataFormat = "channels_last" }: { readonly stride?: Sizes; readonly padding?: Padding; readonly dataFormat?: string },
): ConvSpec => ({ op, rank, stride: sizesOf(op, "stride", stride, rank), padding: paddingOf(op, padding, rank), channelsFirst: isChannelsFirst(op, rank, dataFormat) });

/** Padding of a window that slides over each axis (XLA's rules): `SAME` gives ceil(size / stride) places, the odd cell behind. */
export function windowPadding(padding: Named | Pairs, sizes: Shape, windows: Shape, stride: Shape): Pairs {
  if (padding === "VALID") return sizes.map(() => [0, 0]);
  if (padding !== "SAME") return padding;
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

/** The channels of x; null if it has another number of axes. */
export const channelsOf = (x: Tensor, { rank, channelsFirst }: ConvSpec): number | null =>
  (x.ndim !== rank + 1 && x.ndim !== rank + 2 ? null : x.shape[channelsFirst ? x.ndim - 1 - rank : x.ndim - 1]!);

/** The error for an input that a layer does not take. */
export function wrongInput(x: Tensor, layer: string, channels: number | string, { op, rank, channelsFirst }: ConvSpec): PaxError {
  const space = rank === 1 ? "width" : "height, width";
  const wanted = channelsFirst ? `${channels}, ${space}` : `${space}, ${channels}`;
  return new PaxError("shape", `${layer} takes [n, ${wanted}] or one example [${wanted}], got shape ${shown(x.shape)}`, { op });
}

/** `y + b`, where y has its channels last and b one number for each. */
const addBias = (y: Tensor, b: Tensor | null): Tensor => (b === null ? y : rows.add(y, rows.reshape(b, [b.size])));

/** Cross-correlation of x with w [...window, channels / groups, results], as `lax.conv_general_dilated`. */
export function conv(x: Tensor, w: Tensor, b: Tensor | null, spec: ConvSpec & { readonly rate: readonly number[]; readonly groups: number }): Tensor {
  return channelsLast(x, spec, (t) => {
    const windows = spec.rate.map((rate, i) => (w.shape[i]! - 1) * rate + 1);
    const pads = windowPadding(spec.padding, t.shape.slice(1, -1), windows, spec.stride);
    return addBias(rows.conv(t, w, spec.stride, pads.map((p) => p[0]), pads.map((p) => p[1]), pads.map(() => 1), spec.rate, spec.groups), b);
  });
}

/** Padding around the input spread by `stride`, as `lax.conv_transpose` chooses it. */
function transposePadding(kernel: number, stride: number, padding: Named): Pair {
  const total = kernel + stride - 2 + (padding === "VALID" ? Math.max(kernel - stride, 0) : 0);
  const low = padding === "VALID" || stride > kernel - 1 ? kernel - 1 : Math.ceil(total / 2);
  return [low, total - low];
}

/** As `transposePadding`, for a wanted output size; Haiku's rule. @throws PaxError `shape` for an input of another size than that needs */
function outputPadding(op: string, input: number, output: number, kernel: number, stride: number, padding: Named): Pair {
  const wanted = padding === "VALID" ? Math.floor((output - kernel + stride) / stride) : Math.ceil(output / stride);
  if (input !== wanted) throw opError("shape", op, `an outputShape of ${output} needs an input of ${wanted}, got ${input}`);
  const spread = (input - 1) * stride + 1;
  const before = padding === "VALID" ? 0 : Math.floor(Math.max(0, spread - 1 + kernel - output) / 2);
  const low = kernel - 1 - before;
  return [low, output + kernel - 1 - spread - low];
}

/** Transposed convolution of x with w [...window, results, channels], as `lax.conv_transpose`: the kernel is not flipped. */
export function convTranspose(x: Tensor, w: Tensor, b: Tensor | null, spec: ConvSpec & { readonly outputShape: readonly number[] | null }): Tensor {
  const { op, rank, stride, padding, outputShape } = spec;
  if (typeof padding !== "string" && outputShape !== null) throw opError("value", op, `with an outputShape, padding is "SAME" or "VALID"`);
  return channelsLast(x, spec, (t) => {
    const kernel = w.shape.slice(0, rank);
    const pads = typeof padding !== "string" ? padding : kernel.map((k, i) => (
      outputShape === null ? transposePadding(k, stride[i]!, padding) : outputPadding(op, t.shape[i + 1]!, outputShape[i]!, k, stride[i]!, padding)));
    // It is the input's gradient of a convolution with this stride, whose kernel is flipped.
    const around = (side: 0 | 1): number[] => pads.map((p, i) => kernel[i]! - 1 - p[side]);
    const size = pads.map(([low, high], i) => { const n = t.shape[i + 1]!; return Math.max((n && (n - 1) * stride[i]! + 1) + low + high - kernel[i]! + 1, 0); });
    if (size.includes(0)) return rows.full([t.shape[0]!, ...size, w.shape[rank]!], t.dtype, 0);
    const ones = kernel.map(() => 1);
    return addBias(rows.convInputGrad(t, rows.reverse(w, kernel.map((_, i) => i)), stride, around(0), around(1), ones, ones, 1, size), b);
  });
}
