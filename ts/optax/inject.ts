/** Hyperparameters in the state, where they can be read and changed. */
import { PaxError } from "../errors.js";
import * as rows from "../ops/generated/rows.js";
import { Tensor, type DType, type TensorLike } from "../tensor.js";
import type { TensorTree } from "../tree/index.js";
import { isPlainObject } from "../tree/statics.js";
import { castTo, counter, isSchedule, safeIncrement, type AnySchedule, type ExtraArgs, type GradientTransformation } from "./transform.js";
import { dtype as dtypeOf } from "./tree.js";

/** A schedule with a state of its own, which may depend on the extra arguments of the update. */
export interface StatefulSchedule<S extends TensorTree = TensorTree> {
  init(): S;
  update(state: S, extra: ExtraArgs): S;
  /** The hyperparameter, a scalar. */
  value(state: S, extra: ExtraArgs): TensorLike;
}
const isStateful = (x: unknown): x is StatefulSchedule => typeof x === "object" && x !== null && "init" in x && "update" in x && "value" in x;
/** A schedule by the count of updates. */
const wrapped = (schedule: AnySchedule): StatefulSchedule<{ readonly count: Tensor }> => ({
  init: () => ({ count: counter() }),
  update: ({ count }) => ({ count: safeIncrement(count) }),
  value: ({ count }) => schedule(count),
});

export type InjectHyperparamsState<S> = {
  readonly count: Tensor;
  /** The values of the last update, before the first one those that it will have. A value that is no schedule's may be set: the next update takes it. */
  readonly hyperparams: { [name: string]: Tensor };
  readonly hyperparamsStates: { readonly [name: string]: TensorTree };
  readonly innerState: S;
};
type Injected<T> = [TensorLike] extends [T] ? T | AnySchedule | StatefulSchedule : T extends Tensor | ((...args: never[]) => unknown) | null | undefined ? T : T extends object ? { readonly [K in keyof T]: Injected<T[K]> } : T;
export type InjectedArgs<A extends readonly unknown[]> = { [K in keyof A]: Injected<A[K]> };
export type InjectOptions = {
  /** Names that are not hyperparameters: masks that are functions, and numbers of which shapes depend. */
  readonly staticArgs?: readonly string[];
  /** The dtype of the hyperparameters; without it the widest of the parameters'. */
  readonly hyperparamDtype?: DType;
  /** The names of the factory's arguments that stand before its options. */
  readonly argNames?: readonly string[];
};

/**
 * The factory of a transformation whose numbers live in its state: `injectHyperparams(adamw)(schedule, { weightDecay: 1e-4 })` has
 * `state.hyperparams.learningRate` and `.weightDecay`. Numbers, tensors and schedules are hyperparameters, booleans and all else are not.
 * Options that are not given keep their defaults and do not show.
 * @throws PaxError `value` if a function does not give a scalar
 */
export function injectHyperparams<A extends readonly unknown[], S>(
  innerFactory: (...args: A) => GradientTransformation<S>, { staticArgs = [], hyperparamDtype, argNames = ["learningRate"] }: InjectOptions = {},
): (...args: InjectedArgs<A>) => GradientTransformation<InjectHyperparamsState<S>> {
  return (...args) => {
    const schedules = new Map<string, StatefulSchedule>();
    const numbers = new Map<string, number | Tensor>();
    const note = (name: string, value: unknown): void => {
      if (staticArgs.includes(name)) return;
      if (isSchedule(value)) schedules.set(name, wrapped(value) as StatefulSchedule);
      else if (isStateful(value)) schedules.set(name, value);
      else if (typeof value === "number" || value instanceof Tensor) numbers.set(name, value);
    };
    const nameOf = (i: number): string => argNames[i] ?? `argument${i}`;
    const isOptions = (i: number, value: unknown): value is Record<string, unknown> =>
      !staticArgs.includes(nameOf(i)) && typeof value === "object" && value !== null && isPlainObject(value) && !isStateful(value);
    const given: readonly unknown[] = args;
    given.forEach((arg, i) => {
      if (isOptions(i, arg)) for (const name of Object.keys(arg)) note(name, arg[name]);
      else note(nameOf(i), arg);
    });
    const inner = (hyperparams: { readonly [name: string]: Tensor }): GradientTransformation<S> => innerFactory(...(given.map((arg, i) => {
      if (!isOptions(i, arg)) return hyperparams[nameOf(i)] ?? arg;
      return Object.fromEntries(Object.keys(arg).map((name) => [name, hyperparams[name] ?? arg[name]]));
    }) as unknown as A));
    const scheduled = (states: { readonly [name: string]: TensorTree }, extra: ExtraArgs, dtypeOf: (name: string) => DType): { [name: string]: Tensor } =>
      Object.fromEntries([...schedules].map(([name, schedule]) => {
        const value: unknown = schedule.value(states[name]!, extra);
        if (typeof value === "number" || (value instanceof Tensor && value.ndim === 0)) return [name, rows.cast(value, dtypeOf(name), false)];
        throw new PaxError("value", `injectHyperparams: \`${name}\` is a function and so a schedule, but it did not give a scalar: put it into staticArgs if it is none`, { op: "injectHyperparams", path: name });
      }));
    return {
      init(params) {
        const dtype = hyperparamDtype ?? dtypeOf(params);
        const hyperparamsStates = Object.fromEntries([...schedules].map(([name, schedule]) => [name, schedule.init()]));
        const fixed = Object.fromEntries([...numbers].map(([name, x]) => [name, typeof x === "number" || x.weak ? rows.cast(x, dtype, false) : x]));
        const hyperparams = { ...fixed, ...scheduled(hyperparamsStates, {}, () => dtype) };
        return { count: counter(), hyperparams, hyperparamsStates, innerState: inner(hyperparams).init(params) };
      },
      update(updates, state, params, extra = {}) {
        const hyperparams = { ...state.hyperparams, ...scheduled(state.hyperparamsStates, extra, (name) => state.hyperparams[name]!.dtype) };
        const hyperparamsStates = Object.fromEntries([...schedules].map(([name, schedule]) => [name, schedule.update(state.hyperparamsStates[name]!, extra)]));
        const [changed, innerState] = inner(hyperparams).update(updates, state.innerState, params, extra);
        return [changed, { count: safeIncrement(state.count), hyperparams, hyperparamsStates, innerState }];
      },
    };
  };
}
