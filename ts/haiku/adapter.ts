import { Module as PaxModule, className, isModule, type State } from "../module/index.js";
import { inDummyRun } from "../module/dummy-run.js";
import * as random from "../random.js";
import type { Tensor } from "../tensor.js";
import { isTensor } from "../tree/leaf.js";
import type { Params } from "./context.js";
import { reaches, type Module } from "./module.js";
import { transformWithState } from "./transform.js";

type Args = readonly unknown[];
type HaikuClass<C extends Args, A extends Args, R> = new (...args: C) => Module & { forward(...args: A): R };
export type FromHaikuOptions = {
  /** Hands each call a new random key. */
  readonly useRng?: boolean;
  /** False gives a class, whose constructor takes the dummy inputs. */
  readonly delay?: boolean;
  /** Adds `isTraining`, the module's mode, behind the arguments of each call. */
  readonly passIsTraining?: boolean;
};

/** Arguments in an instance, which is compared by identity: tensors among static attributes would be an error. */
class Held { constructor(readonly args: Args) {} }

/** How a Haiku module is made and called. Plain data, so that modules made in the same way have the same structure. */
interface Recipe { readonly cls: HaikuClass<never, never, unknown>; readonly args: Args | Held; readonly useRng: boolean; readonly passIsTraining: boolean }

export function recipeOf<C extends Args>(cls: HaikuClass<C, never, unknown>, args: C, { useRng = false, passIsTraining = false }: FromHaikuOptions): Recipe {
  return { cls: cls as Recipe["cls"], args: reaches(args, (x) => isTensor(x) || isModule(x)) ? new Held(args) : args, useRng, passIsTraining };
}

/** Makes the Haiku module and calls it; inside `hk.transform`. */
const call = ({ cls, args }: Recipe, inputs: Args): unknown => new cls(...((args instanceof Held ? args.args : args) as never)).forward(...(inputs as never));

/** A Haiku module as a module of Pax: `params` are its parameters and `state` its state, by Haiku's names. Made by `fromHaiku`. */
export class HaikuModule<A extends Args = Args, R = unknown> extends PaxModule {
  static override moduleName = "HaikuModule";
  /** Empty before `hkInit`. */
  declare params: Params;
  declare state: State<Params>;
  /** Initial parameters and each call's random key come from it. */
  declare rngKey: State<Tensor>;
  private initialized = false;

  constructor(private readonly recipe: Recipe) {
    super();
    this.registerParameterSubtree("params", {} as this["params"]);
    this.registerStateSubtree("state", {} as this["state"]);
    this.registerState("rngKey", random.nextRngKey() as this["rngKey"]);
  }

  /** Makes parameters and state by a run on these inputs, whose data enters neither; gives the run's result. */
  protected initialize(inputs: Args): unknown {
    const { recipe } = this;
    const key = random.split(this.rngKey, 3)[2]!; // the first two are for calls
    let out: unknown;
    const run = transformWithState(() => { out = call(recipe, recipe.passIsTraining ? [...inputs, true] : inputs); });
    [this.params, this.state] = run.init(key);
    this.initialized = true;
    return out;
  }

  /** Runs the Haiku module; state and random key move on in train mode only. A module without parameters makes them first, with a warning. */
  forward(...args: A): R {
    const { recipe, training } = this;
    if (!this.initialized) {
      if (inDummyRun()) return this.initialize(args) as R;
      console.warn(`paxjs: a Haiku module of class ${className(recipe.cls.prototype as object)} made its parameters when it was first called: call hkInit with dummy inputs right after making it`);
      this.initialize(args);
    }
    const [next = null, used = null] = recipe.useRng ? random.split(this.rngKey) : [];
    const run = transformWithState(() => call(recipe, recipe.passIsTraining ? [...args, training] : args));
    const [out, state] = run.apply(this.params, this.state, used);
    if (training && !inDummyRun()) {
      if (next !== null) this.rngKey = next;
      // A module without state writes nothing, so it may be captured by a transformation.
      if (Object.keys(state).length > 0) this.state = state;
    }
    return out as R;
  }
}

/** The arguments in front of `isTraining`. */
type BeforeTraining<A extends Args> =
  Required<A> extends readonly [...infer Rest, boolean] ? Rest : Required<A> extends readonly [...infer Rest, boolean, unknown] ? Rest : A;
type CallArgs<A extends Args, O> = O extends { readonly passIsTraining: true } ? BeforeTraining<A> : A;

/**
 * Makes modules of Pax from a class of Haiku modules: a function that takes the class's arguments and gives a module, to be given its parameters
 * by `hkInit(...dummyInputs)`. With `delay: false` it gives a class whose constructor takes the dummy inputs. Each instance draws its own
 * parameters from the global sequence of keys.
 */
export function fromHaiku<C extends Args, A extends Args, R, const O extends FromHaikuOptions = {}>(
  cls: HaikuClass<C, A, R>, options?: O,
): (...args: C) => O extends { readonly delay: false } ? new (...dummyInputs: CallArgs<A, O>) => HaikuModule<CallArgs<A, O>, R> : HaikuModule<CallArgs<A, O>, R>;
export function fromHaiku<C extends Args>(cls: HaikuClass<C, never, unknown>, options: FromHaikuOptions = {}): (...args: C) => unknown {
  return (...args) => {
    const recipe = recipeOf(cls, args, options);
    if (options.delay !== false) return new HaikuModule(recipe);
    return class extends HaikuModule {
      constructor(...dummyInputs: Args) {
        super(recipe);
        this.initialize(dummyInputs);
      }
    };
  };
}
