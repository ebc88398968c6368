import { opError, PaxError, shown } from "../errors.js";
import { ones, zeros } from "../initializers.js";
import { Module, type State } from "../module/index.js";
import { axesOf, axisOf } from "../ops/axes.js";
import * as rows from "../ops/generated/rows.js";
import { array, asTensor, type Tensor, type TensorLike } from "../tensor.js";
import { showStatic } from "../tree/statics.js";
import { isChannelsFirst } from "./functional/conv.js";
import { affine, batchMoments, emaStep, groupNormalize, normalize, zeroDebias } from "./functional/norm.js";

type BatchNormOptions = { readonly eps?: number; readonly axis?: readonly number[]; readonly crossReplicaAxis?: string | null };

/**
 * Normalizes with the batch's mean and variance in train mode, else with their running averages. `crossReplicaAxis` names an axis of `vmap` or
 * `pmap`: the batch is that of all its places.
 */
export class BatchNorm extends Module {
  static override moduleName = "BatchNorm";
  declare scale: Tensor | null;
  declare offset: Tensor | null;
  declare mean: State<Tensor>;
  declare var: State<Tensor>;
  /** The sums that the averages come from, not yet divided by their weights. */
  declare meanHidden: State<Tensor>;
  declare varHidden: State<Tensor>;
  declare counter: State<Tensor>;
  readonly eps: number;
  readonly axes: readonly number[];
  readonly crossReplicaAxis: string | null;

  constructor(
    readonly inputShape: readonly (number | null)[], createScale = true, createOffset = true, readonly decayRate = 0.99,
    { eps = 1e-5, axis, crossReplicaAxis = null }: BatchNormOptions = {},
  ) {
    super();
    if (!Array.isArray(inputShape)) throw opError("shape", "BatchNorm", `give the shape of an input, with null for sizes that vary, as [null, 4], not ${showStatic(inputShape)}`);
    this.eps = eps;
    this.crossReplicaAxis = crossReplicaAxis;
    this.axes = axesOf(axis ?? inputShape.slice(0, -1).map((_, i) => i), inputShape.length);
    const shape = inputShape.map((n, i) => {
      if (this.axes.includes(i)) return 1;
      if (n === null) throw new PaxError("shape", `BatchNorm(${shown(inputShape.map((size) => size ?? "null"))}): the size of axis ${i} must be a number, as the statistics keep that axis`, { op: "BatchNorm" });
      return n;
    });
    this.registerParameter("scale", createScale ? ones(shape) : null);
    this.registerParameter("offset", createOffset ? zeros(shape) : null);
    for (const name of ["mean", "var", "meanHidden", "varHidden"] as const) this.registerState(name, zeros(shape));
    this.registerState("counter", array(0, { dtype: "int32" }));
  }

  forward(x: TensorLike): Tensor {
    const t = asTensor(x);
    const fits = t.ndim === this.inputShape.length && this.inputShape.every((n, i) => n === null || this.axes.includes(i) || n === t.shape[i]);
    if (!fits) {
      const wanted = this.inputShape.map((n) => n ?? "any").join(", ");
      throw new PaxError("shape", `BatchNorm takes [${wanted}], got shape ${shown(t.shape)}`, { op: "BatchNorm" });
    }
    if (!this.training) return normalize(t, this.mean, this.var, this.scale, this.offset, this.eps);
    const [average, variance] = batchMoments("BatchNorm", t, this.axes, this.crossReplicaAxis);
    this.counter = rows.add(this.counter, 1);
    this.meanHidden = emaStep(this.meanHidden, average, this.decayRate);
    this.varHidden = emaStep(this.varHidden, variance, this.decayRate);
    this.mean = zeroDebias(this.meanHidden, this.decayRate, this.counter);
    this.var = zeroDebias(this.varHidden, this.decayRate, this.counter);
    return normalize(t, average, variance, this.scale, this.offset, this.eps);
  }
}

type FixedOptions<F> = { readonly eps?: number; readonly dataFormat?: F; readonly crossReplicaAxis?: string | null };
/** The shape of an input with `channels` at the place that the format says, every other size unknown. */
const inputOf = (op: string, rank: number, channels: number, format: string): (number | null)[] => {
  const at = isChannelsFirst(op, rank, format) ? 1 : rank + 1;
  return Array.from({ length: rank + 2 }, (_, i) => (i === at ? channels : null));
};
const others = (shape: readonly (number | null)[]): number[] => shape.flatMap((n, i) => (n === null ? [i] : []));

/** `BatchNorm` of sequences [n, w, channels]; the defaults are Pax's. */
export class BatchNorm1D extends BatchNorm {
  static override moduleName = "BatchNorm1D";
  constructor(readonly numChannels: number, createScale = true, createOffset = true, decayRate = 0.9, { dataFormat = "NWC", ...rest }: FixedOptions<"NWC" | "NCW"> = {}) {
    const shape = inputOf("BatchNorm1D", 1, numChannels, dataFormat);
    super(shape, createScale, createOffset, decayRate, { ...rest, axis: others(shape) });
  }
}
/** `BatchNorm` of images [n, h, w, channels]; the defaults are Pax's. */
export class BatchNorm2D extends BatchNorm {
  static override moduleName = "BatchNorm2D";
  constructor(readonly numChannels: number, createScale = true, createOffset = true, decayRate = 0.9, { dataFormat = "NHWC", ...rest }: FixedOptions<"NHWC" | "NCHW"> = {}) {
    const shape = inputOf("BatchNorm2D", 2, numChannels, dataFormat);
    super(shape, createScale, createOffset, decayRate, { ...rest, axis: others(shape) });
  }
}

/** Normalizes each example along `axis`; scale and offset belong to the last axis. */
export class LayerNorm extends Module {
  static override moduleName = "LayerNorm";
  declare scale: Tensor | null;
  declare offset: Tensor | null;
  readonly eps: number;
  constructor(readonly numChannels: number, readonly axis = -1, createScale = true, createOffset = true, { eps = 1e-5 }: { readonly eps?: number } = {}) {
    super();
    this.eps = eps;
    this.registerParameter("scale", createScale ? ones([numChannels]) : null);
    this.registerParameter("offset", createOffset ? zeros([numChannels]) : null);
  }
  forward(x: TensorLike): Tensor {
    const t = asTensor(x);
    if (t.shape.at(-1) !== this.numChannels) {
      throw new PaxError("shape", `LayerNorm(${this.numChannels}) takes [..., ${this.numChannels}], got shape ${shown(t.shape)}`, { op: "LayerNorm" });
    }
    return affine(rows.layerNorm(t, [axisOf(this.axis, t.ndim)], this.eps), this.scale, this.offset);
  }
}

type GroupNormOptions = { readonly eps?: number; readonly dataFormat?: "channels_last" | "channels_first" };
/** Normalizes each example over its spatial axes and the channels of each of `groups` groups (Wu and He 2018; defaults as Haiku's). */
export class GroupNorm extends Module {
  static override moduleName = "GroupNorm";
  declare scale: Tensor | null;
  declare offset: Tensor | null;
  readonly eps: number;
  readonly channelsFirst: boolean;
  constructor(readonly groups: number, readonly numChannels: number, createScale = true, createOffset = true, { eps = 1e-5, dataFormat = "channels_last" }: GroupNormOptions = {}) {
    super();
    if (numChannels % groups !== 0) throw opError("shape", "GroupNorm", `${numChannels} channels do not divide into ${groups} groups`);
    this.eps = eps;
    this.channelsFirst = dataFormat === "channels_first";
    this.registerParameter("scale", createScale ? ones([numChannels]) : null);
    this.registerParameter("offset", createOffset ? zeros([numChannels]) : null);
  }
  forward(x: TensorLike): Tensor {
    const t = asTensor(x);
    const at = this.channelsFirst ? 1 : t.ndim - 1;
    if (t.ndim < 2 || t.shape[at] !== this.numChannels) {
      throw new PaxError("shape", `GroupNorm(${this.groups}, ${this.numChannels}) takes a batch with ${this.numChannels} channels ${this.channelsFirst ? "first" : "last"}, got shape ${shown(t.shape)}`, { op: "GroupNorm" });
    }
    const channels = t.shape.map((n, i) => (i === at ? n : 1));
    const wide = (p: Tensor | null): Tensor | null => (p === null ? null : rows.reshape(p, channels));
    return affine(groupNormalize(t, this.groups, at, this.eps), wide(this.scale), wide(this.offset));
  }
}
