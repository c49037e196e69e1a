import type { ModelGraph } from "shared/contracts/model_training.ts";
import type { ModelSummary, ModelValue } from "shared/onnx/reader.ts";

/** What is kept of what a file holds. @param bytes its size */
export function modelGraph(summary: ModelSummary, bytes: number): ModelGraph {
  const { producerName: producer, irVersion, opsets, operators, inputs, outputs } = summary;
  const valueOf = ({ name, type, dims }: ModelValue) => ({ name, type, dims: dims && [...dims] });
  return {
    producer,
    bytes,
    irVersion,
    opsets: { ...opsets },
    operators: operators.map(({ domain, op, count }) => ({ domain, op, count })),
    inputs: inputs.map(valueOf),
    outputs: outputs.map(valueOf),
  };
}
