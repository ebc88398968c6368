// The engine's and the golden suites in Chromium: `node tests/browser/suites.mjs [page|isolated|main] [suite …]`.
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { withChromium } from "../../scripts/chromium.mjs";
import { countIn, isAssertions } from "../../scripts/count-assertions.mjs";
import { serve } from "../../scripts/serve.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const built = join(root, ".cache", "browser");

/** Suites that run on the native binary only. */
export const NATIVE = { "engine/stress": "its collections come inside of loops that never yield, and there finalizers run natively only" };
/** Suites that run in Node only. */
export const NODE = {
  ...NATIVE,
  "engine/bench": "it starts processes",
  "engine/errors": "it reads the repository's sources; the errors themselves have suites of their own",
  "engine/minified": "it starts processes; tests/browser/projects.test.mjs does the same with pages",
  "golden/examples": "they are programs for Node",
};
/** How a page is served, and which build it then runs. `main`: on the page's own thread. */
export const MODES = {
  isolated: { isolated: true, thread: "worker", build: "threads" },
  page: { isolated: false, thread: "worker", build: "relaxed" },
  main: { isolated: true, thread: "main", build: "threads" },
};

export const all = () => ["engine", "golden"].flatMap((folder) => readdirSync(join(root, "tests", folder)).filter((f) => f.endsWith(".test.ts")).sort().map((f) => `${folder}/${f.replace(".test.ts", "")}`)).filter((name) => !(name in NODE));

/** What a test imports, in a page: the library as it is served, uvu with its assertions counted, and what there is of Node. */
const inPages = {
  name: "in pages",
  setup(esbuild) {
    esbuild.onResolve({ filter: /^paxjs(\/internal)?$/ }, ({ path }) => ({ path: path === "paxjs" ? "/dist/web/index.js" : "/dist/web/internal.js", external: true }));
    esbuild.onResolve({ filter: /^node:/ }, () => ({ path: join(root, "tests", "browser", "node.mjs") }));
    esbuild.onLoad({ filter: /uvu/ }, ({ path }) => (isAssertions(path) ? { contents: countIn(readFileSync(path, "utf8")) } : undefined));
  },
};

async function bundle(names) {
  rmSync(built, { recursive: true, force: true });
  const entryPoints = Object.fromEntries(names.map((name) => [name, join(root, ".cache", "tests", "tests", `${name}.test.js`)]));
  await build({
    entryPoints: { ...entryPoints, driver: join(root, "tests", "browser", "driver.mjs") }, outdir: built, bundle: true, splitting: true, format: "esm", platform: "browser",
    inject: [join(root, "tests", "browser", "process.mjs")], plugins: [inPages], logLevel: "warning",
  });
}

/** Runs suites one after the other, each in a worker or a page of its own, and gives what each counted. */
export async function* inChromium(names, { isolated, thread, build }) {
  await bundle(names);
  const server = await serve({ "/dist/": join(root, "dist"), "/tests/golden/data/": join(root, "tests", "golden", "data"), "/page/": join(root, "tests", "browser", "page"), "/": built }, { isolated });
  const results = [];
  let wake = () => {};
  const done = withChromium(async (context) => {
    for (const name of names) {
      const page = await context.newPage();
      let failure = "";
      page.on("pageerror", (e) => { failure += `${e.stack}\n`; });
      page.on("crash", () => { failure += "the page crashed\n"; });
      try {
        await page.goto(`${server.address}page/#${thread}`);
        const result = await page.evaluate((name) => globalThis.runSuite(name), name);
        if (!result.files.some((f) => f.endsWith(`/pax-${build}.wasm`))) failure += `it ran on ${result.files} instead of the build ${build}\n`;
        results.push({ name, ...result, text: result.text + failure, status: failure === "" ? 0 : 1 });
      } catch (e) {
        results.push({ name, total: 0, passed: 0, skipped: 0, assertions: 0, text: `${e.stack}\n${failure}`, status: 1 });
      }
      await page.close();
      wake();
    }
  }, { args: ["--js-flags=--expose-gc"] }).finally(() => { server.close(); });
  let given = 0;
  while (given < names.length) {
    if (given < results.length) yield results[given++];
    else await Promise.race([done, new Promise((resolve) => { wake = resolve; })]);
  }
  await done;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [mode = "isolated", ...names] = process.argv.slice(2);
  for await (const { name, total, passed, assertions, text, status, seconds } of inChromium(names.length > 0 ? names : all(), MODES[mode])) {
    if (passed < total || status !== 0) console.log(text);
    console.log(`${name}: ${passed} of ${total} passed, ${assertions} assertions, ${seconds?.toFixed(1)} s`);
  }
}
