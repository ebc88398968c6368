/** What concerns the engine as a whole: devices, memory, scopes. */
import type { InitOptions } from "./backend/host.js";
import { epoch, freeHandles, scopes, scratch, start, verbs, checked } from "./engine.js";
import { PaxError } from "./errors.js";
import { copy, stopGradient as stop } from "./ops/generated/rows.js";
import { cpu, Tensor, type Device } from "./tensor.js";
import * as tree from "./tree/index.js";

/**
 * Makes the engine ready: await it once in a browser; in Node it is ready when the module is loaded.
 * Throws `device` if the WebAssembly build cannot be had. After a trap (`poisoned`), `restart` starts anew.
 */
export async function init(options: InitOptions = {}): Promise<void> { await start(options); }

/** Tensors alive and the bytes of their buffers; `peakBytes` is the highest since the last call. */
export function memory(): { tensors: number; bytes: number; peakBytes: number } {
  const s = stats();
  return { tensors: s.tensors, bytes: s.bytes, peakBytes: s.peakBytes };
}

/** @internal Counters that tests assert. */
export function stats() {
  checked(verbs.stats());
  const [handles, bytes, peakBytes, depth, recorded, evaluated, crossings, tensors] = scratch;
  return { handles: handles!, bytes: bytes!, peakBytes: peakBytes!, depth: depth!, recorded: recorded!, evaluated: evaluated!, crossings: crossings!, tensors: tensors! };
}

/** Runs `fn` and frees every tensor it made, except those in its result. */
export function scope<T>(fn: () => T): T {
  const made: Tensor[] = [];
  scopes.push(made);
  let kept: ReadonlySet<unknown> = new Set();
  try {
    const out = fn();
    kept = new Set(tree.leaves(out) as unknown[]);
    return out;
  } finally {
    scopes.pop();
    const dead = made.filter((t) => !kept.has(t) && t.id !== 0);
    freeHandles(dead.flatMap((t) => (t.epoch === epoch ? [t.id] : [])));
    for (const t of dead) {
      t.id = 0;
      t.gone = () => "this tensor was made inside pax.scope and not returned from it";
    }
    scopes.at(-1)?.push(...made.filter((t) => kept.has(t)));
  }
}

/** A copy of every tensor's buffer. */
export function clone<T>(value: T): T { return tree.map((t: Tensor) => copy(t), value as never) as T; }

/** The same values, through which no gradient flows. */
export function stopGradient<T>(value: T): T { return tree.map((t: Tensor) => stop(t), value as never) as T; }

export function devices(): Device[] { return [cpu]; }
export function devicePut<T>(value: T, device: Device): T {
  if (device !== cpu) throw new PaxError("device", `no device ${device.toString()}: there is ${cpu.toString()}`);
  return value;
}
export function setDefaultDevice(device: Device): void { devicePut(null, device); }
/** How many threads kernels use; results do not depend on it. */
export function setThreads(count: number): void { checked(verbs.threads(count)); }
