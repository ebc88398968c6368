/** NumPy's other names for functions of np. Each is the same function; the names they stand for are the ones that are methods. */
export {
  sub as subtract, mul as multiply, div as divide, div as trueDivide, pow as power, neg as negative, abs as absolute, remainder as mod, trunc as fix, bitwiseNot as invert,
} from "./elementwise.js";
export { max as amax, min as amin } from "./reduce.js";
