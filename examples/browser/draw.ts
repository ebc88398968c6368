/** A canvas of 28×28 pixels to draw a digit on, by pointer or keyboard. */
import { element } from "./dom.js";

export const SIDE = 28;
/** Pixels from a stroke's middle to where it ends. */
const BRUSH = 1.8;

/** Black with the pixels as opacity, so that a page's colours shine through. */
export function paint(canvas: HTMLCanvasElement, pixels: ArrayLike<number>): void {
  const image = new ImageData(SIDE, SIDE);
  for (let i = 0; i < SIDE * SIDE; i++) image.data[4 * i + 3] = pixels[i]!;
  canvas.getContext("2d")!.putImageData(image, 0, 0);
}

/** As MNIST's digits are laid out: the longer side over 20 pixels, the centre of mass in the middle. */
export function centred(pixels: Uint8Array): Uint8Array {
  const at = (x: number, y: number): number => (x < 0 || y < 0 || x >= SIDE || y >= SIDE ? 0 : pixels[y * SIDE + x]!);
  let [left, right, top, bottom, mass, mx, my] = [SIDE, -1, SIDE, -1, 0, 0, 0];
  pixels.forEach((v, i) => {
    if (v === 0) return;
    const [x, y] = [i % SIDE, Math.floor(i / SIDE)];
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
    [mass, mx, my] = [mass + v, mx + v * x, my + v * y];
  });
  if (mass === 0) return pixels;
  const scale = Math.max(right - left + 1, bottom - top + 1) / 20;
  const middle = (SIDE - 1) / 2;
  return Uint8Array.from(pixels, (_, i) => {
    const [x, y] = [mx / mass + ((i % SIDE) - middle) * scale, my / mass + (Math.floor(i / SIDE) - middle) * scale];
    const [x0, y0] = [Math.floor(x), Math.floor(y)];
    const [fx, fy] = [x - x0, y - y0];
    return (1 - fy) * ((1 - fx) * at(x0, y0) + fx * at(x0 + 1, y0)) + fy * ((1 - fx) * at(x0, y0 + 1) + fx * at(x0 + 1, y0 + 1));
  });
}

/** Tells each change: the pixels for the network, or null for an empty canvas; `wanted` is called for a key 0 to 9. */
export function drawingPad(changed: (pixels: Uint8Array | null) => void, wanted: (digit: number) => void): { show(pixels: Uint8Array): void; clear(): void } {
  const canvas = element<HTMLCanvasElement>("pad");
  const cursor = element("cursor");
  let pixels = new Uint8Array(SIDE * SIDE);
  let [cx, cy] = [SIDE / 2, SIDE / 2];

  const dot = (x: number, y: number): void => {
    for (let i = Math.max(0, Math.floor(x - 2)); i <= Math.min(SIDE - 1, x + 2); i++) {
      for (let j = Math.max(0, Math.floor(y - 2)); j <= Math.min(SIDE - 1, y + 2); j++) {
        const value = 255 * Math.min(1, Math.max(0, BRUSH - Math.hypot(i + 0.5 - x, j + 0.5 - y)));
        pixels[j * SIDE + i] = Math.max(pixels[j * SIDE + i]!, value);
      }
    }
  };
  const line = (x0: number, y0: number, x1: number, y1: number): void => {
    const n = Math.ceil(2 * Math.hypot(x1 - x0, y1 - y0)) || 1;
    for (let i = 0; i <= n; i++) dot(x0 + ((x1 - x0) * i) / n, y0 + ((y1 - y0) * i) / n);
  };
  const drawn = (): void => {
    paint(canvas, pixels);
    changed(centred(pixels));
  };
  const clear = (): void => {
    pixels.fill(0);
    paint(canvas, pixels);
    changed(null);
  };

  let last: readonly [number, number] | null = null;
  const stroke = (events: readonly PointerEvent[]): void => {
    const box = canvas.getBoundingClientRect();
    for (const e of events) {
      const [x, y] = [((e.clientX - box.left) / box.width) * SIDE, ((e.clientY - box.top) / box.height) * SIDE];
      line(...(last ?? [x, y]), x, y);
      last = [x, y];
    }
    drawn();
  };
  canvas.onpointerdown = (e) => {
    if (e.button !== 0) return;
    canvas.setPointerCapture(e.pointerId);
    stroke([e]);
  };
  canvas.onpointermove = (e) => {
    if (last === null) return;
    const all = e.getCoalescedEvents();
    stroke(all.length > 0 ? all : [e]);
  };
  canvas.onpointerup = canvas.onpointercancel = () => { last = null; };

  const place = (): void => { Object.assign(cursor.style, { left: `${(100 * cx) / SIDE}%`, top: `${(100 * cy) / SIDE}%` }); };
  const moves: Readonly<Record<string, readonly [number, number]>> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.onkeydown = (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const move = moves[e.key];
    if (move) {
      const [x, y] = [Math.min(SIDE, Math.max(0, cx + move[0])), Math.min(SIDE, Math.max(0, cy + move[1]))];
      if (e.shiftKey) {
        line(cx, cy, x, y);
        drawn();
      }
      [cx, cy] = [x, y];
      place();
    } else if (e.key === " ") {
      dot(cx, cy);
      drawn();
    } else if (e.key === "Delete" || e.key === "Backspace") clear();
    else if (/^\d$/.test(e.key)) wanted(Number(e.key));
    else return;
    e.preventDefault();
  };
  element("clear").onclick = clear;
  place();

  return {
    show(digit) {
      pixels = digit.slice();
      paint(canvas, pixels);
      changed(digit);
    },
    clear,
  };
}

/** Ten bars, one a digit. */
export function probabilityBars(): (values: readonly number[] | null) => void {
  const bars = element("bars");
  const items = Array.from({ length: 10 }, (_, digit) => {
    const item = document.createElement("li");
    const [name, value] = [document.createElement("span"), document.createElement("span")];
    name.textContent = String(digit);
    item.append(name, document.createElement("i"), value);
    bars.append(item);
    return { item, value };
  });
  return (values) => {
    const best = values === null ? -1 : values.indexOf(Math.max(...values));
    items.forEach(({ item, value }, digit) => {
      const p = values?.[digit] ?? 0;
      item.style.setProperty("--p", p.toFixed(3));
      item.classList.toggle("best", digit === best);
      value.textContent = values === null ? "–" : `${(100 * p).toFixed(1)} %`;
    });
  };
}
