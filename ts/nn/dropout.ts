import { PaxError } from "../errors.js";
import { Module, type State } from "../module/index.js";
import * as rows from "../ops/generated/rows.js";
import * as random from "../random.js";
import { asTensor, type Tensor, type TensorLike } from "../tensor.js";

function checkRate(rate: number): void {
  if (!(rate >= 0 && rate < 1)) throw new PaxError("value", `a dropout rate is in [0, 1), got ${rate}`, { op: "dropout" });
}

/** Elements become 0 with probability `rate`, the others grow so that the mean stays. */
export function dropout(key: Tensor, rate: number, x: TensorLike): Tensor {
  checkRate(rate);
  const t = asTensor(x);
  if (rate === 0) return t;
  const keep = random.bernoulli(key, 1 - rate, t.shape);
  return rows.div(rows.mul(t, rows.cast(keep, t.dtype, t.weak)), 1 - rate);
}

/** Drops in train mode only; its key is state. */
export class Dropout extends Module {
  static override moduleName = "Dropout";
  declare rngKey: State<Tensor>;
  constructor(readonly rate: number) {
    super();
    checkRate(rate);
    this.registerState("rngKey", random.nextRngKey());
  }
  forward(x: TensorLike): Tensor {
    if (!this.training || this.rate === 0) return asTensor(x);
    const [next, used] = random.split(this.rngKey);
    this.rngKey = next!;
    return dropout(used!, this.rate, x);
  }
}
