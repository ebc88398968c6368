/** What an instance does not survive is an error with the first message, and `pax.init({ restart: true })` starts again. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { verbs } from "paxjs/internal";
import { builds } from "./builds.js";

const { np, nn } = pax;
type T = pax.Tensor;
const test = suite("traps");

/** The error of `f`. */
function errorOf(f: () => unknown): pax.PaxError {
  try {
    f();
  } catch (e) {
    if (e instanceof pax.PaxError) return e;
    throw e;
  }
  throw new Error("nothing was thrown");
}

const double = pax.jit((x: T) => x.mul(2));
const slope = (x: T): number => pax.grad((v: T) => v.square().sum())(x).sum().item();

/** The engine works: eager, compiled, derivatives, modules. */
function works(): void {
  assert.equal(double(np.array([1, 2])).toArray(), [2, 4]);
  assert.is(slope(np.array([1, 2])), 6);
  pax.seedRngKey(1);
  assert.equal(new nn.Linear(3, 2).forward(np.ones([4, 3])).shape, [4, 2]);
}

test.before(async () => {
  await pax.init({ wasm: builds.at(-1)!.path });
  works();
});

test("a panic: its message, then that the instance is gone, then a new one", async () => {
  const [old, model] = [np.array([1, 2, 3]), new nn.Linear(2, 2)];
  const first = errorOf(() => verbs.panicForTest());
  assert.is(first.code, "poisoned");
  assert.match(first.message, "a panic on purpose");
  assert.match(first.message, "restart");
  for (const later of [() => old.add(1), () => old.toArray(), () => double(old), () => slope(old), () => np.zeros([2])]) {
    const e = errorOf(later);
    assert.is(e.code, "poisoned");
    assert.match(e.message, /is gone since it trapped \(a panic on purpose\)/);
  }
  await pax.init();
  assert.is(errorOf(() => np.zeros([2])).code, "poisoned", "only `restart` starts again");
  await pax.init({ restart: true });
  works();
  // As many new tensors as there were old handles: none of them is taken for an old one.
  const fresh = Array.from({ length: 1000 }, (_, i) => np.array([i]));
  for (const t of [old, model.W]) assert.is(errorOf(() => t.toArray()).code, "disposed");
  assert.is(fresh[999]!.item(), 999);
});

test("a trap inside of transformations leaves none of them open", async () => {
  const e = errorOf(() => pax.grad((x: T) => {
    pax.jit((y: T) => { verbs.panicForTest(); return y; })(x);
    return x;
  })(1));
  assert.match(e.message, "a panic on purpose");
  await pax.init({ restart: true });
  works();
});

test("more memory than there can be", async () => {
  const e = errorOf(() => Array.from({ length: 6 }, () => np.arange(1 << 28)));
  assert.ok(e.code === "memory" || e.code === "poisoned", `${e.code}: ${e.message}`);
  if (e.code === "poisoned") await pax.init({ restart: true });
  works();
});

test("a stack that overflows", async () => {
  let x = np.array([1]);
  const dive = (): void => { x = np.tanh(x); dive(); };
  // It ends in JavaScript or in the instance, whichever needs the last bytes.
  assert.throws(dive, (e: unknown) => e instanceof RangeError || (e instanceof pax.PaxError && e.code === "poisoned"));
  await pax.init({ restart: true });
  works();
});

test.run();
