/** The types that transformations share. */
import type { Scalar, Tensor } from "../tensor.js";

export type Args = readonly unknown[];
/** No promise, number or string: functions given to transformations are synchronous and give trees of tensors. */
export type TreeOfTensors = null | { toString(): string; readonly then?: undefined; readonly toFixed?: undefined; readonly charAt?: undefined };
/** No primitive has this type, every object does. Its name is the error message. */
export type ArgumentsAreTensorsUnlessStatic = { valueOf?(): object };
/**
 * What a caller may pass for a parameter declared `P`: scalars where tensors are, nothing where `P` is only scalars or strings
 * (the function would see a tensor). Both branches hold `P` itself, and there is one condition: so `M` is still assignable to `Arg<M>`.
 */
export type Arg<P> = [P] extends [Scalar | string | undefined] ? P & ArgumentsAreTensorsUnlessStatic : P | (Tensor extends P ? Scalar : never);
export type Loose<A extends Args> = { [K in keyof A]: Arg<A[K]> };
export type ToNumber<S> = S extends `${infer N extends number}` ? N : never;
/** Without its last `N` elements. */
type Drop<A extends Args, N, Seen extends Args = []> =
  number extends A["length"] ? A :
  Seen["length"] extends N ? A : Required<A> extends readonly [...infer Rest, unknown] ? Drop<Rest, N, [...Seen, unknown]> : never;
/** The position that an argument number names: negative ones count from the end. */
export type Position<A extends Args, I> = I extends number ? (`${I}` extends `-${infer N extends number}` ? Drop<A, N>["length"] : I) : never;
type Keys<A extends Args, S> = `${Position<A, S extends readonly number[] ? S[number] : S>}`;
/** As `Loose`; the positions in `S` are static and keep their type. */
export type LooseBut<A extends Args, S> = { [K in keyof A]: K extends Keys<A, S> ? A[K] : Arg<A[K]> };
/** The argument numbers of `A`: 0 | 1 | … and from the end -1 | -2 | … */
export type Positions<A extends Args> = number extends A["length"] ? number : ToNumber<keyof A | `-${Exclude<keyof A & string, "0"> | Required<A>["length"]}`>;
export type Argnums<A extends Args> = Positions<A> | readonly Positions<A>[];
/** `Exclude` and not a free conditional type: `Exclude<M, …>` may be assigned to a type parameter `M`. */
export type Grad<T> = Exclude<T, Scalar | undefined>;
export type Grads<A extends Args, I> =
  I extends readonly unknown[] ? { -readonly [K in keyof I]: Grad<A[Position<A, I[K]>]> }
  : Grad<A[Position<A, I>]>;
/** Axes for a prefix of a tree; a module of axes is what `tree.map(() => 0, model)` gives. */
export type AxisTree =
  | number | null | readonly AxisTree[] | { readonly [key: string]: AxisTree } | ReadonlyMap<unknown, AxisTree>
  | { readonly parameters: unknown; readonly update: unknown };
