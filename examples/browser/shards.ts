/** Fetches what `scripts/demo.mjs` laid out, and tells how far it is. */
export type Heard = (done: number, total: number) => void;
interface Listing { readonly bytes: number; readonly train: readonly string[]; readonly test: readonly string[] }
export interface Digits {
  /** A picture of 784 bytes after the other. */
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

/** A picture and its label. */
const ROW = 785;

async function get(name: string): Promise<Response> {
  const response = await fetch(new URL(`data/${name}`, import.meta.url));
  if (!response.ok) throw new Error(`data/${name} could not be fetched: the server answered ${response.status}`);
  return response;
}

/** The bytes of a file, with news of each piece. */
export async function bytesOf(name: string, arrived: (bytes: number, total: number) => void): Promise<Uint8Array> {
  const response = await get(name);
  const total = Number(response.headers.get("content-length") ?? 0);
  const pieces: Uint8Array[] = [];
  const reader = response.body!.getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    pieces.push(piece.value);
    arrived(piece.value.length, total);
  }
  return joined(pieces);
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((n, piece) => n + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** A shard holds its pictures, and behind them their labels. */
function digitsOf(shards: readonly Uint8Array[]): Digits {
  const cut = shards.map((shard) => (shard.length / ROW) * (ROW - 1));
  return { images: joined(shards.map((shard, i) => shard.subarray(0, cut[i]))), labels: joined(shards.map((shard, i) => shard.subarray(cut[i]))) };
}

export async function loadDigits(heard: Heard): Promise<{ readonly train: Digits; readonly test: Digits }> {
  const listing = await (await get("shards.json")).json() as Listing;
  let done = 0;
  const load = (names: readonly string[]): Promise<Uint8Array[]> => Promise.all(names.map((name) => bytesOf(name, (bytes) => heard(done += bytes, listing.bytes))));
  const [train, test] = await Promise.all([load(listing.train), load(listing.test)]);
  return { train: digitsOf(train), test: digitsOf(test) };
}
