/** Every way in which tensors live and die, checked by value, while the collector is made to run at bad moments: `node --expose-gc stress-loop.js [rounds]`. */
import * as pax from "paxjs";
import { stats } from "paxjs/internal";

const { np } = pax;
type T = pax.Tensor;

export interface Stressed { readonly version: string; readonly most: number; readonly left: number }

function collect(): void {
  if (gc === undefined) throw new Error("run with --expose-gc");
  gc();
}

function is(what: string, actual: T, expected: readonly number[]): void {
  const found = Array.from(actual.dataSync() as ArrayLike<number>);
  if (found.length !== expected.length || found.some((x, i) => x !== expected[i])) throw new Error(`${what} is [${found}], expected [${expected}]`);
}

class Scale extends pax.Module {
  w = pax.parameter(np.array([1, 2]));
  count = pax.state(np.array(0));
  forward(x: T): T {
    this.count = this.count.add(1);
    return this.w.mul(x);
  }
}

const double = pax.jit((x: T) => {
  collect();
  return x.add(x);
});
const consume = pax.jit((x: T) => x.mul(3), { donateArgnums: 0 });
const cube = (x: T): T => {
  const square = x.mul(x);
  collect();
  return square.mul(x);
};

/** One round; `kept` holds pull-backs of earlier ones. */
function round(i: number, kept: { readonly at: number; readonly pull: (ct: T) => readonly T[] }[], model: Scale): Scale {
  const x = np.array([i, i + 1]);
  is("grad", pax.grad((a: T) => cube(a).sum())(x), [3 * i * i, 3 * (i + 1) ** 2]);
  is("vmap of grad of grad", pax.vmap(pax.grad(pax.grad(cube)))(x), [6 * i, 6 * i + 6]);
  is("jit", double(x), [2 * i, 2 * i + 2]);
  is("grad of jit", pax.grad((a: T) => double(a).mul(x).sum())(x), [2 * i, 2 * i + 2]);
  is("donated", consume(x.add(1)), [3 * i + 3, 3 * i + 6]);
  const [, pull] = pax.vjp((a: T) => a.mul(x), x);
  kept.push({ at: i, pull: pull as (ct: T) => readonly T[] });
  const old = kept.length > 8 ? kept.shift()! : kept[0]!;
  is("a pull-back kept", old.pull(np.array([1, 10]))[0]!, [old.at, 10 * old.at + 10]);
  is("scope", pax.scope(() => x.mul(2).add(x.mul(3))), [5 * i, 5 * i + 5]);
  const gone = x.mul(7);
  gone.dispose();
  try {
    pax.grad((a: T) => {
      a.mul(a);
      collect();
      throw new Error("on purpose");
    })(x);
  } catch (e) {
    if ((e as Error).message !== "on purpose") throw e;
  }
  const [grads, next] = pax.grad((p: Scale, m: Scale) => {
    m = m.update(p);
    return [m.forward(x).sum(), m.count] as const;
  }, { hasAux: true })(model.parameters(), model);
  is("a module's gradient", grads.w, [i, i + 1]);
  is("a module's state", next, [i + 1]);
  return model.replace({ count: next });
}

function all(rounds: number): number {
  let model = new Scale();
  let most = 0;
  const kept: { at: number; pull: (ct: T) => readonly T[] }[] = [];
  for (let i = 0; i < rounds; i++) {
    model = round(i, kept, model);
    most = Math.max(most, stats().handles);
  }
  return most;
}

const rounds = Number(process.argv[2] ?? 40);
all(2);
collect();
const before = stats().handles;
const most = all(rounds);
collect();
console.log(JSON.stringify({ version: process.version, most: most - before, left: stats().handles - before } satisfies Stressed));
