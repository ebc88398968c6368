import { avgPool, maxPool, type PoolOptions } from "../nn/functional/pool.js";
import type { Sizes } from "../nn/functional/conv.js";
import type { Tensor, TensorLike } from "../tensor.js";
import type { Name } from "./basic.js";
import { Module } from "./module.js";

abstract class Pool extends Module {
  constructor(readonly windowShape: Sizes, readonly strides: Sizes, readonly padding: "SAME" | "VALID", protected readonly options: Name & PoolOptions = {}) { super(options); }
}
/** `nn.maxPool` as a module. */
export class MaxPool extends Pool {
  static override moduleName = "MaxPool";
  forward(value: TensorLike): Tensor { return maxPool(value, this.windowShape, this.strides, this.padding, this.options); }
}
/** `nn.avgPool` as a module. */
export class AvgPool extends Pool {
  static override moduleName = "AvgPool";
  forward(value: TensorLike): Tensor { return avgPool(value, this.windowShape, this.strides, this.padding, this.options); }
}
