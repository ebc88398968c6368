/** What went wrong, as a stable word: tests and callers match this, never the sentence. */
export type ErrorCode =
  | "shape" | "dtype" | "value" | "tree" | "trace" | "device" | "disposed" | "memory" | "io" | "poisoned" | "internal";

export interface ErrorDetails {
  /** The operation or transformation that failed. */
  readonly op?: string;
  /** Where in a tree, as `modules[2].W`. */
  readonly path?: string;
  readonly cause?: unknown;
}

/** The one error class of paxjs. */
export class PaxError extends Error {
  readonly code: ErrorCode;
  readonly op: string | undefined;
  readonly path: string | undefined;

  constructor(code: ErrorCode, message: string, { op, path, cause }: ErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.op = op;
    this.path = path;
  }
}
// On the prototype, so that it is the same after minifying and does not show as a field.
Object.defineProperty(PaxError.prototype, "name", { value: "PaxError", configurable: true, writable: true });

/** An error that names its op, and begins with it. */
export const opError = (code: ErrorCode, op: string | undefined, sentence: string, details?: ErrorDetails): PaxError =>
  new PaxError(code, op === undefined ? sentence : `${op}: ${sentence}`, { ...details, op });

/** A shape, or axes, as errors print them. */
export const shown = (shape: readonly unknown[]): string => `[${shape.join(", ")}]`;
