import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pax from "paxjs";
import { group, type Cases } from "./cases.js";

const { np, tree, io, data } = pax;
type T = pax.Tensor;
const x = np.ones([2, 3]);
const wrong = (value: unknown): never => value as never;
const add = (a: T, b: T): T => a.add(b);

/** A safetensors file with this header and so many bytes of data. */
function file(header: string, bytes = 0): Uint8Array {
  const text = new TextEncoder().encode(header);
  const out = new Uint8Array(8 + text.length + bytes);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  return out;
}
const entry = (offsets = "0,4", dtype = '"F32"', shape = "[1]"): string => `{"dtype":${dtype},"shape":${shape},"data_offsets":[${offsets}]}`;
const read = (header: string, bytes = 0) => (): unknown => io.fromSafetensors(file(header, bytes));
const good = io.toSafetensors({ a: x });

async function inFolder(run: (folder: string) => Promise<unknown>): Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), "pax-errors-"));
  try {
    return await run(folder);
  } catch (e) {
    if (e instanceof pax.PaxError) e.message = e.message.replaceAll(folder, "<folder>");
    throw e;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

class Point { constructor(readonly a: T) {} }
const nested = (depth: number): unknown => { let t: unknown = x; for (let i = 0; i < depth; i++) t = [t]; return t; };

export const files: readonly Cases[] = [
  group("trees", [
    () => tree.map(add, { a: x, b: x }, wrong({ a: x, c: x })),
    () => tree.map(add, [x, x], wrong([x])),
    () => tree.map(add, { w: x }, wrong({ w: [x] })),
    () => tree.map(add, wrong(new Map([[1, x]])), wrong(new Map([[2, x]]))),
    () => tree.leaves({ a: ["text"] }),
    () => tree.leaves({ a: () => 1 }),
    () => tree.leaves([new Date(0)]),
    () => tree.leaves("text"),
    () => tree.leaves(nested(1001)),
    () => { const cycle: unknown[] = []; cycle.push(cycle); return tree.leaves(cycle); },
    () => tree.unflatten(tree.structure([x, x]), [x]),
    () => tree.registerNode(Map, () => [[], 0], () => new Map()),
    () => { tree.registerNode(Point, (p) => [[p.a], "tag"], (_, [a]) => new Point(a as T)); return tree.map(add, wrong(new Point(x)), wrong(x)); },
    () => pax.grad(wrong((p: Point) => p.a.sum()))(wrong(new Set())),
  ]),
  group("data", [
    () => data.fromArrays({}),
    () => data.fromArrays({ a: new Float32Array(3), b: new Float32Array(2) }),
    () => data.fromArrays([np.array(1)]),
    () => data.fromArrays({ a: x }).batch(0),
    () => data.fromArrays({ a: x }).batch(3, { dropLast: true }),
    () => data.fromArrays({ a: x }).shuffle(np.array(1)),
    () => data.fromArrays({ a: x }).restore({ epoch: 0, cursor: 5, key: null }),
  ]),
  group("writing and reading files", [
    () => io.toSafetensors({ __metadata__: x }),
    () => io.toSafetensors(new Map<unknown, T>([[{}, x], [{}, x]])),
    () => io.toSafetensors({ a: "text" }),
    () => io.fromSafetensors(good, { a: np.ones([3]), b: x }),
    () => io.fromSafetensors(good, {}),
    () => inFolder((folder) => io.loadSafetensors(join(folder, "nothing.safetensors"))),
    () => inFolder((folder) => io.saveSafetensors(join(folder, "no", "such", "file"), { a: x })),
    () => inFolder((folder) => { writeFileSync(join(folder, "short"), good.subarray(0, -1)); return io.loadSafetensors(join(folder, "short"), { a: x }); }),
  ]),
  group("files that are no safetensors", [
    () => io.fromSafetensors(good.subarray(0, 5)),
    () => io.fromSafetensors(good.subarray(0, 30)),
    () => io.fromSafetensors(good.subarray(0, -1)),
    () => io.fromSafetensors(new Uint8Array([...good, 0])),
    () => io.fromSafetensors(Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 123)),
    read("[1]"),
    read("{]"),
    read("{"),
    read(`{"a":${entry()},"a":${entry("4,8")}}`, 8),
    read(`{"a":${entry()},"b":${entry("2,6")}}`, 6),
    read(`{"a":${entry("4,8")}}`, 8),
    read(`{"a":${entry("0,4", '"F8"')}}`, 4),
    read(`{"a":${entry("0,8")}}`, 8),
    read(`{"a":${entry("0,4", '"F32"', "[-1]")}}`, 4),
    read(`{"a":${entry("0")}}`, 4),
    read('{"a":5}'),
    read('{"a":{"extra":1}}'),
    read(`{"a":${"[".repeat(20)}${"]".repeat(20)}}`),
    read('{"__metadata__":5}'),
    read('{"__metadata__":{"a":5}}'),
    read('{"__metadata__":{"pax_format":"2"}}'),
  ]),
];
