import { nextTurn } from "../backend/turn.js";
import { opError, PaxError, shown } from "../errors.js";
import { array, Tensor, tensorFromBytes, type ArrayData, type DType, type Shape } from "../tensor.js";
import { flatten, paths, unflatten, type LeafOf, type MapLeaves } from "../tree/index.js";
import type { Structure } from "../tree/index.js";

/** Where a loader stands: a tree, which a checkpoint keeps. */
export interface LoaderState {
  /** Full passes done. */
  readonly epoch: number | Tensor;
  /** Rows of this pass already given. */
  readonly cursor: number | Tensor;
  /** The shuffling key; `null` for data in order. */
  readonly key: Tensor | null;
}

/** Batches, pass after pass: each loop over it runs to the end of the current pass. */
export interface Loader<B> extends Iterable<B>, AsyncIterable<B> {
  /** Batches of a full pass. */
  readonly length: number;
  state(): LoaderState;
  /** Goes on where `state` was taken. */
  restore(state: LoaderState): void;
}

interface Column { readonly bytes: Uint8Array; readonly dtype: DType; readonly row: Shape; readonly stride: number }
interface Source { readonly structure: Structure<unknown>; readonly columns: readonly Column[]; readonly rows: number }

/** @throws PaxError `tree` without leaves, `shape` where the leading axes differ. */
function sourceOf(tree: unknown): Source {
  const [leaves, structure] = flatten(tree);
  const names = paths(tree);
  if (leaves.length === 0) throw opError("tree", "fromArrays", "the tree has no arrays");
  const tensors = leaves.map((x) => array(x as ArrayData));
  const rows = tensors[0]!.shape[0] ?? 0;
  const columns = tensors.map((t, i): Column => {
    const path = names[i]!;
    if (t.ndim === 0) throw opError("shape", "fromArrays", `${path || "the array"} is a scalar, which has no rows: give arrays with an example a row`, { path });
    if (t.shape[0] !== rows) {
      throw opError("shape", "fromArrays", `${path || "the array"} has shape ${shown(t.shape)}, but ${names[0] || "the first"} has ${shown(tensors[0]!.shape)}: all need the same number of rows`, { path });
    }
    const row = t.shape.slice(1);
    return { bytes: t.bytes(), dtype: t.dtype, row, stride: rows === 0 ? 0 : t.nbytes / rows };
  });
  return { structure, columns, rows };
}

/** sfc32: 32 random bits a call, the same on every machine. */
function generator(seed: readonly number[]): () => number {
  let [a, b, c, d] = [seed[0] ?? 0, seed[1] ?? 0, seed[2] ?? 0, 1];
  const next = (): number => {
    const t = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t | 0;
    return t >>> 0;
  };
  for (let i = 0; i < 15; i++) next();
  return next;
}

/** Fisher–Yates from the key's words and the epoch. */
function shuffled(rows: number, key: Tensor, epoch: number): Uint32Array {
  const words = new Uint32Array(key.bytes().slice().buffer);
  const next = generator([words[0] ?? 0, words[1] ?? 0, epoch]);
  const order = Uint32Array.from({ length: rows }, (_, i) => i);
  for (let i = rows - 1; i > 0; i--) {
    const j = Math.floor((next() / 2 ** 32) * (i + 1));
    const x = order[i]!;
    order[i] = order[j]!;
    order[j] = x;
  }
  return order;
}

function checkKey(op: string, key: Tensor): Tensor {
  if (key instanceof Tensor && key.size === 2 && key.dtype === "uint32") return key;
  throw new PaxError("value", `${op} takes a key (pax.random.key(seed)), got ${key instanceof Tensor ? `${key.dtype}${shown(key.shape)}` : typeof key}`, { op });
}

const whole = (x: number | Tensor): number => (x instanceof Tensor ? Number(x.item<number | bigint>()) : x);

/** Arrays held in memory, given row by row or in batches. */
export class ArrayLoader<B> implements Loader<B> {
  private epoch = 0;
  private cursor = 0;

  /** @internal */
  constructor(
    private readonly source: Source,
    private key: Tensor | null,
    private readonly size: number | null,
    private readonly dropLast: boolean,
  ) {}

  /** Another order each pass, made from the key and the number of the pass. */
  shuffle(key: Tensor): ArrayLoader<B> {
    return new ArrayLoader(this.source, checkKey("shuffle", key), this.size, this.dropLast);
  }

  /** `size` rows at a time; the last batch of a pass may be smaller, or is left out with `dropLast`. */
  batch(size: number, { dropLast = false }: { readonly dropLast?: boolean } = {}): ArrayLoader<B> {
    if (!Number.isInteger(size) || size < 1) throw opError("value", "batch", `the size is ${size}, not a positive integer`);
    if (dropLast && size > this.source.rows) throw opError("value", "batch", `${size} rows with dropLast, but there are only ${this.source.rows}: no batch would be full; take a smaller size, or leave dropLast out`);
    return new ArrayLoader(this.source, this.key, size, dropLast);
  }

  get length(): number {
    const n = this.source.rows / (this.size ?? 1);
    return this.dropLast ? Math.floor(n) : Math.ceil(n);
  }

  state(): LoaderState {
    return { epoch: this.epoch, cursor: this.cursor, key: this.key };
  }

  restore(state: LoaderState): void {
    const [epoch, cursor] = [whole(state.epoch), whole(state.cursor)];
    if (!Number.isInteger(epoch) || epoch < 0 || !Number.isInteger(cursor) || cursor < 0 || cursor > this.source.rows) {
      throw opError("value", "restore", `epoch ${epoch} and row ${cursor} do not fit data of ${this.source.rows} rows: the state is of another loader`);
    }
    [this.epoch, this.cursor, this.key] = [epoch, cursor, state.key === null ? null : checkKey("restore", state.key)];
  }

  private take(order: Uint32Array | null, from: number, to: number): B {
    const leaves = this.source.columns.map(({ bytes, dtype, row, stride }) => {
      const shape = this.size === null ? row : [to - from, ...row];
      if (order === null) return tensorFromBytes(bytes.subarray(from * stride, to * stride), dtype, shape);
      const out = new Uint8Array((to - from) * stride);
      for (let i = from; i < to; i++) out.set(bytes.subarray(order[i]! * stride, (order[i]! + 1) * stride), (i - from) * stride);
      return tensorFromBytes(out, dtype, shape);
    });
    return unflatten(this.source.structure, leaves as LeafOf<unknown>[]) as B;
  }

  *[Symbol.iterator](): IterableIterator<B> {
    const size = this.size ?? 1;
    const { rows } = this.source;
    const endOf = (): number => (this.dropLast ? rows - ((rows - this.cursor) % size) : rows);
    // A restored state may be behind the last batch.
    if (this.cursor > 0 && this.cursor >= endOf()) [this.epoch, this.cursor] = [this.epoch + 1, 0];
    const end = endOf();
    const order = this.key === null ? null : shuffled(rows, this.key, this.epoch);
    for (let from = this.cursor; from < end;) {
      const to = Math.min(from + size, end);
      const batch = this.take(order, from, to);
      // Before the batch is given, so that a state taken in the loop's body comes after it.
      if (to === end) [this.epoch, this.cursor] = [this.epoch + 1, 0];
      else this.cursor = to;
      from = to;
      yield batch;
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<B> {
    for (const batch of this as Iterable<B>) {
      // Other work of the program, and the collector, get a turn.
      await nextTurn();
      yield batch;
    }
  }
}

/** A loader over a tree of tensors or typed arrays, whose rows are the examples. */
export function fromArrays<T>(tree: T): ArrayLoader<MapLeaves<T, Tensor>> {
  return new ArrayLoader<MapLeaves<T, Tensor>>(sourceOf(tree), null, null, false);
}
