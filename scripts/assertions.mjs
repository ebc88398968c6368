// Preloaded by scripts/test.mjs: counts the assertions of a suite and says at its end how many there were.
import assert from "node:assert";
import { writeSync } from "node:fs";
import { register, syncBuiltinESMExports } from "node:module";
import { isMainThread } from "node:worker_threads";

/** Runs in the thread of the loader: every assertion of uvu goes through this one function. */
export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  if (!url.endsWith("/uvu/assert/index.mjs")) return loaded;
  const source = String(loaded.source);
  const counted = source.replace("function assert(bool,", "function assert(...all) { globalThis.countAssertion?.(); check(...all); }\nfunction check(bool,");
  if (counted === source) throw new Error("uvu's assertions have changed: scripts/assertions.mjs does not know how to count them");
  return { ...loaded, source: counted };
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
