import { opError } from "../errors.js";
import { Module, Optimizer } from "../module/index.js";
import * as optax from "../optax/index.js";
import { pathsOf, trainableMask } from "../tree/flatten.js";
import { copyOf } from "../tree/follow.js";
import { structure, type TensorTree } from "../tree/index.js";
import { staticKey } from "../tree/statics.js";
import { differenceError, firstDifference } from "../tree/structure.js";

export { Optimizer };
/** An optimizer whose state is an optax transformation's. */
export interface OptaxOptimizer<S = TensorTree> extends Optimizer {
  state: S;
  /** The model after a step. `extra` is for transformations that ask for more, as `{ value: loss }`. */
  step<M extends Module>(grads: M, model: M, extra?: optax.ExtraArgs): M;
}
type OptimizerClass<S> = new (params: Module) => OptaxOptimizer<S>;
const classes = new WeakMap<object, OptimizerClass<unknown>>();

/** The class of optimizers that step as the transformation says; its constructor throws PaxError `tree` for parameters with anything fixed among them. */
export function fromOptax<S>(transformation: optax.GradientTransformation<S>): OptimizerClass<S> {
  const known = classes.get(transformation);
  if (known !== undefined) return known as OptimizerClass<S>;
  const made = class OptaxOptimizer extends Optimizer {
    static override moduleName = "OptaxOptimizer";
    declare state: S;
    constructor(params: Module) {
      super();
      const { node } = structure(params);
      const path = pathsOf(node)[trainableMask(node).indexOf(false)];
      if (path !== undefined) throw opError("tree", "optimizer", `\`${path}\` is not trainable: pass model.parameters()`, { path });
      this.registerStateSubtree("state", transformation.init(params) as this["state"]);
    }
    step<M extends Module>(grads: M, model: M, extra?: optax.ExtraArgs): M {
      const params = model.parameters();
      const found = firstDifference(structure(grads).node, structure(params).node);
      if (found !== null) throw differenceError("optimizer.step", found, ["in the gradients", "in the model"]);
      const [updates, state] = transformation.update(grads, this.state, params, extra);
      this.state = state;
      return model.update(optax.applyUpdates(params, updates));
    }
  };
  classes.set(transformation, made);
  return made;
}

type Make<R, O, S> = (learningRate: R, options?: O) => optax.GradientTransformation<S>;
/** The optimizer of an optax function `(learningRate, options)`, as a function `(params, learningRate, options)`: of one class for equal settings. */
function shortcut<R, O, S>(make: Make<R, O, S>, defaultRate: NoInfer<R>): (params: Module, learningRate?: R, options?: O) => OptaxOptimizer<S>;
function shortcut<R, O, S>(make: Make<R, O, S>): (params: Module, learningRate: R, options?: O) => OptaxOptimizer<S>;
function shortcut<R, O, S>(make: Make<R, O, S>, defaultRate?: R) {
  // Weak, since settings may hold tensors.
  const known = new Map<string, WeakRef<OptimizerClass<S>>>();
  return (params: Module, learningRate = defaultRate as R, options?: O): OptaxOptimizer<S> => {
    const key = staticKey([learningRate, options ?? {}]);
    let cls = known.get(key)?.deref();
    if (cls === undefined) known.set(key, new WeakRef(cls = fromOptax(make(learningRate, copyOf(options) as O))));
    return new cls(params);
  };
}

/** `optax.sgd`; the learning rate is 0.01 by default. */
export const sgd = /* @__PURE__ */ shortcut(optax.sgd, 1e-2);
/** `optax.adam`; the learning rate is 0.0001 by default. */
export const adam = /* @__PURE__ */ shortcut(optax.adam, 1e-4);
/** `optax.adamw`; the learning rate is 0.0001 by default, as in Pax for Python. */
export const adamw = /* @__PURE__ */ shortcut(optax.adamw, 1e-4);
/** `optax.adabelief`. */
export const adabelief = /* @__PURE__ */ shortcut(optax.adabelief);
/** `optax.adadelta`. */
export const adadelta = /* @__PURE__ */ shortcut(optax.adadelta);
/** `optax.adagrad`. */
export const adagrad = /* @__PURE__ */ shortcut(optax.adagrad);
/** `optax.adamax`. */
export const adamax = /* @__PURE__ */ shortcut(optax.adamax);
/** `optax.adamaxw`. */
export const adamaxw = /* @__PURE__ */ shortcut(optax.adamaxw);
/** `optax.adan`. */
export const adan = /* @__PURE__ */ shortcut(optax.adan);
/** `optax.amsgrad`. */
export const amsgrad = /* @__PURE__ */ shortcut(optax.amsgrad);
/** `optax.fromage`. */
export const fromage = /* @__PURE__ */ shortcut(optax.fromage);
/** `optax.lamb`. */
export const lamb = /* @__PURE__ */ shortcut(optax.lamb);
/** `optax.lars`. */
export const lars = /* @__PURE__ */ shortcut(optax.lars);
/** `optax.lion`. */
export const lion = /* @__PURE__ */ shortcut(optax.lion);
/** `optax.nadam`. */
export const nadam = /* @__PURE__ */ shortcut(optax.nadam);
/** `optax.nadamw`. */
export const nadamw = /* @__PURE__ */ shortcut(optax.nadamw);
/** `optax.noisySgd`. */
export const noisySgd = /* @__PURE__ */ shortcut(optax.noisySgd);
/** `optax.novograd`. */
export const novograd = /* @__PURE__ */ shortcut(optax.novograd);
/** `optax.radam`. */
export const radam = /* @__PURE__ */ shortcut(optax.radam);
/** `optax.rmsprop`. */
export const rmsprop = /* @__PURE__ */ shortcut(optax.rmsprop);
/** `optax.rprop`. */
export const rprop = /* @__PURE__ */ shortcut(optax.rprop);
/** `optax.signum`. */
export const signum = /* @__PURE__ */ shortcut(optax.signum);
/** `optax.sm3`. */
export const sm3 = /* @__PURE__ */ shortcut(optax.sm3);
/** `optax.yogi`. */
export const yogi = /* @__PURE__ */ shortcut(optax.yogi);
/** `optax.adafactor`, which needs no learning rate. */
export const adafactor = /* @__PURE__ */ shortcut(optax.adafactor, null);
/** `optax.contrib.muon`. */
export const muon = /* @__PURE__ */ shortcut(optax.contrib.muon);
