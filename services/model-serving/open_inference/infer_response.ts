/** The answer of the use case -> a response of the Open Inference Protocol. @module */
import type { Signature } from "shared/contracts/signature.ts";
import { outputWidth } from "shared/contracts/signature.ts";
import { type Prediction, rounded } from "../predict_call.ts";
import type { InferRequest } from "./infer_request.ts";
import { textBytes } from "./tensor.ts";

/** The output that names each row in the prediction log. */
export const PREDICTION_ID = "prediction_id";

/** What a model answers: the graph's own output, and the id of each prediction. */
export const outputsOf = (signature: Pick<Signature, "output" | "classes">) => [
  {
    name: signature.output,
    datatype: "FP32",
    shape: signature.output === "probabilities" ? [-1, outputWidth(signature)] : [-1],
  },
  { name: PREDICTION_ID, datatype: "BYTES", shape: [-1] },
];

export interface InferBody {
  json: Record<string, unknown>;
  /** Of the outputs that go as bytes, in their order. */
  binary: Uint8Array[];
}

/** @param request whose outputs the model has: they were looked at with its rows */
export function toInferBody(prediction: Prediction, request: InferRequest): InferBody {
  const { served, ids, outputs, arm, times, checked } = prediction;
  const known = outputsOf(served.signature);
  const wanted = request.outputs ?? known.map(({ name }) => ({ name, binary: request.binaryOutput }));
  const binary: Uint8Array[] = [];
  const described = wanted.map(({ name, binary: asBytes }) => {
    const output = known.find((output) => output.name === name)!;
    const shape = [ids.length, ...output.shape.slice(1)];
    const head = { name, datatype: output.datatype, shape };
    if (!asBytes) return { ...head, data: name === PREDICTION_ID ? ids : [...outputs] };
    const bytes = name === PREDICTION_ID
      ? textBytes(ids)
      : new Uint8Array(outputs.buffer, outputs.byteOffset, outputs.byteLength);
    binary.push(bytes);
    return { ...head, parameters: { binary_data_size: bytes.length } };
  });
  return {
    json: {
      model_name: served.entry.model,
      model_version: String(served.entry.version),
      ...(request.id === undefined ? {} : { id: request.id }),
      parameters: {
        arm,
        queue_ms: rounded(times.queueMs),
        run_ms: rounded(times.runMs),
        total_ms: rounded(times.totalMs),
        // Parameters are texts, numbers and booleans.
        ...(checked.marks.size === 0 ? {} : { marks: JSON.stringify(Object.fromEntries(checked.marks)) }),
      },
      outputs: described,
    },
    binary,
  };
}
