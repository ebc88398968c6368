/** Functions whose derivative is made otherwise: computed again, or written by the user. */
import { checked, reserve, scratch, verbs } from "../engine.js";
import { opError } from "../errors.js";
import * as rows from "../ops/generated/rows.js";
import { isFloatDType, type Tensor } from "../tensor.js";
import { pathsOf } from "../tree/flatten.js";
import { quotePath } from "../tree/path.js";
import { firstDifference, differenceError } from "../tree/structure.js";
import { flattenTensors, unflattenTree } from "./frame.js";
import { rebuilder, specOf, subProgram, type AnyFn } from "./trace.js";
import type { Args, Loose, TreeOfTensors } from "./types.js";

/**
 * A function that is computed again when its derivative is taken, instead of keeping what it computed in between, as `jax.checkpoint`.
 * State that it returns is written once, by the first run, and the second sees the same random keys.
 */
export function checkpoint<A extends Args = Tensor[], const R extends TreeOfTensors = TreeOfTensors>(fn: (...args: A) => R): (...args: Loose<A>) => R {
  return (...args) => {
    const flats = (args as readonly unknown[]).map((a) => flattenTensors(a));
    const leaves = flats.flatMap((f) => f.leaves);
    const program = subProgram("checkpoint", fn as AnyFn, leaves.map(specOf), rebuilder(flats));
    return unflattenTree(program.structure, rows.checkpoint(leaves, program)) as R;
  };
}

/** What `backward` gives for an argument: a tree like it, in which null stands for no gradient. */
type Cotangents<A extends Args> = { readonly [K in keyof A]: A[K] | null };

/**
 * A function with a derivative of your own, as `jax.custom_vjp`: `forward(...args)` gives `[value, residuals]`, `backward(residuals, cotangent)`
 * one gradient for each argument, null for none. The functions may use tensors from outside that are not being differentiated.
 * @throws PaxError `tree` where structures differ, `shape` where a gradient does not fit, `trace` for a tensor from outside that is being differentiated
 */
export function customVjp<A extends Args = Tensor[], R extends TreeOfTensors = TreeOfTensors, S = unknown>(
  fn: (...args: A) => R,
  forward: (...args: A) => readonly [value: NoInfer<R>, residuals: S],
  backward: (residuals: S, cotangent: NoInfer<R>) => readonly [...Cotangents<A>],
): (...args: Loose<A>) => R {
  return (...args) => {
    const flats = (args as readonly unknown[]).map((a) => flattenTensors(a));
    const leaves = flats.flatMap((f) => f.leaves);
    const specs = leaves.map(specOf);
    const primal = subProgram("customVjp", fn as AnyFn, specs, rebuilder(flats));
    const saved = subProgram("customVjp", forward as AnyFn, specs, rebuilder(flats));
    const [value, residuals] = saved.pair("customVjp: `forward` must return [value, residuals]");
    const found = firstDifference(primal.structure.node, value.structure.node);
    if (found !== null) throw differenceError("customVjp", found, ["in the function's value", "in that of `forward`"]);
    const floats = value.specs.map((s) => isFloatDType(s.dtype));
    const wrt: number[] = [];
    const pulled = ((...given: readonly Tensor[]) => {
      let next = residuals.specs.length;
      const cotangent = unflattenTree(value.structure, floats.map((f) => (f ? given[next++]! : null)));
      const rest = unflattenTree(residuals.structure, given.slice(0, residuals.specs.length));
      return gradientLeaves((backward as AnyFn)(rest as never, cotangent as never), flats.map((f) => pathsOf(f.structure.node)), wrt);
    }) as AnyFn;
    const program = subProgram("customVjp", pulled, [...residuals.specs, ...value.specs.filter((_, i) => floats[i])], (leaves) => leaves);
    reserve(4 + wrt.length);
    [primal.id, saved.id, program.id, wrt.length, ...wrt].forEach((x, i) => { scratch[i] = x; });
    const id = checked(verbs.customVjp());
    return unflattenTree(primal.structure, rows.call(leaves, { id })) as R;
  };
}

/** The leaves of all gradients; `wrt` gets their places among the arguments' leaves. */
function gradientLeaves(gradients: unknown, paths: readonly (readonly string[])[], wrt: number[]): Tensor[] {
  if (!Array.isArray(gradients) || gradients.length !== paths.length) {
    throw opError("value", "customVjp", `\`backward\` must return an array of ${paths.length} gradients, one for each argument (null for none)`);
  }
  const out: Tensor[] = [];
  let first = 0;
  gradients.forEach((gradient: unknown, argument) => {
    const { leaves, structure } = flattenTensors(gradient);
    pathsOf(structure.node).forEach((path, i) => {
      const at = paths[argument]!.indexOf(path);
      if (at < 0) throw opError("tree", "customVjp", `the gradient of argument ${argument} has ${quotePath(path)}, which the argument has not`, { path });
      wrt.push(first + at);
      out.push(leaves[i]!);
    });
    first += paths[argument]!.length;
  });
  return out;
}
