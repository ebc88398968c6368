/** Muon: momentum, made orthogonal. */
import { opError, PaxError, shown } from "../../errors.js";
import * as rows from "../../ops/generated/rows.js";
import { sum } from "../../ops/reduce.js";
import type { DType, Tensor, TensorLike } from "../../tensor.js";
import type { TensorTree } from "../../tree/index.js";
import { counted, firstMoment } from "../adam.js";
import { adamw } from "../aliases.js";
import { chain, partition } from "../combine.js";
import { addDecayedWeights, scaleByLearningRate } from "../scale.js";
import {
  each, like, statelessWithTreeMap, sumOfSquares,
  type EmptyState, type GradientTransformation, type MaskOrFn, type ScalarOrSchedule,
} from "../transform.js";
import * as tree from "../tree.js";

/** The factors of x, (x xᵀ) x and (x xᵀ)² x in a Newton-Schulz step. */
export type NewtonSchulzCoeffs = readonly [number, number, number];
const PRESETS: { readonly standard: readonly NewtonSchulzCoeffs[]; readonly dion: readonly NewtonSchulzCoeffs[] } = {
  standard: [[3.4445, -4.775, 2.0315]],
  dion: [[4.0848, -6.8946, 2.927], [3.9505, -6.3029, 2.6377], [3.7418, -5.5913, 2.3037], [2.8769, -3.1427, 1.2046], [2.8366, -3.0525, 1.2012]],
};
/** What `orthogonalizeViaNewtonSchulz` may be told. */
export type OrthogonalizeOptions = {
  /** One step's coefficients for all steps, a list of them, of which the last `nsSteps` are taken, or the name of one. */
  readonly nsCoeffs?: NewtonSchulzCoeffs | readonly NewtonSchulzCoeffs[] | keyof typeof PRESETS;
  readonly nsSteps?: number; readonly eps?: number;
};
const isOne = (coeffs: readonly unknown[]): coeffs is NewtonSchulzCoeffs => typeof coeffs[0] === "number";

/**
 * The nearest matrix with orthonormal rows or columns, roughly: singular values go to about 1 (Jordan et al. 2024).
 * @throws PaxError `shape` if it is no matrix, `value` for too few coefficients
 */
export function orthogonalizeViaNewtonSchulz(x: Tensor, { nsCoeffs = "standard", nsSteps = 5, eps = 1e-8 }: OrthogonalizeOptions = {}): Tensor {
  const op = "orthogonalizeViaNewtonSchulz";
  if (x.ndim !== 2) throw new PaxError("shape", `${op} takes a matrix, got shape ${shown(x.shape)}`, { op });
  const given = typeof nsCoeffs === "string" ? PRESETS[nsCoeffs] : isOne(nsCoeffs) ? [nsCoeffs] : nsCoeffs;
  const steps = given.length === 1 ? Array.from({ length: nsSteps }, () => given[0]!) : given.slice(-nsSteps);
  if (steps.length < nsSteps) throw opError("value", op, `${given.length} coefficients for ${nsSteps} steps`);
  const tall = x.shape[0]! > x.shape[1]!;
  const flip = (y: Tensor): Tensor => (tall ? rows.transpose(y, [1, 0]) : y);
  let y = rows.div(flip(x), like(rows.add(rows.sqrt(sumOfSquares(x)), eps), x));
  for (const [a, b, c] of steps) {
    const gram = rows.dot(y, y, [], [], [1], [1]);
    const poly = rows.add(rows.mul(gram, b), rows.mul(rows.matmul(gram, gram), c));
    y = rows.add(rows.mul(y, a), rows.matmul(poly, y));
  }
  return flip(y);
}

/** The count of updates (int32) and their average. */
export type ScaleByMuonState = { readonly count: Tensor; readonly mu: TensorTree };
/** What `scaleByMuon` may be told. */
export type MuonOptions = OrthogonalizeOptions & {
  readonly beta?: TensorLike; readonly muDtype?: DType; readonly nesterov?: boolean;
  /** Whether the result is scaled by its product with the momentum. */
  readonly adaptive?: boolean;
};
/** Momentum of matrices, made orthogonal (Jordan et al. 2024). @throws PaxError `shape` for a leaf that is no matrix */
export const scaleByMuon = ({ beta = 0.95, muDtype, nesterov = true, adaptive = false, ...options }: MuonOptions = {}): GradientTransformation<ScaleByMuonState> =>
  counted((params) => ({ mu: tree.zerosLike(params, { dtype: muDtype }) }), (updates, state, count) => {
    const mu = tree.updateMoment(updates, state.mu, beta, 1);
    const out = each((m) => {
      const y = orthogonalizeViaNewtonSchulz(m, options);
      return adaptive ? rows.mul(sum(rows.mul(m, y)), y) : y;
    }, firstMoment(updates, mu, beta, count, nesterov));
    return [out, { mu }];
  });
/** Matrices times the root of outputs by inputs, 1 at least; with `consistentRms`, times it and the root of the longer side. */
export const scaleByShape = ({ consistentRms = null }: { readonly consistentRms?: number | null } = {}): GradientTransformation<EmptyState> =>
  statelessWithTreeMap((g) => {
    const [inputs, outputs] = [g.shape[0]!, g.shape[1]!];
    return rows.mul(g, consistentRms === null ? Math.sqrt(Math.max(1, outputs / inputs)) : Math.sqrt(Math.max(inputs, outputs)) * consistentRms);
  });

/** What `muon` may be told. */
export type MuonAliasOptions = MuonOptions & {
  readonly weightDecay?: ScalarOrSchedule; readonly weightDecayMask?: MaskOrFn | null; readonly consistentRms?: number | null;
  readonly adamB1?: TensorLike; readonly adamB2?: TensorLike; readonly adamEpsRoot?: TensorLike; readonly adamWeightDecay?: ScalarOrSchedule;
  /** Without it, `learningRate`. */
  readonly adamLearningRate?: ScalarOrSchedule;
};
/** Muon for leaves of two axes [inputs, outputs], Adam with weight decay for the others (Jordan et al. 2024). */
export const muon = (learningRate: ScalarOrSchedule, {
  weightDecay, weightDecayMask, consistentRms, adamB1: b1, adamB2: b2, adamEpsRoot: epsRoot, adamWeightDecay = 0, adamLearningRate = learningRate, ...options
}: MuonAliasOptions = {}) => {
  const { eps, nesterov = true, muDtype } = options;
  return partition({
    muon: chain(scaleByMuon(options), scaleByShape({ consistentRms }), addDecayedWeights(weightDecay, { mask: weightDecayMask }), scaleByLearningRate(learningRate)),
    adam: adamw(adamLearningRate, {
      b1, b2, eps, epsRoot, weightDecay: adamWeightDecay, nesterov, muDtype,
    }),
  }, (params) => each((p) => (p.ndim === 2 ? "muon" : "adam"), params));
};
