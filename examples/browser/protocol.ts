/** What a view and its worker tell each other: one union each way, for each view. */
import type { Config } from "./network.js";

/** Common to both views. */
type Control =
  | { readonly type: "start" }
  | { readonly type: "pause" }
  | { readonly type: "step" }
  | { readonly type: "rate"; readonly learningRate: number };
type Trouble = { readonly type: "failed"; readonly message: string };
/** Bytes of `total` that have arrived. */
type Loading = { readonly type: "loading"; readonly done: number; readonly total: number };

export type ToDigits =
  | Control
  /** Starts anew with this network. */
  | { readonly type: "reset"; readonly config: Config; readonly learningRate: number }
  /** Pixels uint8[784] to classify, from now on after each report; null: none. */
  | { readonly type: "draw"; readonly pixels: Uint8Array | null }
  | { readonly type: "save" }
  | { readonly type: "load"; readonly bytes: Uint8Array };

export type FromDigits =
  | Loading
  | Trouble
  /** Engine and data are there; the test digits are for the eye. */
  | { readonly type: "ready"; readonly images: Uint8Array; readonly labels: Uint8Array }
  /** A network that begins, fresh or from a checkpoint. */
  | { readonly type: "network"; readonly config: Config; readonly learningRate: number; readonly parameters: number; readonly steps: number }
  /** Means since the last report; `first` is the time of the network's first step in the page. */
  | { readonly type: "progress"; readonly steps: number; readonly epochs: number; readonly loss: number; readonly accuracy: number; readonly rate: number; readonly bytes: number; readonly first: number }
  /** After a pass over the test digits; `clock`: milliseconds of training so far. */
  | { readonly type: "tested"; readonly steps: number; readonly accuracy: number; readonly guesses: Uint8Array; readonly clock: number }
  | { readonly type: "probabilities"; readonly values: readonly number[] | null }
  | { readonly type: "checkpoint"; readonly bytes: Uint8Array };

export type ToText =
  | Control
  | { readonly type: "reset"; readonly learningRate: number }
  | { readonly type: "temperature"; readonly value: number }
  /** Writes without training. */
  | { readonly type: "write" };

export type FromText =
  | Loading
  | Trouble
  | { readonly type: "ready"; readonly characters: number; readonly alphabet: number }
  | { readonly type: "network"; readonly parameters: number }
  | { readonly type: "progress"; readonly steps: number; readonly loss: number; readonly rate: number; readonly bytes: number; readonly first: number }
  /** Characters that the network has just written; `fresh` if a new piece begins with them. */
  | { readonly type: "typed"; readonly text: string; readonly fresh: boolean; readonly steps: number; readonly loss: number };
