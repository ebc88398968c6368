import { PaxError } from "../errors.js";
import { truncatedNormal, zeros, type Initializer } from "../initializers.js";
import { Module } from "../module/index.js";
import * as rows from "../ops/generated/rows.js";
import { asTensor, type Tensor, type TensorLike } from "../tensor.js";

type Pairs = readonly (readonly [low: number, high: number])[];
export type Padding = "SAME" | "VALID" | Pairs;
export type ConvOptions<S, F> = {
  readonly stride?: S; readonly rate?: S; readonly padding?: Padding; readonly withBias?: boolean;
  readonly dataFormat?: F; readonly featureGroupCount?: number; readonly wInit?: Initializer; readonly bInit?: Initializer;
};
type Sizes = number | readonly number[];

abstract class Conv extends Module {
  declare w: Tensor;
  declare b: Tensor | null;
  readonly stride: readonly number[];
  readonly rate: readonly number[];
  readonly padding: Padding;
  readonly channelsFirst: boolean;
  readonly featureGroupCount: number;

  constructor(
    private readonly label: string, private readonly rank: number, readonly inFeatures: number, readonly outFeatures: number,
    kernelShape: Sizes, options: ConvOptions<Sizes, string>,
  ) {
    super();
    const { stride = 1, rate = 1, padding = "SAME", withBias = true, dataFormat, featureGroupCount = 1, bInit = zeros } = options;
    const sizes = (name: string, v: Sizes): readonly number[] => {
      const all = typeof v === "number" ? new Array<number>(rank).fill(v) : [...v];
      if (all.length !== rank || all.some((n) => !Number.isInteger(n) || n < 1)) {
        throw new PaxError("value", `${label}: ${name} must be a positive integer${rank > 1 ? `, or ${rank} of them` : ""}, got [${all.join(", ")}]`, { op: label });
      }
      return all;
    };
    const kernel = sizes("kernelShape", kernelShape);
    if (inFeatures % featureGroupCount !== 0 || outFeatures % featureGroupCount !== 0) {
      throw new PaxError("shape", `${label}: ${inFeatures} and ${outFeatures} features do not divide into ${featureGroupCount} groups: featureGroupCount must divide both`, { op: label });
    }
    if (padding !== "SAME" && padding !== "VALID" && !Array.isArray(padding)) {
      throw new PaxError("value", `${label}: padding must be "SAME", "VALID" or a pair [low, high] for each axis, got ${JSON.stringify(padding)}`, { op: label });
    }
    const formats = rank === 1 ? ["NWC", "NCW"] : ["NHWC", "NCHW"];
    if (dataFormat !== undefined && !formats.includes(dataFormat)) throw new PaxError("value", `${label}: dataFormat must be "${formats.join('" or "')}", got ${JSON.stringify(dataFormat)}`, { op: label });
    this.stride = sizes("stride", stride);
    this.rate = sizes("rate", rate);
    this.padding = padding;
    this.channelsFirst = dataFormat?.startsWith("NC") ?? false;
    this.featureGroupCount = featureGroupCount;
    const shape = [...kernel, inFeatures / featureGroupCount, outFeatures];
    const fanIn = shape.slice(0, -1).reduce((a, b) => a * b, 1);
    this.registerParameter("w", (options.wInit ?? truncatedNormal(1 / Math.sqrt(fanIn)))(shape));
    this.registerParameter("b", withBias ? bInit([outFeatures]) : null);
  }

  forward(x: TensorLike): Tensor {
    const t = asTensor(x);
    const { rank } = this;
    const single = t.ndim === rank + 1;
    const channels = t.shape[this.channelsFirst ? t.ndim - 1 - rank : t.ndim - 1];
    if ((!single && t.ndim !== rank + 2) || channels !== this.inFeatures) {
      const space = rank === 1 ? "width" : "height, width";
      const wanted = this.channelsFirst ? `${this.inFeatures}, ${space}` : `${space}, ${this.inFeatures}`;
      throw new PaxError("shape", `${this.label}(${this.inFeatures}, ${this.outFeatures}) takes [n, ${wanted}] or one example [${wanted}], got shape [${t.shape.join(", ")}]`, { op: this.label });
    }
    const batched = single ? rows.reshape(t, [1, ...t.shape]) : t;
    const spatial = Array.from({ length: rank }, (_, i) => i + 1);
    const last = this.channelsFirst ? rows.transpose(batched, [0, ...spatial.map((i) => i + 1), 1]) : batched;
    const pads = spatial.map((at, i) => this.pads(last.shape[at]!, i));
    const ones = spatial.map(() => 1);
    const y = rows.conv(last, this.w, this.stride, pads.map((p) => p[0]), pads.map((p) => p[1]), ones, this.rate, this.featureGroupCount);
    const biased = this.b === null ? y : rows.add(y, this.b);
    const out = this.channelsFirst ? rows.transpose(biased, [0, rank + 1, ...spatial]) : biased;
    return single ? rows.reshape(out, out.shape.slice(1)) : out;
  }

  private pads(size: number, i: number): readonly [number, number] {
    if (this.padding === "VALID") return [0, 0];
    if (this.padding !== "SAME") return this.padding[i] ?? this.padding[0] ?? [0, 0];
    const stride = this.stride[i]!;
    const window = (this.w.shape[i]! - 1) * this.rate[i]! + 1;
    const total = Math.max((Math.ceil(size / stride) - 1) * stride + window - size, 0);
    const low = Math.floor(total / 2);
    return [low, total - low];
  }
}

/** Cross-correlation over one axis. */
export class Conv1D extends Conv {
  static override moduleName = "Conv1D";
  constructor(inFeatures: number, outFeatures: number, kernelShape: number, options: ConvOptions<number, "NWC" | "NCW"> = {}) {
    super("Conv1D", 1, inFeatures, outFeatures, kernelShape, options);
  }
}
type Pair = number | readonly [number, number];
/** Cross-correlation over two axes. */
export class Conv2D extends Conv {
  static override moduleName = "Conv2D";
  constructor(inFeatures: number, outFeatures: number, kernelShape: Pair, options: ConvOptions<Pair, "NHWC" | "NCHW"> = {}) {
    super("Conv2D", 2, inFeatures, outFeatures, kernelShape, options);
  }
}
