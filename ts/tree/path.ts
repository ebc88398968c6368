/** A key of a `Map`, which may be anything. */
export class MapKey {
  constructor(readonly key: unknown) {}
}
export type Step = string | number | symbol | MapKey;

const identifier = /^[A-Za-z_$][\w$]*$/;

/** `modules[2].W`, `params["a/b"].w`; the empty path is the root. */
export function formatPath(steps: readonly Step[]): string {
  // A path that is very deep is useless whole: its ends say enough.
  if (steps.length > 40) return `${formatPath(steps.slice(0, 12))} … ${formatPath(steps.slice(-4))}`;
  let text = "";
  for (const step of steps) {
    if (typeof step === "number") text += `[${step}]`;
    else if (typeof step === "symbol") text += `[${step.toString()}]`;
    else if (typeof step === "string") text += identifier.test(step) ? (text === "" ? step : `.${step}`) : `[${JSON.stringify(step)}]`;
    else text += `[${typeof step.key === "string" ? JSON.stringify(step.key) : String(step.key)}]`;
  }
  return text;
}

/** A path as a part of a sentence. */
export const quotePath = (path: string): string => (path === "" ? "the root" : `\`${path}\``);
