// What the suites use of Node, in a worker: files of the checkout that the server has, and the collector.
export const join = (...parts) => parts.join("/").replace(/\/+/g, "/");
export function readFileSync(path, encoding) {
  const request = new XMLHttpRequest();
  request.open("GET", path, false);
  request.responseType = encoding === undefined ? "arraybuffer" : "text";
  request.send();
  if (request.status !== 200) throw new Error(`${path}: the server answered ${request.status}`);
  return encoding === undefined ? new Uint8Array(request.response) : request.response;
}
/** Chromium is started with its collector exposed. */
export const setFlagsFromString = () => {};
export const runInNewContext = (name) => globalThis[name];
const none = (name) => () => { throw new Error(`${name}: there are no files and processes in a page`); };
export const [
  chmodSync, lstatSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync, existsSync, tmpdir, execFileSync, fileURLToPath,
] = [
  "chmodSync", "lstatSync", "mkdtempSync", "readdirSync", "rmSync", "statSync", "symlinkSync", "writeFileSync", "existsSync", "tmpdir", "execFileSync", "fileURLToPath",
].map(none);
