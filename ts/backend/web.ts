/// <reference lib="dom" />
import { PaxError } from "../errors.js";
import type { Verbs } from "./abi.js";
import type { Files, Host, InitOptions } from "./host.js";
import { pickBuild, type Build } from "./pick.js";
import { notCompiled, startWasm, THREAD, type ThreadStart, type WasmBinary } from "./wasm.js";

/** Literal addresses, so that bundlers find the files; the library lies in dist/web. */
const FILES: Readonly<Record<Build, () => URL>> = {
  simd: () => new URL("../wasm/pax-simd.wasm", import.meta.url),
  relaxed: () => new URL("../wasm/pax-relaxed.wasm", import.meta.url),
  threads: () => new URL("../wasm/pax-threads.wasm", import.meta.url),
};

/** Where a build lies; a runtime that keeps modules in no files has no address for it. */
function addressOf(build: Build): URL {
  try {
    return FILES[build]();
  } catch (cause) {
    throw new PaxError("device", "this runtime does not say where the library lies: import one of paxjs's .wasm files and pass it compiled, pax.init({ wasm })", { cause });
  }
}

async function compile(source: NonNullable<InitOptions["wasm"]>): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return WebAssembly.compile(source);
  const from = String(source);
  const missing = (why: string, cause?: unknown) => new PaxError("device", `the engine could not be fetched from ${from}${why}. Serve the .wasm files of paxjs beside the script, or pass pax.init({ wasm }) the address, bytes or a compiled module`, { cause });
  const response = await fetch(source).catch((cause: unknown) => { throw missing("", cause); });
  if (!response.ok) throw missing(`: the server answered ${response.status}`);
  // A server that sends another type than application/wasm, or parameters with it, still sends the bytes; older runtimes do not compile as they come.
  if ("compileStreaming" in WebAssembly && response.headers.get("content-type") === "application/wasm") return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

let workers: Worker[] = [];

/** Starts the threads of the pool; one that cannot start is missed by nobody. */
async function startThreads(starts: readonly ThreadStart[]): Promise<void> {
  const address = URL.createObjectURL(new Blob([`onmessage = ({ data }) => (${THREAD})(data, () => postMessage(0));`], { type: "text/javascript" }));
  workers = starts.map((start, i) => {
    const worker = new Worker(address, { name: `pax-${i + 1}` });
    worker.postMessage(start);
    return worker;
  });
  await Promise.all(workers.map((w) => new Promise<void>((done) => { w.onmessage = w.onerror = () => done(); })));
  URL.revokeObjectURL(address);
}

/** What runs: a restart takes it again. */
let last: InitOptions = {};

async function start(asked: InitOptions): Promise<Verbs> {
  const options = { ...last, ...asked };
  const cores = options.threads ?? globalThis.navigator?.hardwareConcurrency ?? 1;
  const threads = globalThis.crossOriginIsolated === true && typeof Worker === "function" && cores > 1;
  const module = await compile(options.wasm ?? addressOf(pickBuild(threads))).catch((cause: unknown) => { throw cause instanceof PaxError ? cause : notCompiled(cause); });
  const binary: WasmBinary = startWasm(module);
  last = { wasm: module, threads: cores };
  for (const w of workers) w.terminate();
  workers = [];
  if (binary.threaded && threads) {
    await startThreads(binary.threads(Math.min(cores, 16)));
    binary.verbs.threads(0);
  }
  return binary.verbs;
}

const files: Files = {
  async read(address) {
    const response = await fetch(address);
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  },
  async write() {
    throw new Error("pages cannot write files: offer the bytes of toSafetensors as a download");
  },
};

export const host: Host = { start, files };
