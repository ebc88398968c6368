/** Limited-memory BFGS. */
import { opError } from "../errors.js";
import * as rows from "../ops/generated/rows.js";
import { castTo } from "../ops/halves.js";
import type { Tensor } from "../tensor.js";
import type { TensorTree } from "../tree/index.js";
import { chain } from "./combine.js";
import { scale, scaleByLearningRate } from "./scale.js";
import { counter, each, needParams, realOf, safeIncrement, type GradientTransformation, type ScalarOrSchedule } from "./transform.js";
import * as tree from "./tree.js";

/** `diffParamsMemory` and `diffUpdatesMemory` have the last differences along a new first axis, `weightsMemory` one over their products. */
export type ScaleByLbfgsState = {
  readonly count: Tensor; readonly params: TensorTree; readonly updates: TensorTree;
  readonly diffParamsMemory: TensorTree; readonly diffUpdatesMemory: TensorTree; readonly weightsMemory: Tensor;
};
/** What `scaleByLbfgs` may be told. */
export type LbfgsOptions = {
  /** How many differences are kept. */
  readonly memorySize?: number;
  /** Whether the first guess of the inverse Hessian is scaled by the last difference. */
  readonly scaleInitPrecond?: boolean;
};

/** Updates times an estimate of the inverse Hessian from the last steps (Nocedal and Wright 2006, algorithm 7.4). @throws PaxError `value` for a memory below 1 */
export function scaleByLbfgs({ memorySize = 10, scaleInitPrecond = true }: LbfgsOptions = {}): GradientTransformation<ScaleByLbfgsState> {
  if (!(memorySize >= 1)) throw opError("value", "scaleByLbfgs", `memorySize is ${memorySize}, it is at least 1`);
  const memory = (params: TensorTree): TensorTree => each((p) => rows.full([memorySize, ...p.shape], p.dtype, 0), params);
  return {
    init: (params) => ({
      count: counter(), params: tree.zerosLike(params), updates: tree.zerosLike(params),
      diffParamsMemory: memory(params), diffUpdatesMemory: memory(params), weightsMemory: rows.full([memorySize], realOf(params), 0),
    }),
    update(updates, state, given) {
      const params = needParams("scaleByLbfgs", given);
      const later = rows.greater(state.count, 0);
      const dw = tree.where(later, tree.sub(params, state.params as typeof params), tree.zerosLike(params));
      const du = tree.where(later, tree.sub(updates, state.updates as typeof updates), tree.zerosLike(updates));
      const product = tree.vdot(du, dw);
      const weight = rows.select(rows.equal(product, 0), 0, rows.div(1, product));
      const none = rows.full([], "int32", 0);
      const place = rows.remainder(rows.sub(state.count, 1), memorySize);
      const put = (all: Tensor, one: Tensor): Tensor =>
        rows.dynamicUpdateSlice(all, castTo(rows.reshape(one, [1, ...one.shape]), all.dtype), [place, ...one.shape.map(() => none)]);
      const diffParamsMemory = each(put, state.diffParamsMemory, dw);
      const diffUpdatesMemory = each(put, state.diffUpdatesMemory, du);
      const weightsMemory = put(state.weightsMemory, weight);

      const at = Array.from({ length: memorySize }, (_, i) => rows.remainder(rows.add(state.count, i), memorySize));
      const pick = (all: Tensor, i: number): Tensor =>
        rows.reshape(rows.dynamicSlice(all, [at[i]!, ...all.shape.slice(1).map(() => none)], [1, ...all.shape.slice(1)]), all.shape.slice(1));
      const last = (memories: TensorTree): (typeof updates)[] => at.map((_, i) => each((all) => pick(all, i), memories) as typeof updates);
      const [ws, us, rhos] = [last(diffParamsMemory), last(diffUpdatesMemory), at.map((_, i) => pick(weightsMemory, i))];
      const alphas: Tensor[] = [];
      let out = updates;
      for (let i = memorySize - 1; i >= 0; i--) {
        alphas[i] = rows.mul(rhos[i]!, tree.vdot(ws[i]!, out));
        out = tree.addScale(out, rows.neg(alphas[i]!), us[i]!);
      }
      if (scaleInitPrecond) {
        const square = tree.norm(du, { squared: true });
        const guess = rows.select(rows.greater(square, 0), rows.div(product, square), 1);
        const first = rows.minimum(rows.div(1, tree.norm(updates)), 1);
        out = tree.scale(rows.select(later, guess, first), out);
      }
      for (let i = 0; i < memorySize; i++) {
        const beta = rows.mul(rhos[i]!, tree.vdot(us[i]!, out));
        out = tree.addScale(out, rows.sub(alphas[i]!, beta), ws[i]!);
      }
      return [out, { count: safeIncrement(state.count), params, updates, diffParamsMemory, diffUpdatesMemory, weightsMemory }];
    },
  };
}
/** L-BFGS with fixed or scheduled steps, 1 by default: optax's `lbfgs(linesearch=None)`. There is no line search here. */
export const lbfgs = (learningRate: ScalarOrSchedule | null = null, options: LbfgsOptions = {}) =>
  chain(scaleByLbfgs(options), learningRate === null ? scale(-1) : scaleByLearningRate(learningRate));
