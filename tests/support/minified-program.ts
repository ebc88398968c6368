/** Prints names and paths, and what a checkpoint gives: run as it is and from a minified bundle, it must print the same. */
import { readFileSync } from "node:fs";
import * as pax from "paxjs";

const { haiku, hk, nn, np } = pax;

class Encoder extends pax.Module {
  static override moduleName = "Encoder";
  lstm = haiku.lstm(4);
  norm = haiku.batchNorm2d(3);
  head = new nn.Sequential(new nn.Linear(4, 3), nn.relu, new nn.Conv1D(3, 2, 2), new nn.BatchNorm([null, null, 2]), new nn.Dropout(0.5));
  count = pax.state(np.array(0));
}
class Tower extends hk.Module {
  static override moduleName = "Tower";
  private readonly first = new hk.Linear(3);
  forward(x: pax.Tensor): pax.Tensor { return new hk.Linear(2).forward(new hk.LayerNorm(-1, true, true).forward(this.first.forward(x))); }
}

export const make = (): Encoder => { pax.seedRngKey(1); return new Encoder(); };
const checkpoint = process.argv[2];
if (checkpoint !== undefined) {
  const report: unknown[] = [];
  const net = make();
  report.push(pax.tree.paths(net), net.summary());
  const params = hk.transform((x: pax.Tensor) => { new Tower().forward(x); return new Tower().forward(x); }).init(pax.random.key(0), np.ones([1, 4]));
  report.push(Object.fromEntries(Object.entries(params).map(([name, leaves]) => [name, Object.keys(leaves as object)])));
  const changed = net.update(pax.tree.map((x: pax.Tensor) => x.mul(2), net.parameters()));
  report.push(pax.tree.leaves(changed).map((x) => x.sum().item<number | bigint>().toString()));
  try { net.update(net.head as never); } catch (e) { report.push((e as Error).message); }
  try { net.update(net.eval().parameters()); } catch (e) { report.push((e as Error).message); }
  report.push(pax.tree.equal(pax.io.fromSafetensors(readFileSync(checkpoint), net), changed));
  console.log(JSON.stringify(report));
}
