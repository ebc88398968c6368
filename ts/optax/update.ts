/** What is done with updates and parameters at the end. */
import * as rows from "../ops/generated/rows.js";
import { castTo } from "../ops/halves.js";
import { concatenate, split } from "../ops/join.js";
import { ravel, reshape } from "../ops/shape.js";
import type { Tensor, TensorLike } from "../tensor.js";
import { flatten as flattenTree, unflatten, type TensorTree } from "../tree/index.js";
import { each, oneMinus, scalar, tensors, type GradientTransformation } from "./transform.js";
import * as tree from "./tree.js";

/** `params + updates`, in the parameters' dtypes. */
export const applyUpdates = <P extends TensorTree>(params: P, updates: P): P => each((p, u) => castTo(rows.add(p, u!), p.dtype), params, updates);
/** `stepSize * newTensors + (1 - stepSize) * oldTensors`: an exponential moving average of parameters (Polyak and Juditsky 1992). */
export function incrementalUpdate<P extends TensorTree>(newTensors: P, oldTensors: P, stepSize: TensorLike): P {
  const [take, keep] = [scalar(stepSize), scalar(oneMinus(stepSize))];
  return each((now, before) => rows.add(rows.mul(now, take(now)), rows.mul(before!, keep(before!))), newTensors, oldTensors);
}
/** `newTensors` at each `updatePeriod`-th of the `steps`, from 0 on; else `oldTensors`. */
export const periodicUpdate = <P extends TensorTree>(newTensors: P, oldTensors: P, steps: TensorLike, updatePeriod: TensorLike): P =>
  tree.where(rows.equal(rows.remainder(steps, updatePeriod), 0), newTensors, oldTensors);

/** The inner transformation of one vector in which all leaves stand one after another, so that it makes few large operations and not many small ones. */
export function flatten<S>(inner: GradientTransformation<S>): GradientTransformation<S> {
  const vector = (params: TensorTree): Tensor => concatenate(tensors(params).map(ravel));
  return {
    init: (params) => inner.init(vector(params)),
    update(updates, state, params, extra) {
      const [found, structure] = flattenTree(updates);
      const [flat, next] = inner.update(vector(updates), state, params === undefined ? undefined : vector(params), extra);
      let end = 0;
      const ends = (found as Tensor[]).map((x) => (end += x.size));
      const parts = split(flat, ends.slice(0, -1));
      return [unflatten(structure, (found as Tensor[]).map((x, i) => castTo(reshape(parts[i]!, x.shape), x.dtype)) as never), next];
    },
  };
}
