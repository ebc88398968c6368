import { host } from "../backend/web.js";
import { useHost } from "../engine.js";

useHost(host);

export * from "../index.js";
