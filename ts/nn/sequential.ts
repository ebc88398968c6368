import { Module } from "../module/index.js";
import { asTensor, type Tensor, type TensorLike } from "../tensor.js";

/** A module that takes one tensor and gives one. */
export type Layer = Module & { forward(x: Tensor): Tensor };
export type LayerFunction = (x: Tensor) => Tensor;

/** A function as a module. */
export class Lambda extends Module {
  static override moduleName = "Lambda";
  constructor(readonly fn: LayerFunction, readonly name: string = fn.name) { super(); }
  forward(x: TensorLike): Tensor { return this.fn(asTensor(x)); }
}

/** Layers one after the other; functions become `Lambda` modules. */
export class Sequential extends Module {
  static override moduleName = "Sequential";
  declare modules: Layer[];
  constructor(...layers: readonly (Layer | LayerFunction)[]) {
    super();
    this.registerModuleSubtree("modules", layers.map((f): Layer => (typeof f === "function" ? new Lambda(f) : f)));
  }
  forward(x: TensorLike): Tensor {
    return this.modules.reduce((y, layer) => layer.forward(y), asTensor(x));
  }
}

/** Gives what it gets. */
export class Identity extends Module {
  static override moduleName = "Identity";
  forward(x: TensorLike): Tensor { return asTensor(x); }
}
