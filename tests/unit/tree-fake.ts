import assert from "node:assert/strict";
import { PaxError, type ErrorCode } from "../../ts/errors.js";
import { setLeafHooks, TensorBase } from "../../ts/tree/leaf.js";
import type { Tensor } from "../../ts/tensor.js";

/** A leaf without an engine. */
export class Fake extends TensorBase {
  readonly dtype = "float32";
  constructor(readonly value: number, readonly shape: readonly number[] = []) { super(); }
  get size(): number { return this.shape.reduce((a, b) => a * b, 1); }
}
setLeafHooks({
  fromScalar: (value) => new Fake(Number(value)),
  tensorsEqual: (a, b) => (a as Fake).value === (b as Fake).value,
});

export const t = (value: number, shape?: readonly number[]): Tensor => new Fake(value, shape) as unknown as Tensor;
export const val = (tensor: unknown): number => (tensor as Fake).value;

export function throws(f: () => unknown, code: ErrorCode, ...facts: string[]): void {
  assert.throws(f, (error: unknown) => {
    assert.ok(error instanceof PaxError, String(error));
    assert.equal(error.code, code, error.message);
    for (const fact of facts) assert.ok(error.message.includes(fact), `${error.message} lacks ${fact}`);
    return true;
  });
}
