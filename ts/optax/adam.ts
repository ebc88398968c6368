/** Adam's family: a first and a second moment of the updates, and a count of steps. */
import * as rows from "../ops/generated/rows.js";
import { castTo } from "../ops/halves.js";
import type { DType, Tensor, TensorLike } from "../tensor.js";
import type { TensorTree } from "../tree/index.js";
import { counter, each, known, minus, needParams, offset, oneMinus, quotient, realOf, safeIncrement, sumOfSquares, swept, times, type GradientTransformation } from "./transform.js";
import * as tree from "./tree.js";

/** The count of steps (int32), and the averages of updates and of their squares. */
export type ScaleByAdamState = { readonly count: Tensor; readonly mu: TensorTree; readonly nu: TensorTree };
type Rates = { readonly b1?: TensorLike; readonly b2?: TensorLike; readonly eps?: TensorLike };
type Roots = Rates & { readonly epsRoot?: TensorLike };
/** `muDtype` is the dtype of `mu` in the state; without it the parameters'. */
export type AdamOptions = Roots & { readonly muDtype?: DType; readonly nesterov?: boolean };

type Counted<S> = Omit<S, "count">;
const start = (muDtype?: DType) => (params: TensorTree): Counted<ScaleByAdamState> => ({ mu: tree.zerosLike(params, { dtype: muDtype }), nu: tree.zerosLike(params) });
/** A transformation with a count and other state: `step` gives the updates and that state after `count` steps, whose dtypes stay. */
export const counted = <S extends { readonly count: Tensor }>(
  init: (params: TensorTree) => Counted<S>, step: <P extends TensorTree>(updates: P, state: S, count: Tensor) => readonly [updates: P, state: Counted<S>],
): GradientTransformation<S> => swept({
  init: (params) => ({ count: counter(), ...init(params) }) as S,
  update(updates, state) {
    const count = safeIncrement(state.count);
    const [out, next] = step(updates, state, count);
    return [out, tree.castLike({ count, ...next }, state) as S];
  },
});
/** `m / (sqrt(v + epsRoot) + eps)` for each leaf. */
export const rooted = <P>(mu: P, nu: unknown, eps: TensorLike, epsRoot: TensorLike): P =>
  each((m, v) => rows.div(m, offset(rows.sqrt(epsRoot === 0 ? v! : offset(v!, epsRoot)), eps)), mu, nu);
/** The first moment without its bias, with Nesterov's look ahead if asked (Dozat 2016). */
export function firstMoment<P>(updates: P, mu: P, b1: TensorLike, count: Tensor, nesterov: boolean): P {
  if (!nesterov) return tree.biasCorrection(mu, b1, count);
  return tree.updateMoment(tree.biasCorrection(updates, b1, count), tree.biasCorrection(mu, b1, safeIncrement(count)), b1, 1);
}

/** Adam (Kingma and Ba 2014); `eps` stands outside of the root, `epsRoot` inside. */
export const scaleByAdam = ({ b1 = 0.9, b2 = 0.999, eps = 1e-8, epsRoot = 0, muDtype, nesterov = false }: AdamOptions = {}): GradientTransformation<ScaleByAdamState> =>
  counted(start(muDtype), (updates, state, count) => {
    const mu = tree.updateMoment(updates, state.mu, b1, 1);
    const nu = tree.updateMoment(updates, state.nu, b2, 2);
    const out = rooted(firstMoment(updates, mu, b1, count, nesterov), tree.biasCorrection(nu, b2, count), eps, epsRoot);
    return [out, { mu, nu }];
  });

/** Adam's state, and the greatest `nu` so far. */
export type ScaleByAmsgradState = ScaleByAdamState & { readonly nuMax: TensorTree };
/** Rates and constants of `scaleByAmsgrad`. */
export type AmsgradOptions = Roots & { readonly muDtype?: DType; readonly biasCorrectionMu?: boolean; readonly biasCorrectionNu?: boolean };
/** Adam with the greatest second moment so far (Reddi et al. 2018). */
export const scaleByAmsgrad = (
  { b1 = 0.9, b2 = 0.999, eps = 1e-8, epsRoot = 0, muDtype, biasCorrectionMu = true, biasCorrectionNu = true }: AmsgradOptions = {},
): GradientTransformation<ScaleByAmsgradState> =>
  counted((params) => ({ ...start(muDtype)(params), nuMax: tree.zerosLike(params) }), (updates, state, count) => {
    const mu = tree.updateMoment(updates, state.mu, b1, 1);
    const nu = tree.updateMoment(updates, state.nu, b2, 2);
    const nuMax = each(rows.maximum, state.nuMax, biasCorrectionNu ? tree.biasCorrection(nu, b2, count) : nu);
    return [rooted(biasCorrectionMu ? tree.biasCorrection(mu, b1, count) : mu, nuMax, eps, epsRoot), { mu, nu, nuMax }];
  });

/** Rates and constants of `scaleByAdamax`. */
export type AdamaxOptions = Rates;
/** Adam with a decaying maximum in the place of the second moment (Kingma and Ba 2014, section 7.1). */
export const scaleByAdamax = ({ b1 = 0.9, b2 = 0.999, eps = 1e-8 }: AdamaxOptions = {}): GradientTransformation<ScaleByAdamState> =>
  counted(start(), (updates, state, count) => {
    const mu = tree.updateMoment(updates, state.mu, b1, 1);
    const nu = tree.updateInfinityMoment(updates, state.nu, b2, eps);
    return [tree.div(tree.biasCorrection(mu, b1, count), nu), { mu, nu }];
  });

/** Rates and constants of `scaleByBelief`. */
export type BeliefOptions = Roots & { readonly nesterov?: boolean };
/** The second moment is that of the distance from the first one (Zhuang et al. 2020). */
export const scaleByBelief = ({ b1 = 0.9, b2 = 0.999, eps = 1e-16, epsRoot = 1e-16, nesterov = false }: BeliefOptions = {}): GradientTransformation<ScaleByAdamState> =>
  counted(start(), (updates, state, count) => {
    const mu = tree.updateMoment(updates, state.mu, b1, 1);
    const nu = each((v) => offset(v, epsRoot), tree.updateMoment(tree.sub(updates, mu), state.nu, b2, 2));
    const out = rooted(firstMoment(updates, mu, b1, count, nesterov), tree.biasCorrection(nu, b2, count), eps, 0);
    return [out, { mu, nu }];
  });

/** Rates and constants of `scaleByYogi`; `mu` and `nu` begin at `initialAccumulatorValue`. */
export type YogiOptions = Roots & { readonly initialAccumulatorValue?: TensorLike };
/** The second moment moves by the sign of its distance from the square (Zaheer et al. 2018). */
export const scaleByYogi = ({ b1 = 0.9, b2 = 0.999, eps = 1e-3, epsRoot = 0, initialAccumulatorValue = 1e-6 }: YogiOptions = {}): GradientTransformation<ScaleByAdamState> =>
  counted((params) => ({ mu: tree.fullLike(params, initialAccumulatorValue), nu: tree.fullLike(params, initialAccumulatorValue) }), (updates, state, count) => {
    const step = oneMinus(b2);
    const mu = tree.updateMoment(updates, state.mu, b1, 1);
    const nu = each((g, v) => {
      const square = rows.square(g);
      return rows.sub(v!, rows.mul(times(rows.sign(rows.sub(v!, square)), step), square));
    }, updates, state.nu);
    const out = rooted(tree.biasCorrection(mu, b1, count), tree.biasCorrection(nu, b2, count), eps, epsRoot);
    return [out, { mu, nu }];
  });

/** Rates and constants of `scaleByRadam`. */
export type RadamOptions = Roots & { readonly threshold?: TensorLike; readonly nesterov?: boolean };
/** Adam with the variance of its early steps rectified; below `threshold` only the first moment counts (Liu et al. 2020). */
export const scaleByRadam = ({ b1 = 0.9, b2 = 0.999, eps = 1e-8, epsRoot = 0, threshold = 5, nesterov = false }: RadamOptions = {}): GradientTransformation<ScaleByAdamState> =>
  counted(start(), (updates, state, count) => {
    const mu = tree.updateMoment(updates, state.mu, b1, 1);
    const nu = tree.updateMoment(updates, state.nu, b2, 2);
    const t = rows.cast(count, realOf(updates), false);
    const power = rows.pow(b2, t);
    const most = minus(quotient(2, oneMinus(b2)), 1);
    const length = rows.sub(most, rows.div(rows.mul(rows.mul(t, 2), power), rows.sub(1, power)));
    const around = known((x) => (x - 4) * (x - 2), (x: TensorLike) => rows.mul(rows.sub(x, 4), rows.sub(x, 2)));
    const rectified = rows.sqrt(rows.div(rows.mul(around(length), most), rows.mul(around(most), length)));
    const enough = rows.greaterEqual(length, threshold);
    const muHat = firstMoment(updates, mu, b1, count, nesterov);
    const adam = rooted(tree.scale(rectified, muHat), tree.biasCorrection(nu, b2, count), eps, epsRoot);
    return [tree.where(enough, adam, muHat), { mu, nu }];
  });

/** Averages of gradients (m), of their differences (v) and of squares (n); the gradient before (g) and the count of steps (t). */
export type ScaleByAdanState = { readonly m: TensorTree; readonly v: TensorTree; readonly n: TensorTree; readonly g: TensorTree; readonly t: Tensor };
/** Rates and constants of `scaleByAdan`: `b1`, `b2` and `b3` belong to m, v and n. */
export type AdanOptions = Roots & { readonly b3?: TensorLike };
/** Nesterov's momentum by the differences of gradients (Xie et al. 2022); `g` in the state is the gradient before. */
export const scaleByAdan = ({ b1 = 0.98, b2 = 0.92, b3 = 0.99, eps = 1e-8, epsRoot = 0 }: AdanOptions = {}): GradientTransformation<ScaleByAdanState> => swept({
  init: (params) => ({ m: tree.zerosLike(params), v: tree.zerosLike(params), n: tree.zerosLike(params), g: tree.zerosLike(params), t: counter() }),
  update(g, state) {
    const first = rows.equal(state.t, 0);
    const diff = each((now, before) => rows.select(first, 0, rows.sub(now, before!)), g, state.g);
    const m = tree.updateMoment(g, state.m, b1, 1);
    const v = tree.updateMoment(diff, state.v, b2, 1);
    const n = tree.updateMoment(tree.addScale(g, oneMinus(b2), diff), state.n, b3, 2);
    const t = safeIncrement(state.t);
    const ahead = tree.addScale(tree.biasCorrection(m, b1, t), oneMinus(b2), tree.biasCorrection(v, b2, t));
    return [rooted(ahead, tree.biasCorrection(n, b3, t), eps, epsRoot), { m, v, n, g, t }];
  },
});

/** Rates and constants of `scaleByNovograd`. */
export type NovogradOptions = Roots & { readonly weightDecay?: TensorLike; readonly muDtype?: DType };
/** A second moment per leaf, of its gradient's norm; it begins as the first one (Ginsburg et al. 2019). `nu` holds scalars. */
export const scaleByNovograd = ({ b1 = 0.9, b2 = 0.25, eps = 1e-8, epsRoot = 0, weightDecay = 0, muDtype }: NovogradOptions = {}): GradientTransformation<ScaleByAdamState> => ({
  init: (params) => ({ count: counter(), ...start(muDtype)(params), nu: each((p) => rows.full([], p.dtype, 0), params) }),
  update(updates, state, params) {
    const count = safeIncrement(state.count);
    const first = rows.equal(count, 1);
    const squares = each((g, v) => castTo(sumOfSquares(g), v!.dtype), updates, state.nu);
    const nu = tree.where(first, squares, tree.castLike(tree.updateMoment(squares, state.nu, b2, 1), squares));
    const scaled = rooted(updates, nu, eps, epsRoot);
    const given = needParams("scaleByNovograd", params);
    const decayed = weightDecay === 0 ? scaled : tree.addScale(scaled, weightDecay, given);
    const mu = tree.castLike(tree.add(tree.scale(b1, state.mu as typeof updates), decayed), state.mu);
    return [mu, { count, mu, nu }];
  },
});
