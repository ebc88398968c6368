/** The collector made to move and free all it can, at every chance: nothing crashes, values are right, nothing is left. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runScript } from "../support/processes.js";
import type { Measured } from "../support/memory-loop.js";
import type { Stressed } from "../support/stress-loop.js";

const test = suite("stress");
const STEPS = "150";
// Of V8's flags for this, these two work in release builds on Node 20, 22 and 24: each collection moves every object,
// and collections come at random fillings of the young generation (a fixed seed).
const flags = ["--expose-gc", "--stress-compaction", "--stress-scavenge=50", "--random-seed=7"];
const runs = [{}, { version: "22" }, { version: "24" }, { env: { PAX_FINALIZERS: "ordinary" } }];

for (const run of runs) {
  const name = run.version !== undefined ? `Node ${run.version}` : run.env !== undefined ? "ordinary finalizers" : "this Node";
  test(`a mixed program on ${name}`, () => {
    const { most, left, version } = runScript<Stressed>("./stress-loop.js", ["40"], { ...run, flags });
    if (run.version !== undefined) assert.match(version, new RegExp(`^v${run.version}\\.`));
    // Ordinary finalizers run when the loop yields, which this one never does.
    if (run.env !== undefined) return;
    assert.ok(most < 100, `${most} tensors were alive at once`);
    // A last one may still be on the stack when the count is taken.
    assert.ok(left <= 2, `${left} tensors are left`);
  });
}
for (const run of runs.slice(0, 3)) {
  test(`each part of the API leaves nothing, on ${run.version ?? "this Node"}`, () => {
    const left = runScript<Record<string, number>>("./leaks.js", [], { ...run, flags });
    assert.equal(Object.entries(left).filter(([, n]) => n !== 0), []);
  });
}
for (const mode of ["sync", "throws", "workers"]) {
  test(`a training loop (${mode})`, () => {
    const { loss } = runScript<Measured>("./memory-loop.js", [mode, STEPS]);
    for (const run of runs.slice(0, 3)) {
      const stressed = runScript<Measured>("./memory-loop.js", [mode, STEPS], { ...run, flags });
      assert.is(stressed.loss, loss, `another loss on ${stressed.version}`);
      assert.ok(stressed.most < 400, `${stressed.most} tensors were alive at once on ${stressed.version}`);
    }
  });
}

test.run();
