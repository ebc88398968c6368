/// <reference lib="esnext.disposable" preserve="true" />
import { abstractFrame, checked, describe, dtypeNumber, epoch, fail, freeHandles, reserve, scratch, SIZES, use, verbs, type Frame } from "./engine.js";
import { opError, PaxError, shown } from "./errors.js";
import type { TensorMethods } from "./ops/methods.js";
import { cast, concatenate, reshape } from "./ops/generated/rows.js";
import { wide } from "./ops/halves.js";
import { setLeafHooks, TensorBase } from "./tree/leaf.js";

export type DType = "float32" | "float64" | "float16" | "bfloat16" | "int32" | "int64" | "uint8" | "uint32" | "bool";
export type Shape = readonly number[];
export type TypedArray = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array | Uint32Array;
/** A JavaScript value that becomes a tensor without losing its kind. */
export type Scalar = number | boolean | bigint;
/** Wherever a tensor is accepted, a scalar is. */
export type TensorLike = Tensor | Scalar;
export type ArrayData = TensorLike | TypedArray | readonly ArrayData[];
export type Axis = number | readonly number[] | null;
export type Index = number | Tensor | readonly number[];
export type ReduceOptions = { readonly axis?: Axis; readonly keepdims?: boolean };
export type Nested<T> = T | readonly Nested<T>[];

/** How many elements a shape has. */
export const sizeOf = (shape: Shape): number => shape.reduce((a, b) => a * b, 1);

/** Where tensors are computed. */
export class Device {
  constructor(readonly kind: string, readonly id: number) {}
  toString(): string { return `${this.kind}:${this.id}`; }
}
export const cpu = new Device("cpu", 0);

// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the methods of rows are installed by ops/methods.ts
export interface Tensor extends TensorMethods {}

/** An n-dimensional array. Made by `np.array` and by operations, never by `new`; nobody needs to dispose it. */
export class Tensor extends TensorBase {
  declare private readonly _tensor: never; // nominal: no object literal is a Tensor
  /** @internal The engine's handle; 0 when it is gone. */
  id = 0;
  shape: Shape = [];
  dtype: DType = "float32";
  /** @internal A JavaScript number that takes the dtype of what it meets. */
  weak = false;
  /** @internal The transformation that made it, null outside of any. */
  frame: Frame | null = null;
  /** @internal Why it is gone; made when someone asks. */
  gone: (() => string) | undefined = undefined;
  /** @internal The collector frees it. */
  tracked = true;
  /** @internal The binary that its handle belongs to. */
  epoch = 0;

  /** @internal */
  fill(id: number, dtype: DType, weak: boolean, shape: Shape, frame: Frame | null): void {
    this.id = id;
    this.dtype = dtype;
    this.weak = weak;
    this.shape = shape;
    this.frame = frame;
    this.epoch = epoch;
  }

  get ndim(): number { return this.shape.length; }
  get size(): number { return sizeOf(this.shape); }
  /** Bytes of its elements. */
  get nbytes(): number { return this.size * SIZES[this.dtype]; }
  get device(): Device { return cpu; }

  /** The raw bytes of the elements in row-major order. */
  bytes(): Uint8Array {
    const handle = use(this);
    const answer = verbs.read(handle);
    if (typeof answer === "number") this.unreadable();
    return new Uint8Array(answer);
  }

  /** Throws why its value could not be read. */
  private unreadable(): never {
    const abstract = abstractFrame(this.frame);
    if (abstract === null) fail();
    verbs.lastError();
    throw new PaxError("trace", `a value was read inside \`${abstract.name}\`, where tensors have a shape and a dtype but no value: use np.where or pax.cond for a choice, return the tensor and read it outside, or pass the number in staticArgnums`);
  }

  /** The elements in row-major order; float16 and bfloat16 as Float32Array, bool as Uint8Array. Blocks. */
  dataSync(): TypedArray {
    const readable = wide(this);
    if (readable !== this) return readable.dataSync();
    const { buffer } = this.bytes();
    const type = (ARRAYS[this.dtype as keyof typeof ARRAYS] ?? Uint8Array) as new (buffer: ArrayBufferLike) => TypedArray;
    return new type(buffer);
  }

  /** As `dataSync`, without blocking the loop. */
  async data(): Promise<TypedArray> {
    const turn = verbs.turn();
    if (turn !== undefined) await turn;
    return this.dataSync();
  }

  /** The value of a tensor with one element: number, boolean for bool, bigint for int64. */
  item(): number;
  item<T extends Scalar>(): T;
  item(): Scalar {
    if (this.size !== 1) throw new PaxError("shape", `item() reads one element, this tensor has shape ${shown(this.shape)}: use toArray()`);
    if (this.dtype === "int64") return this.dataSync()[0]!;
    if (verbs.item(use(this)) < 0) this.unreadable();
    const x = scratch[0]!;
    return this.dtype === "bool" ? x !== 0 : x;
  }

  /** The elements as nested arrays. */
  toArray(): Nested<Scalar> {
    const flat: Scalar[] = Array.from(this.dataSync() as ArrayLike<number | bigint>, (x) => (this.dtype === "bool" ? x !== 0 : x));
    let at = 0;
    const build = (d: number): Nested<Scalar> => (d === this.ndim ? flat[at++]! : Array.from({ length: this.shape[d]! }, () => build(d + 1)));
    return build(0);
  }

  /** What `JSON.stringify` prints. @throws TypeError from there for int64, whose bigints JSON has not */
  toJSON(): Nested<Scalar> { return this.toArray(); }

  /** Frees the value now. For experts: what is dropped is freed anyway. */
  dispose(): void {
    if (this.id === 0) return;
    if (this.epoch === epoch) freeHandles([this.id]);
    this.id = 0;
    this.gone = undefined;
  }
  [Symbol.dispose](): void { this.dispose(); }

  [Symbol.toPrimitive](): never {
    throw new PaxError("value", "a tensor is no number or string: use methods (a.add(b), a.greater(b)), item() for its value, toString() to print it");
  }

  override toString(): string {
    const gone = this.id === 0 || this.epoch !== epoch;
    const abstract = this.frame !== null && (this.frame.ended || this.frame.abstract);
    const values = gone ? "disposed" : abstract ? "abstract" : print(this);
    return `Tensor ${this.dtype}${shown(this.shape)} ${values}`;
  }
  [Symbol.for("nodejs.util.inspect.custom")](): string { return this.toString(); }
}
Object.defineProperty(Tensor, "moduleName", { value: "Tensor" });
if (Symbol.dispose === undefined) Object.defineProperty(Symbol, "dispose", { value: Symbol.for("Symbol.dispose") });

function print(t: Tensor): string {
  const short = (x: Scalar): string => (typeof x === "number" && !Number.isInteger(x) ? String(Number(x.toPrecision(6))) : String(x));
  const show = (x: Nested<Scalar>): string => {
    if (!Array.isArray(x)) return short(x as Scalar);
    const items = x.length > 12 ? [...x.slice(0, 5).map(show), "…", ...x.slice(-5).map(show)] : x.map(show);
    return shown(items);
  };
  return show(t.toArray());
}

/** A tensor from raw bytes in row-major order. @throws PaxError `shape` if their number does not fit. */
export function tensorFromBytes(bytes: Uint8Array, dtype: DType, shape: Shape, weak = false): Tensor {
  reserve(3 + shape.length);
  scratch[0] = dtypeNumber(dtype);
  scratch[1] = weak ? 1 : 0;
  scratch[2] = shape.length;
  shape.forEach((n, d) => { scratch[3 + d] = n; });
  const t = new Tensor();
  checked(verbs.make(bytes, t));
  describe(t, 0);
  return t;
}

function fromTyped(data: TypedArray, dtype: DType, shape: Shape): Tensor {
  return tensorFromBytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), dtype, shape);
}

/** The array of each dtype that JavaScript has one for. */
const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, int64: BigInt64Array, uint8: Uint8Array, uint32: Uint32Array };

function typedDType(data: ArrayBufferView): DType {
  for (const [dtype, type] of Object.entries(ARRAYS)) if (data instanceof type) return dtype as DType;
  throw new PaxError("dtype", `a ${data.constructor.name} has no dtype here: convert it, or give the numbers with { dtype }`);
}

/** A tensor from a scalar, typed array, nested arrays or tensors. Numbers give float32, booleans bool, bigint int64. */
export function array(data: ArrayData, options: { readonly dtype?: DType } = {}): Tensor {
  const { dtype } = options;
  if (dtype !== undefined) dtypeNumber(dtype);
  const made = data instanceof Tensor ? data : ArrayBuffer.isView(data) ? fromTyped(data, typedDType(data), [data.length]) : fromNested(data as Exclude<ArrayData, TypedArray>, dtype);
  return dtype === undefined || made.dtype === dtype ? (made.weak ? cast(made, made.dtype, false) : made) : cast(made, dtype, false);
}

/** @throws PaxError `dtype` for a bigint that int64 does not hold */
export function int64(x: bigint): bigint {
  if (BigInt.asIntN(64, x) === x) return x;
  throw new PaxError("dtype", `${x} is more than int64 holds`);
}

/** Most axes of a tensor that is made of nested arrays: they are walked by recursion. */
const MOST_AXES = 64;
const tooNested = (): PaxError => new PaxError("shape", `arrays in arrays are more than ${MOST_AXES} deep, or contain themselves: a tensor has an axis for each`);

function fromNested(data: ArrayData, dtype: DType | undefined): Tensor {
  const shape: number[] = [];
  for (let x: unknown = data; Array.isArray(x) || ArrayBuffer.isView(x); x = (x as readonly unknown[])[0]) {
    if (shape.length === MOST_AXES) throw tooNested();
    shape.push((x as readonly unknown[]).length);
  }
  const flat: Scalar[] = [];
  let tensors = false;
  const walk = (x: unknown, d: number, path: string): void => {
    if (Array.isArray(x) || ArrayBuffer.isView(x)) {
      const items = x as unknown as ArrayLike<unknown>;
      if (d >= shape.length || items.length !== shape[d]) {
        throw new PaxError("shape", `a ragged array: ${path || "the data"} has ${items.length} elements, its siblings ${d < shape.length ? shape[d] : "are scalars"}`, { path });
      }
      for (let i = 0; i < items.length; i++) walk(items[i], d + 1, `${path}[${i}]`);
    } else if (x instanceof Tensor) {
      tensors = true;
    } else if (d !== shape.length) {
      throw new PaxError("shape", `a ragged array: ${path} is a scalar, its siblings have ${shape[d]} elements`, { path });
    } else if (typeof x === "number" || typeof x === "boolean" || typeof x === "bigint") {
      flat.push(typeof x === "bigint" ? int64(x) : x);
    } else {
      throw new PaxError("value", `${path || "the data"} is ${x === null ? "null" : typeof x}, not a number`, { path });
    }
  };
  walk(data, 0, "");
  if (tensors) return stackNested(data);
  const kinds = new Set(flat.map((x) => typeof x));
  if (kinds.has("bigint")) {
    if (kinds.size > 1) throw new PaxError("dtype", "bigint and other values in one array: convert them to one kind");
    return fromTyped(BigInt64Array.from(flat as bigint[]), "int64", shape);
  }
  if (kinds.size === 1 && kinds.has("boolean")) return tensorFromBytes(Uint8Array.from(flat, Number), "bool", shape);
  // Through float64 where the asked dtype has more digits than float32.
  const long = dtype !== undefined && dtype !== "float32" && dtype !== "float16" && dtype !== "bfloat16";
  return long ? fromTyped(Float64Array.from(flat, Number), "float64", shape) : fromTyped(Float32Array.from(flat, Number), "float32", shape);
}

function stackNested(data: ArrayData): Tensor {
  if (!Array.isArray(data)) return asTensor(data as TensorLike);
  const parts = (data as readonly ArrayData[]).map((x) => { const t = stackNested(x); return reshape(t, [1, ...t.shape]); });
  return concatenate(parts, 0);
}

/** @throws PaxError `value`: this is no tensor and no scalar */
export function noTensor(x: unknown, op?: string): never {
  const kind = Array.isArray(x) || ArrayBuffer.isView(x) ? "an array: np.array(…) makes a tensor of it" : x === null ? "null" : typeof x;
  throw opError("value", op, `expected a tensor or scalar, got ${kind}`);
}

/** A tensor from what may be a scalar: a number becomes a weak float32 scalar, which takes the dtype of what it meets. `op` is named by the error. */
export function asTensor(x: TensorLike, op?: string): Tensor {
  if (x instanceof Tensor) return x;
  if (typeof x === "number") return tensorFromBytes(new Uint8Array(Float32Array.of(x).buffer), "float32", [], true);
  if (typeof x === "boolean" || typeof x === "bigint") return array(x);
  return noTensor(x, op);
}

/** True for the dtypes that have gradients. */
export const isFloatDType = (dtype: DType): boolean => dtype.includes("float");

/** Indices: numbers become int32. @throws PaxError `value` for NaN or fractions, `dtype` for a float tensor. */
export function asIndex(x: Index | Nested<number>, op?: string): Tensor {
  if (x instanceof Tensor) {
    if (isFloatDType(x.dtype) || x.dtype === "bool") throw opError("dtype", op, `an index of dtype ${x.dtype}: cast it, \`i.astype("int32")\``);
    return x;
  }
  const check = (v: unknown, path: string, depth: number): void => {
    if (Array.isArray(v) && depth === MOST_AXES) throw tooNested();
    if (Array.isArray(v)) v.forEach((w, i) => check(w, `${path}[${i}]`, depth + 1));
    else if (!Number.isInteger(v)) throw opError("value", op, `index${path} is ${String(v)}, not an integer`);
  };
  check(x, "", 0);
  return array(x as ArrayData, { dtype: "int32" });
}

setLeafHooks({
  fromScalar: (x) => array(x),
  tensorsEqual: (a, b) => {
    const [x, y] = [a as Tensor, b as Tensor];
    if (x.dtype !== y.dtype || x.shape.join() !== y.shape.join()) return false;
    const [p, q] = [x.bytes(), y.bytes()];
    return p.every((v, i) => v === q[i]);
  },
});
