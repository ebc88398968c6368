/** Steps of recurrent networks as functions of tensors. */
import * as rows from "../../ops/generated/rows.js";
import { split } from "../../ops/shape.js";
import type { Tensor } from "../../tensor.js";

/** What an LSTM carries from step to step: two tensors [..., hidden]. */
export type LSTMState = { readonly hidden: Tensor; readonly cell: Tensor };

/** [x, h] along the last axis. */
export const withHidden = (x: Tensor, h: Tensor): Tensor => rows.concatenate([x, h], x.ndim - 1);

/** The next state from the gates [..., 4 hidden], in Haiku's order input, cell, forget, output (Zaremba et al. 2014). */
export function lstmGates(gates: Tensor, cell: Tensor, forgetBias: number): LSTMState {
  const [i, g, f, o] = split(gates, 4, -1) as [Tensor, Tensor, Tensor, Tensor];
  const kept = rows.mul(rows.sigmoid(forgetBias === 0 ? f : rows.add(f, forgetBias)), cell);
  const next = rows.add(kept, rows.mul(rows.sigmoid(i), rows.tanh(g)));
  return { hidden: rows.mul(rows.sigmoid(o), rows.tanh(next)), cell: next };
}

/** The next hidden state of a GRU, with Haiku's gates update, reset, candidate: wI [in, 3 hidden], wH [hidden, 3 hidden], b [3 hidden] (Chung et al. 2014). */
export function gruStep(x: Tensor, h: Tensor, wI: Tensor, wH: Tensor, b: Tensor): Tensor {
  const at = [2 * (wH.shape[0] as number)];
  const [xGates, xNew] = split(rows.matmul(x, wI), at, -1) as [Tensor, Tensor];
  const [wGates, wNew] = split(wH, at, 1) as [Tensor, Tensor];
  const [bGates, bNew] = split(b, at, 0) as [Tensor, Tensor];
  const gates = rows.sigmoid(rows.add(rows.add(xGates, rows.matmul(h, wGates)), bGates));
  const [z, r] = split(gates, 2, -1) as [Tensor, Tensor];
  const candidate = rows.tanh(rows.add(rows.add(xNew, rows.matmul(rows.mul(r, h), wNew)), bNew));
  return rows.add(rows.mul(rows.sub(1, z), h), rows.mul(z, candidate));
}
