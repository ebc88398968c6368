import { PaxError } from "../errors.js";

export type Mark = "state" | "parameter";

/** Marks of `pax.state` and `pax.parameter`, by value: the value itself stays what it is. */
const marks = new WeakMap<object, { kind: Mark; read: boolean }>();

let waiting = false;
/** True if a mark was made since the last call: the field that it is for may be there by now. */
export function marksWait(): boolean {
  const was = waiting;
  waiting = false;
  return was;
}

/** A mark, without reading it for good. */
export const peekMark = (value: object): Mark | undefined => marks.get(value)?.kind;

export function setMark(value: unknown, kind: Mark): void {
  if (typeof value !== "object" || value === null) return;
  const old = marks.get(value);
  // A mark that no module has read yet would be lost, and its field would silently change its kind.
  if (old !== undefined && old.kind !== kind && !old.read) {
    throw new PaxError("tree", `this value is already marked by pax.${old.kind}, and no module has read that mark yet: mark a copy (pax.clone)`, { op: kind });
  }
  marks.set(value, { kind, read: false });
  waiting = true;
}

export function readMark(value: object): Mark | undefined {
  const mark = marks.get(value);
  if (mark === undefined) return undefined;
  mark.read = true;
  return mark.kind;
}
