/** Gradient transformations, optimizers, schedules and losses: optax's, in camelCase. */
export * from "./accumulate.js";
export type {
  AdamOptions, AdamaxOptions, AdanOptions, AmsgradOptions, BeliefOptions, NovogradOptions, RadamOptions, ScaleByAdamState, ScaleByAdanState, ScaleByAmsgradState, YogiOptions,
} from "./adam.js";
export {
  scaleByAdam, scaleByAdamax, scaleByAdan, scaleByAmsgrad, scaleByBelief, scaleByNovograd, scaleByRadam, scaleByYogi,
} from "./adam.js";
export * from "./adaptive.js";
export * from "./aliases.js";
export * from "./clipping.js";
export * from "./combine.js";
export * from "./conditional.js";
export * from "./inject.js";
export * from "./lbfgs.js";
export * from "./losses.js";
export * from "./momentum.js";
export * from "./scale.js";
export * from "./update.js";
export {
  identity, safeIncrement, setToZero, stateless, statelessWithTreeMap,
  type AnySchedule, type AnyTransformation, type EmptyState, type ExtraArgs, type GradientTransformation, type MaskOrFn, type ScalarOrSchedule, type Schedule, type StateOf,
} from "./transform.js";
export {
  constantSchedule, cosineDecaySchedule, cosineOnecycleSchedule, exponentialDecay, joinSchedules, linearOnecycleSchedule, linearSchedule,
  piecewiseConstantSchedule, piecewiseInterpolateSchedule, polynomialSchedule, sgdrSchedule, warmupConstantSchedule, warmupCosineDecaySchedule,
  warmupExponentialDecaySchedule,
} from "./schedules.js";
export { globalNorm } from "./tree.js";
export * as contrib from "./contrib/index.js";
export * as losses from "./losses.js";
export * as schedules from "./schedules.js";
export * as tree from "./tree.js";
