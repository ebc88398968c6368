/** The narrow waist: what a binary must offer. A negative answer is an error that `lastError` describes. */
export interface Verbs {
  /** Takes the array that numbers travel through. */
  init(scratch: Float64Array): number;
  make(bytes: Uint8Array, target: object): number;
  read(handle: number): ArrayBuffer | number;
  bind(row: number, target?: object): number;
  track(handle: number, bytes: number, target: object): number;
  free(): number;
  /** Frees the handles that nothing else holds; answers 1 for each that was. */
  donate(): number;
  beginDiff(): number;
  beginAbstract(): number;
  endDiff(): number;
  endAbstract(): number;
  cancel(depth: number): number;
  pull(tape: number, consume: number, targets: object[]): number;
  push(tape: number, targets: object[]): number;
  run(program: number, targets: object[]): number;
  batch(program: number, size: number, targets: object[]): number;
  customVjp(): number;
  programText(program: number): string | number;
  stats(): number;
  manifest(): string;
  manifestHash(): number;
  threads(count: number): number;
  /** Reads a row's parameters from the scratch and writes them back. */
  echo(row: number): number;
  panicForTest(): number;
  /** Code, row and sentence, by lines. */
  lastError(): string;
}
