import { PaxError, shown } from "../errors.js";
import { varianceScaling, zeros, type Initializer } from "../initializers.js";
import { Module } from "../module/index.js";
import * as rows from "../ops/generated/rows.js";
import { asTensor, type Tensor, type TensorLike } from "../tensor.js";
import { linear } from "./functional/basic.js";
import { gruStep, lstmGates, withHidden, type LSTMState } from "./functional/recurrent.js";

export type { LSTMState };
type Options = { readonly wInit?: Initializer; readonly bInit?: Initializer };

/** `forward(x, state)` gives `[output, next state]`, as Haiku's cores: `hk.dynamicUnroll` takes them. x is [inputDim] or [batch, inputDim]. */
abstract class Recurrent extends Module {
  constructor(private readonly op: string, readonly inputDim: number, readonly hiddenDim: number) { super(); }

  protected input(x: TensorLike): Tensor {
    const t = asTensor(x);
    if (t.ndim < 1 || t.ndim > 2 || t.shape.at(-1) !== this.inputDim) {
      throw new PaxError("shape", `${this.op}(${this.inputDim}, ${this.hiddenDim}) takes [${this.inputDim}] or [batch, ${this.inputDim}], got shape ${shown(t.shape)}`, { op: this.op });
    }
    return t;
  }
  /** Zeros [batchSize, hiddenDim], or [hiddenDim] for null. */
  protected zeros(batchSize: number | null): Tensor {
    return rows.full(batchSize === null ? [this.hiddenDim] : [batchSize, this.hiddenDim], "float32", 0);
  }
}

/** Long short-term memory: w [inputDim + hiddenDim, 4 hiddenDim], b [4 hiddenDim], gates in Haiku's order. `forgetGateBias` is 0 as in Pax; Haiku's is 1. */
export class LSTM extends Recurrent {
  static override moduleName = "LSTM";
  declare w: Tensor;
  declare b: Tensor;
  readonly forgetGateBias: number;
  constructor(inputDim: number, hiddenDim: number, { wInit = varianceScaling(), bInit = zeros, forgetGateBias = 0 }: Options & { readonly forgetGateBias?: number } = {}) {
    super("LSTM", inputDim, hiddenDim);
    this.forgetGateBias = forgetGateBias;
    this.registerParameter("w", wInit([inputDim + hiddenDim, 4 * hiddenDim]));
    this.registerParameter("b", bInit([4 * hiddenDim]));
  }
  forward(x: TensorLike, state: LSTMState): [output: Tensor, state: LSTMState] {
    const next = lstmGates(linear(withHidden(this.input(x), state.hidden), this.w, this.b), state.cell, this.forgetGateBias);
    return [next.hidden, next];
  }
  initialState(batchSize: number | null): LSTMState {
    return { hidden: this.zeros(batchSize), cell: this.zeros(batchSize) };
  }
}

/** Gated recurrent unit: wI [inputDim, 3 hiddenDim], wH [hiddenDim, 3 hiddenDim], b [3 hiddenDim], gates in Haiku's order. */
export class GRU extends Recurrent {
  static override moduleName = "GRU";
  declare wI: Tensor;
  declare wH: Tensor;
  declare b: Tensor;
  constructor(inputDim: number, hiddenDim: number, { wInit = varianceScaling(), bInit = zeros }: Options = {}) {
    super("GRU", inputDim, hiddenDim);
    this.registerParameter("wI", wInit([inputDim, 3 * hiddenDim]));
    this.registerParameter("wH", wInit([hiddenDim, 3 * hiddenDim]));
    this.registerParameter("b", bInit([3 * hiddenDim]));
  }
  forward(x: TensorLike, state: Tensor): [output: Tensor, state: Tensor] {
    const next = gruStep(this.input(x), state, this.wI, this.wH, this.b);
    return [next, next];
  }
  initialState(batchSize: number | null): Tensor {
    return this.zeros(batchSize);
  }
}

/** `tanh([x, h] w + b)`, as Pax's: w [inputDim + hiddenDim, hiddenDim], b [hiddenDim]. */
export class VanillaRNN extends Recurrent {
  static override moduleName = "VanillaRNN";
  declare w: Tensor;
  declare b: Tensor;
  constructor(inputDim: number, hiddenDim: number, { wInit = varianceScaling(), bInit = zeros }: Options = {}) {
    super("VanillaRNN", inputDim, hiddenDim);
    this.registerParameter("w", wInit([inputDim + hiddenDim, hiddenDim]));
    this.registerParameter("b", bInit([hiddenDim]));
  }
  forward(x: TensorLike, state: Tensor): [output: Tensor, state: Tensor] {
    const next = rows.tanh(linear(withHidden(this.input(x), state), this.w, this.b));
    return [next, next];
  }
  initialState(batchSize: number | null): Tensor {
    return this.zeros(batchSize);
  }
}
