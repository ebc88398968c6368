import { opError, shown } from "../errors.js";
import { truncatedNormal, zeros, type Initializer } from "../initializers.js";
import { channelsOf, conv, convTranspose, sizesOf, specOf, wrongInput, type ConvSpec, type Padding, type Sizes } from "../nn/functional/conv.js";
import * as rows from "../ops/generated/rows.js";
import { asTensor, type Shape, type Tensor, type TensorLike } from "../tensor.js";
import type { Name } from "./basic.js";
import { getParameter } from "./context.js";
import { Module } from "./module.js";

type Common<F> = Name & {
  readonly stride?: Sizes; readonly padding?: Padding; readonly withBias?: boolean; readonly wInit?: Initializer | null; readonly bInit?: Initializer | null;
  readonly dataFormat?: F | "channels_last" | "channels_first"; readonly mask?: Tensor | null;
};
export type ConvOptions<F = string> = Common<F> & { readonly rate?: Sizes; readonly featureGroupCount?: number };
export type ConvTransposeOptions<F = string> = Common<F> & { readonly outputShape?: Sizes | null };

/** What both kinds of convolution have: w, masked where there is a mask, and b. */
abstract class ConvBase extends Module {
  protected readonly spec: ConvSpec;
  protected readonly kernel: Shape;
  constructor(label: string, rank: number, readonly outputChannels: number, kernelShape: Sizes, private readonly common: Common<string>) {
    super(common);
    const op = `hk.${label}`;
    this.spec = specOf(op, rank, common);
    this.kernel = sizesOf(op, "kernelShape", kernelShape, rank);
  }

  protected channels(x: Tensor): number {
    const channels = channelsOf(x, this.spec);
    if (channels === null) throw wrongInput(x, this.spec.op, "channels", this.spec);
    return channels;
  }
  protected weights(x: Tensor, shape: Shape, fanIn: number): readonly [w: Tensor, b: Tensor | null] {
    const { withBias = true, wInit, bInit, mask = null } = this.common;
    const w = getParameter("w", shape, x.dtype, wInit ?? truncatedNormal(1 / Math.sqrt(fanIn)));
    if (mask !== null && mask.shape.join() !== shape.join()) {
      throw opError("shape", this.spec.op, `the mask of \`${this.moduleName}\` has shape ${shown(mask.shape)}, its weights ${shown(shape)}`, { path: this.moduleName });
    }
    const ones = this.spec.channelsFirst ? this.kernel.map(() => 1) : [];
    return [mask === null ? w : rows.mul(w, mask), withBias ? getParameter("b", [this.outputChannels, ...ones], x.dtype, bInit ?? zeros) : null];
  }
}

abstract class Conv extends ConvBase {
  private readonly rate: Shape;
  private readonly groups: number;
  constructor(label: string, rank: number, outputChannels: number, kernelShape: Sizes, options: ConvOptions) {
    super(label, rank, outputChannels, kernelShape, options);
    this.rate = sizesOf(this.spec.op, "rate", options.rate ?? 1, rank);
    this.groups = options.featureGroupCount ?? 1;
  }
  /** With or without a batch axis. @throws PaxError `shape` for another number of axes, or channels that do not divide into the groups */
  forward(inputs: TensorLike): Tensor {
    const x = asTensor(inputs);
    const channels = this.channels(x);
    if (channels % this.groups !== 0 || this.outputChannels % this.groups !== 0) {
      throw opError("shape", this.spec.op, `${channels} and ${this.outputChannels} channels of \`${this.moduleName}\` do not divide into ${this.groups} groups: featureGroupCount must divide both`, { path: this.moduleName });
    }
    const window = [...this.kernel, channels / this.groups];
    const [w, b] = this.weights(x, [...window, this.outputChannels], window.reduce((p, q) => p * q));
    return conv(x, w, b, { ...this.spec, rate: this.rate, groups: this.groups });
  }
}

abstract class ConvTranspose extends ConvBase {
  private readonly outputShape: Shape | null;
  constructor(label: string, rank: number, outputChannels: number, kernelShape: Sizes, options: ConvTransposeOptions) {
    super(label, rank, outputChannels, kernelShape, options);
    this.outputShape = options.outputShape === undefined || options.outputShape === null ? null : sizesOf(this.spec.op, "outputShape", options.outputShape, rank);
  }
  /** With or without a batch axis. @throws PaxError `shape` for another number of axes, or a size that `outputShape` does not allow */
  forward(inputs: TensorLike): Tensor {
    const x = asTensor(inputs);
    const channels = this.channels(x);
    const [w, b] = this.weights(x, [...this.kernel, this.outputChannels, channels], this.kernel.reduce((p, q) => p * q) * channels);
    return convTranspose(x, w, b, { ...this.spec, outputShape: this.outputShape });
  }
}

/** Cross-correlation over one axis: w [window, in / groups, outputChannels], b [outputChannels]. */
export class Conv1D extends Conv {
  static override moduleName = "Conv1D";
  constructor(outputChannels: number, kernelShape: Sizes, options: ConvOptions<"NWC" | "NCW"> = {}) { super("Conv1D", 1, outputChannels, kernelShape, options); }
}
/** Cross-correlation over two axes: w [...window, in / groups, outputChannels], b [outputChannels]. */
export class Conv2D extends Conv {
  static override moduleName = "Conv2D";
  constructor(outputChannels: number, kernelShape: Sizes, options: ConvOptions<"NHWC" | "NCHW"> = {}) { super("Conv2D", 2, outputChannels, kernelShape, options); }
}
/** Transposed convolution over one axis, as `lax.conv_transpose`: w [window, outputChannels, in], b [outputChannels]. */
export class Conv1DTranspose extends ConvTranspose {
  static override moduleName = "Conv1DTranspose";
  constructor(outputChannels: number, kernelShape: Sizes, options: ConvTransposeOptions<"NWC" | "NCW"> = {}) { super("Conv1DTranspose", 1, outputChannels, kernelShape, options); }
}
/** Transposed convolution over two axes, as `lax.conv_transpose`: w [...window, outputChannels, in], b [outputChannels]. */
export class Conv2DTranspose extends ConvTranspose {
  static override moduleName = "Conv2DTranspose";
  constructor(outputChannels: number, kernelShape: Sizes, options: ConvTransposeOptions<"NHWC" | "NCHW"> = {}) { super("Conv2DTranspose", 2, outputChannels, kernelShape, options); }
}
