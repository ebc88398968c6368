/// <reference lib="dom" />
/** The WebAssembly builds that this version of Node can run. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const builds: readonly { readonly name: string; readonly path: string }[] = ["simd", "relaxed", "threads"]
  .map((name) => ({ name, path: join(process.cwd(), "dist", "wasm", `pax-${name}.wasm`) }))
  .filter(({ path }) => WebAssembly.validate(readFileSync(path)));
