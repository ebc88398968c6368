/** One run of a transformed function: what it reads and what it collects. Runs are a plain stack, so they nest with any transformation. */
import { frame, type Frame } from "../engine.js";
import { opError, PaxError, shown } from "../errors.js";
import type { Initializer } from "../initializers.js";
import { withKeySource } from "../key-source.js";
import * as random from "../random.js";
import { asTensor, type DType, type Shape, type Tensor, type TensorLike } from "../tensor.js";

/** Tensors by module path and name, two levels deep as Haiku's: `{ "lstm/linear": { w, b } }`. */
export type Params = { readonly [module: string]: { readonly [name: string]: Tensor } };
export type State = Params;
/** A key, or the seed of one; null where no random numbers are needed. */
export type Rng = Tensor | number | null;

type Bundles<T> = Map<string, Map<string, T>>;
interface StateValue { readonly initial: Tensor; readonly current: Tensor }

/** Names that were given to modules at one place. */
export interface Names { counters: Map<string, number>; used: Set<string> }
export const noNames = (): Names => ({ counters: new Map(), used: new Set() });

/** A running method, or the transformed function itself. Paths are functions: a module is named when that is needed, not before. */
export interface Scope extends Names {
  /** The path of the method's module; `~` outside of modules. */
  readonly module: () => string;
  /** What the paths of modules made here begin with. */
  readonly prefix: () => string;
  /** Modules made here, oldest first. */
  readonly made: object[];
}

export interface Context {
  readonly params: Bundles<Tensor>;
  readonly initializing: boolean;
  /** True in `apply` and in a loop: every parameter must be there. */
  frozen: boolean;
  state: Bundles<StateValue>;
  rng: Tensor | null;
  /** The transformation in which the run began: only there may it change. */
  level: Frame | null;
  readonly scopes: Scope[];
}

const contexts: Context[] = [];
export const insideTransform = (): boolean => contexts.length > 0;

/** The running context. @throws PaxError `trace` outside of `hk.transform` */
export function contextFor(op: string): Context {
  const context = contexts.at(-1);
  if (context === undefined) throw new PaxError("trace", `${op} must be used inside hk.transform: call init or apply of the transformed function`, { op });
  return context;
}
/** True in a run of `init`. @throws PaxError `trace` outside of `hk.transform` */
export const runningInit = (): boolean => contextFor("hk.runningInit").initializing;
export const scopeOf = (context: Context): Scope => context.scopes.at(-1)!;

/** @throws PaxError `trace` if a transformation began after the run: what it changed would not outlive it */
export function mayChange(context: Context, op: string, path: string): void {
  if (frame === context.level) return;
  throw new PaxError("trace", `${op} changes \`${path}\` inside \`${frame?.name ?? "another transformation"}\`, which began inside hk.transform: transform with hk first and give \`apply\` to \`${frame?.name ?? "it"}\`, or use hk.scan for loops`, { op, path });
}

function parse<T>(what: string, tree: Params | null, make: (t: Tensor) => T): Bundles<T> {
  const out: Bundles<T> = new Map();
  const wrong = (path: string): PaxError => opError("tree", "apply", `${what} must be objects of objects of tensors, as \`init\` gives them; ${path} is not`, { path });
  if (tree !== null && typeof tree !== "object") throw wrong(what);
  for (const [module, bundle] of Object.entries(tree ?? {})) {
    if (typeof bundle !== "object" || bundle === null) throw wrong(module);
    const values = new Map<string, T>();
    for (const [name, value] of Object.entries(bundle)) if (value !== null) values.set(name, make(asTensor(value)));
    out.set(module, values);
  }
  return out;
}

/** Object.fromEntries defines properties, so names such as `__proto__` are names like any other. */
const toObject = <T>(bundles: Bundles<T>, pick: (value: T) => Tensor): Params =>
  Object.fromEntries([...bundles].map(([module, bundle]) => [module, Object.fromEntries([...bundle].map(([name, value]) => [name, pick(value)]))]));

function put<T>(bundles: Bundles<T>, module: string, name: string, value: T): void {
  let bundle = bundles.get(module);
  if (bundle === undefined) bundles.set(module, (bundle = new Map()));
  bundle.set(name, value);
}

/** A run of `init` (params null) or `apply`. */
export function newContext(params: Params | null, state: State | null, rng: Tensor | null): Context {
  return {
    params: parse("params", params, (t) => t), initializing: params === null, frozen: params !== null, state: parse("state", state, (t) => ({ initial: t, current: t })), rng,
    level: frame, scopes: [{ module: () => "~", prefix: () => "", made: [], ...noNames() }],
  };
}

export function run<R>(context: Context, body: () => R): R {
  contexts.push(context);
  try {
    return body();
  } finally {
    contexts.pop();
  }
}

export const paramsOf = (context: Context): Params => toObject(context.params, (t) => t);
export const initialState = (context: Context): State => toObject(context.state, (v) => v.initial);
export const currentState = (context: Context): State => toObject(context.state, (v) => v.current);

/** Replaces the current values. */
export function setCurrentState(context: Context, state: State): void {
  for (const [module, bundle] of Object.entries(state)) {
    for (const [name, current] of Object.entries(bundle)) {
      put(context.state, module, name, { initial: context.state.get(module)?.get(name)?.initial ?? current, current });
    }
  }
}

/** The path of what is called `name` here. */
function placeOf(context: Context, name: string): readonly [module: string, path: string] {
  const module = scopeOf(context).module();
  return [module, `${module}/${name}`];
}

/**
 * A parameter of the running module, made by `init(shape, dtype)` in a run of `init`; the same name is the same parameter.
 * @throws PaxError `tree` for one that `apply` was not given, `shape` for one of another shape, `trace` outside of `hk.transform`
 */
export function getParameter(name: string, shape: Shape, dtype: DType | null = "float32", init: Initializer | null = null): Tensor {
  const op = "hk.getParameter";
  const context = contextFor(op);
  const [module, path] = placeOf(context, name);
  let value = context.params.get(module)?.get(name);
  if (value === undefined) {
    if (context.frozen) throw opError("tree", op, `params have no \`${name}\` of module \`${module}\`: every parameter must be made by \`init\`, and in the first step of a loop`, { path });
    if (init === null) throw opError("value", op, `\`${path}\` needs an initializer`, { path });
    mayChange(context, op, path);
    value = withKeySource(nextRngKey, () => init(shape, dtype ?? "float32"));
    put(context.params, module, name, value);
  }
  if (value.shape.join() !== shape.join()) {
    throw opError("shape", op, `\`${path}\` has shape ${shown(value.shape)}, but the shape asked for is ${shown(shape)}`, { path });
  }
  return value;
}

/**
 * A state of the running module, made by `init(shape, dtype)` if there is none yet.
 * @throws PaxError `tree` for one that is not there without `shape` and `init`, `trace` outside of `hk.transform`
 */
export function getState(name: string, shape: Shape | null = null, dtype: DType | null = "float32", init: Initializer | null = null): Tensor {
  const op = "hk.getState";
  const context = contextFor(op);
  const [module, path] = placeOf(context, name);
  const found = context.state.get(module)?.get(name);
  if (found !== undefined) return found.current;
  if (shape === null || init === null) throw opError("tree", op, `there is no \`${name}\` in the state of module \`${module}\`: give a shape and an initializer`, { path });
  mayChange(context, op, path);
  const value = withKeySource(nextRngKey, () => init(shape, dtype ?? "float32"));
  put(context.state, module, name, { initial: value, current: value });
  return value;
}

/** Sets a state of the running module. The first value of one is what `init` returns. @throws PaxError `trace` outside of `hk.transform` */
export function setState(name: string, value: TensorLike): void {
  const op = "hk.setState";
  const context = contextFor(op);
  const [module, path] = placeOf(context, name);
  mayChange(context, op, path);
  const current = asTensor(value);
  put(context.state, module, name, { initial: context.state.get(module)?.get(name)?.initial ?? current, current });
}

/** New keys as Haiku's PRNGSequence hands them out: `split(key, num + 1)`, whose first element is the next key. @throws PaxError `value` without an rng */
export function nextRngKeys(num: number): Tensor[] {
  const op = "hk.nextRngKey";
  const context = contextFor(op);
  if (context.rng === null) {
    const path = scopeOf(context).module();
    throw opError("value", op, `module \`${path}\` needs random numbers, but \`${context.initializing ? "init" : "apply"}\` was given null for its rng: pass a key (a converted module: fromHaiku with useRng)`, { path });
  }
  mayChange(context, op, "rng");
  const [next, ...keys] = random.split(context.rng, num + 1);
  context.rng = next!;
  return keys;
}
/** A new key of the run. @throws PaxError `value` without an rng, `trace` outside of `hk.transform` */
export const nextRngKey = (): Tensor => nextRngKeys(1)[0]!;
