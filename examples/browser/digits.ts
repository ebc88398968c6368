/** The view of the digits: it shows what its worker tells, and tells it what the person wants. */
import { chart } from "./charts.js";
import { element, megabytes, percent, perFrame, rateSlider, show, time, whole } from "./dom.js";
import { drawingPad, probabilityBars } from "./draw.js";
import { digitGrid, type Grid } from "./grid.js";
import type { Config, Kind } from "./network.js";
import type { FromDigits, ToDigits } from "./protocol.js";
import { Controls } from "./view.js";

/** What a kind begins with, and what the sizes are called. */
const KINDS: Readonly<Record<Kind, readonly [sizes: string, name: string, hint: string]>> = {
  mlp: ["128", "Hidden layers", "Up to four widths, as in 256, 128. A change starts anew."],
  conv: ["8, 16", "Convolutions", "Channels of up to four 3×3 layers. A change starts anew."],
};

/** The sizes that a text names, or null. */
function sizesOf(text: string): number[] | null {
  const sizes = text.split(/[\s,;]+/).filter(Boolean).map(Number);
  return sizes.length >= 1 && sizes.length <= 4 && sizes.every((n) => Number.isInteger(n) && n >= 1 && n <= 1024) ? sizes : null;
}

/** Starts the view; gives what pauses it. */
export function digitsView(): () => void {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  const send = (message: ToDigits, transfer: Transferable[] = []): void => worker.postMessage(message, transfer);
  const sizes = element<HTMLInputElement>("sizes");
  const kinds = [...document.querySelectorAll<HTMLInputElement>("input[name=kind]")];
  const kindOf = (): Kind => kinds.find((k) => k.checked)!.value as Kind;
  const rate = rateSlider("rate", (learningRate) => send({ type: "rate", learningRate }));
  const lossChart = chart(element("loss-chart"), "Loss", [["train", "--accent"]], (y) => y.toFixed(y < 0.1 && y > 0 ? 2 : 1));
  const accuracyChart = chart(element("accuracy-chart"), "Accuracy", [["train", "--soft"], ["test", "--accent"]], (y) => `${Math.round(100 * y)} %`, [0, 1]);
  const bars = probabilityBars();
  let grid: Grid | null = null;
  let tested = 0;

  const config = (): Config | null => {
    const found = sizesOf(sizes.value);
    sizes.setAttribute("aria-invalid", String(found === null));
    return found && { kind: kindOf(), sizes: found };
  };
  const reset = (): void => {
    const wanted = config();
    if (wanted === null) return controls.say("The sizes are whole numbers from 1 to 1024, at most four of them.");
    send({ type: "reset", config: wanted, learningRate: rate.get() });
  };
  const controls = new Controls("", send, reset);

  let drawn: Uint8Array | null = null;
  const sendDrawn = perFrame(() => send({ type: "draw", pixels: drawn }));
  const pad = drawingPad((pixels) => {
    drawn = pixels;
    sendDrawn();
  }, (digit) => { if (grid) pad.show(grid.next(digit)); });

  const describe = (kind: Kind): void => {
    show("sizes-name", KINDS[kind][1]);
    show("sizes-hint", KINDS[kind][2]);
  };
  for (const k of kinds) {
    k.onchange = () => {
      sizes.value = KINDS[kindOf()][0];
      describe(kindOf());
      reset();
    };
  }
  sizes.onchange = reset;

  const load = async (file: File): Promise<void> => {
    const bytes = new Uint8Array(await file.arrayBuffer());
    send({ type: "load", bytes }, [bytes.buffer]);
  };
  const chosen = element<HTMLInputElement>("load");
  chosen.onchange = () => {
    const file = chosen.files?.[0];
    if (file) void load(file);
    chosen.value = "";
  };
  const view = element("digits-view");
  view.ondragover = (e) => {
    e.preventDefault();
    view.classList.add("dropping");
  };
  view.ondragleave = () => view.classList.remove("dropping");
  view.ondrop = (e) => {
    e.preventDefault();
    view.classList.remove("dropping");
    const file = e.dataTransfer?.files[0];
    if (file) void load(file);
  };
  element("save").onclick = () => send({ type: "save" });

  /** Offers the bytes as a download. */
  const offer = (bytes: Uint8Array): void => {
    const address = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>]));
    Object.assign(document.createElement("a"), { href: address, download: "paxjs-digits.safetensors" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
    controls.say("Saved: pax.io.loadSafetensors reads it in Node.");
  };

  const hear = (message: FromDigits): void => {
    switch (message.type) {
      case "loading": return controls.loading(message.done, message.total);
      case "ready":
        grid = digitGrid(message.images, message.labels, pad.show);
        show("ready-after", time(performance.now()));
        return controls.ready("Ready: press Start.", "save", "load");
      case "network": {
        const { kind, sizes: now } = message.config;
        for (const k of kinds) k.checked = k.value === kind;
        sizes.value = now.join(", ");
        sizes.setAttribute("aria-invalid", "false");
        describe(kind);
        rate.set(message.learningRate);
        lossChart.clear();
        accuracyChart.clear();
        for (const id of ["loss", "accuracy", "speed", "first", "to95"]) show(id, "–");
        show("steps", whole(message.steps));
        tested = 0;
        controls.shown(false);
        return controls.say(`${message.steps > 0 ? `Loaded, after ${whole(message.steps)} steps` : "A fresh network"}: ${whole(message.parameters)} parameters.`);
      }
      case "progress":
        show("steps", whole(message.steps));
        show("loss", message.loss.toFixed(3));
        if (message.rate > 0) show("speed", whole(message.rate));
        show("first", time(message.first));
        show("memory", megabytes(message.bytes));
        lossChart.add(message.steps, [message.loss]);
        return accuracyChart.add(message.steps, [message.accuracy, null]);
      case "tested":
        show("accuracy", percent(message.accuracy));
        if (message.accuracy >= 0.95 && tested < 0.95 && message.clock > 0) show("to95", time(message.clock));
        tested = Math.max(tested, message.accuracy);
        accuracyChart.add(message.steps, [null, message.accuracy]);
        if (controls.running) controls.say(`Training: ${percent(message.accuracy)} of the test digits after ${whole(message.steps)} steps`, 4000);
        return grid?.update(message.guesses);
      case "probabilities": return bars(message.values);
      case "checkpoint": return offer(message.bytes);
      case "failed": return controls.failed(message.message);
    }
  };
  worker.onmessage = ({ data }: MessageEvent<FromDigits>) => hear(data);
  worker.onerror = (e) => controls.failed(`The worker failed: ${e.message}`);
  bars(null);
  return () => controls.set(false);
}
