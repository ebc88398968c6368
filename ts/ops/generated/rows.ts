// Written by `npm run gen` from the table in crates/pax-core/src/ops. Do not edit.
import { bindMany, bindOne, type ProgramHandle } from "../../engine.js";
import type { DType, Tensor, TensorLike } from "../../tensor.js";

/** Hash of the manifest that these functions were written from. */
export const MANIFEST_HASH = 2355071617;

/** `a + b`, element by element; bool is or. */
export function add(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(0, [a, b]);
}

/** `a - b`, element by element; bool is exclusive or. */
export function sub(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(1, [a, b]);
}

/** `a * b`, element by element; bool is and. */
export function mul(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(2, [a, b]);
}

/** The same values in another dtype. Floats to integers truncate and saturate (NaN gives 0), integers wrap. */
export function cast(x: TensorLike, dtype: DType, weak: boolean): Tensor {
  return bindOne(3, [x], [{ dtype }, weak]);
}

/** `-x`; integers wrap. */
export function neg(x: TensorLike): Tensor {
  return bindOne(4, [x]);
}

/** The absolute value of `x`; its derivative at 0 is 1, as in JAX. The least integer stays. */
export function abs(x: TensorLike): Tensor {
  return bindOne(5, [x]);
}

/** -1, 0 or 1 as `x` is negative, zero or positive; NaN stays NaN. */
export function sign(x: TensorLike): Tensor {
  return bindOne(6, [x]);
}

/** `x * x`; integers wrap. */
export function square(x: TensorLike): Tensor {
  return bindOne(7, [x]);
}

/** `x` where it is positive, else 0; its derivative at 0 is 0. */
export function relu(x: TensorLike): Tensor {
  return bindOne(8, [x]);
}

/** The greatest whole number not above `x`; integers stay. */
export function floor(x: TensorLike): Tensor {
  return bindOne(9, [x]);
}

/** The least whole number not below `x`; integers stay. */
export function ceil(x: TensorLike): Tensor {
  return bindOne(10, [x]);
}

/** The nearest whole number, halves to the even one; integers stay. */
export function round(x: TensorLike): Tensor {
  return bindOne(11, [x]);
}

/** `x` without its fraction; integers stay. */
export function trunc(x: TensorLike): Tensor {
  return bindOne(12, [x]);
}

/** e to the power of `x`. */
export function exp(x: TensorLike): Tensor {
  return bindOne(13, [x]);
}

/** `exp(x) - 1`, precise near 0. */
export function expm1(x: TensorLike): Tensor {
  return bindOne(14, [x]);
}

/** The natural logarithm of `x`. */
export function log(x: TensorLike): Tensor {
  return bindOne(15, [x]);
}

/** `log(1 + x)`, precise near 0. */
export function log1p(x: TensorLike): Tensor {
  return bindOne(16, [x]);
}

/** The square root of `x`; its derivative at 0 is infinite. */
export function sqrt(x: TensorLike): Tensor {
  return bindOne(17, [x]);
}

/** `1 / sqrt(x)`. */
export function rsqrt(x: TensorLike): Tensor {
  return bindOne(18, [x]);
}

/** `1 / x`. */
export function reciprocal(x: TensorLike): Tensor {
  return bindOne(19, [x]);
}

/** The sine of `x` in radians. */
export function sin(x: TensorLike): Tensor {
  return bindOne(20, [x]);
}

/** The cosine of `x` in radians. */
export function cos(x: TensorLike): Tensor {
  return bindOne(21, [x]);
}

/** The tangent of `x` in radians. */
export function tan(x: TensorLike): Tensor {
  return bindOne(22, [x]);
}

/** The angle in radians whose sine is `x`. */
export function asin(x: TensorLike): Tensor {
  return bindOne(23, [x]);
}

/** The angle in radians whose cosine is `x`. */
export function acos(x: TensorLike): Tensor {
  return bindOne(24, [x]);
}

/** The angle in radians whose tangent is `x`. */
export function atan(x: TensorLike): Tensor {
  return bindOne(25, [x]);
}

/** The hyperbolic sine of `x`. */
export function sinh(x: TensorLike): Tensor {
  return bindOne(26, [x]);
}

/** The hyperbolic cosine of `x`. */
export function cosh(x: TensorLike): Tensor {
  return bindOne(27, [x]);
}

/** The hyperbolic tangent of `x`. */
export function tanh(x: TensorLike): Tensor {
  return bindOne(28, [x]);
}

/** The inverse of `sinh`. */
export function asinh(x: TensorLike): Tensor {
  return bindOne(29, [x]);
}

/** The inverse of `cosh`, for `x` of 1 and more. */
export function acosh(x: TensorLike): Tensor {
  return bindOne(30, [x]);
}

/** The inverse of `tanh`, for `x` between -1 and 1. */
export function atanh(x: TensorLike): Tensor {
  return bindOne(31, [x]);
}

/** The cube root of `x`, negative where `x` is. */
export function cbrt(x: TensorLike): Tensor {
  return bindOne(32, [x]);
}

/** The error function, `2/sqrt(pi)` times the integral of `exp(-t^2)` from 0 to `x`. */
export function erf(x: TensorLike): Tensor {
  return bindOne(33, [x]);
}

/** `1 - erf(x)`, precise where erf is near 1. */
export function erfc(x: TensorLike): Tensor {
  return bindOne(34, [x]);
}

/** The inverse of `erf`: infinite at -1 and 1, NaN beyond. */
export function erfinv(x: TensorLike): Tensor {
  return bindOne(35, [x]);
}

/** The logistic function `1 / (1 + exp(-x))`, without overflow. */
export function sigmoid(x: TensorLike): Tensor {
  return bindOne(36, [x]);
}

/** `log(1 + exp(x))`, without overflow; its derivative is the sigmoid. */
export function softplus(x: TensorLike): Tensor {
  return bindOne(37, [x]);
}

/** True where `x` is neither infinite nor NaN; integers always are. */
export function isfinite(x: TensorLike): Tensor {
  return bindOne(38, [x]);
}

/** True where `x` is NaN; integers never are. */
export function isnan(x: TensorLike): Tensor {
  return bindOne(39, [x]);
}

/** `a / b`; integers give float32. */
export function div(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(40, [a, b]);
}

/** `a` to the power of `b`. Integers wrap, and negative powers of them are cut to whole numbers. The derivative by `b` is 0 where `a` is 0. */
export function pow(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(41, [a, b]);
}

/** The angle in radians of the point with ordinate `y` and abscissa `x`. */
export function atan2(y: TensorLike, x: TensorLike): Tensor {
  return bindOne(42, [y, x]);
}

/** The greater of `a` and `b`; NaN wins. The derivative of a tie is half each. */
export function maximum(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(43, [a, b]);
}

/** The lesser of `a` and `b`; NaN wins. The derivative of a tie is half each. */
export function minimum(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(44, [a, b]);
}

/** The greatest whole number not above `a / b`. Integer division by zero gives -1. */
export function floorDivide(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(45, [a, b]);
}

/** `a - b * floor_divide(a, b)`, of the divisor's sign. An integer's remainder by zero is the dividend. */
export function remainder(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(46, [a, b]);
}

/** True where `a` and `b` are equal; NaN equals nothing. */
export function equal(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(47, [a, b]);
}

/** True where `a` and `b` differ; NaN differs from everything. */
export function notEqual(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(48, [a, b]);
}

/** True where `a` is less than `b`; false for NaN. */
export function less(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(49, [a, b]);
}

/** True where `a` is at most `b`; false for NaN. */
export function lessEqual(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(50, [a, b]);
}

/** True where `a` is greater than `b`; false for NaN. */
export function greater(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(51, [a, b]);
}

/** True where `a` is at least `b`; false for NaN. */
export function greaterEqual(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(52, [a, b]);
}

/** True where both are; numbers are true where they are not 0. */
export function logicalAnd(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(53, [a, b]);
}

/** True where either is; numbers are true where they are not 0. */
export function logicalOr(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(54, [a, b]);
}

/** True where `x` is not; numbers are true where they are not 0. */
export function logicalNot(x: TensorLike): Tensor {
  return bindOne(55, [x]);
}

/** The bits that both integers have; bool is and. */
export function bitAnd(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(56, [a, b]);
}

/** The bits that either integer has; bool is or. */
export function bitOr(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(57, [a, b]);
}

/** The bits that one of the integers has; bool is exclusive or. */
export function bitXor(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(58, [a, b]);
}

/** Every bit of an integer turned over; bool is not. */
export function bitNot(x: TensorLike): Tensor {
  return bindOne(59, [x]);
}

/** `a` with its bits `b` places up; 0 where `b` is negative or at least the width. */
export function shiftLeft(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(60, [a, b]);
}

/** `a` with its bits `b` places down, its sign kept; all sign where `b` is negative or at least the width. */
export function shiftRight(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(61, [a, b]);
}

/** `a` where `condition` is true, else `b`. NaN in what is not chosen does not matter, nor does it to the derivative. */
export function select(condition: TensorLike, a: TensorLike, b: TensorLike): Tensor {
  return bindOne(62, [condition, a, b]);
}

/** The same bits read as another dtype of the same size. */
export function bitcast(x: TensorLike, dtype: DType): Tensor {
  return bindOne(63, [x], [{ dtype }]);
}

/** `x` itself, a constant to every derivative. */
export function stopGradient(x: TensorLike): Tensor {
  return bindOne(64, [x]);
}

/** The same values in a buffer of their own. */
export function copy(x: TensorLike): Tensor {
  return bindOne(65, [x]);
}

/** `minimum(maximum(x, low), high)`; its derivative at a bound is half, as `jnp.clip`'s. */
export function clamp(x: TensorLike, low: TensorLike, high: TensorLike): Tensor {
  return bindOne(66, [x, low, high]);
}

/** `x` times the normal distribution's share below `x`; `approximate` takes tanh's formula (Hendrycks and Gimpel 2016). */
export function gelu(x: TensorLike, approximate: boolean): Tensor {
  return bindOne(67, [x], [approximate]);
}

/** `x * sigmoid(x)`. */
export function silu(x: TensorLike): Tensor {
  return bindOne(68, [x]);
}

/** `log(sigmoid(x))`, without overflow. */
export function logSigmoid(x: TensorLike): Tensor {
  return bindOne(69, [x]);
}

/** `x` between 0 and 6, else the nearer of them; its derivative is 0 at both. */
export function relu6(x: TensorLike): Tensor {
  return bindOne(70, [x]);
}

/** `x` between -1 and 1, else the nearer of them; its derivative is 1 at both. */
export function hardTanh(x: TensorLike): Tensor {
  return bindOne(71, [x]);
}

/** `x` where it is positive, else `alpha * (exp(x) - 1)`. */
export function elu(x: TensorLike, alpha: TensorLike): Tensor {
  return bindOne(72, [x, alpha]);
}

/** `x` where it is not negative, else `slope * x`. */
export function leakyRelu(x: TensorLike, slope: TensorLike): Tensor {
  return bindOne(73, [x, slope]);
}

/** `log(exp(a) + exp(b))`, without overflow. */
export function logaddexp(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(74, [a, b]);
}

/** `sqrt(a^2 + b^2)`, without overflow; infinite where one of them is. Its derivatives where both are 0 are half, as in JAX. */
export function hypot(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(75, [a, b]);
}

/** A tensor of `shape` and `dtype` whose elements are all `value`. */
export function full(shape: readonly number[], dtype: DType, value: number): Tensor {
  return bindOne(76, [], [shape, { dtype }, value]);
}

/** Repeats `x` to `shape`; axis i of `x` becomes axis `axes[i]` of the result, and has its size. */
export function broadcast(x: TensorLike, shape: readonly number[], axes: readonly number[]): Tensor {
  return bindOne(77, [x], [shape, axes]);
}

/** The same elements in row-major order under another shape. */
export function reshape(x: TensorLike, shape: readonly number[]): Tensor {
  return bindOne(78, [x], [shape]);
}

/** Axes in another order: axis i of the result is axis `permutation[i]` of `x`. */
export function transpose(x: TensorLike, permutation: readonly number[]): Tensor {
  return bindOne(79, [x], [permutation]);
}

/** Elements `start`, `start + stride`, … below `limit` along each axis: a view. */
export function slice(x: TensorLike, start: readonly number[], limit: readonly number[], stride: readonly number[]): Tensor {
  return bindOne(80, [x], [start, limit, stride]);
}

/** `x` with `value` around it (`low`, `high`; negative ones crop) and `interior` values between neighbours, as `lax.pad`. */
export function pad(x: TensorLike, value: TensorLike, low: readonly number[], high: readonly number[], interior: readonly number[]): Tensor {
  return bindOne(81, [x, value], [low, high, interior]);
}

/** The tensors `xs` behind one another along `axis`; on the other axes they agree. */
export function concatenate(xs: readonly TensorLike[], axis: number): Tensor {
  return bindOne(82, [...xs], [axis]);
}

/** A tensor of `shape` and `dtype` whose elements are their index along `axis`. */
export function iota(shape: readonly number[], dtype: DType, axis: number): Tensor {
  return bindOne(83, [], [shape, { dtype }, axis]);
}

/** `x` with `axes` back to front: a view. */
export function reverse(x: TensorLike, axes: readonly number[]): Tensor {
  return bindOne(84, [x], [axes]);
}

/** The slice of `x` of `sizes` that begins at `starts`, one integer scalar an axis; it is moved so that it lies inside, as `lax.dynamic_slice`. */
export function dynamicSlice(x: TensorLike, starts: readonly TensorLike[], sizes: readonly number[]): Tensor {
  return bindOne(85, [x, ...starts], [sizes]);
}

/** `x` with `update` in the place of the slice that begins at `starts`, one integer scalar an axis; moved inside as `dynamic_slice`. */
export function dynamicUpdateSlice(x: TensorLike, update: TensorLike, starts: readonly TensorLike[]): Tensor {
  return bindOne(86, [x, update, ...starts]);
}

/** Sum over `axes`. bool gives int32, uint8 gives uint32; half floats accumulate in float32. */
export function reduceSum(x: TensorLike, axes: readonly number[]): Tensor {
  return bindOne(87, [x], [axes]);
}

/** Greatest element over `axes`; NaN wins, ties share the gradient. */
export function reduceMax(x: TensorLike, axes: readonly number[]): Tensor {
  return bindOne(88, [x], [axes]);
}

/** Least element over `axes`; NaN wins, ties share the gradient. */
export function reduceMin(x: TensorLike, axes: readonly number[]): Tensor {
  return bindOne(89, [x], [axes]);
}

/** Where the greatest element along `axis` is, as int32: the first of equals; NaN is the greatest. */
export function argmax(x: TensorLike, axis: number): Tensor {
  return bindOne(90, [x], [axis]);
}

/** Where the least element along `axis` is, as int32: the first of equals; NaN is the least. */
export function argmin(x: TensorLike, axis: number): Tensor {
  return bindOne(91, [x], [axis]);
}

/** Where the greatest element so far along `axis` is, as int32: the first met of equals; NaN is the greatest. */
export function cumargmax(x: TensorLike, axis: number, reverse: boolean): Tensor {
  return bindOne(92, [x], [axis, reverse]);
}

/** Where the least element so far along `axis` is, as int32: the first met of equals; NaN is the least. */
export function cumargmin(x: TensorLike, axis: number, reverse: boolean): Tensor {
  return bindOne(93, [x], [axis, reverse]);
}

/** Sum so far along `axis`, from the end if `reverse`. bool gives int32, uint8 gives uint32; half floats accumulate in float32. */
export function cumsum(x: TensorLike, axis: number, reverse: boolean): Tensor {
  return bindOne(94, [x], [axis, reverse]);
}

/** Products summed over `a_contract` and `b_contract`, for each index of the batch axes; result axes: batch, rest of `a`, rest of `b`. */
export function dot(a: TensorLike, b: TensorLike, aBatch: readonly number[], bBatch: readonly number[], aContract: readonly number[], bContract: readonly number[]): Tensor {
  return bindOne(95, [a, b], [aBatch, bBatch, aContract, bContract]);
}

/** Matrix product with NumPy's rules: 1-D operands are vectors, axes in front of the last two broadcast. */
export function matmul(a: TensorLike, b: TensorLike): Tensor {
  return bindOne(96, [a, b]);
}

/** Einstein's summation, as `numpy.einsum`: `"bij,bjk->bik"`, with `...`, diagonals and an implicit result; products from left to right. */
export function einsum(operands: readonly TensorLike[], spec: string): Tensor {
  return bindOne(97, [...operands], [spec]);
}

/** Slices of `x` along `axis` at `indices`, whose axes take the place of `axis`; the first `batch` axes of both go together. A negative index counts from the end. */
export function gather(x: TensorLike, indices: TensorLike, axis: number, batch: number, outside: "clamp" | "drop"): Tensor {
  return bindOne(98, [x, indices], [axis, batch, ["clamp", "drop"].indexOf(outside)]);
}

/** Elements of `x` along `axis` at `indices`, which has `x`'s shape on all other axes. */
export function takeAlongAxis(x: TensorLike, indices: TensorLike, axis: number): Tensor {
  return bindOne(99, [x, indices], [axis]);
}

/** `x` with slices along `axis` at `indices` set to `updates` (the last one stays) or with them added, in order. The form is gather's: `updates` has its result's shape. */
export function scatter(x: TensorLike, indices: TensorLike, updates: TensorLike, axis: number, batch: number, outside: "clamp" | "drop", mode: "set" | "add"): Tensor {
  return bindOne(100, [x, indices, updates], [axis, batch, ["clamp", "drop"].indexOf(outside), ["set", "add"].indexOf(mode)]);
}

/** `x` with the least or greatest of itself and the `updates` at `indices`; the gradient of ties is split evenly. */
export function scatterExtreme(x: TensorLike, indices: TensorLike, updates: TensorLike, axis: number, batch: number, outside: "clamp" | "drop", mode: "min" | "max"): Tensor {
  return bindOne(101, [x, indices, updates], [axis, batch, ["clamp", "drop"].indexOf(outside), ["min", "max"].indexOf(mode)]);
}

/** What part of `y = scatter_extreme(x, indices, updates)` is owed to each element of `x` and of `updates`. */
export function scatterShares(x: TensorLike, indices: TensorLike, updates: TensorLike, y: TensorLike, axis: number, batch: number, outside: "clamp" | "drop"): Tensor[] {
  return bindMany(102, [x, indices, updates, y], [axis, batch, ["clamp", "drop"].indexOf(outside)]);
}

/** The indices with each that a later one repeats replaced by `size`, so that it is dropped. */
export function lastWriters(indices: TensorLike, size: number, batch: number, outside: "clamp" | "drop"): Tensor {
  return bindOne(103, [indices], [size, batch, ["clamp", "drop"].indexOf(outside)]);
}

/** The int32 order that sorts along `axis` by the first operand, ties by the next; ascending, stable, NaN last. */
export function argsort(keys: readonly TensorLike[], axis: number): Tensor {
  return bindOne(104, [...keys], [axis]);
}

/** The operands sorted together along `axis` by the first `num_keys` of them; ascending, stable, NaN last. */
export function sort(operands: readonly TensorLike[], axis: number, numKeys: number): Tensor[] {
  return bindMany(105, [...operands], [axis, numKeys]);
}

/** Where `values` would go into the ascending one-axis `sorted`, as int32: in front of equal elements, or behind them if `right`. */
export function searchsorted(sorted: TensorLike, values: TensorLike, right: boolean): Tensor {
  return bindOne(106, [sorted, values], [right]);
}

/** Cross-correlation of x [n, spatial, channels] with kernel [spatial, channels / groups, results]; 1 or 2 spatial axes, `dilation_input` spreads x. */
export function conv(x: TensorLike, kernel: TensorLike, strides: readonly number[], paddingLow: readonly number[], paddingHigh: readonly number[], dilationInput: readonly number[], dilationKernel: readonly number[], groups: number): Tensor {
  return bindOne(107, [x, kernel], [strides, paddingLow, paddingHigh, dilationInput, dilationKernel, groups]);
}

/** Cotangent of `conv`'s x, of spatial `size`, from its result's cotangent and the kernel. */
export function convInputGrad(g: TensorLike, kernel: TensorLike, strides: readonly number[], paddingLow: readonly number[], paddingHigh: readonly number[], dilationInput: readonly number[], dilationKernel: readonly number[], groups: number, size: readonly number[]): Tensor {
  return bindOne(108, [g, kernel], [strides, paddingLow, paddingHigh, dilationInput, dilationKernel, groups, size]);
}

/** Cotangent of `conv`'s kernel, of spatial `size`, from x and its result's cotangent. */
export function convKernelGrad(x: TensorLike, g: TensorLike, strides: readonly number[], paddingLow: readonly number[], paddingHigh: readonly number[], dilationInput: readonly number[], dilationKernel: readonly number[], groups: number, size: readonly number[]): Tensor {
  return bindOne(109, [x, g], [strides, paddingLow, paddingHigh, dilationInput, dilationKernel, groups, size]);
}

/** Greatest element of each window over x; padding is the least value. NaN wins; of equal ones the first in the window gets the gradient. */
export function windowMax(x: TensorLike, window: readonly number[], strides: readonly number[], paddingLow: readonly number[], paddingHigh: readonly number[]): Tensor {
  return bindOne(110, [x], [window, strides, paddingLow, paddingHigh]);
}

/** Sum of each window over x, in x's dtype; padding is 0. */
export function windowSum(x: TensorLike, window: readonly number[], strides: readonly number[], paddingLow: readonly number[], paddingHigh: readonly number[]): Tensor {
  return bindOne(111, [x], [window, strides, paddingLow, paddingHigh]);
}

/** Cotangent of `window_sum`'s x, of `shape`: the sum of the windows that cover each element. */
export function windowSumGrad(g: TensorLike, window: readonly number[], strides: readonly number[], paddingLow: readonly number[], paddingHigh: readonly number[], shape: readonly number[]): Tensor {
  return bindOne(112, [g], [window, strides, paddingLow, paddingHigh, shape]);
}

/** Cotangent of `window_max`'s x: each window's g, added to the first greatest element of the window (XLA's SelectAndScatter). */
export function windowMaxGrad(x: TensorLike, g: TensorLike, window: readonly number[], strides: readonly number[], paddingLow: readonly number[], paddingHigh: readonly number[]): Tensor {
  return bindOne(113, [x, g], [window, strides, paddingLow, paddingHigh]);
}

/** For each window the element of h where x has its first greatest one; 0 for a window of padding alone. */
export function windowMaxPick(x: TensorLike, h: TensorLike, window: readonly number[], strides: readonly number[], paddingLow: readonly number[], paddingHigh: readonly number[]): Tensor {
  return bindOne(114, [x, h], [window, strides, paddingLow, paddingHigh]);
}

/** Random bits of a key (JAX's partitionable threefry2x32). Width 8 gives uint8, 16 and 32 uint32, 64 uint32 with a last axis of high and low word. */
export function randomBits(key: TensorLike, shape: readonly number[], width: "32" | "64" | "16" | "8"): Tensor {
  return bindOne(115, [key], [shape, ["32", "64", "16", "8"].indexOf(width)]);
}

/** `num` new keys of a key: `[.., 2]` gives `[.., num, 2]`. */
export function randomSplit(key: TensorLike, num: number): Tensor {
  return bindOne(116, [key], [num]);
}

/** A new key from a key and an integer (its low 32 bits). */
export function randomFoldIn(key: TensorLike, data: TensorLike): Tensor {
  return bindOne(117, [key, data]);
}

/** Numbers from `low` up to, but not including, `high`, which broadcast to `shape`. */
export function uniform(key: TensorLike, low: TensorLike, high: TensorLike, shape: readonly number[], dtype: DType): Tensor {
  return bindOne(118, [key, low, high], [shape, { dtype }]);
}

/** Numbers of the normal distribution with mean 0 and variance 1. */
export function normal(key: TensorLike, shape: readonly number[], dtype: DType): Tensor {
  return bindOne(119, [key], [shape, { dtype }]);
}

/** Numbers of Laplace's distribution with mean 0 and scale 1. */
export function laplace(key: TensorLike, shape: readonly number[], dtype: DType): Tensor {
  return bindOne(120, [key], [shape, { dtype }]);
}

/** Numbers of the exponential distribution with mean 1. */
export function exponential(key: TensorLike, shape: readonly number[], dtype: DType): Tensor {
  return bindOne(121, [key], [shape, { dtype }]);
}

/** Numbers of Gumbel's distribution with location 0 and scale 1. */
export function gumbel(key: TensorLike, shape: readonly number[], dtype: DType): Tensor {
  return bindOne(122, [key], [shape, { dtype }]);
}

/** Numbers of the normal distribution with mean 0 and variance 1 that lie between `lower` and `upper`. */
export function truncatedNormal(key: TensorLike, lower: number, upper: number, shape: readonly number[], dtype: DType): Tensor {
  return bindOne(123, [key], [lower, upper, shape, { dtype }]);
}

/** Integers from `low` up to, but not including, `low + span`. */
export function randint(key: TensorLike, low: number, span: number, shape: readonly number[], dtype: DType): Tensor {
  return bindOne(124, [key], [low, span, shape, { dtype }]);
}

/** Sum over `axes` divided by the number of elements there; integers give float32. */
export function mean(x: TensorLike, axes: readonly number[]): Tensor {
  return bindOne(125, [x], [axes]);
}

/** Mean over `axes` of the squared distance from the mean (biased, in two passes). */
export function variance(x: TensorLike, axes: readonly number[]): Tensor {
  return bindOne(126, [x], [axes]);
}

/** `(x - mean) / sqrt(variance + eps)` over `axes` (Ba et al. 2016), without scale and offset. */
export function layerNorm(x: TensorLike, axes: readonly number[], eps: number): Tensor {
  return bindOne(127, [x], [axes, eps]);
}

/** `log(sum(exp(x)))` over `axes`, without overflow. */
export function logsumexp(x: TensorLike, axes: readonly number[]): Tensor {
  return bindOne(128, [x], [axes]);
}

/** `exp(x)` divided by its sum along `axis`. */
export function softmax(x: TensorLike, axis: number): Tensor {
  return bindOne(129, [x], [axis]);
}

/** The logarithm of `softmax` along `axis`, without its rounding. */
export function logSoftmax(x: TensorLike, axis: number): Tensor {
  return bindOne(130, [x], [axis]);
}

/** `-log_softmax(logits)` at each integer label; the classes are the last axis of `logits`. */
export function crossEntropy(logits: TensorLike, labels: TensorLike): Tensor {
  return bindOne(131, [logits, labels]);
}

/** Product over `axes`. bool gives int32, uint8 gives uint32; half floats accumulate in float32. */
export function reduceProd(x: TensorLike, axes: readonly number[]): Tensor {
  return bindOne(132, [x], [axes]);
}

/** Greatest element so far along `axis`, from the end if `reverse`; NaN wins, the first met of ties has the gradient. */
export function cummax(x: TensorLike, axis: number, reverse: boolean): Tensor {
  return bindOne(133, [x], [axis, reverse]);
}

/** Least element so far along `axis`, from the end if `reverse`; NaN wins, the first met of ties has the gradient. */
export function cummin(x: TensorLike, axis: number, reverse: boolean): Tensor {
  return bindOne(134, [x], [axis, reverse]);
}

/** Product so far along `axis`, from the end if `reverse`. bool gives int32, uint8 gives uint32; half floats accumulate in float32. */
export function cumprod(x: TensorLike, axis: number, reverse: boolean): Tensor {
  return bindOne(135, [x], [axis, reverse]);
}

/** Runs a recorded program on its inputs. */
export function call(inputs: readonly TensorLike[], program: ProgramHandle): Tensor[] {
  return bindMany(136, [...inputs], [program]);
}

/** Runs a recorded program `length` times: it takes the carry, a slice of each scanned operand and what every step sees, and gives the carry and a slice of each further result. */
export function scan(inputs: readonly TensorLike[], program: ProgramHandle, carry: number, scanned: number, length: number, reverse: boolean): Tensor[] {
  return bindMany(137, [...inputs], [program, carry, scanned, length, reverse]);
}

/** Runs the first recorded program where the condition holds, else the second. */
export function cond(condition: TensorLike, inputs: readonly TensorLike[], then: ProgramHandle, otherwise: ProgramHandle): Tensor[] {
  return bindMany(138, [condition, ...inputs], [then, otherwise]);
}

/** Repeats the recorded body on the carry as long as the recorded test gives true. */
export function whileLoop(inputs: readonly TensorLike[], test: ProgramHandle, body: ProgramHandle): Tensor[] {
  return bindMany(139, [...inputs], [test, body]);
}

/** Runs a recorded program, and again when its derivative is taken. */
export function checkpoint(inputs: readonly TensorLike[], program: ProgramHandle): Tensor[] {
  return bindMany(140, [...inputs], [program]);
}

/** The sum over the mapped axis of that name; every example gets it. */
export function psum(x: TensorLike, axis: string): Tensor {
  return bindOne(141, [x], [axis]);
}

/** The greatest over the mapped axis of that name; every example gets it. Ties share the gradient evenly. */
export function pmax(x: TensorLike, axis: string): Tensor {
  return bindOne(142, [x], [axis]);
}

/** Each example's index along the mapped axis of that name. */
export function axisIndex(axis: string): Tensor {
  return bindOne(143, [], [axis]);
}

