// node scripts/extract-api.mjs: writes the code of docs/API.md and README.md to tests/types, where it must compile.
import { readFileSync, writeFileSync } from "node:fs";

function extract(document, target, wanted = () => true) {
  const source = readFileSync(new URL(`../${document}`, import.meta.url), "utf8");
  const blocks = [...source.matchAll(/^```ts\r?\n([\s\S]*?)^```/gm)].map((m) => m[1]);
  if (blocks.length === 0) throw new Error(`no ts blocks in ${document}`);
  const present = blocks.filter(wanted);
  writeFileSync(new URL(`../${target}`, import.meta.url), `// Written by scripts/extract-api.mjs from ${document}. Do not edit.\n${present.join("\n")}`);
  console.log(`${document}: ${present.length} of ${blocks.length} blocks`);
}

// The Haiku block waits for the adapters (issue 4); everything else is the contract now.
extract("docs/API.md", "tests/types/api.ts", (block) => !/\bhk\b/.test(block));
extract("README.md", "tests/types/readme.ts");
