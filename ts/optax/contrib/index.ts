/** What optax keeps in `optax.contrib`. */
export * from "./ademamix.js";
export * from "./free.js";
export * from "./muon.js";
export * from "./sam.js";
