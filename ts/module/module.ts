import { opError, PaxError } from "../errors.js";
import { assemble, buildNode, flattenNode, isParameter, mapModules, stepOf, trainableMask, type Cursor, type ModuleNode, type Node } from "../tree/flatten.js";
import { isLeaf, scalarToTensor } from "../tree/leaf.js";
import type { Step } from "../tree/path.js";
import { differenceError, differenceHere } from "../tree/structure.js";
import { dummyRun } from "./dummy-run.js";
import { className, initialise, isModule, register, slotOf, withKinds, type Kind } from "./instance.js";
import type { ForwardArgs, Params } from "./kinds.js";
import { summarise } from "./summary.js";

/** A copy of a module with every module in it changed. */
function rebuild<M extends Module>(module: M, change: (node: ModuleNode) => ModuleNode): M {
  const leaves: unknown[] = [];
  const node = flattenNode(module, leaves);
  return buildNode(mapModules(node, change), { leaves, next: 0 }) as M;
}

/** A copy with the kinds after one `freeze()` more or less; the same kinds if it would find no parameter. */
function refreeze<M extends Module>(module: M, by: 1 | -1): M {
  let found = by < 0;
  const changed = rebuild(module, (node) => ({ ...node, layout: withKinds(node.layout, ({ kind, frozen }) => {
    const open = isParameter(kind);
    found ||= open;
    const times = open || frozen > 0 ? Math.max(0, frozen + by) : 0;
    return { kind: (times > 0 ? kind.replace("parameter", "state") : frozen > 0 ? kind.replace("state", "parameter") : kind) as Kind, frozen: times };
  }) }));
  return found ? changed : module.copy();
}

/** `b` where it is not null, else `a`; containers, statics, kinds and mode are `a`'s. */
function merge(a: Node, b: Node, x: Cursor, y: Cursor, steps: Step[]): unknown {
  if (b.type === "null") return buildNode(a, x);
  if (a.type === "null") return buildNode(b, y);
  const found = differenceHere(a, b, steps, false);
  if (found !== null) throw differenceError("update", found, ["in the module", "in the parameters"]);
  if (a.type === "leaf") {
    x.next++;
    return buildNode(b, y);
  }
  const others = (b as typeof a).children;
  return assemble(a, a.children.map((child, i) => {
    steps.push(stepOf(a, i));
    const merged = merge(child, others[i]!, x, y, steps);
    steps.pop();
    return merged;
  }));
}

/** The base class of everything with parameters or state. Every method gives a new module and leaves this one as it is. */
export abstract class Module {
  declare private readonly _module: never;
  /** The name in messages and summaries; minifiers change a class's own name. */
  static moduleName?: string;

  constructor() {
    initialise(this);
  }

  /** True in train mode, which a new module is in. */
  get training(): boolean {
    return slotOf(this).training;
  }

  protected registerState<K extends keyof this & string>(name: K, value: this[K]): void {
    register(this, name, "state", one(this, name, value));
  }
  protected registerParameter<K extends keyof this & string>(name: K, value: this[K]): void {
    register(this, name, "parameter", one(this, name, value));
  }
  protected registerModule<K extends keyof this & string>(name: K, value: this[K]): void {
    const given: unknown = value;
    if (given !== null && given !== undefined && !isModule(given)) {
      throw new PaxError("tree", `registerModule("${name}") of ${className(this)}: the value is no Module: use registerModuleSubtree for an array or object of them`, { op: "registerModule", path: name });
    }
    register(this, name, "module", value);
  }
  protected registerStateSubtree<K extends keyof this & string>(name: K, value: this[K]): void {
    register(this, name, "stateSubtree", value);
  }
  protected registerParameterSubtree<K extends keyof this & string>(name: K, value: this[K]): void {
    register(this, name, "parameterSubtree", value);
  }
  protected registerModuleSubtree<K extends keyof this & string>(name: K, value: this[K]): void {
    register(this, name, "moduleSubtree", value);
  }

  /** A module of this class with the trainable leaves; every other leaf is `null`. */
  parameters(): this {
    const leaves: unknown[] = [];
    const node = flattenNode(this, leaves);
    const mask = trainableMask(node);
    return buildNode(node, { leaves: leaves.map((leaf, i) => (mask[i] ? leaf : null)), next: 0 }) as this;
  }

  /** A new version with the leaves of `params` that are not `null`. Errors: `tree` for another class, names, kinds or mode. */
  update(params: this | Params<this>): this {
    const given: unknown = params;
    if (!isModule(given)) throw new PaxError("tree", `update of ${className(this)}: the argument is ${given === null ? "null" : typeof given === "object" ? "no Module" : `a ${typeof given}`}: pass what parameters() gave, or a gradient`, { op: "update" });
    const [mine, theirs]: [unknown[], unknown[]] = [[], []];
    const [a, b] = [flattenNode(this, mine), flattenNode(given, theirs)];
    return merge(a, b, { leaves: mine, next: 0 }, { leaves: theirs, next: 0 }, []) as this;
  }

  train(mode = true): this {
    return rebuild(this, (node) => ({ ...node, training: mode }));
  }
  eval(): this {
    return this.train(false);
  }

  /** Parameters become state, in every module inside too. Where there are none, nothing changes. */
  freeze(): this {
    return refreeze(this, 1);
  }
  /** The kinds before the last `freeze()` that changed any: parts that were frozen before it stay so. */
  unfreeze(): this {
    return refreeze(this, -1);
  }

  /** New modules and containers, the same leaves and static attributes. */
  copy(): this {
    return rebuild(this, (node) => node);
  }

  /** A copy with other values of some attributes. */
  replace<K extends keyof this>(values: { readonly [P in K]: this[P] }): this {
    const copy = this.copy();
    for (const key of Object.keys(values) as K[]) {
      if (!Object.hasOwn(copy, key)) {
        throw opError("tree", "replace", `${className(this)} has no attribute \`${String(key)}\`: it has ${Object.keys(copy).join(", ")}`, { path: String(key) });
      }
      copy[key] = values[key];
    }
    return copy;
  }

  /** The modules and leaves as lines of a tree, with shapes and counts. */
  summary(): string {
    return summarise(this);
  }

  /** A copy that ran once on these inputs, for modules that make their parameters then. Data of this run enters no state that was there before. */
  hkInit(...args: ForwardArgs<this>): this {
    const copy = this.copy();
    const { forward } = copy as { forward?: (...args: unknown[]) => unknown };
    if (typeof forward !== "function") throw opError("value", "hkInit", `${className(this)} has no method \`forward\``);
    return dummyRun(this, copy, () => { forward.apply(copy, args as unknown[]); });
  }
}

// Accessors would print as [Getter/Setter].
Object.defineProperty(Module.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  configurable: true,
  value(this: Module, _depth: number, options: object, inspect?: (value: unknown, options: object) => string): string {
    return inspect === undefined ? className(this) : `${className(this)} ${inspect({ ...this }, options)}`;
  },
});

function one(module: object, name: string, given: unknown): unknown {
  const value = scalarToTensor(given);
  if (value === null || value === undefined || isLeaf(value)) return value;
  throw new PaxError("tree", `\`${name}\` of ${className(module)} is a tree, not one value: use registerParameterSubtree or registerStateSubtree`, { path: name });
}

/** A module that updates the parameters of another. */
export abstract class Optimizer extends Module {
  abstract step<M extends Module>(grads: M, model: M): M;
}
