/** Haiku in small: functions that make modules become pairs of pure functions, and names are Haiku's, so that weights move by name. */
export { dropout } from "../nn/dropout.js";
export { avgPool, maxPool } from "../nn/functional/pool.js";
export { MultiHeadAttention, type AttentionOptions } from "./attention.js";
export { Embed, Flatten, Linear, Reshape, Sequential, type Layer } from "./basic.js";
export { getParameter, getState, nextRngKey, nextRngKeys, runningInit, setState, type Params, type Rng, type State } from "./context.js";
export { Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, type ConvOptions, type ConvTransposeOptions } from "./conv.js";
export * as initializers from "./initializers.js";
export { Module } from "./module.js";
export { BatchNorm, ExponentialMovingAverage, LayerNorm, RMSNorm } from "./norm.js";
export { AvgPool, MaxPool } from "./pool.js";
export { GRU, LSTM, RNNCore, VanillaRNN, type LSTMState } from "./recurrent.js";
export { dynamicUnroll, scan, type Core } from "./scan.js";
export { transform, transformWithState, withoutApplyRng, type Transformed, type TransformedWithState } from "./transform.js";
