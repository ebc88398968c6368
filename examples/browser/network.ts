/** The digit classifiers of the page. Node imports this file, too: a checkpoint of one fits the other. */
import * as pax from "paxjs";

const { nn, np, optax, optim } = pax;

export type Kind = "mlp" | "conv";
/** Widths of the hidden layers, or channels of the convolutions. */
export interface Config { readonly kind: Kind; readonly sizes: readonly number[] }
export type Net = pax.nn.Sequential;
/** What a checkpoint keeps. */
export interface Training { readonly model: Net; readonly optimizer: InstanceType<typeof Adam> }

const SIDE = 28;
const CLASSES = 10;
/** Adam with its learning rate in its state, so that it can be changed between steps. */
const Adam = optim.fromOptax(optax.injectHyperparams(optax.adam)(1e-3));

// Functions of their own, since `jit` tells networks apart by the functions in them.
const flat = (x: pax.Tensor): pax.Tensor => x.reshape([x.shape[0]!, -1]);
const scaled = (x: pax.Tensor): pax.Tensor => x.astype("float32").div(255);
const square = (x: pax.Tensor): pax.Tensor => scaled(x).reshape([-1, SIDE, SIDE, 1]);

function mlp(sizes: readonly number[]): Net {
  const widths = [SIDE * SIDE, ...sizes];
  return new nn.Sequential(scaled, ...sizes.flatMap((n, i) => [new nn.Linear(widths[i]!, n), nn.relu]), new nn.Linear(widths.at(-1)!, CLASSES));
}

/** Convolutions of 3×3, each of which halves the picture. */
function conv(sizes: readonly number[]): Net {
  const side = sizes.reduce((n) => Math.ceil(n / 2), SIDE);
  const layers = sizes.flatMap((n, i) => [new nn.Conv2D(sizes[i - 1] ?? 1, n, 3, { stride: 2 }), nn.relu]);
  return new nn.Sequential(square, ...layers, flat, new nn.Linear(side * side * (sizes.at(-1) ?? 1), CLASSES));
}

/** A network with fresh parameters, and its optimizer. */
export function create({ kind, sizes }: Config, learningRate = 1e-3): Training {
  const model = kind === "mlp" ? mlp(sizes) : conv(sizes);
  const training = { model, optimizer: new Adam(model.parameters()) };
  setLearningRate(training, learningRate);
  return training;
}

export function setLearningRate({ optimizer }: Training, value: number): void {
  optimizer.state.hyperparams.learningRate = np.array(value, { dtype: "float32" });
}
export const learningRateOf = ({ optimizer }: Training): number => optimizer.state.hyperparams.learningRate.item();
export const stepsOf = ({ optimizer }: Training): number => optimizer.state.count.item();
export const parametersOf = ({ model }: Training): number => pax.tree.leaves(model.parameters()).reduce((n, x) => n + x.size, 0);

/** The tree of a checkpoint, and the network that its tensors belong to. @throws PaxError `io` if they are of another. */
export function restore(bytes: Uint8Array): { readonly config: Config; readonly training: Training } {
  const weights = [...pax.io.fromSafetensors(bytes)].flatMap(([name, tensor]) => {
    const layer = /^model\.modules\[(\d+)\]\.[wW]$/.exec(name)?.[1];
    return layer === undefined ? [] : [{ layer: Number(layer), shape: tensor.shape }];
  }).sort((a, b) => a.layer - b.layer);
  const config: Config = { kind: weights.some(({ shape }) => shape.length === 4) ? "conv" : "mlp", sizes: weights.slice(0, -1).map(({ shape }) => shape.at(-1)!) };
  return { config, training: pax.io.fromSafetensors(bytes, create(config)) };
}

const lossFn = (params: Net, model: Net, images: pax.Tensor, labels: pax.Tensor) => {
  model = model.update(params);
  const logits = model.forward(images);
  const loss = nn.logSoftmax(logits).mul(nn.oneHot(labels, CLASSES)).sum(-1).mean().neg();
  return [loss, [model, logits.argmax(-1).equal(labels).mean()]] as const;
};

/** One step over images uint8[n, 784] and labels int32[n]; gives loss and accuracy of the batch, and what is trained. */
export const trainStep = pax.jit(
  ({ model, optimizer }: Training, images: pax.Tensor, labels: pax.Tensor) => {
    const [[loss, [updated, accuracy]], grads] = pax.valueAndGrad(lossFn, { hasAux: true })(model.parameters(), model, images, labels);
    const trained: Training = { model: optimizer.step(grads, updated), optimizer };
    return [loss, accuracy, trained];
  },
  { donateArgnums: [0] },
);

/** The most likely digit of each image. */
export const guess = pax.jit((model: Net, images: pax.Tensor) => model.forward(images).argmax(-1).astype("uint8"));
/** The probabilities [n, 10]. */
export const classify = pax.jit((model: Net, images: pax.Tensor) => nn.softmax(model.forward(images)));
