import type { Tensor } from "../tensor.js";
import { scalarToTensor, type Scalar } from "../tree/leaf.js";
import type { AnyFunction } from "../tree/types.js";
import { setMark } from "./marks.js";
import type { Module } from "./module.js";

declare const stateBrand: unique symbol;
/** `T`, marked as state. The brand is optional, so every `T` may be assigned to it. */
export type State<T> = T & { readonly [stateBrand]?: true };

/** Marks a field's value as state; gives the value itself (a scalar becomes a tensor). */
export function state<T extends Scalar>(value: T): State<Tensor>;
export function state<T>(value: T): State<T>;
export function state(value: unknown): unknown {
  const marked = scalarToTensor(value);
  setMark(marked, "state");
  return marked;
}

/** Marks a field's value as trainable; gives the value itself (a scalar becomes a tensor). */
export function parameter<T extends Scalar>(value: T): Tensor;
export function parameter<T>(value: T): T;
export function parameter(value: unknown): unknown {
  const marked = scalarToTensor(value);
  setMark(marked, "parameter");
  return marked;
}

type IsState<T> = [T] extends [never] ? false : typeof stateBrand extends keyof T ? true : false;
/** What `parameters()` and gradients hold in a field of type `T`. */
export type ParamsOf<T> =
  T extends null | undefined ? null
  : IsState<T> extends true ? null
  : T extends Tensor | AnyFunction | string | Scalar ? T
  : T extends Module ? Params<T>
  : T extends readonly unknown[] ? { [K in keyof T]: ParamsOf<T[K]> }
  : T extends ReadonlyMap<infer K, infer V> ? Map<K, ParamsOf<V>>
  : T extends object ? { [K in keyof T]: ParamsOf<T[K]> }
  : T;
/** A module's trainable part: `null` where a field was declared by `pax.state`. */
export type Params<M extends Module> = { [K in keyof M]: ParamsOf<M[K]> };

export type ForwardArgs<M> = M extends { forward(...args: infer A): unknown } ? A : never;
export type ForwardResult<M> = M extends { forward(...args: never[]): infer R } ? R : never;
