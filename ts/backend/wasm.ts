import { PaxError } from "../errors.js";
import type { Verbs } from "./abi.js";
import { nextTurn } from "./turn.js";

/** What the instance of `crates/pax-wasm` exports. Addresses arrive as signed numbers: `>>> 0` makes them what they are. */
interface Exports {
  readonly memory?: WebAssembly.Memory;
  begin(restarts: number): void;
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
/** Bytes, and tensors, made since the last turn of the event loop, after which a read waits for one: only then finalizers run. */
const TURN_BYTES = 4 * 2 ** 20;
const TURN_TENSORS = 512;
/**
 * The collector does not hear of tensors here, but of array buffers: one that is made and dropped lets it look for dead objects. Its pages are
 * never touched. A turn makes one, and so do new tensors of a quarter of its bytes: a loop may yield without reading. More often costs time.
 */
const PRESSURE_BYTES = 64 * 2 ** 20;

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

/** Of binaries before an instance: the native one may have been. */
let restarts = 1;

/** What to say of bytes that the runtime does not take. */
export const notCompiled = (cause: unknown): PaxError =>
  new PaxError("device", `the engine's WebAssembly could not be compiled: ${(cause as Error).message}. A page with a Content-Security-Policy must allow 'wasm-unsafe-eval'; pax.init({ wasm }) takes one of paxjs's .wasm files`, { cause });

/** Starts an instance of a compiled module and gives its verbs. Throws `device` if the module is none of ours. */
export function startWasm(module: WebAssembly.Module): WasmBinary {
  if (typeof FinalizationRegistry === "undefined") {
    throw new PaxError("device", "this runtime has no FinalizationRegistry, which frees tensors: workerd has it with a compatibility date from 2025-05-05 on");
  }
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
  let [freshBytes, freshTensors, unpressed] = [0, 0, 0];
  const press = () => {
    unpressed = 0;
    void new ArrayBuffer(PRESSURE_BYTES);
  };
  const scratch = () => {
    const at = makeRoom(room) >>> 0; // it may grow the memory, and so comes first
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
      dead = String((cause as Error).message);
      // Where the stack overflowed, there may be no room for these calls either.
      try {
        const length = x.panicLength();
        if (length > 0) dead = textAt(x.panicText() >>> 0, length);
      } catch {
        // The cause says enough.
      }
      throw new PaxError("poisoned", `the engine's WebAssembly instance trapped: ${dead}. Its tensors are gone: \`await pax.init({ restart: true })\` starts a new one`, { cause: cause as Error });
    }
    return gone();
  };
  const gone = (): never => {
    throw new PaxError("poisoned", `the engine's WebAssembly instance is gone since it trapped (${dead!}): \`await pax.init({ restart: true })\` starts a new one`);
  };
  /** An export whose traps are remembered. */
  const guarded = (name: string) => {
    const call = x[name] as Call;
    return (a?: number, b?: number): number => {
      if (dead !== undefined) gone();
      try {
        return call(a!, b!);
      } catch (cause) {
        return trapped(cause);
      }
    };
  };
  const wrap = (name: string) => {
    const verb = guarded(name);
    return (a?: number, b?: number): number => {
      const answer = verb(a, b);
      settle();
      return answer;
    };
  };
  const [makeRoom, input, output, made] = ["room", "input", "output", "made"].map(guarded) as [Call, Call, Call, Call];

  const bury = guarded("dead");
  const finalizers = new FinalizationRegistry<number>((handle) => {
    // Nobody hears of a trap here; the next verb says it.
    if (dead === undefined) try { bury(handle); } catch { return; }
  });
  const flat = (targets: readonly (object | undefined)[]): readonly (object | undefined)[] => (Array.isArray(targets[0]) ? (targets[0] as object[]) : targets);
  /** Ties what a verb made to the objects given for it. */
  const tie = (count: number, targets: readonly (object | undefined)[]): number => {
    if (count <= 0 || targets.length === 0 || targets[0] === undefined) return count;
    const pairs = new Float64Array(memory.buffer, made() >>> 0, 2 * count);
    for (let i = 0; i < count; i++) {
      finalizers.register(targets[i]!, pairs[2 * i]!);
      freshBytes += pairs[2 * i + 1]!;
      unpressed += pairs[2 * i + 1]!;
    }
    freshTensors += count;
    if (unpressed > PRESSURE_BYTES / 4) press();
    return count;
  };
  const text = (name: string) => {
    const verb = wrap(name);
    return (a?: number): string | number => {
      const length = verb(a);
      return length < 0 ? length : textAt(output() >>> 0, length);
    };
  };
  const number = (name: string) => wrap(name) as () => number;
  const [cancel, free] = [wrap("cancel"), number("free")];
  const [make, read, bind, track, pull, push, run, batch] = ["make", "read", "bind", "track", "pull", "push", "run", "batch"].map(wrap) as [Call, Call, Call, Call, Call, Call, Call, Call];

  const verbs: Verbs = {
    binary: "wasm",
    heap: () => memory.buffer.byteLength,
    tidy() {}, // finalizers run in turns of their own
    turn() {
      if (freshBytes < TURN_BYTES && freshTensors < TURN_TENSORS) return undefined;
      [freshBytes, freshTensors] = [0, 0];
      press();
      return nextTurn();
    },
    room(n, onMove) {
      [room, moved] = [n, onMove];
      const array = scratch();
      buffer = memory.buffer;
      return array;
    },
    make(bytes, target) {
      const at = input(bytes.length) >>> 0;
      settle();
      if (at === 0) throw new PaxError("memory", `no memory for ${bytes.length} bytes`);
      new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
      return tie(make(), [target]);
    },
    read(handle) {
      const length = read(handle);
      return length < 0 ? length : bytesAt(output() >>> 0, length).buffer;
    },
    item: wrap("item") as (handle: number) => number,
    bind: (row, target) => tie(bind(row), [target]),
    track: (handle, bytes, target) => tie(track(handle, bytes), [target]),
    // Nothing is left to free in an instance that is gone.
    free: () => (dead === undefined ? free() : 0),
    beginDiff: number("beginDiff"),
    beginAbstract: number("beginAbstract"),
    endDiff: number("endDiff"),
    endAbstract: number("endAbstract"),
    // Transformations cancel on their way out of an error: that of the trap is the one to see.
    cancel: (depth) => (dead === undefined ? cancel(depth) : 0),
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
