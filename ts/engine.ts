/** The facade's side of the waist: operands and parameters into the scratch, tensors out of it. */
import type { Verbs } from "./backend/abi.js";
import type { Host, InitOptions } from "./backend/host.js";
import { type ErrorCode, opError, PaxError } from "./errors.js";
import { MANIFEST_HASH } from "./ops/generated/rows.js";
import { claimMarks } from "./module/instance.js";
import { int64, noTensor, Tensor, type DType, type Shape, type TensorLike } from "./tensor.js";

/** Bytes of an element, by dtypes in the order of their numbers in the engine. */
export const SIZES: Record<DType, number> = { float32: 4, float64: 8, float16: 2, bfloat16: 2, int32: 4, int64: 8, uint8: 1, uint32: 4, bool: 1 };
const DTYPES = Object.keys(SIZES) as DType[];

/** @throws PaxError `dtype` for what is none */
export function dtypeNumber(dtype: DType): number {
  const code = DTYPES.indexOf(dtype);
  if (code < 0) throw new PaxError("dtype", `${String(dtype)} is no dtype: one of ${DTYPES.join(", ")}`);
  return code;
}

const missing = (): never => {
  throw new PaxError("device", "the engine is not ready: `await pax.init()` once before anything else");
};

/** The binary's verbs. Before there is one, each of them says so. */
export let verbs: Verbs = new Proxy({} as Verbs, { get: missing });
export let scratch: Float64Array = new Float64Array(0);
/** How many binaries there have been: what one made is unknown to the next. */
export let epoch = 0;
/** The table of rows as text, a line each that begins with the name: errors need it, also those about an engine that is gone. */
let manifest = "";
let host: Host | undefined;

function attach(binary: Verbs): void {
  if (binary === verbs) return;
  verbs = binary;
  epoch += 1;
  scratch = verbs.room(1 << 13, moved);
  if (verbs.manifestHash() !== MANIFEST_HASH) throw new PaxError("device", "the binary and the facade of paxjs are of different versions: run `npm run build`");
  manifest = verbs.manifest();
}

/** The place of the scratch changes when the memory that it lies in grows. */
function moved(next: Float64Array): void { scratch = next; }

/** Says where the library runs. */
export function useHost(here: Host): void {
  host = here;
  if (here.ready !== undefined) attach(here.ready);
}

export function theHost(): Host {
  if (host === undefined) throw new PaxError("device", "paxjs was imported past its entry: import \"paxjs\"");
  return host;
}

/** The start that was asked for last, while it goes on. */
let starting: Promise<void> | undefined;

/** Makes a binary ready, if there is none or another is asked for; who asks while one starts gets that one. */
export async function start(options: InitOptions): Promise<void> {
  const other = options.wasm !== undefined || options.restart === true;
  if (!other && (epoch > 0 || starting !== undefined)) return starting;
  const before = starting;
  const mine = (async () => {
    await before?.catch(() => {}); // whoever asked for that one hears of it
    attach(await theHost().start(options));
  })();
  starting = mine;
  try {
    await mine;
  } finally {
    if (starting === mine) starting = undefined;
  }
}

/** Makes room for `n` numbers. */
export function reserve(n: number): void {
  if (n > scratch.length) scratch = verbs.room(2 * n, moved);
}

/** A transformation that is running its function. */
export interface Frame {
  readonly name: string;
  /** Values have a shape and a dtype only. */
  readonly abstract: boolean;
  readonly parent: Frame | null;
  /** The name of the axis that it maps. */
  readonly axis: string | null;
  /** For an abstract one: tensors of frames outside of it that were used. */
  readonly foreign: Set<Tensor> | null;
  ended: boolean;
}

/** The innermost frame. */
export let frame: Frame | null = null;
export function setFrame(next: Frame | null): void { frame = next; }
export function frameDepth(): number {
  let n = 0;
  for (let f = frame; f !== null; f = f.parent) n += 1;
  return n;
}
/** The outermost abstract frame around `from`: one inside it, such as `grad`, is abstract only because of it. */
export function abstractFrame(from: Frame | null): Frame | null {
  let found: Frame | null = null;
  for (let f = from; f !== null; f = f.parent) if (f.abstract) found = f;
  return found;
}

export interface ProgramHandle { readonly id: number }

/** A row's parameter, as the generated functions hand it over. */
export type Param = number | boolean | string | readonly number[] | { readonly dtype: DType } | ProgramHandle;

/** Demands that what a binary made, the one of epoch `made`, belongs to the binary that runs: another may know the same handle. */
export function sameEpoch(made: number, what: string): void {
  if (made !== epoch) throw new PaxError("disposed", `${what} was made before \`pax.init\` started the engine anew: make it again`);
}

/** The handle of a tensor that is still there. */
export function use(t: Tensor): number {
  if (t.id === 0) throw new PaxError("disposed", t.gone?.() ?? "this tensor has been disposed");
  sameEpoch(t.epoch, "this tensor");
  if (t.frame !== null && t.frame.ended) {
    throw new PaxError("trace", `a tensor made inside \`${t.frame.name}\` was used after it ended: return it from the function instead of keeping it`);
  }
  return t.id;
}

function writeOperand(at: number, x: TensorLike): number {
  if (x instanceof Tensor) {
    scratch[at] = 0;
    scratch[at + 1] = use(x);
    if (frame !== null && x.frame !== frame) frame.foreign?.add(x);
    return at + 2;
  }
  if (typeof x === "number") {
    scratch[at] = 1;
    scratch[at + 1] = x;
    return at + 2;
  }
  if (typeof x === "boolean") {
    scratch[at] = 2;
    scratch[at + 1] = x ? 1 : 0;
    return at + 2;
  }
  if (typeof x === "bigint") {
    scratch[at] = 3;
    scratch[at + 1] = Number(BigInt.asIntN(32, int64(x) >> 32n));
    scratch[at + 2] = Number(BigInt.asUintN(32, x));
    return at + 3;
  }
  return noTensor(x);
}

function writeParam(at: number, p: Param): number {
  if (typeof p === "number") scratch[at] = p;
  else if (typeof p === "boolean") scratch[at] = p ? 1 : 0;
  else if (typeof p === "string") return writeText(at, p);
  else if (p === null || typeof p !== "object" || p instanceof Tensor) throw new PaxError("value", `a setting is ${p instanceof Tensor ? "a tensor: settings are known when a function is traced" : String(p)}`);
  else if ("dtype" in p) scratch[at] = dtypeNumber(p.dtype);
  else if ("id" in p) scratch[at] = p.id;
  else {
    scratch[at] = p.length;
    for (let i = 0; i < p.length; i++) scratch[at + 1 + i] = p[i]!;
    return at + 1 + p.length;
  }
  return at + 1;
}

/** A name of the table, as the facade spells it. */
const camel = (name: string): string => name.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase());

function write(row: number, operands: readonly TensorLike[], params: readonly Param[]): void {
  verbs.tidy();
  claimMarks();
  let room = 2 + 3 * operands.length;
  for (const p of params) room += typeof p === "string" || Array.isArray(p) ? (p as string).length + 1 : 1;
  reserve(room);
  let at = 1;
  scratch[0] = operands.length;
  try {
    for (const x of operands) at = writeOperand(at, x);
    for (const p of params) at = writeParam(at, p);
    // What is read beyond the end, as a list's size that is no list, is no number.
    scratch[at] = NaN;
  } catch (e) {
    if (!(e instanceof PaxError)) throw e;
    throw opError(e.code, camel(manifest.split("\n")[row]!.split("\t")[0]!), e.message, { cause: e });
  }
}

/** Writes a count and UTF-16 units. */
export function writeText(at: number, text: string): number {
  reserve(at + 1 + text.length);
  scratch[at] = text.length;
  for (let i = 0; i < text.length; i++) scratch[at + 1 + i] = text.charCodeAt(i);
  return at + 1 + text.length;
}

/** Fills `t` from a description in the scratch; gives the place after it. */
export function describe(t: Tensor, at: number): number {
  const rank = scratch[at + 3]!;
  const shape = new Array<number>(rank);
  for (let d = 0; d < rank; d++) shape[d] = scratch[at + 4 + d]!;
  fill(t, scratch[at]!, DTYPES[scratch[at + 1]!]!, scratch[at + 2] !== 0, shape);
  return at + 4 + rank;
}

/** Makes `t` the tensor of a handle, made in the innermost frame. */
export function fill(t: Tensor, id: number, dtype: DType, weak: boolean, shape: Shape): void {
  t.fill(id, dtype, weak, shape, frame);
  if (scopes.length > 0) scopes[scopes.length - 1]!.push(t);
}

/** Tensors made inside each `pax.scope`. */
export const scopes: Tensor[][] = [];

/** Applies a row with one result. */
export function bindOne(row: number, operands: readonly TensorLike[], params: readonly Param[] = []): Tensor {
  write(row, operands, params);
  const t = new Tensor();
  if (verbs.bind(row, t) < 0) fail();
  describe(t, 0);
  return t;
}

/** Applies a row with any number of results. */
export function bindMany(row: number, operands: readonly TensorLike[], params: readonly Param[] = []): Tensor[] {
  write(row, operands, params);
  const count = checked(verbs.bind(row));
  const out: Tensor[] = [];
  for (let i = 0, at = 0; i < count; i++) {
    const t = new Tensor();
    t.tracked = false; // it came without an object
    at = describe(t, at);
    out.push(t);
  }
  for (const t of out) adopt(t);
  return out;
}

/** Lets the collector free a tensor that came without an object. */
export function adopt(t: Tensor): void {
  if (t.tracked) return;
  t.tracked = true;
  checked(verbs.track(t.id, frame === null ? t.nbytes + 256 : 256, t));
}

/** Objects for a verb that makes `count` tensors, and the arguments that hand them over: not more than a call may have. */
export function targetsOf(count: number): readonly [targets: Tensor[], handed: object[]] {
  verbs.tidy();
  const targets: Tensor[] = [];
  for (let i = 0; i < count; i++) targets.push(new Tensor());
  return [targets, count > 1000 ? [targets] : targets];
}

/** Runs a verb that makes one tensor for each target, and describes them; `more` gets the numbers that follow, one for each. */
export function collect(count: number, verb: (targets: object[]) => number, more?: (i: number, x: number) => void): Tensor[] {
  const [targets, handed] = targetsOf(count);
  // A description takes 4 numbers and the sizes; no tensor has more than 32 axes.
  reserve(37 * count);
  checked(verb(handed));
  let at = 0;
  for (const t of targets) at = describe(t, at);
  if (more !== undefined) targets.forEach((_, i) => more(i, scratch[at + i]!));
  return targets;
}

/** Writes a count and the handles of `tensors`; gives the place after them. */
export function writeHandles(tensors: readonly Tensor[], at = 0): number {
  reserve(at + 1 + 36 * tensors.length);
  scratch[at] = tensors.length;
  tensors.forEach((t, i) => { scratch[at + 1 + i] = use(t); });
  return at + 1 + tensors.length;
}

export function freeHandles(handles: readonly number[]): void {
  if (handles.length === 0) return;
  reserve(1 + handles.length);
  scratch[0] = handles.length;
  handles.forEach((h, i) => { scratch[1 + i] = h; });
  verbs.free();
}

/** A verb's answer, or its error. */
export function checked(answer: number): number { return answer < 0 ? fail() : answer; }

/** Rows that users know by another name. */
const PUBLIC: Readonly<Record<string, string>> = {
  select: "where", reduceSum: "sum", reduceMax: "max", reduceMin: "min", reduceProd: "prod", gather: "take", randomBits: "bits", randomSplit: "split", randomFoldIn: "foldIn",
};

/** Runs `f`; an error of a row that it uses names `op`, the function that the user called. */
export function calledAs<R>(op: string, f: () => R): R {
  try {
    return f();
  } catch (e) {
    if (!(e instanceof PaxError) || e.op === undefined || e.op === op) throw e;
    const text = e.message.startsWith(`${e.op}: `) ? e.message.slice(e.op.length + 2) : e.message;
    throw opError(e.code, op, text, { cause: e });
  }
}

/** Throws the engine's last error. */
export function fail(): never {
  const [code, op, ...message] = verbs.lastError().split("\n");
  const row = op ? camel(op) : undefined;
  const name = PUBLIC[row!] ?? row;
  const text = message.join("\n");
  throw text.startsWith(`${name} `) ? new PaxError(code as ErrorCode, text, { op: name! }) : opError(code as ErrorCode, name, text);
}
