/** Test digits with what the network takes them for. */
import { element } from "./dom.js";
import { paint, SIDE } from "./draw.js";

const TILES = 48;

export interface Grid {
  /** All guesses of a pass. */
  update(guesses: Uint8Array): void;
  /** The next test digit of that class. */
  next(digit: number): Uint8Array;
}

/** `picked` gets the pixels of a tile that was chosen. */
export function digitGrid(images: Uint8Array, labels: Uint8Array, picked: (pixels: Uint8Array) => void): Grid {
  const grid = element("grid");
  const only = element<HTMLInputElement>("mistakes");
  const pixelsOf = (i: number): Uint8Array => images.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE);
  let guesses: Uint8Array | null = null;
  let at = -1;

  const tiles = Array.from({ length: TILES }, (_, place) => {
    const [button, canvas, text] = [document.createElement("button"), document.createElement("canvas"), document.createElement("span")];
    canvas.width = canvas.height = SIDE;
    button.tabIndex = place === 0 ? 0 : -1;
    button.append(canvas, text);
    grid.append(button);
    return { button, canvas, text, index: -1 };
  });
  // One stop of the Tab key; arrows go on from there.
  grid.addEventListener("keydown", (e) => {
    const from = tiles.findIndex(({ button }) => button === document.activeElement);
    const shown = tiles.filter(({ button }) => !button.hidden);
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const by = ({ ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns } as Readonly<Record<string, number>>)[e.key];
    const to = by === undefined ? undefined : shown[from + by];
    if (to === undefined) return;
    tiles[from]!.button.tabIndex = -1;
    to.button.tabIndex = 0;
    to.button.focus();
    e.preventDefault();
  });

  const draw = (): void => {
    const indices: number[] = [];
    for (let i = 0; i < labels.length && indices.length < TILES; i++) if (!only.checked || (guesses !== null && guesses[i] !== labels[i])) indices.push(i);
    let wrong = 0;
    tiles.forEach((tile, place) => {
      const i = indices[place];
      tile.button.hidden = i === undefined;
      if (i === undefined) return;
      if (tile.index !== i) {
        tile.index = i;
        paint(tile.canvas, pixelsOf(i));
        tile.button.onclick = () => picked(pixelsOf(i));
      }
      const [label, guess] = [labels[i]!, guesses?.[i]];
      const bad = guess !== undefined && guess !== label;
      wrong += Number(bad);
      const text = guess === undefined ? "–" : bad ? `${guess} ✗ ${label}` : String(guess);
      if (tile.text.textContent === text) return;
      tile.text.textContent = text;
      tile.button.classList.toggle("wrong", bad);
      tile.button.setAttribute("aria-label", guess === undefined ? `A ${label}` : bad ? `A ${label}, taken for a ${guess}: a mistake` : `A ${label}, recognised`);
    });
    const all = guesses === null ? 0 : guesses.reduce((n, guess, i) => n + Number(guess !== labels[i]), 0);
    element("grid-status").textContent = guesses === null ? "Pick one to copy it to the drawing."
      : `${all.toLocaleString("en")} mistakes among ${labels.length.toLocaleString("en")}, ${wrong} of them here, as guess ✗ truth. Pick one to copy it to the drawing.`;
  };
  only.onchange = draw;
  draw();

  return {
    update(next) {
      guesses = next;
      draw();
    },
    next(digit) {
      do at = (at + 1) % labels.length; while (labels[at] !== digit);
      return pixelsOf(at);
    },
  };
}
