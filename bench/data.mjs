// Inputs and initial weights of the workloads, from one seed: the shapes, names and distributions of the peers' files.
import * as pax from "paxjs";

const { np, random } = pax;

/** Draws of one workload; another workload's do not move them. */
function draws(name) {
  let key = random.key([...name].reduce((seed, c) => 31 * seed + c.charCodeAt(0), 7));
  const next = () => { const [rest, own] = random.split(key, 2); key = rest; return own; };
  return {
    normal: (shape, std = 1) => random.normal(next(), shape).mul(std),
    ints: (below, shape) => random.randint(next(), shape, 0, below),
  };
}

function mlp(name, sizes, batch) {
  const { normal, ints } = draws(name);
  const layers = sizes.slice(1).flatMap((to, i) => [[`p.w${i}`, normal([sizes[i], to], (2 / sizes[i]) ** 0.5)], [`p.b${i}`, np.zeros([to])]]);
  return { ...Object.fromEntries(layers), "in.x": normal([batch, sizes[0]]), "in.y": ints(sizes.at(-1), [batch]) };
}

function cnn() {
  const { normal, ints } = draws("W2");
  const layers = [[1, 32], [32, 64], [64, 64]].flatMap(([from, to], i) => [
    [`p.conv${i}`, normal([3, 3, from, to], (2 / (9 * from)) ** 0.5)], [`p.bn${i}.scale`, np.ones([to])], [`p.bn${i}.bias`, np.zeros([to])],
    [`s.bn${i}.mean`, np.zeros([to])], [`s.bn${i}.var`, np.ones([to])],
  ]);
  return { ...Object.fromEntries(layers), "p.w": normal([64, 10], 1 / 8), "p.b": np.zeros([10]), "in.x": normal([64, 28, 28, 1]), "in.y": ints(10, [64]) };
}

function rnn() {
  const { normal, ints } = draws("W3");
  const std = 1 / 16;
  return {
    "p.embed": normal([128, 128]), "p.wx": normal([128, 1024], std), "p.wh": normal([256, 1024], std), "p.bl": np.zeros([1024]),
    "p.w": normal([256, 128], std), "p.b": np.zeros([128]), "in.tokens": ints(128, [32, 65]),
  };
}

function transformer() {
  const { normal, ints } = draws("W4");
  const [width, std] = [128, 0.02];
  const matrix = (from, to) => normal([from, to], std);
  const norm = (name) => [[`${name}.scale`, np.ones([width])], [`${name}.bias`, np.zeros([width])]];
  const blocks = [0, 1, 2, 3].map((i) => `p.h${i}.`).flatMap((h) => [
    ...norm(`${h}ln1`), [`${h}wqkv`, matrix(width, 3 * width)], [`${h}bqkv`, np.zeros([3 * width])], [`${h}wo`, matrix(width, width)], [`${h}bo`, np.zeros([width])],
    ...norm(`${h}ln2`), [`${h}w1`, matrix(width, 4 * width)], [`${h}b1`, np.zeros([4 * width])], [`${h}w2`, matrix(4 * width, width)], [`${h}b2`, np.zeros([width])],
  ]);
  return {
    "p.tok": matrix(128, width), "p.pos": matrix(128, width), ...Object.fromEntries([...blocks, ...norm("p.lnf")]),
    "p.w": matrix(width, 128), "p.b": np.zeros([128]), "in.tokens": ints(128, [16, 129]),
  };
}

function micro() {
  const { normal } = draws("K1");
  return {
    "in.a": normal([1024, 1024]), "in.b": normal([1024, 1024]), "in.x": normal([4096, 1024]), "in.scale": normal([1024]), "in.shift": normal([1024]),
    "in.img": normal([32, 28, 28, 64]), "in.kernel": normal([3, 3, 64, 64], (2 / 576) ** 0.5),
  };
}

const makers = { W1: () => mlp("W1", [784, 512, 256, 10], 128), W1s: () => mlp("W1s", [784, 64, 10], 32), W2: cnn, W3: rnn, W4: transformer, K1: micro };

/** The tensors of a workload by name: `p.` parameters, `s.` state, `in.` inputs. */
export const makeData = (name) => new Map(Object.entries(makers[name]()));
