/** Trains the digit classifier, away from the page's own thread. */
import * as pax from "paxjs";
import { Loop, Mean, Rate } from "./loop.js";
import { classify, create, guess, learningRateOf, parametersOf, restore, setLearningRate, stepsOf, trainStep, type Config, type Training } from "./network.js";
import type { FromDigits, ToDigits } from "./protocol.js";
import { loadDigits, type Digits } from "./shards.js";

const { np } = pax;
const BATCH = 128;
const TEST_BATCH = 500;
/** Milliseconds between reports. */
const REPORT = 100;
/** The test digits are looked at when training has taken so many times as long as looking at them does. */
const TEST_SHARE = 4;

const post = (message: FromDigits, transfer: Transferable[] = []): void => postMessage(message, { transfer });
const failed = (cause: unknown): void => post({ type: "failed", message: cause instanceof Error ? cause.message : String(cause) });

/** A training from its start to the next reset. */
class Session {
  private readonly loss = new Mean();
  private readonly accuracy = new Mean();
  readonly rate = new Rate();
  private steps: number;
  private reported = 0;
  private pending = false;
  private first = 0;
  /** Guesses of the pass over the test digits that is under way. */
  private guesses: Uint8Array[] = [];
  private stale = true;
  private tested = -Infinity;
  private cost = 0;

  constructor(private training: Training, private readonly data: Data) {
    this.steps = stepsOf(training);
  }

  announce(config: Config): void {
    post({ type: "network", config, learningRate: learningRateOf(this.training), parameters: parametersOf(this.training), steps: this.steps });
  }
  set learningRate(value: number) { setLearningRate(this.training, value); }
  checkpoint(): Uint8Array { return pax.io.toSafetensors(this.training); }
  probabilities(pixels: Uint8Array): number[] {
    return Array.from(classify(this.training.model, np.array(pixels).reshape([1, 784])).dataSync(), Number);
  }

  step(): void {
    const begin = performance.now();
    const { images, labels } = this.data.next();
    const [loss, accuracy, training] = trainStep(this.training, images, labels);
    this.training = training;
    this.loss.add(loss.item());
    this.accuracy.add(accuracy.item());
    this.rate.add(BATCH);
    this.steps++;
    this.first ||= performance.now() - begin;
    [this.pending, this.stale] = [true, true];
  }

  /** A part of a pass over the test digits, if one is due; true if there is more to do. */
  test(training: boolean, clock: number): boolean {
    if (this.guesses.length === 0 && (!this.stale || (training && clock - this.tested < TEST_SHARE * this.cost))) return false;
    const begin = performance.now();
    if (this.guesses.length === 0) [this.stale, this.cost] = [false, 0];
    this.guesses.push(guess(this.training.model, this.data.test[this.guesses.length]!).dataSync() as Uint8Array);
    this.cost += performance.now() - begin;
    if (this.guesses.length < this.data.test.length) return true;
    const guesses = Uint8Array.from(this.guesses.flatMap((part) => [...part]));
    [this.guesses, this.tested] = [[], clock];
    const right = guesses.reduce((n, digit, i) => n + Number(digit === this.data.labels[i]), 0);
    post({ type: "tested", steps: this.steps, accuracy: right / guesses.length, guesses, clock }, [guesses.buffer]);
    return false;
  }

  /** True if it told something. */
  report(training: boolean): boolean {
    const now = performance.now();
    if (!this.pending || (training && now - this.reported < REPORT)) return false;
    [this.pending, this.reported] = [false, now];
    post({
      type: "progress", steps: this.steps, epochs: (this.steps * BATCH) / this.data.size, loss: this.loss.take(), accuracy: this.accuracy.take(),
      rate: training ? this.rate.get() : 0, bytes: pax.memory().bytes, first: this.first,
    });
    return true;
  }
}

/** The digits as the engine takes them. */
class Data {
  readonly size: number;
  readonly labels: Uint8Array;
  readonly test: readonly pax.Tensor[];
  private readonly loader;
  private batches;

  constructor(train: Digits, test: Digits) {
    this.size = train.labels.length;
    this.labels = test.labels;
    this.test = Array.from({ length: test.labels.length / TEST_BATCH }, (_, i) => np.array(test.images.slice(i * TEST_BATCH * 784, (i + 1) * TEST_BATCH * 784)).reshape([TEST_BATCH, 784]));
    const images = np.array(train.images).reshape([this.size, 784]);
    this.loader = pax.data.fromArrays({ images, labels: Int32Array.from(train.labels) }).shuffle(pax.random.key(0)).batch(BATCH, { dropLast: true });
    this.batches = this.loader[Symbol.iterator]();
    images.dispose(); // the loader has its bytes
  }

  /** The next batch, pass after pass. */
  next(): { images: pax.Tensor; labels: pax.Tensor } {
    for (;;) {
      const next = this.batches.next();
      if (!next.done) return next.value;
      this.batches = this.loader[Symbol.iterator]();
    }
  }
}

async function main(): Promise<void> {
  // One core is left to the page.
  const engine = pax.init({ threads: Math.max(1, navigator.hardwareConcurrency - 1) });
  const { train, test } = await loadDigits((done, total) => post({ type: "loading", done, total }));
  await engine;
  pax.seedRngKey(42);
  const data = new Data(train, test);
  const begin: Config = { kind: "mlp", sizes: [128] };
  let session = new Session(create(begin), data);
  let drawn: Uint8Array | null = null;
  const classifyDrawn = (): void => post({ type: "probabilities", values: drawn && session.probabilities(drawn) });

  const loop = new Loop({
    step: () => session.step(),
    after(training) {
      const more = session.test(training, loop.clock);
      if (session.report(training) && drawn) classifyDrawn();
      return more;
    },
    failed,
  });
  const renew = (training: Training, config: Config): void => {
    session = new Session(training, data);
    session.announce(config);
    classifyDrawn();
    loop.reset();
  };
  const obey = (command: ToDigits): void => {
    switch (command.type) {
      case "start":
        session.rate.restart();
        return loop.start();
      case "pause": return loop.pause();
      case "step": return loop.step();
      case "rate":
        session.learningRate = command.learningRate;
        return;
      case "reset": return renew(create(command.config, command.learningRate), command.config);
      case "draw":
        drawn = command.pixels;
        return classifyDrawn();
      case "save": {
        const bytes = session.checkpoint();
        return post({ type: "checkpoint", bytes }, [bytes.buffer]);
      }
      case "load": {
        const { config, training } = restore(command.bytes);
        return renew(training, config);
      }
    }
  };
  onmessage = ({ data }: MessageEvent<ToDigits>) => {
    try {
      obey(data);
    } catch (cause) {
      failed(cause);
    }
  };
  post({ type: "ready", images: test.images, labels: test.labels }, [test.images.buffer]);
  session.announce(begin);
  loop.wake();
}

main().catch(failed);
