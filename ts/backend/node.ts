import { createRequire } from "node:module";
import { PaxError } from "../errors.js";
import type { Verbs } from "./abi.js";

const require = createRequire(import.meta.url);
const platform = `${process.platform}-${process.arch}${process.platform === "linux" ? "-gnu" : ""}`;

/** Loads the native binary: the one built in this checkout, else the platform's package. */
export function loadNative(): Verbs {
  const reasons: string[] = [];
  for (const path of [`../../npm/${platform}/pax.${platform}.node`, `@paxjs/${platform}`]) {
    try {
      return require(path) as Verbs;
    } catch (cause) {
      reasons.push(String((cause as Error).message).split("\n")[0] ?? "");
    }
  }
  throw new PaxError("device", `no binary of paxjs for ${platform} could be loaded: build it with \`npm run build\` (${reasons.join("; ")})`);
}
