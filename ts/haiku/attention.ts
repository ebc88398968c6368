import type { Initializer } from "../initializers.js";
import * as rows from "../ops/generated/rows.js";
import { einsum } from "../ops/linalg.js";
import { reshape } from "../ops/shape.js";
import type { Tensor } from "../tensor.js";
import { Linear, type Name } from "./basic.js";
import { Module } from "./module.js";

export type AttentionOptions = Name & {
  readonly wInit: Initializer;
  readonly withBias?: boolean;
  readonly bInit?: Initializer;
  /** `keySize` unless given. */
  readonly valueSize?: number;
  /** `keySize * numHeads` unless given. */
  readonly modelSize?: number;
};

/** Attention in `numHeads` heads (Vaswani et al. 2017): softmax(q kᵀ / √keySize) v of projections `query`, `key` and `value`, projected by `linear`. */
export class MultiHeadAttention extends Module {
  static override moduleName = "MultiHeadAttention";
  constructor(readonly numHeads: number, readonly keySize: number, private readonly options: AttentionOptions) { super(options); }

  /** Of queries [..., T, features] and keys and values [..., S, features]: [..., T, modelSize]. False in `mask`, which broadcasts to [..., numHeads, T, S], hides a key. */
  forward(query: Tensor, key: Tensor, value: Tensor, mask?: Tensor): Tensor {
    const { name: _, valueSize = this.keySize, modelSize = this.keySize * this.numHeads, ...init } = this.options;
    const heads = (x: Tensor, size: number, name: string): Tensor => {
      const y = new Linear(this.numHeads * size, { ...init, name }).forward(x);
      return reshape(y, [...y.shape.slice(0, -1), this.numHeads, size]);
    };
    const [q, k, v] = [heads(query, this.keySize, "query"), heads(key, this.keySize, "key"), heads(value, valueSize, "value")];
    const logits = rows.div(einsum("...thd,...Thd->...htT", q, k), Math.sqrt(this.keySize));
    const weights = rows.softmax(mask === undefined ? logits : rows.select(mask, logits, -1e30), logits.ndim - 1);
    const out = einsum("...htT,...Thd->...thd", weights, v);
    return new Linear(modelSize, init).forward(reshape(out, [...query.shape.slice(0, -1), this.numHeads * valueSize]));
  }
}
