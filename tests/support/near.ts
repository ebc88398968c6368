/** Comparisons of tensors with golden numbers. */
import * as assert from "uvu/assert";
import { np, PaxError, type ArrayData, type ErrorCode, type Tensor } from "paxjs";

const numbers = (x: Tensor): number[] => Array.from(x.dataSync() as ArrayLike<number | bigint>, Number);

export interface Tolerance { readonly rtol?: number; readonly atol?: number }

/** |a − b| ≤ atol + rtol |b| for each element; the shapes must agree, NaN equals NaN. */
export function near(actual: Tensor, expected: Tensor, what: string, { rtol = 2e-5, atol = 2e-6 }: Tolerance = {}): void {
  assert.equal([...actual.shape], [...expected.shape], `${what}: shape`);
  const [a, b] = [numbers(actual), numbers(expected)];
  for (const [i, x] of a.entries()) {
    const y = b[i]!;
    const same = Object.is(x, y) || x === y || Math.abs(x - y) <= atol + rtol * Math.abs(y);
    if (!same) assert.unreachable(`${what}: element ${i} is ${x}, expected ${y}`);
  }
}

/** Equal in shape and, as numbers, in every element. */
export function same(actual: Tensor, expected: Tensor, what: string): void {
  near(actual, expected, what, { rtol: 0, atol: 0 });
}

/** As `near`, with nested arrays of numbers. */
export function gives(actual: Tensor, expected: ArrayData, what: string, tolerance?: Tolerance): void {
  near(actual, np.array(expected), what, tolerance);
}

/** Asserts that `f` throws a PaxError of this code that names the op and says this. */
export function throws(code: ErrorCode, op: string, fact: RegExp, f: () => unknown): void {
  let error: unknown;
  try { f(); } catch (e) { error = e; }
  assert.instance(error, PaxError, `no PaxError: ${String(error)}`);
  const { code: found, op: named, message } = error as PaxError;
  assert.equal([found, named], [code, op], message);
  assert.match(message, fact);
}
