import { host } from "../backend/node.js";
import { useHost } from "../engine.js";

useHost(host);

export * from "../index.js";
