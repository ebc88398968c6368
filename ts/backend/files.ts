import type { Files } from "./host.js";

/** The files of Node's machine. */
export const files: Files = {
  async read(path) {
    const fs = await import("node:fs/promises");
    return fs.readFile(path);
  },
  async write(path, bytes) {
    const fs = await import("node:fs/promises");
    const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}.tmp`;
    try {
      const file = await fs.open(temporary, "wx");
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await fs.rename(temporary, path);
    } catch (cause) {
      await fs.rm(temporary, { force: true });
      throw cause;
    }
  },
};
