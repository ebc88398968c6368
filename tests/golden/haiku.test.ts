/** Layers against Haiku's: values, gradients of parameters and input, state over three steps, evaluation. */
import * as pax from "paxjs";
import { suite } from "uvu";
import { near } from "../support/near.js";
import { golden } from "../support/safetensors.js";

const { nn, np } = pax;
type Layer = pax.nn.Layer;
interface Case {
  readonly case: string;
  readonly steps: number;
  readonly eval?: boolean;
  readonly layer: Record<string, unknown> & { readonly fn: string };
}

const data = golden<Case>("haiku");
const test = suite("golden haiku");
const options = (l: Case["layer"]): Record<string, unknown> => ({ stride: l["stride"], rate: l["rate"], padding: l["padding"], featureGroupCount: l["feature_group_count"] });

/** For each of Haiku's layers that exists here: how to build it, its Haiku name, and its parameters' names there and here. */
const layers: Record<string, { make: (l: Case["layer"]) => Layer; module: string; names: Record<string, string> }> = {
  linear: { make: (l) => new nn.Linear(l["in_dim"] as number, l["out_dim"] as number, { withBias: l["with_bias"] as boolean }), module: "linear", names: { w: "W", b: "b" } },
  layer_norm: { make: (l) => new nn.LayerNorm(l["num_channels"] as number, -1, true, true), module: "layer_norm", names: { scale: "scale", offset: "offset" } },
  batch_norm_2d: { make: (l) => new nn.BatchNorm([null, null, null, l["num_channels"] as number], true, true, l["decay_rate"] as number), module: "batch_norm", names: { scale: "scale", offset: "offset" } },
  conv_1d: { make: (l) => new nn.Conv1D(l["input_channels"] as number, l["output_channels"] as number, l["kernel_shape"] as number, options(l)), module: "conv1_d", names: { w: "w", b: "b" } },
  conv_2d: { make: (l) => new nn.Conv2D(l["input_channels"] as number, l["output_channels"] as number, l["kernel_shape"] as number, options(l)), module: "conv2_d", names: { w: "w", b: "b" } },
};

/** Sums that cancel are compared beside the largest element. */
const close = (a: pax.Tensor, b: pax.Tensor, what: string): void => near(a.reshape(b.shape), b, what, { atol: 2e-6 + 1e-6 * np.max(np.abs(b)).item() });

for (const found of data.cases) {
  const kind = layers[found.layer.fn];
  if (kind === undefined) continue;
  test(found.case, () => {
    const at = (path: string): pax.Tensor => data.get(`${found.case}/${path}`);
    const names = Object.entries(kind.names).filter(([theirs]) => data.has(`${found.case}/params/${kind.module}/${theirs}`));
    let model = kind.make(found.layer);
    for (const [theirs, ours] of names) {
      const fields = model as unknown as Record<string, pax.Tensor>;
      fields[ours] = at(`params/${kind.module}/${theirs}`).reshape(fields[ours]!.shape);
    }
    for (let step = 0; step < found.steps; step++) {
      const [x, cot] = [at(`${step}/x/0`), at(`${step}/cot`)];
      const loss = (params: Layer, input: pax.Tensor, m: Layer) => {
        m = m.update(params);
        const y = m.forward(input);
        return [y.mul(cot).sum(), [y, m]] as const;
      };
      const [grads, [y, next]] = pax.grad(loss, { argnums: [0, 1], hasAux: true })(model.parameters(), x, model);
      close(y, at(`${step}/y`), "y");
      close(grads[1], at(`${step}/dx/0`), "dx");
      for (const [theirs, ours] of names) close((grads[0] as unknown as Record<string, pax.Tensor>)[ours]!, at(`${step}/dparams/${kind.module}/${theirs}`), `d${theirs}`);
      model = next;
      if (model instanceof nn.BatchNorm) {
        close(model.mean, at(`${step}/state/batch_norm/~/mean_ema/average`), "mean");
        close(model.var, at(`${step}/state/batch_norm/~/var_ema/average`), "var");
      }
    }
    if (found.eval === true) close(model.eval().forward(at("eval/x/0")), at("eval/y"), "eval");
  });
}
test.run();
