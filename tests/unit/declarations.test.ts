/** The published declarations, checked as a project checks them that does not skip those of libraries. */
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";

const test = suite("declarations");
const PROGRAM = `
  import * as pax from "paxjs";
  import { verbs } from "paxjs/internal";
  type Options = NonNullable<Parameters<typeof pax.init>[0]>;
  export const options: Options = { wasm: "here" };
  export const sum: number = pax.np.ones([2]).sum().item();
  export const backend: string = verbs.binary;
  pax.np.ones([2])[Symbol.dispose]();`;
const NO_NUMBER = "\n  // @ts-expect-error\n  export const wrong: Options = { wasm: 3 };";
const URLS = `\n  export const address: Options = { wasm: new URL("https://localhost") };`;
const COMPILED = "\n  export const compiled = (module: WebAssembly.Module): Options => ({ wasm: module });";

for (const [name, lib, types, program] of [
  ["no types of a platform", ["es2022"], [], PROGRAM + NO_NUMBER],
  ["Node's types without those of the web", ["es2022"], ["node"], PROGRAM + NO_NUMBER + URLS],
  ["the web's types", ["es2022", "dom"], [], PROGRAM + URLS + COMPILED],
] as const) {
  test(name, () => {
    const folder = join(".cache", "declarations");
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, "node_modules", "@types"), { recursive: true });
    symlinkSync(resolve("."), join(folder, "node_modules", "paxjs"));
    symlinkSync(resolve("node_modules", "@types", "node"), join(folder, "node_modules", "@types", "node"));
    writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
    writeFileSync(join(folder, "main.ts"), program);
    const compilerOptions = { noEmit: true, strict: true, skipLibCheck: false, target: "es2022", module: "nodenext", lib, types };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["main.ts"] }));
    const { stdout, status } = spawnSync(join("node_modules", ".bin", "tsc"), ["-p", folder], { encoding: "utf8" });
    assert.equal([stdout, status], ["", 0]);
  });
}

test.run();
