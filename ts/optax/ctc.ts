/** Connectionist temporal classification. */
import { PaxError, shown } from "../errors.js";
import { logaddexp } from "../ops/elementwise.js";
import * as rows from "../ops/generated/rows.js";
import { wide } from "../ops/halves.js";
import { logSoftmax, oneHot } from "../ops/nn.js";
import { sum } from "../ops/reduce.js";
import { concatenate, stack } from "../ops/join.js";
import { asTensor, type Tensor, type TensorLike } from "../tensor.js";

/** What `ctcLoss` may be told. */
export type CtcOptions = {
  /** The class that stands for no label. */
  readonly blankId?: number;
  /** The logarithm that stands for a probability of 0. */
  readonly logEpsilon?: number;
};

/** `x[.., start:limit]` of a matrix's columns. */
const columns = (x: Tensor, start: number, limit: number): Tensor => rows.slice(x, [0, start], [x.shape[0]!, limit], [1, 1]);

/**
 * The losses [batch], and the logarithms of the forward probabilities at each time: of having read n labels and a blank, [time, batch, labels + 1],
 * and of having just read label n, [time, batch, labels] (Graves et al. 2006).
 * @throws PaxError `shape` if the shapes do not fit
 */
export function ctcLossWithForwardProbs(
  logits: Tensor, logitPaddings: TensorLike, labels: Tensor, labelPaddings: TensorLike, { blankId = 0, logEpsilon = -1e5 }: CtcOptions = {},
): [loss: Tensor, logAlphaPhi: Tensor, logAlphaEmit: Tensor] {
  const [unread, padded] = [asTensor(logitPaddings), asTensor(labelPaddings)];
  const [batch, time, classes] = logits.shape as [number, number, number];
  const count = labels.shape[1]!;
  const fits = logits.ndim === 3 && time > 0 && labels.ndim === 2 && labels.shape[0] === batch && unread.shape.join() === `${batch},${time}` && padded.shape.join() === labels.shape.join();
  if (!fits) {
    const shapes = [logits, unread, labels, padded].map((x) => shown(x.shape));
    throw new PaxError("shape", `ctcLoss takes logits [batch, time, classes], logitPaddings [batch, time], labels and labelPaddings [batch, labels], got ${shapes.join(", ")}`, { op: "ctcLoss" });
  }
  const logs = wide(logSoftmax(logits));
  const ofLabels = rows.dot(logs, rows.cast(oneHot(labels, classes), logs.dtype, false), [0], [0], [2], [2]);
  const at = (x: Tensor, t: number): Tensor => rows.reshape(rows.slice(x, [0, t, 0], [batch, t + 1, x.shape[2]!], [1, 1, 1]), [batch, x.shape[2]!]);
  const blanks = rows.slice(logs, [0, 0, blankId], [batch, time, blankId + 1], [1, 1, 1]);
  const zero = (n: number, value: number): Tensor => rows.full([batch, n], logs.dtype, value);
  // Between two equal labels a blank must come: such a label does not lead on by itself.
  const repeats = rows.cast(rows.equal(columns(labels, 0, count - 1), columns(labels, 1, count)), logs.dtype, false);
  const repeat = concatenate([repeats, zero(1, 0)], 1);
  const [closed, open] = [rows.mul(repeat, logEpsilon), rows.mul(rows.sub(1, repeat), logEpsilon)];
  const enter = (phi: Tensor, emit: Tensor): Tensor => concatenate([columns(phi, 0, 1), logaddexp(columns(phi, 1, count + 1), emit)], 1);

  let phi = concatenate([zero(1, 0), zero(count, logEpsilon)], 1);
  let emit = zero(count, logEpsilon);
  const [phis, emits]: [Tensor[], Tensor[]] = [[], []];
  for (let t = 0; t < time; t++) {
    const [label, blank] = [at(ofLabels, t), at(blanks, t)];
    const from = enter(phi, rows.add(emit, closed));
    const nextEmit = rows.add(logaddexp(columns(from, 0, count), emit), label);
    const nextPhi = enter(rows.add(from, blank), rows.add(rows.add(emit, blank), open));
    const skip = rows.notEqual(columns(unread, t, t + 1), 0);
    [phi, emit] = [rows.select(skip, phi, nextPhi), rows.select(skip, emit, nextEmit)];
    phis.push(phi);
    emits.push(emit);
  }
  phis[time - 1] = enter(phi, emit);
  const lengths = rows.sub(count, sum(rows.cast(padded, "int32", false), 1));
  const last = rows.cast(oneHot(lengths, count + 1), logs.dtype, false);
  return [rows.neg(sum(rows.mul(phis[time - 1]!, last), 1)), stack(phis), stack(emits)];
}
/**
 * Minus the logarithm of the probability of the labels [batch, labels] under logits [batch, time, classes], in any alignment; paddings are 1 where there
 * is nothing, and stand at the end (Graves et al. 2006). Each time is a step of its own in a recorded program. One number an example.
 * @throws PaxError `shape` if the shapes do not fit
 */
export const ctcLoss = (logits: Tensor, logitPaddings: TensorLike, labels: Tensor, labelPaddings: TensorLike, options: CtcOptions = {}): Tensor =>
  ctcLossWithForwardProbs(logits, logitPaddings, labels, labelPaddings, options)[0];
