/** Where the tests run. */
import type { Test } from "uvu";

const inPage = "crossOriginIsolated" in globalThis;

/** Registers a test that needs files or processes: pages have none. */
export const onMachine = (test: Test, name: string, run: () => void | Promise<void>): void => { if (!inPage) test(name, run); };
