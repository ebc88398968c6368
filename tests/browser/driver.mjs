// Runs one suite where it is loaded, and gives what uvu counted.
import * as pax from "paxjs";

let [text, assertions] = ["", 0];
globalThis.countAssertion = () => { assertions += 1; };
const { log } = console;

export async function runSuite(name) {
  const begin = performance.now();
  // uvu waits to be told, and writes to where it finds the console's log when it is loaded.
  Object.assign(globalThis, { UVU_DEFER: 1, UVU_QUEUE: [[null]], UVU_INDEX: 0 });
  console.log = (...all) => { text += `${all.join(" ")}\n`; };
  await pax.init();
  const { exec } = await import("uvu");
  await import(`/${name}.js`);
  await exec();
  console.log = log;
  const number = (word) => Number(new RegExp(`${word}:\\D*?(?:\\x1b\\[\\d+m)?(\\d+)`).exec(text)?.[1] ?? 0);
  const files = performance.getEntriesByType("resource").map((e) => e.name).filter((n) => n.endsWith(".wasm"));
  return { total: number("Total"), passed: number("Passed"), skipped: number("Skipped"), assertions, text, files, seconds: (performance.now() - begin) / 1000 };
}

if (globalThis.document === undefined) {
  globalThis.onmessage = async ({ data }) => {
    try { postMessage(await runSuite(data)); } catch (e) { postMessage({ failure: String(e.stack ?? e) }); }
  };
  postMessage("ready");
}
