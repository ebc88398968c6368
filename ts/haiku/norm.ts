import { opError } from "../errors.js";
import { constant, ones, zeros, type Initializer } from "../initializers.js";
import { affine, batchMoments, emaStep, normalize, zeroDebias } from "../nn/functional/norm.js";
import { axesOf, otherAxes } from "../ops/axes.js";
import * as rows from "../ops/generated/rows.js";
import { mean } from "../ops/reduce.js";
import { asTensor, type Shape, type Tensor, type TensorLike } from "../tensor.js";
import type { Name } from "./basic.js";
import { getParameter, getState, runningInit, setState } from "./context.js";
import { Module } from "./module.js";

/** Scale and offset given at the call, for a module that was made without its own. */
export type ScaleAndOffset = { readonly scale?: Tensor | null; readonly offset?: Tensor | null };
type Init = Name & { readonly eps?: number; readonly scaleInit?: Initializer; readonly offsetInit?: Initializer };

/** A module with a trainable scale and offset. */
abstract class Norm extends Module {
  protected readonly eps: number;
  constructor(private readonly op: string, readonly createScale: boolean, readonly createOffset: boolean, private readonly init: Init) {
    super(init);
    this.eps = init.eps ?? 1e-5;
    if ((!createScale && init.scaleInit !== undefined) || (!createOffset && init.offsetInit !== undefined)) {
      throw opError("value", op, "an initializer was given for a scale or offset that is not created");
    }
  }
  protected scaleAndOffset(shape: Shape, x: Tensor, { scale = null, offset = null }: ScaleAndOffset): readonly [scale: Tensor | null, offset: Tensor | null] {
    if ((this.createScale && scale !== null) || (this.createOffset && offset !== null)) {
      throw opError("value", this.op, `\`${this.moduleName}\` has a scale or offset of its own, so none can be passed`, { path: this.moduleName });
    }
    return [
      this.createScale ? getParameter("scale", shape, x.dtype, this.init.scaleInit ?? ones) : scale,
      this.createOffset ? getParameter("offset", shape, x.dtype, this.init.offsetInit ?? zeros) : offset,
    ];
  }
}

type Axes = number | readonly number[];
/** Normalizes over `axis` (Ba et al. 2016); scale and offset have the size of the last axis, or of those in `paramAxis`. */
export class LayerNorm extends Norm {
  static override moduleName = "LayerNorm";
  private readonly paramAxis: Axes;
  constructor(readonly axis: Axes, createScale: boolean, createOffset: boolean, { paramAxis = -1, ...init }: Init & { readonly paramAxis?: Axes } = {}) {
    super("hk.LayerNorm", createScale, createOffset, init);
    this.paramAxis = paramAxis;
  }
  protected parametersFor(x: Tensor, given: ScaleAndOffset): readonly [scale: Tensor | null, offset: Tensor | null] {
    const kept = axesOf(this.paramAxis, x.ndim);
    return this.scaleAndOffset(kept.length === 1 && kept[0] === x.ndim - 1 ? [x.shape.at(-1)!] : x.shape.map((n, i) => (kept.includes(i) ? n : 1)), x, given);
  }
  forward(inputs: TensorLike, given: ScaleAndOffset = {}): Tensor {
    const x = asTensor(inputs);
    return affine(rows.layerNorm(x, axesOf(this.axis, x.ndim), this.eps), ...this.parametersFor(x, given));
  }
}

/** Divides by the root of the mean square over `axis` (Zhang and Sennrich 2019); the scale as that of `LayerNorm`. */
export class RMSNorm extends LayerNorm {
  static override moduleName = "RMSNorm";
  constructor(axis: Axes, { createScale = true, ...init }: Name & { readonly eps?: number; readonly scaleInit?: Initializer; readonly paramAxis?: Axes; readonly createScale?: boolean } = {}) {
    super(axis, createScale, false, init);
  }
  override forward(inputs: TensorLike): Tensor {
    const x = asTensor(inputs);
    return rows.mul(affine(x, ...this.parametersFor(x, {})), rows.rsqrt(rows.add(mean(rows.square(x), this.axis, { keepdims: true }), this.eps)));
  }
}

/** A running average of a tensor, without the bias of its start at 0 unless `zeroDebias` is false. */
export class ExponentialMovingAverage extends Module {
  static override moduleName = "ExponentialMovingAverage";
  private readonly options: { readonly zeroDebias: boolean; readonly warmupLength: number };
  constructor(readonly decay: number, { zeroDebias: debias = true, warmupLength = 0, name }: Name & { readonly zeroDebias?: boolean; readonly warmupLength?: number } = {}) {
    super({ name });
    if (warmupLength < 0 || (warmupLength > 0 && debias)) {
      throw opError("value", "hk.ExponentialMovingAverage", `a warmupLength of ${warmupLength} must not be negative, and a positive one needs zeroDebias: false`);
    }
    this.options = { zeroDebias: debias, warmupLength };
  }
  /** Updates the average and gives it; with `updateStats: false` only gives what it would be. */
  forward(value: TensorLike, { updateStats = true }: { readonly updateStats?: boolean } = {}): Tensor {
    const x = asTensor(value);
    const { zeroDebias: debias, warmupLength } = this.options;
    const counter = rows.add(getState("counter", [], "int32", constant(-warmupLength)), 1);
    const decay = warmupLength > 0 ? rows.select(rows.lessEqual(counter, 0), 0, rows.full([], x.dtype, this.decay)) : this.decay;
    const hidden = emaStep(getState("hidden", x.shape, x.dtype, zeros), x, decay);
    const average = debias ? zeroDebias(hidden, decay, counter) : hidden;
    if (updateStats) {
      getState("average", x.shape, x.dtype, zeros); // the first value is 0, not that of the first run
      setState("counter", counter);
      setState("hidden", hidden);
      setState("average", average);
    }
    return average;
  }
  /** The average so far. */
  get average(): Tensor {
    return getState("average");
  }
}

type BatchNormOptions = Init & { readonly axis?: readonly number[]; readonly crossReplicaAxis?: string | null; readonly dataFormat?: "channels_last" | "channels_first" };
/**
 * Normalizes with the batch's mean and variance while training, else with their running averages (Ioffe and Szegedy 2015). `crossReplicaAxis`
 * names an axis of `vmap` or `pmap`: the batch is that of all its places. `init` needs no such axis.
 */
export class BatchNorm extends Norm {
  static override moduleName = "BatchNorm";
  private readonly meanEma: ExponentialMovingAverage;
  private readonly varEma: ExponentialMovingAverage;
  private readonly axis: readonly number[] | undefined;
  private readonly channelsFirst: boolean;
  private readonly crossReplicaAxis: string | null;
  constructor(createScale: boolean, createOffset: boolean, decayRate: number, { axis, crossReplicaAxis = null, dataFormat = "channels_last", ...init }: BatchNormOptions = {}) {
    super("hk.BatchNorm", createScale, createOffset, init);
    this.axis = axis;
    this.crossReplicaAxis = crossReplicaAxis;
    this.channelsFirst = dataFormat === "channels_first";
    this.meanEma = new ExponentialMovingAverage(decayRate, { name: "mean_ema" });
    this.varEma = new ExponentialMovingAverage(decayRate, { name: "var_ema" });
  }
  /** `testLocalStats` takes the batch's statistics although it is not training. */
  forward(inputs: TensorLike, isTraining: boolean, { testLocalStats = false, ...given }: ScaleAndOffset & { readonly testLocalStats?: boolean } = {}): Tensor {
    const x = asTensor(inputs);
    const channel = this.channelsFirst ? 1 : x.ndim - 1;
    const axes = this.axis === undefined ? otherAxes(x, [channel]) : axesOf(this.axis, x.ndim);
    const [mean, variance] = isTraining || testLocalStats ? batchMoments("hk.BatchNorm", x, axes, runningInit() ? null : this.crossReplicaAxis)
      : [rows.cast(this.meanEma.average, x.dtype, false), rows.cast(this.varEma.average, x.dtype, false)];
    if (isTraining) {
      this.meanEma.forward(mean);
      this.varEma.forward(variance);
    }
    const shape = x.shape.map((n, i) => (axes.includes(i) ? 1 : n));
    return normalize(x, mean, variance, ...this.scaleAndOffset(shape, x, given), this.eps);
  }
}
