import { files } from "../backend/files.js";
import { host } from "../backend/web.js";
import { useHost } from "../engine.js";
import "./web.js";

// Deno and Bun: a page's engine and what it fetches, and files.
const read = (from: string) => (/^https?:/.test(from) ? host.files : files).read(from);
useHost({ ...host, files: { ...files, read } });

export * from "../index.js";
