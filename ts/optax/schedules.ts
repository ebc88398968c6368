/** Schedules: functions of the count of steps, which begins at 0. They give float32 scalars and read no value, so they run under `jit`. */
import { opError } from "../errors.js";
import * as rows from "../ops/generated/rows.js";
import { asTensor, type Tensor, type TensorLike } from "../tensor.js";
import type { AnySchedule, Schedule } from "./transform.js";

const float = (count: TensorLike): Tensor => rows.cast(count, "float32", false);
const positive = (op: string, name: string, value: number): void => {
  if (!(value > 0)) throw opError("value", op, `${name} is ${value}, it must be positive`);
};

/** The same value at every count. */
export const constantSchedule = (value: TensorLike): Schedule => () => float(value);

type Begin = { readonly transitionBegin?: number };
/** From `initValue` to `endValue` in `transitionSteps`, as `(1 - t) ** power`; constant if there are no steps. */
export function polynomialSchedule(initValue: number, endValue: number, power: number, transitionSteps: number, { transitionBegin = 0 }: Begin = {}): Schedule {
  if (transitionSteps <= 0) return constantSchedule(initValue);
  const begin = Math.max(transitionBegin, 0);
  return (count) => {
    const t = float(count);
    const passed = rows.clamp(begin === 0 ? t : rows.sub(t, begin), 0, transitionSteps);
    const left = rows.sub(1, rows.div(passed, transitionSteps));
    return rows.add(rows.mul(power === 1 ? left : rows.pow(left, power), initValue - endValue), endValue);
  };
}
/** A straight line from `initValue` to `endValue` in `transitionSteps`. */
export const linearSchedule = (initValue: number, endValue: number, transitionSteps: number, options: Begin = {}): Schedule =>
  polynomialSchedule(initValue, endValue, 1, transitionSteps, options);

/** What `exponentialDecay` may be told. */
export type ExponentialDecayOptions = Begin & { readonly staircase?: boolean; readonly endValue?: number };
/** `initValue * decayRate ** (count / transitionSteps)`, in whole steps if `staircase`, no further than `endValue`. */
export function exponentialDecay(
  initValue: number, transitionSteps: number, decayRate: number, { transitionBegin = 0, staircase = false, endValue }: ExponentialDecayOptions = {},
): Schedule {
  if (transitionSteps <= 0 || decayRate === 0) return constantSchedule(initValue);
  const begin = Math.max(transitionBegin, 0);
  return (count) => {
    const t = float(count);
    const passed = begin === 0 ? t : rows.sub(t, begin);
    const p = rows.div(passed, transitionSteps);
    const decayed = rows.select(rows.lessEqual(passed, 0), initValue, rows.mul(rows.pow(decayRate, staircase ? rows.floor(p) : p), initValue));
    if (endValue === undefined) return decayed;
    return decayRate < 1 ? rows.maximum(decayed, endValue) : rows.minimum(decayed, endValue);
  };
}

/** What `cosineDecaySchedule` may be told. */
export type CosineDecayOptions = { readonly alpha?: number; readonly exponent?: number };
/**
 * Half a cosine from `initValue` to `alpha * initValue` in `decaySteps` (Loshchilov and Hutter 2017).
 * @throws PaxError `value` if there are no steps
 */
export function cosineDecaySchedule(initValue: number, decaySteps: number, { alpha = 0, exponent = 1 }: CosineDecayOptions = {}): Schedule {
  positive("cosineDecaySchedule", "decaySteps", decaySteps);
  return (count) => {
    const angle = rows.div(rows.mul(rows.minimum(float(count), decaySteps), Math.PI), decaySteps);
    const cosine = rows.mul(rows.add(rows.cos(angle), 1), 0.5);
    return rows.mul(rows.add(rows.mul(exponent === 1 ? cosine : rows.pow(cosine, exponent), 1 - alpha), alpha), initValue);
  };
}

/** Boundaries and the factors that hold from there on, as `{ 1000: 0.1, 2000: 0.5 }`. */
export type BoundariesAndScales = { readonly [boundary: number]: number };
function pieces(op: string, boundariesAndScales: BoundariesAndScales): [boundary: number, factor: number][] {
  const found = Object.entries(boundariesAndScales).map(([boundary, factor]): [number, number] => [Number(boundary), factor]);
  for (const [boundary, factor] of found) {
    if (!Number.isFinite(boundary)) throw opError("value", op, `a boundary is a number of steps, not ${boundary}`);
    if (!(factor >= 0)) throw opError("value", op, `the factor at ${boundary} is ${factor}, it must not be negative`);
  }
  return found.sort(([a], [b]) => a - b);
}
/** `initValue`, times each factor whose boundary has been reached. @throws PaxError `value` for a negative factor */
export function piecewiseConstantSchedule(initValue: number, boundariesAndScales: BoundariesAndScales = {}): Schedule {
  const found = pieces("piecewiseConstantSchedule", boundariesAndScales);
  return (count) => {
    const t = float(count);
    let product = initValue;
    let value = float(initValue);
    for (const [boundary, factor] of found) {
      product *= factor;
      value = rows.select(rows.less(t, boundary), value, product);
    }
    return value;
  };
}
/**
 * As `piecewiseConstantSchedule`, but between boundaries the value moves on a line or on half a cosine.
 * @throws PaxError `value` for another `interpolateType` or a negative factor
 */
export function piecewiseInterpolateSchedule(interpolateType: "linear" | "cosine", initValue: number, boundariesAndScales: BoundariesAndScales = {}): Schedule {
  const op = "piecewiseInterpolateSchedule";
  if (interpolateType !== "linear" && interpolateType !== "cosine") {
    throw opError("value", op, `interpolateType is "linear" or "cosine", not ${String(interpolateType)}`);
  }
  const found = pieces(op, boundariesAndScales);
  return (count) => {
    const t = float(count);
    let [start, from] = [0, initValue];
    const parts: { readonly end: number; readonly value: Tensor }[] = [];
    for (const [end, factor] of found) {
      const to = from * factor;
      const part = rows.div(rows.sub(t, start), Math.max(end - start, 1));
      const value = interpolateType === "linear" ? rows.add(rows.mul(part, to - from), from)
        : rows.add(rows.mul(rows.add(rows.cos(rows.mul(part, Math.PI)), 1), (from - to) / 2), to);
      parts.push({ end, value });
      [start, from] = [end, to];
    }
    return parts.reduceRight((after, { end, value }) => rows.select(rows.less(t, end), value, after), float(from));
  };
}

/** What `cosineOnecycleSchedule` may be told. */
export type OnecycleOptions = { readonly pctStart?: number; readonly divFactor?: number; readonly finalDivFactor?: number };
/**
 * Up to `peakValue` for the part `pctStart`, down to where it began until `pctFinal`, then to `1 / finalDivFactor` of it: straight lines (Smith and Topin 2018).
 * @throws PaxError `value` if there are no steps
 */
export function linearOnecycleSchedule(
  transitionSteps: number, peakValue: number, { pctStart = 0.3, pctFinal = 0.85, divFactor = 25, finalDivFactor = 1e4 }: OnecycleOptions & { readonly pctFinal?: number } = {},
): Schedule {
  positive("linearOnecycleSchedule", "transitionSteps", transitionSteps);
  return piecewiseInterpolateSchedule("linear", peakValue / divFactor, {
    [Math.trunc(pctStart * transitionSteps)]: divFactor, [Math.trunc(pctFinal * transitionSteps)]: 1 / divFactor, [transitionSteps]: 1 / finalDivFactor,
  });
}
/**
 * Half a cosine from `peakValue / divFactor` up to `peakValue` for the part `pctStart`, then half a cosine down by `divFactor * finalDivFactor`.
 * @throws PaxError `value` if there are no steps
 */
export function cosineOnecycleSchedule(
  transitionSteps: number, peakValue: number, { pctStart = 0.3, divFactor = 25, finalDivFactor = 1e4 }: OnecycleOptions = {},
): Schedule {
  positive("cosineOnecycleSchedule", "transitionSteps", transitionSteps);
  return piecewiseInterpolateSchedule("cosine", peakValue / divFactor, {
    [Math.trunc(pctStart * transitionSteps)]: divFactor, [Math.trunc(transitionSteps)]: 1 / (divFactor * finalDivFactor),
  });
}

/** Each schedule from its boundary on, with the counts beginning there anew; the first from 0. @throws PaxError `value` if their numbers do not fit */
export function joinSchedules(schedules: readonly AnySchedule[], boundaries: readonly number[]): Schedule {
  const [first, ...rest] = schedules;
  if (first === undefined || rest.length !== boundaries.length) {
    throw opError("value", "joinSchedules", `${schedules.length} schedules and ${boundaries.length} boundaries: there is one boundary less than schedules`);
  }
  const whole = boundaries.every((b) => Number.isInteger(b));
  return (count) => {
    const t = whole ? asTensor(count) : float(count);
    return rest.reduce((value, schedule, i) => rows.select(rows.less(t, boundaries[i]!), value, schedule(rows.sub(t, boundaries[i]!))), float(first(t)));
  };
}

/** A line from `initValue` to `peakValue` in `warmupSteps`, then constant. */
export const warmupConstantSchedule = (initValue: number, peakValue: number, warmupSteps: number): Schedule =>
  linearSchedule(initValue, peakValue, warmupSteps);

/** What `warmupCosineDecaySchedule` may be told. */
export type WarmupCosineDecayOptions = { readonly endValue?: number; readonly exponent?: number };
/** A line from `initValue` to `peakValue`, then half a cosine to `endValue`; `decaySteps` counts the warm-up too. */
export function warmupCosineDecaySchedule(
  initValue: number, peakValue: number, warmupSteps: number, decaySteps: number, { endValue = 0, exponent = 1 }: WarmupCosineDecayOptions = {},
): Schedule {
  const alpha = peakValue === 0 ? 0 : endValue / peakValue;
  return joinSchedules([linearSchedule(initValue, peakValue, warmupSteps), cosineDecaySchedule(peakValue, decaySteps - warmupSteps, { alpha, exponent })], [warmupSteps]);
}
/** A line from `initValue` to `peakValue`, then `exponentialDecay`. */
export const warmupExponentialDecaySchedule = (
  initValue: number, peakValue: number, warmupSteps: number, transitionSteps: number, decayRate: number, options: ExponentialDecayOptions = {},
): Schedule => joinSchedules([linearSchedule(initValue, peakValue, warmupSteps), exponentialDecay(peakValue, transitionSteps, decayRate, options)], [warmupSteps]);

/** One warm-up and decay of `sgdrSchedule`. */
export type SgdrCycle = WarmupCosineDecayOptions & {
  readonly initValue: number; readonly peakValue: number; readonly warmupSteps: number; readonly decaySteps: number;
};
/** `warmupCosineDecaySchedule` again and again: stochastic gradient descent with warm restarts (Loshchilov and Hutter 2017). */
export function sgdrSchedule(cycles: readonly SgdrCycle[]): Schedule {
  const ends: number[] = [];
  for (const { decaySteps } of cycles) ends.push((ends.at(-1) ?? 0) + decaySteps);
  return joinSchedules(
    cycles.map(({ initValue, peakValue, warmupSteps, decaySteps, ...rest }) => warmupCosineDecaySchedule(initValue, peakValue, warmupSteps, decaySteps, rest)),
    ends.slice(0, -1),
  );
}

export {
  constantSchedule as constant, polynomialSchedule as polynomial, linearSchedule as linear, cosineDecaySchedule as cosineDecay,
  piecewiseConstantSchedule as piecewiseConstant, piecewiseInterpolateSchedule as piecewiseInterpolate,
  linearOnecycleSchedule as linearOnecycle, cosineOnecycleSchedule as cosineOnecycle, cosineOnecycleSchedule as onecycle,
  warmupConstantSchedule as warmupConstant, warmupCosineDecaySchedule as warmupCosineDecay,
  warmupExponentialDecaySchedule as warmupExponentialDecay, sgdrSchedule as sgdr,
};
