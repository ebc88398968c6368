// node bench/browser.mjs WORKLOAD...: what ours.mjs measures, in headless Chromium on a cross-origin isolated page, on the WebAssembly build.
// Env: as ours.mjs; BENCH_BUILD (simd, relaxed or threads) takes that build in place of the page's choice.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { withChromium } from "../scripts/chromium.mjs";
import { serve } from "../scripts/serve.mjs";

const env = process.env;
const root = fileURLToPath(new URL("..", import.meta.url));
const options = { minMs: 1e3 * Number(env.BENCH_MIN_S ?? 1), maxMs: 1e3 * Number(env.BENCH_MAX_S ?? 3), eager: env.BENCH_EAGER === "1", dispose: true };
const start = { ...(env.BENCH_THREADS && { threads: Number(env.BENCH_THREADS) }), ...(env.BENCH_BUILD && { wasm: `/dist/wasm/pax-${env.BENCH_BUILD}.wasm` }) };

/** Most memory that a renderer below this process has had, in MB. */
function peak() {
  const found = new Map();
  for (const pid of readdirSync("/proc").filter((d) => /^\d+$/.test(d))) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const number = (word) => Number(new RegExp(`${word}:\\s+(\\d+)`).exec(status)?.[1]);
      found.set(Number(pid), { parent: number("PPid"), most: readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("--type=renderer") ? number("VmHWM") : 0 });
    } catch {
      // The process has ended.
    }
  }
  const ours = (pid) => pid === process.pid || (found.has(pid) && ours(found.get(pid).parent));
  return Math.max(0, ...[...found].filter(([pid]) => ours(pid)).map(([, { most }]) => most)) / 1024;
}

const server = await serve({ "/dist/": `${root}dist`, "/bench/": `${root}bench`, ...(env.BENCH_DATA && { "/data/": env.BENCH_DATA }), "/": `${root}bench/page` });
await withChromium(async (context) => {
  for (const name of process.argv.slice(2)) {
    const page = await context.newPage();
    page.on("pageerror", (e) => console.error(String(e)));
    await page.goto(server.address);
    const rows = await page.evaluate(async ({ name, options, start, data }) => {
      const began = performance.now();
      const pax = await import("paxjs");
      await pax.init(start);
      const importMs = performance.now() - began;
      const { bench } = await import("/bench/measure.mjs");
      const loaded = data ? await pax.io.loadSafetensors(`/data/${name}.safetensors`) : undefined;
      return bench(name, loaded, options).map((row) => ({ ...row, import_ms: importMs, isolated: crossOriginIsolated }));
    }, { name, options, start, data: env.BENCH_DATA !== undefined });
    for (const row of rows) console.log(JSON.stringify({ ...row, peak_rss_mb: peak() }));
    await page.close();
  }
});
server.close();
