/** Small layers as functions of tensors; `nn` and `hk` have them with parameters of their own. */
import * as rows from "../../ops/generated/rows.js";
import { asIndex, type Index, type Nested, type Tensor } from "../../tensor.js";

/** `x w + b` over the last axis of `x`; `b` may be null. */
export function linear(x: Tensor, w: Tensor, b: Tensor | null): Tensor {
  const y = rows.matmul(x, w);
  return b === null ? y : rows.add(y, b);
}

/** Integers: a tensor, a number or nested arrays. */
export type Ids = Index | Nested<number>;
/** Rows of `table` [v, d] at integer `ids`: [...ids, d]. Ids are in [0, v). @throws PaxError `dtype` for ids that are no integers */
export const embed = (ids: Ids, table: Tensor): Tensor => rows.gather(table, asIndex(ids), 0, 0, "clamp");
