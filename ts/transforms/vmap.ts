/** Mapping a function over an axis of its arguments. */
import { collect, reserve, scratch, use, verbs, writeText } from "../engine.js";
import { opError, PaxError, shown } from "../errors.js";
import { moveaxis } from "../ops/shape.js";
import type { Tensor } from "../tensor.js";
import { flattenTensors, pathOf, unflattenTree } from "./frame.js";
import { assertFunction } from "./given.js";
import { rebuilder, specOf, trace, type AnyFn, type Recorded } from "./trace.js";
import type { Args, AxisTree, Loose, TreeOfTensors } from "./types.js";

/** The axis of each leaf of `tree`, from a prefix of it. */
function axesOf(name: string, spec: AxisTree, tree: unknown, path = ""): (number | null)[] {
  if (spec === null || typeof spec === "number") return flattenTensors(tree).leaves.map(() => spec);
  const children = tree as Record<string, unknown> & readonly unknown[];
  if (Array.isArray(spec)) {
    if (!Array.isArray(tree) || tree.length !== spec.length) throw new PaxError("tree", `vmap: ${name}${path} has ${spec.length} axes for ${Array.isArray(tree) ? `${tree.length} elements` : "no array"}`, { path });
    return spec.flatMap((s: AxisTree, i) => axesOf(name, s, children[i], `${path}[${i}]`));
  }
  return Object.keys(spec).sort().flatMap((k) => axesOf(name, (spec as Record<string, AxisTree>)[k]!, children[k], `${path}.${k}`));
}

export interface VmapOptions<A extends Args> {
  readonly inAxes?: number | null | NoInfer<{ readonly [K in keyof A]: AxisTree }>;
  readonly outAxes?: AxisTree;
  /** The name by which collectives call the axis. */
  readonly axisName?: string;
}

/**
 * Maps a function over an axis: `inAxes` says which axis of each argument (null: the same for all), `outAxes` where it goes in the results
 * (null: a result that is the same for all), `axisName` what collectives call it.
 * @throws PaxError `shape` if the mapped axes differ in size, `trace` if a result with the out axis null depends on a mapped argument
 */
export function vmap<A extends Args = Tensor[], const R = unknown>(fn: (...args: A) => R & TreeOfTensors, options: VmapOptions<A> = {}): (...args: Loose<A>) => R {
  assertFunction("vmap", fn);
  const inAxes = (options.inAxes === undefined ? 0 : options.inAxes) as AxisTree;
  const outAxes = options.outAxes === undefined ? 0 : options.outAxes;
  const mapped = (...args: unknown[]): unknown => {
    const flats = args.map((a) => flattenTensors(a));
    const leaves = flats.flatMap((f) => f.leaves);
    const given = Array.isArray(inAxes) ? axesOf("inAxes", inAxes, args) : leaves.map(() => inAxes as number | null);
    let size = -1;
    const axes = leaves.map((t, i) => {
      const axis = given[i] ?? null;
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
    const tree = unflattenTree(program.structure, program.results.map((r) => ("input" in r ? leaves[r.input]! : leaves[0]!)));
    const wanted = typeof outAxes === "number" || outAxes === null ? program.results.map(() => outAxes) : axesOf("outAxes", outAxes, tree);
    return unflattenTree(program.structure, runBatch(program, leaves, axes, size, wanted, options.axisName ?? ""));
  };
  Object.defineProperty(mapped, "name", { value: fn.name });
  return mapped as (...args: Loose<A>) => R;
}

/** Stands for null among result axes, which may be negative. */
const NO_AXIS = -1000;

function runBatch(program: Recorded, leaves: readonly Tensor[], axes: readonly number[], size: number, wanted: readonly (number | null)[], name: string): Tensor[] {
  const places = program.results.map((r, i) => {
    const axis = wanted[i]!;
    if ("input" in r) return axes[r.input] === -1 && axis === null ? null : axis;
    return axis;
  });
  // An input that is returned as it came needs no program: its axis is moved by the engine as a result's is.
  const outs: number[] = [];
  const origin: number[] = [];
  program.results.forEach((r, i) => { if ("output" in r) { outs[r.output] = places[i] ?? NO_AXIS; origin[r.output] = i; } });
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
    const t = leaves[r.input]!;
    const from = axes[r.input]!;
    const to = places[i];
    if (from === -1) {
      if (to === null) return t;
      throw new PaxError("value", "vmap: an argument that is not mapped was returned as it came: give its outAxes null");
    }
    if (to === null || to === undefined) throw dependent(program, i);
    return from === to ? t : moveaxis(t, from, to);
  });
}

function dependent(program: Recorded, result: number): PaxError {
  const path = pathOf(program.structure, result);
  return opError("trace", "vmap", `${path ? `\`${path}\` of the result` : "the result"} depends on a mapped argument, so its outAxes cannot be null: map it, or make it the same for all examples (\`crossReplicaAxis\` of BatchNorm averages over them, \`eval()\` keeps its state)`, { path });
}
