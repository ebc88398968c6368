export * from "../ops/nn.js";
export { Conv1D, Conv2D, type ConvOptions, type Padding } from "./conv.js";
export { Dropout, dropout } from "./dropout.js";
export { Linear } from "./linear.js";
export { BatchNorm, LayerNorm } from "./norm.js";
export { Lambda, Sequential, type Layer, type LayerFunction } from "./sequential.js";
