import type { Tensor } from "./tensor.js";

/** Where `nextRngKey` draws from while an initializer of `hk` runs; null is the global sequence. */
export let keySource: (() => Tensor) | null = null;

/** Runs `body`, in which `nextRngKey` gives `next()`. */
export function withKeySource<R>(next: () => Tensor, body: () => R): R {
  const outer = keySource;
  keySource = next;
  try {
    return body();
  } finally {
    keySource = outer;
  }
}
