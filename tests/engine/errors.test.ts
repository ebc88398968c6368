/** Every error's sentence, in one file that is read in each change: `UPDATE_SNAPSHOTS=1 node .cache/tests/tests/engine/errors.test.js` writes it. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { SourceMap, type SourceMapPayload } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { stats } from "paxjs/internal";
import { files } from "../support/errors/data.js";
import { modules } from "../support/errors/modules.js";
import { operations } from "../support/errors/operations.js";
import { transforms } from "../support/errors/transforms.js";

const test = suite("errors");
const SNAPSHOT = join("tests", "engine", "errors.snapshot.txt");
Error.stackTraceLimit = 100;

/** V8's own words for broken JSON differ between versions of Node. */
const line = (e: pax.PaxError): string =>
  `${e.code} | ${e.op ?? ""} | ${e.path ?? ""} | ${e.message.replace(/not JSON \(.*\)/s, "not JSON (…)").replaceAll("\n", "\\n")}`;

const found: string[] = [];
const sentences: string[] = [];
/** The places in ts/ that the errors came through, as `file:line`. */
const places = new Set<string>();

const dist = fileURLToPath(new URL(".", import.meta.resolve("paxjs")));
const maps = new Map<string, SourceMap>();
/** Where a place of a file in dist/ comes from: a module of tsc's, or the bundle of all of them. */
function noteOrigin(file: string, row: number, column: number): void {
  if (!maps.has(file)) maps.set(file, new SourceMap(JSON.parse(readFileSync(join(dist, `${file}.map`), "utf8")) as SourceMapPayload));
  const entry = maps.get(file)!.findEntry(row - 1, column - 1);
  if (!("originalSource" in entry)) return;
  places.add(`${/ts\/([\w/-]+\.ts)$/.exec(entry.originalSource)![1]!}:${entry.originalLine + 1}`);
}

for (const { title, cases } of [...operations, ...transforms, ...modules, ...files]) {
  test(title, async () => {
    found.push("", `# ${title}`);
    for (const provoke of cases) {
      let error: unknown;
      try { await provoke(); } catch (e) { error = e; }
      assert.instance(error, pax.PaxError, `${provoke} gave ${error instanceof Error ? error.stack : "no error"}`);
      const e = error as pax.PaxError;
      assert.is.not(e.code, "internal", `${provoke}: ${e.message}`);
      assert.is(stats().depth, 0, `${provoke} left a level open`);
      if (!found.includes(line(e))) found.push(line(e));
      sentences.push(e.message);
      for (let at: unknown = e; at instanceof Error; at = at.cause) {
        for (const [, file, row, column] of at.stack!.matchAll(/\/dist\/([\w/-]+\.js):(\d+):(\d+)/g)) noteOrigin(file!, Number(row), Number(column));
      }
    }
  });
}

const list = (folder: string, extension: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(extension)).map((f) => f.replaceAll("\\", "/")).sort();

/** Lines of the facade that throw, and that no case came through. */
function silentFacade(): string[] {
  return list("ts", ".ts").flatMap((source) => readFileSync(join("ts", source), "utf8").split("\n").flatMap((text, i) =>
    (/\bthrow (new PaxError\(|[\w.]+\()/.test(text) && !text.includes('"internal"') && !places.has(`${source}:${i + 1}`) ? [`ts/${source} | ${text.slice(text.search(/\bthrow /)).trim()}`] : [])));
}

/** Sentences in the engine's source that no case gave. */
function silentEngine(): string[] {
  return list("crates", ".rs").filter((f) => f.includes("/src/") && !f.endsWith("tests.rs")).flatMap((file) => {
    const source = readFileSync(join("crates", file), "utf8");
    return [...source.matchAll(/\bError::(?:(?!internal)\w+)\(\s*(?:(?:pax_core::)?Code::(?!Internal)\w+,\s*)?(?:format!\(\s*)?"((?:[^"\\]|\\[^])*)"/g)].flatMap(([, literal]) => {
      const template = literal!.replaceAll('\\"', '"').replace(/\\\n\s*/g, "");
      const parts = template.split(/\{[^}]*\}/).map((s) => s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
      return sentences.some((s) => new RegExp(parts.join(".*"), "s").test(s)) ? [] : [`crates/${file} | ${template}`];
    });
  });
}

test("the sentences are those of the snapshot", () => {
  found.push("", "# In the source, but not provoked above", ...silentFacade(), ...silentEngine());
  const text = `code | op | path | sentence\n${found.join("\n")}\n`;
  if (process.env["UPDATE_SNAPSHOTS"] === "1") writeFileSync(SNAPSHOT, text);
  const [now, kept] = [text.split("\n"), readFileSync(SNAPSHOT, "utf8").split("\n")];
  const changed = [...kept.filter((s) => !now.includes(s)).map((s) => `- ${s}`), ...now.filter((s) => !kept.includes(s)).map((s) => `+ ${s}`)];
  assert.equal(changed, [], "read the sentences that changed, then run with UPDATE_SNAPSHOTS=1");
  assert.equal(now, kept, "the order of the sentences changed: run with UPDATE_SNAPSHOTS=1");
});

test.run();
