/** The examples, in short. */
import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";

const test = suite("examples");
function run(name: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(process.cwd(), ".cache", "tests", "examples", `${name}.js`), ...args], { encoding: "utf8" });
  assert.is(status, 0, `${name}: ${stderr}`);
  return stdout;
}

test("counter prints null and 60", () => assert.is(run("counter"), "null\n60\n"));

test("mnist learns from 3,000 images", () => {
  const last = run("mnist", "--epochs", "2", "--limit", "3000").trimEnd().split("\n").at(-1) ?? "";
  const found = /^test accuracy (\d+\.\d) %$/.exec(last);
  assert.ok(found !== null && Number(found[1]) > 70, last);
});

test("mnist-conv learns, and resumes from its checkpoint", () => {
  const folder = mkdtempSync(join(tmpdir(), "mnist-conv-"));
  const whole = run("mnist-conv", "--epochs", "2", "--limit", "320", "--folder", join(folder, "whole"));
  run("mnist-conv", "--epochs", "1", "--limit", "320", "--folder", join(folder, "parts"));
  const resumed = run("mnist-conv", "--epochs", "2", "--limit", "320", "--folder", join(folder, "parts"));
  const last = (text: string): string | undefined => text.trimEnd().split("\n").at(-1);
  assert.match(resumed, /^resumed after epoch 1/);
  assert.is(last(resumed), last(whole));
  assert.ok(Number(/train loss \d+\.\d+ {2}accuracy (\d+)/.exec(last(whole)!)?.[1]) > 50, whole);
});

test.run();
