// npm run bench [WORKLOAD...]: our rows as a table. Each workload runs in a process of its own.
// Env: those of bench/ours.mjs, and BENCH_PEERS, a JSON file of peers' results on this machine (`--json` of their driver): their ratios stand beside.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const wanted = process.argv.slice(2);
const peers = process.env.BENCH_PEERS === undefined ? [] : JSON.parse(readFileSync(process.env.BENCH_PEERS, "utf8")).filter((row) => row.peer !== "ours" && row.median_us > 0);
const names = [...new Set(peers.map((row) => row.peer))];

const time = (us) => (us < 1e3 ? `${us.toFixed(0)} µs` : `${(us / 1e3).toFixed(us < 1e4 ? 2 : 1)} ms`);
/** How many times our time a peer takes. */
const ratio = (row, peer) => {
  const theirs = peers.find((other) => other.peer === peer && other.workload === row.workload);
  if (theirs === undefined) return "";
  const same = !process.env.BENCH_DATA || theirs.loss_last === null || Math.abs(theirs.loss_last - row.loss_last) <= 2e-3 * Math.max(1, row.workload.startsWith("K1") ? Math.abs(row.loss_last) : 1);
  return `${(theirs.median_us / row.median_us).toFixed(2)}${same ? "" : " (another job)"}`;
};

const columns = [
  ["workload", (r) => r.workload], ["median", (r) => time(r.median_us)], ["p10", (r) => time(r.p10_us)], ["p90", (r) => time(r.p90_us)],
  ["rate", (r) => (r.rate === undefined ? `${(1e6 / r.median_us).toFixed(0)} steps/s` : `${r.rate.toFixed(1)} ${r.rate_unit}`)],
  ["first step", (r) => time(1e3 * r.first_step_ms)], ["import", (r) => time(1e3 * r.import_ms)], ["memory", (r) => `${r.peak_rss_mb.toFixed(0)} MB`],
  ["loss after 10", (r) => r.loss_last.toPrecision(6)], ...names.map((peer) => [`${peer} ÷ ours`, (r) => ratio(r, peer)]),
];

const rows = (wanted.length > 0 ? wanted : ["W1", "W1s", "W2", "W3", "W4", "K1"]).flatMap((name) => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [fileURLToPath(new URL("ours.mjs", import.meta.url)), name], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${name} failed: ${stderr}`);
  return stdout.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
});

const cells = [columns.map(([title]) => title), ...rows.map((row) => columns.map(([, show]) => show(row)))];
const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i].length)));
const show = (line) => console.log(`| ${line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(" | ")} |`);
show(cells[0]);
console.log(`| ${widths.map((w, i) => (i === 0 ? "-".repeat(w) : `${"-".repeat(w - 1)}:`)).join(" | ")} |`);
cells.slice(1).forEach(show);
if (names.length > 0) console.log("\nPeer ÷ ours: above 1, ours is quicker. Compare only what ran on this machine, idle, near in time.");
