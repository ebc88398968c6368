/** A module whose only function splats two vectors and swizzles them relaxedly: valid where relaxed SIMD is. */
const RELAXED = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11]);

export type Build = "simd" | "relaxed" | "threads";

/** The fastest build that this runtime can run. */
export function pickBuild(threads: boolean): Build {
  if (!WebAssembly.validate(RELAXED)) return "simd";
  return threads ? "threads" : "relaxed";
}
