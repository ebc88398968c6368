/** The benchmark's own data have the shapes of its workloads, and one workload runs. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "paxjs";

const test = suite("bench");
const { makeData } = await import(pathToFileURL(join(process.cwd(), "bench", "data.mjs")).href) as { makeData(name: string): Map<string, Tensor> };
const shapes = (name: string): Record<string, string> => Object.fromEntries([...makeData(name)].map(([key, t]) => [key, `${t.dtype}[${t.shape.join()}]`]));

test("the data of W1s, named as the peers' files", () => {
  assert.equal(shapes("W1s"), {
    "p.w0": "float32[784,64]", "p.b0": "float32[64]", "p.w1": "float32[64,10]", "p.b1": "float32[10]", "in.x": "float32[32,784]", "in.y": "int32[32]",
  });
  const [a, b] = [makeData("W1s"), makeData("W1s")];
  for (const [name, t] of a) assert.equal(t.toArray(), b.get(name)!.toArray(), "one seed");
  const w = a.get("p.w0")!;
  assert.ok(Math.abs(w.std().item() / (2 / 784) ** 0.5 - 1) < 0.01 && Math.abs(w.mean().item()) < 0.001);
  assert.equal([a.get("in.y")!.min().item(), a.get("in.y")!.max().item()], [0, 9]);
});
test("W1s as a row of the table: the loss falls", () => {
  const env = { ...process.env, BENCH_DATA: "", BENCH_PEERS: undefined, BENCH_MIN_S: "0", BENCH_MAX_S: "0" };
  const row = JSON.parse(execFileSync(process.execPath, ["bench/ours.mjs", "W1s"], { encoding: "utf8", env })) as Record<string, number | string>;
  assert.is(row["workload"], "W1s");
  assert.ok(row["loss_last"]! < row["loss_first"]!, `${row["loss_first"]} to ${row["loss_last"]}`);
  const table = execFileSync(process.execPath, ["bench/table.mjs", "W1s"], { encoding: "utf8", env });
  assert.match(table, /^\| workload \|.*median.*\n\| -+ \|.*\n\| W1s +\|/);
});

test.run();
