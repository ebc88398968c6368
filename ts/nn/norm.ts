import { PaxError } from "../errors.js";
import { ones, zeros } from "../initializers.js";
import { Module, type State } from "../module/index.js";
import { axesOf, axisOf } from "../ops/axes.js";
import * as rows from "../ops/generated/rows.js";
import { mean } from "../ops/reduce.js";
import { array, asTensor, type Tensor, type TensorLike } from "../tensor.js";

/** `x` by scale, plus offset, where they are there. */
const affine = (x: Tensor, scale: Tensor | null, offset: Tensor | null): Tensor => {
  const scaled = scale === null ? x : rows.mul(x, scale);
  return offset === null ? scaled : rows.add(scaled, offset);
};

type BatchNormOptions = { readonly eps?: number; readonly axis?: readonly number[]; readonly crossReplicaAxis?: string };

/** Normalizes with the batch's mean and variance in train mode, else with their running averages. */
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

  constructor(
    readonly inputShape: readonly (number | null)[], createScale = true, createOffset = true, readonly decayRate = 0.99,
    { eps = 1e-5, axis, crossReplicaAxis }: BatchNormOptions = {},
  ) {
    super();
    if (crossReplicaAxis !== undefined) throw new PaxError("value", "BatchNorm: crossReplicaAxis is not there yet", { op: "BatchNorm" });
    this.eps = eps;
    this.axes = axesOf(axis ?? inputShape.slice(0, -1).map((_, i) => i), inputShape.length);
    const shape = inputShape.map((n, i) => {
      if (this.axes.includes(i)) return 1;
      if (n === null) throw new PaxError("shape", `BatchNorm([${inputShape.map((size) => size ?? "null").join(", ")}]): the size of axis ${i} must be a number, as the statistics keep that axis`, { op: "BatchNorm" });
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
      throw new PaxError("shape", `BatchNorm takes [${wanted}], got shape [${t.shape.join(", ")}]`, { op: "BatchNorm" });
    }
    if (!this.training) return this.normalize(t, this.mean, this.var);
    if (this.axes.some((a) => t.shape[a] === 0)) throw new PaxError("value", `BatchNorm: the batch of shape [${t.shape.join(", ")}] is empty, and has no mean: leave it out, or use eval()`, { op: "BatchNorm" });
    const average = mean(t, this.axes, { keepdims: true });
    const variance = rows.sub(mean(rows.square(t), this.axes, { keepdims: true }), rows.square(average));
    this.counter = rows.add(this.counter, 1);
    const weight = rows.sub(1, rows.pow(this.decayRate, rows.cast(this.counter, "float32", true)));
    const blend = (hidden: Tensor, now: Tensor): Tensor =>
      rows.add(rows.mul(hidden, this.decayRate), rows.mul(rows.cast(now, hidden.dtype, false), 1 - this.decayRate));
    this.meanHidden = blend(this.meanHidden, average);
    this.varHidden = blend(this.varHidden, variance);
    this.mean = rows.div(this.meanHidden, weight);
    this.var = rows.div(this.varHidden, weight);
    return this.normalize(t, average, variance);
  }

  private normalize(x: Tensor, average: Tensor, variance: Tensor): Tensor {
    const inverse = rows.rsqrt(rows.add(variance, this.eps));
    const factor = this.scale === null ? inverse : rows.mul(inverse, this.scale);
    return affine(rows.mul(rows.sub(x, average), factor), null, this.offset);
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
      throw new PaxError("shape", `LayerNorm(${this.numChannels}) takes [..., ${this.numChannels}], got shape [${t.shape.join(", ")}]`, { op: "LayerNorm" });
    }
    return affine(rows.layerNorm(t, [axisOf(this.axis, t.ndim)], this.eps), this.scale, this.offset);
  }
}
