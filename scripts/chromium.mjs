// Headless Chromium for the tests and the benchmarks: Debian's package, or the one that CHROMIUM names.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missing, run } from "./setup.mjs";

const path = () => [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((p) => p && existsSync(p));

/** Installs Debian's package where there is no browser to drive. */
export function needChromium() {
  if (path() !== undefined) return;
  const sentence = "Chromium is missing, which the tests of the browser drive: `apt-get install chromium`, or name one in CHROMIUM.";
  const su = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  for (const args of [["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium"]]) {
    const [command, ...rest] = [...su, "apt-get", ...args];
    run(command, rest, sentence);
  }
  if (path() === undefined) missing(sentence);
}

/** Runs `use(context)` with a fresh profile; closes all of it behind. */
export async function withChromium(use, options = {}) {
  const { chromium } = await import("playwright-core"); // it is there only after the set-up
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
