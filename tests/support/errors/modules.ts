import * as pax from "paxjs";
import { group, type Cases } from "./cases.js";

const { np, nn, tree, optim } = pax;
type T = pax.Tensor;
const x = np.ones([2, 3]);
const wrong = (value: unknown): never => value as never;
pax.seedRngKey(0);

class Net extends pax.Module {
  linear = new nn.Linear(3, 2);
  count = 0;
  forward(a: T): T { return this.linear.forward(a); }
}
const net = new Net();
const gradients = (model: Net): Net => pax.grad((p: Net, m: Net) => m.update(p).forward(x).sum())(model.parameters(), model);
const changed = (value: number): Net => { const other = net.copy(); other.count = value; return other; };

/** A module whose constructor does one thing wrong. */
const made = (build: (m: { [key: string]: unknown } & { registerParameter(name: string, value: unknown): void; registerModule(name: string, value: unknown): void; registerModuleSubtree(name: string, value: unknown): void }) => void): pax.Module => {
  class Broken extends pax.Module {
    constructor() {
      super();
      build(this as never);
    }
  }
  return new Broken();
};
const leavesOf = (build: Parameters<typeof made>[0]) => (): unknown => tree.leaves(made(build));

export const modules: readonly Cases[] = [
  group("attributes", [
    leavesOf((m) => { m["w"] = np.ones([2]); }),
    leavesOf((m) => { m["layers"] = [new nn.Linear(2, 2)]; }),
    leavesOf((m) => { m["deep"] = { list: [{ w: x }] }; }),
    leavesOf((m) => { m["forward"] = (a: T) => a; }),
    leavesOf((m) => { m.registerParameter("w", x); Object.defineProperty(m, "w", { value: undefined, enumerable: true }); }),
    leavesOf((m) => { m.registerParameter("w", [x]); }),
    leavesOf((m) => { m.registerParameter("training", x); }),
    leavesOf((m) => { m.registerModule("inner", x); }),
    leavesOf((m) => { m.registerModule("inner", new nn.Linear(2, 2)); m["inner"] = x; }),
    leavesOf((m) => { m.registerModuleSubtree("inner", [new nn.Linear(2, 2), x]); }),
    leavesOf((m) => { const one = new nn.Linear(2, 2); m["a"] = one; m["b"] = one; }),
    leavesOf((m) => { m["a"] = pax.parameter(x); m["b"] = pax.parameter(x); }),
    leavesOf((m) => { m["a"] = pax.state(np.array(1)); pax.parameter(m["a"]); }),
    leavesOf((m) => { m["self"] = m; }),
    () => { const deep: unknown[] = []; deep.push(deep); return tree.structure(made((m) => { m["options"] = deep; })).key(); },
  ]),
  group("update and trees of modules", [
    () => net.update(wrong(3)),
    () => net.update(wrong(new nn.Linear(3, 2))),
    () => net.update(net.eval().parameters()),
    () => net.update(net.freeze().parameters()),
    () => tree.map((a: T, b: T) => a.add(b), net, changed(1)),
    () => tree.map((a: T, b: T) => a.add(b), net, net.eval()),
    () => tree.map((a: T, b: T) => a.add(b), net, net.freeze().unfreeze().replace({ linear: new nn.Linear(3, 2, { withBias: false }) })),
    () => {
      const looped = (): Net => { const other = net.copy(); const list: unknown[] = []; list.push(list); other.count = wrong(list); return other; };
      return tree.map((a: T, b: T) => a.add(b), looped(), looped());
    },
    () => net.replace(wrong({ nothing: 1 })),
    () => (made(() => {}) as unknown as { hkInit(): unknown }).hkInit(),
  ]),
  group("optimizers", [
    () => optim.sgd(net.parameters(), 0.1).step(gradients(net), changed(1)),
    () => optim.sgd(net.parameters(), 0.1).step(gradients(net), net.freeze()),
    () => optim.adam(net.parameters(), 0.1).step(wrong({}), net),
    () => optim.adam(new nn.Sequential(new nn.Linear(3, 2), new nn.BatchNorm([null, 2]))),
  ]),
  group("layers", [
    () => new nn.Linear(3, 2).forward(np.array(1)),
    () => new nn.Linear(4, 2).forward(x),
    () => new nn.Linear(-1, 2),
    () => new nn.Conv1D(1, 2, 3).forward(x),
    () => new nn.Conv2D(3, 2, 3, { dataFormat: "NCHW" }).forward(x),
    () => new nn.Conv1D(3, 2, 0),
    () => new nn.Conv1D(3, 2, 3, { stride: 0 }),
    () => new nn.Conv2D(3, 2, [3, 3], { rate: wrong([1]) }),
    () => new nn.Conv1D(3, 2, 3, { featureGroupCount: 2 }),
    () => new nn.Conv1D(3, 2, 3, { padding: wrong("same") }).forward(x),
    () => new nn.Conv1D(3, 2, 3, { dataFormat: wrong("NXC") }),
    () => new nn.BatchNorm([null, 3]).forward(np.array(1)),
    () => new nn.BatchNorm([null, 3]).forward(np.ones([2, 4])),
    () => new nn.BatchNorm([null, 3]).forward(np.zeros([0, 3])),
    () => new nn.BatchNorm([null, null]),
    () => new nn.BatchNorm(wrong(4)),
    () => new nn.BatchNorm([null, 3], true, true, 0.9, { axis: [5] }),
    () => new nn.BatchNorm([null, 3], true, true, 0.9, { crossReplicaAxis: "i" }).forward(np.ones([2, 3])),
    () => new nn.LayerNorm(3).forward(np.ones([4])),
    () => new nn.LayerNorm(3, 2).forward(x),
    () => new nn.Dropout(1),
    () => new nn.Sequential(nn.relu, wrong(3)),
    () => new nn.Sequential(nn.relu, wrong(made(() => {}))),
  ]),
];
