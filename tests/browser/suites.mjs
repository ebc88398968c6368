// The engine and golden suites in headless Chromium, each in a worker of a page of its own, some on the page's own thread.
// node tests/browser/suites.mjs [NAME...] runs some and prints what they print; scripts/test.mjs counts them all.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { withChromium } from "../../scripts/chromium.mjs";
import { countIn, isAssertions } from "../../scripts/count-assertions.mjs";
import { serve } from "../../scripts/serve.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const built = join(root, ".cache", "tests", "tests");

/** Suites that are about something that a page has not. */
const NODE_ONLY = {
  bench: "starts processes", errors: "reads the sources", examples: "starts processes", minified: "starts processes",
  stress: "finalizers inside the collection are the native binary's",
};

/** Where suites run, and the build that the library has to take there. */
const PLACES = [
  { name: "with threads", isolated: true, thread: "worker", build: "threads", runs: () => true },
  { name: "on one thread", isolated: false, thread: "worker", build: "relaxed", runs: (name) => ["np", "transforms", "optim", "jit-key", "random"].includes(name) },
  { name: "on the page's thread", isolated: true, thread: "page", build: "threads", runs: (name) => ["np", "transforms", "jit-key"].includes(name) },
];

const suites = ["engine", "golden"].flatMap((folder) => readdirSync(join(built, folder))
  .filter((f) => f.endsWith(".test.js")).map((f) => ({ name: f.replace(".test.js", ""), folder })).filter(({ name }) => !(name in NODE_ONLY)));

/** Bundles the suites: the library stays where the page finds it, Node's modules become the shims. */
async function bundle(names) {
  await build({
    absWorkingDir: root, outdir: join(root, ".cache", "browser"), bundle: true, format: "esm", platform: "browser", target: "es2022", logLevel: "error",
    entryPoints: Object.fromEntries(names.map(({ folder, name }) => [`${folder}-${name}`, join(built, folder, `${name}.test.js`)])),
    plugins: [{
      name: "page",
      setup(b) {
        b.onResolve({ filter: /^paxjs(\/internal)?$/ }, ({ path }) => ({ path: `/dist/web/${path === "paxjs" ? "index" : "internal"}.js`, external: true }));
        b.onLoad({ filter: /uvu/ }, ({ path }) => (isAssertions(path) ? { contents: countIn(readFileSync(path, "utf8")) } : undefined));
        b.onResolve({ filter: /^node:/ }, () => ({ path: join(root, "tests", "browser", "shims.mjs") }));
      },
    }],
  });
}

/** What a suite prints, with how many assertions it made, or why it did not come to its end. */
async function runSuite(context, address, suite, { thread, build }) {
  const page = await context.newPage();
  await page.goto(address);
  const running = page.evaluate(async ({ suite, thread }) => {
    if (thread === "page") return (await import("/run.js")).runSuite(suite);
    const worker = new Worker("/run.js", { type: "module" });
    return new Promise((done) => {
      worker.onmessage = ({ data }) => done(data);
      worker.onerror = (e) => done({ text: `the worker failed: ${e.message}`, files: [] });
      worker.postMessage(suite);
    });
  }, { suite, thread });
  let timer;
  const late = new Promise((done) => { timer = setTimeout(done, 240_000, { text: "the suite did not end", files: [] }); });
  const { text, files } = await Promise.race([running, late]).catch((e) => ({ text: String(e), files: [] }));
  clearTimeout(timer);
  await page.close();
  return files.some((f) => f.endsWith(`/pax-${build}.wasm`)) ? text : `${text.replace(/Passed:/g, "Not counted:")}\nnot the build ${build}, but ${files}`;
}

/** Runs suites where they run; `report(name, text)` gets what each printed. */
export async function browserSuites(report, only = []) {
  const wanted = suites.filter(({ name }) => only.length === 0 || only.includes(name));
  await bundle(wanted);
  for (const place of PLACES) {
    const server = await serve({
      "/dist/": join(root, "dist"), "/suites/": join(root, ".cache", "browser"), "/tests/": join(root, "tests"), "/": join(root, "tests", "browser", "page"),
    }, place);
    await withChromium(async (context) => {
      for (const { folder, name } of wanted.filter((s) => place.runs(s.name))) {
        report(`chromium ${place.name}, ${folder}/${name}`, await runSuite(context, server.address, `${folder}-${name}`, place));
      }
    }, { args: ["--js-flags=--expose-gc"] });
    server.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await browserSuites((name, text) => console.log(`${name}\n${text}`), process.argv.slice(2));
