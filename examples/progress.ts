/** A progress bar on a terminal, plain lines elsewhere. */
import { Presets, SingleBar } from "cli-progress";

export interface Progress {
  step(done: number, loss: number): void;
  end(): void;
}

const clock = (seconds: number): string => `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")}`;

/** `total` steps of `batch` images, split into epochs of `perEpoch` steps. */
export function progress(total: number, perEpoch: number, batch: number): Progress {
  const started = performance.now();
  const epochs = Math.ceil(total / perEpoch);
  const facts = (done: number, loss: number) => {
    const seconds = (performance.now() - started) / 1000;
    return {
      epoch: `${Math.min(epochs, Math.floor(Math.max(done - 1, 0) / perEpoch) + 1)}/${epochs}`,
      loss: loss.toFixed(4),
      rate: done === 0 ? "-" : String(Math.round((done * batch) / seconds)),
      left: done === 0 ? "-" : clock((seconds / done) * (total - done)),
    };
  };
  if (process.stdout.isTTY) {
    const bar = new SingleBar({ format: "epoch {epoch} [{bar}] step {value}/{total}  loss {loss}  {rate} images/s  {left} left", stream: process.stdout }, Presets.shades_classic);
    bar.start(total, 0, facts(0, 0));
    return { step: (done, loss) => bar.update(done, facts(done, loss)), end: () => bar.stop() };
  }
  return {
    step(done, loss) {
      const f = facts(done, loss);
      console.log(`epoch ${f.epoch}  step ${done}/${total}  loss ${f.loss}  ${f.rate} images/s  ${f.left} left`);
    },
    end() {},
  };
}
