// `npm run ready`: all that has to hold before a commit, the quickest first. The last step is `npm test`.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root, run, setUp } from "./setup.mjs";

/** Files that git knows or would add, matching a pathspec. */
function files(...pathspecs) {
  const { stdout } = spawnSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", ...pathspecs], { cwd: root, encoding: "utf8" });
  return stdout.split("\n").filter(Boolean);
}

/** Ends if a line of one of the files matches; `part` takes away what may. */
function forbid(pattern, paths, sentence, part = (source) => source) {
  const found = paths.flatMap((path) => part(readFileSync(join(root, path), "utf8")).split("\n").flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])));
  if (found.length === 0) return;
  console.error(`${found.join("\n")}\n${sentence}`);
  process.exit(1);
}

/** A Rust file without its tests, which stand at its end, and without the verb that panics for one. */
const production = (source) => source.split(/#\[cfg\(test\)\]\s*mod \w+ \{/, 1)[0].replace(/^\s*"panicForTest".*$/m, "");
const crates = files("crates/*/src/*.rs");

forbid(/_no_bwd/, crates, "candle's functions without a backward pass are not used: the row has its own rule.");
forbid(/\.unwrap\(\)|\.expect\(|\b(panic|unreachable|todo|unimplemented|dbg)!/, crates.filter((f) => !f.endsWith("/tests.rs")), "The engine returns errors; it does not panic.", production);
forbid(/\btest\.(only|skip)\(/, files("tests/*.test.ts"), "A test that is skipped tests nothing.");

setUp();
run("npm", ["run", "--silent", "gen"]);
run("node", ["scripts/extract-api.mjs"]);
run("git", ["diff", "--exit-code", "--stat", "--", "ts/ops/generated", "tests/types/api.ts", "tests/types/readme.ts"],
  "What is generated has changed: look at it, and add it to the commit.");
run("npm", ["run", "--silent", "lint"], "The lint failed: see above; `npm install` brings oxlint.");
run("npx", ["tsc", "-p", "tests"]);
run("cargo", ["fmt", "--all", "--check"], "Rust code is not laid out: `cargo fmt` does it.");
run("cargo", ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
run(process.execPath, [join(root, "scripts", "test.mjs")], "Tests failed: see above.");
