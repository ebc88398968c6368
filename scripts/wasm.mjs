// `npm run build:wasm`: builds the WebAssembly binaries into dist/wasm. It uses the installed wasm32 target where there is
// one, else, on Debian, a private toolchain in .tools/wasm; it changes no toolchain of yours, and calls no rustup.
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { crateSources, missing, root, stale } from "./setup.mjs";

const TARGET = "wasm32-unknown-unknown";
const SIMD = "+simd128";
const RELAXED = `${SIMD},+relaxed-simd`;
/** Bytes of the stack: programs within programs need some 5 kB a level, and the default is 1 MiB. */
const STACK = 4 << 20;
/** By name: vector instructions, and whether threads share the memory. */
const BUILDS = {
  simd: { features: SIMD },
  relaxed: { features: RELAXED },
  threads: { features: `${RELAXED},+atomics,+bulk-memory,+mutable-globals`, shared: true },
};
/** Memory that the host makes, and what it needs to start a thread in it. */
const SHARED = ["--shared-memory", "--import-memory", "--max-memory=4294967296", "--export=__stack_pointer", "--export=__wasm_init_tls", "--export=__tls_size"];

const output = (command, args) => {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8" });
  return status === 0 ? stdout.trim() : "";
};

/** True if this rustc has a standard library for the target. */
function hasTarget(rustc) {
  const folder = output(rustc, ["--print", "target-libdir", "--target", TARGET]);
  return folder !== "" && existsSync(folder) && readdirSync(folder).some((f) => f.startsWith("libstd-"));
}
const hasSources = (rustc) => existsSync(join(output(rustc, ["--print", "sysroot"]), "lib", "rustlib", "src", "rust", "library", "std"));

/** A compiler that can build for the target. */
function compiler() {
  if (hasTarget("rustc") && hasSources("rustc")) return "rustc";
  const own = join(root, ".tools", "wasm");
  if (output("apt-get", ["--version"]) === "") {
    missing(`The Rust target ${TARGET} or the standard library's sources are missing: with rustup, \`rustup target add ${TARGET}\` and \`rustup component add rust-src\`.`);
  }
  const { status } = spawnSync("bash", [join(root, "scripts", "wasm-toolchain.sh"), own], { stdio: "inherit" });
  if (status !== 0) missing("The private toolchain for WebAssembly could not be made: see the message above. It needs Debian's packages rustc-web and rust-web-src.");
  return join(own, "rustc");
}

async function build(name, rustc) {
  const { features, shared } = BUILDS[name];
  const folder = join(root, "target", `wasm-${name}`);
  const flags = [`-Ctarget-feature=${features}`, `-Clink-arg=-zstack-size=${STACK}`, ...(shared ? SHARED.map((s) => `-Clink-arg=${s}`) : [])];
  // The standard library is built for threads, too: that takes an unstable option of cargo, and so the bootstrap switch.
  const std = shared ? ["-Z", "build-std=std,panic_abort"] : [];
  const env = { ...process.env, RUSTC: rustc, RUSTC_BOOTSTRAP: "1", CARGO_TARGET_DIR: folder, CARGO_ENCODED_RUSTFLAGS: flags.join("\x1f") };
  const cargo = spawn("cargo", ["build", "-q", "-p", "pax-wasm", "--profile", "wasm", "--target", TARGET, ...std], { cwd: root, env, stdio: "inherit" });
  if (await new Promise((end) => cargo.once("exit", end)) !== 0) missing(`The WebAssembly build ${name} failed: see cargo's message above.`);
  const file = join(root, "dist", "wasm", `pax-${name}.wasm`);
  mkdirSync(join(root, "dist", "wasm"), { recursive: true });
  copyFileSync(join(folder, TARGET, "wasm", "pax_wasm.wasm"), file);
  const bytes = readFileSync(file);
  console.log(`pax-${name}.wasm: ${(bytes.length / 1e6).toFixed(2)} MB, ${Math.round(gzipSync(bytes, { level: 9 }).length / 1000)} kB gzipped`);
}

/** Builds those that are not there or older than their sources, side by side: the last part of a build runs on one core. */
export async function buildWasm(names = Object.keys(BUILDS)) {
  const unknown = names.find((n) => BUILDS[n] === undefined);
  if (unknown !== undefined) missing(`There is no build ${unknown}: one of ${Object.keys(BUILDS).join(", ")}.`);
  const sources = crateSources();
  const wanted = names.map((name) => ({ name, check: stale(`wasm-${name}`, sources) }))
    .filter(({ name, check }) => check.stale || !existsSync(join(root, "dist", "wasm", `pax-${name}.wasm`)));
  if (wanted.length === 0) return;
  const rustc = compiler();
  await Promise.all(wanted.map(async ({ name, check }) => {
    await build(name, rustc);
    check.done();
  }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildWasm(process.argv.length > 2 ? process.argv.slice(2) : undefined);
