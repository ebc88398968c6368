/** A function of a namespace, looked up by name when the test runs: a missing one fails its own test only. */
export function lookUp<R>(namespace: object, name: string): (...args: readonly unknown[]) => R {
  return (...args) => {
    const f: unknown = Reflect.get(namespace, name);
    if (typeof f !== "function") throw new Error(`${name} is missing`);
    return Reflect.apply(f, undefined, args) as R;
  };
}
