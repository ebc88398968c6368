import { shown } from "../errors.js";

/** A JavaScript value that becomes a tensor without losing its kind. */
export type Scalar = number | boolean | bigint;
export type TypedArray = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array | Uint32Array;

/** What the tree code knows of a tensor. `Tensor` extends it, so trees need no engine. */
export abstract class TensorBase {
  abstract readonly shape: readonly number[];
  abstract readonly dtype: string;
  abstract readonly size: number;
}

export interface LeafHooks {
  /** Makes a tensor of a scalar, for `pax.state(3)`. */
  fromScalar(value: Scalar): TensorBase;
  /** Same shape, dtype and values; for `tree.equal`. */
  tensorsEqual(a: TensorBase, b: TensorBase): boolean;
}

let hooks: LeafHooks | null = null;

/** `tensor.ts` calls this once, when it is loaded. */
export function setLeafHooks(value: LeafHooks): void {
  hooks = value;
}

export const isScalar = (value: unknown): value is Scalar =>
  typeof value === "number" || typeof value === "boolean" || typeof value === "bigint";

export const isTensor = (value: unknown): value is TensorBase => value instanceof TensorBase;

const isTypedArray = (value: unknown): boolean => ArrayBuffer.isView(value) && !(value instanceof DataView);

export const isLeaf = (value: unknown): boolean => isScalar(value) || isTensor(value) || isTypedArray(value);

/** A scalar as a tensor; anything else, and everything before the engine is loaded, as it is. */
export function scalarToTensor(value: unknown): unknown {
  return hooks !== null && isScalar(value) ? hooks.fromScalar(value) : value;
}

export function leavesEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (isTensor(a) && isTensor(b)) return hooks !== null && hooks.tensorsEqual(a, b);
  if (!isTypedArray(a) || !isTypedArray(b)) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  const [x, y] = [a as TypedArray, b as TypedArray];
  if (x.length !== y.length) return false;
  for (let i = 0; i < x.length; i++) if (!Object.is(x[i], y[i])) return false;
  return true;
}

/** A leaf in the words of an error: `float32[2, 3]`, `number`, `Float32Array`. */
export function describeLeaf(value: unknown): string {
  if (isTensor(value)) return `${value.dtype}${shown(value.shape)}`;
  if (ArrayBuffer.isView(value)) return value.constructor.name;
  return typeof value;
}
