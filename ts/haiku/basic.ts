import { opError } from "../errors.js";
import { truncatedNormal, zeros, type Initializer } from "../initializers.js";
import { embed, linear, type Ids } from "../nn/functional/basic.js";
import { asTensor, type Tensor, type TensorLike } from "../tensor.js";
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
