import { flattenNode, stepOf, trainableMask, type Node } from "../tree/flatten.js";
import { describeLeaf, isTensor } from "../tree/leaf.js";
import { formatPath, type Step } from "../tree/path.js";
import { className } from "./instance.js";

const count = (leaf: unknown): number => (isTensor(leaf) ? leaf.size : 1);
const grouped = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ",");

interface Line {
  readonly text: string;
  readonly children: Line[];
}

/** A module as a tree of lines: name, dtype, shape and number of values of each leaf. */
export function summarise(module: object): string {
  const leaves: unknown[] = [];
  const root = flattenNode(module, leaves);
  const mask = trainableMask(root);
  let next = 0;
  const lineOf = (node: Node, steps: Step[]): Line | null => {
    const label = steps.length === 0 ? "" : `${formatPath(steps)}: `;
    if (node.type === "null") return null;
    if (node.type === "leaf") {
      const i = next++;
      return { text: `${label}${describeLeaf(leaves[i])} ${mask[i] ? "parameter" : "state"}`, children: [] };
    }
    const begin = next;
    const children: Line[] = [];
    const collect = (inner: typeof node, prefix: Step[]): void => inner.children.forEach((child, i) => {
      const path = [...prefix, stepOf(inner, i)];
      if (child.type === "leaf" || child.type === "null" || child.type === "module") {
        const line = lineOf(child, path);
        if (line !== null) children.push(line);
      } else collect(child, path);
    });
    collect(node, []);
    let [trainable, other] = [0, 0];
    for (let i = begin; i < next; i++) {
      if (mask[i]) trainable += count(leaves[i]);
      else other += count(leaves[i]);
    }
    const name = node.type === "module" ? className(node.layout.prototype) : node.type;
    const mode = node.type === "module" && !node.training ? ", eval" : "";
    return { text: `${label}${name} (${grouped(trainable)} trainable, ${grouped(other)} other${mode})`, children };
  };
  const out: string[] = [];
  const print = (line: Line, first: string, rest: string): void => {
    out.push(first + line.text);
    line.children.forEach((child, i) => {
      const last = i === line.children.length - 1;
      print(child, `${rest}${last ? "└── " : "├── "}`, `${rest}${last ? "    " : "│   "}`);
    });
  };
  print(lineOf(root, [])!, "", "");
  return out.join("\n");
}
