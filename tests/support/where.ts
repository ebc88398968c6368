/** Tests that can hold in some places only: elsewhere they are not registered. `_why` says what they need, and which tests hold instead. */
import { verbs } from "paxjs/internal";
import type { Test } from "uvu";

type Register = (name: string, body: () => void | Promise<void>) => void;
const where = (here: boolean, test: Test): Register => (name, body) => { if (here) test(name, body); };

export const nativeOnly = (test: Test, _why: string): Register => where(verbs.binary === "native", test);
export const nodeOnly = (test: Test, _why: string): Register => where(!("location" in globalThis), test);
