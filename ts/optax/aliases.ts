/** The optimizers: chains of transformations, whose defaults hold unless others stand here. A learning rate is a number, a scalar tensor or a schedule. */
import { opError } from "../errors.js";
import * as rows from "../ops/generated/rows.js";
import type { DType, Tensor, TensorLike } from "../tensor.js";
import {
  scaleByAdam, scaleByAdamax, scaleByAdan, scaleByAmsgrad, scaleByBelief, scaleByNovograd, scaleByRadam, scaleByYogi,
  type AdamaxOptions, type AdamOptions, type AdanOptions, type AmsgradOptions, type BeliefOptions, type NovogradOptions, type RadamOptions, type YogiOptions,
} from "./adam.js";
import { scaleByAdadelta, scaleByFactoredRms, scaleByRms, scaleByRss, scaleBySm3, scaleByStddev, type FactoredOptions, type RmsOptions } from "./adaptive.js";
import { clipByBlockRms } from "./clipping.js";
import { chain, masked } from "./combine.js";
import { ema, scaleByLion, scaleByRprop, trace, type LionOptions, type RpropOptions } from "./momentum.js";
import {
  addDecayedWeights, addNoise, scale, scaleByLearningRate, scaleByOptimisticGradient, scaleByParamBlockRms, scaleBySign, scaleByTrustRatio,
  type TrustRatioOptions,
} from "./scale.js";
import {
  identity, isSchedule, known, minus, needExtra, negative, quotient,
  type AnyTransformation, type EmptyState, type GradientTransformation, type MaskOrFn, type ScalarOrSchedule,
} from "./transform.js";
import * as tree from "./tree.js";

/** The decay of weights is scaled by the learning rate, as in PyTorch; `mask` says which parameters have it. */
type Decay = { readonly weightDecay?: ScalarOrSchedule; readonly mask?: MaskOrFn | null };
type Momentum = { readonly momentum?: TensorLike | null; readonly nesterov?: boolean };

/** Stochastic gradient descent, with momentum if asked (Sutskever et al. 2013). */
export const sgd = (learningRate: ScalarOrSchedule, { momentum = null, nesterov, accumulatorDtype }: Momentum & { readonly accumulatorDtype?: DType } = {}) =>
  chain(momentum === null ? identity() : trace(momentum, { nesterov, accumulatorDtype }), scaleByLearningRate(learningRate));
/** Adam (Kingma and Ba 2014). */
export const adam = (learningRate: ScalarOrSchedule, options: AdamOptions = {}) => chain(scaleByAdam(options), scaleByLearningRate(learningRate));
/** Adam with Nesterov's momentum (Dozat 2016). */
export const nadam = (learningRate: ScalarOrSchedule, { nesterov = true, ...options }: AdamOptions = {}) => adam(learningRate, { nesterov, ...options });
/** Adam with weight decay that does not go through the moments (Loshchilov and Hutter 2019). */
export const adamw = (learningRate: ScalarOrSchedule, { weightDecay = 1e-4, mask, ...options }: AdamOptions & Decay = {}) =>
  chain(scaleByAdam(options), addDecayedWeights(weightDecay, { mask }), scaleByLearningRate(learningRate));
/** `adamw` with Nesterov's momentum. */
export const nadamw = (learningRate: ScalarOrSchedule, { nesterov = true, ...options }: AdamOptions & Decay = {}) => adamw(learningRate, { nesterov, ...options });
/** The sign of an average, with weight decay (Chen et al. 2023). */
export const lion = (learningRate: ScalarOrSchedule, { weightDecay = 1e-3, mask, ...options }: LionOptions & Decay = {}) =>
  chain(scaleByLion(options), addDecayedWeights(weightDecay, { mask }), scaleByLearningRate(learningRate));
/** Updates over the root of the average of their squares (Hinton 2012), centred as Graves (2013) does if asked. */
export const rmsprop = (
  learningRate: ScalarOrSchedule, { centered = false, momentum = null, nesterov, ...options }: RmsOptions & Momentum & { readonly centered?: boolean } = {},
) => chain(centered ? scaleByStddev(options) : scaleByRms(options), scaleByLearningRate(learningRate), momentum === null ? identity() : trace(momentum, { nesterov }));
/** Updates over the root of the sum of their squares (Duchi et al. 2011). */
export const adagrad = (learningRate: ScalarOrSchedule, options: { readonly initialAccumulatorValue?: TensorLike; readonly eps?: TensorLike } = {}) =>
  chain(scaleByRss(options), scaleByLearningRate(learningRate));
/** Adadelta (Zeiler 2012). */
export const adadelta = (
  learningRate: ScalarOrSchedule | null = null,
  { weightDecay, weightDecayMask, ...options }: { readonly rho?: TensorLike; readonly eps?: TensorLike; readonly weightDecay?: ScalarOrSchedule; readonly weightDecayMask?: MaskOrFn | null } = {},
) => chain(addDecayedWeights(weightDecay, { mask: weightDecayMask }), scaleByAdadelta(options), scaleByLearningRate(learningRate));
/** Adam with a decaying maximum in the place of the second moment (Kingma and Ba 2014). */
export const adamax = (learningRate: ScalarOrSchedule, options: AdamaxOptions = {}) => chain(scaleByAdamax(options), scaleByLearningRate(learningRate));
/** `adamax` with weight decay as `adamw`'s. */
export const adamaxw = (learningRate: ScalarOrSchedule, { weightDecay = 1e-4, mask, ...options }: AdamaxOptions & Decay = {}) =>
  chain(scaleByAdamax(options), addDecayedWeights(weightDecay, { mask }), scaleByLearningRate(learningRate));
/** Adam with the greatest second moment so far (Reddi et al. 2018). */
export const amsgrad = (learningRate: ScalarOrSchedule, options: AmsgradOptions = {}) => chain(scaleByAmsgrad(options), scaleByLearningRate(learningRate));
/** Adam whose early steps are rectified (Liu et al. 2020). */
export const radam = (learningRate: ScalarOrSchedule, options: RadamOptions = {}) => chain(scaleByRadam(options), scaleByLearningRate(learningRate));
/** A second moment per leaf (Ginsburg et al. 2019). */
export const novograd = (learningRate: ScalarOrSchedule, { eps = 1e-6, ...options }: NovogradOptions = {}) => chain(scaleByNovograd({ eps, ...options }), scaleByLearningRate(learningRate));
/** A second moment that cannot grow fast (Zaheer et al. 2018). */
export const yogi = (learningRate: ScalarOrSchedule, options: Pick<YogiOptions, "b1" | "b2" | "eps"> = {}) => chain(scaleByYogi(options), scaleByLearningRate(learningRate));
/** Steps by the belief in the gradient (Zhuang et al. 2020). */
export const adabelief = (learningRate: ScalarOrSchedule, options: BeliefOptions = {}) => chain(scaleByBelief(options), scaleByLearningRate(learningRate));
/** Adaptive Nesterov momentum (Xie et al. 2022). */
export const adan = (learningRate: ScalarOrSchedule, { weightDecay, mask, epsRoot = 1e-8, ...options }: AdanOptions & Decay = {}) =>
  chain(scaleByAdan({ epsRoot, ...options }), addDecayedWeights(weightDecay, { mask }), scaleByLearningRate(learningRate));
/** Adam with a trust ratio for each leaf, for large batches (You et al. 2020). */
export const lamb = (learningRate: ScalarOrSchedule, { weightDecay, mask, eps = 1e-6, ...options }: Pick<AdamOptions, "b1" | "b2" | "eps" | "epsRoot"> & Decay = {}) =>
  chain(scaleByAdam({ eps, ...options }), addDecayedWeights(weightDecay, { mask }), scaleByTrustRatio(), scaleByLearningRate(learningRate));
/** What `lars` may be told. */
export type LarsOptions = Pick<TrustRatioOptions, "trustCoefficient" | "eps"> & {
  readonly weightDecay?: ScalarOrSchedule; readonly weightDecayMask?: MaskOrFn; readonly trustRatioMask?: MaskOrFn;
  readonly momentum?: TensorLike; readonly nesterov?: boolean;
};
/** Momentum with a trust ratio for each leaf, for large batches (You et al. 2017). */
export const lars = (
  learningRate: ScalarOrSchedule,
  { weightDecay, weightDecayMask = true, trustCoefficient = 1e-3, eps, trustRatioMask = true, momentum = 0.9, nesterov }: LarsOptions = {},
) => chain(
  addDecayedWeights(weightDecay, { mask: weightDecayMask }), masked(scaleByTrustRatio({ trustCoefficient, eps }), trustRatioMask),
  scaleByLearningRate(learningRate), trace(momentum, { nesterov }),
);
/** Steps in proportion to each leaf's norm, which they do not let grow (Bernstein et al. 2020). */
export function fromage(learningRate: ScalarOrSchedule, { minNorm = 1e-6 }: { readonly minNorm?: TensorLike } = {}) {
  const root = known((rate) => Math.sqrt(1 + rate * rate), (rate: TensorLike) => rows.sqrt(rows.add(rows.square(rate), 1)));
  const by = (f: (rate: TensorLike) => TensorLike): ScalarOrSchedule => (isSchedule(learningRate) ? (count) => f(learningRate(count)) : f(learningRate));
  return chain(
    scaleByTrustRatio({ minNorm }), scaleByLearningRate(by((rate) => quotient(rate, root(rate)))), addDecayedWeights(by((rate) => minus(quotient(1, root(rate)), 1))),
  );
}
/** Squares are kept per row of each axis (Anil et al. 2019). */
export const sm3 = (learningRate: TensorLike, { momentum = 0.9 }: { readonly momentum?: TensorLike } = {}) => chain(scaleBySm3({ b1: momentum }), scale(negative(learningRate)));
/** The sign of the gradient (Bernstein et al. 2018). */
export const signSgd = (learningRate: ScalarOrSchedule) => chain(scaleBySign(), scaleByLearningRate(learningRate));
/** The sign of the gradient's average (Bernstein et al. 2018). */
export const signum = (learningRate: ScalarOrSchedule, { beta = 0.9, accumulatorDtype }: { readonly beta?: TensorLike; readonly accumulatorDtype?: DType } = {}) =>
  chain(ema(beta, { debias: false, accumulatorDtype }), scaleBySign(), scaleByLearningRate(learningRate));
/** Gradient descent with noise of variance `eta / count ** gamma` (Neelakantan et al. 2015). `key` is a key or a seed. */
export const noisySgd = (learningRate: ScalarOrSchedule, { eta = 0.01, gamma = 0.55, key = 0 }: { readonly eta?: TensorLike; readonly gamma?: TensorLike; readonly key?: Tensor | number } = {}) =>
  chain(addNoise(eta, gamma, key), scaleByLearningRate(learningRate));
/** Resilient propagation (Riedmiller and Braun 1993), for whole batches. */
export const rprop = (learningRate: TensorLike, options: RpropOptions = {}) => chain(scaleByRprop(learningRate, options), scale(-1));
/** Gradient descent that takes a look ahead from the gradient before, for games (Mokhtari et al. 2019). */
export const optimisticGradientDescent = (learningRate: ScalarOrSchedule, options: { readonly alpha?: TensorLike; readonly beta?: TensorLike } = {}) =>
  chain(scaleByOptimisticGradient(options), scaleByLearningRate(learningRate));
/** Adam with the look ahead of `optimisticGradientDescent` (Daskalakis et al. 2018). */
export const optimisticAdamV2 = (learningRate: ScalarOrSchedule, { alpha, beta, nesterov = true, ...options }: AdamOptions & { readonly alpha?: TensorLike; readonly beta?: TensorLike } = {}) =>
  chain(scaleByAdam({ nesterov, ...options }), scaleByOptimisticGradient({ alpha, beta }), scaleByLearningRate(learningRate));

/** What `adafactor` may be told. */
export type AdafactorOptions = Pick<FactoredOptions, "factored" | "decayRate" | "minDimSizeToFactor"> & {
  readonly decayOffset?: number; readonly eps?: TensorLike;
  /** Updates are scaled by the root mean square of their parameters. */
  readonly multiplyByParameterScale?: boolean;
  /** The greatest root mean square of a leaf's updates; null for none. */
  readonly clippingThreshold?: TensorLike | null;
  readonly momentum?: TensorLike | null; readonly dtypeMomentum?: DType;
  readonly weightDecayRate?: ScalarOrSchedule | null; readonly weightDecayMask?: MaskOrFn | null;
};
/** Adam with squares kept per row and column, and little other memory (Shazeer and Stern 2018). Decay of weights is not scaled by the learning rate. */
export function adafactor(learningRate: ScalarOrSchedule | null = null, {
  decayOffset: stepOffset, eps: epsilon, multiplyByParameterScale = true, clippingThreshold = 1, momentum = null, dtypeMomentum = "float32",
  weightDecayRate = null, weightDecayMask, ...options
}: AdafactorOptions = {}): GradientTransformation {
  const parts: AnyTransformation[] = [scaleByFactoredRms({ ...options, stepOffset, epsilon })];
  if (clippingThreshold !== null) parts.push(clipByBlockRms(clippingThreshold));
  if (learningRate !== null) parts.push(scaleByLearningRate(learningRate, { flipSign: false }));
  if (multiplyByParameterScale) parts.push(scaleByParamBlockRms());
  if (momentum !== null) parts.push(ema(momentum, { debias: false, accumulatorDtype: dtypeMomentum }));
  if (weightDecayRate !== null) parts.push(addDecayedWeights(weightDecayRate, { mask: weightDecayMask }));
  return chain(...parts, scale(-1)) as GradientTransformation;
}

/** What `scaleByPolyak` may be told; `fMin` is the least value of the loss. */
export type PolyakOptions = { readonly fMin?: TensorLike; readonly maxLearningRate?: TensorLike; readonly eps?: TensorLike; readonly variant?: "sps" | "sps+" };
/**
 * Updates times `(value - fMin) / (norm ** 2 + eps)`, at most `maxLearningRate`; `value` is the loss, an extra argument. "sps+" never steps back.
 * @throws PaxError `value` for another `variant`, or an update without `value`
 */
export function scaleByPolyak({ fMin = 0, maxLearningRate = 1, eps = 0, variant = "sps" }: PolyakOptions = {}): GradientTransformation<EmptyState> {
  if (variant !== "sps" && variant !== "sps+") throw opError("value", "scaleByPolyak", `variant is "sps" or "sps+", not ${String(variant)}`);
  return {
    init: () => [],
    update(updates, state, _params, extra) {
      const square = rows.add(tree.norm(updates, { squared: true }), eps);
      const step = rows.div(minus(needExtra("scaleByPolyak", extra, "value"), fMin), square);
      const most = rows.minimum(variant === "sps+" ? rows.relu(step) : step, maxLearningRate);
      return [tree.scale(rows.select(rows.lessEqual(square, 2 ** -52), 0, most), updates), state];
    },
  };
}
/** Gradient descent whose step comes from the value of the loss (Loizou et al. 2021): `update(grads, state, params, { value })`. */
export const polyakSgd = (maxLearningRate: TensorLike = 1, { scaling = 1, ...options }: Omit<PolyakOptions, "maxLearningRate"> & { readonly scaling?: ScalarOrSchedule } = {}) =>
  chain(sgd(scaling), scaleByPolyak({ maxLearningRate, ...options }));
