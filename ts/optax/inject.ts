/** Hyperparameters in the state, where they can be read and changed. */
import { opError } from "../errors.js";
import { inDType } from "../ops/dtypes.js";
import { Tensor, type DType, type TensorLike } from "../tensor.js";
import type { TensorTree } from "../tree/index.js";
import { isPlainObject } from "../tree/statics.js";
import { counter, isSchedule, safeIncrement, type AnySchedule, type ExtraArgs, type GradientTransformation } from "./transform.js";
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

/** The count of updates (int32), the hyperparameters, the states of their schedules and the inner state. */
export type InjectHyperparamsState<S, N extends string = "learningRate"> = {
  readonly count: Tensor;
  /** The values of the last update, before the first one those that it will have. A value that is no schedule's may be set: the next update takes it. */
  readonly hyperparams: { [K in N]: Tensor } & { [name: string]: Tensor };
  readonly hyperparamsStates: { readonly [name: string]: TensorTree };
  readonly innerState: S;
};
type Injected<T> = [TensorLike] extends [T] ? T | AnySchedule | StatefulSchedule : T extends Tensor | ((...args: never[]) => unknown) | null | undefined ? T : T extends object ? { readonly [K in keyof T]: Injected<T[K]> } : T;
/** A factory's arguments, with schedules wherever numbers are. */
export type InjectedArgs<A extends readonly unknown[]> = { [K in keyof A]: Injected<A[K]> };
/** What `injectHyperparams` may be told. */
export type InjectOptions<N extends string = "learningRate"> = {
  /** Names that are not hyperparameters: masks that are functions, and numbers of which shapes depend. */
  readonly staticArgs?: readonly string[];
  /** The dtype of the hyperparameters; without it the widest of the parameters'. */
  readonly hyperparamDtype?: DType;
  /** The names of the factory's arguments that stand before its options. */
  readonly argNames?: readonly N[];
};

/** An object of options: no transformation, no schedule. */
const isOptions = (x: unknown): x is { readonly [name: string]: unknown } =>
  typeof x === "object" && x !== null && isPlainObject(x) && !("init" in x && "update" in x);
/** The arguments with each named value changed: those of options by their keys, others by `nameOf` their position. */
const mapArgs = (args: readonly unknown[], nameOf: (i: number) => string, f: (name: string, value: unknown) => unknown): unknown[] =>
  args.map((arg, i) => (isOptions(arg) ? Object.fromEntries(Object.keys(arg).map((name) => [name, f(name, arg[name])])) : f(nameOf(i), arg)));

/**
 * The factory of a transformation whose numbers live in its state: `injectHyperparams(adamw)(schedule, { weightDecay: 1e-4 })` has
 * `state.hyperparams.learningRate` and `.weightDecay`. Numbers, tensors and schedules are hyperparameters, booleans and all else are not.
 * Options that are not given keep their defaults and do not show.
 * @throws PaxError `value` if a function does not give a scalar
 */
export function injectHyperparams<A extends readonly unknown[], S, const N extends string = "learningRate">(
  innerFactory: (...args: A) => GradientTransformation<S>, { staticArgs = [], hyperparamDtype, argNames }: InjectOptions<N> = {},
): (...args: InjectedArgs<A>) => GradientTransformation<InjectHyperparamsState<S, N>> {
  type Hyperparams = InjectHyperparamsState<S, N>["hyperparams"];
  const names: readonly string[] = argNames ?? ["learningRate"];
  const nameOf = (i: number): string => names[i] ?? `argument${i}`;
  return (...args) => {
    const schedules = new Map<string, StatefulSchedule>();
    const numbers = new Map<string, number | Tensor>();
    mapArgs(args, nameOf, (name, value) => {
      if (staticArgs.includes(name)) return;
      if (isSchedule(value)) schedules.set(name, wrapped(value) as StatefulSchedule);
      else if (isStateful(value)) schedules.set(name, value);
      else if (typeof value === "number" || value instanceof Tensor) numbers.set(name, value);
    });
    const inner = (hyperparams: Hyperparams): GradientTransformation<S> =>
      innerFactory(...(mapArgs(args, nameOf, (name, value) => hyperparams[name] ?? value) as unknown as A));
    const valuesOf = (states: { readonly [name: string]: TensorTree }, extra: ExtraArgs, dtypeOf: (name: string) => DType): { [name: string]: Tensor } =>
      Object.fromEntries([...schedules].map(([name, schedule]) => {
        const value: unknown = schedule.value(states[name]!, extra);
        if (typeof value === "number" || (value instanceof Tensor && value.ndim === 0)) return [name, inDType(value, dtypeOf(name))];
        throw opError("value", "injectHyperparams", `\`${name}\` is a function and so a schedule, but it did not give a scalar: put it into staticArgs if it is none`, { path: name });
      }));
    return {
      init(params) {
        const dtype = hyperparamDtype ?? dtypeOf(params);
        const hyperparamsStates = Object.fromEntries([...schedules].map(([name, schedule]) => [name, schedule.init()]));
        const fixed = Object.fromEntries([...numbers].map(([name, x]) => [name, x instanceof Tensor && !x.weak ? x : inDType(x, dtype)]));
        const hyperparams = { ...fixed, ...valuesOf(hyperparamsStates, {}, () => dtype) } as Hyperparams;
        return { count: counter(), hyperparams, hyperparamsStates, innerState: inner(hyperparams).init(params) };
      },
      update(updates, state, params, extra = {}) {
        const hyperparams = { ...state.hyperparams, ...valuesOf(state.hyperparamsStates, extra, (name) => state.hyperparams[name]!.dtype) } as Hyperparams;
        const hyperparamsStates = Object.fromEntries([...schedules].map(([name, schedule]) => [name, schedule.update(state.hyperparamsStates[name]!, extra)]));
        const [changed, innerState] = inner(hyperparams).update(updates, state.innerState, params, extra);
        return [changed, { count: safeIncrement(state.count), hyperparams, hyperparamsStates, innerState }];
      },
    };
  };
}
