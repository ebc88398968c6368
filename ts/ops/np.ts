/** `pax.np`: NumPy's functions, by family. */
export { array } from "../tensor.js";
export * from "./aliases.js";
export * from "./compare.js";
export * from "./create.js";
export * from "./diagonal.js";
export * from "./elementwise.js";
export { newaxis, slice, take, takeAlongAxis, type At, type IndexPart, type Slice, type TakeMode } from "./indexing.js";
export { append, arraySplit, concatenate, dstack, hstack, repeat, roll, split, stack, tile, unstack, vstack } from "./join.js";
export * from "./linalg.js";
export * from "./order.js";
export * from "./pad.js";
export * from "./reduce.js";
export * from "./shape.js";
