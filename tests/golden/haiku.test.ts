/**
 * Layers against Haiku's, each case in three ways: `pax.haiku`, `hk.transformWithState` and, where there is one, the native layer.
 * Values, gradients of parameters and inputs, state over three steps, evaluation; weights move by name.
 */
import * as pax from "paxjs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { near } from "../support/near.js";
import { golden } from "../support/safetensors.js";

const { nn, np, hk, haiku } = pax;
type Tree = pax.TensorTree;
type Inputs = readonly Tree[];
type Layer = Record<string, unknown> & { readonly fn: string };
interface Case {
  readonly case: string;
  readonly steps: number;
  readonly eval?: boolean;
  readonly layer: Layer;
  readonly params: readonly string[];
}
interface Step { readonly y: Tree; readonly grads: ReadonlyMap<string, pax.Tensor>; readonly dx: Inputs | null }
/** A layer with its weights, by Haiku's names. */
interface Runner {
  step(inputs: Inputs, cotangent: Tree, integers: boolean): Step;
  state(): ReadonlyMap<string, pax.Tensor>;
  evaluate(inputs: Inputs): Tree;
}

const data = golden<Case>("haiku");
const test = suite("golden haiku");

/** The tree of arrays stored under a prefix. */
function read(prefix: string): Tree {
  if (data.has(prefix)) return data.get(prefix);
  if (data.has(`${prefix}/hidden`)) return { hidden: data.get(`${prefix}/hidden`), cell: data.get(`${prefix}/cell`) };
  const parts: Tree[] = [];
  while (data.has(`${prefix}/${parts.length}`) || data.has(`${prefix}/${parts.length}/hidden`)) parts.push(read(`${prefix}/${parts.length}`));
  return parts;
}

/** `lstm/linear/w` as `lstm/linear` and `w`. */
const place = (name: string): [module: string, name: string] => [name.slice(0, name.lastIndexOf("/")), name.slice(name.lastIndexOf("/") + 1)];
function nested(arrays: Iterable<readonly [string, pax.Tensor]>): pax.hk.Params {
  const out: Record<string, Record<string, pax.Tensor>> = {};
  for (const [full, value] of arrays) {
    const [module, name] = place(full);
    (out[module] ??= {})[name] = value;
  }
  return out;
}
const flat = (params: pax.hk.Params): Map<string, pax.Tensor> =>
  new Map(Object.entries(params).flatMap(([module, bundle]) => Object.entries(bundle).map(([name, value]) => [`${module}/${name}`, value] as const)));

/** The tensors at the same places of two trees. */
const pairs = (a: Tree, b: Tree): (readonly [pax.Tensor, pax.Tensor])[] => pax.tree.zip(a as never, b as never);
const dot = (y: Tree, cotangent: Tree): pax.Tensor => pairs(y, cotangent).reduce((sum, [a, b]) => sum.add(a.mul(b).sum()), np.array(0));

/** A module of Pax, how it is called, and the path of the attribute that holds a parameter of Haiku's. */
interface Native { readonly model: pax.Module; readonly call: (model: never, inputs: never) => Tree; readonly names: (haikuName: string) => readonly string[] }
type Fields = Record<string, unknown>;
const lookUp = (model: pax.Module, path: readonly string[]): unknown => path.reduce<unknown>((x, name) => (x as Fields)[name], model);

function moduleRunner({ model: made, call, names }: Native, weights: ReadonlyMap<string, pax.Tensor>): Runner {
  let model = made;
  for (const [name, value] of weights) {
    const path = names(name);
    const owner = lookUp(model, path.slice(0, -1)) as Fields;
    const old = owner[path.at(-1)!] as pax.Tensor;
    owner[path.at(-1)!] = value.reshape(old.shape);
  }
  const run = (m: pax.Module, inputs: Inputs): Tree => call(m as never, inputs as never);
  return {
    step(inputs, cotangent, integers) {
      const loss = (params: pax.Module, xs: Inputs, m: pax.Module) => {
        m = m.update(params);
        const y = run(m, xs);
        return [dot(y, cotangent), [y, m]] as const;
      };
      const [[grads, dx], [y, next]] = integers
        ? (([g, aux]) => [[g, null], aux] as const)(pax.grad(loss, { hasAux: true })(model.parameters(), inputs, model))
        : pax.grad(loss, { argnums: [0, 1], hasAux: true })(model.parameters(), inputs, model);
      model = next;
      return { y, dx, grads: new Map([...weights.keys()].map((name) => [name, lookUp(grads, names(name)) as pax.Tensor])) };
    },
    state() {
      if (model instanceof pax.HaikuModule) return flat(model.state);
      if (!(model instanceof nn.BatchNorm)) return new Map();
      return new Map([["batch_norm/~/mean_ema/average", model.mean], ["batch_norm/~/var_ema/average", model.var], ["batch_norm/~/mean_ema/counter", model.counter]]);
    },
    evaluate: (inputs) => run(model.eval(), inputs),
  };
}

function hkRunner(fn: (training: boolean, ...inputs: Inputs) => Tree, found: Case, weights: ReadonlyMap<string, pax.Tensor>): Runner {
  const f = hk.transformWithState(fn);
  const params = nested(weights);
  const inputs = read(`${found.case}/0/x`) as Inputs;
  const [made, initial] = f.init(0, true, ...inputs);
  assert.equal([...flat(made)].map(([name, t]) => `${name} ${t.shape}`).sort(), [...weights].map(([name, t]) => `${name} ${t.shape}`).sort(), "names and shapes of init");
  let state = initial;
  return {
    step(xs, cotangent, integers) {
      const loss = (p: pax.hk.Params, given: Inputs) => {
        const [y, next] = f.apply(p, state, null, true, ...given);
        return [dot(y, cotangent), [y, next]] as const;
      };
      const [[grads, dx], [y, next]] = integers
        ? (([g, aux]) => [[g, null], aux] as const)(pax.grad(loss, { hasAux: true })(params, xs))
        : pax.grad(loss, { argnums: [0, 1], hasAux: true })(params, xs);
      state = next;
      return { y, dx, grads: flat(grads) };
    },
    state: () => flat(state),
    evaluate: (xs) => f.apply(params, state, null, false, ...xs)[0],
  };
}

type Sizes = number | readonly number[];
const options = (l: Layer) => ({
  stride: l["stride"] as number, rate: (l["rate"] ?? 1) as number, padding: l["padding"] as "SAME", featureGroupCount: (l["feature_group_count"] ?? 1) as number,
  outputShape: (l["output_shape"] ?? null) as number | null,
});
/** The numbers under these names, as a layer's first arguments. */
const numbers = <const N extends readonly string[]>(l: Layer, ...names: N): { [K in keyof N]: number } => names.map((n) => l[n]) as never;
const pools = (l: Layer): [Sizes, Sizes, "SAME"] => [l["window_shape"] as Sizes, l["strides"] as Sizes, l["padding"] as "SAME"];
const one = (m: pax.nn.Layer, [x]: readonly [pax.Tensor]): Tree => m.forward(x);
type Cell = pax.Module & { forward(x: pax.Tensor, state: Tree): readonly [pax.Tensor, Tree] };
const two = (m: Cell, [x, state]: readonly [pax.Tensor, Tree]): Tree => m.forward(x, state);
const along = (m: Cell, [x, state]: readonly [pax.Tensor, Tree]): Tree => haiku.dynamicUnroll(m, x, state, { timeMajor: false });

/** A module by `pax.haiku`: its parameters have Haiku's names, without that of the module that the case wrapped around its core. */
const converted = (model: pax.Module, call: (m: never, inputs: never) => Tree = one): Native => ({ model, call, names: (name) => ["params", ...place(name.replace("unroll/~/", ""))] });
const func = (f: (x: pax.Tensor) => pax.Tensor): Native => ({ model: new nn.Lambda(f), call: one, names: () => [] });
/** A native layer: Haiku's parameter names, by its own. */
const native = (model: pax.Module, own: Record<string, string>, call: (m: never, inputs: never) => Tree = one): Native => ({ model, call, names: (name) => [own[place(name)[1]]!] });

interface Ways {
  readonly haiku: (l: Layer) => Native;
  readonly hk: (l: Layer) => (training: boolean, ...inputs: never) => unknown;
  readonly nn?: (l: Layer) => Native;
}
type X = pax.Tensor;
const wb = { w: "w", b: "b" };

class Unroll extends hk.Module {
  static override moduleName = "Unroll";
  readonly core: pax.hk.LSTM | pax.hk.GRU;
  constructor(kind: unknown, size: number) {
    super();
    this.core = kind === "lstm" ? new hk.LSTM(size) : new hk.GRU(size);
  }
  forward(x: X, state: Tree): Tree {
    return hk.dynamicUnroll(this.core as unknown as Cell, x, state, { timeMajor: false });
  }
}

const convs = (name: "conv1d" | "conv2d" | "conv1dTranspose" | "conv2dTranspose", hkClass: "Conv1D" | "Conv2D" | "Conv1DTranspose" | "Conv2DTranspose"): Ways => ({
  haiku: (l) => converted(haiku[name](...numbers(l, "input_channels", "output_channels", "kernel_shape"), options(l))),
  hk: (l) => (_, x: X) => new hk[hkClass](...numbers(l, "output_channels", "kernel_shape"), options(l)).forward(x),
  nn: (l) => native(new nn[hkClass](...numbers(l, "input_channels", "output_channels", "kernel_shape"), options(l)), wb),
});
const layers: Record<string, Ways> = {
  linear: {
    haiku: (l) => converted(haiku.linear(...numbers(l, "in_dim", "out_dim"), { withBias: l["with_bias"] as boolean })),
    hk: (l) => (_, x: X) => new hk.Linear(...numbers(l, "out_dim"), { withBias: l["with_bias"] as boolean }).forward(x),
    nn: (l) => native(new nn.Linear(...numbers(l, "in_dim", "out_dim"), { withBias: l["with_bias"] as boolean }), { w: "W", b: "b" }),
  },
  layer_norm: {
    haiku: (l) => converted(haiku.layerNorm(...numbers(l, "num_channels"))),
    hk: () => (_, x: X) => new hk.LayerNorm(-1, true, true).forward(x),
    nn: (l) => native(new nn.LayerNorm(...numbers(l, "num_channels")), { scale: "scale", offset: "offset" }),
  },
  batch_norm_2d: {
    haiku: (l) => converted(haiku.batchNorm2d(...numbers(l, "num_channels"), { decayRate: l["decay_rate"] as number })),
    hk: (l) => (training, x: X) => new hk.BatchNorm(true, true, l["decay_rate"] as number).forward(x, training),
    nn: (l) => native(new nn.BatchNorm2D(l["num_channels"] as number, true, true, l["decay_rate"] as number), { scale: "scale", offset: "offset" }),
  },
  lstm: {
    haiku: (l) => converted(haiku.lstm(...numbers(l, "hidden_dim")), two),
    hk: (l) => (_, x: X, state: pax.hk.LSTMState) => new hk.LSTM(...numbers(l, "hidden_dim")).forward(x, state),
    nn: (l) => native(new nn.LSTM(...numbers(l, "hidden_dim", "hidden_dim"), { forgetGateBias: 1 }), wb, two),
  },
  gru: {
    haiku: (l) => converted(haiku.gru(...numbers(l, "hidden_dim")), two),
    hk: (l) => (_, x: X, state: X) => new hk.GRU(...numbers(l, "hidden_dim")).forward(x, state),
    nn: (l) => native(new nn.GRU(...numbers(l, "hidden_dim", "hidden_dim")), { w_i: "wI", w_h: "wH", b: "b" }, two),
  },
  dynamic_unroll: {
    haiku: (l) => converted(haiku[l["core"] as "lstm" | "gru"](...numbers(l, "hidden_dim")), along),
    hk: (l) => (_, x: X, state: Tree) => new Unroll(l["core"], ...numbers(l, "hidden_dim")).forward(x, state),
    nn: (l) => (l["core"] === "lstm" ? native(new nn.LSTM(...numbers(l, "hidden_dim", "hidden_dim"), { forgetGateBias: 1 }), wb, along)
      : native(new nn.GRU(...numbers(l, "hidden_dim", "hidden_dim")), { w_i: "wI", w_h: "wH", b: "b" }, along)),
  },
  embed: {
    haiku: (l) => converted(haiku.embed(...numbers(l, "vocab_size", "embed_dim"))),
    hk: (l) => (_, ids: X) => new hk.Embed(...numbers(l, "vocab_size", "embed_dim")).forward(ids),
    nn: (l) => native(new nn.Embed(...numbers(l, "vocab_size", "embed_dim")), { embeddings: "embeddings" }),
  },
  conv_1d: convs("conv1d", "Conv1D"),
  conv_2d: convs("conv2d", "Conv2D"),
  conv_1d_transpose: convs("conv1dTranspose", "Conv1DTranspose"),
  conv_2d_transpose: convs("conv2dTranspose", "Conv2DTranspose"),
  avg_pool: {
    haiku: (l) => func(haiku.avgPool(...pools(l))),
    hk: (l) => (_, x: X) => new hk.AvgPool(...pools(l)).forward(x),
    nn: (l) => func((x) => nn.avgPool(x, ...pools(l))),
  },
  max_pool: {
    haiku: (l) => func(haiku.maxPool(...pools(l))),
    hk: (l) => (_, x: X) => new hk.MaxPool(...pools(l)).forward(x),
    nn: (l) => func((x) => nn.maxPool(x, ...pools(l))),
  },
};

/** Sums that cancel are compared beside the largest element. */
function close(a: Tree, b: Tree, what: string): void {
  for (const [x, y] of pairs(a, b)) near(x.reshape(y.shape), y, what, { atol: 2e-6 + 1e-6 * np.max(np.abs(y)).item() });
}

function check(found: Case, runner: Runner): void {
  const at = (path: string): Tree => read(`${found.case}/${path}`);
  for (let step = 0; step < found.steps; step++) {
    const { y, grads, dx } = runner.step(at(`${step}/x`) as Inputs, at(`${step}/cot`), !data.has(`${found.case}/${step}/dx/0`));
    close(y, at(`${step}/y`), "y");
    if (dx !== null) close(dx, at(`${step}/dx`), "dx");
    for (const name of found.params) close(grads.get(name) ?? null, at(`${step}/dparams/${name}`), `d${name}`);
    for (const [name, value] of runner.state()) close(value, at(`${step}/state/${name}`), name);
  }
  if (found.eval === true) {
    assert.ok(runner.state().size > 0, "a case with a mode has state");
    close(runner.evaluate(at("eval/x") as Inputs), at("eval/y"), "eval");
  }
}

for (const found of data.cases) {
  const ways = layers[found.layer.fn];
  const weights = (): Map<string, pax.Tensor> => new Map(found.params.map((name) => [name, data.get(`${found.case}/params/${name}`)]));
  test(`${found.case}: pax.haiku`, () => {
    const made = ways!.haiku(found.layer);
    if (made.model instanceof pax.HaikuModule) {
      assert.equal([...flat(made.model.params).keys()].sort(), found.params.map((name) => name.replace("unroll/~/", "")).sort(), "names of the parameters");
    }
    check(found, moduleRunner(made, weights()));
  });
  test(`${found.case}: hk.transform`, () => check(found, hkRunner(ways!.hk(found.layer) as never, found, weights())));
  if (ways?.nn !== undefined) test(`${found.case}: nn`, () => check(found, moduleRunner(ways.nn!(found.layer), weights())));
}

/** What `make_golden.py` initialised with a key and did not change: names, order of keys and initializers are Haiku's. */
const steps = golden<{ readonly case: string; readonly hidden: number; readonly vocab: number }>("steps");
function sameInit(name: string, made: pax.hk.Params, modules: readonly string[]): void {
  assert.equal(Object.keys(made).sort(), [...modules].sort());
  for (const [full, value] of flat(made)) near(value, steps.get(`${name}/params0/${full}`), full);
}
test("initial parameters of the char-RNN", () => {
  const { hidden, vocab } = steps.cases.find((c) => c.case === "char_rnn")!;
  const model = hk.transform((tokens: X) => {
    const embedded = new hk.Embed(vocab, hidden).forward(tokens);
    const core = new hk.LSTM(hidden);
    const [y] = hk.dynamicUnroll(core, embedded, core.initialState(tokens.shape[0]!), { timeMajor: false });
    return new hk.Linear(vocab).forward(y);
  });
  const tokens = steps.get("char_rnn/tokens").take([0], 0).reshape([4, 17]);
  sameInit("char_rnn", model.init(5, tokens), ["embed", "linear", "lstm/linear"]);
});
test("initial parameters of the MNIST network", () => {
  const model = hk.transformWithState((images: X) => {
    let x = images.astype("float32").div(255);
    for (let i = 0; i < 5; i++) {
      x = new hk.Conv2D(32, 6, { padding: "VALID" }).forward(x);
      x = nn.relu(new hk.BatchNorm(true, true, 0.99).forward(x, true));
    }
    return new hk.Conv2D(10, 3, { padding: "VALID" }).forward(x).squeeze([1, 2]);
  });
  const [params, state] = model.init(0, np.zeros([1, 28, 28, 1]));
  const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => (i === 0 ? name : `${name}_${i}`));
  sameInit("mnist", params, [...numbered("conv2_d", 6), ...numbered("batch_norm", 5)]);
  for (const [name, value] of flat(state)) assert.equal(value.shape, steps.get(`mnist/state0/${name}`).shape, name);
});
test.run();
