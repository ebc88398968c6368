/** For the project's own tests: counters and the raw verbs. Not part of the public contract. */
export { stats } from "./runtime.js";
export { scratch, verbs } from "./engine.js";
export { scatter, scatterExtreme } from "./ops/generated/rows.js";
