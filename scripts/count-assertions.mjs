/** True for the file of uvu that every assertion of a test goes through. */
export const isAssertions = (path) => path.endsWith("/uvu/assert/index.mjs");

/** Its source, in which each assertion calls `countAssertion`. */
export function countIn(source) {
  const counted = source.replace("function assert(bool,", "function assert(...all) { globalThis.countAssertion?.(); check(...all); }\nfunction check(bool,");
  if (counted === source) throw new Error("uvu's assertions have changed: scripts/count-assertions.mjs does not know how to count them");
  return counted;
}
