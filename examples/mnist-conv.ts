/**
 * The seed's MNIST network: five 6×6 convolutions with batch norm, batch 32, clip and adamw; loss and accuracy on train and test
 * after each epoch, a checkpoint after each, and a run resumes from the newest: `mnist-conv.js --epochs 10 --folder FOLDER --limit N`.
 */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as pax from "paxjs";
import { loadDigits, type Digits } from "./mnist-data.js";
import { progress } from "./progress.js";

const { nn, optax, optim } = pax;
const { values } = parseArgs({ options: { epochs: { type: "string", default: "10" }, limit: { type: "string" }, folder: { type: "string", default: "out/mnist-conv" } } });
const epochs = Number(values.epochs);
const limit = values.limit === undefined ? Infinity : Number(values.limit);
if (!Number.isInteger(epochs) || epochs < 1 || !(limit >= 1)) throw new Error("usage: mnist-conv.js [--epochs N] [--limit IMAGES] [--folder FOLDER]");

type Net = pax.nn.Sequential;
const BATCH = 32;

function network(): Net {
  const layers: (pax.nn.Layer | ((x: pax.Tensor) => pax.Tensor))[] = [(x) => x.reshape([-1, 28, 28, 1]).astype("float32").div(255)];
  for (let i = 0; i < 5; i++) {
    layers.push(new nn.Conv2D(i === 0 ? 1 : 32, 32, 6, { padding: "VALID" }), new nn.BatchNorm([null, null, null, 32], true, true, 0.99), nn.relu);
  }
  return new nn.Sequential(...layers, new nn.Conv2D(32, 10, 3, { padding: "VALID" }), (x) => x.reshape([-1, 10]));
}

const crossEntropy = (params: Net, model: Net, images: pax.Tensor, labels: pax.Tensor) => {
  model = model.update(params);
  const loss = nn.logSoftmax(model.forward(images)).mul(nn.oneHot(labels, 10)).sum(-1).mean().neg();
  return [loss, model] as const;
};
const trainStep = pax.jit(
  (model: Net, optimizer: pax.Optimizer, images: pax.Tensor, labels: pax.Tensor) => {
    const [[loss, updated], grads] = pax.valueAndGrad(crossEntropy, { hasAux: true })(model.parameters(), model, images, labels);
    return [loss, optimizer.step(grads, updated), optimizer];
  },
  { donateArgnums: [0, 1] },
);
/** Sums over a batch: loss and right answers. */
const measure = pax.jit((model: Net, images: pax.Tensor, labels: pax.Tensor) => {
  const logits = model.forward(images);
  const loss = nn.logSoftmax(logits).mul(nn.oneHot(labels, 10)).sum().neg();
  return [loss, logits.argmax(-1).equal(labels).sum()];
});

async function evaluate(model: Net, digits: Digits): Promise<string> {
  const fixed = model.eval();
  let [loss, right] = [0, 0];
  for await (const { images, labels } of pax.data.fromArrays({ ...digits }).batch(500)) {
    const [l, r] = measure(fixed, images, labels);
    loss += l.item();
    right += r.item();
  }
  const n = digits.labels.size;
  return `loss ${(loss / n).toFixed(4)}  accuracy ${((100 * right) / n).toFixed(1)} %`;
}

pax.seedRngKey(42);
let model = network();
let optimizer: pax.Optimizer = new (optim.fromOptax(optax.chain(optax.clipByGlobalNorm(1), optax.adamw(1e-4, { weightDecay: 1e-4 }))))(model.parameters());
const train = loadDigits("train", limit);
const test = loadDigits("t10k", limit);
const loader = pax.data.fromArrays({ ...train }).shuffle(pax.random.key(0)).batch(BATCH);

mkdirSync(values.folder, { recursive: true });
const file = (epoch: number): string => join(values.folder, `epoch-${epoch}.safetensors`);
let epoch = Math.max(0, ...readdirSync(values.folder).map((name) => Number(/^epoch-(\d+)\.safetensors$/.exec(name)?.[1] ?? 0)));
if (epoch > 0) {
  const saved = await pax.io.loadSafetensors(file(epoch), { model, optimizer, loader: loader.state() });
  [model, optimizer] = [saved.model, saved.optimizer];
  loader.restore(saved.loader);
  console.log(`resumed after epoch ${epoch}`);
}

const every = process.stdout.isTTY ? 10 : 100;
for (; epoch < epochs; ) {
  const shown = progress(loader.length, loader.length, BATCH);
  let done = 0;
  for await (const { images, labels } of loader) {
    let loss: pax.Tensor;
    [loss, model, optimizer] = trainStep(model, optimizer, images, labels);
    done++;
    if (done % every === 0 || done === loader.length) shown.step(done, loss.item());
  }
  shown.end();
  epoch++;
  console.log(`epoch ${epoch}  train ${await evaluate(model, train)}  test ${await evaluate(model, test)}`);
  await pax.io.saveSafetensors(file(epoch), { model, optimizer, loader: loader.state() });
}
