/** AdEMAMix: Adam with a second, slower average. */
import type { DType, Tensor, TensorLike } from "../../tensor.js";
import type { TensorTree } from "../../tree/index.js";
import { rooted } from "../adam.js";
import { chain } from "../combine.js";
import { addDecayedWeights, scaleByLearningRate } from "../scale.js";
import { at, counter, safeIncrement, type GradientTransformation, type MaskOrFn, type ScalarOrSchedule } from "../transform.js";
import * as tree from "../tree.js";

type Decay = { readonly weightDecay?: ScalarOrSchedule; readonly mask?: MaskOrFn | null };
const decayed = ({ weightDecay, mask }: Decay, learningRate: ScalarOrSchedule) =>
  [addDecayedWeights(weightDecay, { mask }), scaleByLearningRate(learningRate)] as const;

/** Counts of steps (int32), the fast and the slow average of updates, and that of their squares. */
export type ScaleByAdemamixState = { readonly count: Tensor; readonly countM2: Tensor; readonly m1: TensorTree; readonly m2: TensorTree; readonly nu: TensorTree };
/** Rates and constants of `scaleByAdemamix`. */
export type AdemamixOptions = {
  readonly b1?: TensorLike; readonly b2?: TensorLike; readonly eps?: TensorLike; readonly epsRoot?: TensorLike; readonly muDtype?: DType;
  /** The rate of the slow average, and its weight. */
  readonly b3?: ScalarOrSchedule; readonly alpha?: ScalarOrSchedule;
};
/** `(m1 + alpha * m2) / sqrt(nu)` with a fast average m1 and a slow one m2, of which only the fast one has its bias corrected (Pagliardini et al. 2024). */
export const scaleByAdemamix = (
  { b1 = 0.9, b2 = 0.999, b3 = 0.9999, alpha = 6, eps = 1e-8, epsRoot = 0, muDtype }: AdemamixOptions = {},
): GradientTransformation<ScaleByAdemamixState> => {
  const zeros = <P>(params: P): P => tree.zerosLike(params, { dtype: muDtype });
  return {
    init: (params) => ({ count: counter(), countM2: counter(), m1: zeros(params), m2: zeros(params), nu: zeros(params) }),
    update(updates, state) {
      const m1 = tree.updateMoment(updates, state.m1, b1, 1);
      const m2 = tree.updateMoment(updates, state.m2, at(b3, state.countM2), 1);
      const nu = tree.updateMoment(updates, state.nu, b2, 2);
      const count = safeIncrement(state.count);
      const out = rooted(tree.addScale(tree.biasCorrection(m1, b1, count), at(alpha, state.countM2), m2), tree.biasCorrection(nu, b2, count), eps, epsRoot);
      const next = { m1: tree.castLike(m1, state.m1), m2: tree.castLike(m2, state.m2), nu: tree.castLike(nu, state.nu) };
      return [out, { count, countM2: safeIncrement(state.countM2), ...next }];
    },
  };
};
/** AdEMAMix with weight decay (Pagliardini et al. 2024). */
export const ademamix = (learningRate: ScalarOrSchedule, { alpha = 5, weightDecay, mask, ...options }: AdemamixOptions & Decay = {}) =>
  chain(scaleByAdemamix({ alpha, ...options }), ...decayed({ weightDecay, mask }, learningRate));

/** The count of steps (t, int32), the sum of updates (m) and the average of their squares (n). */
export type ScaleBySimplifiedAdemamixState = { readonly t: Tensor; readonly m: TensorTree; readonly n: TensorTree };
/** Rates and constants of `scaleBySimplifiedAdemamix`. */
export type SimplifiedAdemamixOptions = { readonly b1?: TensorLike; readonly b2?: TensorLike; readonly alpha?: ScalarOrSchedule; readonly eps?: TensorLike; readonly epsRoot?: TensorLike };
/** One sum of gradients in the place of the two averages (Morwani et al. 2025). */
export const scaleBySimplifiedAdemamix = (
  { b1 = 0.99, b2 = 0.95, alpha = 0, eps = 1e-8, epsRoot = 0 }: SimplifiedAdemamixOptions = {},
): GradientTransformation<ScaleBySimplifiedAdemamixState> => ({
  init: (params) => ({ t: counter(), m: tree.zerosLike(params), n: tree.zerosLike(params) }),
  update(updates, state) {
    const m = tree.addScale(updates, b1, state.m);
    const n = tree.updateMoment(updates, state.n, b2, 2);
    const t = safeIncrement(state.t);
    return [rooted(tree.addScale(m, at(alpha, state.t), updates), tree.biasCorrection(n, b2, t), eps, epsRoot), { t, m, n }];
  },
});
/** Simplified AdEMAMix with weight decay (Morwani et al. 2025). */
export const simplifiedAdemamix = (learningRate: ScalarOrSchedule, { weightDecay, mask, ...options }: SimplifiedAdemamixOptions & Decay = {}) =>
  chain(scaleBySimplifiedAdemamix(options), ...decayed({ weightDecay, mask }, learningRate));
