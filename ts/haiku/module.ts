import { PaxError } from "../errors.js";
import { className } from "../module/index.js";
import { isPlainObject } from "../tree/statics.js";
import { contextFor, noNames, scopeOf, type Names, type Scope } from "./context.js";

interface Naming {
  readonly wanted: string;
  /** Where it was made. */
  readonly scope: Scope;
  /** The names of modules made in its constructor. */
  readonly inner: Names;
  path: string | null;
}
const namings = new WeakMap<object, Naming>();

/** `Conv1D` is `conv1_d`, `BatchNorm` is `batch_norm`: Haiku's rule. */
const snakeCase = (name: string): string => name.replace(/(?<=[a-z0-9])[A-Z]|(?!^)[A-Z](?=[a-z])/g, "_$&").toLowerCase();

/** `linear_2` is `linear` and 2. */
function numbered(name: string): readonly [stem: string, number: number | null] {
  const found = /^(.*)_(0|[1-9]\d*)$/.exec(name);
  return found === null ? [name, null] : [found[1]!, Number(found[2])];
}

/** `full`, with the next number behind it if it was there before. @throws PaxError `value` for a number that was */
function unique(names: Names, full: string): string {
  const [stem, given] = numbered(full);
  const next = given ?? names.counters.get(stem) ?? 0;
  const name = given !== null || next > 0 ? `${stem}_${next}` : stem;
  if (names.used.has(name)) throw new PaxError("value", `hk: two modules are named \`${name}\`: leave the number out, or give another`, { op: "hk.Module", path: name });
  names.used.add(name);
  names.counters.set(stem, Math.max(names.counters.get(stem) ?? 0, next + 1));
  return name;
}

/** True if `value` or what it holds is wanted: it may be in plain containers, and in the fields of Haiku modules. */
export function reaches(value: unknown, wanted: (value: object) => boolean, seen = new Set<object>()): boolean {
  if (typeof value !== "object" || value === null || seen.has(value)) return false;
  if (wanted(value)) return true;
  seen.add(value);
  const inside: Iterable<unknown> = Array.isArray(value) || value instanceof Map || value instanceof Set ? value.values()
    : value instanceof Module || isPlainObject(value) ? Object.values(value) : [];
  for (const item of inside) if (reaches(item, wanted, seen)) return true;
  return false;
}

/** Names the modules made in a scope so far. The parent of one is the last module made before it there that holds it: it was made in that one's constructor. */
export function nameAll(scope: Scope): void {
  scope.made.forEach((module, i) => {
    const naming = namings.get(module)!;
    if (naming.path !== null) return;
    if (Object.hasOwn(module, "forward")) throw new PaxError("tree", `hk: \`forward\` of ${className(module)} must be a method of the class, not an arrow field`, { op: "hk.Module" });
    const parent = scope.made.slice(0, i).findLast((other) => reaches(other, (held) => held === module));
    const outer = parent === undefined ? undefined : namings.get(parent);
    naming.path = outer === undefined ? unique(scope, scope.prefix() + naming.wanted) : unique(outer.inner, `${outer.path}/~/${naming.wanted}`);
  });
}

function pathOf(module: object): string {
  const naming = namings.get(module)!;
  if (naming.path === null) nameAll(naming.scope);
  return naming.path!;
}

/** Runs a method of a module: parameters and modules made in it belong to the module. */
function inMethod<R>(module: object, method: string, body: () => R): R {
  if (!namings.has(module)) return body();
  const context = contextFor(`\`${method}\` of ${className(module)}`);
  const path = (): string => pathOf(module);
  const scope: Scope = { module: path, prefix: () => (method === "forward" ? `${path()}/` : `${path()}/~${method}/`), made: [], ...noNames() };
  context.scopes.push(scope);
  try {
    const out = body();
    nameAll(scope);
    return out;
  } finally {
    context.scopes.pop();
  }
}

const prepared = new WeakSet<object>();

/** Makes the methods and accessors of a class run in their module's scope, as Haiku's metaclass does. */
function prepare(prototype: object): void {
  for (let p = prototype; p !== Module.prototype; p = Object.getPrototypeOf(p) as object) {
    if (prepared.has(p)) continue;
    prepared.add(p);
    for (const [key, found] of Object.entries(Object.getOwnPropertyDescriptors(p))) {
      const scoped = (f: unknown): never => (typeof f !== "function" ? f : function (this: object, ...args: unknown[]): unknown {
        return inMethod(this, key, () => Reflect.apply(f, this, args) as unknown);
      }) as never;
      if (key !== "constructor") Object.defineProperty(p, key, "value" in found ? { ...found, value: scoped(found.value) } : { ...found, get: scoped(found.get), set: scoped(found.set) });
    }
  }
}

/**
 * The base class of Haiku modules, made and called inside `hk.transform`. Its call is the method `forward`; parameters are made in methods.
 *
 * Names are Haiku's: a module made in `forward` of `parent` is `parent/child`, one made in its constructor `parent/~/child`, one made in
 * another method `parent/~method/child`, and repeats get `_1`, `_2`. JavaScript does not tell when a constructor ends, so a module made in one
 * must be kept in a field (or in an array, object or map there): that is how its parent is found.
 *
 * The name is the option `name`, else the class's `static moduleName`, else the class's own name, in snake case. Minifiers change a class's own
 * name and with it the names of parameters: a class whose code is minified should have a `static moduleName`.
 */
export abstract class Module {
  declare private readonly _haiku: never;
  /** The class's name for module paths; minifiers change a class's own name. */
  static moduleName?: string;

  /** @throws PaxError `trace` outside of `hk.transform`, `value` for a name that is no identifier */
  constructor({ name }: { readonly name?: string | undefined } = {}) {
    const scope = scopeOf(contextFor(`new ${className(this)}`));
    const wanted = name ?? snakeCase(className(this));
    if (!/^[A-Za-z_]\w*$/.test(wanted)) throw new PaxError("value", `hk: ${JSON.stringify(wanted)} is no module name: letters, digits and _`, { op: "hk.Module" });
    namings.set(this, { wanted, scope, inner: noNames(), path: null });
    scope.made.push(this);
    prepare(new.target.prototype as object);
  }

  /** The module's path, as in the names of its parameters: `lstm/linear`. */
  get moduleName(): string {
    return pathOf(this);
  }
}
