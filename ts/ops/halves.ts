/** Half floats, which are computed as float32 where they would overflow or round away. */
import type { DType, Tensor } from "../tensor.js";
import * as rows from "./generated/rows.js";

/** The same tensor if it has the dtype, else a cast one. */
export const castTo = (x: Tensor, dtype: DType): Tensor => (x.dtype === dtype && !x.weak ? x : rows.cast(x, dtype, false));
/** Half floats as float32, in which their squares and sums do not overflow. */
export const wide = (x: Tensor): Tensor => (x.dtype === "float16" || x.dtype === "bfloat16" ? castTo(x, "float32") : x);
