// The packed package in Deno, Bun and workerd: each runs one program, whose numbers are Node's.
import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { build as esbuild } from "esbuild";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as pax from "../../dist/index.js";
import { tool } from "../../scripts/setup.mjs";
import { packedProject } from "./packed.mjs";

const test = suite("runtimes");

/** The packages of npm that carry the binaries: those that users install fetch them from elsewhere, or name them optional. */
const RUNTIMES = {
  deno: { package: "@deno/linux-x64-glibc", version: "2", file: "deno" },
  bun: { package: "@oven/bun-linux-x64-baseline", version: "1", file: "bin/bun" },
  workerd: { package: "@cloudflare/workerd-linux-64", version: "1", file: "bin/workerd" },
};

/** The path of a runtime's binary, installed where it is not yet. */
const binary = (name) => join(tool(name, RUNTIMES[name].package, RUNTIMES[name].version), RUNTIMES[name].file);

const FILES = {
  "package.json": JSON.stringify({ name: "project", private: true, type: "module", dependencies: { paxjs: "*" } }),
  "program.js": `
    const caught = (f) => { try { f(); } catch (e) { return e; } };
    const coded = async (promise) => { try { await promise; return "none"; } catch (e) { return e.code ?? String(e); } };
    /** Everything but files; \`options\` are those of \`pax.init\`. */
    export async function program(pax, options) {
      const { np, nn, random } = pax;
      const early = await coded(pax.init());
      await pax.init(options);
      const x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), y = np.array([[0], [1], [1], [0]]);
      pax.seedRngKey(1);
      let model = new nn.Sequential(new nn.Linear(2, 8), nn.relu, new nn.Linear(8, 1)), optimizer = pax.optim.adam(model.parameters(), 3e-2);
      const lossFn = (params, model) => { model = model.update(params); return [np.mean(np.square(model.forward(x).sub(y))), model]; };
      const step = pax.jit((model, optimizer) => {
        const [[loss, updated], grads] = pax.valueAndGrad(lossFn, { hasAux: true })(model.parameters(), model);
        return [loss, optimizer.step(grads, updated), optimizer];
      }, { donateArgnums: [0, 1] });
      const losses = [];
      for (let i = 0; i < 100; i++) {
        let loss;
        [loss, model, optimizer] = step(model, optimizer);
        losses.push((await loss.data())[0]);
      }
      // What is dropped is freed, as long as the loop awaits: this makes 160 MB.
      for (let i = 0; i < 4000; i++) await np.arange(10_000).add(i).data();
      const { bytes } = pax.memory();
      const key = random.key(42), wrong = caught(() => np.ones([2]).add(np.ones([3])));
      return {
        early, losses, bytes,
        ops: [np.arange(5).sum().item(), np.matmul(x, x.transpose()).toArray(), np.argsort(np.array([3, 1, 2])).toArray()],
        gradient: pax.grad((x) => np.sum(np.square(x)))(np.array([1, 2, 3])).toArray(),
        random: [random.bits(key, [4]), random.uniform(key, [100]), random.normal(key, [100]), random.permutation(key, 10), random.split(key)[1]].map((t) => [...t.bytes()]),
        shapes: [wrong instanceof pax.PaxError, wrong.name, wrong.code, wrong.message],
        foreign: await coded(pax.init({ wasm: new Uint8Array([0, 97, 115, 109]) })),
        bytesOfModel: pax.io.toSafetensors(model).length,
      };
    }`,
  "main.js": `
    import * as pax from "paxjs";
    import { program } from "./program.js";
    const result = await program(pax, {});
    const file = new URL("model.safetensors", import.meta.url).pathname;
    const model = new pax.nn.Linear(2, 3);
    await pax.io.saveSafetensors(file, model);
    const there = await pax.io.loadSafetensors(file, model);
    const failures = [pax.io.loadSafetensors("missing.safetensors"), pax.io.loadSafetensors("http://127.0.0.1:9/")].map((p) => p.catch((e) => e.code));
    console.log(JSON.stringify({ ...result, files: [pax.tree.equal(there, model), ...(await Promise.all(failures))] }));`,
  "edge.js": `
    import * as pax from "paxjs";
    import wasm from "paxjs/wasm/pax-relaxed.wasm";
    import { program } from "./program.js";
    export default {
      async fetch() {
        try {
          return Response.json(await program(pax, { wasm }));
        } catch (e) {
          return Response.json({ failure: String(e.stack) });
        }
      },
    };`,
  "workerd.capnp": `
    using Workerd = import "/workerd/workerd.capnp";
    const config :Workerd.Config = (
      services = [(name = "main", worker = (
        modules = [
          (name = "edge.js", esModule = embed "built/edge.js"),
          (name = "pax-relaxed.wasm", wasm = embed "node_modules/paxjs/dist/wasm/pax-relaxed.wasm"),
        ],
        compatibilityDate = "2025-05-05",
      ))],
      sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
    );`,
};

const { project, installed, install, remove } = packedProject("runtimes", FILES);
test.before(install);
test.after(remove);

/** What the program gives with this checkout's library, natively. */
let native;
const inNode = async () => (native ??= JSON.parse(JSON.stringify(await (await import(join(project, "program.js"))).program(pax, {}))));

async function check({ failure, losses, bytes, foreign, ...exact }) {
  const node = await inNode();
  assert.is(failure, undefined);
  assert.ok(losses.at(-1) < 0.2 * losses[0], `${losses[0]} to ${losses.at(-1)}`);
  losses.forEach((loss, i) => assert.ok(Math.abs(loss - node.losses[i]) < 1e-4 * losses[0], `step ${i}: ${loss}, in Node ${node.losses[i]}`));
  assert.ok(bytes < 80e6, `${bytes} bytes are alive`);
  assert.is(foreign, "device");
  for (const key of ["ops", "gradient", "random", "bytesOfModel", "shapes"]) assert.equal(exact[key], node[key], key);
  assert.equal(exact.shapes.slice(0, 3), [true, "PaxError", "shape"]);
}

for (const [name, args] of [["deno", ["run", "--no-remote", "--allow-read", "--allow-write"]], ["bun", []]]) {
  test(`${name}: the program, and files`, async () => {
    const text = execFileSync(binary(name), [...args, "main.js"], { cwd: project, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: 120_000 });
    const { files, early, ...result } = JSON.parse(text);
    assert.equal(files, [true, "io", "io"]);
    assert.is(early, "none");
    await check(result);
  });
}

/** What a fetch of the worker answers. workerd says on a descriptor of ours which port it took. */
async function askWorkerd() {
  await esbuild({
    absWorkingDir: project, entryPoints: ["edge.js"], outdir: "built", bundle: true, format: "esm", target: "es2022", logLevel: "error", conditions: ["workerd"],
    // As deploying tools do: a compiled module comes from the runtime, by its name.
    plugins: [{ name: "wasm", setup: ({ onResolve }) => { onResolve({ filter: /^paxjs\/wasm\// }, ({ path }) => ({ path: path.split("/").at(-1), external: true })); } }],
  });
  const server = spawn(binary("workerd"), ["serve", "workerd.capnp", "--control-fd=3"], { cwd: project, stdio: ["ignore", "pipe", "pipe", "pipe"] });
  let said = "";
  for (const stream of [server.stdout, server.stderr]) stream.on("data", (text) => { said += text; });
  try {
    const port = await new Promise((resolve, reject) => {
      let events = "";
      server.stdio[3].on("data", (text) => {
        events += text;
        const found = /"event":"listen","socket":"http","port":(\d+)/.exec(events);
        if (found) resolve(found[1]);
      });
      server.once("error", reject);
      server.once("exit", (status) => reject(new Error(`workerd ended with ${status}: ${said}`)));
    });
    return await (await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(120_000) })).json();
  } finally {
    server.kill();
  }
}

test("workerd: the program, with a compiled module", async () => {
  const { early, ...result } = await askWorkerd();
  assert.is(early, "device");
  await check(result);
});

test("the package exports what a bundler for the edge imports", () => {
  for (const build of ["simd", "relaxed", "threads"]) {
    const resolved = execFileSync(process.execPath, ["-p", `require.resolve("paxjs/wasm/pax-${build}.wasm")`], { cwd: project, encoding: "utf8" });
    assert.is(resolved.trim(), join(installed, "dist", "wasm", `pax-${build}.wasm`));
  }
});

test.run();
