import { PaxError } from "./errors.js";
import { Module, type State } from "./module/index.js";
import { emaStep } from "./nn/functional/norm.js";
import { array, type Tensor } from "./tensor.js";
import * as rows from "./ops/generated/rows.js";
import { map, type TensorTree } from "./tree/index.js";

const isFloat = (x: Tensor): boolean => x.dtype.startsWith("float") || x.dtype === "bfloat16";

export type EMAOptions = {
  /** The first tree given takes the place of the initial value. */
  readonly debias?: boolean;
  /** Tensors that are no floats are kept as they were last given; else they are an error. */
  readonly allowInt?: boolean;
};

/** The exponential average of a tree of tensors, `average · decayRate + value · (1 − decayRate)`, which moves on in train mode only; as Pax's. */
export class EMA<T extends TensorTree> extends Module {
  static override moduleName = "EMA";
  declare averages: State<T>;
  /** With `debias`: whether a tree was given yet. */
  declare started: State<Tensor> | null;
  readonly allowInt: boolean;
  /** @throws PaxError `dtype` for tensors that are no floats */
  constructor(initialValue: T, readonly decayRate: number, { debias = false, allowInt = false }: EMAOptions = {}) {
    super();
    this.allowInt = allowInt;
    this.check(initialValue);
    this.registerStateSubtree("averages", initialValue as this["averages"]);
    this.registerState("started", debias ? array(false) : null);
  }
  /** The averages, after `xs` was taken into them in train mode. @throws PaxError `tree` for another structure */
  forward(xs: T): T {
    this.check(xs);
    if (this.training) {
      const { started, decayRate } = this;
      this.averages = map((average: Tensor, x: Tensor) => {
        if (!isFloat(average)) return x;
        return emaStep(started === null ? average : rows.select(started, average, rows.cast(x, average.dtype, false)), x, decayRate);
      }, this.averages as TensorTree, xs as never) as this["averages"];
      if (started !== null) this.started = array(true);
    }
    return this.averages;
  }
  private check(tree: T): void {
    map((x: Tensor) => {
      if (!this.allowInt && !isFloat(x)) throw new PaxError("dtype", `EMA averages floats, got ${x.dtype}: allowInt keeps the last value of others`, { op: "EMA" });
      return x;
    }, tree as TensorTree);
  }
}
