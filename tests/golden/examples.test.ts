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

test("fine-tune: a new head learns 0 and 1 in a few steps, all before it frozen", () => {
  const out = run("fine-tune");
  const score = (what: RegExp): number => Number(what.exec(out)?.[1]);
  assert.ok(score(/on 2 to 9: (\d+\.\d)/) > 65, out);
  assert.match(out, /a new head: 2 trainable tensors of 6/);
  assert.ok(score(/on 0 and 1 before: (\d+\.\d)/) < 85, out);
  assert.ok(score(/on 0 and 1 after \d+ steps: (\d+\.\d)/) > 85, out);
  assert.match(out, /unfrozen again: 6 trainable/);
});

test("char-rnn learns its own text, and resumes to the same numbers", () => {
  const folder = mkdtempSync(join(tmpdir(), "char-rnn-"));
  const train = (steps: number, name: string): string =>
    run("char-rnn", "--hidden", "32", "--seq", "16", "--batch", "8", "--steps", String(steps), "--every", "30", "--sample", "5", "--prompt", "class LM", "--checkpoint", join(folder, name));
  const losses = (text: string): string[] => [...text.matchAll(/step (\d+ {2}loss \d+\.\d+)/g)].map((m) => m[1]!);
  const whole = losses(train(60, "whole"));
  assert.is(whole.length, 2);
  assert.ok(Number(whole[1]!.split(" ").at(-1)) < Number(whole[0]!.split(" ").at(-1)), whole.join());
  train(30, "parts");
  const resumed = train(60, "parts");
  assert.match(resumed, /^resumed after step 30/);
  assert.equal(losses(resumed), whole.slice(1));
  assert.match(resumed, /class LM.{5,}/s);
});

test.run();
