import type { Files } from "./host.js";

/** Bytes that Node reads at once. */
const PIECE = 2 ** 30;
let last: Promise<unknown> = Promise.resolve();

/** The files of Node's machine; what is written replaces a file whole, with its mode, also behind a link. */
export const files: Files = {
  async read(path) {
    const fs = await import("node:fs/promises");
    const file = await fs.open(path);
    try {
      const { size } = await file.stat();
      if (size < PIECE) return await file.readFile();
      const bytes = new Uint8Array(size);
      for (let at = 0; at < size;) {
        const { bytesRead } = await file.read(bytes, at, Math.min(PIECE, size - at));
        if (bytesRead === 0) return bytes.subarray(0, at);
        at += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
  },
  write(path, bytes) {
    // One after the other: of two to one path the later stays.
    const written = last.then(() => replace(path, bytes));
    last = written.catch(() => undefined);
    return written;
  },
};

async function replace(path: string, bytes: Uint8Array): Promise<void> {
  const fs = await import("node:fs/promises");
  const { dirname, join } = await import("node:path");
  const target = await fs.realpath(path).catch(() => path);
  const old = await fs.stat(target).catch(() => undefined);
  const temporary = join(dirname(target), `.${process.pid}.${Math.random().toString(36).slice(2)}.tmp`);
  try {
    const file = await fs.open(temporary, "wx");
    try {
      if (old !== undefined) await fs.chmod(temporary, old.mode & 0o7777);
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await fs.rename(temporary, target);
  } catch (cause) {
    await fs.rm(temporary, { force: true });
    throw cause;
  }
}
