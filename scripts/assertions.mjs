// Preloaded by scripts/test.mjs: counts the assertions of a suite and says at its end how many there were.
import assert from "node:assert";
import { writeSync } from "node:fs";
import { register, syncBuiltinESMExports } from "node:module";
import { isMainThread } from "node:worker_threads";
import { countIn, isAssertions } from "./count-assertions.mjs";

/** Runs in the thread of the loader: every assertion of uvu goes through this one function. */
export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  return isAssertions(url) ? { ...loaded, source: countIn(String(loaded.source)) } : loaded;
}

if (isMainThread) {
  let assertions = 0;
  globalThis.countAssertion = () => { assertions += 1; };
  for (const object of [assert, assert.strict]) {
    for (const [name, f] of Object.entries(object)) {
      // `match` asks whether it is itself: it stays, and is not counted.
      if (typeof f !== "function" || !/^[a-z]/.test(name) || /strict$|match/i.test(name)) continue;
      object[name] = (...all) => {
        globalThis.countAssertion();
        return f(...all);
      };
    }
  }
  syncBuiltinESMExports();
  register(import.meta.url);
  process.on("exit", () => writeSync(2, `Assertions: ${assertions}\n`));
}
