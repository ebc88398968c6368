/** Creation, shapes, joining, padding and diagonals of `pax.np`, and that methods give what functions give. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "paxjs";
import { checkGradient } from "../support/gradient.js";
import { gives, throws } from "../support/near.js";

type T = pax.Tensor;
const { np } = pax;
const test = suite("np shapes");
const m = np.arange(6).reshape(2, 3);

test("creation", () => {
  gives(np.zeros(2), [0, 0], "zeros");
  gives(np.ones([1, 2], { dtype: "int32" }), [[1, 1]], "ones");
  gives(np.full([2, 2], np.array([1, 2])), [[1, 2], [1, 2]], "full broadcasts");
  assert.equal([np.full([1], true).dtype, np.full([1], 1n).dtype, np.full([1], 1).dtype, np.zerosLike(m).dtype, np.onesLike(m, { dtype: "float16" }).dtype], ["bool", "int64", "float32", "int32", "float16"]);
  gives(np.fullLike(m, 7), [[7, 7, 7], [7, 7, 7]], "fullLike");
  assert.is(np.fullLike(m, 7).dtype, "int32");
  gives(np.arange(5, 0, -2), [5, 3, 1], "arange downwards");
  gives(np.arange(0, 1, 0.25), [0, 0.25, 0.5, 0.75], "arange of fractions");
  assert.equal(np.arange(3, 1).shape, [0]);
  gives(np.linspace(0, 1, 5), [0, 0.25, 0.5, 0.75, 1], "linspace");
  gives(np.linspace(0, 1, 4, { endpoint: false }), [0, 0.25, 0.5, 0.75], "linspace without its end");
  gives(np.linspace(-1, 5, 4, { dtype: "int32" }), [-1, 1, 3, 5], "linspace of integers");
  gives(np.linspace(0, -5, 3, { dtype: "int32" }), [0, -3, -5], "integers round down");
  gives(np.linspace(np.array([0, 10]), 20, 3), [[0, 10], [10, 15], [20, 20]], "linspace of tensors");
  gives(np.linspace(2, 3, 1), [2], "linspace of one");
  gives(np.linspace(0, 299, 300, { dtype: "bfloat16" }).get([257, 299]), [256, 300], "linspace counts in float32");
  gives(np.logspace(0, 3, 4), [1, 10, 100, 1000], "logspace");
  gives(np.logspace(0, 3, 3, { base: 2, endpoint: false }), [1, 2, 4], "logspace with a base");
  gives(np.geomspace(1, 1000, 4), [1, 10, 100, 1000], "geomspace");
  gives(np.geomspace(-1, -16, 4, { endpoint: false }), [-1, -2, -4, -8], "geomspace of negative numbers");
  throws("value", "arange", /no end/, () => np.arange(0, 1, 0));
  throws("value", "geomspace", /neither may be 0/, () => np.geomspace(0, 1));
  throws("value", "zeros", /not negative/, () => np.zeros([-1]));
  throws("trace", "zeros", /staticArgnums/, () => pax.jit((a: T) => np.zeros([a as never]))(1));
});
test("matrices and diagonals", () => {
  gives(np.eye(2, 3, { k: 1 }), [[0, 1, 0], [0, 0, 1]], "eye");
  gives(np.identity(2, { dtype: "int32" }), [[1, 0], [0, 1]], "identity");
  gives(np.tri(2, 3, -1), [[0, 0, 0], [1, 0, 0]], "tri");
  gives(np.tril(m), [[0, 0, 0], [3, 4, 0]], "tril");
  gives(np.triu(m, 1), [[0, 1, 2], [0, 0, 5]], "triu");
  gives(np.diagonal(m), [0, 4], "diagonal");
  gives(np.diagonal(m, 1), [1, 5], "diagonal above");
  gives(np.diagonal(m, -1), [3], "diagonal below");
  assert.equal(np.diagonal(m, 5).shape, [0]);
  gives(np.diagonal(np.arange(8).reshape(2, 2, 2), 0, 2, 0), [[0, 5], [2, 7]], "diagonal of named axes");
  gives(np.diag(np.array([1, 2]), -1), [[0, 0, 0], [1, 0, 0], [0, 2, 0]], "diag makes a matrix");
  gives(np.diag(m, 1), [1, 5], "diag of a matrix");
  assert.equal(np.diag(np.zeros([0]), 2).shape, [2, 2]);
  gives(np.trace(m), 4, "trace");
  gives(np.trace(np.arange(8).reshape(2, 2, 2), 0, 1, 2), [3, 11], "trace of named axes");
  checkGradient((x) => np.diag(x, 1), [1, 2], "diag");
  checkGradient((x) => np.diagonal(x, 1), [[1, 2, 3], [4, 5, 6]], "diagonal");
  throws("shape", "tril", /two axes/, () => np.tril(np.ones([2])));
  throws("shape", "diag", /one or two/, () => np.diag(np.ones([1, 1, 1])));
});
test("shapes", () => {
  assert.equal(np.reshape(m, [-1, 2]).shape, [3, 2]);
  assert.equal(np.reshape(m, 6).shape, [6]);
  throws("shape", "reshape", /\[4, -1\]/, () => np.reshape(m, [4, -1]));
  throws("shape", "reshape", /\[-1, -1\]/, () => np.reshape(m, [-1, -1]));
  const t = np.zeros([2, 3, 4]);
  assert.equal(np.transpose(t).shape, [4, 3, 2]);
  assert.equal(np.transpose(t, [1, 0, -1]).shape, [3, 2, 4]);
  assert.equal([t.transpose(2, 0, 1).shape, t.transpose([2, 0, 1]).shape, t.T.shape, t.mT.shape], [[4, 2, 3], [4, 2, 3], [4, 3, 2], [2, 4, 3]]);
  assert.equal([t.reshape(4, 6).shape, t.reshape([4, -1]).shape, t.reshape(-1).shape], [[4, 6], [4, 6], [24]]);
  assert.equal(np.moveaxis(t, 0, -1).shape, [3, 4, 2]);
  assert.equal(np.moveaxis(t, [0, 1], [-1, 0]).shape, [3, 4, 2]);
  assert.equal(np.swapaxes(t, 0, -1).shape, [4, 3, 2]);
  assert.equal(np.squeeze(np.zeros([1, 2, 1])).shape, [2]);
  assert.equal(np.squeeze(np.zeros([1, 2, 1]), -1).shape, [1, 2]);
  assert.equal(np.expandDims(m, [0, -1]).shape, [1, 2, 3, 1]);
  assert.equal([np.atleast1d(1).shape, np.atleast2d(np.ones([3])).shape, np.atleast2d(t).shape], [[1], [1, 3], [2, 3, 4]]);
  gives(np.broadcastTo(np.array([[1], [2]]), [2, 2, 2]), [[[1, 1], [2, 2]], [[1, 1], [2, 2]]], "broadcastTo");
  assert.equal(np.broadcastTo(np.zeros([1, 0]), [3, 0]).shape, [3, 0]);
  assert.equal(np.broadcastShapes([2, 1], [3], []), [2, 3]);
  assert.equal(np.broadcastArrays(np.ones([2, 1]), np.ones([3]), 1).map((x) => x.shape), [[2, 3], [2, 3], [2, 3]]);
  gives(np.meshgrid(np.arange(2), np.arange(3))[0]!, [[0, 1], [0, 1], [0, 1]], "meshgrid xy");
  gives(np.meshgrid(np.arange(2), np.arange(3), { indexing: "ij" })[1]!, [[0, 1, 2], [0, 1, 2]], "meshgrid ij");
  throws("shape", "squeeze", /axis 0 .* is not 1/, () => np.squeeze(m, 0));
  throws("shape", "moveaxis", /one place/, () => np.moveaxis(t, [0, 0], [1, 2]));
  throws("shape", "broadcastTo", /\[2, 3\].*\[2\]/, () => np.broadcastTo(m, [2]));
  throws("shape", "broadcastArrays", /\[2\] and \[3\]/, () => np.broadcastArrays(np.ones([2]), np.ones([3])));
  throws("shape", "matrixTranspose", /two axes/, () => np.ones([2]).mT);
});
test("turning", () => {
  gives(np.flip(m), [[5, 4, 3], [2, 1, 0]], "flip");
  gives(np.fliplr(m), [[2, 1, 0], [5, 4, 3]], "fliplr");
  gives(np.flipud(m), [[3, 4, 5], [0, 1, 2]], "flipud");
  gives(np.rot90(m), [[2, 5], [1, 4], [0, 3]], "rot90");
  gives(np.rot90(m, 2), [[5, 4, 3], [2, 1, 0]], "rot90 twice");
  gives(np.rot90(m, -1), [[3, 0], [4, 1], [5, 2]], "rot90 back");
  gives(np.rot90(m, 1, [1, 0]), [[3, 0], [4, 1], [5, 2]], "rot90 in the other plane");
  gives(np.roll(m, 1), [[5, 0, 1], [2, 3, 4]], "roll of the raveled tensor");
  gives(np.roll(m, -1, 1), [[1, 2, 0], [4, 5, 3]], "roll along an axis");
  gives(np.roll(m, [1, 4], [0, 1]), [[5, 3, 4], [2, 0, 1]], "roll along two");
  assert.equal(np.roll(np.zeros([0]), 3).shape, [0]);
  checkGradient((x) => np.roll(x, 2, -1), [[1, 2, 3], [4, 5, 6]], "roll");
  checkGradient((x) => np.rot90(x), [[1, 2, 3], [4, 5, 6]], "rot90");
  throws("shape", "roll", /3 shifts/, () => np.roll(m, [1, 2, 3], [0, 1]));
});
test("joining and splitting", () => {
  gives(np.concatenate([m, m], 1).get(0), [0, 1, 2, 0, 1, 2], "concatenate");
  gives(np.concatenate([m, np.array([9])], null), [0, 1, 2, 3, 4, 5, 9], "concatenate raveled");
  gives(np.stack([m.get(0), m.get(1)], -1), [[0, 3], [1, 4], [2, 5]], "stack");
  gives(np.stack([1, np.array(2)]), [1, 2], "stack of scalars");
  gives(np.vstack([np.array([1, 2]), np.array([[3, 4]])]), [[1, 2], [3, 4]], "vstack");
  gives(np.hstack([np.array([1]), 2]), [1, 2], "hstack of one axis");
  gives(np.hstack([m, m.get(np.slice(), [0])]), [[0, 1, 2, 0], [3, 4, 5, 3]], "hstack");
  gives(np.dstack([np.array([1, 2]), np.array([3, 4])]), [[[1, 3], [2, 4]]], "dstack");
  gives(np.append(m, m.get(0)), [0, 1, 2, 3, 4, 5, 0, 1, 2], "append");
  const parts = (xs: T[]): unknown[] => xs.map((x) => x.toArray());
  const eight = np.arange(8);
  assert.equal(parts(np.split(eight, 4)), [[0, 1], [2, 3], [4, 5], [6, 7]]);
  assert.equal(parts(np.split(eight, [3, 5, 99])), [[0, 1, 2], [3, 4], [5, 6, 7], []]);
  assert.equal(parts(np.arraySplit(eight, 3)), [[0, 1, 2], [3, 4, 5], [6, 7]]);
  assert.equal(parts(np.unstack(m, 1)), [[0, 3], [1, 4], [2, 5]]);
  gives(np.repeat(m, 2), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], "repeat of the raveled tensor");
  gives(np.repeat(m, 2, 0), [[0, 1, 2], [0, 1, 2], [3, 4, 5], [3, 4, 5]], "repeat along an axis");
  gives(np.repeat(m, [0, 2, 1], -1), [[1, 1, 2], [4, 4, 5]], "repeat with a number each");
  gives(np.tile(np.array([1, 2]), [2, 2]), [[1, 2, 1, 2], [1, 2, 1, 2]], "tile");
  for (const repeats of [2, [0, 2, 1]]) checkGradient((x) => np.repeat(x, repeats, 1), [[1, 2, 3], [4, 5, 6]], `repeat ${repeats}`);
  checkGradient((x) => np.tile(x, [2, 2]), [1, 2], "tile");
  checkGradient((x) => np.arraySplit(x, 2)[0]!, [1, 2, 3], "arraySplit");
  throws("shape", "split", /3 does not divide into 2/, () => np.split(m, 2, 1));
  throws("shape", "stack", /\[2, 3\] and \[3\]/, () => np.stack([m, m.get(0)]));
  throws("value", "stack", /at least one/, () => np.stack([]));
  throws("shape", "concatenate", /axis 2/, () => np.concatenate([m, m], 2));
  throws("shape", "concatenate", /scalars/, () => np.concatenate([1, 2]));
  throws("shape", "repeat", /2 numbers/, () => np.repeat(m, [1, 2], 1));
});
test("padding", () => {
  const v = np.array([1, 2, 3]);
  gives(np.pad(v, [1, 2]), [0, 1, 2, 3, 0, 0], "constant");
  gives(np.pad(v, 1, "constant", { constantValues: 9 }), [9, 1, 2, 3, 9], "constantValues");
  gives(np.pad(v, 2, "edge"), [1, 1, 1, 2, 3, 3, 3], "edge");
  gives(np.pad(v, [5, 3], "reflect"), [2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2], "reflect");
  gives(np.pad(v, [4, 3], "symmetric"), [3, 3, 2, 1, 1, 2, 3, 3, 2, 1], "symmetric");
  gives(np.pad(v, [4, 2], "wrap"), [3, 1, 2, 3, 1, 2, 3, 1, 2], "wrap");
  gives(np.pad(np.array([7]), 2, "reflect"), [7, 7, 7, 7, 7], "reflect of one element");
  gives(np.pad(m, [[1, 0], [0, 1]], "edge"), [[0, 1, 2, 2], [0, 1, 2, 2], [3, 4, 5, 5]], "a pair per axis");
  for (const mode of ["constant", "edge", "reflect", "symmetric", "wrap"] as const) checkGradient((x) => np.pad(x, [[1, 0], [2, 3]], mode), [[1, 2], [3, 4]], `pad ${mode}`);
  throws("value", "pad", /not be negative/, () => np.pad(v, -1));
  throws("shape", "pad", /\[2, 3\]/, () => np.pad(m, [[1, 1], [1, 1], [1, 1]]));
  throws("value", "pad", /empty/, () => np.pad(np.zeros([0]), 1, "edge"));
  throws("value", "pad", /"nope"/, () => np.pad(v, 1, "nope" as never));
});

test("every method gives what the function gives", () => {
  const square = np.array([[0.2, 0.7, 0.4], [0.9, 0.1, 0.6], [0.5, 0.8, 0.3]]);
  const whole = np.arange(9).reshape(3, 3);
  const second = square.add(0.05).T;
  const given: Record<string, readonly unknown[]> = {
    allclose: [square], append: [second, 1], arctan2: [second], arraySplit: [2], arrayEqual: [square], average: [1, { weights: np.array([1, 2, 3]) }], broadcastTo: [[2, 3, 3]],
    clip: [0.3, 0.6], copysign: [second.neg()], cross: [second, 0], cumsum: [1], diff: [1, 0], dot: [second], equal: [square], expandDims: [1], floorDivide: [second], fmax: [second], fmin: [second],
    greater: [second], greaterEqual: [0.5], hypot: [second], inner: [second], isclose: [second], kron: [second], less: [second], lessEqual: [0.5], logaddexp: [second], logicalAnd: [second],
    logicalOr: [second], logicalXor: [second], matmul: [second], maximum: [second], minimum: [0.5], moveaxis: [0, 1], norm: [1, -1], notEqual: [0.7], outer: [second], pad: [1, "wrap"], pow: [2],
    add: [second], sub: [1], mul: [second], div: [2], remainder: [0.25], repeat: [2, 1], roll: [1, 0], round: [1], split: [3, 1], std: [0, { ddof: 1 }], sum: [-1, { keepdims: true }], swapaxes: [0, 1],
    take: [[0, 2], 1], takeAlongAxis: [whole.remainder(3), 1], tensordot: [second, 1], tile: [[2, 1]], tril: [-1], triu: [1], vdot: [second], sort: [0, { descending: true }], squeeze: [], argmax: [0],
  };
  const integers: Record<string, readonly unknown[]> = { bitwiseAnd: [3], bitwiseOr: [whole.T], bitwiseXor: [5], bitwiseNot: [], leftShift: [2], rightShift: [1] };
  const plain = (y: unknown): unknown => (y instanceof pax.Tensor ? [y.dtype, y.shape, y.toArray()] : Array.isArray(y) ? y.map(plain) : y);
  const methods = Object.getOwnPropertyNames(pax.Tensor.prototype).filter((name) => Object.hasOwn(np, name) && name !== "reshape" && name !== "transpose");
  assert.ok(methods.length > 120, `${methods.length} methods`);
  for (const name of Object.keys({ ...given, ...integers })) assert.ok(methods.includes(name), `${name} is no method`);
  for (const name of methods) {
    const x = name in integers ? whole : name === "searchsorted" ? np.arange(4) : name === "arccosh" ? square.add(1) : square;
    const args = name === "searchsorted" ? [1.5] : (given[name] ?? integers[name] ?? []);
    const method = Reflect.get(x, name) as (...rest: readonly unknown[]) => unknown;
    const run = Reflect.get(np, name) as (...all: readonly unknown[]) => unknown;
    const expected = plain(run(x, ...args));
    assert.not.match(JSON.stringify(expected), /null/, `${name} gives NaN: this test would not see a difference`);
    assert.equal(plain(method.apply(x, [...args])), expected, name);
  }
  gives(m.astype("float64"), [[0, 1, 2], [3, 4, 5]], "astype");
});

test.run();
