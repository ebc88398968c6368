// What `npm start` and `npm test` need: checks the machine, installs packages, builds the binary and the facade.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
export const platform = `${process.platform}-${process.arch}${process.platform === "linux" ? "-gnu" : ""}`;

/** Ends with one sentence: what is missing and how to get it. */
export function missing(sentence) {
  console.error(sentence);
  process.exit(1);
}

const works = (command, args = ["--version"]) => spawnSync(command, args, { stdio: "ignore" }).status === 0;

/** Runs a command, shows what it prints, and ends if it fails. */
export function run(command, args, sentence) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) missing(sentence ?? `\`${command} ${args.join(" ")}\` failed: see above.`);
}

function files(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? files(join(folder, e.name)) : [join(folder, e.name)]));
}

/** True if the sources differ from those of the last build of that name; call `done` after building. */
export function stale(name, sources) {
  const hash = createHash("sha256");
  for (const f of sources.sort()) hash.update(f).update(readFileSync(join(root, f)));
  const [stamp, now] = [join(root, ".cache", `${name}.stamp`), hash.digest("hex")];
  const old = existsSync(stamp) ? readFileSync(stamp, "utf8") : "";
  const done = () => {
    mkdirSync(join(root, ".cache"), { recursive: true });
    writeFileSync(stamp, now);
  };
  return { stale: old !== now, done };
}

/** What a binary is made of. */
export const crateSources = () => ["Cargo.toml", "Cargo.lock", ...files("crates").filter((f) => /\.(rs|toml)$/.test(f) && !/[/\\]tests[/\\]/.test(f))];

/** The folder of a package of npm that tests use and users do not, installed into .tools/`name` where it is not yet. */
export function tool(name, from, version) {
  const folder = join(root, ".tools", name);
  const installed = join(folder, "node_modules", from);
  if (!existsSync(installed)) {
    mkdirSync(folder, { recursive: true });
    run("npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "--no-save", `${from}@${version}`]);
  }
  return installed;
}

export function buildNative() {
  const binary = join(root, "npm", platform, `pax.${platform}.node`);
  const check = stale("native", crateSources());
  if (check.stale || !existsSync(binary)) {
    run("npx", ["napi", "build", "--release", "--platform", "--no-js", "--manifest-path", "crates/pax-node/Cargo.toml", "--package", "pax-node", "--output-dir", `npm/${platform}`],
      "The engine did not build: see cargo's message above; without a network, build once with one, so that cargo has its crates.");
    check.done();
  }
}

export function setUp() {
  if (Number(process.versions.node.split(".")[0]) < 20) missing(`Node ${process.versions.node} is too old: paxjs needs 20 or later, from nodejs.org or your package manager.`);
  if (!works("cargo")) missing("Rust is missing (no `cargo`): install it from rustup.rs, or with `apt-get install cargo`.");
  if (!works("cc")) missing("A C compiler is missing (no `cc`): install it with `apt-get install build-essential`.");
  const lock = stale("packages", ["package-lock.json"]);
  if (lock.stale || !existsSync(join(root, "node_modules"))) {
    run("npm", ["install", "--no-audit", "--no-fund"], "The npm packages could not be installed: a network connection to the npm registry is needed once.");
    lock.done();
  }
  buildNative();
  run("npx", ["tsc", "-p", "."]);
  run(process.execPath, ["scripts/bundle.mjs"]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setUp();
