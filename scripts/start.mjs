// `npm start`: sets up, then trains the MNIST example. Arguments go to it: `npm start -- --epochs 1`.
import { join } from "node:path";
import { root, run, setUp } from "./setup.mjs";

setUp();
run("npx", ["tsc", "-p", "tests"]);
run(process.execPath, [join(root, ".cache", "tests", "examples", "mnist.js"), ...process.argv.slice(2)], "The MNIST example failed: see its message above.");
