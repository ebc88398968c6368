// What tests import from Node, in a page: files are fetched, and what only Node has says so when it is called.
const absent = (name) => () => { throw new Error(`${name} is not there in a page`); };

/** A file of the golden data, at once: a worker may wait for it. */
export function readFileSync(path, encoding) {
  const request = new XMLHttpRequest();
  request.open("GET", path, false);
  request.responseType = "arraybuffer";
  request.send();
  if (request.status !== 200) throw new Error(`${path}: the server answered ${request.status}`);
  const bytes = new Uint8Array(request.response);
  return encoding === undefined ? bytes : new TextDecoder().decode(bytes);
}
export const join = (...parts) => parts.join("/");
export const tmpdir = () => "/tmp";
export const setFlagsFromString = () => {};
/** Chromium is started with the collector exposed. */
export const runInNewContext = (name) => globalThis[name];

export const [execFileSync, existsSync, fileURLToPath, mkdtempSync, readdirSync, rmSync, writeFileSync, spawnSync] =
  ["execFileSync", "existsSync", "fileURLToPath", "mkdtempSync", "readdirSync", "rmSync", "writeFileSync", "spawnSync"].map(absent);
