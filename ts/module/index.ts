export { currentFrame, enterFrame, leaveFrame, noteWritten, type Frame } from "./frame.js";
export { className, isModule } from "./instance.js";
export { parameter, state, type ForwardArgs, type ForwardResult, type Params, type ParamsOf, type State } from "./kinds.js";
export { Module, Optimizer } from "./module.js";
