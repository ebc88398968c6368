import type { Verbs } from "./abi.js";

// The types of these two where a program has them: neither is JavaScript's own.
type OwnURL = typeof globalThis extends { URL: { prototype: infer T } } ? T : never;
type OwnModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer T } } } ? T : never;
/** What `pax.init` takes. */
export interface InitOptions {
  /** The WebAssembly build to run: its bytes, where it lies, or compiled. Left out: the best that this runtime can run, from beside the library. */
  readonly wasm?: ArrayBuffer | ArrayBufferView<ArrayBuffer> | string | OwnURL | OwnModule;
  /** Starts a new instance of what runs though there is one; tensors of the old one are gone. */
  readonly restart?: boolean;
  /** How many threads the WebAssembly build may use, where the runtime has threads at all; left out: a thread a core. */
  readonly threads?: number;
}

/** What `saveSafetensors` and `loadSafetensors` read and write. */
export interface Files {
  read(path: string): Promise<Uint8Array>;
  /** Replaces the file whole or not at all. */
  write(path: string, bytes: Uint8Array): Promise<void>;
}

/** Where the library runs: how a binary is found and started there. */
export interface Host {
  /** A binary that is ready at once. */
  readonly ready?: Verbs;
  /** A binary, when it is ready. */
  start(options: InitOptions): Promise<Verbs>;
  readonly files: Files;
}
