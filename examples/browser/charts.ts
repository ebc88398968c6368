/** Curves that grow while a network trains. */
import uPlot from "uplot";
import { perFrame } from "./dom.js";

/** Points kept; beyond, every second goes. */
const POINTS = 1200;

export interface Chart {
  /** A value for each curve at a step; null: none there. */
  add(step: number, values: readonly (number | null)[]): void;
  clear(): void;
}

const colour = (name: string) => (): string => getComputedStyle(document.documentElement).getPropertyValue(name);

/** `curves`: label and colour, the last is the one that matters; `range` of the values, if it is known. */
export function chart(root: HTMLElement, name: string, curves: readonly (readonly [label: string, colour: string])[], format: (y: number) => string, range?: readonly [number, number]): Chart {
  let rows: (readonly [step: number, ...values: (number | null)[]])[] = [];
  const axis: uPlot.Axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const plot = new uPlot({
    width: Math.max(root.clientWidth, 100), height: Math.max(root.clientHeight, 100),
    legend: { show: false }, cursor: { show: false },
    scales: { x: { time: false, range: (_, min, max) => [min ?? 0, Math.max(max ?? 0, (min ?? 0) + 10)] }, y: { range: (_, __, max) => [...(range ?? [0, Math.max(max ?? 0, 0.1) * 1.05])] as [number, number] } },
    axes: [{ ...axis, size: 30, values: (_, ticks) => ticks.map((x) => x.toLocaleString("en")) }, { ...axis, size: 44, values: (_, ticks) => ticks.map(format) }],
    series: [{}, ...curves.map(([label, name], i): uPlot.Series => ({ label, stroke: colour(name), width: i === curves.length - 1 ? 2 : 1.25, points: { show: false }, spanGaps: true }))],
  }, [[], ...curves.map(() => [])], root);
  root.setAttribute("role", "img");
  root.setAttribute("aria-label", `${name}, no values yet`);

  const draw = perFrame(() => {
    plot.setData([0, ...curves.map((_, i) => i + 1)].map((i) => rows.map((row) => row[i]!)) as unknown as uPlot.AlignedData);
    const newest = curves.flatMap(([label], i) => {
      const row = rows.findLast((r) => r[i + 1] !== null);
      return row === undefined ? [] : [`${label} ${format(row[i + 1]!)}`];
    });
    root.setAttribute("aria-label", `${name}, ${newest.length === 0 ? "no values yet" : `newest: ${newest.join(", ")}`}`);
  });
  new ResizeObserver(() => { if (root.clientWidth > 0) plot.setSize({ width: root.clientWidth, height: root.clientHeight }); }).observe(root);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw());

  return {
    add(step, values) {
      rows.push([step, ...values]);
      // Rare points of the curve that matters stay.
      if (rows.length > POINTS) rows = rows.filter((row, i) => i % 2 === 0 || (curves.length > 1 && row.at(-1) !== null));
      draw();
    },
    clear() {
      rows = [];
      draw();
    },
  };
}
