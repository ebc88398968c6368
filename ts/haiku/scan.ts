import { frame } from "../engine.js";
import { opError } from "../errors.js";
import * as rows from "../ops/generated/rows.js";
import { concatenate, part as rowsOf } from "../ops/join.js";
import { swapaxes } from "../ops/shape.js";
import type { Tensor } from "../tensor.js";
import * as control from "../transforms/control.js";
import { leaves, map } from "../tree/index.js";
import { contextFor, currentState, insideTransform, mayChange, scopeOf, setCurrentState, type Context, type State } from "./context.js";
import { nameAll } from "./module.js";

/** A function of a tree's tensors, leaf by leaf. */
const each = <T>(f: (t: Tensor) => Tensor, tree: T): T => map(f as never, tree) as T;

/** Rows `from` up to `to` of each tensor. */
const part = <T>(xs: T, from: number, to: number): T => each((t) => rowsOf(t, 0, from, to), xs);

type Inner = { readonly state: State; readonly rng: Tensor | null };
type Step<C, X, Y> = (carry: C, x: X) => readonly [carry: C, y: Y];

/** `f` as a step that carries the run's state and key; it makes no parameters, and its names are the same each time. */
function stateful<C, X, Y>(context: Context, f: Step<C, X, Y>): Step<readonly [C, Inner], X, Y> {
  const scope = scopeOf(context);
  nameAll(scope);
  const [counters, used] = [new Map(scope.counters), new Set(scope.used)];
  return ([carry, inner], x) => {
    const { level, rng, state, frozen } = context;
    [scope.counters, scope.used] = [new Map(counters), new Set(used)];
    Object.assign(context, { level: frame, rng: inner.rng, state: new Map(), frozen: true });
    try {
      setCurrentState(context, inner.state);
      const [next, y] = f(carry, x);
      return [[next, { state: currentState(context), rng: context.rng }], y];
    } finally {
      Object.assign(context, { level, rng, state, frozen });
    }
  };
}

export type ScanOptions = { readonly length?: number; readonly reverse?: boolean };
type Loop = <C, X, Y>(step: Step<C, X, Y>, carry: C, xs: X, options: ScanOptions) => [carry: C, ys: Y];
/** `pax.scan` where the carry and xs are trees of tensors already, so that a step sees them as they are. */
const loopOf = control.scan as Loop;

/**
 * `pax.scan` for steps that use Haiku modules: their state and random keys travel in the carry. In a run of `init` the first step runs on its
 * own, so that it makes the parameters outside of the loop.
 * @throws PaxError `tree` for a parameter that the first step did not make
 */
export function scan<C, X, Y>(f: Step<C, X, Y>, init: C, xs: X, { length, reverse = false }: ScanOptions = {}): [carry: C, ys: Y] {
  const context = contextFor("hk.scan");
  const count = length ?? (leaves(xs) as Tensor[])[0]?.shape[0];
  if (count === undefined) throw opError("value", "hk.scan", "give a length where xs has no tensor");
  const step = stateful(context, f);
  const loop = (carry: C, rest: X, times: number): [C, Y] => {
    const inner: Inner = { state: currentState(context), rng: context.rng };
    if (inner.rng !== null || Object.keys(inner.state).length > 0) mayChange(context, "hk.scan", "state");
    const [[last, after], ys] = loopOf<readonly [C, Inner], X, Y>(step, [carry, inner], rest, { length: times, reverse });
    setCurrentState(context, after.state);
    context.rng = after.rng;
    return [last, ys];
  };
  if (context.frozen) return loop(init, xs, count);
  if (count === 0) {
    const [, y] = f(init, each((t) => rows.full(t.shape.slice(1), t.dtype, 0), xs));
    return [init, each((t) => rows.full([0, ...t.shape], t.dtype, 0), y)];
  }
  const at = reverse ? count - 1 : 0;
  const [carry, y] = f(init, each((t) => rows.reshape(t, t.shape.slice(1)), part(xs, at, at + 1)));
  const head = each((t) => rows.reshape(t, [1, ...t.shape]), y);
  if (count === 1) return [carry, head];
  const [last, tail] = loop(carry, reverse ? part(xs, 0, at) : part(xs, 1, count), count - 1);
  return [last, map(((a: Tensor, b: Tensor) => concatenate(reverse ? [b, a] : [a, b])) as never, head, tail) as Y];
}

/** `core(x, state)` gives `[output, next state]`: a function, or the `forward` of a module. */
export type Core<X, S, Y> = ((x: X, state: S) => readonly [output: Y, state: S]) | { forward(x: X, state: S): readonly [output: Y, state: S] };
export type UnrollOptions = { readonly timeMajor?: boolean; readonly reverse?: boolean; readonly returnAllStates?: boolean };

const swapBatchAndTime = <T>(tree: T): T => each((t) => swapaxes(t, 0, 1), tree);

/**
 * Runs a core along a sequence [time, batch, ...] (or [batch, time, ...] with `timeMajor: false`), in a loop that stays one under `jit`. Gives
 * the outputs and the last state, or every state with `returnAllStates`; as `hk.dynamic_unroll`.
 */
export function dynamicUnroll<X, S, Y>(core: Core<X, S, Y>, inputSequence: X, initialState: S, { timeMajor = true, reverse = false, returnAllStates = false }: UnrollOptions = {}): [outputs: Y, state: S] {
  const call = (x: X, state: S): readonly [Y, S] => (typeof core === "function" ? core(x, state) : core.forward(x, state));
  const step: Step<S, X, readonly [Y, S | null]> = (state, x) => {
    const [y, next] = call(x, state);
    return [next, [y, returnAllStates ? next : null]];
  };
  const xs = timeMajor ? inputSequence : swapBatchAndTime(inputSequence);
  const [last, ys] = (insideTransform() ? scan : loopOf)(step, initialState, xs, { reverse });
  const [outputs, states] = timeMajor ? ys : swapBatchAndTime(ys);
  return [outputs, states ?? last];
}
