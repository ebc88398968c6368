/** What is done with updates and parameters at the end. */
import * as rows from "../ops/generated/rows.js";
import { castTo } from "../ops/halves.js";
import { concatenate } from "../ops/join.js";
import type { Tensor, TensorLike } from "../tensor.js";
import type { TensorTree } from "../tree/index.js";
import { each, tensors, type GradientTransformation } from "./transform.js";
import * as tree from "./tree.js";

/** `params + updates`, in the parameters' dtypes. */
export const applyUpdates = <P extends TensorTree>(params: P, updates: P): P => each((p, u) => castTo(rows.add(p, u!), p.dtype), params, updates);
/** `stepSize * newTensors + (1 - stepSize) * oldTensors`: an exponential moving average of parameters (Polyak and Juditsky 1992). */
export const incrementalUpdate = <P extends TensorTree>(newTensors: P, oldTensors: P, stepSize: TensorLike): P => tree.updateMoment(oldTensors, newTensors, stepSize, 1);
/** `newTensors` at each `updatePeriod`-th of the `steps`, from 0 on; else `oldTensors`. */
export const periodicUpdate = <P extends TensorTree>(newTensors: P, oldTensors: P, steps: TensorLike, updatePeriod: TensorLike): P =>
  tree.where(rows.equal(rows.remainder(steps, updatePeriod), 0), newTensors, oldTensors);

/** The inner transformation of one vector in which all leaves stand one after another, so that it makes few large operations and not many small ones. */
export function flatten<S>(inner: GradientTransformation<S>): GradientTransformation<S> {
  const vector = (params: TensorTree): Tensor => {
    const found = tensors(params);
    return concatenate(found.length > 0 ? found : [rows.full([0], "float32", 0)], null);
  };
  return {
    init: (params) => inner.init(vector(params)),
    update(updates, state, params, extra) {
      const [flat, next] = inner.update(vector(updates), state, params === undefined ? undefined : vector(params), extra);
      let end = 0;
      return [each((x) => castTo(rows.reshape(rows.slice(flat, [end], [end += x.size], [1]), x.shape), x.dtype), updates), next];
    },
  };
}
