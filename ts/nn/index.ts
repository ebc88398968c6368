export * from "../ops/nn.js";
export { Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, type ConvOptions, type ConvTransposeOptions, type Padding } from "./conv.js";
export { Dropout, dropout } from "./dropout.js";
export { Embed } from "./embed.js";
export { avgPool, maxPool, type PoolOptions } from "./functional/pool.js";
export { Linear } from "./linear.js";
export { BatchNorm, BatchNorm1D, BatchNorm2D, GroupNorm, LayerNorm } from "./norm.js";
export { GRU, LSTM, VanillaRNN, type LSTMState } from "./recurrent.js";
export { Identity, Lambda, Sequential, type Layer, type LayerFunction } from "./sequential.js";
