/** vmap over axes 0 and −1, in and out, each operand mapped or not: the same as slicing, calling and stacking. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { near } from "../support/near.js";

const { np, nn } = pax;
const test = suite("vmap's axes");
type T = pax.Tensor;
const SIZE = 3;

/** Numbers that are all different, none of them special. */
const filled = (shape: readonly number[]): T => np.arange(shape.reduce((a, b) => a * b, 1)).astype("float32").mul(0.37).sub(1.1).reshape(shape);

/** Ops by name, with the shape of each operand of one example. */
const ops: Readonly<Record<string, { readonly f: (...xs: T[]) => T; readonly shapes: readonly (readonly number[])[] }>> = {
  add: { f: (a, b) => a!.add(b!), shapes: [[2, 4], [2, 4]] },
  "add that broadcasts": { f: (a, b) => a!.add(b!), shapes: [[2, 4], [4]] },
  "sub of a scalar": { f: (a, b) => a!.sub(b!), shapes: [[], [2]] },
  where: { f: (a, b) => np.where(a!.greater(0), a!, b!), shapes: [[2, 4], [2, 4]] },
  tanh: { f: (a) => a!.tanh(), shapes: [[2, 4]] },
  "sum over the last axis": { f: (a) => a!.sum(-1), shapes: [[2, 4]] },
  "max over all": { f: (a) => a!.max(), shapes: [[2, 4]] },
  argmax: { f: (a) => a!.argmax(0), shapes: [[2, 4]] },
  cumsum: { f: (a) => a!.cumsum(1), shapes: [[2, 4]] },
  softmax: { f: (a) => nn.softmax(a!), shapes: [[2, 4]] },
  sort: { f: (a) => a!.neg().sort(0), shapes: [[4, 2]] },
  reshape: { f: (a) => a!.reshape([4, 2]), shapes: [[2, 4]] },
  transpose: { f: (a) => a!.transpose(), shapes: [[2, 4]] },
  concatenate: { f: (a, b) => np.concatenate([a!, b!], 1), shapes: [[2, 4], [2, 1]] },
  stack: { f: (a, b) => np.stack([a!, b!], 1), shapes: [[2, 4], [2, 4]] },
  pad: { f: (a) => np.pad(a!, [[1, 0], [0, 2]]), shapes: [[2, 4]] },
  flip: { f: (a) => np.flip(a!, 0), shapes: [[2, 4]] },
  "matrix by matrix": { f: (a, b) => a!.matmul(b!), shapes: [[2, 4], [4, 3]] },
  "vector by matrix": { f: (a, b) => a!.matmul(b!), shapes: [[4], [4, 3]] },
  einsum: { f: (a, b) => np.einsum("ij,kj->ki", a!, b!), shapes: [[2, 4], [3, 4]] },
  take: { f: (a, i) => np.take(a!, i!.astype("int32"), 1), shapes: [[2, 4], [3]] },
  takeAlongAxis: { f: (a, i) => np.takeAlongAxis(a!, i!.astype("int32"), 1), shapes: [[2, 4], [2, 2]] },
  tril: { f: (a) => np.tril(a!), shapes: [[3, 4]] },
  "a layer norm": { f: (a) => new nn.LayerNorm(4).forward(a!), shapes: [[2, 4]] },
  "a convolution": { f: (a) => new nn.Conv1D(2, 3, 2, { wInit: filled }).forward(a!), shapes: [[5, 2]] },
  "a gradient": { f: (a, b) => pax.grad((x: T) => x.mul(x).mul(b!).sum())(a!), shapes: [[2, 4], [4]] },
  "a program": { f: (a, b) => pax.jit((x: T, y: T) => x.mul(y).sum(0))(a!, b!), shapes: [[2, 4], [2, 4]] },
};

type Axis = 0 | -1 | null;
const ways = (n: number): Axis[][] => (n === 0 ? [[]] : ways(n - 1).flatMap((rest) => ([0, -1, null] as const).map((axis) => [...rest, axis])));
/** All choices of 0, −1 and null for `n` operands, but not null for all. */
const choices = (n: number): Axis[][] => ways(n).filter((axes) => axes.some((axis) => axis !== null));

for (const [name, { f, shapes }] of Object.entries(ops)) {
  test(name, () => {
    for (const inAxes of choices(shapes.length)) {
      const inputs = inAxes.map((axis, i) => {
        const shape = shapes[i]!;
        return filled(axis === null ? shape : axis === 0 ? [SIZE, ...shape] : [...shape, SIZE]);
      });
      const examples = Array.from({ length: SIZE }, (_, n) => f(...inputs.map((x, i) => {
        const axis = inAxes[i]!;
        return axis === null ? x : np.squeeze(np.take(x, [n], axis), axis);
      })));
      for (const outAxes of [0, -1]) {
        const mapped = pax.vmap(f, { inAxes, outAxes })(...inputs);
        near(mapped, np.stack(examples, outAxes), `${name} with axes ${JSON.stringify(inAxes)} to ${outAxes}`);
      }
    }
  });
}
test("there are the ways that there should be", () => {
  assert.is(choices(1).length, 2);
  assert.is(choices(2).length, 8);
});

test.run();
