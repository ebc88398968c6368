/** Drives the demo in headless Chromium, as a person would. UPDATE_SCREENSHOTS=1 writes docs/images anew. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pax from "paxjs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { create, restore, stepsOf, trainStep } from "../../.cache/tests/examples/browser/network.js";
import { withChromium } from "../../scripts/chromium.mjs";
import { buildDemo, serveDemo } from "../../scripts/demo.mjs";

const test = suite("demo");
const WAIT = 60_000;
const folder = mkdtempSync(join(tmpdir(), "pax-demo-"));
const troubles = [];
let [page, server, closed, finish] = [];

test.before(async () => {
  await buildDemo();
  server = await serveDemo();
  const context = await new Promise((ready, failed) => {
    closed = withChromium((context) => new Promise((done) => {
      finish = done;
      ready(context);
    }), { viewport: { width: 1180, height: 900 }, colorScheme: "light", acceptDownloads: true });
    closed.catch(failed);
  });
  page = await context.newPage();
  page.setDefaultTimeout(WAIT);
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) troubles.push(message.text()); });
  page.on("pageerror", (error) => troubles.push(String(error)));
  await page.addInitScript(() => {
    window.longTasks = [];
    new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((e) => e.duration))).observe({ type: "longtask" });
  });
  await page.goto(server.address);
  await page.waitForSelector("#run:enabled");
});
test.after(async () => {
  finish?.();
  await closed;
  server.close();
  rmSync(folder, { recursive: true });
});

const text = (id) => page.textContent(`#${id}`);
const number = async (id) => Number((await text(id)).replace(/[,%]/g, ""));
/** Waits until the number that an element shows is what is wanted. */
const until = (id, test, ...args) => page.waitForFunction(`(${test})(Number(document.getElementById(${JSON.stringify(id)}).textContent.replace(/[,%]/g, "")), ${JSON.stringify(args).slice(1, -1)})`, undefined, { polling: 50 });
const atLeast = (id, least) => until(id, (x, least) => x >= least, least);
const probabilities = () => page.$$eval("#bars li > :last-child", (all) => all.map((x) => parseFloat(x.textContent)));
/** Does something, waits until the bars differ from what they were, and gives the probabilities then. */
const changed = async (act) => {
  const before = await text("bars");
  await act();
  await page.waitForFunction((before) => document.getElementById("bars").textContent !== before, before, { polling: 50 });
  return probabilities();
};
const shot = async (name, height) => {
  if (process.env.UPDATE_SCREENSHOTS !== "1") return;
  await page.setViewportSize({ width: 1000, height });
  await page.evaluate(() => scrollTo(0, 0));
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.waitForTimeout(300);
    await page.screenshot({ path: `docs/images/${name}-${colorScheme}.png` });
  }
  await page.emulateMedia({ colorScheme: "light" });
};

test("one step by the keyboard, then training by the keyboard alone: the loss falls, test digits are recognised", async () => {
  const press = async (id, key) => {
    for (let i = 0; i < 40 && await page.evaluate(() => document.activeElement.id) !== id; i++) await page.keyboard.press("Tab");
    assert.is(await page.evaluate(() => document.activeElement.id), id);
    assert.is(await page.evaluate(() => document.activeElement.matches(":focus-visible")), true);
    await page.keyboard.press(key);
  };
  await press("step", "Enter");
  await until("steps", (x) => x === 1);
  const first = await number("loss");
  assert.ok(first > 2 && first < 3, `a fresh network's loss is near ln 10, not ${first}`);
  await press("run", "Space");
  await atLeast("steps", 400);
  await atLeast("accuracy", 90);
  assert.ok(await number("loss") < 0.25 * first);
  assert.ok(await number("speed") > 0);
  assert.match(await text("status"), /^Training/);
});

test("no task of the page's own thread takes over 50 ms while it trains", async () => {
  assert.is(await text("run"), "Pause");
  // Other programs may take the processor from this one: three seconds without them are enough.
  let longest = Infinity;
  for (let i = 0; i < 6 && longest > 50; i++) {
    const [before] = [await number("steps"), await page.evaluate(() => { window.longTasks.length = 0; })];
    await page.waitForTimeout(3000);
    longest = Math.max(0, ...await page.evaluate(() => window.longTasks));
    assert.ok(await number("steps") > before);
  }
  assert.ok(longest <= 50, `a task took ${longest} ms`);
});

test("pause, step and reset", async () => {
  await page.click("#run");
  assert.is(await text("run"), "Start");
  await page.waitForFunction(() => {
    const [now, before] = [document.getElementById("steps").textContent, window.before];
    window.before = now;
    return now === before;
  }, undefined, { polling: 400 });
  const paused = await number("steps");
  await page.click("#step");
  await until("steps", (x, wanted) => x === wanted, paused + 1);
  await page.click("#reset");
  await until("steps", (x) => x === 0);
  assert.is(await text("loss"), "–");
  await until("accuracy", (x) => x > 0 && x < 40);
});

test("a change of the layers starts anew; sizes that are none are refused", async () => {
  const refill = async (sizes) => {
    await page.fill("#sizes", sizes);
    await page.press("#sizes", "Tab");
  };
  await page.click("#step");
  await until("steps", (x) => x === 1);
  await refill("64, 32");
  await until("steps", (x) => x === 0);
  assert.match(await text("status"), "52,650 parameters"); // 784·64 + 64 + 64·32 + 32 + 32·10 + 10
  await refill("64, none");
  assert.is(await page.getAttribute("#sizes", "aria-invalid"), "true");
  await page.check("input[value=conv]");
  await page.waitForFunction(() => /9,098 parameters/.test(document.getElementById("status").textContent)); // 9·8 + 8 + 72·16 + 16 + 784·10 + 10
  await page.click("#step");
  await until("steps", (x) => x === 1);
  await page.check("input[value=mlp]");
  await until("steps", (x) => x === 0);
});

test("a checkpoint from Node is loaded, tells its network, and comes back the same tensor by tensor", async () => {
  pax.seedRngKey(7);
  let training = create({ kind: "conv", sizes: [4, 6] }, 0.002);
  const images = pax.random.randint(pax.random.key(1), [16, 784], 0, 256).astype("uint8");
  for (let i = 0; i < 3; i++) training = trainStep(training, images, pax.np.arange(16).remainder(10))[2];
  const sent = join(folder, "sent.safetensors");
  await pax.io.saveSafetensors(sent, training);
  await page.setInputFiles("#load", sent);
  await until("steps", (x) => x === 3);
  assert.is(await page.inputValue("#sizes"), "4, 6");
  assert.is(await page.isChecked("input[value=conv]"), true);
  assert.is(await text("rate-value"), "0.002");
  const save = async (name) => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
    await download.saveAs(join(folder, name));
    return join(folder, name);
  };
  const back = await pax.io.loadSafetensors(await save("back.safetensors"));
  const wanted = await pax.io.loadSafetensors(sent);
  assert.equal([...back.keys()].sort(), [...wanted.keys()].sort());
  for (const [name, tensor] of wanted) {
    assert.is(back.get(name).dtype, tensor.dtype);
    assert.equal(back.get(name).toArray(), tensor.toArray(), name);
  }
  // A step further in the page goes on in Node.
  await page.click("#step");
  await until("steps", (x) => x === 4);
  const further = restore(readFileSync(await save("further.safetensors")));
  assert.is(stepsOf(further.training), 4);
  assert.is(stepsOf(trainStep(further.training, images, pax.np.arange(16).remainder(10))[2]), 5);
});

test("what is no checkpoint is refused in words, and the page goes on", async () => {
  const bad = join(folder, "bad.safetensors");
  writeFileSync(bad, "these are no tensors");
  await page.setInputFiles("#load", bad);
  await page.waitForFunction(() => /not a safetensors file/.test(document.getElementById("status").textContent));
  await page.click("#step");
  await until("steps", (x) => x === 5);
});

test("drawing moves the probabilities: by pointer, by keyboard, and with test digits", async () => {
  await page.check("input[value=mlp]");
  await until("steps", (x) => x === 0);
  await page.click("#run");
  await atLeast("accuracy", 93);
  await page.click("#run");
  const box = await page.locator("#pad").boundingBox();
  const at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
  const one = await changed(async () => {
    await page.mouse.move(...at(0.5, 0.2));
    await page.mouse.down();
    await page.mouse.move(...at(0.5, 0.8), { steps: 12 });
    await page.mouse.up();
  });
  assert.ok(Math.abs(one.reduce((a, b) => a + b) - 100) < 1, `${one} are probabilities`);
  await page.waitForFunction(() => document.querySelector("#bars .best > span").textContent === "1", undefined, { polling: 50 });
  await page.focus("#pad");
  for (const key of ["Shift+ArrowRight", "Space"]) {
    for (let i = 0; i < 6; i++) await page.keyboard.press("ArrowRight");
    assert.ok((await changed(() => page.keyboard.press(key))).some((p) => p > 0));
  }
  await page.keyboard.press("0");
  await page.waitForFunction(() => document.querySelector("#bars .best > span").textContent === "0", undefined, { polling: 50 });
  await page.keyboard.press("Delete");
  await page.waitForFunction(() => document.querySelector("#bars .best") === null, undefined, { polling: 50 });
  assert.ok((await probabilities()).every(Number.isNaN));
});

test("mistakes are marked in the grid, and can be seen alone", async () => {
  await page.check("#mistakes");
  const shown = await page.$$eval("#grid button:not([hidden])", (all) => all.map((x) => [x.className, x.textContent]));
  assert.ok(shown.length > 0 && shown.every(([name, text]) => name === "wrong" && /^\d ✗ \d$/.test(text) && text[0] !== text.at(-1)));
  assert.ok((await changed(() => page.click("#grid button >> nth=0"))).some((p) => p > 0));
  await page.uncheck("#mistakes");
  const marked = await page.$$eval("#grid button.wrong:not([hidden])", (all) => all.length);
  assert.match(await text("grid-status"), `${marked} of them here`);
});

test("a phone's width needs no scrolling sideways; screenshots of the digits", async () => {
  await page.click("#run");
  await atLeast("accuracy", 96);
  await page.focus("#pad");
  await page.keyboard.press("3");
  await page.evaluate(() => document.activeElement.blur());
  await page.waitForFunction(() => document.querySelector("#bars .best > span")?.textContent === "3", undefined, { polling: 50 });
  await page.click("#run");
  await shot("demo-digits", 960);
  await page.setViewportSize({ width: 360, height: 780 });
  assert.is(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  await page.click("nav a[href='#text']");
  await page.waitForSelector("#text-run:enabled");
  assert.is(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  await page.setViewportSize({ width: 1180, height: 900 });
});

test("the second view types as it learns; its temperature and its reset work", async () => {
  await page.click("#text-run");
  // What a network loses that holds all characters for equally likely.
  const untrained = Math.log(Number((await text("written-hint")).match(/(\d+) kinds/)[1]));
  await atLeast("text-steps", process.env.UPDATE_SCREENSHOTS === "1" ? 900 : 20);
  await until("text-loss", (x, most) => x < most, 0.8 * untrained);
  assert.ok((await page.textContent(".piece pre")).length > 0);
  await page.click("#text-run");
  await shot("demo-text", 800);
  await page.fill("#temperature", "0.1");
  assert.is(await text("temperature-value"), "0.1");
  await page.click("#write");
  // The piece names the step it was begun after: none may follow while it is written.
  await page.waitForFunction(() => {
    const [title, body] = document.querySelector(".piece").children;
    return body.textContent.length === 320 && title.textContent.startsWith(`After ${document.getElementById("text-steps").textContent} steps`);
  }, undefined, { polling: 100 });
  await page.click("#text-reset");
  await until("text-steps", (x) => x === 0);
  assert.is(await page.locator(".piece").count(), 0);
});

test("a view that is left pauses; nothing went wrong on the way", async () => {
  await page.click("#text-run");
  await page.click("nav a[href='#digits']");
  assert.is(await text("text-run"), "Start");
  assert.equal(troubles, []);
});

test.run();
