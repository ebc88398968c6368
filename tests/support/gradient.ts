/** Gradients against central differences. */
import * as assert from "uvu/assert";
import * as pax from "paxjs";

type T = pax.Tensor;
const { np } = pax;

/** Asserts that `grad` of `f`, its elements weighted differently, agrees with central differences at `x`, both in float64. */
export function checkGradient(f: (x: T) => T, x: pax.ArrayData, what: string): void {
  const at = np.array(x, { dtype: "float64" });
  const loss = (a: T): T => {
    const y = f(a);
    return y.mul(np.arange(y.size).reshape(y.shape).add(1).astype("float64").cos()).sum();
  };
  const gradient = Array.from(pax.grad(loss)(at).dataSync() as Float64Array);
  const values = Array.from(at.dataSync() as Float64Array);
  const step = 1e-5;
  const moved = (i: number, by: number): number => loss(np.array(Float64Array.from(values.with(i, values[i]! + by))).reshape(at.shape)).item();
  gradient.forEach((g, i) => {
    const expected = (moved(i, step) - moved(i, -step)) / (2 * step);
    if (!(Math.abs(g - expected) <= 1e-6 * (1 + Math.abs(expected)))) assert.unreachable(`${what}: the derivative by element ${i} is ${g}, differences give ${expected}`);
  });
}
