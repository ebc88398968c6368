/** Care for state and frozen parts: what is lost is said, what is frozen costs nothing. */
import * as pax from "paxjs";
import { stats } from "paxjs/internal";
import { suite } from "uvu";
import * as assert from "uvu/assert";

const { np, nn } = pax;
const test = suite("care");
type T = pax.Tensor;

/** The warnings of a call. */
function warnings(f: () => unknown): string[] {
  const [said, warn] = [[] as string[], console.warn];
  console.warn = (...words: unknown[]) => { said.push(words.join(" ")); };
  try { f(); } finally { console.warn = warn; }
  return said;
}
const counting = (name: string) => class extends pax.Module {
  static override moduleName = name;
  count = pax.state(np.array(0));
  w = pax.parameter(np.array(2));
  forward(x: T): T { this.count = this.count.add(1); return x.mul(this.w); }
};

test("a module changed inside a transformed function and dropped gives one warning with the attribute's name", () => {
  const A = counting("Dropped");
  const net = new A();
  const lost = (): unknown => pax.grad((p: typeof net, m: typeof net, x: T) => m.update(p).forward(x))(net.parameters(), net, np.array(3));
  const said = warnings(lost);
  assert.is(said.length, 1, said.join("\n"));
  assert.match(said[0]!, /`count` of Dropped was changed inside `grad`.*return the module.*eval\(\)/);
  assert.is(warnings(lost).length, 0, "once");
});
test("a module that is returned gives none, nor does one that a later version replaces", () => {
  const B = counting("Returned");
  const net = new B();
  const loss = (p: typeof net, m: typeof net, x: T) => { m = m.update(p); m.forward(x); m = m.copy(); const y = m.forward(x); return [y, m] as const; };
  assert.equal(warnings(() => pax.grad(loss, { hasAux: true })(net.parameters(), net, np.array(3))), []);
  assert.equal(warnings(() => pax.jit((m: typeof net, x: T) => { const [[y, next], g] = pax.valueAndGrad(loss, { hasAux: true })(m.parameters(), m, x); return [y, next, g]; })(net, np.array(3))), []);
});
test("what grad returned and the step around it drops is said, too", () => {
  const C = counting("Forgotten");
  const net = new C();
  const loss = (p: typeof net, m: typeof net, x: T) => { m = m.update(p); return [m.forward(x), m] as const; };
  const step = pax.jit((m: typeof net, x: T) => { const [[y], g] = pax.valueAndGrad(loss, { hasAux: true })(m.parameters(), m, x); return [y, m.update(g)]; });
  const said = warnings(() => step(net, np.array(3)));
  assert.is(said.length, 1, said.join("\n"));
  assert.match(said[0]!, /`count` of Forgotten was changed inside `jit`/);
});
test("a captured module is said by its attribute", () => {
  const linear = new nn.Linear(2, 2);
  const said = warnings(() => { const f = pax.jit(function predict(x: T) { return linear.forward(x); }); f(np.ones([1, 2])); f(np.ones([2, 2])); });
  assert.is(said.length, 1, said.join("\n"));
  assert.match(said[0]!, /`W` of Linear came from outside of predict.*pass the module as an argument/);
  assert.equal(warnings(() => pax.jit((m: pax.nn.Linear, x: T) => pax.grad((m: pax.nn.Linear) => m.forward(x).sum())(m))(linear, np.ones([1, 2]))), []);
});
test("a static attribute that changes from call to call is named after 3 retraces", () => {
  class Ticks extends pax.Module { count = 0; w = pax.parameter(np.ones([2])); }
  const net = new Ticks();
  const f = pax.jit(function step(m: Ticks) { return m.w; });
  const said = warnings(() => { for (let i = 0; i < 6; i++) { net.count = i; f(net); } });
  assert.is(said.length, 1, said.join("\n"));
  assert.match(said[0]!, /step was traced 4 times.*`count` of argument 0 changes.*static 2, then static 3.*pax\.state/);
});

test("the head replaced and the first layer frozen: only the last layer trains, and the rest costs nothing backward", () => {
  let net = new nn.Sequential(new nn.Linear(6, 5), nn.relu, new nn.Linear(5, 4));
  net.modules[2] = new nn.Linear(5, 3);
  net.modules[0] = net.modules[0]!.freeze();
  assert.equal(pax.tree.paths(net.parameters()), ["modules[2].W", "modules[2].b"]);
  const x = np.ones([2, 6]);
  const count = (f: () => unknown): { recorded: number; evaluated: number } => {
    const before = stats();
    f();
    const after = stats();
    return { recorded: after.recorded - before.recorded, evaluated: after.evaluated - before.evaluated };
  };
  const loss = <M extends pax.nn.Layer>(p: M, m: M, x: T): T => m.update(p).forward(x).sum();
  const frozen = count(() => pax.grad(loss)(net.parameters(), net, x));
  const head = net.modules[2]!;
  const features = net.modules[1]!.forward(net.modules[0]!.forward(x));
  const alone = count(() => pax.grad(loss)(head.parameters(), head, features));
  assert.is(frozen.recorded, alone.recorded);
  // Its forward runs: a product, a broadcast bias, a sum and relu.
  const forward = count(() => net.modules[1]!.forward(net.modules[0]!.forward(x)));
  assert.is(frozen.evaluated, alone.evaluated + forward.evaluated);
  const all = count(() => { const m = net.unfreeze(); pax.grad(loss)(m.parameters(), m, x); });
  assert.ok(all.recorded > frozen.recorded);
  net = net.freeze().unfreeze();
  assert.equal(pax.tree.paths(net.parameters()).length, 2, "unfreeze gives back the kinds there were");
  const kinds = new (counting("Kinds"))();
  assert.is(pax.tree.structure(kinds.freeze().unfreeze()).key(), pax.tree.structure(kinds).key());
});
test("differences of structure name the path and both values", () => {
  class Counted extends pax.Module { count = 3; w = pax.parameter(np.ones([1])); forward(x: T): T { return x.mul(this.w); } }
  const make = (n: number): pax.nn.Sequential => { const c = new Counted(); c.count = n; return new nn.Sequential(nn.relu, c); };
  assert.throws(() => pax.tree.map((a: T, b: T) => a.add(b), make(3), make(4)), (e: Error) => /`modules\[1\]\.count`.*3.*4/.test(e.message));
});

test.run();
