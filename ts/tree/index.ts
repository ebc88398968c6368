export { all, equal, flatten, leaves, map, paths, reduce, structure, unflatten, zip } from "./map.js";
export { registerNode } from "./register.js";
export { Structure } from "./structure.js";
export type { LeafOf, MapLeaves, TensorTree, Traced } from "./types.js";
