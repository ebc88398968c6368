import { PaxError, shown } from "../errors.js";
import { varianceScaling, zeros, type Initializer } from "../initializers.js";
import { gruStep, lstmGates, withHidden, type LSTMState } from "../nn/functional/recurrent.js";
import * as rows from "../ops/generated/rows.js";
import { asTensor, type Tensor, type TensorLike } from "../tensor.js";
import { Linear, type Name } from "./basic.js";
import { getParameter } from "./context.js";
import { Module } from "./module.js";

export type { LSTMState };

/** A module whose `forward(inputs, prevState)` gives `[output, next state]`: what `dynamicUnroll` runs along a sequence. */
export abstract class RNNCore<S> extends Module {
  constructor(readonly hiddenSize: number, options: Name = {}) { super(options); }
  abstract forward(inputs: TensorLike, prevState: S): [output: Tensor, state: S];
  /** Zeros with a batch axis of `batchSize`, or without one for null. */
  abstract initialState(batchSize: number | null): S;

  protected zeros(batchSize: number | null): Tensor {
    return rows.full(batchSize === null ? [this.hiddenSize] : [batchSize, this.hiddenSize], "float32", 0);
  }
  /** @throws PaxError `shape` for what is neither [in] nor [batch, in] */
  protected input(inputs: TensorLike): Tensor {
    const x = asTensor(inputs);
    if (x.ndim === 1 || x.ndim === 2) return x;
    throw new PaxError("shape", `hk: the input of \`${this.moduleName}\` must have 1 or 2 axes, got shape ${shown(x.shape)}: hk.dynamicUnroll runs a core along a sequence`, { op: "hk.RNNCore", path: this.moduleName });
  }
}

/** Long short-term memory (Zaremba et al. 2014), with 1 added to the forget gate: `linear` with w [in + hidden, 4 hidden], b [4 hidden]. */
export class LSTM extends RNNCore<LSTMState> {
  static override moduleName = "LSTM";
  forward(inputs: TensorLike, prevState: LSTMState): [output: Tensor, state: LSTMState] {
    const gates = new Linear(4 * this.hiddenSize).forward(withHidden(this.input(inputs), prevState.hidden));
    const state = lstmGates(gates, prevState.cell, 1);
    return [state.hidden, state];
  }
  initialState(batchSize: number | null): LSTMState {
    return { hidden: this.zeros(batchSize), cell: this.zeros(batchSize) };
  }
}

type GRUOptions = Name & { readonly wIInit?: Initializer; readonly wHInit?: Initializer; readonly bInit?: Initializer };
/** Gated recurrent unit (Chung et al. 2014): w_i [in, 3 hidden], w_h [hidden, 3 hidden], b [3 hidden]. */
export class GRU extends RNNCore<Tensor> {
  static override moduleName = "GRU";
  constructor(hiddenSize: number, private readonly options: GRUOptions = {}) { super(hiddenSize, options); }
  forward(inputs: TensorLike, prevState: Tensor): [output: Tensor, state: Tensor] {
    const x = this.input(inputs);
    const { wIInit = varianceScaling(), wHInit = varianceScaling(), bInit = zeros } = this.options;
    const width = 3 * this.hiddenSize;
    const wI = getParameter("w_i", [x.shape.at(-1)!, width], x.dtype, wIInit);
    const wH = getParameter("w_h", [this.hiddenSize, width], x.dtype, wHInit);
    const next = gruStep(x, prevState, wI, wH, getParameter("b", [width], x.dtype, bInit));
    return [next, next];
  }
  initialState(batchSize: number | null): Tensor {
    return this.zeros(batchSize);
  }
}

/** `relu(linear(x) + linear_1(h))`; `doubleBias: false` leaves out the second bias. */
export class VanillaRNN extends RNNCore<Tensor> {
  static override moduleName = "VanillaRNN";
  private readonly doubleBias: boolean;
  constructor(hiddenSize: number, { doubleBias = true, name }: Name & { readonly doubleBias?: boolean } = {}) {
    super(hiddenSize, { name });
    this.doubleBias = doubleBias;
  }
  forward(inputs: TensorLike, prevState: Tensor): [output: Tensor, state: Tensor] {
    const [fromInput, fromHidden] = [new Linear(this.hiddenSize), new Linear(this.hiddenSize, { withBias: this.doubleBias })];
    const next = rows.relu(rows.add(fromInput.forward(inputs), fromHidden.forward(prevState)));
    return [next, next];
  }
  initialState(batchSize: number | null): Tensor {
    return this.zeros(batchSize);
  }
}
