/** Shapes that no machine can hold are errors, when they are made and when they are recorded, and work goes on. */
import { verbs } from "paxjs/internal";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";

const { np, nn, random } = pax;
const test = suite("huge");
type T = pax.Tensor;

/** A number of elements of which there may be one row, and no square: sizes have 32 bits in WebAssembly. */
const N = verbs.binary === "wasm" ? 2 ** 16 : 2 ** 31;
const one = np.array([1]);
const key = random.key(0);
const row = (): T => np.broadcastTo(one, [N]);
const ints = (n: number): T => np.broadcastTo(np.array([0], { dtype: "int32" }), [n]);
pax.seedRngKey(42);
const conv = new nn.Conv2D(1, 1, 1, { padding: [[2 ** 31, 2 ** 31], [2 ** 31, 2 ** 31]] });

const cases: Record<string, () => T> = {
  "zeros": () => np.zeros([N, N]),
  "sizes of 2^31": () => np.zeros([2 ** 31, 2 ** 31, 2 ** 31]),
  "sizes of 2^40": () => np.ones([2 ** 40, 2 ** 40]),
  "four sizes": () => np.ones([2 ** 20, 2 ** 20, 2 ** 20, 2 ** 20]),
  "empty": () => np.zeros([2 ** 31, 2 ** 31, 2 ** 31, 0]),
  "full": () => np.full([2 ** 52, 2 ** 52], 1),
  "arange": () => np.arange(2 ** 53 - 1),
  "linspace": () => np.linspace(0, 1, 2 ** 53 - 1),
  "eye": () => np.eye(2 ** 40),
  "broadcastTo": () => np.broadcastTo(one, [N, N]),
  "tile": () => np.tile(np.ones([4, 4]), [N, N]),
  "repeat": () => np.repeat(one, 2 ** 53 - 1),
  "an outer product": () => np.outer(row(), row()),
  "a sum of a row and a column": () => row().reshape([N, 1]).add(row()),
  "where": () => np.where(row().reshape([N, 1]).greater(0), row(), 0),
  "matmul": () => np.matmul(row().reshape([N, 1]), row().reshape([1, N])),
  "einsum": () => np.einsum("i,j,k->ijk", row(), row(), row()),
  "pad": () => np.pad(one, 2 ** 52),
  "pad and crop": () => np.pad(np.ones([2, 2]), [[2 ** 52, 2 ** 52], [0, 0]]),
  "concatenate": () => np.concatenate(Array(9).fill(np.broadcastTo(one, [verbs.binary === "wasm" ? 2 ** 28 : 2 ** 30, 1])), 1).reshape([1, -1]).mul(row().reshape([N, 1])),
  "stack": () => np.stack(Array(2 ** 6).fill(np.broadcastTo(row(), [verbs.binary === "wasm" ? 2 ** 10 : 2 ** 26, N]))),
  "take": () => np.take(np.ones([1, N]), ints(N), 0),
  "one-hot": () => nn.oneHot(ints(N), 2 ** 32),
  "random bits": () => random.bits(key, [N, N]),
  "random normal": () => random.normal(key, [2 ** 53 - 1]),
  "keys": () => random.split(key, 2 ** 53 - 1)[0]!,
  "no keys": () => pax.vmap((k: T) => random.bits(k, [N, N]))(np.zeros([0, 2], { dtype: "uint32" })),
  "permutation": () => random.permutation(key, 2 ** 53 - 1),
  "vmap": () => pax.vmap((x: T) => row().add(x))(row()),
  "scan": () => pax.scan((c: T) => [c, row()], one, null, { length: N })[1],
  "a convolution": () => conv.forward(np.ones([1, 2, 2, 1])),
  "windows": () => pax.haiku.maxPool([1, 1], [1, 1], "SAME")(np.broadcastTo(one, [1, N, N, 1])),
  "axes": () => np.ones(Array(100_000).fill(1)),
  "reshape": () => np.zeros([0]).reshape([2 ** 32, 2 ** 32]),
};

/** Both codes say it: `memory` where the bytes can be counted, but are not there. */
function tooLarge(f: () => unknown): void {
  let error: unknown;
  try { f(); } catch (e) { error = e; }
  assert.instance(error, pax.PaxError, String(error));
  const { code, message } = error as pax.PaxError;
  assert.ok(code === "shape" || code === "memory", `${code}: ${message}`);
}

for (const [name, f] of Object.entries(cases)) {
  test(name, () => {
    tooLarge(f);
    tooLarge(() => pax.jit((x: T) => f().add(x))(one));
    tooLarge(() => pax.grad((x: T) => f().mul(x).sum())(one));
    assert.is(np.ones([3]).sum().item(), 3);
  });
}
test("what is large and never made costs nothing", () => {
  // One element, repeated, and rows of nothing.
  const large = np.broadcastTo(one, [2 ** 12, 2 ** 12]);
  assert.is(large.get(np.slice(0, 2 ** 12, 2 ** 40), np.slice(0, 3)).sum().item(), 3);
  assert.is(pax.jit((x: T) => x.get(np.slice(0, 2 ** 12, 2 ** 40)).add(1).sum())(large).item(), 2 ** 13);
  assert.equal(pax.grad((x: T) => x.get(np.slice(0, 4, 2 ** 40)).sum())(np.ones([4])).toArray(), [1, 0, 0, 0]);
  assert.equal(np.zeros([2 ** 20, 0]).sum(0).shape, [0]);
});
test("work is counted beyond 32 bits", () => {
  const a = np.ones([1700, 1700]);
  assert.is(a.matmul(a).get(0, 0).item(), 1700);
  assert.is(pax.jit((a: T) => a.matmul(a).mul(2))(a).get(0, 0).item(), 3400);
  const long = np.broadcastTo(one, [2 ** 22]);
  assert.is(pax.jit((x: T) => x.matmul(x))(long).item(), 2 ** 22);
});
test.run();
