/** The network of the second view: it reads a text, character by character, and learns to go on. */
import * as pax from "paxjs";

const { np, nn, haiku, optax, optim } = pax;

export const SEQUENCE = 64;
export const BATCH = 16;
const HIDDEN = 128;

export type State = pax.hk.LSTMState;
/** Adam behind a limit on the gradients' norm, with its learning rate in its state. */
const Adam = optim.fromOptax(optax.injectHyperparams((learningRate: number) => optax.chain(optax.clipByGlobalNorm(1), optax.adam(learningRate)))(3e-3));

export class LM extends pax.Module {
  embed: pax.nn.Embed;
  lstm = new nn.LSTM(HIDDEN, HIDDEN, { forgetGateBias: 1 });
  linear: pax.nn.Linear;

  constructor(readonly alphabet: number) {
    super();
    this.embed = new nn.Embed(alphabet, HIDDEN);
    this.linear = new nn.Linear(HIDDEN, alphabet);
  }
  /** Logits [batch, time, alphabet] of the characters that follow. */
  forward(tokens: pax.Tensor): pax.Tensor {
    const [outputs] = haiku.dynamicUnroll(this.lstm, this.embed.forward(tokens), this.lstm.initialState(tokens.shape[0]!), { timeMajor: false });
    return this.linear.forward(outputs);
  }
  /** Logits of the character after one, and the state after it. */
  next(token: pax.Tensor, state: State): [logits: pax.Tensor, state: State] {
    const [output, after] = this.lstm.forward(this.embed.forward(token), state);
    return [this.linear.forward(output), after];
  }
}

export interface Training { readonly model: LM; readonly optimizer: InstanceType<typeof Adam> }
export function create(alphabet: number, learningRate: number): Training {
  const model = new LM(alphabet);
  const training = { model, optimizer: new Adam(model.parameters()) };
  setLearningRate(training, learningRate);
  return training;
}
export function setLearningRate({ optimizer }: Training, value: number): void {
  optimizer.state.hyperparams.learningRate = np.array(value, { dtype: "float32" });
}

const lossFn = (params: LM, model: LM, crops: pax.Tensor) => {
  model = model.update(params);
  const [inputs, targets] = [crops.take(np.arange(SEQUENCE), 1), crops.take(np.arange(1, SEQUENCE + 1), 1)];
  return [nn.logSoftmax(model.forward(inputs)).mul(nn.oneHot(targets, model.alphabet)).sum(-1).mean().neg(), model] as const;
};

/** One step over random crops of the text (int32[n]); the key decides which. */
export const trainStep = pax.jit(
  ({ model, optimizer }: Training, text: pax.Tensor, key: pax.Tensor) => {
    const starts = pax.random.randint(key, [BATCH, 1], 0, text.size - SEQUENCE);
    const [[loss, updated], grads] = pax.valueAndGrad(lossFn, { hasAux: true })(model.parameters(), model, text.take(starts.add(np.arange(SEQUENCE + 1)), 0));
    const trained: Training = { model: optimizer.step(grads, updated), optimizer };
    return [loss, trained];
  },
  { donateArgnums: [0] },
);

/** Draws the next character (int32[1]); a low temperature takes likelier ones. */
export const nextCharacter = pax.jit((model: LM, token: pax.Tensor, state: State, temperature: pax.Tensor, key: pax.Tensor) => {
  const [logits, after] = model.next(token, state);
  return [pax.random.categorical(key, logits.div(temperature)).astype("int32"), after];
});
