import { opError, PaxError, shown } from "../errors.js";
import { key } from "../random.js";
import { Tensor } from "../tensor.js";
import { currentState, initialState, newContext, paramsOf, run, type Params, type Rng, type State } from "./context.js";
import { nameAll } from "./module.js";

/** `init` makes the parameters, `apply` is a pure function of them. */
export interface Transformed<A extends readonly unknown[], R> {
  readonly hasState: false;
  readonly init: (rng: Rng, ...args: A) => Params;
  readonly apply: (params: Params, rng: Rng, ...args: A) => R;
}
export interface TransformedWithState<A extends readonly unknown[], R> {
  readonly hasState: true;
  readonly init: (rng: Rng, ...args: A) => [params: Params, state: State];
  readonly apply: (params: Params, state: State, rng: Rng, ...args: A) => [out: R, state: State];
}

/** @throws PaxError `value` for what is no key */
function keyOf(rng: Rng, op: "init" | "apply", signature: string): Tensor | null {
  if (rng === null || rng === undefined) return null;
  if (typeof rng === "number") return key(rng);
  if (rng instanceof Tensor && rng.dtype === "uint32" && rng.shape.join() === "2") return rng;
  throw new PaxError("value", `${op} takes an rng, a key or null: the signature is \`${signature}\`, got ${rng instanceof Tensor ? `${rng.dtype}${shown(rng.shape)}` : typeof rng}`, { op });
}

/**
 * Makes two pure functions of a function that uses `hk.Module`s: `init(rng, ...args)` gives `[params, state]`, and
 * `apply(params, state, rng, ...args)` gives `[out, state]`. `init` returns the first value of each state, not those after its run.
 */
export function transformWithState<A extends readonly unknown[], R>(fn: (...args: A) => R): TransformedWithState<A, R> {
  return {
    hasState: true,
    init: (rng, ...args) => {
      const context = newContext(null, null, keyOf(rng, "init", "init(rng, ...args)"));
      run(context, () => fn(...args));
      nameAll(context.scopes[0]!);
      return [paramsOf(context), initialState(context)];
    },
    apply: (params, state, rng, ...args) => {
      const context = newContext(params ?? {}, state, keyOf(rng, "apply", "apply(params, state, rng, ...args)"));
      const out = run(context, () => fn(...args));
      return [out, currentState(context)];
    },
  };
}

/** As `transformWithState`, for functions without state: `init(rng, ...args)` gives params, `apply(params, rng, ...args)` the result. @throws PaxError `value` for a function with state */
export function transform<A extends readonly unknown[], R>(fn: (...args: A) => R): Transformed<A, R> {
  const full = transformWithState(fn);
  const stateless = (op: string, state: State): void => {
    const path = Object.keys(state)[0];
    if (path !== undefined) throw opError("value", op, `module \`${path}\` has state: use hk.transformWithState`, { path });
  };
  return {
    hasState: false,
    init: (rng, ...args) => {
      const [params, state] = full.init(rng, ...args);
      stateless("init", state);
      return params;
    },
    apply: (params, rng, ...args) => {
      const [out, state] = full.apply(params, {}, keyOf(rng, "apply", "apply(params, rng, ...args)"), ...args);
      stateless("apply", state);
      return out;
    },
  };
}

type WithoutRng<A extends readonly unknown[], R> = Omit<Transformed<A, R>, "apply"> & { readonly apply: (params: Params, ...args: A) => R };
type WithStateWithoutRng<A extends readonly unknown[], R> = Omit<TransformedWithState<A, R>, "apply"> & { readonly apply: (params: Params, state: State, ...args: A) => [out: R, state: State] };

/** Takes the rng away from `apply`, for functions that draw no random numbers there. */
export function withoutApplyRng<A extends readonly unknown[], R>(f: TransformedWithState<A, R>): WithStateWithoutRng<A, R>;
export function withoutApplyRng<A extends readonly unknown[], R>(f: Transformed<A, R>): WithoutRng<A, R>;
export function withoutApplyRng<A extends readonly unknown[], R>(f: Transformed<A, R> | TransformedWithState<A, R>): WithoutRng<A, R> | WithStateWithoutRng<A, R> {
  return f.hasState
    ? { ...f, apply: (params: Params, state: State, ...args: A) => f.apply(params, state, null, ...args) }
    : { ...f, apply: (params: Params, ...args: A) => f.apply(params, null, ...args) };
}
