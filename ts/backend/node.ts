import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { PaxError } from "../errors.js";
import type { Verbs } from "./abi.js";
import { files } from "./files.js";
import type { Host, InitOptions } from "./host.js";
import { pickBuild } from "./pick.js";
import { notCompiled, startWasm, THREAD, type ThreadStart } from "./wasm.js";

const require = createRequire(import.meta.url);
const platform = `${process.platform}-${process.arch}${process.platform === "linux" ? "-gnu" : ""}`;

/** The native binary's verbs; its scratch is an array of ours. */
interface Native extends Omit<Verbs, "room" | "turn" | "tidy" | "heap" | "binary"> { init(scratch: Float64Array, collect?: () => void): number }

/**
 * Young objects are collected where that keeps memory flat. On Node 24, 5,000 eager steps of a small network grew by 13 to 19 MB with
 * it, and by 11 to 14 where the engine tells V8 of more memory than there is: so it does there.
 */
const YOUNG = Number(process.versions.node.split(".")[0]) < 24;

/** Young objects are to be collected. */
let due = false;
/** The engine asks for it. */
const ask = YOUNG ? (): void => { due = true; } : undefined;
let gc: ((options: { readonly type: "minor" }) => void) | undefined;

/**
 * Collects young objects. V8 does so when its own young memory is full, which the small objects of large tensors never fill; told
 * of their bytes, it marks all objects instead. Contexts made after its flag is set have the function; the flag is the process's, so
 * that another thread may take it back meanwhile: then the next time will do.
 */
function collectYoung(): void {
  due = false;
  if (gc === undefined) {
    const exposed = "gc" in globalThis;
    setFlagsFromString("--expose-gc");
    gc = runInNewContext("globalThis.gc") as typeof gc;
    if (!exposed) setFlagsFromString("--no-expose-gc");
  }
  gc?.({ type: "minor" });
}

/** Loads the native binary: the one built in this checkout, else the platform's package. Throws why there is none. */
function loadNative(): Verbs {
  const reasons: string[] = [];
  for (const path of [`../../npm/${platform}/pax.${platform}.node`, `@paxjs/${platform}`]) {
    try {
      const native = require(path) as Native;
      let scratch = new Float64Array(0);
      return {
        ...native,
        binary: "native",
        heap: () => 0,
        // Finalizers run inside the collection.
        turn: () => undefined,
        tidy() {
          if (due) collectYoung();
        },
        room(n) {
          const wider = new Float64Array(Math.max(n, scratch.length));
          wider.set(scratch);
          scratch = wider;
          native.init(scratch, ask);
          return scratch;
        },
      };
    } catch (cause) {
      reasons.push(String((cause as Error).message).split("\n")[0] ?? "");
    }
  }
  throw new PaxError("device", `no binary of paxjs for ${platform} could be loaded: build it with \`npm run build\` (${reasons.join("; ")})`);
}

let workers: Worker[] = [];

/** Starts the threads of the pool; they end with the process. */
function startThreads(starts: readonly ThreadStart[]): void {
  workers = starts.map((workerData) => {
    const worker = new Worker(`(${THREAD})(require("node:worker_threads").workerData, () => {});`, { eval: true, workerData });
    worker.unref();
    return worker;
  });
}

function compile(source: NonNullable<InitOptions["wasm"]>): WebAssembly.Module {
  if (source instanceof WebAssembly.Module) return source;
  try {
    return new WebAssembly.Module(typeof source === "string" || source instanceof URL ? readFileSync(source) : source);
  } catch (cause) {
    throw notCompiled(cause);
  }
}

/** What runs: a restart takes it again. */
let last: InitOptions = {};

/** Starts the WebAssembly build, here at once: Node compiles and starts without waiting. */
function loadWasm(asked: InitOptions): Verbs {
  const options = { ...last, ...asked };
  const cores = options.threads ?? availableParallelism();
  const module = compile(options.wasm ?? new URL(`${DIST}wasm/pax-${pickBuild(cores > 1)}.wasm`, import.meta.url));
  const binary = startWasm(module);
  last = { wasm: module, threads: cores };
  for (const w of workers) void w.terminate();
  workers = [];
  if (binary.threaded && cores > 1) {
    startThreads(binary.threads(Math.min(cores, 16)));
    binary.verbs.threads(0);
  }
  return binary.verbs;
}

/** From the shared chunk of the bundle, two folders below the root. */
const DIST = "../../dist/";

/** The native binary, or the WebAssembly build where that is asked for or no binary fits. */
function load(): Verbs {
  if (process.env["PAX_BACKEND"] === "wasm") return loadWasm({});
  try {
    return loadNative();
  } catch (cause) {
    try {
      const verbs = loadWasm({});
      console.warn(`paxjs: ${(cause as Error).message}. The slower WebAssembly build runs instead.`);
      return verbs;
    } catch {
      throw cause;
    }
  }
}

let used = load();

export const host: Host = {
  ready: used,
  async start(options) {
    if (options.wasm !== undefined || (options.restart === true && used.binary === "wasm")) used = loadWasm(options);
    return used;
  },
  files,
};
