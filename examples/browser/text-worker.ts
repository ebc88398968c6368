/** Trains the network that writes, and lets it write all the while. */
import * as pax from "paxjs";
import { BATCH, create, nextCharacter, SEQUENCE, setLearningRate, trainStep, type State, type Training } from "./lm.js";
import { Loop, Mean, Rate } from "./loop.js";
import type { FromText, ToText } from "./protocol.js";
import { bytesOf } from "./shards.js";

const { np } = pax;
/** Milliseconds between characters, and between reports. */
const TYPING = 12;
const REPORT = 100;
/** Characters of a piece. */
const PIECE = 320;

const post = (message: FromText): void => postMessage(message);
const failed = (cause: unknown): void => post({ type: "failed", message: cause instanceof Error ? cause.message : String(cause) });

/** A text as numbers of its own alphabet. */
class Text {
  readonly alphabet: readonly string[];
  readonly tokens: pax.Tensor;
  constructor(readonly text: string) {
    this.alphabet = [...new Set(text)].sort();
    this.tokens = np.array(Int32Array.from(text, (c) => this.alphabet.indexOf(c)));
  }
  /** What every piece begins after. */
  get start(): pax.Tensor { return np.array([this.alphabet.indexOf("\n")], { dtype: "int32" }); }
}

/** A training from its start to the next reset. */
class Session {
  readonly rate = new Rate();
  private readonly mean = new Mean();
  private key = pax.nextRngKey();
  private steps = 0;
  private loss = NaN;
  private first = 0;
  private reported = 0;
  private state: State | null = null;
  private token: pax.Tensor;
  private left = 0;
  private typed = 0;

  constructor(private training: Training, private readonly text: Text) {
    this.token = text.start;
    post({ type: "network", parameters: pax.tree.leaves(training.model.parameters()).reduce((n, x) => n + x.size, 0) });
  }

  set learningRate(value: number) { setLearningRate(this.training, value); }

  private nextKey(): pax.Tensor {
    const [key, next] = pax.random.split(this.key);
    this.key = next!;
    return key!;
  }

  step(): void {
    const begin = performance.now();
    const [loss, training] = trainStep(this.training, this.text.tokens, this.nextKey());
    this.training = training;
    this.mean.add(loss.item());
    this.steps++;
    this.rate.add(BATCH * SEQUENCE);
    this.first ||= performance.now() - begin;
  }

  report(training: boolean): void {
    const now = performance.now();
    if (training && now - this.reported < REPORT) return;
    const loss = this.mean.take();
    if (Number.isNaN(loss)) return;
    [this.reported, this.loss] = [now, loss];
    post({ type: "progress", steps: this.steps, loss, rate: training ? this.rate.get() : 0, bytes: pax.memory().bytes, first: this.first });
  }

  /** Begins a piece, though one may not have come to its end. */
  restart(): void { [this.state, this.token, this.left, this.typed] = [null, this.text.start, PIECE, performance.now()]; }

  /** Writes what is due by the clock; true while there is more to come. */
  write(temperature: number, training: boolean): boolean {
    if (this.left === 0 && training) this.restart();
    const due = Math.min(this.left, Math.floor((performance.now() - this.typed) / TYPING));
    if (due > 0) {
      const fresh = this.left === PIECE;
      const warmth = np.array(temperature, { dtype: "float32" });
      let text = "";
      for (let i = 0; i < Math.min(due, 8); i++) {
        [this.token, this.state] = nextCharacter(this.training.model, this.token, this.state ?? this.training.model.lstm.initialState(1), warmth, this.nextKey());
        text += this.text.alphabet[this.token.item()]!;
      }
      [this.left, this.typed] = [this.left - text.length, performance.now()];
      post({ type: "typed", text, fresh, steps: this.steps, loss: this.loss });
    }
    return this.left > 0;
  }
}

async function main(): Promise<void> {
  const engine = pax.init({ threads: Math.max(1, navigator.hardwareConcurrency - 1) });
  let done = 0;
  const bytes = await bytesOf("text.txt", (n, total) => post({ type: "loading", done: done += n, total }));
  await engine;
  pax.seedRngKey(42);
  const text = new Text(new TextDecoder().decode(bytes));
  post({ type: "ready", characters: text.tokens.size, alphabet: text.alphabet.length });
  const fresh = (learningRate: number): Session => new Session(create(text.alphabet.length, learningRate), text);
  let session = fresh(3e-3);
  let temperature = 0.7;
  /** A piece is being written though nobody trains. */
  let writing = false;

  const loop = new Loop({
    step: () => session.step(),
    after(training) {
      session.report(training);
      if (training || writing) writing = session.write(temperature, training) && writing;
      return writing && !training;
    },
    failed,
  });
  onmessage = ({ data }: MessageEvent<ToText>) => {
    switch (data.type) {
      case "start":
        session.rate.restart();
        return loop.start();
      case "pause": return loop.pause();
      case "step": return loop.step();
      case "rate":
        session.learningRate = data.learningRate;
        return;
      case "temperature":
        temperature = data.value;
        return;
      case "reset":
        [session, writing] = [fresh(data.learningRate), false];
        return loop.reset();
      case "write":
        session.restart();
        writing = true;
        return loop.wake();
    }
  };
}

main().catch(failed);
