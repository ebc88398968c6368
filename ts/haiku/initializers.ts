/** Haiku's initializers, which are those of `pax.initializers` by Haiku's names: inside `hk.transform` they draw from the run's rng. */
export {
  constant as Constant, identity as Identity, randomNormal as RandomNormal, randomUniform as RandomUniform,
  truncatedNormal as TruncatedNormal, varianceScaling as VarianceScaling, type Initializer,
} from "../initializers.js";
