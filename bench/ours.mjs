// node bench/ours.mjs WORKLOAD...: measures our steps in the contract of the peers (one JSON line a workload).
// Env: BENCH_DATA (folder of the peers' .safetensors files; without it bench/data.mjs makes the same shapes), BENCH_MIN_S, BENCH_MAX_S, BENCH_THREADS, BENCH_EAGER=1 (without jit), BENCH_DTYPE (of floats: float64, bfloat16, …).
import { join } from "node:path";

const began = performance.now();
const pax = await import("paxjs");
const importMs = performance.now() - began;
const { bench } = await import("./measure.mjs");
if (process.env.BENCH_THREADS !== undefined) pax.setThreads(Number(process.env.BENCH_THREADS));

const folder = process.env.BENCH_DATA;
const options = { minMs: 1e3 * Number(process.env.BENCH_MIN_S ?? 1), maxMs: 1e3 * Number(process.env.BENCH_MAX_S ?? 3), eager: process.env.BENCH_EAGER === "1", dtype: process.env.BENCH_DTYPE };
for (const name of process.argv.slice(2)) {
  for (const row of bench(name, folder ? await pax.io.loadSafetensors(join(folder, `${name}.safetensors`)) : undefined, options)) {
    console.log(JSON.stringify({ ...row, import_ms: importMs, peak_rss_mb: process.resourceUsage().maxRSS / 1024 }));
  }
}
