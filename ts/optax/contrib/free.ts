/** Optimizers that need no schedule or no learning rate: schedule-free averaging, Prodigy, DoG and DoWG. */
import { opError } from "../../errors.js";
import { inDType } from "../../ops/dtypes.js";
import * as rows from "../../ops/generated/rows.js";
import { castTo } from "../../ops/halves.js";
import type { DType, Tensor } from "../../tensor.js";
import type { TensorTree } from "../../tree/index.js";
import { scaleByRms } from "../adaptive.js";
import { sgd } from "../aliases.js";
import { chain } from "../combine.js";
import { addDecayedWeights, scaleByLearningRate } from "../scale.js";
import { warmupConstantSchedule } from "../schedules.js";
import {
  at, biasCorrectionFactor, counter, each, identity, like, offset, needParams, oneMinus, safeIncrement, times,
  type GradientTransformation, type MaskOrFn, type ScalarOrSchedule,
} from "../transform.js";
import * as tree from "../tree.js";

/** `z` is the base optimizer's point; `weightSum` and `maxLr` make the weights of the average. */
export type ScheduleFreeState<S> = {
  readonly b1: Tensor; readonly weightSum: Tensor; readonly stepCount: Tensor; readonly maxLr: Tensor; readonly baseOptimizerState: S; readonly z: TensorTree;
};
/** The parameters to test with: `(params - (1 - b1) * z) / b1`, the average. */
export function scheduleFreeEvalParams<P extends TensorTree>(state: ScheduleFreeState<unknown>, params: P): P {
  const rest = oneMinus(state.b1);
  return each((y, z) => rows.div(rows.sub(y, times(z!, rest)), like(state.b1, y)), params, state.z);
}
/** Gradients are taken at `b1` times the average plus `1 - b1` times z; steps weigh by their greatest rate to the power `weightLrPower`. */
export type ScheduleFreeOptions = { readonly b1?: number; readonly weightLrPower?: number; readonly stateDtype?: DType };
/** Steps of the base optimizer are averaged, and gradients taken between its point z and the average: no schedule is needed (Defazio et al. 2024). */
export const scheduleFree = <S>(
  baseOptimizer: GradientTransformation<S>, learningRate: ScalarOrSchedule, { b1 = 0.9, weightLrPower = 2, stateDtype }: ScheduleFreeOptions = {},
): GradientTransformation<ScheduleFreeState<S>> => ({
  init(params) {
    const dtype = tree.dtype(params, "lowest");
    return {
      b1: inDType(b1, dtype), weightSum: rows.full([], dtype, 0), stepCount: rows.full([], "int32", 1), maxLr: rows.full([], dtype, 0),
      baseOptimizerState: baseOptimizer.init(params), z: each((p) => rows.copy(castTo(p, stateDtype ?? p.dtype)), params),
    };
  },
  update(grads, state, given, extra) {
    const params = needParams("scheduleFree", given);
    const { dtype } = state.maxLr;
    const rate = inDType(at(learningRate, state.stepCount), dtype);
    const maxLr = rows.maximum(state.maxLr, rate);
    const weight = rows.pow(maxLr, weightLrPower);
    const weightSum = rows.add(state.weightSum, weight);
    // 0 of 0 is 0: the rate was 0 so far.
    const share = rows.select(rows.equal(weightSum, 0), 0, rows.div(weight, weightSum));
    const [steps, baseOptimizerState] = baseOptimizer.update(grads, state.baseOptimizerState, params, extra);
    const z = each((old, u) => castTo(rows.add(old, u!), old.dtype), state.z as typeof params, steps);
    const keep = oneMinus(share);
    const updates = each((y, before, now) => {
      const average = rows.div(rows.sub(y, rows.mul(before!, 1 - b1)), b1);
      const x = rows.add(times(average, keep), times(now!, share));
      return rows.sub(rows.add(rows.mul(x, b1), rows.mul(now!, 1 - b1)), y);
    }, params, state.z, z);
    return [updates, { b1: state.b1, weightSum, stepCount: safeIncrement(state.stepCount), maxLr, baseOptimizerState, z }];
  },
});
type Warmup = { readonly warmupSteps?: number };
const warm = (learningRate: number, warmupSteps: number | undefined): ScalarOrSchedule =>
  (warmupSteps === undefined ? learningRate : warmupConstantSchedule(0, learningRate, warmupSteps));
/** Schedule-free gradient descent (Defazio et al. 2024). */
export function scheduleFreeSgd(learningRate = 1, { warmupSteps, weightDecay = null, ...options }: ScheduleFreeOptions & Warmup & { readonly weightDecay?: ScalarOrSchedule | null } = {}) {
  const rate = warm(learningRate, warmupSteps);
  return scheduleFree(chain(weightDecay === null ? identity() : addDecayedWeights(weightDecay), sgd(rate)), rate, options);
}
/** Schedule-free Adam with weight decay (Defazio et al. 2024). */
export function scheduleFreeAdamw(
  learningRate = 2.5e-3,
  { warmupSteps, b2 = 0.999, eps, weightDecay, ...options }: ScheduleFreeOptions & Warmup & { readonly b2?: number; readonly eps?: number; readonly weightDecay?: ScalarOrSchedule } = {},
) {
  const rate = warm(learningRate, warmupSteps);
  const base = chain(scaleByRms({ decay: b2, eps, epsInSqrt: false, biasCorrection: true }), addDecayedWeights(weightDecay), scaleByLearningRate(rate));
  return scheduleFree(base, rate, options);
}

/** Moments of scaled gradients, their weighted sum, the parameters at the start, and the learning rate so far. */
export type ProdigyState = {
  readonly expAvg: TensorTree; readonly expAvgSq: TensorTree; readonly gradSum: TensorTree; readonly params0: TensorTree;
  readonly estimLr: Tensor; readonly numeratorWeighted: Tensor; readonly count: Tensor;
};
/** What `prodigy` may be told. */
export type ProdigyOptions = {
  readonly betas?: readonly [number, number]; readonly beta3?: number; readonly eps?: number;
  /** The first guess of the learning rate, and a factor of the later ones. */
  readonly estimLr0?: number; readonly estimLrCoef?: number;
  readonly weightDecay?: number; readonly safeguardWarmup?: boolean;
};
/** Adam that learns its learning rate (Mishchenko and Defazio 2023). The updates have their sign: there is nothing to chain behind. */
export const prodigy = (learningRate: ScalarOrSchedule = 1, {
  betas: [beta1, beta2] = [0.9, 0.999], beta3 = Math.sqrt(beta2), eps = 1e-8, estimLr0 = 1e-6, estimLrCoef = 1, weightDecay = 0, safeguardWarmup = false,
}: ProdigyOptions = {}): GradientTransformation<ProdigyState> => ({
  init(params) {
    const dtype = tree.dtype(params, "lowest");
    const zeros = (): TensorTree => tree.zerosLike(params);
    return {
      expAvg: zeros(), expAvgSq: zeros(), gradSum: zeros(), params0: params,
      estimLr: inDType(estimLr0, dtype), numeratorWeighted: rows.full([], dtype, 0), count: counter(),
    };
  },
  update(updates, state, given) {
    const params = needParams("prodigy", given);
    const count = safeIncrement(state.count);
    const { dtype } = state.estimLr;
    const rate = at(learningRate, state.count);
    const correction = rows.div(rows.sqrt(biasCorrectionFactor(beta2, count, dtype)), biasCorrectionFactor(beta1, count, dtype));
    const step = inDType(rows.mul(rows.mul(state.estimLr, rate), correction), dtype);
    const dg = tree.scale(state.estimLr, updates);
    const moved = tree.vdot(updates, tree.sub(state.params0 as typeof params, params));
    const expAvg = tree.updateMoment(dg, state.expAvg, beta1, 1);
    const expAvgSq = tree.updateMoment(dg, state.expAvgSq, beta2, 2);
    const weight = rows.div(safeguardWarmup ? state.estimLr : step, estimLr0);
    const gradSum = tree.addScale(tree.scale(beta3, state.gradSum as typeof updates), weight, dg);
    const numeratorWeighted = inDType(
      rows.add(rows.mul(state.numeratorWeighted, beta3), rows.mul(rows.mul(rows.div(state.estimLr, estimLr0), step), moved)), dtype,
    );
    const guess = rows.div(rows.mul(numeratorWeighted, estimLrCoef), tree.norm(gradSum, { ord: 1 }));
    const estimLr = inDType(rows.maximum(state.estimLr, guess), dtype);
    const [decay, least] = [rows.mul(step, weightDecay), rows.mul(estimLr, eps)];
    const out = each((m, v, p) => rows.neg(rows.add(times(p!, decay), rows.div(times(m, step), offset(rows.sqrt(v!), least)))), expAvg, expAvgSq, params);
    return [out as typeof updates, { expAvg, expAvgSq, gradSum, params0: state.params0, estimLr, numeratorWeighted, count }];
  },
});

/** The parameters at the start, the greatest distance from there, and the sum of squared norms. */
export type DogState = { readonly isInitStep: Tensor; readonly initParams: TensorTree; readonly maxDist: Tensor; readonly sumSqNormGrads: Tensor };
/** What the first step is: a distance, a learning rate, or a part of 1 plus the norm of the parameters. */
export type DogInitStep = readonly [kind: "distance" | "learning_rate" | "heuristic", value: number];
/** Updates times the greatest distance from the start over the root of the sum of squared norms (Ivgi et al. 2023). @throws PaxError `value` for another kind of first step */
export function scaleByDog([kind, value]: DogInitStep, { eps = 1e-8 }: { readonly eps?: number } = {}): GradientTransformation<DogState> {
  if (!["distance", "learning_rate", "heuristic"].includes(kind)) {
    throw opError("value", "scaleByDog", `the first step is a "distance", "learning_rate" or "heuristic", not ${String(kind)}`);
  }
  return {
    init(params) {
      const dtype = tree.dtype(params, "lowest");
      const first = kind === "distance" ? value : kind === "learning_rate" ? 0 : rows.mul(rows.add(tree.norm(params), 1), value);
      return { isInitStep: rows.full([], "bool", 1), initParams: params, maxDist: inDType(first, dtype), sumSqNormGrads: rows.full([], dtype, 0) };
    },
    update(updates, state, params) {
      const dist = tree.norm(tree.sub(state.initParams, needParams("scaleByDog", params)));
      const maxDist = inDType(rows.maximum(state.maxDist, dist), state.maxDist.dtype);
      const sumSqNormGrads = inDType(rows.add(state.sumSqNormGrads, tree.norm(updates, { squared: true })), state.sumSqNormGrads.dtype);
      const rate = rows.div(maxDist, rows.sqrt(rows.add(sumSqNormGrads, eps)));
      const step = kind === "learning_rate" ? rows.select(state.isInitStep, value, rate) : rate;
      return [tree.scale(step, updates), { isInitStep: rows.full([], "bool", 0), initParams: state.initParams, maxDist, sumSqNormGrads }];
    },
  };
}
type FreeDecay = { readonly weightDecay?: ScalarOrSchedule | null; readonly mask?: MaskOrFn | null };
const decayed = ({ weightDecay = null, mask }: FreeDecay) => (weightDecay === null ? identity() : addDecayedWeights(weightDecay, { mask }));
/** Distance over gradients: gradient descent without a learning rate to tune; test with an average of the parameters (Ivgi et al. 2023). */
export const dog = (learningRate: ScalarOrSchedule = 1, { initStep = ["heuristic", 1e-6], eps, ...decay }: FreeDecay & { readonly initStep?: DogInitStep; readonly eps?: number } = {}) =>
  chain(decayed(decay), scaleByDog(initStep, { eps }), scaleByLearningRate(learningRate));

/** The parameters at the start, the greatest squared distance from there, and the sum of squared norms weighted by it. */
export type DowgState = { readonly initParams: TensorTree; readonly weightedSqNormGrads: Tensor; readonly estimSqDist: Tensor };
/** What `scaleByDowg` may be told. */
export type DowgOptions = { readonly initEstimSqDist?: number; readonly eps?: number };
/** As `scaleByDog`, with gradients weighted by the distance so far (Khaled et al. 2023). */
export const scaleByDowg = ({ eps = 1e-4, initEstimSqDist = eps }: DowgOptions = {}): GradientTransformation<DowgState> => ({
  init(params) {
    const dtype = tree.dtype(params, "lowest");
    return { initParams: params, weightedSqNormGrads: rows.full([], dtype, 0), estimSqDist: inDType(initEstimSqDist, dtype) };
  },
  update(updates, state, params) {
    const dist = tree.norm(tree.sub(state.initParams, needParams("scaleByDowg", params)), { squared: true });
    const estimSqDist = inDType(rows.maximum(state.estimSqDist, dist), state.estimSqDist.dtype);
    const weighted = rows.add(rows.mul(estimSqDist, tree.norm(updates, { squared: true })), state.weightedSqNormGrads);
    const weightedSqNormGrads = inDType(weighted, state.weightedSqNormGrads.dtype);
    const step = rows.div(estimSqDist, rows.add(rows.sqrt(weightedSqNormGrads), eps));
    return [tree.scale(step, updates), { initParams: state.initParams, weightedSqNormGrads, estimSqDist }];
  },
});
/** Distance over weighted gradients (Khaled et al. 2023). */
export const dowg = (learningRate: ScalarOrSchedule = 1, { weightDecay, mask, ...options }: DowgOptions & FreeDecay = {}) =>
  chain(decayed({ weightDecay, mask }), scaleByDowg(options), scaleByLearningRate(learningRate));
