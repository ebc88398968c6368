import { opError } from "../errors.js";
import { truncatedNormal, zeros, type Initializer } from "../initializers.js";
import { Module } from "../module/index.js";
import { asTensor, type Shape, type Tensor, type TensorLike } from "../tensor.js";
import { channelsOf, conv, convTranspose, sizesOf, specOf, wrongInput, type ConvSpec, type Padding, type Sizes } from "./functional/conv.js";

export type { Padding };
type Common<S, F> = {
  readonly stride?: S; readonly padding?: Padding; readonly withBias?: boolean;
  readonly dataFormat?: F; readonly wInit?: Initializer; readonly bInit?: Initializer;
};
export type ConvOptions<S, F> = Common<S, F> & { readonly rate?: S; readonly featureGroupCount?: number };
export type ConvTransposeOptions<S, F> = Common<S, F> & { readonly outputShape?: S | null };

/** What both kinds of convolution have. */
abstract class ConvBase extends Module {
  declare w: Tensor;
  declare b: Tensor | null;
  readonly spec: ConvSpec;

  constructor(op: string, rank: number, readonly inFeatures: number, readonly outFeatures: number, options: Common<Sizes, string>) {
    super();
    this.spec = specOf(op, rank, options);
  }

  /** Registers a kernel of `shape`, by default drawn with a variance of 1 / fanIn, and a bias. */
  protected registerWeights(shape: Shape, fanIn: number, { withBias = true, wInit = truncatedNormal(1 / Math.sqrt(fanIn)), bInit = zeros }: Common<Sizes, string>): void {
    this.registerParameter("w", wInit(shape) as this["w"]);
    this.registerParameter("b", (withBias ? bInit([this.outFeatures]) : null) as this["b"]);
  }

  protected input(x: TensorLike): Tensor {
    const t = asTensor(x);
    if (channelsOf(t, this.spec) !== this.inFeatures) throw wrongInput(t, `${this.spec.op}(${this.inFeatures}, ${this.outFeatures})`, this.inFeatures, this.spec);
    return t;
  }
}

abstract class Conv extends ConvBase {
  readonly rate: readonly number[];
  readonly featureGroupCount: number;

  constructor(op: string, rank: number, inFeatures: number, outFeatures: number, kernelShape: Sizes, options: ConvOptions<Sizes, string>) {
    super(op, rank, inFeatures, outFeatures, options);
    const { rate = 1, featureGroupCount = 1 } = options;
    if (inFeatures % featureGroupCount !== 0 || outFeatures % featureGroupCount !== 0) {
      throw opError("shape", op, `${inFeatures} and ${outFeatures} features do not divide into ${featureGroupCount} groups: featureGroupCount must divide both`);
    }
    this.rate = sizesOf(op, "rate", rate, rank);
    this.featureGroupCount = featureGroupCount;
    const shape = [...sizesOf(op, "kernelShape", kernelShape, rank), inFeatures / featureGroupCount];
    this.registerWeights([...shape, outFeatures], shape.reduce((a, b) => a * b), options);
  }

  forward(x: TensorLike): Tensor {
    return conv(this.input(x), this.w, this.b, { ...this.spec, rate: this.rate, groups: this.featureGroupCount });
  }
}

abstract class ConvTranspose extends ConvBase {
  readonly outputShape: readonly number[] | null;

  constructor(op: string, rank: number, inFeatures: number, outFeatures: number, kernelShape: Sizes, options: ConvTransposeOptions<Sizes, string>) {
    super(op, rank, inFeatures, outFeatures, options);
    const { outputShape = null } = options;
    this.outputShape = outputShape === null ? null : sizesOf(op, "outputShape", outputShape, rank);
    const kernel = sizesOf(op, "kernelShape", kernelShape, rank);
    this.registerWeights([...kernel, outFeatures, inFeatures], kernel.reduce((a, b) => a * b) * inFeatures, options);
  }

  forward(x: TensorLike): Tensor {
    return convTranspose(this.input(x), this.w, this.b, { ...this.spec, outputShape: this.outputShape });
  }
}

/** Cross-correlation over one axis: w [window, inFeatures / groups, outFeatures], b [outFeatures]. */
export class Conv1D extends Conv {
  static override moduleName = "Conv1D";
  constructor(inFeatures: number, outFeatures: number, kernelShape: number, options: ConvOptions<number, "NWC" | "NCW"> = {}) {
    super("Conv1D", 1, inFeatures, outFeatures, kernelShape, options);
  }
}
type Two = number | readonly [number, number];
/** Cross-correlation over two axes: w [...window, inFeatures / groups, outFeatures], b [outFeatures]. */
export class Conv2D extends Conv {
  static override moduleName = "Conv2D";
  constructor(inFeatures: number, outFeatures: number, kernelShape: Two, options: ConvOptions<Two, "NHWC" | "NCHW"> = {}) {
    super("Conv2D", 2, inFeatures, outFeatures, kernelShape, options);
  }
}
/** Transposed convolution over one axis, as `lax.conv_transpose`: w [window, outFeatures, inFeatures], b [outFeatures]. */
export class Conv1DTranspose extends ConvTranspose {
  static override moduleName = "Conv1DTranspose";
  constructor(inFeatures: number, outFeatures: number, kernelShape: number, options: ConvTransposeOptions<number, "NWC" | "NCW"> = {}) {
    super("Conv1DTranspose", 1, inFeatures, outFeatures, kernelShape, options);
  }
}
/** Transposed convolution over two axes, as `lax.conv_transpose`: w [...window, outFeatures, inFeatures], b [outFeatures]. */
export class Conv2DTranspose extends ConvTranspose {
  static override moduleName = "Conv2DTranspose";
  constructor(inFeatures: number, outFeatures: number, kernelShape: Two, options: ConvTransposeOptions<Two, "NHWC" | "NCHW"> = {}) {
    super("Conv2DTranspose", 2, inFeatures, outFeatures, kernelShape, options);
  }
}
