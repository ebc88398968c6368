// Headless Chromium for the tests and the benchmarks: Debian's package, or the one that CHROMIUM names.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const path = () => [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((p) => p && existsSync(p));

/** True if there is a browser to drive. */
export const hasChromium = () => path() !== undefined;

/** Runs `use(context)` with a fresh profile; closes all of it behind. */
export async function withChromium(use, options = {}) {
  const profile = mkdtempSync(join(tmpdir(), "pax-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: path(), headless: true, ...options,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-precise-memory-info", ...(options.args ?? [])],
  });
  try {
    return await use(context);
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}
