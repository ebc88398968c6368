// The engine and golden suites in headless Chromium, each in a worker of a page of its own.
// node tests/browser/suites.mjs [NAME...] runs some and prints what they print; scripts/test.mjs counts them all.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { withChromium } from "../../scripts/chromium.mjs";
import { serve } from "../../scripts/serve.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const built = join(root, ".cache", "tests", "tests");

/** Suites that are about something that a page has not. */
const NODE_ONLY = {
  bench: "starts processes", errors: "reads the sources", examples: "starts processes", minified: "starts processes",
  memory: "finalizers inside the collection are the native binary's", stress: "finalizers inside the collection are the native binary's",
};

/** Suites that a page without threads runs, too. */
const ALONE = ["np", "transforms", "optim"];

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
        b.onResolve({ filter: /^node:/ }, () => ({ path: join(root, "tests", "browser", "shims.mjs") }));
      },
    }],
  });
}

/** What a suite prints, and whether it came to its end. */
async function runSuite(context, address, suite, start) {
  const page = await context.newPage();
  await page.goto(address);
  const text = await page.evaluate(({ suite, start }) => new Promise((done) => {
    const lines = [];
    const end = (line) => { lines.push(line); done(lines.join("\n")); };
    const worker = new Worker("/worker.js", { type: "module" });
    worker.onmessage = ({ data: { line, failure } }) => {
      if (failure !== undefined) end(failure);
      else if (/Duration:/.test(line)) end(line);
      else lines.push(line);
    };
    worker.onerror = (e) => end(`the worker failed: ${e.message}`);
    setTimeout(() => end("the suite did not end"), 240_000);
    worker.postMessage({ suite, start });
  }), { suite, start });
  await page.close();
  return text;
}

/** Runs suites, on an isolated page with threads, or on one without; `report(name, text)` gets what each printed. */
export async function browserSuites(report, only = []) {
  const wanted = suites.filter(({ name }) => only.length === 0 || only.includes(name));
  await bundle(wanted);
  for (const isolated of [true, false]) {
    const server = await serve({
      "/dist/": join(root, "dist"), "/suites/": join(root, ".cache", "browser"), "/tests/": join(root, "tests"), "/": join(root, "tests", "browser", "page"),
    }, { isolated });
    await withChromium(async (context) => {
      for (const { folder, name } of wanted.filter((s) => isolated || ALONE.includes(s.name))) {
        report(`chromium ${isolated ? "with threads" : "on one thread"}, ${folder}/${name}`, await runSuite(context, server.address, `${folder}-${name}`, {}));
      }
    }, { args: ["--js-flags=--expose-gc"] });
    server.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await browserSuites((name, text) => console.log(`${name}\n${text}`), process.argv.slice(2));
