/** `pax.haiku`: Haiku's layers as modules of Pax that need no dummy inputs. */
import { opError } from "../errors.js";
import type { Ids } from "../nn/functional/basic.js";
import { avgPool as avg, maxPool as max, type PoolOptions } from "../nn/functional/pool.js";
import { sizesOf, type Sizes } from "../nn/functional/conv.js";
import { zeros } from "../initializers.js";
import type { DType, Tensor, TensorLike } from "../tensor.js";
import { fromHaiku, HaikuModule, recipeOf } from "./adapter.js";
import { Embed, Linear } from "./basic.js";
import { Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, type ConvOptions, type ConvTransposeOptions } from "./conv.js";
import { BatchNorm, LayerNorm } from "./norm.js";
import { GRU, LSTM, type LSTMState } from "./recurrent.js";

export { dynamicUnroll } from "./scan.js";
/** A layer of one tensor. */
export type HaikuLayer = HaikuModule<[inputs: TensorLike], Tensor>;

const dummy = (shape: readonly number[], dtype: DType = "float32"): Tensor => zeros(shape, dtype);

/** `hk.Linear` of `inDim` numbers: parameters `linear`. */
export const linear = (inDim: number, outDim: number, { withBias = true }: { readonly withBias?: boolean } = {}): HaikuLayer =>
  fromHaiku(Linear)(outDim, { withBias }).hkInit(dummy([1, inDim]));

/** `hk.LayerNorm` over `axis`; scale and offset have `numChannels` numbers, the size of the last axis: parameters `layer_norm`. */
export const layerNorm = (numChannels: number, { axis = -1 }: { readonly axis?: number } = {}): HaikuModule<[inputs: TensorLike], Tensor> =>
  fromHaiku(LayerNorm)(axis, true, true).hkInit(dummy([1, 1, 1, numChannels])) as HaikuLayer;

/**
 * `hk.BatchNorm` of images, which follows the module's mode: parameters `batch_norm`, state `batch_norm/~/mean_ema` and `…/var_ema`.
 * The channels are at `axis`. @throws PaxError `value` for an axis that is neither the last nor the second
 */
export function batchNorm2d(
  numChannels: number, { axis = -1, decayRate = 0.99, crossReplicaAxis = null }: { readonly axis?: number; readonly decayRate?: number; readonly crossReplicaAxis?: string | null } = {},
): HaikuLayer {
  const at = axis < 0 ? axis + 4 : axis;
  if (at !== 1 && at !== 3) throw opError("value", "haiku.batchNorm2d", `the channels are at axis 1 or -1, not ${axis}`);
  const make = fromHaiku(BatchNorm, { passIsTraining: true });
  const module = make(true, true, decayRate, { crossReplicaAxis, dataFormat: at === 1 ? "channels_first" : "channels_last" });
  return module.hkInit(dummy(at === 1 ? [1, numChannels, 1, 1] : [1, 1, 1, numChannels]));
}

class HaikuLSTM extends HaikuModule<[inputs: TensorLike, prevState: LSTMState], [output: Tensor, state: LSTMState]> {
  static override moduleName = "HaikuLSTM";
  constructor(private readonly hiddenDim: number) { super(recipeOf(LSTM, [hiddenDim], {})); }
  /** Zeros [batchSize, hiddenDim]. */
  initialState(batchSize: number): LSTMState {
    return { hidden: dummy([batchSize, this.hiddenDim]), cell: dummy([batchSize, this.hiddenDim]) };
  }
}
class HaikuGRU extends HaikuModule<[inputs: TensorLike, prevState: Tensor], [output: Tensor, state: Tensor]> {
  static override moduleName = "HaikuGRU";
  constructor(private readonly hiddenDim: number) { super(recipeOf(GRU, [hiddenDim], {})); }
  /** Zeros [batchSize, hiddenDim]. */
  initialState(batchSize: number): Tensor {
    return dummy([batchSize, this.hiddenDim]);
  }
}
/** `hk.LSTM` whose inputs have `hiddenDim` numbers too: parameters `lstm/linear`. */
export function lstm(hiddenDim: number): HaikuLSTM {
  const module = new HaikuLSTM(hiddenDim);
  return module.hkInit(dummy([1, hiddenDim]), module.initialState(1));
}
/** `hk.GRU` whose inputs have `hiddenDim` numbers too: parameters `gru`. */
export function gru(hiddenDim: number): HaikuGRU {
  const module = new HaikuGRU(hiddenDim);
  return module.hkInit(dummy([1, hiddenDim]), module.initialState(1));
}

/** `hk.Embed`: parameters `embed`. */
export const embed = (vocabSize: number, embedDim: number): HaikuModule<[ids: Ids], Tensor> =>
  fromHaiku(Embed)(vocabSize, embedDim).hkInit(dummy([1, 1], "int32"));

type Options<O> = Omit<O, "name">;
/** A batch of one example with `channels` channels and these sizes. */
const example = (channels: number, sizes: readonly number[], format: string | undefined): Tensor =>
  dummy(format?.startsWith("NC") || format === "channels_first" ? [1, channels, ...sizes] : [1, ...sizes, channels]);

/** As large as the window, so that every padding leaves something. */
const forConv = (op: string, rank: number, channels: number, kernelShape: Sizes, { rate = 1, dataFormat }: ConvOptions): Tensor => {
  const rates = sizesOf(op, "rate", rate, rank);
  return example(channels, sizesOf(op, "kernelShape", kernelShape, rank).map((k, i) => (k - 1) * rates[i]! + 1), dataFormat);
};
/** Of the size that `outputShape` needs, if there is one. */
const forTranspose = (op: string, rank: number, channels: number, kernelShape: Sizes, { stride = 1, outputShape = null, padding, dataFormat }: ConvTransposeOptions): Tensor => {
  const kernel = sizesOf(op, "kernelShape", kernelShape, rank);
  const strides = sizesOf(op, "stride", stride, rank);
  const outputs = outputShape === null ? null : sizesOf(op, "outputShape", outputShape, rank);
  const size = (k: number, i: number): number =>
    outputs === null ? k : padding === "VALID" ? Math.floor((outputs[i]! - k + strides[i]!) / strides[i]!) : Math.ceil(outputs[i]! / strides[i]!);
  return example(channels, kernel.map(size), dataFormat);
};

/** `hk.Conv1D` of `inputChannels` channels: parameters `conv1_d`. */
export const conv1d = (inputChannels: number, outputChannels: number, kernelShape: Sizes, options: Options<ConvOptions<"NWC" | "NCW">> = {}): HaikuLayer =>
  fromHaiku(Conv1D)(outputChannels, kernelShape, options).hkInit(forConv("haiku.conv1d", 1, inputChannels, kernelShape, options));
/** `hk.Conv2D` of `inputChannels` channels: parameters `conv2_d`. */
export const conv2d = (inputChannels: number, outputChannels: number, kernelShape: Sizes, options: Options<ConvOptions<"NHWC" | "NCHW">> = {}): HaikuLayer =>
  fromHaiku(Conv2D)(outputChannels, kernelShape, options).hkInit(forConv("haiku.conv2d", 2, inputChannels, kernelShape, options));
/** `hk.Conv1DTranspose` of `inputChannels` channels: parameters `conv1_d_transpose`. */
export const conv1dTranspose = (inputChannels: number, outputChannels: number, kernelShape: Sizes, options: Options<ConvTransposeOptions<"NWC" | "NCW">> = {}): HaikuLayer =>
  fromHaiku(Conv1DTranspose)(outputChannels, kernelShape, options).hkInit(forTranspose("haiku.conv1dTranspose", 1, inputChannels, kernelShape, options));
/** `hk.Conv2DTranspose` of `inputChannels` channels: parameters `conv2_d_transpose`. */
export const conv2dTranspose = (inputChannels: number, outputChannels: number, kernelShape: Sizes, options: Options<ConvTransposeOptions<"NHWC" | "NCHW">> = {}): HaikuLayer =>
  fromHaiku(Conv2DTranspose)(outputChannels, kernelShape, options).hkInit(forTranspose("haiku.conv2dTranspose", 2, inputChannels, kernelShape, options));

/** `nn.avgPool` with its windows chosen, as a plain function. */
export const avgPool = (windowShape: Sizes, strides: Sizes, padding: "SAME" | "VALID", options: PoolOptions = {}) => (x: TensorLike): Tensor => avg(x, windowShape, strides, padding, options);
/** `nn.maxPool` with its windows chosen, as a plain function. */
export const maxPool = (windowShape: Sizes, strides: Sizes, padding: "SAME" | "VALID", options: PoolOptions = {}) => (x: TensorLike): Tensor => max(x, windowShape, strides, padding, options);
