/** What a user gives to a transformation: a function, and numbers of its arguments. */
import { opError } from "../errors.js";
import { className, isModule } from "../module/instance.js";
import { showStatic } from "../tree/statics.js";

/** Demands a function. */
export function assertFunction(op: string, fn: unknown): asserts fn is (...args: readonly unknown[]) => unknown {
  if (typeof fn !== "function") throw opError("value", op, `it takes a function, not ${isModule(fn) ? `a ${className(fn)}: pass (m, x) => m.forward(x)` : showStatic(fn)}`);
}

/** The places of arguments among `count`, of numbers that count from the end if they are negative. None may be in `named`, which gets them. */
export function argumentNumbers(op: string, option: string, given: readonly number[], count: number, named?: number[]): number[] {
  return given.map((i) => {
    const at = !Number.isInteger(i) ? -1 : i < 0 ? i + count : i;
    if (at < 0 || at >= count) throw opError("value", op, `${option} names argument ${showStatic(i)}, but there are ${count}: negative numbers count from the end`);
    if (named?.includes(at)) throw opError("value", op, `${option} names argument ${i} again`);
    named?.push(at);
    return at;
  });
}
