/** JAX's threefry2x32 in its partitionable mode: the same bits for the same key. Every draw takes a key; a key is used once. */
import { abstractFrame, frame } from "./engine.js";
import { opError, PaxError, shown } from "./errors.js";
import { keySource } from "./key-source.js";
import { axisOf, shapeOf, staticInt, stretched } from "./ops/axes.js";
import { asFloat, floatFormat, inDType } from "./ops/dtypes.js";
import * as rows from "./ops/generated/rows.js";
import { part } from "./ops/join.js";
import { searchsorted } from "./ops/order.js";
import { array, asTensor, sizeOf, Tensor, tensorFromBytes, type DType, type Shape, type TensorLike } from "./tensor.js";

type Options = { readonly dtype?: DType };
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
  if (typeof seed !== "bigint" && !Number.isInteger(seed)) throw opError("value", "key", `a seed is an integer, got ${String(seed)}`);
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
  const abstract = abstractFrame(frame);
  if (abstract !== null) {
    throw new PaxError("trace", `nextRngKey was called inside \`${abstract.name}\`, where its key would be fixed forever: pass a key as an argument, or hold a RngSeq in the module`, { op: "nextRngKey" });
  }
  if (global === null) {
    console.warn("paxjs: nextRngKey without a seed uses 42; call pax.seedRngKey(seed) first");
    global = [0, 42];
  }
  const out = threefry(global, [0, 0]);
  global = threefry(global, [0, 1]);
  return keyOf(out);
}

/** `num` new keys from a key, as an array; with a shape, e.g. `[8]`, one tensor `[...shape, 2]` of keys, to be mapped by `vmap`. */
export function split(key: Tensor, num?: number): Tensor[];
export function split(key: Tensor, shape: Shape): Tensor;
export function split(key: Tensor, num: number | Shape = 2): Tensor[] | Tensor {
  const shape = shapeOf(num, "split");
  const count = sizeOf(shape);
  const all = rows.randomSplit(key, count);
  if (typeof num !== "number") return rows.reshape(all, [...shape, 2]);
  return Array.from({ length: count }, (_, i) => rows.reshape(part(all, 0, i, i + 1), [2]));
}
function two(key: Tensor): readonly [Tensor, Tensor] {
  const [a, b] = split(key);
  return [a!, b!];
}
/** A key from a key and an integer, of which the low 32 bits count. */
export const foldIn = (key: Tensor, data: TensorLike): Tensor =>
  rows.randomFoldIn(key, typeof data === "number" ? array(staticInt(data, "the data", "foldIn") >>> 0, { dtype: "uint32" }) : data);
/** Random bits in uint32, or uint8. @throws PaxError `dtype` for others. */
export function bits(key: Tensor, shape: number | Shape = [], { dtype = "uint32" }: Options = {}): Tensor {
  if (dtype !== "uint32" && dtype !== "uint8") throw opError("dtype", "bits", `it gives uint32 or uint8, not ${dtype}`);
  return rows.randomBits(key, shapeOf(shape, "bits"), dtype === "uint8" ? "8" : "32");
}

/** Numbers from `minval` (0) up to, but not including, `maxval` (1), which broadcast to `shape`; `dtype` is a float one. */
export const uniform = (key: Tensor, shape: number | Shape = [], { dtype = "float32", minval = 0, maxval = 1 }: Options & { readonly minval?: TensorLike; readonly maxval?: TensorLike } = {}): Tensor =>
  rows.uniform(key, inDType(minval, dtype), inDType(maxval, dtype), shapeOf(shape, "uniform"), dtype);

type Draw = (key: Tensor, shape?: number | Shape, options?: Options) => Tensor;
const draw = (op: string, row: (key: Tensor, shape: Shape, dtype: DType) => Tensor): Draw => (key, shape = [], { dtype = "float32" } = {}) => row(key, shapeOf(shape, op), dtype);
/** Numbers of the normal distribution with mean 0 and variance 1, in a float dtype. */
export const normal: Draw = draw("normal", rows.normal);
/** Numbers of Laplace's distribution with mean 0 and scale 1. */
export const laplace: Draw = draw("laplace", rows.laplace);
/** Numbers of the exponential distribution with mean 1. */
export const exponential: Draw = draw("exponential", rows.exponential);
/** Numbers of Gumbel's distribution with location 0 and scale 1. */
export const gumbel: Draw = draw("gumbel", rows.gumbel);

/** Numbers of the normal distribution with mean 0 and variance 1 that lie between `lower` and `upper`. */
export const truncatedNormal = (key: Tensor, lower: number, upper: number, shape: number | Shape = [], { dtype = "float32" }: Options = {}): Tensor =>
  rows.truncatedNormal(key, lower, upper, shapeOf(shape, "truncatedNormal"), dtype);

/** True with probability `p`, which broadcasts to `shape` and is its shape unless given. */
export function bernoulli(key: Tensor, p: TensorLike = 0.5, shape?: number | Shape): Tensor {
  const chance = asTensor(p, "bernoulli");
  const dtype = floatFormat(chance.dtype) === undefined ? "float32" : chance.dtype;
  const u = uniform(key, shape ?? chance.shape, { dtype });
  return stretched(rows.less(u, p), u.shape, "bernoulli");
}

/** Least and greatest number of the dtypes that `randint` gives. */
const RANGES = { uint8: [0, 2 ** 8 - 1], int32: [-(2 ** 31), 2 ** 31 - 1], uint32: [0, 2 ** 32 - 1], int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER] } as const;

/**
 * Integers from `minval` up to, but not including, `maxval`, in int32, or uint8, uint32 or int64 as `dtype` says.
 * @throws PaxError `dtype` for others, `value` for fractions and for a span above 2^31 in int64.
 */
export function randint(key: Tensor, shape: number | Shape, minval: number, maxval: number, { dtype = "int32" }: Options = {}): Tensor {
  if (!(dtype in RANGES)) throw opError("dtype", "randint", `it gives ${Object.keys(RANGES).join(", ")}, not ${dtype}`);
  const [least, greatest] = RANGES[dtype as keyof typeof RANGES];
  const cut = (n: number, what: string): number => Math.min(Math.max(staticInt(n, what, "randint", "draw uniform() and floor it"), least), greatest);
  const [low, high] = [cut(minval, "minval"), cut(maxval, "maxval")];
  // A maxval beyond the dtype asks for its greatest number as well.
  const span = high < low || maxval <= minval ? 1 : high - low + (maxval > greatest ? 1 : 0);
  if (dtype === "int64" && span > 2 ** 31) throw opError("value", "randint", `from ${minval} to ${maxval} in int64: spans above 2^31 are not supported`);
  return rows.randint(key, low, span, shapeOf(shape, "randint"), dtype);
}

/** The slices of `x` along `axis` in random order; an integer stands for `arange`. */
export function permutation(key: Tensor, x: number | Tensor, axis = 0): Tensor {
  const at = typeof x === "number" ? 0 : axisOf(axis, x.ndim, "permutation");
  const size = typeof x === "number" ? staticInt(x, "x", "permutation") : x.shape[at]!;
  let order = typeof x !== "number" && x.ndim === 1 ? x : rows.iota([size], "int32", 0);
  const rounds = Math.ceil((3 * Math.log(Math.max(1, size))) / Math.log(2 ** 32 - 1));
  for (let i = 0; i < rounds; i++) {
    const [next, used] = two(key);
    key = next;
    order = rows.gather(order, rows.argsort([bits(used, [size])], 0), 0, 0, "clamp");
  }
  return typeof x === "number" || x.ndim === 1 ? order : rows.gather(x, order, at, 0, "clamp");
}

type Choice = { readonly replace?: boolean; readonly p?: Tensor; readonly axis?: number };
/**
 * `shape` slices of `x` along `axis` (an integer stands for `arange`): each with its probability `p`, all alike without; none twice if `replace` is false.
 * @throws PaxError `value` for more slices than there are without `replace`, `shape` if `p` does not give one probability each.
 */
export function choice(key: Tensor, x: number | Tensor, shape: number | Shape = [], { replace = true, p, axis = 0 }: Choice = {}): Tensor {
  const at = typeof x === "number" ? 0 : axisOf(axis, x.ndim, "choice");
  const size = typeof x === "number" ? staticInt(x, "x", "choice") : x.shape[at]!;
  const sizes = shapeOf(shape, "choice");
  const count = sizeOf(sizes);
  if (count > 0 && size < 1) throw opError("value", "choice", "there is nothing to choose from");
  if (!replace && count > size) throw opError("value", "choice", `${count} of ${size} without one twice`);
  if (p !== undefined && p.shape.join() !== String(size)) throw opError("shape", "choice", `p has shape ${shown(p.shape)} for ${size} slices`);
  if (count === 0) return rows.full(typeof x === "number" ? sizes : x.shape.toSpliced(at, 1, ...sizes), typeof x === "number" ? "int32" : x.dtype, 0);
  if (!replace && p === undefined) {
    const mixed = permutation(key, x, at);
    return rows.reshape(part(mixed, at, 0, count), typeof x === "number" ? sizes : x.shape.toSpliced(at, 1, ...sizes));
  }
  const index = p === undefined ? randint(key, sizes, 0, size) : replace ? drawn(key, p, sizes) : rows.reshape(part(ranked(key, p), 0, 0, count), sizes);
  return typeof x === "number" ? index : rows.gather(x, index, at, 0, "clamp");
}
/** Indices with probabilities `p`, from their running sum. */
function drawn(key: Tensor, p: Tensor, shape: Shape): Tensor {
  const sums = rows.cumsum(asFloat(p), 0, false);
  const total = rows.reshape(part(sums, 0, p.size - 1, p.size), []);
  return searchsorted(sums, rows.mul(total, rows.sub(1, uniform(key, shape, { dtype: sums.dtype }))));
}
/** All indices, the greatest `log(p)` with Gumbel noise first: in order of drawing without replacement. */
function ranked(key: Tensor, p: Tensor): Tensor {
  return rows.argsort([rows.neg(rows.add(gumbel(key, p.shape, { dtype: asFloat(p).dtype }), rows.log(p)))], 0);
}

/** int32 indices along `axis`, each with the probability that softmax gives its logit; `shape`, if given, ends with the shape of `logits` without `axis`. */
export function categorical(key: Tensor, logits: Tensor, axis = -1, shape?: number | Shape): Tensor {
  const at = axisOf(axis, logits.ndim, "categorical");
  const own = logits.shape.toSpliced(at, 1);
  const sizes = shapeOf(shape ?? own, "categorical");
  const front = sizes.slice(0, Math.max(0, sizes.length - own.length));
  if (sizes.join() !== [...front, ...own].join()) throw opError("shape", "categorical", `${shown(sizes)} does not end with ${shown(own)}, the logits without axis ${at}`);
  const noise = gumbel(key, [...front, ...logits.shape], { dtype: logits.dtype });
  return rows.argmax(rows.add(noise, logits), at + front.length);
}
