import { PaxError } from "../errors.js";

export type Mark = "state" | "parameter";

/** Marks of `pax.state` and `pax.parameter`, by value: the value itself stays what it is. */
const marks = new WeakMap<object, { kind: Mark; read: boolean }>();

export function setMark(value: unknown, kind: Mark): void {
  if (typeof value !== "object" || value === null) return;
  const old = marks.get(value);
  // A mark that no module has read yet would be lost, and its field would silently change its kind.
  if (old !== undefined && old.kind !== kind && !old.read) {
    throw new PaxError("tree", `this value is already marked by pax.${old.kind}, and no module has read that mark yet: mark a copy (pax.clone)`, { op: kind });
  }
  marks.set(value, { kind, read: false });
}

export function readMark(value: object): Mark | undefined {
  const mark = marks.get(value);
  if (mark === undefined) return undefined;
  mark.read = true;
  return mark.kind;
}
