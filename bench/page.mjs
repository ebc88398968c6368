// node bench/page.mjs: the figures of the demo's page in headless Chromium, one JSON line a network. `ready_ms`: from the navigation until
// data and engine are loaded; `first_step_ms`; `images_per_s`, median of the reports; `seconds_to_95`: of training, until 95 % of the test digits.
import { withChromium } from "../scripts/chromium.mjs";
import { buildDemo, serveDemo } from "../scripts/demo.mjs";

await buildDemo();
const server = await serveDemo();
await withChromium(async (context) => {
  for (const network of ["mlp", "conv"]) {
    const page = await context.newPage();
    page.on("pageerror", (e) => console.error(String(e)));
    // The page's worker reports what is measured here.
    await page.addInitScript(() => {
      window.said = [];
      window.Worker = class extends Worker {
        constructor(...args) {
          super(...args);
          this.addEventListener("message", ({ data }) => window.said.push(data));
        }
      };
    });
    const began = performance.now();
    await page.goto(server.address);
    await page.waitForSelector("#run:enabled");
    const ready = performance.now() - began;
    const networks = () => page.evaluate(() => window.said.filter((m) => m.type === "network").length);
    if (network === "conv") {
      const before = await networks();
      await page.check("input[value=conv]");
      await page.waitForFunction((before) => window.said.filter((m) => m.type === "network").length > before, before);
    }
    await page.click("#run");
    await page.waitForFunction(() => window.said.some((m) => m.type === "tested" && m.accuracy >= 0.95), undefined, { polling: 100, timeout: 240_000 });
    const { rates, first, clock } = await page.evaluate(() => {
      const progress = window.said.filter((m) => m.type === "progress");
      return { rates: progress.map((m) => m.rate).sort((a, b) => a - b), first: progress.at(-1).first, clock: window.said.find((m) => m.type === "tested" && m.accuracy >= 0.95).clock };
    });
    console.log(JSON.stringify({ network, ready_ms: Math.round(ready), first_step_ms: Math.round(first), images_per_s: Math.round(rates[rates.length >> 1]), seconds_to_95: clock / 1000 }));
    await page.close();
  }
});
server.close();
