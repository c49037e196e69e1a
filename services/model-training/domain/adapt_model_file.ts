/** ONNX files made elsewhere, brought into the form that the platform serves. @module */
import {
  type GoldenRows,
  MODEL_METADATA,
  type ReferenceBins,
  type Signature,
} from "shared/contracts/signature.ts";
import { shapeOf } from "shared/onnx/model_batch.ts";
import type { Node, Tensor } from "shared/onnx/model_proto.ts";
import type { ModelSummary, ModelValue } from "shared/onnx/reader.ts";
import { readFields, readMessage, readText, type WireField, WireWriter } from "shared/onnx/wire.ts";
import { writeNode, writeTensor, writeValueInfo } from "shared/onnx/writer.ts";
import { type Adapted, adaptInputs, fits, list, unfit } from "./adapt_inputs.ts";
import type { TrainingSetReference } from "./model_file.ts";

/** What is written into the file beside its graph; what is not known is left out. */
export interface OutsideMetadata {
  signature: Signature;
  trainingSet?: TrainingSetReference;
  referenceBins?: readonly ReferenceBins[];
  goldenRows?: GoldenRows;
}

/** Numbers of fields of `ModelProto` and `GraphProto`, and of `TensorProto.DataType`. */
const MODEL = { graph: 7, opset: 8, metadata: 14 } as const;
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12 } as const;
const FLOAT = 1;
/** For a file that uses no operator of the default set. */
const DEFAULT_OPSET = 17;

/**
 * Rewrites a file so that its inputs and its one output are those that `signatureSchema` describes: inputs take the
 * platform's names, one output is chosen (of a classifier the probabilities, and of two classes the second one's) and
 * the others are dropped. Its own nodes and weights stay as they are, byte for byte.
 *
 * @param summary of the file, as it was admitted
 * @throws {AppError} `unprocessable` when the file's inputs and outputs can't be those of the signature
 */
export function adaptModelFile(
  file: Uint8Array,
  summary: ModelSummary,
  metadata: OutsideMetadata,
): Uint8Array<ArrayBuffer> {
  const { signature } = metadata;
  const inputs = adaptInputs(summary, signature);
  const output = adaptOutput(summary, signature);
  const writer = new WireWriter();
  for (const field of readFields(file)) {
    if (field.number === MODEL.graph) {
      writer.bytes(MODEL.graph, rewriteGraph(readMessage(field), { inputs, output }));
    } else if (field.number !== MODEL.metadata || !isOurs(readMessage(field))) writer.copy(field);
  }
  if (summary.opsets["ai.onnx"] === undefined) {
    writer.message(MODEL.opset, (opset) => {
      opset.string(1, "");
      opset.int(2, DEFAULT_OPSET);
    });
  }
  const entries = {
    [MODEL_METADATA.signature]: signature,
    [MODEL_METADATA.trainingSet]: metadata.trainingSet,
    [MODEL_METADATA.referenceBins]: metadata.referenceBins,
    [MODEL_METADATA.goldenRows]: metadata.goldenRows,
  };
  for (const [key, value] of Object.entries(entries)) {
    if (value === undefined) continue;
    writer.message(MODEL.metadata, (entry) => {
      entry.string(1, key);
      entry.string(2, JSON.stringify(value));
    });
  }
  return writer.finish();
}

function isOurs(entry: Uint8Array): boolean {
  const ours: readonly string[] = Object.values(MODEL_METADATA);
  return readFields(entry).some((field) => field.number === 1 && ours.includes(readText(field)));
}

function rewriteGraph(
  graph: Uint8Array,
  { inputs, output }: { inputs: Adapted; output: Adapted },
): Uint8Array {
  const writer = new WireWriter();
  const dropped: number[] = [GRAPH.input, GRAPH.output];
  const fields: WireField[] = [...readFields(graph)];
  // Every value must be written before it is read.
  for (const node of inputs.nodes) writer.message(GRAPH.node, (child) => writeNode(child, node));
  for (const field of fields) if (!dropped.includes(field.number)) writer.copy(field);
  for (const node of output.nodes) writer.message(GRAPH.node, (child) => writeNode(child, node));
  for (const tensor of [...inputs.initializers, ...output.initializers]) {
    writer.message(GRAPH.initializer, (child) => writeTensor(child, tensor));
  }
  inputs.write(writer);
  output.write(writer);
  return writer.finish();
}

/** Names of ours within someone else's graph. */
const OURS = {
  float: "microml_float",
  column: "microml_column",
  second: "microml_second",
  flat: "microml_flat",
} as const;

function adaptOutput({ outputs }: ModelSummary, signature: Signature): Adapted {
  const { outputs: width } = shapeOf(signature);
  const chosen = chooseOutput(outputs, signature);
  const nodes: Node[] = [];
  const initializers: Tensor[] = [];
  let value = chosen.name;
  const add = (node: Omit<Node, "inputs" | "outputs">, to: string, ...more: string[]) => {
    nodes.push({ ...node, inputs: [value, ...more], outputs: [to] });
    value = to;
  };
  if (chosen.type === "double") add({ op: "Cast", attributes: { to: { int: FLOAT } } }, OURS.float);
  const isPair = signature.output === "probability" && chosen.dims?.length === 2 && chosen.dims[1] !== 1;
  if (isPair) {
    initializers.push({ name: OURS.second, dims: [1], type: "int64", data: BigInt64Array.of(1n) });
    add({ op: "Gather", attributes: { axis: { int: 1 } } }, OURS.column, OURS.second);
  }
  if (signature.output !== "probabilities" && (isPair || chosen.dims?.length !== 1)) {
    initializers.push({ name: OURS.flat, dims: [1], type: "int64", data: BigInt64Array.of(-1n) });
    add(
      { op: "Reshape" },
      signature.output === chosen.name ? `microml_${signature.output}` : signature.output,
      OURS.flat,
    );
  }
  // What is there under its name already needs no node.
  const name = value;
  return {
    nodes,
    initializers,
    write(graph) {
      const dims = signature.output === "probabilities" ? ["rows", width] : ["rows"];
      graph.message(GRAPH.output, (child) => writeValueInfo(child, { name, type: "float", dims }));
    },
  };
}

/** The one output that is a float tensor, or the one of them that is called probabilities. */
function chooseOutput(outputs: readonly ModelValue[], signature: Signature): ModelValue {
  const { outputs: width } = shapeOf(signature);
  const widths = signature.output === "probability" ? [1, 2] : [width];
  const fitting = outputs.filter(({ type, dims }) =>
    (type === "float" || type === "double") &&
    (dims === null || (dims.length === 1 && widths.includes(1)) || widths.some((width) => fits(dims, width)))
  );
  const named = fitting.filter(({ name }) => signature.output !== "value" && /prob/i.test(name));
  const [chosen, ...others] = fitting.length > 1 ? named : fitting;
  if (chosen === undefined || others.length > 0) {
    throw unfit(
      `its outputs are ${list(outputs)}, and one of them must be float [rows, ${
        widths.join(" or ")
      }] for the ` +
        `signature's ${signature.output}` +
        (outputs.some(({ type }) => type === "other") ? "; of scikit-learn, export with zipmap=False" : ""),
    );
  }
  return chosen;
}
