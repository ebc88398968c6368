/** What NumPy writes in brackets: `x[1:3, None, i]` is `x.get(np.slice(1, 3), null, i)`, `x.at[i].add(y)` is `x.at(i).add(y)`. */
import { opError, PaxError, shown } from "../errors.js";
import { asIndex, sizeOf, type DType, type Index, type Nested, Tensor, type TensorLike } from "../tensor.js";
import { commonShape, flatUnless, staticInt, stretched } from "./axes.js";
import * as rows from "./generated/rows.js";

/** Part of an axis, Python's `start:stop:step`; made by `np.slice`. */
export class Slice {
  /** @internal */
  constructor(readonly start: number | null, readonly stop: number | null, readonly step: number) {}
}
/**
 * The elements `start`, `start + step`, … before `stop`, as Python's `start:stop:step`: null is an end that is not given, negative ends count
 * from the end of the axis, and what lies outside is cut off. As with an array's `slice`, a single number is the start.
 * @throws PaxError `value` for fractions and a step of 0.
 */
export function slice(start: number | null = null, stop: number | null = null, step: number | null = 1): Slice {
  for (const n of [start, stop]) if (n !== null) staticInt(n, "an end of the slice", "slice", "take n from i on by x.take(np.arange(n).add(i))");
  if (staticInt(step ?? 1, "the step", "slice") === 0) throw opError("value", "slice", "the step is 0");
  return new Slice(start, stop, step ?? 1);
}
/** Null in an index: a new axis of size 1. */
export const newaxis = null;

/**
 * One part of an index: an integer (negative from the end; one outside is an error) drops its axis, a `np.slice` keeps part of it, null is a new
 * axis, "..." stands for all axes not named; an integer tensor or (nested) array of integers takes the elements at these places, several of them
 * together, broadcast, as in NumPy. What an index does not name is taken whole.
 */
export type IndexPart = Slice | null | "..." | Tensor | Nested<number>;

type AxisPart =
  | { readonly kind: "int"; readonly axis: number; readonly at: number }
  | { readonly kind: "slice"; readonly axis: number; readonly start: number; readonly count: number; readonly step: number }
  | { readonly kind: "places"; readonly axis: number; readonly index: Tensor };
/** "gap" is a "..." that stands for no axis: it parts its neighbours all the same, as in NumPy. */
type Part = AxisPart | { readonly kind: "new" } | { readonly kind: "gap" };
const ofAxes = (parts: readonly Part[]): AxisPart[] => parts.flatMap((p) => (p.kind === "new" || p.kind === "gap" ? [] : [p]));

/** Python's `slice.indices`: the first element and how many there are. */
function resolved({ start, stop, step }: Slice, axis: number, size: number): Part {
  const least = step > 0 ? 0 : -1;
  const end = (n: number): number => Math.min(Math.max(n < 0 ? n + size : n, least), size + least);
  const first = start === null ? (step > 0 ? 0 : size - 1) : end(start);
  const last = stop === null ? (step > 0 ? size : -1) : end(stop);
  return { kind: "slice", axis, start: first, count: Math.max(0, Math.ceil((last - first) / step)), step };
}

/** One part for each axis of `shape`, and the new axes between them. */
function partsOf(shape: readonly number[], given: readonly IndexPart[], op: string): Part[] {
  const named = given.filter((g) => g !== null && g !== "...").length;
  const dots = given.indexOf("...");
  if (dots !== given.lastIndexOf("...")) throw opError("value", op, `an index has one "..." at most`);
  if (named > shape.length) throw opError("shape", op, `${named} indices for shape ${shown(shape)}`);
  const rest = new Array<IndexPart>(shape.length - named).fill(slice());
  const all = dots < 0 ? [...given, ...rest] : rest.length === 0 ? given : given.toSpliced(dots, 1, ...rest);
  let axis = 0;
  return all.map((g): Part => {
    if (g === null) return { kind: "new" };
    if (g === "...") return { kind: "gap" };
    const size = shape[axis]!;
    if (g instanceof Slice) return resolved(g, axis++, size);
    if (typeof g === "number") {
      const at = staticInt(g, "an index", op) < 0 ? g + size : g;
      if (at < 0 || at >= size) throw opError("value", op, `index ${g} is out of range for axis ${axis} of shape ${shown(shape)}`);
      return { kind: "int", axis: axis++, at };
    }
    if (typeof g === "boolean" || (g instanceof Tensor && g.dtype === "bool")) {
      throw opError("dtype", op, "a mask would give a shape that depends on values, and shapes are fixed when a function is traced: use np.where(mask, a, b)");
    }
    if (!(g instanceof Tensor) && !Array.isArray(g)) throw opError("value", op, `${String(g)} is no index: an integer, np.slice(…), null, "...", an integer tensor or an array of integers`);
    return { kind: "places", axis: axis++, index: asIndex(g as Index, op) };
  });
}

/** The parts with their place in the result: tensors of indices give one block of axes, where they stand side by side, else in front. */
function layout(parts: readonly Part[], op: string): { readonly shape: number[]; readonly block: number[]; readonly inFront: boolean; readonly lookups: ReadonlySet<Part> } {
  const advanced = parts.some((p) => p.kind === "places");
  // Beside a tensor of indices an integer counts as one.
  const lookups = new Set(parts.filter((p) => p.kind === "places" || (advanced && p.kind === "int")));
  const at = parts.flatMap((p, i) => (lookups.has(p) ? [i] : []));
  const inFront = at.some((i, n) => i !== at[0]! + n);
  const block = commonShape([...lookups].map((p) => (p.kind === "places" ? p.index.shape : [])), op);
  const shape = parts.flatMap((p, i) => (p.kind === "new" ? [1] : p.kind === "slice" ? [p.count] : !inFront && i === at[0] ? block : []));
  return { shape: inFront ? [...block, ...shape] : shape, block, inFront, lookups };
}

/** An integer dtype in which `size` elements can be counted and each index written. */
const counting = (size: number, ...indices: readonly Tensor[]): DType =>
  (size >= 2 ** 31 || indices.some((i) => i.dtype === "int64" || i.dtype === "uint32") ? "int64" : "int32");
const tensorsOf = (parts: Iterable<Part>): Tensor[] => [...parts].flatMap((p) => (p.kind === "places" ? [p.index] : []));

/** `x` at an index, as NumPy's `x[…]`. Places outside that a tensor or array names are moved to the edge, as in JAX. @throws PaxError `value` for an integer outside, `shape` for too many, `dtype` for a mask. */
export function get(x: Tensor, ...index: readonly IndexPart[]): Tensor {
  const parts = partsOf(x.shape, index, "get");
  const { shape, inFront, lookups } = layout(parts, "get");
  const axes = ofAxes(parts);
  // Slices, and integers as slices of one element.
  const bounds = axes.map((p): [number, number, number] => {
    if (lookups.has(p)) return [0, x.shape[p.axis]!, 1];
    if (p.kind !== "slice") return [p.kind === "int" ? p.at : 0, p.kind === "int" ? p.at + 1 : 0, 1];
    if (p.count === 0) return [0, 0, 1];
    const last = p.start + (p.count - 1) * p.step;
    return [Math.min(p.start, last), Math.max(p.start, last) + 1, Math.abs(p.step)];
  });
  let y = x;
  if (bounds.some(([start, limit, step], d) => start !== 0 || limit !== x.shape[d] || step !== 1)) {
    y = rows.slice(y, bounds.map((b) => b[0]), bounds.map((b) => b[1]), bounds.map((b) => b[2]));
  }
  const backward = axes.flatMap((p) => (p.kind === "slice" && p.step < 0 ? [p.axis] : []));
  if (backward.length > 0) y = rows.reverse(y, backward);
  if (lookups.size > 0) y = gathered(y, axes, lookups, inFront);
  return y.shape.join() === shape.join() ? y : rows.reshape(y, shape);
}

/** The elements of `y` that the lookups name; their axes, side by side, become one. */
function gathered(y: Tensor, axes: readonly AxisPart[], lookups: ReadonlySet<Part>, inFront: boolean): Tensor {
  const found = axes.filter((p) => lookups.has(p));
  const [first, ...others] = found;
  const sizes = found.map((p) => y.shape[p.axis]!);
  const size = sizeOf(sizes);
  const moved = inFront ? rows.transpose(y, [...found, ...axes.filter((p) => !lookups.has(p))].map((p) => p.axis)) : y;
  const at = inFront ? 0 : first!.axis;
  if (first!.kind === "places" && others.length === 0) return rows.gather(moved, first!.index, at, 0, "clamp");
  const dtype = counting(size, ...tensorsOf(found));
  const place = found.map((p, i) => {
    const stride = sizeOf(sizes.slice(i + 1));
    if (p.kind === "places") return rows.mul(rows.minimum(rows.maximum(fromStart(rows.cast(p.index, dtype, false), sizes[i]!), 0), sizes[i]! - 1), stride);
    return rows.full([], dtype, p.kind === "int" ? p.at * stride : 0);
  }).reduce((a, b) => rows.add(a, b));
  return rows.gather(rows.reshape(moved, moved.shape.toSpliced(at, sizes.length, size)), place, at, 0, "clamp");
}
/** Negative indices counted from the end. */
const fromStart = (index: Tensor, size: number): Tensor => rows.select(rows.less(index, 0), rows.add(index, size), index);

/** `x` at an index, to be read or written out of place, as JAX's `x.at[…]`: made by `x.at(…)`. */
export class At {
  private readonly parts: readonly Part[];
  constructor(private readonly x: Tensor, private readonly index: readonly IndexPart[]) {
    this.parts = partsOf(x.shape, index, "at");
  }

  /** The elements, as `x.get(…)`. */
  get(): Tensor { return get(this.x, ...this.index); }
  /** `x` with `values`, broadcast, in these places; of an index that comes twice the last value stays. Places outside that a tensor or array names are left out. @throws PaxError `dtype` for values that `x`'s dtype cannot hold, `shape` if they do not broadcast. */
  set(values: TensorLike): Tensor { return this.write("set", values, (x, at, v) => rows.scatter(x, at, v, 0, 0, "drop", "set")); }
  /** `x` with `values` added, an index that comes twice adding twice. Otherwise as `set`. */
  add(values: TensorLike): Tensor { return this.write("add", values, (x, at, v) => rows.scatter(x, at, v, 0, 0, "drop", "add")); }
  /** `x` with the lesser of its elements and `values`. Otherwise as `set`. */
  min(values: TensorLike): Tensor { return this.write("min", values, (x, at, v) => rows.scatterExtreme(x, at, v, 0, 0, "drop", "min")); }
  /** `x` with the greater of its elements and `values`. Otherwise as `set`. */
  max(values: TensorLike): Tensor { return this.write("max", values, (x, at, v) => rows.scatterExtreme(x, at, v, 0, 0, "drop", "max")); }

  private write(name: string, values: TensorLike, scatter: (x: Tensor, at: Tensor, values: Tensor) => Tensor): Tensor {
    const { x, parts } = this;
    const op = `at.${name}`;
    const plan = layout(parts, op);
    // Axes behind the last one that the index touches are written whole.
    const touched = 1 + Math.max(-1, ...ofAxes(parts).map((p) => (p.kind === "slice" && p.step === 1 && p.count === x.shape[p.axis] ? -1 : p.axis)));
    const rest = x.shape.slice(touched);
    const size = sizeOf(x.shape.slice(0, touched));
    const updates = stretched(inDType(values, x.dtype, op), plan.shape, op);
    const place = places(x.shape, parts, plan, touched, size);
    const y = scatter(rows.reshape(x, [size, ...rest]), place, rows.reshape(updates, [...place.shape, ...rest]));
    return rows.reshape(y, x.shape);
  }
}

/** Values as elements of a dtype. @throws PaxError `dtype` where they promote it. */
function inDType(values: TensorLike, dtype: DType, op: string): Tensor {
  if (values instanceof Tensor && values.dtype === dtype) return values;
  let promoted: Tensor;
  try {
    promoted = rows.select(true, values, rows.full([], dtype, 0));
  } catch (e) {
    throw e instanceof PaxError ? opError(e.code, op, e.message) : e;
  }
  if (promoted.dtype !== dtype) throw opError("dtype", op, `the values are ${promoted.dtype}, the tensor is ${dtype}: cast one of them, \`x.astype("${promoted.dtype}")\``);
  return promoted;
}

/** Where the first `touched` axes, as one, are written: `size` for what lies outside. */
function places(shape: readonly number[], parts: readonly Part[], { block, inFront, lookups }: ReturnType<typeof layout>, touched: number, size: number): Tensor {
  const dtype = counting(size, ...tensorsOf(parts));
  const axes = ofAxes(parts).filter((p) => p.axis < touched);
  const kept = axes.filter((p) => p.kind === "slice");
  const before = inFront ? 0 : kept.filter((p) => axes.indexOf(p) < axes.findIndex((q) => lookups.has(q))).length;
  const rank = kept.length + block.length;
  let offset = 0;
  const terms: Tensor[] = [];
  const outside: Tensor[] = [];
  let slices = 0;
  for (const p of axes) {
    const stride = sizeOf(shape.slice(p.axis + 1, touched));
    const n = shape[p.axis]!;
    if (p.kind === "int") {
      offset += p.at * stride;
    } else if (p.kind === "slice") {
      offset += p.start * stride;
      const d = slices < before ? slices : slices + block.length;
      slices += 1;
      terms.push(rows.reshape(rows.mul(rows.iota([p.count], dtype, 0), p.step * stride), [p.count, ...new Array<number>(rank - 1 - d).fill(1)]));
    } else {
      const behind = new Array<number>(rank - before - block.length).fill(1);
      const index = rows.reshape(fromStart(rows.cast(p.index, dtype, false), n), [...p.index.shape, ...behind]);
      outside.push(rows.logicalOr(rows.less(index, 0), rows.greaterEqual(index, n)));
      terms.push(rows.mul(index, stride));
    }
  }
  const inside = terms.reduce((a, b) => rows.add(a, b), rows.full([], dtype, offset));
  return outside.reduce((at, out) => rows.select(out, size, at), inside);
}

/** How `take` treats indices outside of the axis. */
export type TakeMode = "clip" | "wrap";
/** The slices of `x` along `axis` at `indices`, whose axes take its place; without an axis of the raveled tensor. Negative indices count from the end; others outside are moved to the edge, or go round with `mode` "wrap". */
export function take(x: TensorLike, indices: Index | Nested<number>, axis?: number | null, { mode = "clip" }: { readonly mode?: TakeMode } = {}): Tensor {
  const [t, at] = flatUnless(x, axis, "take");
  const index = asIndex(indices, "take");
  return rows.gather(t, mode === "wrap" ? rows.remainder(rows.cast(index, counting(t.size, index), false), t.shape[at]!) : index, at, 0, "clamp");
}
/** The elements of `x` along `axis` at `indices`, which broadcasts with `x` on the other axes; without an axis of the raveled tensor. */
export function takeAlongAxis(x: TensorLike, indices: Index | Nested<number>, axis?: number | null): Tensor {
  const [t, at] = flatUnless(x, axis, "takeAlongAxis");
  const index = asIndex(indices, "takeAlongAxis");
  if (index.ndim !== t.ndim) throw opError("shape", "takeAlongAxis", `indices of shape ${shown(index.shape)} for shape ${shown(t.shape)}: both need the same number of axes`);
  const others = commonShape([t.shape.with(at, 1), index.shape.with(at, 1)], "takeAlongAxis");
  const [wide, places] = [t, index].map((y) => stretched(y, others.with(at, y.shape[at]!), "takeAlongAxis")) as [Tensor, Tensor];
  return rows.takeAlongAxis(wide, places, at);
}
