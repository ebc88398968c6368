/** Recorded programs: `jit` keeps one a key, `makeProgram` shows one. */
import { checked, epoch, fail, fill, frame, reserve, sameEpoch, scratch, targetsOf, verbs, writeHandles } from "../engine.js";
import { currentFrame } from "../module/index.js";
import type { Tensor } from "../tensor.js";
import { buildNode } from "../tree/flatten.js";
import { copyOf, follow, sameStatic, snapshot } from "../tree/follow.js";
import { staticKey } from "../tree/statics.js";
import { flattenTensors, leafTensor, type Flat, type Spec } from "./frame.js";
import { argumentNumbers, assertFunction } from "./given.js";
import { difference, placeOf, sameSpec, TraceLog, type Key } from "./retrace.js";
import { rebuilder, Recorded, specOf, trace, type AnyFn } from "./trace.js";
import type { Args, Argnums, Loose, LooseBut, TreeOfTensors } from "./types.js";

const KEPT = 64;

/** A program with the key that it is kept under, and the leaves that a call consumes, with what says so: donated ones that are no results. */
interface Kept extends Key { readonly program: Recorded; readonly donates: readonly (readonly [leaf: number, gone: () => string])[] }

/** Says where a leaf went. It holds no tensor: one that outlives a call would keep those of every later call. */
const donatedTo = (name: string, key: Key, leaf: number) => (): string => {
  const { argument, path } = placeOf(key, leaf);
  return `this tensor was donated to ${name}, argument ${argument}${path ? `, \`${path}\`` : ""}; keep a copy with \`pax.clone\` before the call`;
};

/** A call's leaves, if it has the key of `kept`. Null if it may have another one. */
function fits({ nodes, statics, specs }: Kept, args: readonly unknown[]): readonly Tensor[] | null {
  if (args.length !== nodes.length) return null;
  const leaves: unknown[] = [];
  for (let i = 0; i < nodes.length; i++) {
    const node = nodes[i]!;
    if (node === null ? !sameStatic(statics[i], args[i]) : !follow(node, args[i], leaves)) return null;
  }
  for (let i = 0; i < leaves.length; i++) {
    const t = leafTensor(leaves[i]);
    if (!sameSpec(t, specs[i]!)) return null;
    leaves[i] = t;
  }
  return leaves as Tensor[];
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
 * `staticArgnums` are passed as they are, and compared as static attributes; leaves of `donateArgnums` are consumed when the call succeeds.
 * Negative numbers count from the end. Keeps its 64 last used programs.
 * @throws PaxError `trace` if the function reads a value or returns a Promise, `value` for a number that names no argument or one again
 */
export function jit<A extends Args = Tensor[], const R extends TreeOfTensors = TreeOfTensors, const S extends number | readonly number[] = never>(
  fn: (...args: A) => R,
  options: { readonly staticArgnums?: S & Argnums<A>; readonly donateArgnums?: Argnums<A> } = {},
): (...args: LooseBut<A, S>) => R {
  assertFunction("jit", fn);
  const name = fn.name || "a jitted function";
  const log = new TraceLog(name);
  const numbers = (given: unknown): number[] => [given ?? []].flat() as number[];
  const jitted = compile(fn as AnyFn, name, log, numbers(options.staticArgnums), numbers(options.donateArgnums));
  log.of(jitted);
  return jitted as (...args: LooseBut<A, S>) => R;
}

/** What `jit` gives. */
function compile(fn: AnyFn, name: string, log: TraceLog | null, statics: readonly number[], donated: readonly number[]): (...args: unknown[]) => unknown {
  const programs = new Map<string, Kept>();
  /** Keys of programs that made room for others. */
  const dropped = new Set<string>();
  let warned = false;
  let recent: Kept | null = null;
  let born = epoch;

  /** Programs of a binary that was replaced are gone with it. */
  const renew = (): void => {
    born = epoch;
    recent = null;
    programs.clear();
    dropped.clear();
  };

  const record = (specs: readonly Spec[], flats: readonly (Flat | null)[], args: readonly unknown[]): Recorded => {
    let reads: ReadonlyMap<object, string> | null = null;
    const traced = ((...inner: never[]) => {
      reads = currentFrame()?.reads ?? null;
      return fn(...inner);
    }) as AnyFn;
    const program = trace("jit", traced, specs, rebuilder(flats, args));
    if (!warned && reads !== null) warned = warnOfCaptured(name, program, reads);
    return program;
  };

  const why = (now: Key, key: string): string | null => {
    if (recent === null) return null;
    return (dropped.has(key) ? null : difference(recent, now)) ?? `its program was dropped: a jitted function keeps the ${KEPT} that it used last`;
  };

  /** The program of a call that has not the key of the last one, recorded if there is none. */
  const find = (args: readonly unknown[]): { readonly kept: Kept; readonly leaves: readonly Tensor[] } => {
    const named: number[] = [];
    // An argument that is left out is neither.
    const numbers = (option: string, all: readonly number[]): number[] => argumentNumbers("jit", option, all.filter((i) => !(i >= args.length)), args.length, named);
    const [fixed, given] = [numbers("staticArgnums", statics), numbers("donateArgnums", donated)];
    const flats: (Flat | null)[] = args.map((a, i) => (fixed.includes(i) ? null : flattenTensors(a)));
    const leaves = flats.flatMap((f) => f?.leaves ?? []);
    const avals = leaves.map((t) => `${t.dtype}${t.weak ? "*" : ""}[${t.shape.join(",")}]`).join(";");
    const key = `${flats.map((f, i) => f?.structure.key() ?? staticKey(args[i])).join("|")}#${avals}`;
    let kept = programs.get(key);
    if (kept === undefined) {
      // Before the function runs: it may change static data in place.
      const now: Key = { nodes: flats.map((f) => (f === null ? null : snapshot(f.structure.node))), statics: args.map((a, i) => (flats[i] === null ? copyOf(a) : null)), specs: leaves.map(specOf) };
      const program = record(now.specs, flats, args);
      const results = new Set(program.results.flatMap((r) => ("input" in r ? [r.input] : [])));
      const donates = flats.flatMap((f, i) => f?.leaves.map(() => given.includes(i)) ?? []).flatMap((is, i) => (is && !results.has(i) ? [[i, donatedTo(name, now, i)] as const] : []));
      kept = { ...now, program, donates };
      if (!program.lasting) {
        log?.add(`it uses a tensor of \`${frame!.name}\`, inside which it is called, so its program is not kept`, false);
        return { kept, leaves };
      }
      log?.add(why(now, key), recent !== null && recent.specs.length === leaves.length && recent.specs.every((s, i) => sameSpec(s, now.specs[i]!)));
      dropped.delete(key);
    } else programs.delete(key);
    programs.set(key, kept);
    if (programs.size > KEPT) {
      const oldest = programs.keys().next().value!;
      programs.delete(oldest);
      dropped.add(oldest);
      if (dropped.size > KEPT) dropped.delete(dropped.values().next().value!);
    }
    recent = kept;
    return { kept, leaves };
  };

  const jitted = (...args: unknown[]): unknown => {
    if (born !== epoch) renew();
    const leaves = recent === null ? null : fits(recent, args);
    if (leaves !== null) return run(recent!, leaves);
    const found = find(args);
    return run(found.kept, found.leaves);
  };
  Object.defineProperty(jitted, "name", { value: fn.name });
  return jitted;
}

/**
 * A pure function of the library's own, compiled where it is called again outside of every transformation: a first call, and a function
 * that is made for one call, never pay for that. Of many structures it may be traced many times: nobody is told.
 */
export function compiled<F extends AnyFn>(fn: F): F {
  let called = false;
  let run: ((...args: unknown[]) => unknown) | null = null;
  return ((...args: never[]) => {
    if (frame !== null || !called) {
      called = true;
      return fn(...args);
    }
    run ??= compile(fn, fn.name, null, [], []);
    return run(...args);
  }) as F;
}

/** Runs a kept program, in one call of the engine. Donated leaves that nothing else holds are freed, and remember where they went. */
function run({ program, donates }: Kept, leaves: readonly Tensor[]): unknown {
  const { outputs } = program;
  writeHandles(leaves);
  reserve(outputs.length + donates.length);
  for (const [leaf] of donates) scratch[1 + leaf] = -scratch[1 + leaf]!;
  const [made, handed] = targetsOf(outputs.length);
  checked(verbs.run(program.id, ...handed));
  for (let i = 0; i < outputs.length; i++) {
    const { dtype, weak, shape } = outputs[i]!;
    fill(made[i]!, scratch[i]!, dtype, weak, shape);
  }
  for (let i = 0; i < donates.length; i++) {
    if (scratch[outputs.length + i] === 0) continue;
    const [leaf, gone] = donates[i]!;
    const tensor = leaves[leaf]!;
    tensor.id = 0;
    tensor.gone = gone;
  }
  const results = program.results.map((r) => ("input" in r ? leaves[r.input]! : made[r.output]!));
  return buildNode(program.structure.node, { leaves: results, next: 0, lazy: true });
}

/** A recorded program for reading: as a string its equations, `plan` how it runs (fused groups, chunks, buffers and bytes). */
export interface PrintedProgram {
  readonly plan: string;
  toString(): string;
}

/** The program that `fn` records for these arguments, for printing. */
export function makeProgram<A extends Args>(fn: (...args: A) => unknown): (...args: Loose<A>) => PrintedProgram {
  return (...args) => {
    const flats = (args as readonly unknown[]).map((a) => flattenTensors(a));
    const program = trace("makeProgram", fn as AnyFn, flats.flatMap((f) => f.leaves.map(specOf)), rebuilder(flats));
    const born = epoch;
    const text = (verb: "planText" | "programText"): string => {
      sameEpoch(born, "this program");
      const answer = verbs[verb](program.id);
      return typeof answer === "string" ? answer : fail();
    };
    return {
      get plan() {
        return text("planText");
      },
      toString: () => text("programText"),
    };
  };
}
