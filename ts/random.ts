/** JAX's threefry2x32 in its partitionable mode. */
import { frame } from "./engine.js";
import { PaxError } from "./errors.js";
import { keySource } from "./key-source.js";
import { axisOf } from "./ops/axes.js";
import * as rows from "./ops/generated/rows.js";
import { array, asTensor, Tensor, tensorFromBytes, type DType, type Shape, type TensorLike } from "./tensor.js";

type Options = { readonly dtype?: DType };
type FloatFormat = { readonly width: "8" | "16" | "32" | "64"; readonly mantissa: number; readonly tiny: number };
const FLOATS: { readonly [K in DType]?: FloatFormat } = {
  float32: { width: "32", mantissa: 23, tiny: 2 ** -126 },
  float64: { width: "64", mantissa: 52, tiny: 2 ** -1022 },
  float16: { width: "16", mantissa: 10, tiny: 2 ** -14 },
  bfloat16: { width: "8", mantissa: 7, tiny: 2 ** -126 },
};
function formatOf(dtype: DType, op: string): FloatFormat {
  const format = FLOATS[dtype];
  if (format === undefined) throw new PaxError("dtype", `${op} gives floats, not ${dtype}`, { op });
  return format;
}

const rotations = [[13, 15, 26, 6], [17, 29, 16, 24]] as const;
type Words = readonly [number, number];
function threefry([k0, k1]: Words, [c0, c1]: Words): Words {
  const ks = [k0, k1, (k0 ^ k1 ^ 0x1bd11bda) >>> 0] as const;
  let [a, b] = [(c0 + k0) >>> 0, (c1 + k1) >>> 0];
  for (let round = 0; round < 5; round++) {
    for (const r of rotations[round % 2]!) {
      a = (a + b) >>> 0;
      b = (((b << r) | (b >>> (32 - r))) ^ a) >>> 0;
    }
    a = (a + ks[(round + 1) % 3]!) >>> 0;
    b = (b + ks[(round + 2) % 3]! + round + 1) >>> 0;
  }
  return [a, b];
}

function wordsOf(seed: number | bigint): Words {
  if (typeof seed === "number" && !Number.isInteger(seed)) throw new PaxError("value", `a seed is an integer, got ${seed}`, { op: "key" });
  const bits = BigInt.asUintN(64, BigInt(seed));
  return [Number(bits >> 32n), Number(bits & 0xffffffffn)];
}
const keyOf = (words: Words): Tensor => tensorFromBytes(new Uint8Array(Uint32Array.from(words).buffer), "uint32", [2]);

/** A key from a seed: uint32 `[2]`. */
export const key = (seed: number | bigint): Tensor => keyOf(wordsOf(seed));

let global: Words | null = null;
/** Starts the global sequence of keys anew. */
export function seedRngKey(seed: number | bigint): void { global = wordsOf(seed); }
/** The next key of the global sequence. @throws PaxError `trace` where values are abstract. */
export function nextRngKey(): Tensor {
  if (keySource !== null) return keySource();
  for (let f = frame; f !== null; f = f.parent) {
    if (f.abstract) {
      throw new PaxError("trace", `nextRngKey was called inside \`${f.name}\`, where its key would be fixed forever: pass a key as an argument, or hold a RngSeq in the module`, { op: "nextRngKey" });
    }
  }
  if (global === null) {
    console.warn("paxjs: nextRngKey without a seed uses 42; call pax.seedRngKey(seed) first");
    global = [0, 42];
  }
  const out = threefry(global, [0, 0]);
  global = threefry(global, [0, 1]);
  return keyOf(out);
}

/** New keys from a key. */
export function split(key: Tensor, num = 2): Tensor[] {
  const all = rows.randomSplit(key, num);
  return Array.from({ length: num }, (_, i) => rows.reshape(rows.slice(all, [i, 0], [i + 1, 2], [1, 1]), [2]));
}
function two(key: Tensor): readonly [Tensor, Tensor] {
  const [a, b] = split(key);
  return [a!, b!];
}
/** A key from a key and an integer. */
export const foldIn = (key: Tensor, data: TensorLike): Tensor =>
  rows.randomFoldIn(key, typeof data === "number" ? array(data >>> 0, { dtype: "uint32" }) : data);
/** Random 32-bit words. */
export const bits = (key: Tensor, shape: Shape = []): Tensor => rows.randomBits(key, shape, "32");

/** A scalar in `dtype`, so that arithmetic rounds as JAX's. */
const inDType = (x: TensorLike, dtype: DType): Tensor => (typeof x === "number" ? rows.full([], dtype, x) : rows.cast(x, dtype, false));

/** Numbers in [0, 1) with all the bits that a mantissa holds. */
function unit(key: Tensor, shape: Shape, dtype: DType): Tensor {
  const { width, mantissa } = formatOf(dtype, "uniform");
  const words = rows.randomBits(key, shape, width);
  if (width === "64") {
    const word = (i: number): Tensor => rows.reshape(rows.slice(words, [...shape.map(() => 0), i], [...shape, i + 1], [...shape, 1].map(() => 1)), shape);
    const float = (x: Tensor, factor: number): Tensor => rows.mul(rows.cast(x, "float64", false), rows.full([], "float64", factor));
    return rows.add(float(word(0), 2 ** -32), float(rows.shiftRight(word(1), 12), 2 ** -52));
  }
  const kept = rows.shiftRight(words, Number(width) - mantissa);
  return rows.cast(rows.mul(rows.cast(kept, "float32", false), 2 ** -mantissa), dtype, false);
}

export function uniform(key: Tensor, shape: Shape = [], options: Options & { readonly minval?: TensorLike; readonly maxval?: TensorLike } = {}): Tensor {
  const { dtype = "float32", minval = 0, maxval = 1 } = options;
  const u = unit(key, shape, dtype);
  const low = inDType(minval, dtype);
  return rows.maximum(low, rows.add(rows.mul(u, rows.sub(inDType(maxval, dtype), low)), low));
}

export function normal(key: Tensor, shape: Shape = [], { dtype = "float32" }: Options = {}): Tensor {
  const minval = -1 + 2 ** -(formatOf(dtype, "normal").mantissa + 1);
  return rows.mul(rows.erfinv(uniform(key, shape, { dtype, minval, maxval: 1 })), inDType(Math.SQRT2, dtype));
}

/** The next number above or below `x`. */
function neighbour(x: number, direction: 1 | -1, mantissa: number): number {
  if (x === 0 || !Number.isFinite(x)) return x;
  const exponent = Math.floor(Math.log2(Math.abs(x)));
  const power = Math.abs(x) === 2 ** exponent && Math.sign(x) !== direction;
  return x + direction * 2 ** (exponent - mantissa - (power ? 1 : 0));
}

/** Standard normal numbers between `lower` and `upper`. */
export function truncatedNormal(key: Tensor, lower: number, upper: number, shape: Shape = [], { dtype = "float32" }: Options = {}): Tensor {
  const { mantissa } = formatOf(dtype, "truncatedNormal");
  const root = inDType(Math.SQRT2, dtype);
  const end = (x: number): Tensor => rows.erf(rows.div(inDType(x, dtype), root));
  const u = uniform(key, shape, { dtype, minval: end(lower), maxval: end(upper) });
  const low = inDType(neighbour(lower, 1, mantissa), dtype);
  const high = inDType(neighbour(upper, -1, mantissa), dtype);
  return rows.minimum(rows.maximum(rows.mul(root, rows.erfinv(u)), low), high);
}

/** True with probability `p`. */
export function bernoulli(key: Tensor, p: TensorLike = 0.5, shape?: Shape): Tensor {
  const chance = asTensor(p);
  const dtype = chance.dtype in FLOATS ? chance.dtype : "float32";
  return rows.less(uniform(key, shape ?? chance.shape, { dtype }), p);
}

/** Integers from `minval` up to, but not including, `maxval`. */
export function randint(key: Tensor, shape: Shape, minval: number, maxval: number, { dtype = "int32" }: Options = {}): Tensor {
  if (dtype !== "int32" && dtype !== "uint32") throw new PaxError("dtype", `randint gives int32 or uint32, not ${dtype}`, { op: "randint" });
  if (!Number.isInteger(minval) || !Number.isInteger(maxval)) throw new PaxError("value", `randint from ${minval} to ${maxval}: both must be integers`, { op: "randint" });
  const span = maxval <= minval ? 1 : Math.min(maxval - minval, 2 ** 32 - 1);
  const half = 2 ** 16 % span;
  const multiplier = (Math.imul(half, half) >>> 0) % span;
  const [high, low] = two(key);
  const word = (k: Tensor): Tensor => rows.remainder(bits(k, shape), span);
  const offset = rows.remainder(rows.add(rows.mul(word(high), multiplier), word(low)), span);
  return rows.add(rows.cast(offset, dtype, false), minval);
}

/** The slices of `x` along `axis` in random order; an integer stands for `arange`. */
export function permutation(key: Tensor, x: number | Tensor, axis = 0): Tensor {
  const at = typeof x === "number" ? 0 : axisOf(axis, x.ndim);
  const size = typeof x === "number" ? x : x.shape[at]!;
  let order = typeof x !== "number" && x.ndim === 1 ? x : rows.iota([size], "int32", 0);
  const rounds = Math.ceil((3 * Math.log(Math.max(1, size))) / Math.log(2 ** 32 - 1));
  for (let i = 0; i < rounds; i++) {
    const [next, used] = two(key);
    key = next;
    order = rows.gather(order, rows.argsort([bits(used, [size])], 0), 0, 0, "clamp");
  }
  return typeof x === "number" || x.ndim === 1 ? order : rows.gather(x, order, at, 0, "clamp");
}

export function gumbel(key: Tensor, shape: Shape = [], { dtype = "float32" }: Options = {}): Tensor {
  const u = uniform(key, shape, { dtype, minval: formatOf(dtype, "gumbel").tiny, maxval: 1 });
  return rows.neg(rows.log(rows.neg(rows.log(u))));
}

/** Indices along `axis`, each with the probability that softmax gives its logit. */
export function categorical(key: Tensor, logits: Tensor, axis = -1, shape?: Shape): Tensor {
  const at = axisOf(axis, logits.ndim);
  const front = shape === undefined ? [] : shape.slice(0, shape.length - logits.ndim + 1);
  const noise = gumbel(key, [...front, ...logits.shape], { dtype: logits.dtype });
  return rows.argmax(rows.add(noise, logits), at + front.length);
}
