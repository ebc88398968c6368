import { PaxError } from "../errors.js";
import type { Verbs } from "./abi.js";

/** What the instance of `crates/pax-wasm` exports. Addresses arrive as signed numbers: `>>> 0` makes them what they are. */
interface Exports {
  readonly memory?: WebAssembly.Memory;
  begin(restarts: number): void;
  room(n: number): number;
  input(bytes: number): number;
  output(): number;
  made(): number;
  dead(handle: number): void;
  panicText(): number;
  panicLength(): number;
  lastError(): number;
  /** Of builds with threads: makes the pool, and answers where a thread that ends marks it. */
  startThreads?(count: number): number;
  reserve?(bytes: number): number;
  __tls_size?: WebAssembly.Global;
  [verb: string]: unknown;
}

type Call = (...args: number[]) => number;

/** A WebAssembly instance, and what its host may do with it beside the verbs. */
export interface WasmBinary {
  readonly verbs: Verbs;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly threaded: boolean;
  /** What each further thread has to know; call it once, before any of them starts. */
  threads(count: number): ThreadStart[];
}

/** What a worker needs to become a thread of the pool. */
export interface ThreadStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly index: number;
  /** Top of its stack, and its thread-local values. */
  readonly stack: number;
  readonly local: number;
  /** The byte that says that a thread has ended. */
  readonly lost: number;
}

const STACK = 1 << 20;
/** Bytes made since the last turn of the event loop, after which a read waits for one: only then finalizers run. */
const TURN_BYTES = 64 * 2 ** 20;
/** Bytes that the collector learns of at once: so large a buffer is address space until it is written to. */
const BALLAST = 33 * 2 ** 20;

/** Memory that threads share needs a limit; where the machine does not grant 4 GiB, less will do. */
function sharedMemory(initial: number): WebAssembly.Memory {
  for (let maximum = 65_536; ; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial, maximum, shared: true });
    } catch (cause) {
      if (maximum <= 4096) throw new PaxError("memory", "no shared memory of 256 MiB could be reserved", { cause: cause as Error });
    }
  }
}

let restarts = 0;

/** Starts an instance of a compiled module and gives its verbs. Throws `device` if the module is none of ours. */
export function startWasm(module: WebAssembly.Module): WasmBinary {
  const threaded = WebAssembly.Module.imports(module).some((i) => i.kind === "memory");
  // The image of a build with threads fits in 512 pages; it grows from there.
  const own = threaded ? sharedMemory(512) : undefined;
  const x = new WebAssembly.Instance(module, own === undefined ? {} : { env: { memory: own } }).exports as unknown as Exports;
  const memory = own ?? x.memory;
  if (memory === undefined || typeof x.begin !== "function") throw new PaxError("device", "this WebAssembly module is not paxjs's");

  let buffer = memory.buffer;
  let room = 0;
  let moved: (scratch: Float64Array) => void = () => {};
  let dead: string | undefined;
  let fresh = 0;
  let untold = 0;
  const scratch = () => {
    const at = x.room(room) >>> 0; // it may grow the memory, and so comes first
    return new Float64Array(memory.buffer, at, room);
  };

  /** After a call that may have grown the memory: views of the old one are of no use. */
  const settle = () => {
    if (memory.buffer === buffer) return;
    buffer = memory.buffer;
    moved(scratch());
  };
  const bytesAt = (at: number, length: number): Uint8Array<ArrayBuffer> => new Uint8Array(memory.buffer, at, length).slice() as Uint8Array<ArrayBuffer>;
  const textAt = (at: number, length: number) => new TextDecoder().decode(bytesAt(at, length));

  /** A trap leaves the instance in no state to go on: the first one is remembered. */
  const trapped = (cause: unknown): never => {
    if (dead === undefined) {
      const length = x.panicLength();
      dead = length > 0 ? textAt(x.panicText() >>> 0, length) : String((cause as Error).message);
      throw new PaxError("poisoned", `the engine's WebAssembly instance trapped: ${dead}. Its tensors are gone: \`await pax.init({ restart: true })\` starts a new one`, { cause: cause as Error });
    }
    return gone();
  };
  const gone = (): never => {
    throw new PaxError("poisoned", `the engine's WebAssembly instance is gone since it trapped (${dead!}): \`await pax.init({ restart: true })\` starts a new one`);
  };
  const wrap = (name: string) => {
    const verb = x[name] as Call;
    return (a?: number, b?: number): number => {
      if (dead !== undefined) gone();
      try {
        const answer = verb(a!, b!);
        settle();
        return answer;
      } catch (cause) {
        return trapped(cause);
      }
    };
  };

  const finalizers = new FinalizationRegistry<number>((handle) => { if (dead === undefined) x.dead(handle); });
  const flat = (targets: readonly (object | undefined)[]): readonly (object | undefined)[] => (Array.isArray(targets[0]) ? (targets[0] as object[]) : targets);
  /**
   * Lets V8 know what tensors keep, so that it collects in time: it cannot see into the memory, but counts the bytes of array
   * buffers. One in so many bytes is held by the tensor that they are reached with, dies with it, and is never touched.
   */
  const ballast = new WeakMap<object, ArrayBuffer>();
  const weigh = (target: object, bytes: number): void => {
    fresh += bytes;
    untold += bytes;
    if (untold < BALLAST) return;
    try { ballast.set(target, new ArrayBuffer(untold)); } catch { /* no address space: then the collector is under pressure anyway */ }
    untold = 0;
  };
  /** Ties what a verb made to the objects given for it. */
  const tie = (count: number, targets: readonly (object | undefined)[]): number => {
    if (count <= 0 || targets.length === 0 || targets[0] === undefined) return count;
    const pairs = new Float64Array(memory.buffer, x.made() >>> 0, 2 * count);
    for (let i = 0; i < count; i++) {
      finalizers.register(targets[i]!, pairs[2 * i]!);
      weigh(targets[i]!, pairs[2 * i + 1]!);
    }
    return count;
  };
  /** A verb that cleans up: a dead instance has nothing left, and the error that is on its way says so. */
  const ofLiving = (name: string) => {
    const verb = wrap(name);
    return (a?: number) => (dead === undefined ? verb(a) : 0);
  };
  const text = (name: string) => {
    const verb = wrap(name);
    return (a?: number): string | number => {
      const length = verb(a);
      return length < 0 ? length : textAt(x.output() >>> 0, length);
    };
  };
  const number = (name: string) => wrap(name) as () => number;
  const [make, read, bind, track, pull, push, run, batch] = ["make", "read", "bind", "track", "pull", "push", "run", "batch"].map(wrap) as [Call, Call, Call, Call, Call, Call, Call, Call];

  const verbs: Verbs = {
    binary: "wasm",
    memoryBytes: () => memory.buffer.byteLength,
    turn() {
      if (fresh < TURN_BYTES) return undefined;
      fresh = 0;
      return new Promise((resolve) => { setTimeout(resolve); });
    },
    room(n, onMove) {
      [room, moved] = [n, onMove];
      const array = scratch();
      buffer = memory.buffer;
      return array;
    },
    make(bytes, target) {
      if (dead !== undefined) gone();
      const at = x.input(bytes.length) >>> 0;
      settle();
      if (at === 0) throw new PaxError("memory", `no memory for ${bytes.length} bytes`);
      new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
      return tie(make(), [target]);
    },
    read(handle) {
      const length = read(handle);
      return length < 0 ? length : bytesAt(x.output() >>> 0, length).buffer;
    },
    item: wrap("item") as (handle: number) => number,
    bind: (row, target) => tie(bind(row), [target]),
    track: (handle, bytes, target) => tie(track(handle, bytes), [target]),
    free: ofLiving("free"),
    beginDiff: number("beginDiff"),
    beginAbstract: number("beginAbstract"),
    endDiff: number("endDiff"),
    endAbstract: number("endAbstract"),
    cancel: ofLiving("cancel") as (depth: number) => number,
    pull: (tape, consume, ...targets) => tie(pull(tape, consume), flat(targets)),
    push: (tape, ...targets) => tie(push(tape), flat(targets)),
    run: (program, ...targets) => tie(run(program), flat(targets)),
    batch: (program, size, ...targets) => tie(batch(program, size), flat(targets)),
    customVjp: number("customVjp"),
    programText: text("programText"),
    planText: text("planText"),
    stats: number("stats"),
    manifest: text("manifest") as () => string,
    manifestHash: number("manifestHash"),
    threads: wrap("threads") as (count: number) => number,
    echo: wrap("echo") as (row: number) => number,
    panicForTest: number("panicForTest"),
    lastError: text("lastError") as () => string,
  };
  x.begin(restarts++);
  return {
    verbs, module, memory, threaded,
    threads(count) {
      const lost = x.startThreads!(count) >>> 0;
      const local = (x.__tls_size!.value as number) + 64;
      const starts = Array.from({ length: count - 1 }, (_, i) => ({ module, memory, index: i + 1, stack: (x.reserve!(STACK) >>> 0) + STACK, local: x.reserve!(local) >>> 0, lost }));
      settle();
      return starts;
    },
  };
}

/** What a thread runs, as text, since a bundler would rewrite a function: takes a `ThreadStart` and what to call when it is ready. */
export const THREAD = `(start, ready) => {
  const x = new WebAssembly.Instance(start.module, { env: { memory: start.memory } }).exports;
  x.__stack_pointer.value = start.stack;
  x.__wasm_init_tls(start.local);
  ready();
  try { x.live(start.index); } finally { new Uint8Array(start.memory.buffer)[start.lost] = 1; }
}`;
