import { PaxError } from "../errors.js";

/** A transformation that is running the user's function. */
export interface Frame {
  /** The transformation's name: `grad`, `jit`. */
  readonly name: string;
  /** The time at which it began, in the ticks of `birth`. */
  readonly start: number;
  /** Where values are abstract: tensors read from modules that came from outside, with their names. */
  readonly reads: Map<object, string> | null;
  /** State that copies of modules were given inside, by attribute and class. */
  readonly written: Map<string, unknown[]>;
  readonly outer: Frame | null;
}

let ticks = 0;
let current: Frame | null = null;
let beforeEnter: () => void = () => {};

/** What has to be done before a frame begins; set once by `instance.ts`. */
export function setBeforeEnter(hook: () => void): void {
  beforeEnter = hook;
}

/** Call right before the user's function gets its arguments' copies, which have to be made inside; `leaveFrame` in `finally`. */
export function enterFrame(name: string, abstract = false): Frame {
  beforeEnter();
  current = { name, start: ++ticks, reads: current?.reads ?? (abstract ? new Map<object, string>() : null), written: new Map(), outer: current };
  return current;
}

/** Ends the innermost frame, or `frame` and everything inside it. */
export function leaveFrame(frame: Frame | null = current): void {
  if (frame === null) throw new PaxError("internal", "leaveFrame without enterFrame");
  current = frame.outer;
}

export const currentFrame = (): Frame | null => current;

/** A module's time of birth. Frames nest, so a module belongs to the running one exactly if it was born after its start. */
export const birth = (): number => ++ticks;

/** Notes that a module's state changed inside the running frame; `label` is its attribute and class. */
export function noteWritten(label: string, value: unknown): void {
  if (current === null) return;
  const values = current.written.get(label);
  if (values === undefined) current.written.set(label, [value]);
  else values.push(value);
}
