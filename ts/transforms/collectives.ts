/** Sums and more over an axis that `vmap` or `pmap` maps, by its name. */
import { frame } from "../engine.js";
import { opError, shown } from "../errors.js";
import * as rows from "../ops/generated/rows.js";
import { devices } from "../runtime.js";
import type { Tensor } from "../tensor.js";
import * as tree from "../tree/index.js";
import { flattenTensors } from "./frame.js";
import { jit } from "./jit.js";
import { vmap, type VmapOptions } from "./vmap.js";
import type { Args, Argnums, Loose, TreeOfTensors } from "./types.js";

function bound(op: string, axisName: string): void {
  const names: string[] = [];
  for (let f = frame; f !== null; f = f.parent) {
    if (f.axis === axisName) return;
    if (f.axis !== null) names.push(`"${f.axis}"`);
  }
  throw opError("trace", op, `no axis is named "${axisName}" here${names.length > 0 ? ` (there is ${names.join(", ")})` : ""}: map over it with vmap(fn, { axisName: "${axisName}" }) or pmap`);
}

function collective(op: string, row: (x: Tensor, axis: string) => Tensor) {
  return <T>(value: T, axisName: string): T => {
    bound(op, axisName);
    return tree.map((x: Tensor) => row(x, axisName), value as never) as T;
  };
}

/** The sum of each leaf over the mapped axis of that name. @throws PaxError `trace` where there is none */
export const psum = collective("psum", (x, axis) => rows.psum(x, axis));
/** The mean of each leaf over the mapped axis of that name. @throws PaxError `trace` where there is none */
export const pmean = collective("pmean", (x, axis) => rows.div(rows.psum(x, axis), rows.psum(1, axis)));
/** The greatest of each leaf over the mapped axis of that name. @throws PaxError `trace` where there is none */
export const pmax = collective("pmax", (x, axis) => rows.pmax(x, axis));
/** Each example's index along the mapped axis of that name: int32. @throws PaxError `trace` where there is none */
export function axisIndex(axisName: string): Tensor {
  bound("axisIndex", axisName);
  return rows.axisIndex(axisName);
}

/**
 * Runs a function once on each device, over a leading axis of that size, as `jax.pmap`: compiled, with collectives by `axisName`.
 * @throws PaxError `shape` if a mapped axis is not as long as there are devices
 */
export function pmap<A extends Args = Tensor[], const R extends TreeOfTensors = TreeOfTensors>(
  fn: (...args: A) => R, options: VmapOptions<A> & { readonly donateArgnums?: Argnums<A> } = {},
): (...args: Loose<A>) => R {
  const { donateArgnums, ...mapping } = options;
  const inner = vmap(fn, mapping) as (...args: never[]) => R;
  const run = jit(inner as never, donateArgnums === undefined ? {} : { donateArgnums: donateArgnums as never }) as (...args: unknown[]) => R;
  return (...args) => {
    const given: readonly unknown[] = Array.isArray(mapping.inAxes) ? mapping.inAxes : args.map(() => mapping.inAxes ?? 0);
    const count = devices().length;
    given.forEach((axis, i) => {
      if (typeof axis !== "number") return;
      for (const t of flattenTensors(args[i]).leaves) {
        if (t.shape.at(axis) !== count) throw opError("shape", "pmap", `axis ${axis} of argument ${i} has size ${t.shape.at(axis) ?? "none"} in shape ${shown(t.shape)}, but there ${count === 1 ? "is 1 device" : `are ${count} devices`}: reshape it to [${count}, …]`);
      }
    });
    return run(...args);
  };
}
