/** Sharpness-aware minimization, and a learning rate that falls where the loss does not. */
import { opError } from "../../errors.js";
import { inDType } from "../../ops/dtypes.js";
import * as rows from "../../ops/generated/rows.js";
import type { Tensor } from "../../tensor.js";
import type { TensorTree } from "../../tree/index.js";
import { normalizeByUpdateNorm } from "../scale.js";
import { counter, each, needExtra, needParams, safeIncrement, type EmptyState, type GradientTransformation } from "../transform.js";
import * as tree from "../tree.js";
import { applyUpdates } from "../update.js";

/** Updates over their global norm. */
export const normalize = (): GradientTransformation<EmptyState> => normalizeByUpdateNorm({ eps: 0 });

/** The count within the period (int32), both optimizers' states, and the parameters where the period began. */
export type SamState<S, A> = { readonly stepsSinceSync: Tensor; readonly optState: S; readonly advState: A; readonly cache: TensorTree };
/** What `sam` may be told. */
export type SamOptions = {
  /** A step of the optimizer comes after `syncPeriod - 1` adversarial ones. */
  readonly syncPeriod?: number;
  /** Whether the adversarial optimizer begins anew after each of them. */
  readonly resetState?: boolean;
  /** Whether one update makes all steps: it then takes `gradFn(params, i)` as an extra argument. */
  readonly opaqueMode?: boolean;
};
/**
 * Steps up by `advOptimizer`, then down from where it began by the gradient found there (Foret et al. 2021).
 * @throws PaxError `value` for a period below 1, or an opaque update without `gradFn`
 */
export function sam<S, A>(
  optimizer: GradientTransformation<S>, advOptimizer: GradientTransformation<A>, { syncPeriod = 2, resetState = true, opaqueMode = false }: SamOptions = {},
): GradientTransformation<SamState<S, A>> {
  if (!(syncPeriod >= 1)) throw opError("value", "sam", `syncPeriod is ${syncPeriod}, it is at least 1`);
  return {
    init: (params) => ({ stepsSinceSync: counter(), optState: optimizer.init(params), advState: advOptimizer.init(params), cache: opaqueMode ? null : params }),
    update(updates, state, given, extra) {
      const params = needParams("sam", given);
      if (opaqueMode) {
        const gradFn = extra?.["gradFn"];
        if (typeof gradFn !== "function") throw opError("value", "sam", "opaqueMode needs gradFn: call update(updates, state, params, { gradFn })");
        let [at, grads]: [typeof updates, typeof updates] = [params, updates];
        let { advState } = state;
        for (let i = 0; i < syncPeriod - 1; i++) {
          const [up, next] = advOptimizer.update(grads, advState, at);
          at = applyUpdates(at, each(rows.neg, up));
          [grads, advState] = [(gradFn as (params: TensorTree, i: number) => TensorTree)(at, i) as typeof updates, next];
        }
        const [down, optState] = optimizer.update(grads, state.optState, params);
        return [down, { stepsSinceSync: counter(), optState, advState: resetState ? advOptimizer.init(params) : advState, cache: null }];
      }
      const first = rows.equal(state.stepsSinceSync, 0);
      const last = rows.equal(state.stepsSinceSync, syncPeriod - 1);
      const from = state.cache as typeof params;
      const [up, advState] = advOptimizer.update(updates, state.advState, params);
      const [down, optState] = optimizer.update(updates, state.optState, from);
      const out = each((c, p, u, d) => rows.select(last, rows.add(rows.sub(c, p!), d!), rows.neg(u!)), from, params, up, down);
      return [out as typeof updates, {
        stepsSinceSync: rows.remainder(rows.add(state.stepsSinceSync, 1), syncPeriod),
        optState: tree.where(last, optState, state.optState),
        advState: tree.where(last, resetState ? advOptimizer.init(params) : state.advState, advState),
        cache: tree.where(first, params, from),
      }];
    },
  };
}

/** The scale, the best mean loss so far, how many means were no better, how many still rest, and the count and mean of losses since. */
export type ReduceOnPlateauState = {
  readonly scale: Tensor; readonly bestValue: Tensor; readonly plateauCount: Tensor; readonly cooldownCount: Tensor; readonly count: Tensor; readonly avgValue: Tensor;
};
/** A loss is better below `(1 - rtol) * best - atol`; after a reduction `cooldown` losses do not count. */
export type ReduceOnPlateauOptions = {
  readonly factor?: number; readonly patience?: number; readonly rtol?: number; readonly atol?: number; readonly cooldown?: number;
  /** Over how many values the mean is taken. */
  readonly accumulationSize?: number;
  readonly minScale?: number;
};
/**
 * Updates times a scale, which is multiplied by `factor` where the loss `value`, an extra argument, has not fallen for `patience` times.
 * @throws PaxError `value` for options out of range, or an update without `value`
 */
export function reduceOnPlateau(
  { factor = 0.1, patience = 10, rtol = 1e-4, atol = 0, cooldown = 0, accumulationSize = 1, minScale = 0 }: ReduceOnPlateauOptions = {},
): GradientTransformation<ReduceOnPlateauState> {
  const op = "reduceOnPlateau";
  if (!(factor > 0 && factor < 1)) throw opError("value", op, `factor is ${factor}, it lies between 0 and 1`);
  if (!(rtol >= 0 && rtol <= 1 && atol >= 0 && rtol + atol > 0)) {
    throw opError("value", op, `rtol is ${rtol} and atol ${atol}: neither is negative, one is positive, rtol is at most 1`);
  }
  return {
    init(params) {
      const [low, high] = [tree.dtype(params, "lowest"), tree.dtype(params, "highest")];
      return {
        scale: rows.full([], low, 1), bestValue: rows.full([], high, Infinity), plateauCount: counter(), cooldownCount: counter(), count: counter(),
        avgValue: rows.full([], high, 0),
      };
    },
    update(updates, state, _params, extra) {
      const { dtype } = state.avgValue;
      const count = safeIncrement(state.count);
      const sum = rows.add(rows.mul(state.avgValue, rows.cast(state.count, dtype, false)), inDType(needExtra(op, extra, "value"), dtype));
      const avgValue = rows.div(sum, rows.cast(count, dtype, false));
      const better = rows.less(avgValue, rows.sub(rows.mul(state.bestValue, 1 - rtol), atol));
      const since = rows.select(better, 0, safeIncrement(state.plateauCount));
      const resting = rows.greater(state.cooldownCount, 0);
      const tired = rows.logicalAnd(rows.equal(since, patience), rows.logicalNot(resting));
      const reduced = rows.maximum(rows.select(tired, rows.mul(state.scale, factor), state.scale), minScale);
      const judged = {
        scale: rows.select(resting, state.scale, reduced),
        bestValue: rows.select(better, avgValue, state.bestValue),
        plateauCount: rows.select(rows.logicalOr(resting, tired), 0, since),
        cooldownCount: rows.select(resting, rows.sub(state.cooldownCount, 1), rows.select(tired, cooldown, rows.full([], "int32", 0))),
        count: counter(), avgValue: rows.full([], dtype, 0),
      };
      const next = tree.where(rows.equal(count, accumulationSize), judged, { ...state, count, avgValue });
      return [tree.scale(next.scale, updates), next];
    },
  };
}
