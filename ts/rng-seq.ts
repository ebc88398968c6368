import { Module, type State } from "./module/index.js";
import * as random from "./random.js";
import type { Tensor } from "./tensor.js";

type Keys<N extends number> = number extends N ? Tensor | Tensor[] : N extends 1 ? Tensor : Tensor[];

/** A module that holds a random key and hands out new ones; as Pax's. The key is a state: return the module from a transformed function. */
export class RngSeq extends Module {
  static override moduleName = "RngSeq";
  declare rngKey: State<Tensor>;
  /** Starts from `rngKey`, else from `seed`, else from the global sequence. */
  constructor(seed: number | bigint | null = null, { rngKey }: { readonly rngKey?: Tensor } = {}) {
    super();
    this.registerState("rngKey", rngKey ?? (seed === null ? random.nextRngKey() : random.key(seed)));
  }
  /** A new key, or a list of `num` of them: `split(key, num + 1)`, whose first element is kept. */
  nextRngKey<const N extends number = 1>(num?: N): Keys<N> {
    const [next, ...keys] = random.split(this.rngKey, (num ?? 1) + 1);
    this.rngKey = next!;
    return (keys.length === 1 ? keys[0] : keys) as Keys<N>;
  }
}
