/** Safetensors: round trips, and typed errors for every kind of bad file. */
import { chmodSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pax from "paxjs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { onMachine } from "../support/where.js";

const { np, io } = pax;
const test = suite("io");

const tensor = (offsets: string, dtype = "F32", shape = "[1]"): string => `{"dtype":"${dtype}","shape":${shape},"data_offsets":[${offsets}]}`;
function file(header: string, bytes: number): Uint8Array {
  const text = new TextEncoder().encode(header);
  const out = new Uint8Array(8 + text.length + bytes);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  return out;
}
const refuses = (f: () => unknown, words: RegExp): void =>
  assert.throws(f, (e: unknown) => e instanceof pax.PaxError && e.code === "io" && words.test(e.message));

onMachine(test, "a tree comes back with its kinds of leaves", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pax-io-"));
  try {
    const path = join(folder, "tree.safetensors");
    const tree = { a: np.array([[1, 2], [3, 4]]), list: [np.array([true, false]), np.array(5n), null], half: np.array([1, 2], { dtype: "bfloat16" }), step: 2.5, typed: Int32Array.of(1, 2) };
    await io.saveSafetensors(path, tree);
    assert.equal(readdirSync(folder), ["tree.safetensors"]); // no temporary file is left
    const back = await io.loadSafetensors(path, tree);
    assert.ok(pax.tree.equal(back, tree));
    assert.equal([...(await io.loadSafetensors(path)).keys()].sort(), ["a", "half", "list[0]", "list[1]", "step", "typed"]);
    // Of two that are not awaited the later stays; a file keeps its mode, also behind a link.
    chmodSync(path, 0o600);
    symlinkSync(path, join(folder, "link"));
    const first = io.saveSafetensors(path, { x: np.zeros([300_000]) });
    await Promise.all([first, io.saveSafetensors(join(folder, "link"), tree)]);
    assert.ok(pax.tree.equal(await io.loadSafetensors(path, tree), tree));
    assert.equal([statSync(path).mode & 0o777, lstatSync(join(folder, "link")).isSymbolicLink()], [0o600, true]);
    writeFileSync(path, readFileSync(path).subarray(0, -1));
    let failure: unknown;
    await io.loadSafetensors(path, tree).catch((e: unknown) => { failure = e; });
    assert.ok(failure instanceof pax.PaxError && failure.code === "io" && failure.message.includes("cut short"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("every difference from the target is named", () => {
  const bytes = io.toSafetensors({ a: np.array([1, 2]), b: np.array([3]) });
  refuses(() => io.fromSafetensors(bytes, { a: np.array([1]), c: np.array(1) }), /a: float32\[2\] in the file, float32\[1\] here; c: not in the file; b: in the file, but not here/);
});

test("__proto__ is a name as any other", () => {
  const found = io.fromSafetensors(file(`{"__proto__":${tensor("0,4")}}`, 4));
  assert.equal([...found.keys()], ["__proto__"]);
  assert.is(Reflect.get({}, "dtype"), undefined);
});

const good = io.toSafetensors({ a: np.array([1, 2]) });
const bad: Record<string, readonly [Uint8Array, RegExp]> = {
  "no header": [good.subarray(0, 5), /too few/],
  "a header cut short": [good.subarray(0, 30), /cut short/],
  "data cut short": [good.subarray(0, -1), /cut short/],
  "bytes after the end": [new Uint8Array([...good, 0]), /follow the last tensor/],
  "a huge header": [Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 123), /claims/],
  "no object": [file("[1]", 0), /begin with \{/],
  "a space first": [file(" {}", 0), /begin with \{/],
  "no JSON": [file("{]", 0), /not JSON/],
  "duplicate keys": [file(`{"a":${tensor("0,4")},"a":${tensor("4,8")}}`, 8), /"a" twice/],
  "duplicate escaped keys": [file(`{"a":${tensor("0,4")},"\\u0061":${tensor("4,8")}}`, 8), /"a" twice/],
  "overlaps": [file(`{"a":${tensor("0,4")},"b":${tensor("2,6")}}`, 6), /overlap/],
  "a gap": [file(`{"a":${tensor("4,8")}}`, 8), /gap/],
  "an unknown dtype": [file(`{"a":${tensor("0,4", "F8")}}`, 4), /dtype/],
  "a wrong size": [file(`{"a":${tensor("0,8")}}`, 8), /needs 4 bytes/],
  "a negative shape": [file(`{"a":${tensor("0,4", "F32", "[-1]")}}`, 4), /shape/],
  "a nested __proto__": [file(`{"a":{"__proto__":${tensor("0,4")}}}`, 4), /unknown field/],
  "deep nesting": [file(`{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, 0), /nested|JSON/],
};
for (const [name, [bytes, words]] of Object.entries(bad)) test(`refuses ${name}`, () => refuses(() => io.fromSafetensors(bytes), words));

test("a file cut short at every byte is refused", () => {
  const target = { a: np.array([[1, 2], [3, 4]]), list: [np.array(5n), np.array([true, false])] };
  const whole = io.toSafetensors(target);
  for (let length = 0; length < whole.length; length++) {
    refuses(() => io.fromSafetensors(whole.subarray(0, length)), /cut short|too few/);
    refuses(() => io.fromSafetensors(whole.subarray(0, length), target), /cut short|too few/);
  }
  assert.ok(pax.tree.equal(io.fromSafetensors(whole, target), target));
});
test("a file with one byte of its header changed is refused or read, and nothing else", () => {
  const whole = io.toSafetensors({ a: np.array([1, 2]), b: np.array(3n) });
  const header = 8 + Number(new DataView(whole.buffer).getBigUint64(0, true));
  let refused = 0;
  for (let at = 0; at < header; at++) {
    for (const byte of [0, 0x20, 0x22, 0x2c, 0x39, 0x5d, 0x7d, 0xff, whole[at]! ^ 1]) {
      const changed = whole.slice();
      changed[at] = byte;
      try {
        io.fromSafetensors(changed);
      } catch (e) {
        assert.ok(e instanceof pax.PaxError && e.code === "io", `byte ${at} as ${byte}: ${String(e)}`);
        refused += 1;
      }
    }
  }
  assert.ok(refused > 5 * header, "most changes break the file");
});

test.run();
