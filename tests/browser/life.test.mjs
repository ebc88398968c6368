// Traps, restarts and flat memory in a worker of Chromium, with threads and without.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withChromium } from "../../scripts/chromium.mjs";
import { serve } from "../../scripts/serve.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const test = suite("life");
const STEPS = 10_000;
/** The collector finds more at one time than at another; 9,000 eager steps make some 900 MB, compiled ones 250. */
const SLACK = 8 << 20;

for (const isolated of [true, false]) {
  test(isolated ? "with threads" : "without threads", async () => {
    const server = await serve({ "/dist/": join(root, "dist"), "/": join(root, "tests", "browser", "page") }, { isolated });
    try {
      const found = await withChromium(async (context) => {
        const page = await context.newPage();
        await page.goto(server.address);
        return page.evaluate((steps) => new Promise((done) => {
          const worker = new Worker("/life.js", { type: "module" });
          worker.onmessage = ({ data }) => done(data);
          worker.onerror = (e) => done({ failure: e.message });
          worker.postMessage(steps);
        }), STEPS);
      });
      assert.is(found.failure, undefined);
      assert.is(found.isolated, isolated);
      assert.equal(found.together, [5, 1]);
      assert.ok(found.before.last < found.before.first);
      const [trap, ...later] = found.errors;
      assert.match(trap, /^poisoned: .*trapped: a panic on purpose/);
      for (const e of later) assert.match(e, /^poisoned: .*is gone since it trapped \(a panic on purpose\)/);
      assert.match(found.stale, /^disposed: /);
      for (const run of [found.after, found.again]) assert.equal([run.first, run.last], [found.before.first, found.before.last], "the same numbers after a restart");
      assert.ok(["RangeError", "poisoned"].includes(found.overflow), found.overflow);
      assert.match(found.huge, /^(memory|poisoned): /);
      for (const how of ["eager", "compiled"]) {
        const { early, late } = found[how];
        assert.ok(early > 0 && late - early <= SLACK, `${how}: from ${early} to ${late} bytes`);
      }
    } finally {
      server.close();
    }
  });
}

test.run();
