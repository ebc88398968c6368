import type { Module } from "../module/module.js";
import type { Tensor } from "../tensor.js";
import type { Scalar, TypedArray } from "./leaf.js";

export type AnyFunction = (...args: never[]) => unknown;

/** A tree whose leaves are all tensors. */
export type TensorTree =
  | Tensor | Module | null | undefined
  | readonly TensorTree[] | { readonly [key: string]: TensorTree } | ReadonlyMap<unknown, TensorTree>;

/** A tree's leaves; `Inner` stops at `TensorTree`, whose type is recursive. */
export type LeafOf<T> =
  T extends null | undefined ? never
  : T extends Tensor | Module ? Tensor
  : T extends Scalar | TypedArray ? T
  : T extends AnyFunction | string ? never
  : T extends ReadonlyMap<unknown, infer V> ? Inner<V>
  : T extends readonly (infer E)[] ? Inner<E>
  : T extends object ? Inner<T[keyof T & (string | number)]>
  : never;
type Inner<T> = [TensorTree] extends [T] ? Tensor : LeafOf<T>;

export type MapLeaves<T, U> =
  T extends null | undefined ? null
  : T extends Tensor | Scalar | TypedArray ? U
  : T extends AnyFunction | string ? T
  : T extends Module ? (U extends Tensor ? T : { [K in keyof T]: MapLeaves<T[K], U> })
  : T extends ReadonlyMap<infer K, infer V> ? Map<K, MapLeaves<V, U>>
  : T extends object ? { [K in keyof T]: MapLeaves<T[K], U> }
  : never;

/** What a function under a transformation sees of an argument, and gives back: scalars are tensors. */
export type Traced<T> =
  T extends Tensor ? Tensor
  : T extends Module | null ? T
  : MapLeaves<T, Tensor>;
