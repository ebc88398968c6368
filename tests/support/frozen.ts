/** Uses paxjs with the prototypes of JavaScript frozen, as hardened programs have them; prints `true` if all went well. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

for (const { prototype } of [Object, Array, Function, Map, Set, Error, Promise, Float64Array]) Object.freeze(prototype);
// Loaded after the freeze, so that the modules' own code runs under it too.
const pax = await import("paxjs");
const { np, nn } = pax;
type T = import("paxjs").Tensor;

class Net extends pax.Module {
  inner = new nn.Sequential(new nn.Linear(2, 3), nn.relu, new nn.Linear(3, 1));
  scale = pax.parameter(np.array(2));
  count = pax.state(np.array(0));
  name = "net";
  forward(x: T): T {
    this.count = this.count.add(1);
    return this.inner.forward(x).mul(this.scale);
  }
}

pax.seedRngKey(1);
const x = np.ones([4, 2]);
const loss = (params: Net, model: Net): readonly [T, Net] => {
  model = model.update(params);
  return [np.mean(np.square(model.forward(x).sub(1))), model];
};
let net = new Net();
let optimizer: import("paxjs").Optimizer = pax.optim.adam(net.parameters(), 1e-2);
const step = pax.jit((net: Net, optimizer: import("paxjs").Optimizer) => {
  const [[value, updated], grads] = pax.valueAndGrad(loss, { hasAux: true })(net.parameters(), net);
  return [value, optimizer.step(grads, updated), optimizer] as const;
});
const values: number[] = [];
for (let i = 0; i < 3; i++) {
  const [value, next, state] = step(net, optimizer);
  values.push(value.item());
  [net, optimizer] = [next, state];
}
assert.ok(values[2]! < values[0]!);
assert.equal(net.count.item(), 3);
assert.match(net.summary(), /scale: float32\[\] parameter/);

const eager = pax.grad((a: T) => pax.vmap((b: T) => b.mul(b))(a).sum())(np.array([1, 2]));
assert.deepEqual(eager.toArray(), [2, 4]);

const folder = mkdtempSync(join(tmpdir(), "pax-frozen-"));
try {
  const path = join(folder, "net.safetensors");
  await pax.io.saveSafetensors(path, { net, optimizer });
  const back = await pax.io.loadSafetensors(path, { net: new Net(), optimizer });
  assert.ok(pax.tree.equal(back.net, net));
} finally {
  rmSync(folder, { recursive: true });
}

const hostile = JSON.parse('{"__proto__": 1, "constructor": 2, "toString": [3], "valueOf": {"hasOwnProperty": 4}}') as Record<string, unknown>;
assert.deepEqual(pax.tree.leaves(pax.tree.map((v) => v, hostile)), [1, 2, 3, 4]);
assert.throws(() => pax.tree.leaves({ toString: "text" }), { name: "PaxError", code: "tree", path: "toString" });

class Awkward extends pax.Module {
  override toString = pax.parameter(np.array(5)) as never;
  constructorOptions = { valueOf: 1 };
}
assert.deepEqual(pax.tree.paths(new Awkward().copy().parameters()), ["toString"]);
for (const batch of pax.data.fromArrays({ constructor: x }).batch(2)) assert.deepEqual(batch.constructor.shape, [2, 2]);
console.log(true);
