import { SIZES, theHost } from "../engine.js";
import { PaxError, shown } from "../errors.js";
import { array, sizeOf, Tensor, tensorFromBytes, type ArrayData, type DType, type Shape, type TypedArray } from "../tensor.js";
import { flatten, paths, unflatten, type LeafOf } from "../tree/index.js";

/** The format's word for a dtype: F32, BF16, I64, U8, BOOL. */
const nameOf = (dtype: string): string => dtype.toUpperCase().replace(/LOAT|(?<=U)INT|NT/, "");
const FORMAT = "1";
const MAX_HEADER = 100_000_000;
const MAX_DEPTH = 8;

const bad = (what: string, cause?: unknown): PaxError => new PaxError("io", `not a safetensors file: ${what}`, { cause });
const show = (dtype: DType, shape: Shape): string => `${dtype}${shown(shape)}`;

interface Entry { readonly name: string; readonly dtype: DType; readonly shape: Shape; readonly start: number; readonly end: number }

/** A leaf as what is stored: numbers keep all their digits. */
function stored(leaf: unknown): Tensor {
  return typeof leaf === "number" ? array(leaf, { dtype: "float64" }) : array(leaf as ArrayData);
}

/** A tree's leaves as a safetensors file, named by their paths. */
export function toSafetensors(tree: unknown): Uint8Array {
  const [leaves] = flatten(tree);
  const names = paths(tree);
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new PaxError("io", `two leaves have the path ${name}: give the keys of Maps names that differ`, { path: name });
    seen.add(name);
  }
  // Wide dtypes first, so that every array is aligned.
  const items = leaves.map((leaf, i) => ({ name: names[i]!, tensor: stored(leaf) })).sort((a, b) => SIZES[b.tensor.dtype] - SIZES[a.tensor.dtype]);
  const parts: string[] = [`"__metadata__":{"pax_format":"${FORMAT}"}`];
  let length = 0;
  for (const { name, tensor } of items) {
    if (name === "__metadata__") throw new PaxError("io", "a leaf may not be named __metadata__: safetensors keeps that name", { path: name });
    const end = length + tensor.nbytes;
    parts.push(`${JSON.stringify(name)}:{"dtype":"${nameOf(tensor.dtype)}","shape":[${tensor.shape.join(",")}],"data_offsets":[${length},${end}]}`);
    length = end;
  }
  let header = new TextEncoder().encode(`{${parts.join(",")}}`);
  const padded = new Uint8Array(Math.ceil(header.length / 8) * 8).fill(0x20);
  padded.set(header);
  header = padded;
  const file = new Uint8Array(8 + header.length + length);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  let at = 8 + header.length;
  for (const { tensor } of items) {
    file.set(tensor.bytes(), at);
    at += tensor.nbytes;
  }
  return file;
}

/** The first key that an object of this valid JSON text has twice, which JSON.parse would hide. */
function duplicateKey(json: string): string | null {
  const open: (Set<string> | null)[] = [];
  const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]]/g;
  for (let m = token.exec(json); m !== null; m = token.exec(json)) {
    const text = m[0];
    if (open.length > MAX_DEPTH) throw bad("its header is nested too deeply");
    if (text === "{") open.push(new Set());
    else if (text === "[") open.push(null);
    else if (text === "}" || text === "]") open.pop();
    else {
      const keys = open.at(-1);
      let at = token.lastIndex;
      while (" \t\r\n".includes(json[at] ?? "x")) at++;
      if (!keys || json[at] !== ":") continue;
      const key = JSON.parse(text) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return null;
}

const isObject = (x: unknown): x is Record<string, unknown> => typeof x === "object" && x !== null && !Array.isArray(x);
const isCount = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0;

function readEntry(name: string, value: unknown): Entry {
  const where = `tensor ${JSON.stringify(name)}`;
  if (!isObject(value)) throw bad(`${where} is described by ${JSON.stringify(value)}, not an object`);
  const fields = new Map(Object.entries(value));
  for (const key of fields.keys()) if (key !== "dtype" && key !== "shape" && key !== "data_offsets") throw bad(`${where} has an unknown field ${JSON.stringify(key)}`);
  const dtype = Object.keys(SIZES).find((d) => nameOf(d) === fields.get("dtype")) as DType | undefined;
  if (dtype === undefined) throw bad(`${where} has the dtype ${JSON.stringify(fields.get("dtype"))}, which paxjs does not have`);
  const [shape, offsets] = [fields.get("shape"), fields.get("data_offsets")];
  if (!Array.isArray(shape) || !shape.every(isCount)) throw bad(`${where} has the shape ${JSON.stringify(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) throw bad(`${where} has the offsets ${JSON.stringify(offsets)}`);
  const [start, end] = offsets as [number, number];
  const need = sizeOf(shape) * SIZES[dtype];
  if (end - start !== need) throw bad(`${where} of ${show(dtype, shape)} needs ${need} bytes, its offsets [${start}, ${end}] give ${end - start}`);
  return { name, dtype, shape, start, end };
}

/** Checks the whole file and gives what it holds. */
function parse(file: Uint8Array): { readonly entries: readonly Entry[]; readonly metadata: ReadonlyMap<string, string>; readonly data: Uint8Array } {
  if (file.length < 8) throw bad(`${file.length} bytes are too few for a header`);
  const declared = new DataView(file.buffer, file.byteOffset, 8).getBigUint64(0, true);
  if (declared > BigInt(MAX_HEADER)) throw bad(`its header claims ${declared} bytes, more than ${MAX_HEADER}`);
  const length = Number(declared);
  if (8 + length > file.length) throw bad(`it is cut short: the header has ${length} bytes, the file only ${file.length - 8} after the first 8`);
  if (file[8] !== 0x7b) throw bad("its header does not begin with {");
  let json: string;
  let parsed: unknown;
  try {
    json = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(file.subarray(8, 8 + length));
    parsed = JSON.parse(json);
  } catch (cause) {
    throw bad(`its header is not JSON (${(cause as Error).message})`, cause);
  }
  const twice = duplicateKey(json);
  if (twice !== null) throw bad(`its header has the key ${JSON.stringify(twice)} twice`);
  if (!isObject(parsed)) throw bad("its header is no object");
  const metadata = new Map<string, string>();
  const entries: Entry[] = [];
  for (const [name, value] of Object.entries(parsed)) {
    if (name !== "__metadata__") {
      entries.push(readEntry(name, value));
      continue;
    }
    if (!isObject(value)) throw bad("its __metadata__ is no object");
    for (const [key, text] of Object.entries(value)) {
      if (typeof text !== "string") throw bad(`its metadata ${JSON.stringify(key)} is no string`);
      metadata.set(key, text);
    }
  }
  const data = file.subarray(8 + length);
  let at = 0;
  let before = "";
  for (const { name, start, end } of [...entries].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start < at) throw bad(`tensors ${JSON.stringify(before)} and ${JSON.stringify(name)} overlap`);
    if (start > at) throw bad(`there is a gap of ${start - at} bytes before tensor ${JSON.stringify(name)}`);
    [at, before] = [end, name];
  }
  if (at > data.length) throw bad(`it is cut short: tensor ${JSON.stringify(before)} ends at byte ${at} of the data, which has ${data.length}`);
  if (at < data.length) throw bad(`${data.length - at} bytes follow the last tensor`);
  const format = metadata.get("pax_format");
  if (format !== undefined && format !== FORMAT) throw new PaxError("io", `the file has pax_format ${format}, this paxjs reads ${FORMAT}: use a newer paxjs`);
  return { entries, metadata, data };
}

/** A leaf of the target's kind with the file's value. */
function revive(target: unknown, tensor: Tensor): unknown {
  if (target instanceof Tensor) return tensor;
  return ArrayBuffer.isView(target) ? tensor.dataSync() satisfies TypedArray : tensor.item();
}

/** Without a target every tensor by its name; with one the target's tree with the file's values. @throws PaxError `io`. */
export function fromSafetensors(file: Uint8Array): Map<string, Tensor>;
export function fromSafetensors<T>(file: Uint8Array, target: T): T;
export function fromSafetensors(file: Uint8Array, ...rest: readonly unknown[]): unknown {
  const { entries, data } = parse(file);
  const make = ({ dtype, shape, start, end }: Entry, weak = false): Tensor => tensorFromBytes(data.slice(start, end), dtype, shape, weak);
  if (rest.length === 0) return new Map(entries.map((e) => [e.name, make(e)]));
  const [leaves, structure] = flatten(rest[0]);
  const names = paths(rest[0]);
  const held = new Map(entries.map((e) => [e.name, e]));
  const differences: string[] = [];
  const found = (leaves as unknown[]).map((leaf, i) => {
    const [name, want] = [names[i]!, leaf instanceof Tensor ? leaf : stored(leaf)];
    const entry = held.get(name);
    held.delete(name);
    if (entry === undefined) differences.push(`${name || "the tensor"}: not in the file`);
    else if (entry.dtype !== want.dtype || entry.shape.join() !== want.shape.join()) differences.push(`${name || "the tensor"}: ${show(entry.dtype, entry.shape)} in the file, ${show(want.dtype, want.shape)} here`);
    return entry;
  });
  for (const name of held.keys()) differences.push(`${name}: in the file, but not here`);
  if (differences.length > 0) throw new PaxError("io", `the file does not fit: ${differences.join("; ")}`);
  const values = (leaves as unknown[]).map((leaf, i) => revive(leaf, make(found[i]!, leaf instanceof Tensor && leaf.weak)));
  return unflatten(structure, values as LeafOf<unknown>[]);
}

/** Node's message goes on with the call and the path after a comma. */
const failed = (what: string, path: string, cause: unknown): PaxError =>
  new PaxError("io", `${what} ${path}: ${(cause instanceof Error ? cause.message : String(cause)).split(",", 1)[0]!}`, { cause });

/** Writes a tree; the file is replaced whole or not at all. Pages cannot write files: there `toSafetensors` gives the bytes for a download. */
export async function saveSafetensors(path: string, tree: unknown): Promise<void> {
  const bytes = toSafetensors(tree); // the values of now, before anything is awaited
  try {
    await theHost().files.write(path, bytes);
  } catch (cause) {
    throw failed("cannot write", path, cause);
  }
}

/** Reads a file (in a browser: an address) into a tree like `target`. @throws PaxError `io` that names every difference. */
export function loadSafetensors(path: string): Promise<Map<string, Tensor>>;
export function loadSafetensors<T>(path: string, target: T): Promise<T>;
export async function loadSafetensors(path: string, ...rest: readonly unknown[]): Promise<unknown> {
  let bytes: Uint8Array;
  try {
    bytes = await theHost().files.read(path);
  } catch (cause) {
    throw failed("cannot read", path, cause);
  }
  try {
    return rest.length === 0 ? fromSafetensors(bytes) : fromSafetensors(bytes, rest[0]);
  } catch (cause) {
    throw cause instanceof PaxError ? new PaxError(cause.code, `${path}: ${cause.message}`, { cause }) : cause;
  }
}
