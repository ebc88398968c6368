import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { stats } from "paxjs/internal";

const { np } = pax;
const test = suite("transforms");
type T = pax.Tensor;
const near = (a: T, b: number[], tolerance = 1e-5): void => {
  const flat = Array.from(a.dataSync() as Float32Array);
  assert.is(flat.length, b.length);
  flat.forEach((v, i) => assert.ok(Math.abs(v - b[i]!) <= tolerance * (1 + Math.abs(b[i]!)), `${flat} is not ${b}`));
};

test("API.md's Counter prints null and 60", () => {
  class Counter extends pax.Module {
    declare counter: pax.State<T>;
    declare bias: T;
    constructor(start = 0) {
      super();
      this.registerState("counter", np.array(start));
      this.registerParameter("bias", np.array(0.0));
    }
    forward(x: T): T {
      this.counter = this.counter.add(1);
      return this.counter.mul(x).add(this.bias);
    }
  }
  const lossFn = (params: Counter, model: Counter, x: T) => {
    model = model.update(params);
    const loss = np.mean(np.square(x.sub(model.forward(x))));
    return [loss, [loss, model]] as const;
  };
  const net = new Counter(3);
  const [grads, [loss, updated]] = pax.grad(lossFn, { hasAux: true })(net.parameters(), net, np.array(10.0));
  assert.is(grads.counter, null);
  assert.is(grads.bias.item(), 60);
  assert.is(loss.item(), 900);
  assert.is(updated.counter.item(), 4);
  assert.is(net.counter.item(), 3);
});
test("values are concrete inside grad", () => {
  const f = (x: T): T => (x.item() > 0 ? x.mul(x) : x.neg());
  assert.is(pax.grad(f)(3).item(), 6);
  assert.is(pax.grad(f)(-3).item(), -1);
});
test("grad of grad, vmap of grad, grad of vmap", () => {
  const cube = (x: T): T => x.mul(x).mul(x);
  assert.is(pax.grad(pax.grad(cube))(2).item(), 12);
  near(pax.vmap(pax.grad(cube))(np.array([1, 2, 3])), [3, 12, 27]);
  near(pax.grad((x: T) => pax.vmap(cube)(x).sum())(np.array([1, 2, 3])), [3, 12, 27]);
});
test("captured tensors of outer levels are differentiated", () => {
  const g = pax.grad((x: T) => pax.grad((y: T) => y.mul(y).mul(x))(3))(2);
  assert.is(g.item(), 6);
  const h = pax.grad((x: T) => pax.jit((y: T) => y.mul(x))(np.array(4)).mul(x))(3);
  assert.is(h.item(), 24);
  near(pax.vmap((x: T) => pax.grad((y: T) => y.mul(x).mul(y))(x))(np.array([1, 2])), [2, 8]);
});
test("vjp may be called many times, jvp goes forward", () => {
  const [y, pull] = pax.vjp((a: T, b: T) => a.mul(b), np.array([1, 2]), np.array([3, 4]));
  near(y, [3, 8]);
  for (let i = 0; i < 2; i++) {
    const [da, db] = pull(np.array([1, 10]));
    near(da as T, [3, 40]);
    near(db as T, [1, 20]);
  }
  const [value, tangent] = pax.jvp((a: T) => a.mul(a).sum(), [np.array([1, 2])], [np.array([1, 1])]);
  near(value, [5]);
  near(tangent, [6]);
});
test("jit traces once a key", () => {
  let traces = 0;
  const f = pax.jit((x: T, n: number) => { traces += 1; return x.mul(n); }, { staticArgnums: 1 });
  near(f(np.array([1, 2]), 3), [3, 6]);
  near(f(np.array([5, 6]), 3), [15, 18]);
  assert.is(traces, 1);
  f(np.array([1, 2]), 4);
  assert.is(traces, 2);
  f(np.array([1, 2, 3]), 3);
  assert.is(traces, 3);
  f(np.array([1, 2], { dtype: "float64" }), 3);
  assert.is(traces, 4);
  f(np.array([7, 8]), 3);
  assert.is(traces, 4);
});
test("an unchanged input comes back as the same tensor", () => {
  const x = np.ones([2]);
  const [same, other] = pax.jit((a: T) => [a, a.add(1)])(x) as readonly T[];
  assert.is(same, x);
  near(other!, [2, 2]);
});
test("vmap's axes", () => {
  const x = np.array([[1, 2, 3], [4, 5, 6]]);
  near(pax.vmap((a: T) => a.sum(), { inAxes: 1 })(x), [5, 7, 9]);
  near(pax.vmap((a: T) => a.sum(), { inAxes: -2 })(x), [6, 15]);
  const out = pax.vmap((a: T, b: T) => a.add(b), { inAxes: [0, null], outAxes: -1 })(x, np.array([10, 20, 30]));
  assert.equal(out.shape, [3, 2]);
  near(out, [11, 14, 22, 25, 33, 36]);
  const [mapped, shared] = pax.vmap((a: T, b: T) => [a.mul(2), b.mul(3)], { inAxes: [0, null], outAxes: [0, null] })(x, np.array(2)) as readonly T[];
  assert.equal(mapped!.shape, [2, 3]);
  assert.is(shared!.item(), 6);
});
test("weak numbers take the dtype of what they meet", () => {
  assert.is(np.arange(3).add(1).dtype, "int32");
  assert.is(np.array([1], { dtype: "bfloat16" }).mul(0.5).dtype, "bfloat16");
  assert.is(pax.grad((x: T) => x.mul(x))(3).dtype, "float32");
  assert.is(pax.jit((x: T, y: T) => x.mul(y))(np.array(1, { dtype: "float64" }), 2).dtype, "float64");
});
test("nothing is left of a transformation but its results", () => {
  const x = np.ones([4]);
  const f = (): T => pax.grad((a: T) => a.mul(a).mul(a).sum())(x);
  // A collection in between would free what earlier tests left.
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  f().dispose();
  const before = stats().handles;
  const g = f();
  assert.is(stats().handles, before + 1);
  g.dispose();
  assert.is(stats().handles, before);
});

test.run();
