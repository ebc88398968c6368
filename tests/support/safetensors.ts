/** The golden numbers: arrays in a safetensors file beside a JSON list of cases. Tests run in the repository's root. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as pax from "paxjs";

export interface Golden<C> {
  readonly cases: readonly C[];
  has(name: string): boolean;
  /** @throws Error where the file has no such array. */
  get(name: string): pax.Tensor;
  /** The arrays `prefix/0`, `prefix/1`, … */
  list(prefix: string): pax.Tensor[];
}

/** `C` is what the JSON file says of each case. */
export function golden<C extends { readonly case: string }>(group: string): Golden<C> {
  const folder = join(process.cwd(), "tests", "golden", "data");
  const { cases } = JSON.parse(readFileSync(join(folder, `${group}.json`), "utf8")) as { cases: C[] };
  const arrays = pax.io.fromSafetensors(readFileSync(join(folder, `${group}.safetensors`)));
  const get = (name: string): pax.Tensor => {
    const found = arrays.get(name);
    if (found === undefined) throw new Error(`${group}.safetensors has no ${name}`);
    return found;
  };
  return {
    cases,
    get,
    has: (name) => arrays.has(name),
    list(prefix) {
      const found: pax.Tensor[] = [];
      while (arrays.has(`${prefix}/${found.length}`)) found.push(get(`${prefix}/${found.length}`));
      return found;
    },
  };
}
