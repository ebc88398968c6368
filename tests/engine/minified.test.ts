/** Names hold after minifying: the same program, as it is and from a minified bundle, prints the same and reads the same checkpoint. */
import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import * as pax from "paxjs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { make } from "../support/minified-program.js";

const test = suite("minified");

test("names, paths, errors and a checkpoint from Node are the same in a minified bundle", async () => {
  const program = fileURLToPath(new URL("../support/minified-program.js", import.meta.url));
  // Two folders below the root, as the facade is: so the bundle finds the binary.
  const bundle = join(process.cwd(), ".cache", "minified", "bundle.mjs");
  buildSync({ entryPoints: [program], outfile: bundle, bundle: true, minify: true, platform: "node", format: "esm", logLevel: "error" });
  const checkpoint = join(mkdtempSync(join(tmpdir(), "pax-min-")), "net.safetensors");
  const net = make();
  await pax.io.saveSafetensors(checkpoint, net.update(pax.tree.map((x: pax.Tensor) => x.mul(2), net.parameters())));
  const run = (file: string): unknown[] => JSON.parse(execFileSync(process.execPath, [file, checkpoint], { encoding: "utf8" })) as unknown[];
  const [plain, minified] = [run(program), run(bundle)];
  assert.equal(minified, plain);
  assert.is(plain.at(-1), true, "the checkpoint holds what update gave");
  assert.equal(Object.keys(plain[2] as object).sort(), ["tower/layer_norm", "tower/linear", "tower/~/linear", "tower_1/layer_norm", "tower_1/linear", "tower_1/~/linear"]);
});

test.run();
