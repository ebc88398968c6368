import { PaxError } from "../errors.js";
import { buildNode, type Node } from "../tree/flatten.js";
import { isTensor } from "../tree/leaf.js";
import { formatPath, type Step } from "../tree/path.js";
import { identityId, isPlainObject, MAX_DEPTH, tooDeep } from "../tree/statics.js";
import { birth, currentFrame, noteWritten, setBeforeEnter } from "./frame.js";
import { marksWait, peekMark, readMark } from "./marks.js";
import { SLOT } from "./slot.js";

export type Kind = "parameter" | "state" | "module" | "parameterSubtree" | "stateSubtree" | "moduleSubtree";
export interface Entry {
  readonly kind: Kind;
  /** How often `freeze()` met it, since it was a parameter. */
  readonly frozen: number;
}

/** What instances of a class with the same attributes share; interned, so that equal ones are the same object. */
export interface Layout {
  readonly id: number;
  readonly prototype: object;
  readonly keys: readonly PropertyKey[];
  readonly names: readonly string[];
  readonly entries: ReadonlyMap<string, Entry>;
  readonly statics: readonly (string | symbol)[];
  /** How `build` defines each key: by the accessor of a registered name, by a descriptor, or by assignment. */
  readonly parts: readonly { readonly key: PropertyKey; readonly accessor: PropertyDescriptor | null; readonly assign: boolean }[];
}

export interface Slot {
  entries: ReadonlyMap<string, Entry>;
  readonly values: Map<string, unknown>;
  training: boolean;
  readonly birth: number;
  layout: Layout | null;
  /** False until the accessors are known to be in place: class fields may replace them while the constructor runs. */
  verified: boolean;
  /** False until it is known that no trainable tensor sits at two places. */
  distinct: boolean;
  /** Made from another, without the constructor. */
  readonly copied: boolean;
  /** The last visit of `follow`. */
  visit: number;
}

type Instance = Record<PropertyKey, unknown> & { [SLOT]: Slot };

export const isModule = (value: unknown): value is { readonly [SLOT]: Slot } => typeof value === "object" && value !== null && Object.hasOwn(value, SLOT);
export const slotOf = (module: object): Slot => (module as Instance)[SLOT];

/** An attribute's tree that is made when someone reads it: almost every compiled step gets the modules of the step before as it gave them. */
export class Later {
  constructor(readonly node: Node, readonly leaves: readonly unknown[]) {}
}

/** A registered attribute's value. */
export function valueOf(slot: Slot, name: string): unknown {
  let value = slot.values.get(name);
  if (value instanceof Later) slot.values.set(name, (value = buildNode(value.node, { leaves: value.leaves, next: 0, born: slot.birth })));
  return value;
}

/** The name for messages; minifiers change `constructor.name`, so nothing else may use it. */
export function className(module: object): string {
  // An attribute may have the name `constructor`.
  const prototype = isModule(module) ? (Object.getPrototypeOf(module) as object) : module;
  const cls = prototype.constructor as { moduleName?: string; name: string };
  return (Object.hasOwn(cls, "moduleName") ? cls.moduleName : cls.name) || cls.moduleName || "Module";
}

const layouts = new WeakMap<object, Map<string, Layout>>();
let layoutCount = 0;

function intern(prototype: object, keys: readonly PropertyKey[], entries: ReadonlyMap<string, Entry>): Layout {
  let signature = "";
  for (const key of keys) {
    if (typeof key === "symbol") signature += `@${identityId(key)};`;
    else {
      const entry = entries.get(String(key));
      signature += `${JSON.stringify(key)}${entry === undefined ? "" : `${entry.kind}/${entry.frozen}`};`;
    }
  }
  let known = layouts.get(prototype);
  if (known === undefined) layouts.set(prototype, (known = new Map()));
  let layout = known.get(signature);
  if (layout === undefined) {
    const names = keys.filter((key): key is string => typeof key === "string" && entries.has(key));
    layout = {
      id: ++layoutCount, prototype, keys, names,
      entries: new Map(names.map((name) => [name, entries.get(name)!])),
      statics: keys.filter((key): key is string | symbol => key !== SLOT && !(typeof key === "string" && entries.has(key))),
      parts: keys.map((key) => ({ key, accessor: typeof key === "string" && entries.has(key) ? accessor(key) : null, assign: !(key in prototype) })),
    };
    known.set(signature, layout);
  }
  return layout;
}

/** The same layout with other kinds. */
export function withKinds(layout: Layout, change: (entry: Entry) => Entry): Layout {
  return intern(layout.prototype, layout.keys, new Map([...layout.entries].map(([name, entry]) => [name, change(entry)])));
}

const descriptors = new Map<string, PropertyDescriptor>();

/** The accessor of a registered name: it refuses writes from inside a transformation to a module from outside. */
function accessor(name: string): PropertyDescriptor {
  let descriptor = descriptors.get(name);
  if (descriptor === undefined) {
    descriptor = {
      enumerable: true,
      configurable: true,
      get(this: object): unknown {
        const slot = slotOf(this);
        const value = valueOf(slot, name);
        const frame = currentFrame();
        if (frame !== null && frame.reads !== null && slot.birth <= frame.start && isTensor(value)) frame.reads.set(value, `${name} of ${className(this)}`);
        return value;
      },
      set(this: object, value: unknown): void {
        const slot = slotOf(this);
        checkOwned(this, name);
        if (!slot.entries.get(name)?.kind.startsWith("state")) slot.distinct = false;
        else if (slot.copied && currentFrame() !== null) noteWritten(`\`${name}\` of ${className(this)}`, value);
        slot.values.set(name, value);
      },
    };
    descriptors.set(name, descriptor);
  }
  return descriptor;
}

export function checkOwned(module: object, name: string): void {
  const frame = currentFrame();
  if (frame === null || slotOf(module).birth > frame.start) return;
  throw new PaxError(
    "trace",
    `\`${name}\` of ${className(module)} was set inside \`${frame.name}\`, but the module came from outside: pass it as an argument and return it`,
    { op: frame.name, path: name },
  );
}

function define(module: object, slot: Slot, name: string, entry: Entry, value: unknown): void {
  if (name === "training") throw new PaxError("tree", `\`training\` of ${className(module)} is its mode: give the attribute another name`, { path: name });
  slot.entries = new Map(slot.entries).set(name, entry);
  slot.values.set(name, value);
  Object.defineProperty(module, name, accessor(name));
  slot.layout = null;
}

/** Registers a name with its value; the order of names is that of the properties. */
export function register(module: object, name: string, kind: Kind, value: unknown): void {
  const slot = slotOf(module);
  checkOwned(module, name);
  adoptAll(module, slot, []);
  define(module, slot, name, { kind, frozen: 0 }, value);
  slot.verified = false;
  slot.distinct = false;
}

/** Makes a marked value or a Module in an unregistered attribute part of the tree; true if it did. */
function adopt(module: object, slot: Slot, key: string | symbol, steps: readonly Step[]): boolean {
  const value = (module as Instance)[key];
  if (typeof value !== "object" || value === null) return false;
  const mark = readMark(value);
  const tensor = isTensor(value);
  const at = (): string => formatPath([...steps, key]);
  if (typeof key === "string") {
    const kind: Kind | null = mark !== undefined ? (tensor || ArrayBuffer.isView(value) ? mark : `${mark}Subtree`) : isModule(value) ? "module" : null;
    if (kind !== null) {
      define(module, slot, key, { kind, frozen: 0 }, value);
      slot.distinct = false;
      return true;
    }
  }
  if (tensor) {
    throw new PaxError("tree", `\`${at()}\` of ${className(module)} is a tensor, but neither a parameter nor a state: use registerParameter or registerState (or pax.parameter, pax.state)`, { path: at() });
  }
  scan(value, [...steps, key], module, key, new Set());
  return false;
}

/** Finds tensors and modules that hide in static data. */
function scan(value: unknown, steps: Step[], owner: object, key: string | symbol, seen: Set<object>): void {
  if (typeof value !== "object" || value === null) return;
  if (isModule(value) || isTensor(value)) {
    const path = formatPath(steps);
    const [what, call] = isModule(value) ? [`the module ${className(value)}`, "registerModuleSubtree"] : ["a tensor", "registerParameterSubtree or registerStateSubtree"];
    throw new PaxError("tree", `\`${path}\` holds ${what}, but \`${String(key)}\` of ${className(owner)} is not registered: use ${call}`, { path });
  }
  if (seen.has(value)) return;
  if (steps.length > MAX_DEPTH) throw tooDeep();
  seen.add(value);
  if (Array.isArray(value)) value.forEach((item, i) => scan(item, [...steps, i], owner, key, seen));
  else if (value instanceof Map) for (const [k, item] of value) scan(item, [...steps, String(k)], owner, key, seen);
  else if (value instanceof Set) for (const item of value) scan(item, steps, owner, key, seen);
  else if (isPlainObject(value)) for (const k of Object.keys(value)) scan(value[k], [...steps, k], owner, key, seen);
}

function adoptAll(module: object, slot: Slot, steps: readonly Step[]): void {
  for (const key of Reflect.ownKeys(module)) {
    if (key === SLOT) continue;
    if (typeof key !== "string" || !slot.entries.has(key)) adopt(module, slot, key, steps);
  }
}

/** True if nothing was added to an instance, taken from it or put in another order since it had this layout. */
export function settled(module: object, layout: Layout): boolean {
  const slot = slotOf(module);
  if (slot.layout !== layout || !slot.verified) return false;
  const keys = Reflect.ownKeys(module);
  if (keys.length !== layout.keys.length) return false;
  for (let i = 0; i < keys.length; i++) if (keys[i] !== layout.keys[i]) return false;
  return true;
}

/** Reads marks, checks attributes and gives the instance's layout; cheap if nothing changed since the last time. */
export function prepare(module: object, steps: readonly Step[] = []): Layout {
  const slot = slotOf(module);
  let layout = slot.layout;
  if (layout !== null && settled(module, layout)) {
    let adopted = false;
    for (const key of layout.statics) adopted = adopt(module, slot, key, steps) || adopted;
    if (!adopted) return layout;
  }
  for (const [name, entry] of slot.entries) {
    const found = Object.getOwnPropertyDescriptor(module, name);
    if (found === undefined) {
      const rest = new Map(slot.entries);
      rest.delete(name);
      slot.entries = rest;
      slot.values.delete(name);
    } else if (found.get !== accessor(name).get) {
      if (found.value === undefined) {
        const path = formatPath([...steps, name]);
        throw new PaxError("tree", `\`${path}\` of ${className(module)} was registered and then set to undefined by a class field: write \`declare ${name}\``, { path });
      }
      define(module, slot, name, entry, found.value);
    }
  }
  adoptAll(module, slot, steps);
  for (const name of ["forward", "step"]) {
    if (Object.hasOwn(module, name)) {
      const path = formatPath([...steps, name]);
      throw new PaxError("tree", `\`${path}\` is a property of this ${className(module)}: \`${name}\` must be a method of the class, not an arrow field`, { path });
    }
  }
  layout = intern(Object.getPrototypeOf(module) as object, Reflect.ownKeys(module), slot.entries);
  slot.layout = layout;
  slot.entries = layout.entries;
  slot.verified = true;
  newest.delete(module);
  return layout;
}

/**
 * Modules that no one flattened yet. The newest are held strongly: a WeakRef keeps its target alive until the loop yields,
 * which a loop that makes and trains modules may never do.
 */
const newest = new Set<object>();
const NEWEST = 64;
let older: WeakRef<object>[] = [];
let olderLimit = 1024;

/** Gives a new instance its record; called by the constructor of Module. */
export function initialise(module: object): void {
  const slot: Slot = { entries: new Map(), values: new Map(), training: true, birth: birth(), layout: null, verified: false, distinct: false, copied: false, visit: 0 };
  Object.defineProperty(module, SLOT, { value: slot });
  newest.add(module);
  if (newest.size <= NEWEST) return;
  const oldest = newest.values().next().value!;
  newest.delete(oldest);
  if (older.push(new WeakRef(oldest)) > olderLimit) {
    older = older.filter((ref) => ref.deref() !== undefined);
    olderLimit = Math.max(1024, 2 * older.length);
  }
}

function* pending(): Iterable<object> {
  yield* newest;
  for (const ref of older) {
    const module = ref.deref();
    if (module !== undefined) yield module;
  }
}

// Modules that no one flattened yet have no accessors: they get them before a function runs that may write to them.
setBeforeEnter(() => {
  if (newest.size === 0 && older.length === 0) return;
  const modules = [...pending()];
  newest.clear();
  older = [];
  for (const module of modules) {
    try {
      prepare(module);
    } catch {
      // An error of a module that takes no part is told when that module is flattened.
    }
  }
});

/**
 * Registers marked fields of modules that no one flattened yet. Called before each operation: `this.count = this.count.add(1)`
 * replaces the marked value, and its mark would be gone.
 */
export function claimMarks(): void {
  if (!marksWait()) return;
  for (const module of pending()) {
    const slot = slotOf(module);
    for (const key of Object.keys(module)) {
      if (slot.entries.has(key)) continue;
      const value = (module as Instance)[key];
      if (typeof value === "object" && value !== null && peekMark(value) !== undefined) adopt(module, slot, key, []);
    }
  }
}

/** A new instance without the constructor; `values` follow `layout.names`, `statics` follow `layout.statics`. */
export function build(layout: Layout, training: boolean, values: readonly unknown[], statics: readonly unknown[], born: number): object {
  const module = Object.create(layout.prototype) as Instance;
  const slot: Slot = { entries: layout.entries, values: new Map(), training, birth: born, layout, verified: true, distinct: true, copied: true, visit: 0 };
  for (let i = 0; i < values.length; i++) slot.values.set(layout.names[i]!, values[i]);
  let next = 0;
  for (const { key, accessor, assign } of layout.parts) {
    if (key === SLOT) Object.defineProperty(module, SLOT, { value: slot });
    else if (accessor !== null) Object.defineProperty(module, key, accessor);
    else if (assign) module[key] = statics[next++];
    else Object.defineProperty(module, key, { value: statics[next++], writable: true, enumerable: true, configurable: true });
  }
  return module;
}
