import "./node.js";

export * from "../internal.js";
