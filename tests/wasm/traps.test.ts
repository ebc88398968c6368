/** What an instance does not survive is an error with the first message, and `pax.init({ restart: true })` starts again. */
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
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

test("what an instance made is unknown to the next, though handles come round", async () => {
  await pax.init({ wasm: builds.at(-1)!.path, restart: true });
  // A slot's generation passes those that the next instance begins with.
  for (let i = 0; i < 32_800; i++) np.array([i]).dispose();
  const old = Array.from({ length: 100 }, (_, i) => np.array([i]));
  const [, pull] = pax.vjp((x: T) => x.mul(x), old[3]!);
  const program = pax.makeProgram((x: T) => x.add(1))(old[3]!);
  assert.match(String(program), "add");
  await pax.init({ restart: true });
  for (let i = 0; i < 100; i++) {
    const t = np.array([-1]);
    for (const o of old) assert.is(errorOf(() => o.toArray()).code, "disposed");
    t.dispose();
  }
  const fresh = Array.from({ length: 100 }, (_, i) => np.array([1000 + i]));
  for (const t of old) {
    for (const use of [() => t.toArray(), () => t.add(1), () => double(t), () => slope(t)]) {
      const e = errorOf(use);
      assert.is(e.code, "disposed");
      assert.match(e.message, /before `pax.init` started the engine anew/);
    }
    assert.match(t.toString(), "disposed");
    t.dispose();
  }
  for (const use of [() => pull(fresh[0]!), () => String(program), () => program.plan]) assert.is(errorOf(use).code, "disposed");
  fresh.forEach((t, i) => assert.is(t.item(), 1000 + i, "disposing an old one frees no new one"));
});

test("a trap inside of pax.scope: its message is the error", async () => {
  const made: T[] = [];
  const e = errorOf(() => pax.scope(() => { made.push(np.ones([2])); verbs.panicForTest(); }));
  assert.match(e.message, /trapped: a panic on purpose/);
  assert.is(errorOf(() => made[0]!.add(1)).code, "disposed");
  await pax.init({ restart: true });
  works();
});

test("a random key, an optimizer and a module made after a restart train; state of before is refused", async () => {
  const loss = (params: pax.nn.Linear, model: pax.nn.Linear) => {
    model = model.update(params);
    return [model.forward(np.ones([4, 3])).square().mean(), model] as const;
  };
  const step = pax.jit((model: pax.nn.Linear, optimizer: pax.Optimizer) => {
    const [[value, updated], grads] = pax.valueAndGrad(loss, { hasAux: true })(model.parameters(), model);
    return [value, optimizer.step(grads, updated), optimizer] as const;
  });
  const train = (): number[] => {
    pax.seedRngKey(7);
    let [model, optimizer]: [pax.nn.Linear, pax.Optimizer] = [new nn.Linear(3, 2), null as never];
    optimizer = pax.optim.adam(model.parameters(), 0.1);
    return Array.from({ length: 5 }, () => {
      const [value, next, state] = step(model, optimizer);
      [model, optimizer] = [next, state];
      return value.item();
    });
  };
  const [model, before] = [new nn.Linear(3, 2), train()];
  const optimizer = pax.optim.adam(model.parameters(), 0.1);
  await pax.init({ restart: true });
  assert.is(errorOf(() => step(model, optimizer)).code, "disposed");
  assert.equal(train(), before);
  assert.ok(before[4]! < before[0]!);
});

test("a restart runs what ran before, whatever was asked for then", async () => {
  for (const { name, path } of builds) {
    await pax.init({ wasm: readFileSync(path), threads: 1, restart: true });
    const size = verbs.heap();
    await pax.init({ restart: true });
    assert.is(verbs.heap(), size, name);
    works();
  }
});

test("a page takes a module that a server sends with parameters of its type", async () => {
  const page = await import(pathToFileURL("dist/web/index.js").href) as typeof pax;
  const bytes = readFileSync(builds[0]!.path).toString("base64");
  for (const type of ["application/wasm;charset=utf-8", "text/plain", "application/wasm"]) {
    await page.init({ wasm: `data:${type};base64,${bytes}`, restart: true });
    assert.is(page.np.array([1, 2]).sum().item(), 3, type);
  }
});

test("calls of init at the same time get one instance", async () => {
  await Promise.all([pax.init({ restart: true }), pax.init().then(() => pax.init())]);
  const early = pax.init({ restart: true });
  let t: T | undefined;
  const others = [pax.init().then(() => { t = np.array([5]); }), pax.init()];
  await Promise.all([early, ...others]);
  assert.is(t!.item(), 5);
  const failed = pax.init({ wasm: "nowhere.wasm" });
  const after = pax.init({ restart: true });
  const e = await failed.then(() => undefined, (reason: unknown) => reason as pax.PaxError);
  assert.is(e?.code, "device");
  await after;
  works();
});

test("what is no WebAssembly of paxjs is refused, and what ran runs on", async () => {
  const kept = np.array([1, 2]);
  const empty = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
  for (const [wasm, words] of [["nowhere.wasm", /nowhere\.wasm/], [new Uint8Array([1, 2, 3]), /could not be compiled/], [empty, /not paxjs's/], [new WebAssembly.Module(empty), /not paxjs's/]] as const) {
    const e = await pax.init({ wasm }).then(() => undefined, (reason: unknown) => reason as pax.PaxError);
    assert.is(e?.code, "device", String(e));
    assert.match(e!.message, words);
  }
  assert.equal(kept.toArray(), [1, 2]);
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
