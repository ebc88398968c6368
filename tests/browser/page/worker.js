// Runs one suite in a worker: what uvu prints goes to the page.
onmessage = async ({ data: { suite, start } }) => {
  globalThis.process = { env: {}, cwd: () => "/" };
  console.log = (...words) => postMessage({ line: words.join(" ") });
  try {
    const pax = await import("/dist/web/index.js");
    await pax.init(start);
    await import(`/suites/${suite}.js`);
  } catch (e) {
    postMessage({ failure: String(e.stack ?? e) });
  }
};
