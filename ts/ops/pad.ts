/** Padding, with NumPy's modes. */
import { opError, shown } from "../errors.js";
import { asIndex, asTensor, type Tensor, type TensorLike } from "../tensor.js";
import { staticInt } from "./axes.js";
import { inDType } from "./dtypes.js";
import * as rows from "./generated/rows.js";

/** One width for all sides, one pair (before, after) for all axes, or a pair per axis. */
export type PadWidth = number | readonly [number, number] | readonly (readonly [number, number])[];
export type PadMode = "constant" | "edge" | "reflect" | "symmetric" | "wrap";

function pairsOf(width: PadWidth, shape: readonly number[]): (readonly [number, number])[] {
  const given = typeof width !== "object" || width === null ? [[width, width]] : typeof width[0] === "number" ? [width] : width;
  return shape.map((_, d) => {
    const own = given.length === 1 ? given[0] : given[d];
    if (!Array.isArray(own) || own.length !== 2 || given.length > Math.max(1, shape.length)) throw opError("shape", "pad", `widths ${JSON.stringify(width)} for shape ${shown(shape)}: one number, one pair, or a pair per axis`);
    const [low, high] = own.map((n) => staticInt(n, "a width", "pad")) as [number, number];
    if (low < 0 || high < 0) throw opError("value", "pad", `the widths ${shown([low, high])} of axis ${d} must not be negative: slice to make it smaller`);
    return [low, high] as const;
  });
}

const modulo = (i: number, n: number): number => ((i % n) + n) % n;
/** Which of `n` elements stands at place `i`, which may be outside. */
const places: Record<Exclude<PadMode, "constant">, (i: number, n: number) => number> = {
  edge: (i, n) => Math.min(Math.max(i, 0), n - 1),
  wrap: modulo,
  reflect: (i, n) => (n === 1 ? 0 : n - 1 - Math.abs(n - 1 - modulo(i, 2 * n - 2))),
  symmetric: (i, n) => Math.min(modulo(i, 2 * n), 2 * n - 1 - modulo(i, 2 * n)),
};

/**
 * `x` with more elements around it: `constantValues` in mode "constant"; the nearest element in "edge"; mirrored without the edge
 * in "reflect", with it in "symmetric"; from the other end in "wrap", as `numpy.pad`.
 * @throws PaxError `shape` for widths that do not fit the axes, `value` for negative ones and for an empty axis without a constant.
 */
export function pad(x: TensorLike, width: PadWidth, mode: PadMode = "constant", { constantValues = 0 }: { readonly constantValues?: TensorLike } = {}): Tensor {
  const t = asTensor(x, "pad");
  const pairs = pairsOf(width, t.shape);
  if (mode === "constant") return rows.pad(t, t.dtype === "bool" ? inDType(constantValues, "bool") : constantValues, pairs.map((p) => p[0]), pairs.map((p) => p[1]), pairs.map(() => 0));
  const place = places[mode];
  if (place === undefined) throw opError("value", "pad", `there is no mode "${String(mode)}": one of constant, ${Object.keys(places).join(", ")}`);
  return pairs.reduce((y, [low, high], d) => {
    const n = y.shape[d]!;
    if (low + high === 0) return y;
    if (n === 0) throw opError("value", "pad", `axis ${d} of shape ${shown(t.shape)} is empty: there is nothing to repeat in mode "${mode}"`);
    return rows.gather(y, asIndex(Array.from({ length: low + n + high }, (_, i) => place(i - low, n))), d, 0, "clamp");
  }, t);
}
