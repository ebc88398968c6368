import * as rows from "../ops/generated/rows.js";
import * as np from "../ops/np.js";
import { array, type Tensor, type TensorLike } from "../tensor.js";
import { leaves, map, type TensorTree } from "../tree/index.js";

/** optax's pair. `S` is the transformation's state, any tree. */
export interface GradientTransformation<S = TensorTree> {
  init<P extends TensorTree>(params: P): S;
  update<P extends TensorTree>(updates: P, state: S, params?: P): readonly [updates: P, state: S];
}
/** A transformation whose state only it knows. */
export interface AnyTransformation {
  init<P extends TensorTree>(params: P): unknown;
  update<P extends TensorTree>(updates: P, state: never, params?: P): readonly [updates: P, state: unknown];
}
const each = <P>(f: (x: Tensor, ...rest: Tensor[]) => Tensor, tree: P, ...rest: unknown[]): P =>
  map(f as never, tree as never, ...(rest as never[])) as P;
const stateless = (f: (u: unknown) => unknown): GradientTransformation =>
  ({ init: () => [], update: (u, state) => [f(u) as typeof u, state] });

export const identity = (): GradientTransformation => stateless((u) => u);
export const scale = (factor: TensorLike): GradientTransformation => stateless((u) => each((g) => rows.mul(g, factor), u));
/** Unchanged below the norm, else scaled to it. */
export const clipByGlobalNorm = (maxNorm: number): GradientTransformation => stateless((u) => {
  const squares = (leaves(u) as Tensor[]).map((g) => np.sum(rows.square(g)));
  const norm = rows.sqrt(squares.reduce((a, b) => rows.add(a, b), array(0)));
  return each((g) => rows.select(rows.less(norm, maxNorm), g, rows.mul(rows.div(g, rows.cast(norm, g.dtype, false)), maxNorm)), u);
});
type Trace = { readonly trace: TensorTree };
export const trace = (decay: number, nesterov = false): GradientTransformation<Trace> => ({
  init: (params) => ({ trace: each((p) => np.zerosLike(p), params) }),
  update: (updates, state) => {
    const push = (t: unknown): typeof updates => each((g, v) => rows.add(g, rows.mul(v, decay)), updates, t);
    const next = push(state.trace);
    return [nesterov ? push(next) : next, { trace: next }];
  },
});
type Adam = { readonly count: Tensor; readonly mu: TensorTree; readonly nu: TensorTree };
type AdamOptions = { readonly b1?: number; readonly b2?: number; readonly eps?: number; readonly epsRoot?: number };
export const scaleByAdam = ({ b1 = 0.9, b2 = 0.999, eps = 1e-8, epsRoot = 0 }: AdamOptions = {}): GradientTransformation<Adam> => ({
  init: (params) => ({
    count: array(0, { dtype: "int32" }), mu: each((p) => np.zerosLike(p), params), nu: each((p) => np.zerosLike(p), params),
  }),
  update: (updates, state) => {
    const mu = each((g, m) => rows.add(rows.mul(g, 1 - b1), rows.mul(m, b1)), updates, state.mu);
    const nu = each((g, v) => rows.add(rows.mul(rows.square(g), 1 - b2), rows.mul(v, b2)), updates, state.nu);
    const count = rows.add(state.count, 1);
    const t = rows.cast(count, "float32", true);
    const c1 = rows.sub(1, rows.pow(b1, t));
    const c2 = rows.sub(1, rows.pow(b2, t));
    return [each((m, v) => rows.div(rows.div(m, c1), rows.add(rows.sqrt(rows.add(rows.div(v, c2), epsRoot)), eps)), mu, nu), { count, mu, nu }];
  },
});
export const addDecayedWeights = (weightDecay: number): GradientTransformation => ({
  init: () => [],
  update: (u, state, params) => [each((g, p) => rows.add(g, rows.mul(p, weightDecay)), u, params), state],
});
export const chain = (...parts: readonly AnyTransformation[]): GradientTransformation => ({
  init: (params) => parts.map((t) => t.init(params) as TensorTree),
  update: (updates, state, params) => {
    const next = parts.map((t, i) => {
      const [u, s] = t.update(updates, (state as readonly never[])[i]!, params);
      updates = u;
      return s as TensorTree;
    });
    return [updates, next];
  },
});
export const sgd = (learningRate: number, { momentum, nesterov }: { readonly momentum?: number; readonly nesterov?: boolean } = {}): GradientTransformation =>
  chain(momentum === undefined ? identity() : trace(momentum, nesterov), scale(-learningRate));
export const adam = (learningRate: number, options: AdamOptions = {}): GradientTransformation =>
  chain(scaleByAdam(options), scale(-learningRate));
export const adamw = (learningRate: number, { weightDecay = 1e-4, ...options }: AdamOptions & { readonly weightDecay?: number } = {}): GradientTransformation =>
  chain(scaleByAdam(options), addDecayedWeights(weightDecay), scale(-learningRate));
export const applyUpdates = <P extends TensorTree>(params: P, updates: P): P => each((p, u) => rows.cast(rows.add(p, u), p.dtype, false), params, updates);
