import * as pax from "paxjs";
import { group, type Cases } from "./cases.js";

const { np } = pax;
type T = pax.Tensor;
const x = np.ones([2, 3]);
const ints = np.arange(3);
const wrong = (value: unknown): never => value as never;
const sum = (a: T): T => a.sum();

/** A tensor that a function under a transformation kept. */
function escaped(transform: (f: (a: T) => T) => (a: T) => unknown): T {
  let kept = x;
  transform((a) => { kept = a.mul(2); return a.sum(); })(x);
  return kept;
}

class Count extends pax.Module {
  count = pax.state(np.array(0));
  forward(a: T): T { this.count = this.count.add(1); return a.mul(this.count); }
}

export const transforms: readonly Cases[] = [
  group("what is differentiated", [
    () => pax.grad(sum)(ints),
    () => pax.grad((t: { a: T; b: T[] }) => t.a.sum())({ a: x, b: [ints] }),
    () => pax.grad((a: T, b: T) => a.mul(b).sum(), { argnums: 1 })(x, wrong(true)),
    () => pax.grad((m: Count) => m.count.sum())(new Count().replace({ count: ints })),
    () => pax.grad(sum, { argnums: wrong(1) })(x),
    () => pax.grad(sum, { argnums: wrong(["0"]) })(x),
    () => pax.grad(wrong(new Count())),
    () => pax.valueAndGrad(wrong(undefined)),
    () => pax.grad(wrong((a: string) => a))(wrong("text")),
  ]),
  group("what a loss returns", [
    () => pax.grad((a: T) => a)(x),
    () => pax.grad((a: T) => a.argmax())(x),
    () => pax.grad(wrong((a: T) => [a.sum(), a]))(x),
    () => pax.grad(wrong(sum), { hasAux: true })(x),
    () => pax.grad(wrong((a: T) => ({ loss: a.sum(), other: a.sum() })))(x),
    () => pax.valueAndGrad(wrong(() => "text"))(x),
    () => pax.grad(wrong(async (a: T) => a.sum()))(x),
    () => pax.jit(wrong(async (a: T) => a.sum()))(x),
    () => pax.jit(wrong(() => 3))(x),
    () => pax.jit(wrong(() => ({ a: "text" })))(x),
  ]),
  group("pull-backs and tangents", [
    () => pax.vjp(sum, x)[1](x),
    () => pax.vjp(sum, x)[1](wrong({ a: x })),
    () => pax.vjp(sum, x)[1](np.array(1, { dtype: "float64" })),
    () => pax.jvp(sum, [x], [np.ones([2])]),
    () => pax.jvp(sum, [x], wrong([[x]])),
    () => pax.jvp(sum, [x], wrong([])),
  ]),
  group("abstract values", [
    () => pax.jit((a: T) => (a.sum().item() > 0 ? a : a.neg()))(x),
    () => pax.vmap((a: T) => { a.sum().item(); return a; })(x),
    () => pax.grad((a: T) => pax.jit((b: T) => { b.toArray(); return b; })(a).sum())(x),
    () => pax.jit((a: T) => a.add(pax.nextRngKey().sum()))(x),
    () => pax.explainRetrace(sum),
  ]),
  group("tensors and modules that cross a transformation", [
    () => escaped((f) => pax.jit(f)).add(1),
    () => escaped((f) => pax.grad(f)).add(1),
    () => escaped((f) => pax.vmap(f)).toArray(),
    () => { const outside = new Count(); return pax.grad((a: T) => outside.forward(a).sum())(x); },
  ]),
  group("vmap", [
    () => pax.vmap((a: T) => a, { inAxes: 2 })(x),
    () => pax.vmap((a: T, b: T) => a.add(b))(x, np.ones([3])),
    () => pax.vmap((a: T) => a, { inAxes: null })(x),
    () => pax.vmap((a: T) => a, { inAxes: wrong([0, 0]) })(x),
    () => pax.vmap((a: T) => a.mul(2), { outAxes: null })(x),
    () => pax.vmap((a: T) => a, { outAxes: null })(x),
    () => pax.vmap((a: T) => a, { inAxes: 0.5 })(x),
    () => pax.vmap((t: { a: T; b: T }) => t.a, { inAxes: [{ a: 0 }] })({ a: x, b: x }),
    () => pax.vmap((a: T) => a, { outAxes: wrong({ a: 0 }) })(x),
    () => pax.vmap((a: T) => a.mul(2), { outAxes: 5 })(x),
    () => pax.vmap((a: T) => a.add(np.ones([7])))(x),
  ]),
  group("jit", [
    () => pax.jit((a: T) => a, { staticArgnums: 0, donateArgnums: 0 })(x),
    () => pax.foriLoop(0, 2.5, (_, a: T) => a, x),
    () => {
      const donated = np.ones([3]);
      pax.jit(function trainStep(p: { w: T }) { return p.w.add(1); }, { donateArgnums: 0 })({ w: donated });
      return donated.add(1);
    },
  ]),
];
