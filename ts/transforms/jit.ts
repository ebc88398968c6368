/** Recorded programs: `jit` keeps one a key, `vmap` runs one over an axis, `makeProgram` shows one. */
import { checked, collect, fail, freeHandles, reserve, scratch, use, verbs, writeHandles } from "../engine.js";
import { PaxError } from "../errors.js";
import { Tensor } from "../tensor.js";
import { transpose } from "../ops/generated/rows.js";
import { unflattenTree, type AnyStructure } from "../tree/index.js";
import { flattenTensors, inFrame, readInputs, synchronous, writeSpecs, type Flat, type Spec } from "./frame.js";
import type { Args, Argnums, AxisTree, Loose, LooseBut, TreeOfTensors } from "./types.js";

type AnyFn = (...args: never[]) => unknown;

/** A program and how its results are put together. */
class Recorded {
  constructor(
    readonly id: number,
    readonly structure: AnyStructure,
    /** For each result: its index among the program's outputs, or of the input that it is. */
    readonly results: readonly ({ readonly output: number } | { readonly input: number })[],
    readonly outputs: number,
    /** It captured nothing of an open level, so it may be kept. */
    readonly lasting: boolean,
    readonly specs: readonly Spec[],
  ) {}
}

/** Records `fn` on inputs known by shape and dtype. `rebuild` makes its arguments from the abstract leaves. */
function trace(name: string, fn: AnyFn, specs: readonly Spec[], rebuild: (leaves: Tensor[]) => unknown[]): Recorded {
  writeSpecs(specs);
  return inFrame(name, true, () => { checked(verbs.beginAbstract()); }, () => {
    const inputs = readInputs(specs.length);
    const raw = (fn as (...a: unknown[]) => unknown)(...rebuild(inputs));
    synchronous(name, raw);
    if (typeof raw === "number" || typeof raw === "string") throw new PaxError("value", `the function given to \`${name}\` returned a ${typeof raw}: return tensors`);
    const out = flattenTensors(raw);
    const returned: Tensor[] = [];
    const results = out.leaves.map((t) => {
      const input = inputs.indexOf(t);
      if (input >= 0) return { input };
      returned.push(t);
      return { output: returned.length - 1 };
    });
    writeHandles(returned);
    const id = checked(verbs.endAbstract());
    const recorded = new Recorded(id, out.structure, results, returned.length, scratch[0] === 1, specs);
    checked(verbs.track(id, 1024, recorded));
    return recorded;
  });
}

const specOf = (t: Tensor): Spec => ({ shape: t.shape, dtype: t.dtype, weak: t.weak });
const list = (x: number | readonly number[] | undefined): readonly number[] => (x === undefined ? [] : typeof x === "number" ? [x] : x);

/** An argument that is part of the key by its value. */
function staticKey(x: unknown, i: number): string {
  if (typeof x === "function" || (typeof x === "object" && x !== null)) {
    let id = identities.get(x);
    if (id === undefined) identities.set(x, (id = ++nextIdentity));
    return `@${id}`;
  }
  if (typeof x === "symbol") throw new PaxError("value", `jit: static argument ${i} is a symbol`);
  return `${typeof x}:${Object.is(x, -0) ? "-0" : String(x)}`;
}
const identities = new WeakMap<object, number>();
let nextIdentity = 0;

const KEPT = 64;

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
  let traces = 0;
  let shape = "";
  const jitted = (...args: unknown[]): unknown => {
    const flats: (Flat | null)[] = args.map((a, i) => (statics.includes(i) ? null : flattenTensors(a)));
    const leaves = flats.flatMap((f) => f?.leaves ?? []);
    const structures = flats.map((f, i) => (f === null ? staticKey(args[i], i) : f.structure.key())).join("|");
    const avals = leaves.map((t) => `${t.dtype}${t.weak ? "*" : ""}[${t.shape.join(",")}]`).join(";");
    const key = `${structures}#${avals}`;
    let program = programs.get(key);
    if (program === undefined) {
      program = trace("jit", fn as AnyFn, leaves.map(specOf), (inputs) => {
        let next = 0;
        return flats.map((f, i) => (f === null ? args[i] : unflattenTree(f.structure, f.leaves.map(() => inputs[next++]!))));
      });
      if (program.lasting) programs.set(key, program);
      if (programs.size > KEPT) programs.delete(programs.keys().next().value!);
      // Retraced with the same shapes: a static attribute changes from step to step.
      if (avals === shape && ++traces === 3) {
        console.warn(`paxjs: ${name} was traced ${traces + 1} times for the same shapes: a static attribute or argument changes between calls; make a number that changes a state (\`pax.state\`)`);
      }
      shape = avals;
    } else {
      programs.delete(key);
      programs.set(key, program);
    }
    const out = runProgram(program, leaves);
    if (donated.length > 0) consume(name, args, flats, donated, new Set(out.filter((t) => leaves.includes(t))));
    return unflattenTree(program.structure, out);
  };
  return jitted as (...args: LooseBut<A, S>) => R;
}

function runProgram(program: Recorded, leaves: readonly Tensor[]): Tensor[] {
  writeHandles(leaves);
  const made = collect(program.outputs, (targets) => verbs.run(program.id, targets));
  return program.results.map((r) => ("input" in r ? leaves[r.input]! : made[r.output]!));
}

/** Frees donated leaves, and remembers where they went. */
function consume(name: string, args: readonly unknown[], flats: readonly (Flat | null)[], donated: readonly number[], kept: ReadonlySet<Tensor>): void {
  const seen = new Map<Tensor, number>();
  for (const f of flats) for (const t of f?.leaves ?? []) seen.set(t, (seen.get(t) ?? 0) + 1);
  const handles: number[] = [];
  for (const i of donated) {
    const f = flats[i];
    if (f === null || f === undefined) continue;
    f.leaves.forEach((t, k) => {
      if (kept.has(t) || seen.get(t)! > 1 || t.id === 0) return;
      handles.push(t.id);
      t.id = 0;
      const path = f.structure.path(k);
      t.gone = `this tensor was donated to ${name}, argument ${i}${path ? `, \`${path}\`` : ""}; keep a copy with \`pax.clone\` before the call`;
    });
  }
  freeHandles(handles);
}

/** The program that `fn` records for these arguments, for printing. */
export function makeProgram<A extends Args>(fn: (...args: A) => unknown): (...args: Loose<A>) => { toString(): string } {
  return (...args) => {
    const flats = (args as readonly unknown[]).map((a) => flattenTensors(a));
    const program = trace("makeProgram", fn as AnyFn, flats.flatMap((f) => f.leaves.map(specOf)), (inputs) => {
      let next = 0;
      return flats.map((f) => unflattenTree(f.structure, f.leaves.map(() => inputs[next++]!)));
    });
    const text = verbs.programText(program.id);
    return { toString: () => (typeof text === "string" ? text : fail()) };
  };
}

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

/**
 * Maps a function over an axis: `inAxes` says which axis of each argument (null: the same for all), `outAxes` where it goes in the results.
 * @throws PaxError `shape` if the mapped axes differ in size
 */
export function vmap<A extends Args = Tensor[], const R = unknown>(
  fn: (...args: A) => R & TreeOfTensors,
  options: { readonly inAxes?: number | null | NoInfer<{ readonly [K in keyof A]: AxisTree }>; readonly outAxes?: AxisTree; readonly axisName?: string } = {},
): (...args: Loose<A>) => R {
  const inAxes = (options.inAxes === undefined ? 0 : options.inAxes) as AxisTree;
  const outAxes = options.outAxes === undefined ? 0 : options.outAxes;
  return ((...args: unknown[]): unknown => {
    const flats = args.map((a) => flattenTensors(a));
    const leaves = flats.flatMap((f) => f.leaves);
    const given = Array.isArray(inAxes) ? axesOf("inAxes", inAxes, args) : leaves.map(() => inAxes as number | null);
    let size = -1;
    const axes = leaves.map((t, i) => {
      const axis = given[i] ?? null;
      if (axis === null) return -1;
      const at = axis < 0 ? axis + t.ndim : axis;
      if (at < 0 || at >= t.ndim) throw new PaxError("shape", `vmap: axis ${axis} of an argument of shape [${t.shape.join(", ")}]`);
      if (size >= 0 && t.shape[at] !== size) throw new PaxError("shape", `vmap: mapped axes have sizes ${size} and ${t.shape[at]}`);
      size = t.shape[at]!;
      return at;
    });
    if (size < 0) throw new PaxError("value", "vmap: no argument is mapped: give inAxes a number for at least one");
    const specs = leaves.map((t, i) => ({ ...specOf(t), shape: t.shape.filter((_, d) => d !== axes[i]) }));
    const program = trace("vmap", fn as AnyFn, specs, (inputs) => {
      let next = 0;
      return flats.map((f) => unflattenTree(f.structure, f.leaves.map(() => inputs[next++]!)));
    });
    const tree = unflattenTree(program.structure, program.results.map((r) => ("input" in r ? leaves[r.input]! : leaves[0]!)));
    const wanted = typeof outAxes === "number" || outAxes === null ? program.results.map(() => outAxes) : axesOf("outAxes", outAxes, tree);
    return unflattenTree(program.structure, runBatch(program, leaves, axes, size, wanted));
  }) as (...args: Loose<A>) => R;
}

/** Stands for null among result axes, which may be negative. */
const NO_AXIS = -1000;

function runBatch(program: Recorded, leaves: readonly Tensor[], axes: readonly number[], size: number, wanted: readonly (number | null)[]): Tensor[] {
  const places = program.results.map((r, i) => {
    const axis = wanted[i]!;
    if ("input" in r) return axes[r.input] === -1 && axis === null ? null : axis;
    return axis;
  });
  // An input that is returned as it came needs no program: its axis is moved by the engine as a result's is.
  const outs: number[] = [];
  program.results.forEach((r, i) => { if ("output" in r) outs[r.output] = places[i] ?? NO_AXIS; });
  let at = 0;
  reserve(2 + 2 * leaves.length + outs.length);
  scratch[at++] = leaves.length;
  leaves.forEach((t, i) => { scratch[at++] = use(t); scratch[at++] = axes[i]!; });
  scratch[at++] = outs.length;
  for (const o of outs) scratch[at++] = o;
  const made = collect(outs.length, (targets) => verbs.batch(program.id, size, targets));
  return program.results.map((r, i) => {
    if ("output" in r) return made[r.output]!;
    const t = leaves[r.input]!;
    const from = axes[r.input]!;
    const to = places[i];
    if (from === -1) {
      if (to === null) return t;
      throw new PaxError("value", "vmap: an argument that is not mapped was returned as it came: give its outAxes null");
    }
    if (to === null || to === undefined) throw new PaxError("trace", `vmap: result ${program.structure.path(i) || i} depends on a mapped argument, so its outAxes cannot be null`);
    return from === to ? t : moveAxis(t, from, to < 0 ? to + t.ndim : to);
  });
}

function moveAxis(t: Tensor, from: number, to: number): Tensor {
  const order = t.shape.map((_, d) => d).filter((d) => d !== from);
  order.splice(to, 0, from);
  return transpose(t, order);
}

