import "./web.js";

export * from "../internal.js";
