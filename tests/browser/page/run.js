// Runs one suite, in a worker or on the page's thread, and gives what uvu printed, the count of assertions, and which binaries were fetched.
export async function runSuite(suite) {
  const lines = [];
  let assertions = 0;
  globalThis.process = { env: {}, cwd: () => "/" };
  globalThis.countAssertion = () => { assertions += 1; };
  const ended = new Promise((end) => {
    console.log = (...words) => {
      lines.push(words.join(" "));
      if (words.join(" ").includes("Duration:")) end();
    };
  });
  try {
    const pax = await import("/dist/web/index.js");
    await pax.init();
    await import(`/suites/${suite}.js`);
    await ended;
  } catch (e) {
    lines.push(String(e.stack ?? e));
  }
  const files = performance.getEntriesByType("resource").map((e) => e.name).filter((n) => n.endsWith(".wasm"));
  return { text: [...lines, `Assertions: ${assertions}`].join("\n"), files };
}

if (globalThis.document === undefined) onmessage = async ({ data }) => postMessage(await runSuite(data));
