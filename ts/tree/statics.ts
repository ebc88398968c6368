import { PaxError } from "../errors.js";

/** Most levels of a tree and of static data: what the smallest stack holds, that of a worker in Chromium. */
export const MAX_DEPTH = 400;

/** `{…}` or `Object.create(null)`, of this or another realm. */
export function isPlainObject(value: object): value is Record<string, unknown> {
  const proto: unknown = Object.getPrototypeOf(value);
  if (proto === null || proto === Object.prototype) return true;
  return typeof proto === "object" && Object.getPrototypeOf(proto) === null && Object.hasOwn(proto as object, "isPrototypeOf");
}

let ids = 0;
const objectIds = new WeakMap<object, number>();
const symbolIds = new Map<symbol, number>();

/** A number that is this object's or symbol's for life. */
export function identityId(value: object | symbol): number {
  const known = (typeof value === "symbol" ? symbolIds : objectIds) as Map<unknown, number>;
  let id = known.get(value);
  if (id === undefined) known.set(value, (id = ++ids));
  return id;
}

export function tooDeep(): PaxError {
  return new PaxError("tree", "static data is nested too deeply or contains itself: keep it in a class instance, which is compared by identity");
}

/** A string that is equal for equal values: primitives with `Object.is`, plain arrays and objects deeply, the rest by identity. */
export function staticKey(value: unknown, depth = 0): string {
  switch (typeof value) {
    case "string": return JSON.stringify(value);
    case "number": return Object.is(value, -0) ? "-0" : String(value);
    case "bigint": return `${value}n`;
    case "boolean": return value ? "t" : "f";
    case "undefined": return "u";
    case "symbol": return `@${identityId(value)}`;
    case "function": return `#${identityId(value)}`;
  }
  if (value === null) return "n";
  if (depth > MAX_DEPTH) throw tooDeep();
  if (Array.isArray(value)) {
    let text = "[";
    for (let i = 0; i < value.length; i++) text += `${staticKey(value[i], depth + 1)},`;
    return `${text}]`;
  }
  const object = value as object;
  if (!isPlainObject(object)) return `#${identityId(object)}`;
  let text = "{";
  for (const key of Object.keys(object).sort()) text += `${JSON.stringify(key)}:${staticKey(object[key], depth + 1)},`;
  return `${text}}`;
}

export const staticsEqual = (a: unknown, b: unknown): boolean => Object.is(a, b) || staticKey(a) === staticKey(b);

/** A static value in the words of an error. */
export function showStatic(value: unknown): string {
  if (typeof value === "function") return `function ${value.name === "" ? "(anonymous)" : value.name}`;
  if (typeof value === "symbol" || typeof value === "bigint") return String(value);
  if (typeof value === "object" && value !== null && !Array.isArray(value) && !isPlainObject(value)) return `an instance of ${value.constructor?.name ?? "a class"}`;
  let text: string;
  try {
    text = Object.is(value, -0) ? "-0" : typeof value === "number" ? String(value) : (JSON.stringify(value) ?? "undefined");
  } catch {
    text = Array.isArray(value) ? "an array" : "an object";
  }
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
