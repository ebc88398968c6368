/**
 * A recurrent network that learns to write the text of this very file, or any other: `char-rnn.js --data FILE`. It prints the loss, characters
 * a second and a sample every so often, keeps a checkpoint, and goes on from the newest. Stop it with Ctrl-C whenever you like.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import * as pax from "paxjs";

const { np, nn, haiku, optax } = pax;
const { values } = parseArgs({
  options: {
    data: { type: "string", default: "examples/char-rnn.ts" }, steps: { type: "string", default: "20000" }, every: { type: "string", default: "1000" },
    hidden: { type: "string", default: "256" }, seq: { type: "string", default: "64" }, batch: { type: "string", default: "1" },
    updates: { type: "string", default: "1" }, sample: { type: "string", default: "100" }, prompt: { type: "string", default: "class LM extends pax.Module {" },
    checkpoint: { type: "string", default: "out/char-rnn/newest.safetensors" },
  },
});
const [steps, every, hidden, seq, batch, updates, sampled] = (["steps", "every", "hidden", "seq", "batch", "updates", "sample"] as const).map((name) => {
  const n = Number(values[name]);
  if (!Number.isInteger(n) || n < 1) throw new Error(`--${name} takes a positive number, not ${values[name]}`);
  return n;
}) as [number, number, number, number, number, number, number];

const VOCABULARY = 256;
/** The token that every text begins with. */
const START = 0;

class LM extends pax.Module {
  embed = haiku.embed(VOCABULARY, hidden);
  lstm = haiku.lstm(hidden);
  linear = haiku.linear(hidden, VOCABULARY);

  /** Logits [batch, time, token] of the tokens that follow. */
  forward(tokens: pax.Tensor): pax.Tensor {
    const [outputs] = haiku.dynamicUnroll(this.lstm, this.embed.forward(tokens), this.lstm.initialState(tokens.shape[0]!), { timeMajor: false });
    return this.linear.forward(outputs);
  }
  /** Logits of the token after one, and the state after it. */
  next(token: pax.Tensor, state: pax.hk.LSTMState): [logits: pax.Tensor, state: pax.hk.LSTMState] {
    const [output, after] = this.lstm.forward(this.embed.forward(token), state);
    return [this.linear.forward(output), after];
  }
}

const lossFn = (params: LM, model: LM, tokens: pax.Tensor) => {
  model = model.update(params);
  const time = tokens.shape[1]! - 1;
  const [inputs, targets] = [tokens.take(np.arange(time), 1), tokens.take(np.arange(1, time + 1), 1)];
  const loss = nn.logSoftmax(model.forward(inputs)).mul(nn.oneHot(targets, VOCABULARY)).sum(-1).mean().neg();
  return [loss, model] as const;
};

/** One update on each device; gradients are averaged over them. */
const updateStep = ([model, optimizer]: readonly [LM, pax.Optimizer], tokens: pax.Tensor) => {
  const [[loss, updated], grads] = pax.valueAndGrad(lossFn, { hasAux: true })(model.parameters(), model, tokens);
  return [[optimizer.step(pax.pmean(grads, "i"), updated), optimizer], loss] as const;
};
/** Updates over the batches [devices, updates, batch, time], and the sum of their losses. */
const train = pax.pmap((model: LM, optimizer: pax.Optimizer, batches: pax.Tensor) => {
  const [[trained, stepped], losses] = pax.scan(updateStep, [model, optimizer] as const, batches);
  return [trained, stepped, pax.pmean(losses.sum(), "i")] as const;
}, { axisName: "i", donateArgnums: [0, 1] });

const devices = pax.devices().length;
const replicate = <T>(tree: T): T => pax.tree.map((x: pax.Tensor) => np.stack(Array.from({ length: devices }, () => x)), tree as never) as T;
const first = <T>(tree: T): T => pax.tree.map((x: pax.Tensor) => x.take(0, 0), tree as never) as T;

const text = np.array(Int32Array.from([START, ...readFileSync(values.data)]));
if (text.size <= seq + 1) throw new Error(`${values.data} has ${text.size - 1} characters; a crop takes ${seq + 1}`);
/** Random crops for step `i`: they depend on the step alone, so a run that resumes sees the same. */
const crops = pax.jit((text: pax.Tensor, i: pax.Tensor) => {
  const starts = pax.random.randint(pax.random.foldIn(pax.random.key(1), i), [devices, updates, batch, 1], 0, text.size - seq);
  return text.take(starts.add(np.arange(seq + 1)), 0);
});

const greedy = pax.jit((model: LM, token: pax.Tensor, state: pax.hk.LSTMState) => {
  const [logits, after] = model.next(token, state);
  return [logits.argmax(-1).astype("int32"), after];
});
/** The most likely text after the prompt, which is fed one character at a time. */
function sample(model: LM, prompt: string, length: number): string {
  model = model.eval();
  let state = model.lstm.initialState(1);
  let token = np.array([START], { dtype: "int32" });
  const bytes = [...Buffer.from(prompt)];
  for (let i = 0; i < prompt.length + length; i++) {
    [token, state] = greedy(model, token, state);
    if (i < prompt.length) token = np.array([bytes[i]!], { dtype: "int32" });
    else bytes.push(token.item());
  }
  return Buffer.from(bytes).toString("latin1");
}

pax.seedRngKey(42);
let model = new LM();
let optimizer: pax.Optimizer = new (pax.optim.fromOptax(optax.chain(optax.clipByGlobalNorm(1), optax.adam(1e-4))))(model.parameters());
let done = 0;
if (existsSync(values.checkpoint)) {
  const saved = await pax.io.loadSafetensors(values.checkpoint, { model, optimizer, done });
  ({ model, optimizer, done } = saved);
  console.log(`resumed after step ${done}`);
}
mkdirSync(dirname(values.checkpoint), { recursive: true });

const parameters = pax.tree.leaves(model.parameters()).reduce((n, x) => n + x.size, 0);
console.log(`${parameters} parameters; ${text.size - 1} characters of ${values.data}`);
[model, optimizer] = [replicate(model), replicate(optimizer)];
let [sum, since, began] = [np.array(0), 0, performance.now()];
while (done < steps) {
  let loss: pax.Tensor;
  [model, optimizer, loss] = train(model, optimizer, crops(text, np.array(done, { dtype: "uint32" })));
  sum = sum.add(first(loss));
  [done, since] = [done + updates, since + updates];
  if (done % every < updates || done >= steps) {
    const mean = sum.item() / since;
    const rate = (since * batch * devices * seq * 1000) / (performance.now() - began);
    console.log(`step ${done}  loss ${mean.toFixed(4)}  ${rate.toFixed(0)} characters/s`);
    const one = first(model);
    console.log(`${sample(one, values.prompt, done >= steps ? 10 * sampled : sampled)}\n`);
    await pax.io.saveSafetensors(values.checkpoint, { model: one, optimizer: first(optimizer), done });
    [sum, since, began] = [np.array(0), 0, performance.now()];
  }
}
