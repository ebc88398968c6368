/** State that a transformed function changed and did not return is lost: said once for each attribute. */
import { currentFrame } from "../module/index.js";
import type { Tensor } from "../tensor.js";
import { isTensor } from "../tree/leaf.js";
import { leaves } from "../tree/index.js";

const told = new Set<string>();

/** Compares what was written inside the running frame with what it returns. Gives the returned state, by attribute and class. */
export function warnOfDropped(name: string, returned: readonly Tensor[]): ReadonlyMap<string, readonly Tensor[]> {
  const kept = new Map<string, readonly Tensor[]>();
  const frame = currentFrame();
  if (frame === null || frame.written.size === 0) return kept;
  const out = new Set<unknown>(returned);
  for (const [label, values] of frame.written) {
    const tensors = values.flatMap((v) => (isTensor(v) ? [v] : leaves(v))) as Tensor[];
    const found = tensors.filter((t) => out.has(t));
    if (found.length > 0) kept.set(label, found);
    else if (tensors.length > 0 && !told.has(label)) {
      told.add(label);
      console.warn(`paxjs: ${label} was changed inside \`${name}\`, and the change is lost: return the module (from grad as aux, with { hasAux: true }), or call eval() on it first`);
    }
  }
  return kept;
}
