/**
 * Losses, one number an example: the mean is the caller's. `axis` is where the classes or features are, -1 by default; `where` tells which of them count.
 * For losses over classes a `where` of fewer axes than the logits is one of examples.
 */
import { opError, shown } from "../errors.js";
import { axesOf, axisOf, otherAxes } from "../ops/axes.js";
import { eye } from "../ops/diagonal.js";
import { floatFormat } from "../ops/dtypes.js";
import * as rows from "../ops/generated/rows.js";
import { logSigmoid, logSoftmax, oneHot } from "../ops/nn.js";
import { any, logsumexp, max, sum } from "../ops/reduce.js";
import { expandDims, reshape, transpose } from "../ops/shape.js";
import { asTensor, isFloatDType, type Axis, type Tensor, type TensorLike } from "../tensor.js";
import { oneMinus, quotient } from "./transform.js";

export { ctcLoss, ctcLossWithForwardProbs, type CtcOptions } from "./ctc.js";
/** The axes that a loss sums over, and which places count. */
export type Over = { readonly axis?: Axis; readonly where?: TensorLike };

/** A float tensor. @throws PaxError `dtype` for another */
function floats(op: string, name: string, x: TensorLike): Tensor {
  const t = asTensor(x);
  if (isFloatDType(t.dtype)) return t;
  throw opError("dtype", op, `${name} are ${t.dtype}, not floats: cast them, \`${name}.astype("float32")\``);
}
const sumOver = (x: Tensor, { axis = -1, where }: Over, keepdims = false): Tensor =>
  sum(where === undefined ? x : rows.select(where, x, 0), axis, { keepdims });
/** `predictions - targets`, or the predictions where there are no targets. */
function errors(op: string, predictions: TensorLike, targets: TensorLike | undefined): Tensor {
  const p = floats(op, "predictions", predictions);
  return targets === undefined ? p : rows.sub(p, targets);
}

/** `(predictions - targets) ** 2`, element by element; without targets, the squares. @throws PaxError `shape` if the shapes differ */
export function squaredError(predictions: TensorLike, targets?: TensorLike): Tensor {
  const [p, t] = [asTensor(predictions), asTensor(targets ?? predictions)];
  if (p.shape.join() !== t.shape.join()) {
    throw opError("shape", "squaredError", `predictions of shape ${shown(p.shape)} and targets of shape ${shown(t.shape)}: they must be the same`);
  }
  return rows.square(errors("squaredError", p, targets));
}
/** Half of `squaredError`, whose derivative is the error. @throws PaxError `shape` if the shapes differ */
export const l2Loss = (predictions: TensorLike, targets?: TensorLike): Tensor => rows.mul(squaredError(predictions, targets), 0.5);
/** Squared up to `delta`, linear beyond (Huber 1964). */
export function huberLoss(predictions: TensorLike, targets?: TensorLike, { delta = 1 }: { readonly delta?: TensorLike } = {}): Tensor {
  const size = rows.abs(errors("huberLoss", predictions, targets));
  const quadratic = rows.minimum(size, delta);
  return rows.add(rows.mul(rows.square(quadratic), 0.5), rows.mul(rows.sub(size, quadratic), delta));
}
/** `log((exp(x) + exp(-x)) / 2)` of the errors, without overflow. */
export function logCosh(predictions: TensorLike, targets?: TensorLike): Tensor {
  const e = rows.abs(errors("logCosh", predictions, targets));
  // log(exp(e) + exp(-e)) = |e| + log(1 + exp(-2|e|))
  return rows.sub(rows.add(e, rows.softplus(rows.mul(e, -2))), Math.LN2);
}
/** The cosine of the angle between vectors; a squared norm counts as `epsilon` at least. */
export function cosineSimilarity(predictions: TensorLike, targets: TensorLike, { epsilon = 0, ...over }: Over & { readonly epsilon?: TensorLike } = {}): Tensor {
  const unit = (name: string, given: TensorLike): Tensor => {
    const x = floats("cosineSimilarity", name, given);
    return rows.div(x, rows.sqrt(rows.maximum(sumOver(rows.square(x), over, true), epsilon)));
  };
  return sumOver(rows.mul(unit("predictions", predictions), unit("targets", targets)), over);
}
/** 1 minus `cosineSimilarity`. */
export const cosineDistance = (predictions: TensorLike, targets: TensorLike, options: Over & { readonly epsilon?: TensorLike } = {}): Tensor =>
  rows.sub(1, cosineSimilarity(predictions, targets, options));

/** `-labels * log(p) - (1 - labels) * log(1 - p)` with `p = sigmoid(logits)`, without overflow, element by element. */
export function sigmoidBinaryCrossEntropy(logits: TensorLike, labels: TensorLike): Tensor {
  const x = floats("sigmoidBinaryCrossEntropy", "logits", logits);
  const y = rows.cast(labels, x.dtype, false);
  return rows.neg(rows.add(rows.mul(y, logSigmoid(x)), rows.mul(rows.sub(1, y), logSigmoid(rows.neg(x)))));
}
/** Binary cross-entropy times `(1 - p) ** gamma` of the right class, and `alpha` for label 1, `1 - alpha` for 0 (Lin et al. 2017). */
export function sigmoidFocalLoss(logits: TensorLike, labels: TensorLike, { alpha, gamma = 2 }: { readonly alpha?: TensorLike; readonly gamma?: TensorLike } = {}): Tensor {
  const x = floats("sigmoidFocalLoss", "logits", logits);
  const y = rows.cast(labels, x.dtype, false);
  const no = rows.sub(1, y);
  // log((1 - y) p + y (1 - p)); a part of weight 0 must not be the greatest.
  const part = (weight: Tensor, log: Tensor): Tensor => rows.select(rows.equal(weight, 0), -Infinity, log);
  const [p, q] = [part(no, logSigmoid(x)), part(y, logSigmoid(rows.neg(x)))];
  const most = rows.stopGradient(rows.maximum(p, q));
  const weighted = rows.add(rows.mul(no, rows.exp(rows.sub(p, most))), rows.mul(y, rows.exp(rows.sub(q, most))));
  const loss = rows.mul(sigmoidBinaryCrossEntropy(x, y), rows.exp(rows.mul(rows.add(rows.log(weighted), most), gamma)));
  return alpha === undefined ? loss : rows.mul(rows.add(rows.mul(y, alpha), rows.mul(no, oneMinus(alpha))), loss);
}

/** The logarithm of softmax over `axis`, of the places that count. */
function logProbs(x: Tensor, { axis = -1, where }: Over): Tensor {
  if (where === undefined && typeof axis === "number") return logSoftmax(x, axis);
  return rows.sub(x, logsumexp(where === undefined ? x : rows.select(where, x, -Infinity), axis, { keepdims: true }));
}
/** A `where` without the axes of the classes gets them. */
const masking = (x: Tensor, { axis = -1, where }: Over): Over =>
  (where === undefined || asTensor(where).ndim === x.ndim || axis === null ? { axis, ...(where === undefined ? {} : { where }) } : { axis, where: expandDims(where, axis) });
/** `-sum(labels * logSoftmax(logits))` over `axis`; labels are probabilities, as one-hot vectors. */
export function softmaxCrossEntropy(logits: TensorLike, labels: TensorLike, options: Over = {}): Tensor {
  const x = floats("softmaxCrossEntropy", "logits", logits);
  const over = masking(x, options);
  return rows.neg(sumOver(rows.mul(logProbs(x, over), labels), over));
}
/** As `softmaxCrossEntropy`, with a term 0 where a label is 0, even where its probability is 0 as well. */
export function safeSoftmaxCrossEntropy(logits: TensorLike, labels: TensorLike): Tensor {
  const logs = logSoftmax(floats("safeSoftmaxCrossEntropy", "logits", logits));
  // What is finite stays beside a label of 0: it is the derivative by the label.
  const some = rows.logicalOr(rows.notEqual(labels, 0), rows.isfinite(logs));
  return rows.neg(sum(rows.mul(rows.select(some, logs, 0), labels), -1));
}
/**
 * `-logSoftmax(logits)` at each integer label; the labels have the logits' shape without `axis`. Several axes count as one, in row-major order.
 * A label outside of the classes counts as the nearest one.
 * @throws PaxError `dtype` if the labels are not integers, `shape` if they do not fit
 */
export function softmaxCrossEntropyWithIntegerLabels(logits: TensorLike, labels: TensorLike, options: Over = {}): Tensor {
  const x = floats("softmaxCrossEntropyWithIntegerLabels", "logits", logits);
  const { axis, where } = masking(x, options);
  const classes = (Array.isArray(axis) ? (axis as readonly number[]).map((a) => axisOf(a, x.ndim)) : axesOf(axis, x.ndim));
  const others = otherAxes(x, classes);
  const last = (t: Tensor): Tensor => reshape(transpose(t, [...others, ...classes]), [...others.map((d) => x.shape[d]!), -1]);
  if (where === undefined) return rows.crossEntropy(last(x), labels);
  const [scores, some] = [last(x), last(rows.logicalAnd(rows.full(x.shape, "bool", 1), where))];
  const picked = rows.takeAlongAxis(scores, expandDims(labels, -1), others.length);
  const loss = rows.sub(logsumexp(rows.select(some, scores, -Infinity), -1), reshape(picked, others.map((d) => x.shape[d]!)));
  return rows.select(any(some, -1), loss, 0);
}
/** Cross-entropy plus `epsilon` times the share of the wrong classes (Leng et al. 2022). */
export function polyLossCrossEntropy(logits: TensorLike, labels: TensorLike, { epsilon = 2, ...options }: Over & { readonly epsilon?: TensorLike } = {}): Tensor {
  const x = floats("polyLossCrossEntropy", "logits", logits);
  const over = masking(x, options);
  const logs = logProbs(x, over);
  const wrong = sumOver(rows.mul(rows.sub(1, rows.exp(logs)), labels), over);
  return rows.add(rows.neg(sumOver(rows.mul(logs, labels), over)), rows.mul(wrong, epsilon));
}

/** `sum(targets * (log(targets) - logPredictions))` over `axis`; a target of 0 gives 0. */
export function klDivergence(logPredictions: TensorLike, targets: TensorLike, over: Over = {}): Tensor {
  const t = floats("klDivergence", "targets", targets);
  const none = rows.equal(t, 0);
  const logs = rows.select(none, 0, rows.log(rows.select(none, 1, t)));
  return sumOver(rows.mul(t, rows.sub(logs, floats("klDivergence", "logPredictions", logPredictions))), over);
}
/** As `klDivergence`, of the targets' logarithms. */
export const klDivergenceWithLogTargets = (logPredictions: TensorLike, logTargets: TensorLike, over: Over = {}): Tensor =>
  sumOver(rows.mul(rows.exp(logTargets), rows.sub(logTargets, logPredictions)), over);
/** `klDivergence` plus the difference of the sums: for what does not sum to 1. */
export const generalizedKlDivergence = (logPredictions: TensorLike, targets: TensorLike, over: Over = {}): Tensor =>
  rows.add(klDivergence(logPredictions, targets, over), sumOver(rows.sub(rows.exp(logPredictions), targets), over));

/** `max(0, 1 - predictions * targets)`; targets are -1 and 1. */
export const hingeLoss = (predictorOutputs: TensorLike, targets: TensorLike): Tensor => rows.maximum(rows.sub(1, rows.mul(predictorOutputs, targets)), 0);
/** `max(0, -predictions * targets)`; targets are -1 and 1. */
export const perceptronLoss = (predictorOutputs: TensorLike, targets: TensorLike): Tensor => rows.maximum(rows.neg(rows.mul(predictorOutputs, targets)), 0);
/** The greatest score that is not the label's, plus 1, less the label's; 0 at least. Classes are the last axis. */
export function multiclassHingeLoss(scores: Tensor, labels: TensorLike): Tensor {
  const right = oneHot(labels, scores.shape.at(-1)!);
  return rows.sub(max(rows.add(scores, rows.sub(1, right)), -1), sum(rows.mul(scores, right), -1));
}
/** The greatest score less the label's. Classes are the last axis. */
export function multiclassPerceptronLoss(scores: Tensor, labels: TensorLike): Tensor {
  const right = oneHot(labels, scores.shape.at(-1)!);
  return rows.sub(max(scores, -1), sum(rows.mul(scores, right), -1));
}

/** `(1 - alpha) * labels + alpha / categories` (Szegedy et al. 2016). */
export function smoothLabels(labels: TensorLike, alpha: TensorLike, { axis = -1, where }: Over = {}): Tensor {
  const y = floats("smoothLabels", "labels", labels);
  const categories: TensorLike = where === undefined ? axesOf(axis, y.ndim).reduce((n, d) => n * y.shape[d]!, 1) : sum(rows.cast(where, y.dtype, false), axis, { keepdims: true });
  return rows.add(rows.mul(y, oneMinus(alpha)), quotient(alpha, categories));
}

/** The distance to the positive example less that to the negative one, plus `margin`; 0 at least (Schroff et al. 2015). */
export function tripletMarginLoss(
  anchors: TensorLike, positives: TensorLike, negatives: TensorLike,
  { axis = -1, normDegree = 2, margin = 1, eps = 1e-6 }: { readonly axis?: Axis; readonly normDegree?: number; readonly margin?: TensorLike; readonly eps?: TensorLike } = {},
): Tensor {
  const distance = (to: TensorLike): Tensor => rows.pow(rows.add(sum(rows.pow(rows.sub(anchors, to), normDegree), axis), eps), 1 / normDegree);
  return rows.maximum(rows.add(rows.sub(distance(positives), distance(negatives)), margin), 0);
}
/** The normalized temperature-scaled cross-entropy of embeddings [n, features]: those with the same label should be near (Chen et al. 2020). One number. */
export function ntxent(embeddings: Tensor, labels: Tensor, { temperature = 0.07 }: { readonly temperature?: TensorLike } = {}): Tensor {
  const n = embeddings.shape[0]!;
  const mantissa = floatFormat(embeddings.dtype)?.mantissa;
  const epsilon = mantissa === undefined ? 0 : 2 ** -mantissa; // what 1 and the next greater number are apart
  const near = rows.div(cosineSimilarity(expandDims(embeddings, 0), expandDims(embeddings, 1), { epsilon }), temperature);
  const same = rows.equal(expandDims(labels, 1), expandDims(labels, 0));
  const matches = rows.logicalAnd(same, rows.logicalNot(eye(n, n, { dtype: "bool" })));
  const most = rows.stopGradient(max(rows.select(rows.logicalOr(rows.logicalNot(same), matches), near, -Infinity), 1, { keepdims: true }));
  const shifted = rows.sub(near, most);
  const others = sum(rows.select(same, 0, rows.exp(shifted)), 1, { keepdims: true });
  const logs = rows.sub(shifted, rows.log(rows.add(others, rows.select(matches, rows.exp(shifted), 0))));
  return rows.div(rows.neg(sum(rows.select(matches, logs, 0))), sum(matches));
}
