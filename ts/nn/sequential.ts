import { opError } from "../errors.js";
import { Module } from "../module/index.js";
import { asTensor, type Tensor, type TensorLike } from "../tensor.js";
import { showStatic } from "../tree/statics.js";

/** A module that takes one tensor and gives one. */
export type Layer = Module & { forward(x: Tensor): Tensor };
export type LayerFunction = (x: Tensor) => Tensor;

/** A function as a module. */
export class Lambda extends Module {
  static override moduleName = "Lambda";
  constructor(readonly fn: LayerFunction, readonly name: string = fn.name) { super(); }
  forward(x: TensorLike): Tensor { return this.fn(asTensor(x)); }
}

/** @throws PaxError `tree` for what has no method `forward` */
function layerOf(layer: Layer, i: number): Layer {
  if (typeof (layer as Partial<Layer> | null | undefined)?.forward === "function") return layer;
  throw opError("tree", "Sequential", `layer ${i} is ${showStatic(layer)}, which has no method \`forward\`: give modules or functions`, { path: `modules[${i}]` });
}

/** Layers one after the other; functions become `Lambda` modules. */
export class Sequential extends Module {
  static override moduleName = "Sequential";
  declare modules: Layer[];
  constructor(...layers: readonly (Layer | LayerFunction)[]) {
    super();
    this.registerModuleSubtree("modules", layers.map((f, i) => layerOf(typeof f === "function" ? new Lambda(f) : f, i)));
  }
  forward(x: TensorLike): Tensor {
    return this.modules.reduce((y, layer, i) => layerOf(layer, i).forward(y), asTensor(x));
  }
}

/** Gives what it gets. */
export class Identity extends Module {
  static override moduleName = "Identity";
  forward(x: TensorLike): Tensor { return asTensor(x); }
}
