/** Calls each part of the API over and over in a loop that never yields, and prints how many tensors each leaves: `node --expose-gc leaks.js`. */
import * as pax from "paxjs";
import { stats } from "paxjs/internal";

const { np, nn, optim } = pax;
type T = pax.Tensor;
pax.seedRngKey(0);
const x = np.array([2, 1]);
const square = (a: T): T => a.mul(a).sum();
const jitted = pax.jit(square);
const consume = pax.jit((a: T) => a.mul(3), { donateArgnums: 0 });

/** Swallows the error that the call is expected to give. */
function fails(f: () => unknown): void {
  try { f(); } catch { return; }
  throw new Error(`no error from ${f}`);
}

const calls: Readonly<Record<string, () => unknown>> = {
  "an operation": () => x.add(1),
  "a row with many results": () => np.sort(x),
  "a reading": () => x.mul(2).toArray(),
  grad: () => pax.grad(square)(x),
  "grad with aux": () => pax.grad((a: T) => [square(a), a.mul(3)], { hasAux: true })(x),
  "grad of grad": () => pax.grad((a: T) => pax.grad(square)(a).sum())(x),
  "a captured tensor": () => pax.grad((a: T) => pax.jit((b: T) => b.mul(a).sum())(x))(x),
  vjp: () => pax.vjp(square, x),
  "a pull-back": () => pax.vjp(square, x)[1](np.array(1)),
  "a pull-back with a wrong cotangent": () => fails(() => pax.vjp(square, x)[1](x)),
  jvp: () => pax.jvp(square, [x], [x]),
  "jvp with a wrong tangent": () => fails(() => pax.jvp(square, [x], [np.array([1, 2, 3])])),
  "an input that comes back from grad": () => pax.grad((a: T) => [square(a), a], { hasAux: true })(x),
  "an input that comes back from vjp": () => pax.vjp((a: T) => a, x),
  "an input that comes back from jvp": () => pax.jvp((a: T) => a, [x], [x]),
  "a module that comes back from grad": () => {
    const net = new nn.Linear(2, 2);
    return pax.grad((p: pax.nn.Linear, m: pax.nn.Linear) => { m = m.update(p); return [m.forward(x).sum(), m]; }, { hasAux: true })(net.parameters(), net);
  },
  vmap: () => pax.vmap((a: T) => a.mul(a))(x),
  "vmap that fails": () => fails(() => pax.vmap((a: T) => a.add(np.ones([7])))(np.ones([2, 3]))),
  "a call of a program": () => jitted(x),
  "a new program": () => pax.jit(square)(x),
  "grad of a program": () => pax.grad(jitted)(x),
  "a donated input": () => consume(x.add(1)),
  "a printed program": () => pax.makeProgram(square)(x),
  "a throw under grad": () => fails(() => pax.grad((a: T) => { square(a); throw new Error("on purpose"); })(x)),
  "a throw under jit": () => fails(() => pax.jit((a: T) => { square(a); throw new Error("on purpose"); })(x)),
  "a loss that is no scalar": () => fails(() => pax.grad((a: T) => a.mul(2))(x)),
  scope: () => pax.scope(() => x.mul(2).add(1)),
  "a throw in a scope": () => fails(() => pax.scope(() => { x.mul(2); throw new Error("on purpose"); })),
  dispose: () => x.mul(2).dispose(),
  clone: () => pax.clone({ a: x }),
  random: () => pax.random.split(pax.random.key(1)),
  "a module": () => new nn.Linear(2, 2).parameters(),
  "a module in a loss": () => {
    const net = new nn.Sequential(new nn.Linear(2, 2), nn.relu);
    return pax.grad((p: typeof net, m: typeof net) => m.update(p).forward(x).sum())(net.parameters(), net);
  },
  "an optimizer": () => {
    const net = new nn.Linear(2, 2);
    const optimizer = optim.adam(net.parameters(), 0.1);
    const next = optimizer.step(net.parameters(), net);
    return pax.grad((p: pax.nn.Linear, m: pax.nn.Linear) => m.update(p).forward(x).sum())(next.parameters(), next);
  },
  safetensors: () => pax.io.fromSafetensors(pax.io.toSafetensors({ a: x })),
  data: () => [...pax.data.fromArrays({ a: x }).batch(1)],
};

if (gc === undefined) throw new Error("run with --expose-gc");
const left: Record<string, number> = {};
for (const [name, call] of Object.entries(calls)) {
  // Twice: the second step of optimizers with the same settings is compiled, and its program stays with their class.
  call();
  call();
  gc();
  const before = stats().handles;
  for (let i = 0; i < 20; i++) call();
  gc();
  const after = stats();
  left[name] = after.handles - before + after.depth;
}
console.log(JSON.stringify(left));
