/** The narrow waist: what a binary must offer. A negative answer is an error that `lastError` describes. */
export interface Verbs {
  readonly binary: "native" | "wasm";
  /** Bytes of WebAssembly's linear memory; 0 natively. */
  heap(): number;
  /** A turn of the event loop, where one is due: only then the collector's news of dead tensors arrive. */
  turn(): Promise<void> | undefined;
  /** Frees what was dropped, where that is due. Before the objects of a call are made: V8 would keep them for long. */
  tidy(): void;
  /** The array that numbers travel through, with room for `n` of them and what it held; where memory moves, `moved` is told the new one. */
  room(n: number, moved: (scratch: Float64Array) => void): Float64Array;
  make(bytes: Uint8Array, target: object): number;
  read(handle: number): ArrayBuffer | number;
  /** Writes the value of a tensor of one element, which is not int64. */
  item(handle: number): number;
  bind(row: number, target?: object): number;
  track(handle: number, bytes: number, target: object): number;
  free(): number;
  beginDiff(): number;
  beginAbstract(): number;
  endDiff(): number;
  endAbstract(): number;
  cancel(depth: number): number;
  /** Targets are the objects to track, or one array of them. */
  pull(tape: number, consume: number, ...targets: object[]): number;
  push(tape: number, ...targets: object[]): number;
  /** Donated inputs have negative handles. */
  run(program: number, ...targets: object[]): number;
  batch(program: number, size: number, ...targets: object[]): number;
  customVjp(): number;
  programText(program: number): string | number;
  planText(program: number): string | number;
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
