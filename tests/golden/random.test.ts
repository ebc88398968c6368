/** Keys, bits and draws against JAX's threefry2x32 in its partitionable mode. */
import * as pax from "paxjs";
import { suite } from "uvu";
import { lookUp } from "../support/loose.js";
import { near, same } from "../support/near.js";
import { golden } from "../support/safetensors.js";

type T = pax.Tensor;
const r = (name: string) => lookUp<T>(pax.random, name);
const splits = (key: T, n?: number): T => pax.np.array((lookUp<T[]>(pax.random, "split")(key, n)).map((k) => k));

const data = golden<{ readonly case: string; readonly seed: number }>("random");
const test = suite("golden random");
const loosely = { rtol: 2e-5, atol: 2e-5 };

for (const { case: name, seed } of data.cases) {
  const key = (): T => r("key")(seed);
  const exact: Record<string, () => T> = {
    key,
    split2: () => splits(key()),
    split5: () => splits(key(), 5),
    fold_in_3: () => r("foldIn")(key(), 3),
    bits_7: () => r("bits")(key(), [7]),
    bits_3x4: () => r("bits")(key(), [3, 4]),
    uniform_3x5: () => r("uniform")(key(), [3, 5]),
    "bernoulli_0.3_32": () => r("bernoulli")(key(), 0.3, [32]),
    randint_0_10_16: () => r("randint")(key(), [16], 0, 10),
    permutation_13: () => r("permutation")(key(), 13),
    categorical_20: () => r("categorical")(key(), data.get(`${name}/logits`), -1, [20]),
  };
  const close: Record<string, () => T> = {
    uniform_m2_3: () => r("uniform")(key(), [9], { minval: -2, maxval: 3 }),
    normal_3x5: () => r("normal")(key(), [3, 5]),
    truncated_normal_64: () => r("truncatedNormal")(key(), -2, 2, [64]),
    gumbel_6: () => r("gumbel")(key(), [6]),
  };
  for (const [what, draw] of Object.entries(exact)) test(`${name}/${what}`, () => same(draw(), data.get(`${name}/${what}`), what));
  for (const [what, draw] of Object.entries(close)) test(`${name}/${what}`, () => near(draw(), data.get(`${name}/${what}`), what, loosely));
}
test.run();
