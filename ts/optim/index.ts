import { Module, Optimizer } from "../module/index.js";
import * as optax from "../optax/index.js";

export { Optimizer };
/** A class of optimizers whose state is the transformation's. */
export function fromOptax<S>(transformation: optax.GradientTransformation<S>) {
  return class OptaxOptimizer extends Optimizer {
    declare state: S;
    constructor(params: Module) {
      super();
      this.registerStateSubtree("state", transformation.init(params) as this["state"]);
    }
    step<M extends Module>(grads: M, model: M): M {
      const params = model.parameters();
      const [updates, state] = transformation.update(grads, this.state, params);
      this.state = state;
      return model.update(optax.applyUpdates(params, updates));
    }
  };
}
