/** What both views have: buttons, the state of the training, and a status that is spoken. */
import { element, show } from "./dom.js";

type Control = { readonly type: "start" } | { readonly type: "pause" } | { readonly type: "step" };

/** Run, step and reset under a prefix of ids. */
export class Controls {
  running = false;
  private spoken = -Infinity;
  private readonly run: HTMLButtonElement;

  constructor(private readonly prefix: string, private readonly send: (control: Control) => void, reset: () => void) {
    this.run = element<HTMLButtonElement>(`${prefix}run`);
    this.run.onclick = () => this.set(!this.running);
    element(`${prefix}step`).onclick = () => {
      this.set(false);
      send({ type: "step" });
    };
    element(`${prefix}reset`).onclick = reset;
  }

  set(running: boolean): void {
    if (running === this.running) return;
    this.send({ type: running ? "start" : "pause" });
    this.shown(running);
    this.say(running ? "Training" : "Paused");
  }
  /** Shows the state of a worker that stopped of itself. */
  shown(running: boolean): void {
    this.running = running;
    this.run.textContent = running ? "Pause" : "Start";
  }
  loading(done: number, total: number): void {
    element<HTMLProgressElement>(`${this.prefix}loading`).value = total > 0 ? done / total : 0;
    this.say(`Loading: ${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`, 1000);
  }
  ready(message: string, ...more: readonly string[]): void {
    element(`${this.prefix}loading`).hidden = true;
    for (const id of [...["run", "step", "reset"].map((id) => this.prefix + id), ...more]) element<HTMLButtonElement>(id).disabled = false;
    this.say(message);
  }
  /** `pause`: milliseconds since the last message before which this one is not worth a word. */
  say(message: string, pause = 0): void {
    const now = performance.now();
    if (now - this.spoken < pause) return;
    this.spoken = now;
    show(`${this.prefix}status`, message);
    element(`${this.prefix}status`).classList.remove("bad");
  }
  failed(message: string): void {
    this.shown(false);
    this.say(message);
    element(`${this.prefix}status`).classList.add("bad");
  }
}
