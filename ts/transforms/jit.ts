/** Recorded programs: `jit` keeps one a key, `makeProgram` shows one. */
import { checked, collect, fail, reserve, scratch, verbs, writeHandles } from "../engine.js";
import { PaxError } from "../errors.js";
import { currentFrame } from "../module/index.js";
import type { Tensor } from "../tensor.js";
import { quotePath } from "../tree/path.js";
import { identityId } from "../tree/statics.js";
import { firstDifference, surelySame } from "../tree/structure.js";
import { flattenTensors, pathOf, unflattenTree, type AnyStructure, type Flat } from "./frame.js";
import { rebuilder, Recorded, specOf, trace, type AnyFn } from "./trace.js";
import type { Args, Argnums, Loose, LooseBut, TreeOfTensors } from "./types.js";

const list = (x: number | readonly number[] | undefined): readonly number[] => (x === undefined ? [] : typeof x === "number" ? [x] : x);

/** An argument that is part of the key by its value. */
function staticKey(x: unknown, i: number): string {
  if (typeof x === "function" || (typeof x === "object" && x !== null)) return `@${identityId(x)}`;
  if (typeof x === "symbol") throw new PaxError("value", `jit: static argument ${i} is a symbol`);
  return `${typeof x}:${Object.is(x, -0) ? "-0" : String(x)}`;
}

const KEPT = 64;
/** Retraces for the same shapes after which a warning says why. */
const RETRACES = 3;

/** The structure of a call's arguments; a static one is its key. */
type Structures = readonly (AnyStructure | string)[];

/** The program that ran last, and the structures that it ran on. */
interface Recent { readonly program: Recorded; readonly structures: Structures }

/** True only if a call has the key of the last one. */
function fits({ program, structures }: Recent, now: Structures, leaves: readonly Tensor[]): boolean {
  if (leaves.length !== program.specs.length || now.length !== structures.length) return false;
  for (const [i, b] of now.entries()) {
    const a = structures[i]!;
    if (typeof a === "string" || typeof b === "string" ? a !== b : !surelySame(a.node, b.node)) return false;
  }
  return leaves.every((t, i) => {
    const { dtype, weak, shape } = program.specs[i]!;
    return t.dtype === dtype && t.weak === weak && t.shape.length === shape.length && shape.every((n, d) => n === t.shape[d]);
  });
}

/** Where two calls with the same shapes differ, in the words of a warning. */
function change(before: Structures, now: Structures): string {
  for (const [i, b] of now.entries()) {
    const a = before[i];
    if (a === undefined || typeof a === "string" || typeof b === "string") {
      if (a !== b) return `static argument ${i} changes between calls; make it a tensor if its value is not needed while tracing`;
      continue;
    }
    const found = firstDifference(a.node, b.node);
    if (found !== null) return `${quotePath(found.path)} of argument ${i} changes between calls (${found.left}, then ${found.right}); a number that changes should be a state (\`pax.state\`)`;
  }
  return "a dtype or weakness changes between calls";
}

/** Says once that a module's tensors were captured: their values are fixed. */
function warnOfCaptured(name: string, program: Recorded, reads: ReadonlyMap<object, string>): boolean {
  const found = program.foreign.find((t) => reads.has(t));
  if (found === undefined) return false;
  console.warn(`paxjs: \`${reads.get(found)!.replace(" of ", "` of ")} came from outside of ${name}: its value is fixed when it is traced; pass the module as an argument`);
  return true;
}

/**
 * Compiles a function: recorded once for each key (structures with static attributes, shapes, dtypes, static arguments), then run as one call.
 * `staticArgnums` are passed as they are; leaves of `donateArgnums` are consumed when the call succeeds. Keeps its 64 last used programs.
 * @throws PaxError `trace` if the function reads a value or returns a Promise
 */
export function jit<A extends Args = Tensor[], const R = unknown, const S extends number | readonly number[] = never>(
  fn: (...args: A) => R & TreeOfTensors,
  options: { readonly staticArgnums?: S & Argnums<A>; readonly donateArgnums?: Argnums<A> } = {},
): (...args: LooseBut<A, S>) => R {
  const statics = list(options.staticArgnums as number | readonly number[] | undefined);
  const donated = list(options.donateArgnums as number | readonly number[] | undefined);
  const name = fn.name || "a jitted function";
  const programs = new Map<string, Recorded>();
  let [retraces, warned] = [0, false];
  let last: { readonly avals: string; readonly structures: Structures } | null = null;
  let recent: Recent | null = null;

  const record = (leaves: readonly Tensor[], flats: readonly (Flat | null)[], args: readonly unknown[]): Recorded => {
    let reads: ReadonlyMap<object, string> | null = null;
    const traced = ((...inner: never[]) => {
      reads = currentFrame()?.reads ?? null;
      return (fn as AnyFn)(...inner);
    }) as AnyFn;
    const program = trace("jit", traced, leaves.map(specOf), rebuilder(flats, args));
    if (!warned && reads !== null) warned = warnOfCaptured(name, program, reads);
    return program;
  };

  /** The program of this key, recorded if there is none. */
  const find = (leaves: readonly Tensor[], flats: readonly (Flat | null)[], structures: Structures, args: readonly unknown[]): Recorded => {
    const avals = leaves.map((t) => `${t.dtype}${t.weak ? "*" : ""}[${t.shape.join(",")}]`).join(";");
    const key = `${structures.map((s) => (typeof s === "string" ? s : s.key())).join("|")}#${avals}`;
    let program = programs.get(key);
    if (program === undefined) {
      program = record(leaves, flats, args);
      if (!program.lasting) return program;
      if (last !== null && last.avals === avals && ++retraces === RETRACES) console.warn(`paxjs: ${name} was traced ${RETRACES + 1} times for the same shapes: ${change(last.structures, structures)}`);
      last = { avals, structures };
    } else programs.delete(key);
    programs.set(key, program);
    if (programs.size > KEPT) programs.delete(programs.keys().next().value!);
    recent = { program, structures };
    return program;
  };

  const jitted = (...args: unknown[]): unknown => {
    const flats: (Flat | null)[] = args.map((a, i) => (statics.includes(i) ? null : flattenTensors(a)));
    const leaves = flats.flatMap((f) => f?.leaves ?? []);
    const structures = flats.map((f, i) => f?.structure ?? staticKey(args[i], i));
    const program = recent !== null && fits(recent, structures, leaves) ? recent.program : find(leaves, flats, structures, args);
    const out = runProgram(program, leaves);
    if (donated.length > 0) consume(name, flats, donated, new Set(program.results.flatMap((r) => ("input" in r ? [leaves[r.input]!] : []))));
    return unflattenTree(program.structure, out);
  };
  Object.defineProperty(jitted, "name", { value: fn.name });
  return jitted as (...args: LooseBut<A, S>) => R;
}

function runProgram(program: Recorded, leaves: readonly Tensor[]): Tensor[] {
  writeHandles(leaves);
  const made = collect(program.outputs, (targets) => verbs.run(program.id, targets));
  return program.results.map((r) => ("input" in r ? leaves[r.input]! : made[r.output]!));
}

/** Frees donated leaves that nothing else holds, and remembers where they went. */
function consume(name: string, flats: readonly (Flat | null)[], donated: readonly number[], kept: ReadonlySet<Tensor>): void {
  const seen = new Map<Tensor, number>();
  for (const f of flats) for (const t of f?.leaves ?? []) seen.set(t, (seen.get(t) ?? 0) + 1);
  const given: { readonly tensor: Tensor; readonly argument: number; readonly flat: Flat; readonly leaf: number }[] = [];
  for (const argument of donated) {
    const flat = flats[argument];
    flat?.leaves.forEach((tensor, leaf) => {
      if (!kept.has(tensor) && seen.get(tensor) === 1 && tensor.id !== 0) given.push({ tensor, argument, flat, leaf });
    });
  }
  reserve(1 + given.length);
  scratch[0] = given.length;
  given.forEach(({ tensor }, i) => { scratch[1 + i] = tensor.id; });
  checked(verbs.donate());
  given.forEach(({ tensor, argument, flat, leaf }, i) => {
    if (scratch[i] === 0) return;
    tensor.id = 0;
    tensor.gone = () => {
      const path = pathOf(flat.structure, leaf);
      return `this tensor was donated to ${name}, argument ${argument}${path ? `, \`${path}\`` : ""}; keep a copy with \`pax.clone\` before the call`;
    };
  });
}

/** The program that `fn` records for these arguments, for printing. */
export function makeProgram<A extends Args>(fn: (...args: A) => unknown): (...args: Loose<A>) => { toString(): string } {
  return (...args) => {
    const flats = (args as readonly unknown[]).map((a) => flattenTensors(a));
    const program = trace("makeProgram", fn as AnyFn, flats.flatMap((f) => f.leaves.map(specOf)), rebuilder(flats));
    const text = verbs.programText(program.id);
    return { toString: () => (typeof text === "string" ? text : fail()) };
  };
}
