/** Transformations that act in some steps only, and guards against values that are not finite. */
import * as rows from "../ops/generated/rows.js";
import { any } from "../ops/reduce.js";
import type { Tensor, TensorLike } from "../tensor.js";
import type { TensorTree } from "../tree/index.js";
import { skipNotFinite } from "./accumulate.js";
import { counter, each, safeIncrement, withParams, type EmptyState, type ExtraArgs, type GradientTransformation } from "./transform.js";
import * as tree from "./tree.js";

/** Whether to act, by the count of updates before; the extra arguments are there with `forwardExtraArgs`. */
export type ConditionFn = (step: Tensor, extra: ExtraArgs) => TensorLike;
/** The inner state, and the count of updates (int32). */
export type ConditionalState<S> = { readonly innerState: S; readonly step: Tensor };
type ConditionalOptions = { readonly forwardExtraArgs?: boolean };

const conditional = (otherwise: <P>(updates: P) => P) =>
  <S>(inner: GradientTransformation<S>, should: ConditionFn, { forwardExtraArgs = false }: ConditionalOptions = {}): GradientTransformation<ConditionalState<S>> => ({
    init: (params) => ({ innerState: inner.init(params), step: counter() }),
    update(updates, { innerState, step }, params, extra = {}) {
      const now = should(step, forwardExtraArgs ? extra : {});
      const [changed, next] = inner.update(updates, innerState, params, extra);
      return [tree.where(now, changed, otherwise(updates)), { innerState: tree.where(now, next, innerState), step: safeIncrement(step) }];
    },
  });
/** The inner transformation in the steps that `should` names; in others the updates pass as they are and its state stays. */
export const conditionallyTransform = conditional((updates) => updates);
/** The inner transformation in the steps that `should` names; in others the updates are 0 and its state stays. */
export const conditionallyMask = conditional((updates) => tree.zerosLike(updates));

/** How many updates in a row were not finite, whether the last one was, and how many were not in all. */
export type ApplyIfFiniteState<S> = { readonly notfiniteCount: Tensor; readonly lastFinite: Tensor; readonly totalNotfinite: Tensor; readonly innerState: S };
/** The inner transformation; updates with an element that is not finite become 0 and change no state, unless more than `maxConsecutiveErrors` came in a row. */
export const applyIfFinite = <S>(inner: GradientTransformation<S>, maxConsecutiveErrors: number): GradientTransformation<ApplyIfFiniteState<S>> => ({
  init: (params) => ({ notfiniteCount: counter(), lastFinite: rows.full([], "bool", 1), totalNotfinite: counter(), innerState: inner.init(params) }),
  update(updates, state, params, extra) {
    const lastFinite = rows.logicalNot(skipNotFinite(updates)[0]);
    const notfiniteCount = rows.select(lastFinite, 0, safeIncrement(state.notfiniteCount));
    const go = rows.logicalOr(lastFinite, rows.greater(notfiniteCount, maxConsecutiveErrors));
    const [changed, next] = inner.update(updates, state.innerState, params, extra);
    const totalNotfinite = rows.select(lastFinite, state.totalNotfinite, safeIncrement(state.totalNotfinite));
    return [tree.where(go, changed, tree.zerosLike(updates)), { notfiniteCount, lastFinite, totalNotfinite, innerState: tree.where(go, next, state.innerState) }];
  },
});

/** For each leaf a bool scalar: whether the last update had a NaN. */
export type ZeroNansState = { readonly foundNan: TensorTree };
/** NaN becomes 0; the state tells for each leaf whether there was one. */
export const zeroNans = (): GradientTransformation<ZeroNansState> => ({
  init: (params) => ({ foundNan: each(() => rows.full([], "bool", 0), params) }),
  update(updates) {
    const nan = each((g) => rows.isnan(g), updates);
    return [each((g, bad) => rows.select(bad!, 0, g), updates, nan), { foundNan: each((bad) => any(bad), nan) }];
  },
});

/** Updates that would make a parameter negative make it 0. */
export const keepParamsNonnegative = (): GradientTransformation<EmptyState> =>
  withParams("keepParamsNonnegative", (g, p) => rows.select(rows.less(rows.add(p, g), 0), rows.neg(p), g));
