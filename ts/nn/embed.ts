import { truncatedNormal, type Initializer } from "../initializers.js";
import { Module } from "../module/index.js";
import type { Tensor } from "../tensor.js";
import { embed, type Ids } from "./functional/basic.js";

/** A vector for each of `vocabSize` integers: ids [...] give [..., embedDim]. Ids are in [0, vocabSize). */
export class Embed extends Module {
  static override moduleName = "Embed";
  declare embeddings: Tensor;
  constructor(readonly vocabSize: number, readonly embedDim: number, { wInit = truncatedNormal() }: { readonly wInit?: Initializer } = {}) {
    super();
    this.registerParameter("embeddings", wInit([vocabSize, embedDim]));
  }
  /** @throws PaxError `dtype` for ids that are no integers */
  forward(ids: Ids): Tensor {
    return embed(ids, this.embeddings);
  }
}
