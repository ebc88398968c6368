// Serves folders on localhost. Pages are cross-origin isolated unless asked otherwise: only such pages have threads.
import { createServer } from "node:http";
import sirv from "sirv";

/** `folders`: path prefix to folder, the most special first. Gives the address and what closes the server. */
export async function serve(folders, { isolated = true, port = 0 } = {}) {
  const mounts = Object.entries(folders).map(([prefix, folder]) => ({ prefix, handle: sirv(folder, { dev: true, etag: true }) }));
  const server = createServer((request, response) => {
    if (isolated) {
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    }
    const path = request.url;
    const absent = () => { response.statusCode = 404; response.end(); };
    const next = mounts.filter(({ prefix }) => path.startsWith(prefix)).reduceRight((rest, { prefix, handle }) => () => {
      request.url = `/${path.slice(prefix.length)}`;
      handle(request, response, rest);
    }, absent);
    next();
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${server.address().port}/`, close: () => { server.closeAllConnections(); server.close(); } };
}
