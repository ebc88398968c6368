/** Momentum: averages of updates, and what is made of one average alone. */
import { opError } from "../errors.js";
import { inDType } from "../ops/dtypes.js";
import * as rows from "../ops/generated/rows.js";
import type { DType, Tensor, TensorLike } from "../tensor.js";
import type { TensorTree } from "../tree/index.js";
import { counted } from "./adam.js";
import { each, like, swept, times, type GradientTransformation } from "./transform.js";
import * as tree from "./tree.js";

/** The dtype of an average in the state; without it the parameters'. */
type Accumulator = { readonly accumulatorDtype?: DType };

/** The momentum. */
export type TraceState = { readonly trace: TensorTree };
/** `t = g + decay * t`, and with Nesterov's look ahead `g + decay * t` of the new t (Sutskever et al. 2013). */
export const trace = (decay: TensorLike, { nesterov = false, accumulatorDtype }: Accumulator & { readonly nesterov?: boolean } = {}): GradientTransformation<TraceState> => swept({
  init: (params) => ({ trace: tree.zerosLike(params, { dtype: accumulatorDtype }) }),
  update(updates, state) {
    const push = (old: unknown): typeof updates => each((g, t) => rows.add(g, times(t!, decay)), updates, old);
    const next = push(state.trace);
    return [nesterov ? push(next) : next, { trace: tree.castLike(next, state.trace) }];
  },
});

/** The count of updates (int32) and their average. */
export type EmaState = { readonly count: Tensor; readonly ema: TensorTree };
/** The exponential moving average of the updates, without its bias to 0 if `debias`. */
export const ema = (decay: TensorLike, { debias = true, accumulatorDtype }: Accumulator & { readonly debias?: boolean } = {}): GradientTransformation<EmaState> =>
  counted((params) => ({ ema: tree.zerosLike(params, { dtype: accumulatorDtype }) }), (updates, state, count) => {
    const ema = tree.updateMoment(updates, state.ema, decay, 1);
    return [debias ? tree.biasCorrection(ema, decay, count) : ema, { ema }];
  });

/** The count of updates (int32) and their average. */
export type ScaleByLionState = { readonly count: Tensor; readonly mu: TensorTree };
/** What `scaleByLion` may be told. */
export type LionOptions = {
  readonly b1?: TensorLike; readonly b2?: TensorLike; readonly muDtype?: DType;
  /** What is taken of the average: its sign, `tanh(smoothBeta * x)`, or the sign only beyond 1. */
  readonly mode?: "hard" | "smooth" | "refined"; readonly smoothBeta?: number;
};
/** The sign of an average with rate `b1` of the gradient and an average with rate `b2` (Chen et al. 2023). @throws PaxError `value` for another `mode` */
export function scaleByLion({ b1 = 0.9, b2 = 0.99, muDtype, mode = "hard", smoothBeta = 1 }: LionOptions = {}): GradientTransformation<ScaleByLionState> {
  const modes = {
    hard: rows.sign,
    smooth: (x: Tensor): Tensor => rows.tanh(rows.mul(x, smoothBeta)),
    refined: (x: Tensor): Tensor => rows.select(rows.less(rows.abs(x), 1), x, rows.sign(x)),
  };
  const shape = modes[mode];
  if (shape === undefined) throw opError("value", "scaleByLion", `mode is "hard", "smooth" or "refined", not ${String(mode)}`);
  return counted(
    (params) => ({ mu: tree.zerosLike(params, { dtype: muDtype }) }),
    (updates, { mu }) => [each(shape, tree.updateMoment(updates, mu, b1, 1)), { mu: tree.updateMoment(updates, mu, b2, 1) }],
  );
}

/** The size of each element's step, and the last step. */
export type ScaleByRpropState = { readonly stepSizes: TensorTree; readonly prevUpdates: TensorTree };
/** What `scaleByRprop` may be told. */
export type RpropOptions = { readonly etaMinus?: TensorLike; readonly etaPlus?: TensorLike; readonly minStepSize?: TensorLike; readonly maxStepSize?: TensorLike };
/**
 * Resilient propagation: only signs count; a step grows while its sign stays and shrinks where it turns (Riedmiller and Braun 1993).
 * As in optax, each update is the step that the gradient before called for, so the first one is 0.
 */
export const scaleByRprop = (learningRate: TensorLike, { etaMinus = 0.5, etaPlus = 1.2, minStepSize = 1e-6, maxStepSize = 50 }: RpropOptions = {}): GradientTransformation<ScaleByRpropState> => swept({
  init: (params) => ({ stepSizes: tree.fullLike(params, learningRate), prevUpdates: tree.zerosLike(params) }),
  update(updates, state) {
    const turn = each((g, before) => rows.mul(g, before!), updates, state.prevUpdates);
    const stepSizes = each((s, size) => {
      const changed = rows.mul(size!, rows.select(rows.greater(s, 0), inDType(etaPlus, s.dtype), inDType(etaMinus, s.dtype)));
      return rows.select(rows.equal(s, 0), size!, rows.clamp(changed, like(minStepSize, s), like(maxStepSize, s)));
    }, turn, state.stepSizes);
    const step = each((s, g, size) => rows.select(rows.less(s, 0), 0, rows.mul(size!, rows.sign(g!))), turn, updates, stepSizes);
    const out = each((s, before) => rows.select(rows.less(s, 0), 0, before!), turn, state.prevUpdates);
    return [out, { stepSizes, prevUpdates: step }];
  },
});
