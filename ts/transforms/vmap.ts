/** Mapping a function over an axis of its arguments. */
import { collect, reserve, scratch, use, verbs, writeText } from "../engine.js";
import { opError, PaxError, shown, type ErrorCode } from "../errors.js";
import { isModule, slotOf, valueOf } from "../module/instance.js";
import { broadcastTo, moveaxis } from "../ops/shape.js";
import type { Tensor } from "../tensor.js";
import { stepOf, type Node } from "../tree/flatten.js";
import { formatPath, MapKey, quotePath, type Step } from "../tree/path.js";
import { customNode } from "../tree/register.js";
import { showStatic } from "../tree/statics.js";
import { leavesOf } from "../tree/structure.js";
import { flattenTensors, pathOf, unflattenTree } from "./frame.js";
import { assertFunction } from "./given.js";
import { rebuilder, specOf, trace, type AnyFn, type Recorded } from "./trace.js";
import type { Args, AxisTree, Loose, TreeOfTensors } from "./types.js";

/** What a spec says of each key. */
function partsOf(spec: object): ReadonlyMap<unknown, unknown> {
  if (spec instanceof Map) return spec;
  if (isModule(spec)) {
    const slot = slotOf(spec);
    return new Map(Array.from(slot.values.keys(), (name) => [name, valueOf(slot, name)]));
  }
  const items = Array.isArray(spec) ? spec : customNode(Object.getPrototypeOf(spec) as object)?.flatten(spec)[0];
  return new Map<unknown, unknown>(items?.entries() ?? Object.entries(spec));
}

/** The axis of each leaf of a node, from a prefix of its tree, which is matched by key. */
function axesOf(option: string, spec: unknown, node: Node, steps: readonly Step[] = []): (number | null)[] {
  if (spec === null || Number.isInteger(spec)) return Array<number | null>(leavesOf(node)).fill(spec as number | null);
  const error = (code: ErrorCode, says: string, at = steps, more = ""): PaxError => {
    const path = formatPath(at);
    return opError(code, "vmap", `${option} ${says} ${quotePath(path)}${more}`, { path });
  };
  if (typeof spec !== "object" || node.type === "leaf") throw error("value", `has ${showStatic(spec)} for`, steps, ": an axis is a whole number, or null for none");
  const parts = new Map(partsOf(spec));
  const axes = node.type === "null" ? [] : node.children.flatMap((child, i) => {
    const step = stepOf(node, i);
    const key = step instanceof MapKey ? step.key : step;
    if (!parts.has(key)) throw error("tree", "has no axis for", [...steps, step]);
    const axes = axesOf(option, parts.get(key), child, [...steps, step]);
    parts.delete(key);
    return axes;
  });
  for (const key of parts.keys()) throw error("tree", "has an axis for", [...steps, typeof key === "string" || typeof key === "number" ? key : new MapKey(key)], ", which is not there");
  return axes;
}

export interface VmapOptions<A extends Args> {
  readonly inAxes?: number | null | NoInfer<{ readonly [K in keyof A]: AxisTree }>;
  readonly outAxes?: AxisTree;
  /** The name by which collectives call the axis. */
  readonly axisName?: string;
}

/**
 * Maps a function over an axis: `inAxes` says which axis of each argument (null: the same for all), `outAxes` where it goes in the results
 * (null: a result that is the same for all), `axisName` what collectives call it. Both may be prefixes of the trees, which are matched by key.
 * @throws PaxError `tree`, with the path, if a prefix has other keys, `value` for what is no axis, `shape` if the mapped axes differ in size, `trace` if a result with the out axis null depends on a mapped argument
 */
export function vmap<A extends Args = Tensor[], const R extends TreeOfTensors = TreeOfTensors>(fn: (...args: A) => R, options: VmapOptions<A> = {}): (...args: Loose<A>) => R {
  assertFunction("vmap", fn);
  const { inAxes = 0, outAxes = 0 } = options;
  const mapped = (...args: unknown[]): unknown => {
    const flats = args.map((a) => flattenTensors(a));
    const leaves = flats.flatMap((f) => f.leaves);
    const given = axesOf("inAxes", inAxes, { type: "array", children: flats.map((f) => f.structure.node) });
    let size = -1;
    const axes = leaves.map((t, i) => {
      const axis = given[i]!;
      if (axis === null) return -1;
      const at = axis < 0 ? axis + t.ndim : axis;
      if (at < 0 || at >= t.ndim) throw new PaxError("shape", `vmap: axis ${axis} of an argument of shape ${shown(t.shape)}`);
      if (size >= 0 && t.shape[at] !== size) throw new PaxError("shape", `vmap: mapped axes have sizes ${size} and ${t.shape[at]}`);
      size = t.shape[at]!;
      return at;
    });
    if (size < 0) throw new PaxError("value", "vmap: no argument is mapped: give inAxes a number for at least one");
    const specs = leaves.map((t, i) => ({ ...specOf(t), shape: t.shape.filter((_, d) => d !== axes[i]) }));
    const program = trace("vmap", fn as AnyFn, specs, rebuilder(flats), options.axisName ?? null);
    const wanted = axesOf("outAxes", outAxes, program.structure.node);
    return unflattenTree(program.structure, runBatch(program, leaves, axes, size, wanted, options.axisName ?? ""));
  };
  Object.defineProperty(mapped, "name", { value: fn.name });
  return mapped as (...args: Loose<A>) => R;
}

/** Stands for null among result axes, which may be negative. */
const NO_AXIS = -1000;

function runBatch(program: Recorded, leaves: readonly Tensor[], axes: readonly number[], size: number, wanted: readonly (number | null)[], name: string): Tensor[] {
  // An input that is returned as it came needs no program: its axis is moved by the engine as a result's is.
  const outs: number[] = [];
  const origin: number[] = [];
  program.results.forEach((r, i) => { if ("output" in r) { outs[r.output] = wanted[i] ?? NO_AXIS; origin[r.output] = i; } });
  let at = 0;
  reserve(2 + 2 * leaves.length + outs.length);
  scratch[at++] = leaves.length;
  leaves.forEach((t, i) => { scratch[at++] = use(t); scratch[at++] = axes[i]!; });
  scratch[at++] = outs.length;
  for (const o of outs) scratch[at++] = o;
  writeText(at, name);
  const made = collect(outs.length, (targets) => verbs.batch(program.id, size, ...targets), (i, wrong) => { if (wrong !== 0) throw dependent(program, origin[i]!); });
  return program.results.map((r, i) => {
    if ("output" in r) return made[r.output]!;
    const [t, from, to] = [leaves[r.input]!, axes[r.input]!, wanted[i]!];
    if (to === null) {
      if (from >= 0) throw dependent(program, i);
      return t;
    }
    return from < 0 ? moveaxis(broadcastTo(t, [size, ...t.shape]), 0, to) : from === to ? t : moveaxis(t, from, to);
  });
}

function dependent(program: Recorded, result: number): PaxError {
  const path = pathOf(program.structure, result);
  return opError("trace", "vmap", `${path ? `\`${path}\` of the result` : "the result"} depends on a mapped argument, so its outAxes cannot be null: map it, or make it the same for all examples (\`crossReplicaAxis\` of BatchNorm averages over them, \`eval()\` keeps its state)`, { path });
}
