/**
 * Fine-tuning: a network learns the digits 2 to 9; then its head is replaced, all before it is frozen, and a few steps teach it 0 and 1:
 * `fine-tune.js --limit IMAGES --steps N`.
 */
import { parseArgs } from "node:util";
import * as pax from "paxjs";
import { loadDigits, type Digits } from "./mnist-data.js";

const { np, nn } = pax;
const { values } = parseArgs({ options: { limit: { type: "string", default: "20000" }, steps: { type: "string", default: "20" } } });
const [limit, steps] = [Number(values.limit), Number(values.steps)];
if (!(limit >= 1) || !Number.isInteger(steps) || steps < 1) throw new Error("usage: fine-tune.js [--limit IMAGES] [--steps N]");

type Net = pax.nn.Sequential;
type Batch = { readonly images: pax.Tensor; readonly labels: pax.Tensor };

/** The digits from `first` to `last`, as classes from 0. */
function only({ images, labels }: Digits, first: number, last: number): Batch {
  const kept = Array.from(labels.dataSync() as Int32Array).flatMap((d, i) => (d >= first && d <= last ? [i] : []));
  return { images: images.take(kept, 0), labels: labels.take(kept, 0).sub(first) };
}

const crossEntropy = (params: Net, model: Net, { images, labels }: Batch) => {
  model = model.update(params);
  const logits = model.forward(images.astype("float32").div(255));
  return [nn.logSoftmax(logits).mul(nn.oneHot(labels, logits.shape[1]!)).sum(-1).mean().neg(), model] as const;
};
const trainStep = pax.jit((model: Net, optimizer: pax.Optimizer, batch: Batch) => {
  const [[loss, updated], grads] = pax.valueAndGrad(crossEntropy, { hasAux: true })(model.parameters(), model, batch);
  return [loss, optimizer.step(grads, updated), optimizer];
}, { donateArgnums: 1 });
const accuracy = (model: Net, { images, labels }: Batch): string =>
  `${(100 * model.forward(images.astype("float32").div(255)).argmax(-1).equal(labels).mean().item()).toFixed(1)} %`;

function train(model: Net, optimizer: pax.Optimizer, batches: Iterable<Batch>): Net {
  let loss = np.array(0);
  for (const batch of batches) [loss, model, optimizer] = trainStep(model, optimizer, batch);
  console.log(`  last loss ${loss.item().toFixed(4)}`);
  return model;
}

pax.seedRngKey(42);
const [digits, unseen] = [loadDigits("train", limit), loadDigits("t10k", limit)];
const many = only(unseen, 2, 9);
const few = only(unseen, 0, 1);

let model: Net = new nn.Sequential(new nn.Linear(784, 128), nn.relu, new nn.Linear(128, 64), nn.relu, new nn.Linear(64, 8));
console.log("learning the digits 2 to 9");
model = train(model, pax.optim.adam(model.parameters(), 1e-3), pax.data.fromArrays(only(digits, 2, 9)).shuffle(pax.random.key(0)).batch(64));
console.log(`  accuracy on 2 to 9: ${accuracy(model, many)}`);

model.modules[4] = new nn.Linear(64, 2);
for (const at of [0, 2]) model.modules[at] = model.modules[at]!.freeze();
console.log(`a new head: ${pax.tree.leaves(model.parameters()).length} trainable tensors of ${pax.tree.leaves(model).length}`);
console.log(`  accuracy on 0 and 1 before: ${accuracy(model, few)}`);
const loader = pax.data.fromArrays(only(digits, 0, 1)).shuffle(pax.random.key(1)).batch(64);
model = train(model, pax.optim.adam(model.parameters(), 1e-2), [...loader].slice(0, steps));
console.log(`  accuracy on 0 and 1 after ${Math.min(steps, loader.length)} steps: ${accuracy(model, few)}`);

model = model.unfreeze();
console.log(`unfrozen again: ${pax.tree.leaves(model.parameters()).length} trainable tensors`);
