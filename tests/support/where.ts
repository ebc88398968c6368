/** Where the tests run. */
import { verbs } from "paxjs/internal";
import type { Test } from "uvu";

const inPage = "crossOriginIsolated" in globalThis;

/** Registers a test that needs files or processes: pages have none. */
export const onMachine = (test: Test, name: string, run: () => void | Promise<void>): void => { if (!inPage) test(name, run); };

/** Registers a test of what only the native binary can: its finalizers run inside the collection, in loops that never yield. */
export const natively = (test: Test, name: string, run: () => void | Promise<void>): void => { if (verbs.binary === "native") test(name, run); };
