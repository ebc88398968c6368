// node scripts/extract-api.mjs: writes the code of docs/API.md and README.md to tests/types, where it must compile.
import { readFileSync, writeFileSync } from "node:fs";

function extract(document, target) {
  const source = readFileSync(new URL(`../${document}`, import.meta.url), "utf8");
  const blocks = [...source.matchAll(/^```ts\r?\n([\s\S]*?)^```/gm)].map((m) => m[1]);
  if (blocks.length === 0) throw new Error(`no ts blocks in ${document}`);
  writeFileSync(new URL(`../${target}`, import.meta.url), `// Written by scripts/extract-api.mjs from ${document}. Do not edit.\n${blocks.join("\n")}`);
  console.log(`${document}: ${blocks.length} blocks`);
}

extract("docs/API.md", "tests/types/api.ts");
extract("README.md", "tests/types/readme.ts");
