/** Trains a small classifier on MNIST: `npm start`, or `mnist.js --epochs 1 --limit 2000` in short. */
import { parseArgs } from "node:util";
import * as pax from "paxjs";
import { loadDigits, type Digits } from "./mnist-data.js";
import { progress } from "./progress.js";

const { nn } = pax;
const { values } = parseArgs({ options: { epochs: { type: "string", default: "4" }, limit: { type: "string" } } });
const epochs = Number(values.epochs);
const limit = values.limit === undefined ? Infinity : Number(values.limit);
if (!Number.isInteger(epochs) || epochs < 1 || !(limit >= 1)) throw new Error("usage: mnist.js [--epochs N] [--limit IMAGES]");

type Net = pax.nn.Sequential;
const BATCH = 128;
const scaled = (images: pax.Tensor): pax.Tensor => images.astype("float32").div(255);

const crossEntropy = (params: Net, model: Net, images: pax.Tensor, labels: pax.Tensor) => {
  model = model.update(params);
  const logProbs = nn.logSoftmax(model.forward(scaled(images)));
  const loss = logProbs.mul(nn.oneHot(labels, 10)).sum(-1).mean().neg();
  return [loss, model] as const;
};
const trainStep = pax.jit(
  (model: Net, optimizer: pax.Optimizer, images: pax.Tensor, labels: pax.Tensor) => {
    const [[loss, updated], grads] = pax.valueAndGrad(crossEntropy, { hasAux: true })(model.parameters(), model, images, labels);
    return [loss, optimizer.step(grads, updated), optimizer];
  },
  { donateArgnums: [0, 1] },
);
const predict = pax.jit((model: Net, images: pax.Tensor) => model.forward(scaled(images)).argmax(-1));

/** Rows: the true digit; columns: the predicted one. */
async function confusion(model: Net, digits: Digits): Promise<number[][]> {
  const counts = Array.from({ length: 10 }, () => Array<number>(10).fill(0));
  for await (const { images, labels } of pax.data.fromArrays({ ...digits }).batch(1000)) {
    const guesses = await predict(model, images).data();
    (await labels.data()).forEach((label: number | bigint, i: number) => { counts[Number(label)]![Number(guesses[i])]!++; });
  }
  return counts;
}

pax.seedRngKey(42);
let model: Net = new nn.Sequential(new nn.Linear(784, 256), nn.relu, new nn.Linear(256, 128), nn.relu, new nn.Linear(128, 10));
const Adam = pax.optim.fromOptax(pax.optax.adam(1e-3));
let optimizer: pax.Optimizer = new Adam(model.parameters());

const loader = pax.data.fromArrays({ ...loadDigits("train", limit) }).shuffle(pax.random.key(0)).batch(BATCH);
const test = loadDigits("t10k", limit);
const total = epochs * loader.length;
const shown = progress(total, loader.length, BATCH);
const every = process.stdout.isTTY ? 10 : 100;

let done = 0;
for (let epoch = 0; epoch < epochs; epoch++) {
  for await (const { images, labels } of loader) {
    let loss: pax.Tensor;
    [loss, model, optimizer] = trainStep(model, optimizer, images, labels);
    done++;
    if (done % every === 0 || done === total) shown.step(done, loss.item());
  }
}
shown.end();

const counts = await confusion(model, test);
console.log("\nconfusion matrix of the test images (rows: true digit, columns: predicted)");
console.log(`     ${counts.map((_, d) => String(d).padStart(5)).join("")}`);
counts.forEach((row, d) => console.log(`${String(d).padStart(5)}${row.map((n) => String(n).padStart(5)).join("")}`));
const right = counts.reduce((n, row, d) => n + row[d]!, 0);
const all = counts.flat().reduce((a, b) => a + b, 0);
console.log(`\ntest accuracy ${((100 * right) / all).toFixed(1)} %`);
