/** Updates that are gathered over several steps, and weights that follow others. */
import { opError } from "../errors.js";
import * as rows from "../ops/generated/rows.js";
import { castTo } from "../ops/halves.js";
import type { DType, Tensor, TensorLike } from "../tensor.js";
import type { TensorTree } from "../tree/index.js";
import { counter, each, like, minus, negative, oneMinus, safeIncrement, type ExtraArgs, type GradientTransformation } from "./transform.js";
import * as tree from "./tree.js";

/** The count within the k updates (int32), and their sum so far. */
export type ApplyEveryState = { readonly count: Tensor; readonly gradAcc: TensorTree };
/** The sum of `k` updates at every k-th step, 0 at the others. */
export const applyEvery = (k = 1): GradientTransformation<ApplyEveryState> => ({
  init: (params) => ({ count: counter(), gradAcc: tree.zerosLike(params) }),
  update(updates, { count, gradAcc }) {
    const first = rows.equal(count, 0);
    const sums = each((g, before) => rows.add(rows.select(first, 0, before!), g), updates, gradAcc);
    const out = tree.where(rows.equal(count, k - 1), sums, tree.zerosLike(sums));
    return [out, { count: rows.remainder(safeIncrement(count), k), gradAcc: sums }];
  },
});

/** Whether to leave updates out, a bool scalar, and what the state keeps of the reason. */
export type ShouldSkipUpdateFunction = (updates: TensorTree, gradientStep: Tensor, params: TensorTree | undefined) => readonly [skip: Tensor, state: TensorTree];
/** Leaves updates out that have an element which is not finite. */
export function skipNotFinite(updates: TensorTree): ReturnType<ShouldSkipUpdateFunction> {
  const numNotFinite = tree.sum(each((g) => rows.logicalNot(rows.isfinite(g)), updates));
  const shouldSkip = rows.greater(numNotFinite, 0);
  return [shouldSkip, { shouldSkip, numNotFinite }];
}
/** Leaves updates out whose squared norm is not below `maxSquaredNorm`. */
export const skipLargeUpdates = (maxSquaredNorm: TensorLike): ShouldSkipUpdateFunction => (updates) => {
  const normSquared = tree.norm(updates, { squared: true });
  const shouldSkip = rows.logicalNot(rows.less(normSquared, maxSquaredNorm));
  return [shouldSkip, { shouldSkip, normSquared }];
};

/** `skipState` is what `shouldSkipUpdateFn` gave with its last answer. */
export type MultiStepsState<S> = {
  /** Updates gathered since the last step of the inner optimizer, and steps of it. */
  readonly miniStep: Tensor; readonly gradientStep: Tensor;
  readonly innerOptState: S; readonly accGrads: TensorTree; readonly skipState: TensorTree;
};
/** What `MultiSteps` may be told. */
export type MultiStepsOptions = {
  /** Whether the mean of the gradients is taken, and not their sum. */
  readonly useGradMean?: boolean;
  readonly shouldSkipUpdateFn?: ShouldSkipUpdateFunction;
  readonly accumulatorDtype?: DType;
};
/**
 * Gathers gradients over k calls; the last of them makes a step of `opt`, the others give updates of 0. k may depend on the step of `opt`.
 * `opt` runs in every call and its result is chosen or not: nothing is read back.
 */
export class MultiSteps<S> implements GradientTransformation<MultiStepsState<S>> {
  constructor(
    readonly innerOpt: GradientTransformation<S>, private readonly everyKSchedule: number | ((gradientStep: Tensor) => TensorLike),
    private readonly options: MultiStepsOptions = {},
  ) {}

  init<P extends TensorTree>(params: P): MultiStepsState<S> {
    const gradientStep = counter();
    const { shouldSkipUpdateFn, accumulatorDtype: dtype = "float32" } = this.options;
    return {
      miniStep: counter(), gradientStep, innerOptState: this.innerOpt.init(params), accGrads: tree.zerosLike(params, { dtype }),
      skipState: shouldSkipUpdateFn?.(tree.zerosLike(params), gradientStep, params)[1] ?? [],
    };
  }

  update<P extends TensorTree>(updates: P, state: MultiStepsState<S>, params?: P, extra?: ExtraArgs): readonly [updates: P, state: MultiStepsState<S>] {
    const { miniStep, gradientStep } = state;
    const { useGradMean = true, shouldSkipUpdateFn } = this.options;
    const k = typeof this.everyKSchedule === "number" ? this.everyKSchedule : rows.cast(this.everyKSchedule(gradientStep), "int32", false);
    const share = rows.add(rows.cast(miniStep, "float32", false), 1);
    const gathered = each((acc, g) => rows.add(acc, useGradMean ? rows.div(rows.sub(g!, acc), like(share, acc)) : g!), state.accGrads as P, updates);
    const [changed, inner] = this.innerOpt.update(tree.castLike(gathered, updates), state.innerOptState, params, extra);
    const last = rows.equal(miniStep, minus(k, 1));
    const done: MultiStepsState<S> = {
      miniStep: rows.remainder(safeIncrement(miniStep), k),
      gradientStep: rows.select(last, safeIncrement(gradientStep), gradientStep),
      innerOptState: tree.where(last, tree.castLike(inner, state.innerOptState), state.innerOptState),
      accGrads: each((sum, acc) => castTo(rows.select(last, 0, sum), acc!.dtype), gathered, state.accGrads),
      skipState: [],
    };
    const zeros = tree.zerosLike(changed);
    if (shouldSkipUpdateFn === undefined) return [tree.where(last, changed, zeros), done];
    const [skip, skipState] = shouldSkipUpdateFn(updates, gradientStep, params);
    const kept = tree.where(skip, { ...state, skipState: [] }, done);
    return [tree.where(rows.logicalAnd(last, rows.logicalNot(skip)), changed, zeros), { ...kept, skipState }];
  }

  /** Whether the last call made a step: a bool scalar. */
  hasUpdated(state: MultiStepsState<S>): Tensor {
    return rows.logicalAnd(rows.equal(state.miniStep, 0), rows.greater(state.gradientStep, 0));
  }
  /** The pair alone. */
  gradientTransformation(): GradientTransformation<MultiStepsState<S>> {
    return { init: this.init.bind(this), update: this.update.bind(this) };
  }
}

/** Weights that an optimizer moves and weights that follow them. */
export type LookaheadParams<P> = { readonly fast: P; readonly slow: P };
/** Makes the weights of `lookahead`. */
export const LookaheadParams = {
  /** Both the same, as at the start. */
  initSynced: <P>(params: P): LookaheadParams<P> => ({ fast: params, slow: params }),
};
/** The fast optimizer's state, and its steps since the weights met (int32). */
export type LookaheadState<S> = { readonly fastState: S; readonly stepsSinceSync: Tensor };
/** Takes gradients by the fast weights, gives updates of both. */
export interface LookaheadTransformation<S> {
  init<P extends TensorTree>(params: LookaheadParams<P>): LookaheadState<S>;
  update<P extends TensorTree>(updates: P, state: LookaheadState<S>, params: LookaheadParams<P>): readonly [updates: LookaheadParams<P>, state: LookaheadState<S>];
}
/**
 * Every `syncPeriod` steps the slow weights go a part `slowStepSize` of the way to the fast ones, which begin there anew (Zhang et al. 2019).
 * @throws PaxError `value` for a period below 1
 */
export function lookahead<S>(fastOptimizer: GradientTransformation<S>, syncPeriod: number, slowStepSize: TensorLike, { resetState = false }: { readonly resetState?: boolean } = {}): LookaheadTransformation<S> {
  if (!(syncPeriod >= 1)) throw opError("value", "lookahead", `the synchronization period is ${syncPeriod}, it is at least 1`);
  return {
    init: ({ fast }) => ({ fastState: fastOptimizer.init(fast), stepsSinceSync: counter() }),
    update(updates, { fastState, stepsSinceSync }, { fast, slow }) {
      const [u, next] = fastOptimizer.update(updates, fastState, fast);
      const sync = rows.equal(stepsSinceSync, syncPeriod - 1);
      const ahead = each((f, step, s) => rows.select(sync, rows.sub(rows.add(f, step!), s!), 0), fast, u, slow);
      return [
        { fast: tree.addScale(u, negative(oneMinus(slowStepSize)), ahead), slow: tree.scale(slowStepSize, ahead) },
        { fastState: resetState ? tree.where(sync, fastOptimizer.init(fast), next) : next, stepsSinceSync: rows.remainder(rows.add(stepsSinceSync, 1), syncPeriod) },
      ];
    },
  };
}
