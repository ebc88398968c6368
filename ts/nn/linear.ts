import { PaxError, shown } from "../errors.js";
import { varianceScaling, zeros, type Initializer } from "../initializers.js";
import { Module } from "../module/index.js";
import { asTensor, type Tensor, type TensorLike } from "../tensor.js";
import { linear } from "./functional/basic.js";

type Options = { readonly withBias?: boolean; readonly wInit?: Initializer; readonly bInit?: Initializer };

/** `x W + b` over the last axis. */
export class Linear extends Module {
  static override moduleName = "Linear";
  declare W: Tensor;
  declare b: Tensor | null;
  constructor(readonly inDim: number, readonly outDim: number, { withBias = true, wInit = varianceScaling(), bInit = zeros }: Options = {}) {
    super();
    for (const n of [inDim, outDim]) {
      if (!Number.isInteger(n) || n < 0) throw new PaxError("value", `Linear(${inDim}, ${outDim}): both sizes must be integers of at least 0`, { op: "Linear" });
    }
    this.registerParameter("W", wInit([inDim, outDim]));
    this.registerParameter("b", withBias ? bInit([outDim]) : null);
  }
  forward(x: TensorLike): Tensor {
    const t = asTensor(x);
    if (t.shape.at(-1) !== this.inDim) {
      throw new PaxError("shape", `Linear(${this.inDim}, ${this.outDim}) takes [..., ${this.inDim}], got shape ${shown(t.shape)}`, { op: "Linear" });
    }
    return linear(t, this.W, this.b);
  }
}
