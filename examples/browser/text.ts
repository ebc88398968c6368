/** The view of the text: a network that types as it learns. */
import { chart } from "./charts.js";
import { element, megabytes, rateSlider, show, time, whole } from "./dom.js";
import type { FromText, ToText } from "./protocol.js";
import { Controls } from "./view.js";

/** Pieces that stay in sight. */
const PIECES = 6;

/** Starts the view; gives what pauses it. */
export function textView(): () => void {
  const worker = new Worker(new URL("text-worker.js", import.meta.url), { type: "module" });
  const send = (message: ToText): void => worker.postMessage(message);
  const rate = rateSlider("text-rate", (learningRate) => send({ type: "rate", learningRate }));
  const lossChart = chart(element("text-chart"), "Loss", [["loss", "--accent"]], (y) => y.toFixed(1));
  const pieces = element("pieces");
  const controls = new Controls("text-", send, () => send({ type: "reset", learningRate: rate.get() }));
  const temperature = element<HTMLInputElement>("temperature");
  temperature.oninput = () => {
    show("temperature-value", temperature.value);
    send({ type: "temperature", value: Number(temperature.value) });
  };
  element("write").onclick = () => send({ type: "write" });

  /** The newest piece stands first. */
  const begin = (steps: number, loss: number): void => {
    const [piece, title, text] = [document.createElement("article"), document.createElement("p"), document.createElement("pre")];
    [piece.className, title.className] = ["piece", "hint"];
    title.textContent = steps === 0 ? "Before the first step" : `After ${whole(steps)} ${steps === 1 ? "step" : "steps"}${Number.isNaN(loss) ? "" : `, loss ${loss.toFixed(2)}`}`;
    piece.append(title, text);
    pieces.prepend(piece);
    while (pieces.children.length > PIECES) pieces.lastElementChild!.remove();
  };

  const hear = (message: FromText): void => {
    switch (message.type) {
      case "loading": return controls.loading(message.done, message.total);
      case "ready":
        show("written-hint", `A small LSTM reads the README of paxjs, ${whole(message.characters)} characters of ${message.alphabet} kinds, and writes from the first step on.`);
        return controls.ready("Ready: press Start.", "write");
      case "network":
        lossChart.clear();
        pieces.replaceChildren();
        for (const id of ["loss", "speed", "first"]) show(`text-${id}`, "–");
        show("text-steps", "0");
        controls.shown(false);
        return controls.say(`A fresh network: ${whole(message.parameters)} parameters.`);
      case "progress":
        show("text-steps", whole(message.steps));
        show("text-loss", message.loss.toFixed(3));
        if (message.rate > 0) show("text-speed", whole(message.rate));
        show("text-first", time(message.first));
        show("text-memory", megabytes(message.bytes));
        if (controls.running) controls.say(`Training: loss ${message.loss.toFixed(2)} after ${whole(message.steps)} steps`, 5000);
        return lossChart.add(message.steps, [message.loss]);
      case "typed":
        if (message.fresh) begin(message.steps, message.loss);
        return pieces.querySelector("pre")?.append(message.text);
      case "failed": return controls.failed(message.message);
    }
  };
  worker.onmessage = ({ data }: MessageEvent<FromText>) => hear(data);
  worker.onerror = (e) => controls.failed(`The worker failed: ${e.message}`);
  return () => controls.set(false);
}
