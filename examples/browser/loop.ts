/** The loop of a worker that trains: it runs in slices, and between them messages are heard. */

/** Milliseconds after which a message is heard at the latest, if a step is shorter. */
const SLICE = 24;

const channel = new MessageChannel();
const waiting: (() => void)[] = [];
channel.port1.onmessage = () => waiting.shift()?.();

/** A turn of the event loop: messages and the collector's news arrive in it. Timers would wait for 4 ms. */
const turn = (): Promise<void> => new Promise((done) => {
  waiting.push(done);
  channel.port2.postMessage(0);
});

/** What is trained. */
export interface Work {
  step(): void;
  /** After each slice; true if it has more to do, before training goes on. */
  after(training: boolean): boolean;
  failed(cause: unknown): void;
}

export class Loop {
  /** Milliseconds of training. */
  clock = 0;
  private running = false;
  private wanted = 0;
  private busy = false;
  /** There is something for `after` to look at. */
  private due = false;

  constructor(private readonly work: Work) {}

  start(): void {
    this.running = true;
    void this.go();
  }
  pause(): void {
    this.running = false;
    this.wake();
  }
  /** One step, at once or after those that run. */
  step(): void {
    this.wanted++;
    void this.go();
  }
  /** Only what `after` does. */
  wake(): void {
    this.due = true;
    void this.go();
  }
  reset(): void {
    [this.running, this.wanted, this.clock] = [false, 0, 0];
    this.wake();
  }

  private slice(): void {
    const begin = performance.now();
    if (this.wanted > 0) {
      this.wanted--;
      this.work.step();
    } else {
      do this.work.step(); while (performance.now() - begin < SLICE);
    }
  }

  private async go(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.due || this.running || this.wanted > 0) {
        const begin = performance.now();
        const training = this.running || this.wanted > 0;
        if (training && !this.due) this.slice();
        this.due = this.work.after(this.running);
        await turn();
        if (training) this.clock += performance.now() - begin;
      }
    } catch (cause) {
      this.running = false;
      this.work.failed(cause);
    } finally {
      this.busy = false;
    }
  }
}

/** The mean of what was added since it was last asked. */
export class Mean {
  private sum = 0;
  private count = 0;
  add(x: number): void {
    this.sum += x;
    this.count++;
  }
  take(): number {
    const mean = this.sum / this.count;
    [this.sum, this.count] = [0, 0];
    return mean;
  }
}

/** Items a second over the last seconds of training. */
export class Rate {
  private marks: (readonly [time: number, items: number])[] = [[performance.now(), 0]];
  private items = 0;
  add(items: number): void { this.items += items; }
  /** After a pause: what was before does not count. */
  restart(): void { this.marks = [[performance.now(), this.items]]; }
  get(): number {
    const now = performance.now();
    this.marks.push([now, this.items]);
    while (this.marks.length > 2 && now - this.marks[0]![0] > 2000) this.marks.shift();
    const [time, items] = this.marks[0]!;
    return ((this.items - items) * 1000) / (now - time);
  }
}
