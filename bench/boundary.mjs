// node bench/boundary.mjs: what a call of a compiled function costs beside its work, in microseconds (medians).
import * as pax from "paxjs";

const { np } = pax;
/** Small tensors, so that what is done to their elements costs nothing. */
const tensors = (n) => Array.from({ length: n }, (_, i) => np.full([4], i));

function median(call, calls = 5000) {
  for (let i = 0; i < 1000; i++) call();
  const times = Array.from({ length: calls }, () => {
    const began = performance.now();
    call();
    return 1e3 * (performance.now() - began);
  });
  return times.sort((a, b) => a - b)[calls >> 1];
}

const three = tensors(3);
const many = tensors(200);
const empty = pax.jit((a, b, c) => [a, b, c]);
const one = pax.jit((leaves) => leaves[0].add(1));
const all = pax.jit((leaves) => leaves.map((x) => x.neg()));
const donated = pax.jit((leaves) => leaves.map((x) => x.neg()), { donateArgnums: 0 });
let given = tensors(200);

const rows = [
  ["3 leaves, an empty body", median(() => empty(...three)), 5],
  ["200 leaves in, 1 out", median(() => one(many)), 40],
  ["200 leaves in, 200 out", median(() => all(many)), 120],
  ["200 leaves in, 200 out, donated", median(() => { given = donated(given); }), 120],
];
for (const [what, time, goal] of rows) console.log(`${what.padEnd(34)} ${time.toFixed(1).padStart(6)} µs   (goal: ${goal})`);
