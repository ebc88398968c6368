// The package as it is published, in a project of its own.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../../scripts/setup.mjs";

/** A temporary folder whose node_modules has the packed tarball once `install` has run; `files` by name lie beside it until `remove`. */
export function packedProject(name, files) {
  const project = mkdtempSync(join(tmpdir(), `pax-${name}-`));
  const installed = join(project, "node_modules", "paxjs");
  const install = () => {
    const tarball = execFileSync("npm", ["pack", "--silent", "--pack-destination", project], { cwd: root, encoding: "utf8" }).trim();
    mkdirSync(installed, { recursive: true });
    execFileSync("tar", ["-xzf", join(project, tarball), "-C", installed, "--strip-components=1"]);
    for (const [file, text] of Object.entries(files)) writeFileSync(join(project, file), text);
  };
  return { project, installed, install, remove: () => { rmSync(project, { recursive: true, force: true }); } };
}
