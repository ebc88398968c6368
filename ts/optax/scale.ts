/** Transformations that scale updates or add to them. */
import { inDType } from "../ops/dtypes.js";
import * as rows from "../ops/generated/rows.js";
import { castTo, wide } from "../ops/halves.js";
import { mean } from "../ops/reduce.js";
import * as random from "../random.js";
import type { Tensor, TensorLike } from "../tensor.js";
import type { TensorTree } from "../tree/index.js";
import { masked, type MaskedState } from "./combine.js";
import {
  at, counter, each, identity, isSchedule, needParams, negative, plus, realOf, safeIncrement, stateless, statelessWithTreeMap, sumOfSquares, times, withParams,
  type AnySchedule, type EmptyState, type GradientTransformation, type MaskOrFn, type ScalarOrSchedule,
} from "./transform.js";
import * as tree from "./tree.js";

/** Updates times `stepSize`. */
export const scale = (stepSize: TensorLike): GradientTransformation<EmptyState> => stateless((updates) => tree.scale(stepSize, updates));

/** The count of updates: int32. */
export type ScaleByScheduleState = { readonly count: Tensor };
/** Updates times the schedule's value at the count of updates before this one. */
export const scaleBySchedule = (stepSize: AnySchedule): GradientTransformation<ScaleByScheduleState> => ({
  init: () => ({ count: counter() }),
  update: (updates, { count }) => [tree.scale(stepSize(count), updates), { count: safeIncrement(count) }],
});

/** `learningRate` is that of the last update, before the first one that of count 0. */
export type LearningRateState = EmptyState | { readonly count: Tensor; readonly learningRate: Tensor };
/** Updates times the learning rate, and times -1 unless `flipSign` is false. A schedule's rate can be read in the state; `null` leaves updates as they are. */
export function scaleByLearningRate(learningRate: ScalarOrSchedule | null, { flipSign = true }: { readonly flipSign?: boolean } = {}): GradientTransformation<LearningRateState> {
  if (learningRate === null) return identity();
  if (!isSchedule(learningRate)) return scale(flipSign ? negative(learningRate) : learningRate);
  const rateAt = (count: Tensor): Tensor => inDType(learningRate(count), "float32");
  const transformation: GradientTransformation<{ readonly count: Tensor; readonly learningRate: Tensor }> = {
    init() {
      const count = counter();
      return { count, learningRate: rateAt(count) };
    },
    update(updates, { count }) {
      const rate = rateAt(count);
      return [tree.scale(flipSign ? rows.neg(rate) : rate, updates), { count: safeIncrement(count), learningRate: rate }];
    },
  };
  return transformation as GradientTransformation<LearningRateState>;
}

/** A count where the decay is a schedule, within `innerState` where there is a mask. */
export type WeightDecayState = EmptyState | ScaleByScheduleState | MaskedState<EmptyState | ScaleByScheduleState>;
/** Updates plus `weightDecay` times the parameters, where the mask is true. The decay may be a schedule. */
export function addDecayedWeights(weightDecay: ScalarOrSchedule = 0, { mask = null }: { readonly mask?: MaskOrFn | null } = {}): GradientTransformation<WeightDecayState> {
  const op = "addDecayedWeights";
  const scheduled: GradientTransformation<ScaleByScheduleState> = {
    init: () => ({ count: counter() }),
    update: (updates, { count }, params) => [tree.addScale(updates, at(weightDecay, count), needParams(op, params)), { count: safeIncrement(count) }],
  };
  const fixed = stateless((updates, params) => (weightDecay === 0 ? updates : tree.addScale(updates, weightDecay as TensorLike, needParams(op, params))));
  const inner = (isSchedule(weightDecay) ? scheduled : fixed) as GradientTransformation<EmptyState | ScaleByScheduleState>;
  return (mask === null ? inner : masked(inner, mask)) as GradientTransformation<WeightDecayState>;
}

/** The count of updates (int32), and the key of the next noise. */
export type AddNoiseState = { readonly count: Tensor; readonly rngKey: Tensor };
/** Updates plus normal noise of variance `eta / count ** gamma` (Neelakantan et al. 2015). `key` is a key or a seed. */
export const addNoise = (eta: TensorLike, gamma: TensorLike, key: Tensor | number): GradientTransformation<AddNoiseState> => ({
  init: () => ({ count: counter(), rngKey: typeof key === "number" ? random.key(key) : rows.copy(key) }),
  update(updates, state) {
    const count = safeIncrement(state.count);
    const deviation = rows.sqrt(rows.div(eta, rows.pow(rows.cast(count, realOf(updates), false), gamma)));
    const [rngKey, sample] = random.split(state.rngKey);
    return [tree.addScale(updates, deviation, tree.randomLike(sample!, updates)), { count, rngKey: rngKey! }];
  },
});

/** The norm, or `least` if it is below: with a derivative of 0 there, and not NaN. */
const safe = (square: Tensor, least: TensorLike): Tensor => {
  const small = rows.lessEqual(rows.sqrt(square), least);
  return rows.select(small, least, rows.sqrt(rows.select(small, 1, square)));
};
/** The Euclidean norm of all elements, at least `minNorm`. */
export const safeNorm = (x: Tensor, minNorm: TensorLike): Tensor => safe(sumOfSquares(x), minNorm);
/** The root of the mean of the squares of all elements, at least `minRms`. */
export const safeRootMeanSquares = (x: Tensor, minRms: TensorLike): Tensor => safe(mean(rows.square(wide(x))), minRms);

const byParams = (op: string, size: (p: Tensor, least: TensorLike) => Tensor) => (minScale: TensorLike = 1e-3): GradientTransformation<EmptyState> =>
  withParams(op, (g, p) => times(g, size(p, minScale)));
/** Each leaf of the updates times the norm of its parameters, which is taken as `minScale` at least. */
export const scaleByParamBlockNorm = /* @__PURE__ */ byParams("scaleByParamBlockNorm", safeNorm);
/** Each leaf of the updates times the root mean square of its parameters, which is taken as `minScale` at least. */
export const scaleByParamBlockRms = /* @__PURE__ */ byParams("scaleByParamBlockRms", safeRootMeanSquares);

/** What `scaleByTrustRatio` may be told. */
export type TrustRatioOptions = { readonly minNorm?: TensorLike; readonly trustCoefficient?: TensorLike; readonly eps?: TensorLike };
/** Each leaf of the updates times `trustCoefficient` and the norm of its parameters over its own; times 1 where either is 0 (You et al. 2020). */
export const scaleByTrustRatio = ({ minNorm = 0, trustCoefficient = 1, eps = 0 }: TrustRatioOptions = {}): GradientTransformation<EmptyState> =>
  withParams("scaleByTrustRatio", (g, p) => {
    const [ofParam, ofUpdate] = [safeNorm(p, minNorm), safeNorm(g, minNorm)];
    const ratio = rows.div(rows.mul(ofParam, trustCoefficient), rows.add(ofUpdate, eps));
    const none = rows.logicalOr(rows.equal(ofParam, 0), rows.equal(ofUpdate, 0));
    return times(g, rows.select(none, 1, ratio));
  });

/** The sign of each element. */
export const scaleBySign = (): GradientTransformation<EmptyState> => statelessWithTreeMap(rows.sign);
/** Leaves of two axes and more have the mean over all axes but the first taken off (Yong et al. 2020). */
export const centralize = (): GradientTransformation<EmptyState> => statelessWithTreeMap((g) =>
  (g.ndim < 2 ? g : rows.sub(g, mean(g, Array.from({ length: g.ndim - 1 }, (_, i) => i + 1), { keepdims: true }))));
/** Updates over their global norm plus `eps`, times `scaleFactor`. */
export const normalizeByUpdateNorm = ({ scaleFactor = 1, eps = 1e-6 }: { readonly scaleFactor?: TensorLike; readonly eps?: TensorLike } = {}): GradientTransformation<EmptyState> =>
  stateless((updates) => {
    const norm = rows.div(rows.add(tree.norm(updates), eps), scaleFactor);
    return each((g) => castTo(rows.div(wide(g), norm), g.dtype), updates);
  });

/** Whether no update came yet (bool), and the gradient before. */
export type OptimisticGradientState = { readonly isInitialStep: Tensor; readonly previousGradient: TensorTree };
/** `(alpha + beta) * g - beta * g'` with the gradient g' before; the first one counts as its own (Mokhtari et al. 2019). */
export const scaleByOptimisticGradient = ({ alpha = 1, beta = 1 }: { readonly alpha?: TensorLike; readonly beta?: TensorLike } = {}): GradientTransformation<OptimisticGradientState> => ({
  init: (params) => ({ isInitialStep: rows.full([], "bool", 1), previousGradient: tree.zerosLike(params) }),
  update(updates, state) {
    const both = plus(alpha, beta);
    const out = each((g, before) => rows.sub(times(g, both), times(rows.select(state.isInitialStep, g, before!), beta)), updates, state.previousGradient);
    return [out, { isInitialStep: rows.full([], "bool", 0), previousGradient: updates }];
  },
});
