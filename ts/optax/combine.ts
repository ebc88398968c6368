/** Transformations one after another, and on parts of a tree. */
import { opError } from "../errors.js";
import type { Module } from "../module/index.js";
import type { TensorTree } from "../tree/index.js";
import { flagsOf, hide, labelsOf, reveal } from "./labels.js";
import { setToZero, type AnyTransformation, type EmptyState, type GradientTransformation, type MaskOrFn, type StateOf } from "./transform.js";

type States<T extends readonly AnyTransformation[]> = { readonly [K in keyof T]: StateOf<T[K]> };
/** One after another; the state is the array of their states. @throws PaxError `value` for a state of another length */
export const chain = <const T extends readonly AnyTransformation[]>(...parts: T): GradientTransformation<States<T>> => ({
  init: (params) => parts.map((t) => t.init(params)) as unknown as States<T>,
  update(updates, state, params, extra) {
    if (state.length !== parts.length) {
      throw opError("value", "chain", `the state has ${state.length} parts, the chain ${parts.length}: make it with init(params) of this chain`);
    }
    const next = parts.map((t, i) => {
      const [u, s] = t.update(updates, state[i] as never, params, extra);
      updates = u;
      return s;
    });
    return [updates, next as unknown as States<T>];
  },
});

type Named = readonly [name: string, transformation: AnyTransformation];
type NamedStates<T extends readonly Named[]> = { readonly [E in T[number] as E[0]]: StateOf<E[1]> };
/** As `chain`, of pairs of a name and a transformation; the state is an object with these names. @throws PaxError `value` for a name that is there twice */
export function namedChain<const T extends readonly Named[]>(...parts: T): GradientTransformation<NamedStates<T>> {
  const names = parts.map(([name]) => name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw opError("value", "namedChain", `the name \`${twice}\` is there twice`, { path: twice });
  const inner = chain(...parts.map(([, t]) => t));
  const named = (states: readonly unknown[]): NamedStates<T> => Object.fromEntries(states.map((s, i) => [names[i]!, s])) as NamedStates<T>;
  return {
    init: (params) => named(inner.init(params)),
    update(updates, state, params, extra) {
      const [u, s] = inner.update(updates, names.map((name) => (state as Record<string, unknown>)[name]), params, extra);
      return [u, named(s)];
    },
  };
}

/** The inner transformation's state, with `null` where the mask is false. */
export type MaskedState<S> = { readonly innerState: S };
/** The inner transformation where the flag of a leaf is true. It sees `null` in the place of other leaves, which pass as they are. */
const where = <S>(inner: GradientTransformation<S>, flags: (tree: TensorTree) => readonly boolean[]): GradientTransformation<MaskedState<S>> => ({
  init: (params) => ({ innerState: inner.init(hide(params, flags(params))) }),
  update(updates, { innerState }, params, extra) {
    const here = flags(updates);
    const [changed, next] = inner.update(hide(updates, here), innerState, params === undefined ? undefined : hide(params, here), extra);
    return [reveal(updates, changed, here), { innerState: next }];
  },
});
/**
 * The inner transformation where the mask is true; other updates pass as they are, and no state is kept for them.
 * @throws PaxError `tree` where the mask does not fit the parameters
 */
export const masked = <S>(inner: GradientTransformation<S>, mask: MaskOrFn): GradientTransformation<MaskedState<S>> =>
  where(inner, (tree) => flagsOf("masked", mask, tree));

type Groups = { readonly [label: string]: AnyTransformation };
/** The state of each label's transformation. */
export type PartitionState<T extends Groups> = { readonly innerStates: { readonly [K in keyof T]: MaskedState<StateOf<T[K]>> } };
function grouped<T extends Groups>(transforms: T, labels: (tree: TensorTree) => readonly string[]): GradientTransformation<PartitionState<T>> {
  const parts = Object.keys(transforms).map((group) =>
    [group, where(transforms[group] as GradientTransformation<unknown>, (tree) => labels(tree).map((label) => label === group))] as const);
  const inner = namedChain(...parts) as GradientTransformation<PartitionState<T>["innerStates"]>;
  return {
    init: (params) => ({ innerStates: inner.init(params) }),
    update(updates, state, params, extra) {
      const [u, innerStates] = inner.update(updates, state.innerStates, params, extra);
      return [u, { innerStates }];
    },
  };
}
/** Strings at the places of the parameters' leaves, one for all that is below it, or a function of the parameters that gives them, as `MaskOrFn`. */
export type LabelsOrFn = string | object | ((params: Module) => string | object);
/**
 * Each group of leaves has the transformation of its label, as `partition({ train: adam(1e-3), rest: setToZero() }, labels)`.
 * @throws PaxError `tree` where the labels do not fit the parameters, `value` for a label without a transformation
 */
export const partition = <const T extends Groups>(transforms: T, paramLabels: LabelsOrFn): GradientTransformation<PartitionState<T>> =>
  grouped(transforms, (tree) => {
    const labels = labelsOf("partition", paramLabels, tree);
    const lost = labels.find((label) => !Object.hasOwn(transforms, label));
    if (lost === undefined) return labels;
    throw opError("value", "partition", `no transformation has the label "${lost}": there are ${Object.keys(transforms).map((k) => `"${k}"`).join(", ")}`);
  });
/** optax's older name of `partition`. */
export const multiTransform = partition;

/** Updates of 0 where the mask is true, so that these parameters stay. */
export const freeze = (mask: MaskOrFn): GradientTransformation<MaskedState<EmptyState>> => masked(setToZero(), mask);
/** `optimizer` where `freezeMask` is false; the other parameters stay, and the optimizer keeps no state for them. */
export const selectiveTransform = <T extends AnyTransformation>(
  optimizer: T, { freezeMask }: { readonly freezeMask: MaskOrFn },
): GradientTransformation<PartitionState<{ readonly train: T; readonly freeze: GradientTransformation<EmptyState> }>> =>
  grouped({ train: optimizer, freeze: setToZero() }, (tree) => flagsOf("selectiveTransform", freezeMask, tree).map((frozen) => (frozen ? "freeze" : "train")));
