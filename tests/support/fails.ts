/** Errors that must be thrown. */
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { stats } from "paxjs/internal";

/** `f` throws a PaxError with this code, a sentence that says `fact` and, where given, this path; no transformation stays open. */
export function fails(code: pax.ErrorCode, fact: RegExp, f: () => unknown, path?: string): void {
  let error: unknown;
  try { f(); } catch (e) { error = e; }
  assert.instance(error, pax.PaxError, String(error));
  const { code: found, message, path: place } = error as pax.PaxError;
  assert.is(found, code, message);
  assert.match(message, fact);
  if (path !== undefined) assert.is(place, path, message);
  assert.is(stats().depth, 0);
}
