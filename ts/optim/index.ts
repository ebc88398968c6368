import { Module, Optimizer } from "../module/index.js";
import * as optax from "../optax/index.js";
import { structure, type TensorTree } from "../tree/index.js";
import { differenceError, firstDifference } from "../tree/structure.js";

export { Optimizer };
/** An optimizer whose state is an optax transformation's. */
export interface OptaxOptimizer<S = TensorTree> extends Optimizer {
  state: S;
  step<M extends Module>(grads: M, model: M): M;
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
    step<M extends Module>(grads: M, model: M): M {
      const params = model.parameters();
      const found = firstDifference(structure(grads).node, structure(params).node);
      if (found !== null) throw differenceError("optimizer.step", found, ["in the gradients", "in the model"]);
      const [updates, state] = transformation.update(grads, this.state, params);
      this.state = state;
      return model.update(optax.applyUpdates(params, updates));
    }
  };
}
type Options<F extends (...args: never[]) => unknown> = NonNullable<Parameters<F>[1]>;
export const sgd = (params: Module, learningRate = 1e-2, options: Options<typeof optax.sgd> = {}): OptaxOptimizer =>
  new (fromOptax(optax.sgd(learningRate, options)))(params);
export const adam = (params: Module, learningRate = 1e-4, options: Options<typeof optax.adam> = {}): OptaxOptimizer =>
  new (fromOptax(optax.adam(learningRate, options)))(params);
export const adamw = (params: Module, learningRate = 1e-4, options: Options<typeof optax.adamw> = {}): OptaxOptimizer =>
  new (fromOptax(optax.adamw(learningRate, options)))(params);
