import { Module, Optimizer } from "../module/index.js";
import * as optax from "../optax/index.js";
import type { TensorTree } from "../tree/index.js";

export { Optimizer };
/** An optimizer whose state is an optax transformation's. */
export interface OptaxOptimizer<S = TensorTree> extends Optimizer {
  state: S;
  /** The model after a step. `extra` is for transformations that ask for more, as `{ value: loss }`. */
  step<M extends Module>(grads: M, model: M, extra?: optax.ExtraArgs): M;
}
/** A class of optimizers that step as the transformation says. */
export function fromOptax<S>(transformation: optax.GradientTransformation<S>): new (params: Module) => OptaxOptimizer<S> {
  return class OptaxOptimizer extends Optimizer {
    static override moduleName = "OptaxOptimizer";
    declare state: S;
    constructor(params: Module) {
      super();
      this.registerStateSubtree("state", transformation.init(params) as this["state"]);
    }
    step<M extends Module>(grads: M, model: M, extra?: optax.ExtraArgs): M {
      const params = model.parameters();
      const [updates, state] = transformation.update(grads, this.state, params, extra);
      this.state = state;
      return model.update(optax.applyUpdates(params, updates));
    }
  };
}

/** A function `(params, learningRate, options)` of an optax function `(learningRate, options)`. */
const shortcut = <R, O extends object, S>(make: (learningRate: R, options?: O) => optax.GradientTransformation<S>, defaultRate: NoInfer<R>) =>
  (params: Module, learningRate: R = defaultRate, options?: O): OptaxOptimizer<S> => new (fromOptax(make(learningRate, options)))(params);

export const sgd = shortcut(optax.sgd, 1e-2);
export const adam = shortcut(optax.adam, 1e-4);
export const adamw = shortcut(optax.adamw, 1e-4);
