import { opError } from "../errors.js";
import { truncatedNormal, zeros, type Initializer } from "../initializers.js";
import { embed, linear, type Ids } from "../nn/functional/basic.js";
import { reshape } from "../ops/shape.js";
import { asTensor, sizeOf, type Shape, type Tensor, type TensorLike } from "../tensor.js";
import { getParameter } from "./context.js";
import { Module } from "./module.js";

export type Name = { readonly name?: string };

type LinearOptions = Name & { readonly withBias?: boolean; readonly wInit?: Initializer; readonly bInit?: Initializer };
/** `x w + b` over the last axis: w [in, outputSize], b [outputSize]. */
export class Linear extends Module {
  static override moduleName = "Linear";
  constructor(readonly outputSize: number, private readonly options: LinearOptions = {}) { super(options); }
  /** @throws PaxError `shape` for a scalar */
  forward(inputs: TensorLike): Tensor {
    const x = asTensor(inputs);
    const size = x.shape.at(-1);
    if (size === undefined) throw opError("shape", "hk.Linear", `the input of \`${this.moduleName}\` must not be a scalar`, { path: this.moduleName });
    const { withBias = true, wInit = truncatedNormal(1 / Math.sqrt(size)), bInit = zeros } = this.options;
    const w = getParameter("w", [size, this.outputSize], x.dtype, wInit);
    return linear(x, w, withBias ? getParameter("b", [this.outputSize], x.dtype, bInit) : null);
  }
}

/** Rows of `embeddings` [vocabSize, embedDim] at integer ids: [...] gives [..., embedDim]. Ids are in [0, vocabSize). */
export class Embed extends Module {
  static override moduleName = "Embed";
  private readonly wInit: Initializer;
  constructor(readonly vocabSize: number, readonly embedDim: number, { wInit = truncatedNormal(), name }: Name & { readonly wInit?: Initializer } = {}) {
    super({ name });
    this.wInit = wInit;
  }
  get embeddings(): Tensor {
    return getParameter("embeddings", [this.vocabSize, this.embedDim], "float32", this.wInit);
  }
  /** @throws PaxError `dtype` for ids that are no integers */
  forward(ids: Ids): Tensor {
    return embed(ids, this.embeddings);
  }
}

type ReshapeOptions = Name & { readonly preserveDims?: number };
/** The axes behind the first `preserveDims` (1) in the shape `outputShape`, of which one size may be -1: what is left. A tensor without such axes stays as it is. */
export class Reshape extends Module {
  static override moduleName = "Reshape";
  constructor(readonly outputShape: Shape, private readonly options: ReshapeOptions = {}) { super(options); }
  /** @throws PaxError `shape` for another number of elements */
  forward(inputs: TensorLike): Tensor {
    const x = asTensor(inputs);
    const { preserveDims = 1 } = this.options;
    const rest = x.shape.slice(preserveDims);
    // An empty batch would leave -1 open.
    const shape = x.size > 0 ? this.outputShape : this.outputShape.map((n) => (n === -1 ? -sizeOf(rest) / sizeOf(this.outputShape) : n));
    return rest.length === 0 ? x : reshape(x, [...x.shape.slice(0, preserveDims), ...shape]);
  }
}
/** The axes behind the first `preserveDims` (1) as one. */
export class Flatten extends Reshape {
  static override moduleName = "Flatten";
  constructor(options: ReshapeOptions = {}) { super([-1], options); }
}

/** A module or function of one tensor. */
export type Layer = { forward(x: Tensor): Tensor } | ((x: Tensor) => Tensor);

/** Layers one after the other. */
export class Sequential extends Module {
  static override moduleName = "Sequential";
  constructor(readonly layers: readonly Layer[], options: Name = {}) { super(options); }
  forward(inputs: TensorLike): Tensor {
    return this.layers.reduce<Tensor>((x, layer) => (typeof layer === "function" ? layer(x) : layer.forward(x)), asTensor(inputs));
  }
}
