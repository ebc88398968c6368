/** Recording functions as programs: what `jit`, `vmap` and the rows that own programs share. */
import { checked, scratch, verbs, writeHandles, type Frame } from "../engine.js";
import { PaxError } from "../errors.js";
import type { Tensor } from "../tensor.js";
import { warnOfDropped } from "./dropped.js";
import { call, flattenTensors, inFrame, readInputs, unflattenTree, writeSpecs, type AnyStructure, type Flat, type Spec } from "./frame.js";

export type AnyFn = (...args: never[]) => unknown;

/** A program whose results are in its outputs, those that are inputs left out. */
export class Recorded {
  constructor(
    readonly id: number,
    readonly structure: AnyStructure,
    /** For each result: its index among the program's outputs, or of the input that it is. */
    readonly results: readonly ({ readonly output: number } | { readonly input: number })[],
    /** What is known of each output. Tensors share the shapes. */
    readonly outputs: readonly Spec[],
    /** It captured nothing of an open level, so it may be kept. */
    readonly lasting: boolean,
    readonly specs: readonly Spec[],
    /** Tensors from outside that it captured. */
    readonly foreign: readonly Tensor[],
  ) {}
}

/** A program that another owns: its outputs are its results. */
export class SubProgram {
  constructor(readonly id: number, readonly structure: AnyStructure, readonly specs: readonly Spec[]) {}

  /** The parts of a result that is an array of two. @throws PaxError `value` if it is not; `what` says what the function has to return. */
  pair(what: string): readonly [Part, Part] {
    const children = this.structure.node.type === "array" ? this.structure.children() : [];
    let next = 0;
    const [a, b] = children.map((structure): Part => ({ structure, specs: this.specs.slice(next, (next += structure.numLeaves)) }));
    if (a === undefined || b === undefined || children.length !== 2) throw new PaxError("value", what);
    return [a, b];
  }
}
export interface Part { readonly structure: AnyStructure; readonly specs: readonly Spec[] }

export const specOf = (t: Tensor): Spec => ({ shape: t.shape, dtype: t.dtype, weak: t.weak });

/** A call's arguments with other leaves; those that are null stay as they are. */
export function rebuilder(flats: readonly (Flat | null)[], args: readonly unknown[] = []): (leaves: readonly Tensor[]) => unknown[] {
  return (leaves) => {
    let next = 0;
    return flats.map((f, i) => (f === null ? args[i] : unflattenTree(f.structure, f.leaves.map(() => leaves[next++]!))));
  };
}

/** Runs `fn` on inputs known by shape and dtype, and ends the recording with the results that `pick` names. */
function record<P extends object>(
  name: string, fn: AnyFn, specs: readonly Spec[], rebuild: (leaves: Tensor[]) => unknown[], axis: string | null,
  finish: (out: Flat, inputs: readonly Tensor[], here: Frame, end: (returned: readonly Tensor[]) => number) => P & { readonly id: number },
): P {
  writeSpecs(specs);
  return inFrame(name, true, () => { checked(verbs.beginAbstract()); }, (here) => {
    const inputs = readInputs(specs.length);
    const raw = call(name, fn, rebuild(inputs));
    if (typeof raw === "number" || typeof raw === "string") throw new PaxError("value", `the function given to \`${name}\` returned a ${typeof raw}: return tensors`);
    const out = flattenTensors(raw);
    warnOfDropped(name, out.leaves);
    const program = finish(out, inputs, here, (returned) => {
      writeHandles(returned);
      return checked(verbs.endAbstract());
    });
    checked(verbs.track(program.id, 1024, program));
    return program;
  }, axis);
}

/** Records `fn`. `rebuild` makes its arguments from the abstract leaves. */
export function trace(name: string, fn: AnyFn, specs: readonly Spec[], rebuild: (leaves: Tensor[]) => unknown[], axis: string | null = null): Recorded {
  return record(name, fn, specs, rebuild, axis, (out, inputs, here, end) => {
    const returned: Tensor[] = [];
    const results = out.leaves.map((t) => {
      const input = inputs.indexOf(t);
      if (input >= 0) return { input };
      returned.push(t);
      return { output: returned.length - 1 };
    });
    const outputs = returned.map(specOf);
    for (const { shape } of outputs) Object.freeze(shape);
    const id = end(returned);
    const [lasting, captured] = [scratch[0] === 1, scratch[1]!];
    const outside = (t: Tensor): boolean => { for (let f = here.parent; f !== null; f = f.parent) if (f === t.frame) return true; return t.frame === null; };
    const foreign = captured === 0 ? [] : [...here.foreign ?? [], ...returned].filter(outside);
    return new Recorded(id, out.structure, results, outputs, lasting, specs, foreign);
  });
}

/** Records a function that a row will own. */
export function subProgram(name: string, fn: AnyFn, specs: readonly Spec[], rebuild: (leaves: Tensor[]) => unknown[]): SubProgram {
  return record(name, fn, specs, rebuild, null, (out, _inputs, _here, end) => {
    const specs = out.leaves.map(specOf);
    const id = end(out.leaves);
    return new SubProgram(id, out.structure, specs);
  });
}
