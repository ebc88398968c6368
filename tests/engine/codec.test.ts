/** Every row's parameters through the scratch and back: what TypeScript writes is what Rust reads. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { scratch, verbs } from "paxjs/internal";
import { lookUp } from "../support/loose.js";

const test = suite("codec");
const UNTOUCHED = 12345.678;
const MOST = 2 ** 53;

/** Reads a row's parameters from the scratch, and writes them back; answers the count of numbers, or −1. */
const echo = (row: number): number => lookUp<number>(verbs, "echo")(row);

interface Param { readonly name: string; readonly kind: string }
interface Row { readonly name: string; readonly params: readonly Param[] }
const rows: readonly Row[] = verbs.manifest().trimEnd().split("\n").map((line) => {
  const [name, , params] = line.split("\t") as [string, string, string];
  return { name, params: params === "" ? [] : params.split(",").map((p) => { const [of, kind] = p.split(":") as [string, string]; return { name: of, kind }; }) };
});

const counted = (xs: readonly number[]): number[] => [xs.length, ...xs];
const text = (s: string): number[] => counted(Array.from({ length: s.length }, (_, i) => s.charCodeAt(i)));

/** An empty program's handle. */
function program(): number {
  scratch[0] = 0;
  assert.is(verbs.beginAbstract(), 0);
  scratch[0] = 0;
  const handle = verbs.endAbstract();
  assert.ok(handle > 0);
  return handle;
}

/** What the facade writes for values of a kind. */
function samples(kind: string): readonly (readonly number[])[] {
  const choice = /^choice\((.*)\)$/.exec(kind);
  if (choice !== null) return choice[1]!.split("|").map((_, i) => [i]);
  switch (kind) {
    case "int": return [0, 1, -1, -7, 2 ** 31, -(2 ** 31), 2 ** 32 + 1, 2 ** 40, MOST, -MOST].map((x) => [x]);
    case "ints": return [[], [0], [-1], [-2, 3, -1], [MOST, -MOST], [2 ** 32, -(2 ** 32)], Array.from({ length: 70 }, (_, i) => 35 - i)].map(counted);
    case "float": return [0, -0, 1.5, -0.1, NaN, Infinity, -Infinity, MOST, -MOST, Number.MIN_VALUE, Number.MAX_VALUE, Number.EPSILON].map((x) => [x]);
    case "bool": return [[0], [1]];
    case "dtype": return Array.from({ length: 9 }, (_, i) => [i]);
    case "str": return ["", "ij,jk->ik", "é", "e\u0301", "😀", "\u0000", "a\tb\n", "x".repeat(300)].map(text);
    case "program": return [[program()]];
    default: throw new Error(`this test knows no parameters of kind ${kind}`);
  }
}
/** Programs have no value of their own: each comes back as 0. */
const back = (kind: string, written: readonly number[]): readonly number[] => (kind === "program" ? [0] : written);

function write(numbers: readonly number[]): void {
  scratch.fill(UNTOUCHED);
  scratch.set(numbers);
}

function roundTrip(row: number, values: readonly (readonly number[])[]): void {
  const { name, params } = rows[row]!;
  write(values.flat());
  const expected = values.flatMap((v, i) => back(params[i]!.kind, v));
  const count = echo(row);
  assert.is(count, expected.length, count < 0 ? `${name}: ${verbs.lastError()}` : `${name}: count`);
  const wrong = expected.findIndex((x, i) => !Object.is(scratch[i], x));
  assert.is(wrong, -1, `${name}: number ${wrong} of [${expected}] came back as ${scratch[wrong]}`);
  const end = Math.max(expected.length, values.flat().length);
  assert.ok(scratch.subarray(end).every((x) => x === UNTOUCHED), `${name}: more than the parameters was written`);
}

test("the manifest is read", () => {
  assert.ok(rows.length > 100);
  assert.ok(rows.some((r) => r.params.some((p) => p.kind === "program")));
});
rows.forEach(({ name, params }, row) => {
  test(`${name}(${params.map((p) => p.name).join(", ")})`, () => {
    const all = params.map((p) => samples(p.kind));
    const first = all.map((s) => s[0]!);
    roundTrip(row, first);
    // Each value of each parameter alone, and then all parameters at once.
    all.forEach((values, i) => { for (const v of values) roundTrip(row, first.map((f, k) => (k === i ? v : f))); });
    for (let k = 0; k < Math.max(0, ...all.map((s) => s.length)); k++) roundTrip(row, all.map((s, i) => s[(k + i) % s.length]!));
  });
});

/** The number of the first row that has a parameter of this kind, and what is written before that. */
function rowWith(kind: RegExp): { readonly row: number; readonly param: string; readonly before: readonly number[] } {
  const row = rows.findIndex((r) => r.params.some((p) => kind.test(p.kind)));
  const { params } = rows[row]!;
  const at = params.findIndex((p) => kind.test(p.kind));
  return { row, param: params[at]!.name, before: params.slice(0, at).flatMap((p) => samples(p.kind)[0]!) };
}
const wrong: readonly (readonly [RegExp, readonly number[], string])[] = [
  [/^int$/, [0.5], "value"], [/^int$/, [NaN], "value"], [/^int$/, [Infinity], "value"], [/^int$/, [MOST + 2], "value"],
  [/^ints$/, [-1], "value"], [/^ints$/, [1.5, 0], "value"], [/^ints$/, [2, 0, NaN], "value"],
  [/^dtype$/, [9], "dtype"], [/^dtype$/, [-1], "value"],
  [/^str$/, [1, 0.5], "value"], [/^choice/, [100], "value"], [/^choice/, [-1], "value"],
  [/^program$/, [7], "disposed"],
];
for (const [kind, numbers, code] of wrong) {
  test(`${kind.source} as [${numbers}] is refused, and the parameter named`, () => {
    const { row, param, before } = rowWith(kind);
    write([...before, ...numbers]);
    assert.is(echo(row), -1);
    const [found, op, ...sentence] = verbs.lastError().split("\n");
    assert.is(found, code);
    assert.is(op, rows[row]!.name);
    assert.match(sentence.join("\n"), `parameter ${param}`);
  });
}
test("a count that the scratch cannot hold is an error and no crash", () => {
  for (const kind of [/^ints$/, /^str$/]) {
    for (const count of [scratch.length, MOST]) {
      const { row, before } = rowWith(kind);
      scratch.fill(0);
      scratch.set([...before, count]);
      assert.is(echo(row), -1);
      assert.match(verbs.lastError(), /ended early/);
    }
  }
});
test("there is no row behind the last", () => {
  assert.is(echo(rows.length), -1);
  assert.match(verbs.lastError(), new RegExp(`^internal\\n.*${rows.length}`, "s"));
});

test.run();
